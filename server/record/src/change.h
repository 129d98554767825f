/*
 * change.h - a wanted state of one collection, and how to get there
 *
 * A change is read and held against the snapshot on the loop; several of them make a plan (plan.h),
 * which runs inside one transaction.
 */
#ifndef RECORD_CHANGE_H
#define RECORD_CHANGE_H

#include "flaws.h"
#include "work.h"

#define INDEXES_MAX 64

struct change_rule {
	bool is_set, is_null;
	struct bytes text;
};

/* What a request, or the start of a tenant, wants a collection to be. */
struct change {
	const struct record_collection *old; /* NULL: it is a new one */
	bool is_drop;                        /* wants it not to be */
	struct bytes id, name;
	bool is_auth, is_view, is_system;
	bool has_name, has_type, has_fields, has_indexes, has_query;
	struct change_rule rules[RULES];
	struct record_field *fields;
	size_t n_fields;
	struct bytes_list indexes; /* each as we write it, from names that were checked */
	struct bytes view_query;
	struct auth_options *auth; /* of type auth; NULL: as they are by default */
	struct {
		bool is_set, soft_delete;
		int64_t revisions;
	} keeping;
	struct bytes body; /* what the request says: auth_options.c reads it again */
	struct flaws flaws;
};

extern const char *const change_rule_names[RULES];

/* ---- change.c: on the loop ---- */
/* Reads a definition of change->old, or of a new collection. False when it is no object or a member
 * has no value of its kind, or when the arena is full. */
bool change_parse(struct record_work *work, struct change *change, struct bytes json);
/* What the request did not say stays as it is. False when the arena is full. */
bool change_inherit(struct record_work *work, struct change *change);
/* The field of before with this id; NULL when there is none. */
const struct record_field *change_old_field(
	const struct record_collection *old, const struct record_field *field);

/* CRC-32, of which ids are made as PocketBase makes them. */
uint32_t change_checksum(struct bytes text);

/* ---- settle.c: on the loop; these add flaws ---- */
/* Fields keep their ids, and get one when they are new; system fields keep everything but their
 * looks. False when the arena is full. */
bool change_settle_fields(struct record_work *work, struct change *change);
/* All else that can be said without the database. others are the plan's changes. */
void change_check(struct record_work *work, struct change *change, struct change *const *others,
	size_t n_others);

/* ---- settings.c ---- */
/* Adds a flaw for each option of the field that does not fit. */
void change_check_field(struct change *change, size_t index);

/* ---- index.c ---- */
/* Reads a CREATE INDEX text: [UNIQUE], columns with COLLATE NOCASE and DESC, and WHERE column !=
 * ''. Everything is looked up and written anew; *ret is for the table and with the column names of
 * change. by_old_names: the text is one that stands, so fields are called as they were. False when
 * the text is anything else. */
bool index_parse(struct bytes text, const struct change *change, bool by_old_names,
	struct arena *arena, struct bytes *ret, struct bytes *ret_name);
/* The name, in quotes, out of a text that index_parse wrote. */
struct bytes index_name(struct bytes text);

/* ---- alter.c: inside a transaction ---- */
/* Makes the collection and its table. */
enum store_outcome collection_insert(
	struct store_conn *conn, const struct change *change, const char *now);
/* To be done while the database's views still stand, which both keep right, or complain about by
 * name: the table, in two steps, the first of all collections before the second of any; then its
 * columns, renamed and dropped. */
enum store_outcome collection_rename_table(
	struct store_conn *conn, const struct change *change, size_t nth, int step);
enum store_outcome collection_rename(struct store_conn *conn, const struct change *change);
/* Adds the columns of new fields. */
enum store_outcome collection_extend(struct store_conn *conn, const struct change *change);
/* Makes the indexes; *ret_index is the one that could not be made. */
enum store_outcome collection_index(
	struct store_conn *conn, const struct change *change, size_t *ret_index);
/* Writes the collection's row of _collections. */
enum store_outcome collection_store(
	struct store_conn *conn, const struct change *change, const char *now);
enum store_outcome collection_drop(
	struct store_conn *conn, const struct record_collection *collection);
enum store_outcome schema_bump(struct store_conn *conn);

/* ---- system.c ---- */
/* The fields that every collection has, and those of auth, are put in front when they are missing.
 * False when the arena is full. */
bool change_add_system_fields(struct change *change, struct arena *arena);
/* The indexes that an auth collection needs. */
bool change_add_system_indexes(struct change *change, struct arena *arena);
/* created and updated, at the end. */
bool change_add_date_fields(struct change *change, struct arena *arena);

#endif
