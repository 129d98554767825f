/*
 * work.h - a call while it runs, and the helpers that all operations share
 */
#ifndef RECORD_WORK_H
#define RECORD_WORK_H

#include <pthread.h>

#include "encode.h"
#include "file.h"
#include "hash.h"
#include "value.h"

/* PocketBase's words for any query parameter that cannot be taken. */
#define WORK_BAD_QUERY "Something went wrong while processing your request."

#define FILE_DONE_MOST 8 /* ranges of the log of acts that one write deletes */
#define TRIES_MAX      4 /* how often a call begins again because the schema changed meanwhile */
#define CALL_MAX_NS    (5 * CLOCK_NS_PER_S)

/* A count of rows, and the state of the database that it is true of. */
struct total {
	bool is_set;
	uint8_t digest[HASH_BYTES]; /* of what was counted */
	uint64_t state;
	int64_t total;
	/* Where pages begin: marks[i] is the rowid of row number (i + 1) * gap of the list in order
	 * of rowid. NULL: not looked for yet. */
	int64_t *marks;
	size_t n_marks;
	int64_t gap;
};
#define TOTALS_MAX 64

struct record_book {
	struct store *store;
	struct executor *executor;
	const struct record_hooks *hooks;
	const struct record_events *events;
	struct file_store *files; /* NULL: none are kept */
	struct bytes tenant;
	char *tenant_text;
	pthread_mutex_t lock; /* of schema: held for a load and an increment */
	struct record_schema *schema;
	pthread_mutex_t totals_lock; /* of totals: held for a comparison or a copy */
	struct total totals[TOTALS_MAX];
};

struct record_work {
	struct store_job job;
	struct record_call *call;
	void (*start)(struct record_call *call); /* to begin again */
	struct record_schema *schema;
	const struct record_collection *collection;
	struct expr_environment environment;
	struct problems problems;
	char id[ID_RECORD_BYTES + 1];
	struct id_source *ids; /* NULL: the loop's, on the loop */
	char now[CLOCK_TEXT_BYTES];
	bool is_stale; /* the schema changed since the call began */
	unsigned n_tries;
	int refused_status; /* of a job that refused: 0: see problems */
	const char *refused_message;
	bool has_refusal_data; /* the answer holds what the refusal has to say about fields */

	/* what the answer shall have */
	struct mask *mask;
	struct expand *expand;
	void *list; /* of list, aggregate and export */

	/* create, update */
	struct value *values; /* one for each field of the collection */
	bool *sent, *locked;  /* see field_rule.h; NULL: no such rules */
	struct arena *arena;  /* where they lie: the call's, or the writer's own */
	struct bytes password, old_password;
	bool has_password;
	char password_hash[128], old_hash[128], token_key[64];
	struct executor_job password_job;
	struct loop_message password_done;
	bool is_password_wrong;
	enum record_action action;
	enum store_outcome (*run_write)(struct store_job *job, struct store_conn *conn);
	void (*done_write)(struct store_job *job);
	bool needs_old;   /* the old password is asked for */
	bool can_manage;  /* the account: no old password is asked for */
	bool has_new_key; /* the address changes: so does the token key */
	struct record_hook_call hook;
	/* As the hook was asked about it. hook_old is what an update or a delete found: when the
	 * row has moved on since, the hook is asked again. */
	struct bytes_buf hook_record, hook_old;
	bool was_asked, has_attached;
	struct changes *changes; /* for whoever is told of the write; NULL: nothing yet */

	/* files: what the transaction means for the tenant's folder, see files.c */
	struct bytes_list *old_files; /* for each field: what it named before; NULL: nothing */
	struct file_acts *file_acts;
	struct file_done file_done[FILE_DONE_MOST];
	size_t n_file_done;

	/* collections */
	struct record_schema *new_schema;
	void *change;
};

/* The current snapshot, referenced. */
struct record_schema *book_schema(struct record_book *book);
void book_swap_schema(struct record_book *book, struct record_schema *schema);

/* Begins a call: makes its work with the current schema. NULL when the arena is full: then the call
 * has been answered. */
struct record_work *work_new(struct record_call *call, void (*start)(struct record_call *call));
/* Also finds the collection of the call; 404 when there is none. */
struct record_work *work_new_with_collection(
	struct record_call *call, void (*start)(struct record_call *call));

/* For what only superusers may do: 403 for all others. */
struct record_work *work_new_for_superuser(
	struct record_call *call, void (*start)(struct record_call *call), bool needs_collection);

/* Gives back what the work holds, without an answer. */
void work_release(struct record_work *work);
/* Ends the call. */
void work_answer(struct record_work *work, int status, const char *message);
/* 400 with the problems gathered so far. */
void work_answer_problems(struct record_work *work, const char *message);
/* Ends the call by what a job came to, if it is anything but STORE_OK or a refusal of run's own.
 * True when it did (also when the call begins again). */
bool work_answer_outcome(struct record_work *work);
/* Where ids and secrets are drawn. */
struct id_source *work_ids(struct record_work *work);
/* When the call began, as records carry it. */
const char *work_now(struct record_work *work);
/* Whom no rule of a collection stops. */
bool work_is_superuser(const struct record_work *work);
/* Whom nothing is hidden from either. Work of our own that names a viewer is told as he sees it:
 * the answer to a sign-in passes the view rule, not the rules of fields. */
bool work_sees_all(const struct record_work *work);

/* 403 when the rule is for superusers only and the viewer is none: true when answered. */
bool work_answer_forbidden(struct record_work *work, enum rule rule);
/* The rule that binds this viewer: that of superusers is no rule at all. */
const struct expr_sql *work_rule(struct record_work *work, enum rule rule);

/* The rule said no: notes it, unless it is none at all. */
void work_note_rule(struct record_work *work, enum rule rule);

/* A query parameter's last value; {NULL, 0} when there is none. */
struct bytes work_query(const struct record_work *work, const char *name);
/* The same; false when there is none. */
bool work_has_query(const struct record_work *work, const char *name, struct bytes *ret);

/* In a write job: false when the schema changed since the call began; sets is_stale. */
enum store_outcome work_check_version(struct record_work *work, struct store_conn *conn);

/* ---- changes.c: what a write did to the rows, told after its commit ---- */
/* Before a row is touched: *ret is the note to close with changes_end, or -1 when nobody wants one.
 * Keeps the row as it is, unless it is about to be made. */
enum store_outcome changes_begin(struct record_work *work, struct store_conn *conn,
	enum record_action action, const struct record_collection *collection, struct bytes id,
	int *ret);
/* After it was. */
enum store_outcome changes_end(struct record_work *work, struct store_conn *conn, int note);
/* A run begins anew. */
void changes_forget(struct record_work *work);
/* On the writer's thread, after the commit. */
void changes_tell(struct record_work *work);
/* The same of a write that touched many rows without a note of each. */
void changes_tell_many(struct record_work *work);
/* Takes NULL. */
void changes_free(struct changes *changes);

/* Works out ?fields= and ?expand=. False having answered. */
bool work_parse_shape(struct record_work *work);

#endif
