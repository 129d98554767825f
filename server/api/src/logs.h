/*
 * logs.h - the requests of one tenant, out of the journal, in the shape of PocketBase's logs
 *
 * The journal has a record of every request; here its newest ones of one tenant are read, put into
 * the shape {id, created, level, message, data}, and filtered, sorted and paged in memory. No
 * second log is written.
 *
 * Threads: read on the executor's file lane. Memory: a book of rows owns an arena.
 */
#ifndef API_LOGS_H
#define API_LOGS_H

#include "internal.h"

#include "audit_reader.h"

#define LOGS_SCAN_MAX 10000 /* of the newest requests: older ones are in the journal alone */
#define LOGS_ID_BYTES 15

struct log_row {
	char id[LOGS_ID_BYTES + 1];
	char created[CLOCK_TEXT_BYTES];
	int64_t wall_us;
	int level;                  /* as PocketBase: 0 done, 4 the client's fault, 8 ours */
	struct bytes message, data; /* data is a JSON object */
	int64_t status;
	double exec_ms;
};

struct log_book {
	struct arena *arena;
	struct log_row *rows; /* the newest first */
	size_t n_rows;
};

/* The newest requests of a tenant. Blocking. Returns 0 and a book to fini, or -1. */
int logs_read(const char *folder, struct bytes tenant, struct log_book *ret, struct err *err);
void logs_fini(struct log_book *book);

/* Keeps the rows that meet the filter. False with a message for the client when it is none. */
bool logs_filter(struct log_book *book, struct bytes filter, const char **ret_message);
/* Sorts by "-created,level". False when a key is none. */
bool logs_sort(struct log_book *book, struct bytes keys);

#endif
