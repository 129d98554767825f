/*
 * write.h - the parts of creating and changing a record
 */
#ifndef RECORD_WRITE_H
#define RECORD_WRITE_H

#include "files.h"
#include "work.h"

/* ---- body.c: the client's words, into work->values ---- */
/* Applies call->body over work->values; passwordConfirm goes to *ret_confirm. False when the body
 * is no object or the arena is full. May run again over other values. */
bool body_apply(struct record_work *work, struct bytes *ret_confirm);
/* Names a member that takes no effect, or refuses it when the call is strict. */
void body_ignore(struct record_work *work, struct bytes name);
/* Whether a member can build on what the field held: "n+", "list-". */
bool body_has_modifiers(const struct record_field *field);
/* The password of an auth collection, else NULL. */
const struct record_field *body_password_field(const struct record_collection *collection);
/* These add problems. */
void body_check_password(struct record_work *work, struct bytes confirm, bool is_create);
void body_check_values(struct record_work *work);
/* The id that the client chose, or a fresh one. */
void body_set_id(struct record_work *work);
void body_set_autodates(struct record_work *work, bool is_create);

/* ---- write.c ---- */
/* The body over the row in work->values, dates set and checked. STORE_REFUSED: see problems. */
enum store_outcome write_work_out(struct record_work *work);
/* On the writer: the row of work->values put in, or that of work->id changed by the body, with all
 * that is checked about it. */
enum store_outcome write_create_row(struct record_work *work, struct store_conn *conn);
enum store_outcome write_update_row(struct record_work *work, struct store_conn *conn);
/* A fresh token key: every token that was signed over the last one is worth nothing now. */
void write_draw_token_key(struct record_work *work);
/* For store_job.committed. */
void write_committed(struct store_job *job);

/* ---- ask.c: plugins' hooks ---- */
/* Asks the hooks that want it, then queues the write (run_write, done_write), or says to its group
 * that it is ready; or answers. */
void ask_then_queue(struct record_work *work);
/* The last of that. */
void ask_queue(struct record_work *work);
/* On the writer: refuses as stale when the row is not the one that hooks were asked about. */
enum store_outcome ask_check_old(struct record_work *work, struct store_conn *conn);
/* On the writer, after the write: what hooks attached. */
enum store_outcome ask_run_attached(struct record_work *work, struct store_conn *conn);

/* ---- match.c ---- */
/* On the writer: 412 when the row, as this viewer sees it, has none of the tags of call->if_match.
 * For who may write it: the rule has been asked. */
enum store_outcome match_check(struct record_work *work, struct store_conn *conn);
/* The tag of the answer, when a get would answer the same. */
void match_note(struct record_work *work);

/* ---- row.c: on the writer's connection; work->id names the row ---- */
/* Binds the value of a field to a parameter. */
void row_bind_field(struct record_work *work, size_t i, struct store_stmt *stmt, int index);
/* Ends the job with a status of its own; 0: with the problems. Returns STORE_REFUSED. */
enum store_outcome row_refuse(struct record_work *work, int status, const char *message);
/* Refuses when a relation that was set points at nothing. */
enum store_outcome row_check_relations(struct record_work *work, struct store_conn *conn);
enum store_outcome row_insert(struct record_work *work, struct store_conn *conn);
/* Whether the row meets the rule now. */
enum store_outcome row_meets_rule(
	struct record_work *work, struct store_conn *conn, enum rule which, bool *ret);
/* The same, and that there is such a row. */
enum store_outcome row_find(
	struct record_work *work, struct store_conn *conn, enum rule which, bool *ret);
/* What modifiers build on, out of the row as it is, into work->values; none of them counts as set.
 * The rest stays in the database: a row may be larger than any arena. */
enum store_outcome row_load(struct record_work *work, struct store_conn *conn);
/* The whole row into work->values; *ret_is_whole is false when it does not fit into work->arena. */
enum store_outcome row_load_whole(
	struct record_work *work, struct store_conn *conn, bool *ret_is_whole);
/* Changes what is set. */
enum store_outcome row_update(struct record_work *work, struct store_conn *conn);
/* The row as it is now, as the answer. */
enum store_outcome row_answer(struct record_work *work, struct store_conn *conn);
/* A problem for each field of ours in the conflict that the store reported; none at all when one of
 * them is not for this viewer's eyes. */
void row_note_conflict(struct record_work *work);

/* ---- account.c: what is particular to auth records; on the writer's connection ---- */
/* Whether the viewer may do with the account what else only its owner does with his password. */
enum store_outcome account_may_manage(struct record_work *work, struct store_conn *conn, bool *ret);
/* Adds problems when somebody who may not manage the account sets its address or says that it is
 * verified; notes when the address changes. After the insert of a create, before an update. */
enum store_outcome account_check(struct record_work *work, struct store_conn *conn, bool is_create);
/* Refuses when the call was made over a token key that the record has no more. */
enum store_outcome account_check_key(struct record_work *work, struct store_conn *conn);
/* Whether an update sets the i-th field: the token key with a new password or address. */
bool account_is_set(const struct record_work *work, size_t i);

#endif
