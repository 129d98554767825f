/*
 * change.h - a wanted state of one collection, and how to get there
 */
#ifndef RECORD_CHANGE_H
#define RECORD_CHANGE_H

#include "work.h"

#define INDEXES_MAX 64

struct change_rule {
	bool is_set, is_null;
	struct bytes text;
};

/* What a request, or the start of a tenant, wants a collection to be. */
struct change {
	struct bytes id, name;
	bool is_auth, is_system;
	bool has_name, has_type, has_fields, has_indexes;
	struct change_rule rules[RULES];
	struct record_field *fields;
	size_t n_fields;
	struct bytes_list indexes; /* each as we write it, from names that were checked */
	struct auth_options *auth; /* of type auth; NULL: as they are by default */
};

extern const char *const change_rule_names[RULES];

/* ---- change.c: on the loop ---- */
/* Reads the body. False when it is no object or a member has no value of its kind. */
bool change_parse(struct record_work *work, struct change *change);
/* What the request did not say stays as it is. False when the arena is full. */
bool change_inherit(struct record_work *work, struct change *change);
/* Fields keep their ids; system fields keep everything but their looks. As above. */
bool change_settle_fields(struct record_work *work, struct change *change);
/* These add problems. */
void change_check_id(struct record_work *work, const struct change *change);
void change_check_name(struct record_work *work, const struct change *change);
void change_check_duplicates(struct record_work *work, const struct change *change);
void change_settle_indexes(struct record_work *work, struct change *change);

/* ---- index.c ---- */
/* Reads a CREATE INDEX text: [UNIQUE], columns with COLLATE NOCASE and DESC, and WHERE column !=
 * ''. Everything is looked up and written anew; *ret is for the table and with the column names of
 * change. False when the text is anything else. */
bool index_parse(struct bytes text, const struct change *change, struct arena *arena,
	struct bytes *ret, struct bytes *ret_name);

/* ---- alter.c: inside a transaction ---- */
/* Makes the collection and its table. */
enum store_outcome collection_insert(
	struct store_conn *conn, const struct change *change, const char *now);
/* Makes of the collection old what change wants. */
enum store_outcome collection_alter(struct store_conn *conn, const struct record_collection *old,
	const struct change *change, const char *now);
enum store_outcome collection_drop(
	struct store_conn *conn, const struct record_collection *collection);
enum store_outcome schema_bump(struct store_conn *conn);

/* ---- system.c ---- */
/* The fields that every collection has, and those of auth, are put in front when they are missing.
 * False when the arena is full. */
bool change_add_system_fields(struct change *change, struct arena *arena);
/* The indexes that an auth collection needs. */
bool change_add_system_indexes(struct change *change, struct arena *arena);

#endif
