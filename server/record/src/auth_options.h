/*
 * auth_options.h - what an auth collection says about signing in: read, checked, kept, told
 */
#ifndef RECORD_AUTH_OPTIONS_H
#define RECORD_AUTH_OPTIONS_H

#include "change.h"
#include "record_auth.h"

struct auth_options {
	bool has_password, has_alert;
	struct bytes_list identity_fields;
	int64_t lifetime_s[RECORD_TOKENS];
	struct record_template letters[RECORD_LETTERS];
	struct change_rule auth_rule, manage_rule;
};

/* On the loop, once fields and indexes are settled: what the request says over what there was.
 * Adds flaws. False when the arena is full. */
bool auth_options_settle(struct record_work *work, struct change *change);

/* Inside the transaction of a change; of a collection that is not of type auth, nothing. */
enum store_outcome auth_options_save(struct store_conn *conn, const struct change *change);
enum store_outcome auth_options_drop(struct store_conn *conn, struct bytes collection_id);
/* Gives each auth collection of the snapshot its options and the texts of its two rules. */
int auth_options_load(struct store_conn *conn, struct record_schema *schema, struct err *err);

/* The members of the collection's JSON. */
void auth_options_write(
	struct text_json_writer *writer, const struct record_collection *collection);

#endif
