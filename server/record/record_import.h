/*
 * record_import.h - many records out of one text: CSV or JSON, all of them or none
 *
 * Each row is a create, or with is_upsert an update where its id exists, with the same checks,
 * rules and unique indexes as if it were sent by itself. All run in one transaction of their own;
 * the first hundred rows that are wrong are listed with line, column and code, and then nothing is
 * written. A dry run does all of that and takes it back.
 *
 *   csv   text_csv.h; the first row names the columns. A cell of a list, json or geoPoint field is
 *         JSON, or the one choice itself. An empty cell is the field's empty value.
 *   json  an array of objects
 *
 * Plugins' hooks are not asked row by row: where there are any, an import is refused unless
 * skips_hooks says that it shall pass them by, which is for superusers. Passwords are not imported.
 *
 * Threads: on the loop that is named.
 * Memory:  an import lives until done; its answer until record_import_fini.
 */
#ifndef RECORD_IMPORT_H
#define RECORD_IMPORT_H

#include "record.h"

#define RECORD_IMPORT_ROWS_MAX   30000
#define RECORD_IMPORT_ERRORS_MAX 100
#define RECORD_IMPORT_BYTES_MAX  (16u << 20)

enum record_import_format { RECORD_IMPORT_CSV, RECORD_IMPORT_JSON };

struct record_import {
	/* Filled in as for a create, but for arena and body; done and context are the import's. */
	struct record_call call;
	enum record_import_format format;
	struct bytes text;
	bool is_upsert, is_dry_run, skips_hooks;
	/* call.status, call.message and call.answer are what came of it. 200:
	 * {"rows","created","updated","dryRun","ignored"}; 400: {"errors":[{"line","row","column",
	 * "code","message"}]}, as data. */
	void (*done)(struct record_import *import);
	void *context;

	struct import_work *work; /* the module's own */
};

/* done is called once, maybe before this returns. */
void record_import_run(struct record_import *import);
void record_import_fini(struct record_import *import);

#endif
