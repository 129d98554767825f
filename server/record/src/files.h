/*
 * files.h - the files of records, on their side of the database
 *
 *   files_begin -> files_write, files_delete, ... (on the writer; may run twice) -> files_committed
 *   or, when nothing was committed, files_end
 */
#ifndef RECORD_FILES_H
#define RECORD_FILES_H

#include "work.h"

/* Does what a crash left in the log, empties the log, sweeps what was staged. At opening. */
int files_on_open(struct store_conn *conn, struct file_store *files, struct err *err);

/* A run on the writer begins: forgets what an earlier one of the same job noted. */
void files_begin(struct record_work *work);
/* Keeps what the file fields name, before the body changes it. False: no memory. */
bool files_remember(struct record_work *work);
/* Problems of the file fields that are set: too many, unknown names, size, kind. */
void files_check(struct record_work *work);
/* After the row was written: notes what came and what went. */
enum store_outcome files_write(struct record_work *work, struct store_conn *conn);
/* Before a row goes: notes its files. */
enum store_outcome files_delete(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, struct bytes id);
/* Before what the trash keeps goes: of one record, or with an empty id of all. */
enum store_outcome files_delete_kept(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, struct bytes id);
/* Before all rows of a collection go, or the collection. */
enum store_outcome files_drop(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection);
/* Before the rows go that temp._gone names for this place. */
enum store_outcome files_delete_gone(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, size_t place);
/* Before a collection gets these fields: the files of those that it loses go. */
enum store_outcome files_alter(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, const struct record_field *fields,
	size_t n_fields);
/* The transaction stands: hands over what was noted. */
void files_committed(struct record_work *work);
/* The call ends, or begins again: what was noted and not committed is nothing. */
void files_end(struct record_work *work);

#endif
