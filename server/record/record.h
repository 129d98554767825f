/*
 * record.h - collections and their records: defined at run time, checked, stored, told as JSON
 *
 * A book is one tenant's collections. Every operation is a call: the caller fills in what is asked,
 * starts it on its loop, and done is called once with a status, a message and a body. The caller
 * only maps that to HTTP; what a plugin's facade or a command asks takes the same way.
 *
 *   record_list     \                         read: on the loop itself when it is a point read,
 *   record_get       |                              else on the executor
 *   record_create    |- struct record_call -> write: checks, hooks, then a job of the store's
 *   record_update    |                               writer; the rule runs in the same savepoint
 *   record_delete   /
 *   record_collection_*                       the schema: superusers only, one transaction each
 *
 * The schema is an immutable snapshot; a change of it swaps a pointer after its commit. Each call
 * holds the snapshot it began with; a write that meets a newer one begins again by itself.
 *
 * Threads: start a call on its loop; done comes on that loop, maybe before the start returns.
 * Memory:  a call and all that it points to live until done; the answer until record_call_fini.
 */
#ifndef RECORD_RECORD_H
#define RECORD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "executor.h"
#include "file.h"
#include "id.h"
#include "loop.h"
#include "store.h"

struct record_book;
struct record_schema;
struct record_hooks;
struct record_events;
struct store_hold;
struct record_once;

#define RECORD_DEPTH_MAX     3    /* writes that a hook of a write asks for, and so on */
#define RECORD_PER_PAGE_MAX  1000 /* and 30 when nothing is said */
#define RECORD_EXPAND_DEPTH  6
#define RECORD_SORT_KEYS_MAX 8
#define RECORD_BODY_MAX      (4u << 20) /* bytes of an answer */
#define RECORD_ETAG_BYTES    25         /* with quotation marks and a terminator */

/* ---- opening a tenant's book ---- */

/* For struct store_config: on_open = record_on_open, on_open_context = a struct record_boot.
 * Applies the tenant's migrations, makes the system collections (_superusers, users) and reads the
 * schema.
 */
struct record_boot {
	struct file_store *files; /* in: the tenant's, or NULL. What a crash left undone is done */
	struct record_schema *schema; /* out; handed over to record_book_new, or record_boot_fini */
};
int record_on_open(struct store_conn *conn, void *boot, struct err *err);
void record_boot_fini(struct record_boot *boot);

struct record_config {
	struct store *store;              /* opened with record_on_open; outlives the book */
	struct executor *executor;        /* passwords are hashed on its password lane */
	struct record_boot *boot;         /* its schema is taken over */
	struct file_store *files;         /* NULL: no file is taken or given; outlives the book */
	struct bytes tenant;              /* its id, for hooks; copied */
	const struct record_hooks *hooks; /* NULL: none; outlives the book */
	/* Who is told of committed writes; NULL: nobody; outlives the book. */
	const struct record_events *events;
};

/* Returns 0 and a book to free, or -1 (ERR_NOMEM). */
int record_book_new(const struct record_config *config, struct record_book **ret, struct err *err);
/* After its calls have ended. Takes NULL. */
void record_book_free(struct record_book *book);

struct store *record_book_store(const struct record_book *book);
struct bytes record_book_tenant(const struct record_book *book);

/* ---- who asks ---- */
struct record_viewer {
	bool is_superuser;
	/* The signed-in auth record; all empty when nobody is. */
	struct bytes collection_id, collection_name, record_id;
};

/* A file that came with the body, flushed to its end. Its stored name stands in the body as a value
 * of its field; a name that is neither there nor in the record already is refused. */
struct record_upload {
	struct file_stage *stage;
	bool is_placed; /* the record names it: the stage was told to keep it */
};

struct record_pair {
	struct bytes name, value; /* decoded; header names in lower case, '-' as '_' */
};

/* ---- a call ---- */
/* Who said no to a call, for the audit trail. */
enum record_refused_by {
	RECORD_BY_NOBODY, /* it was done, or was wrong in itself */
	RECORD_BY_RULE,   /* also 404: what a rule hides reads as if it were not there */
	RECORD_BY_HOOK    /* message has the plugin's words, which are not the trail's */
};

struct record_call {
	/* what is asked */
	struct record_book *book;
	struct loop *loop;
	/* For what the call needs while it runs; at least 1 MiB for writes of large bodies. Nobody
	 * else uses it until done. */
	struct arena *arena;
	struct record_viewer viewer;
	/* Our own work (a sign-in's answer, a command), not a client's: the collection's rules do
	 * not count. When it names a viewer, fields are told as he may see them. */
	bool ignore_rules;
	struct bytes collection; /* name or id */
	struct bytes id;         /* get, update, delete */
	struct bytes body;       /* create, update: a document that text_json_check has accepted */
	struct record_upload *uploads; /* create, update: the files of the body */
	size_t n_uploads;
	bool is_strict; /* unknown and read-only fields are refused instead of ignored */
	struct record_export *export; /* of record_export; else NULL */
	struct bytes if_match; /* update, delete: 412 unless the record has one of these tags */
	struct bytes if_none_match; /* get: 304 when it has the tag of what would be answered */
	/* Of a write: its key (record_once.h), kept with its answer; NULL: none. */
	const struct record_once *once;
	/* update: when set, only while this still is the record's token key, else 404: what was
	 * decided over that key must not happen twice. */
	struct bytes token_key;
	struct bytes method; /* for @request.method */
	/* page, perPage, sort, filter, expand, fields, skipTotal, and @request.query.* */
	const struct record_pair *query;
	size_t n_query;
	const struct record_pair *headers; /* @request.headers.* */
	size_t n_headers;
	unsigned depth; /* of hooks within hooks; 0 for a client's request */
	uint8_t trace_id[ID_TRACE_BYTES];
	uint64_t deadline_ns; /* monotonic; 0: 5 s from now */
	void (*done)(struct record_call *call);
	void *context; /* the caller's */

	/* what came of it */
	int status; /* of HTTP: 200, 204, 304, 400, 403, 404, 409, 412, 500, 503, 504, 507 */
	/* For the error body, fit for the client, static or in the arena; "" for 2xx. */
	const char *message;
	/* 2xx: the answer's JSON. Else the JSON object for the error body's "data". */
	struct bytes_buf answer;
	char etag[RECORD_ETAG_BYTES]; /* of a get, create, update of the whole; else "" */
	struct bytes_buf ignored; /* names of ignored fields, comma separated: X-Tenon-Ignored */
	/* What a change of a collection lost of values, "field=rows": X-Tenon-Lost. */
	struct bytes_buf lost;
	struct err err; /* of status 500: for the log */
	enum record_refused_by refused_by;

	/* the module's own */
	struct record_work *work;
	struct record_group *group; /* that it is part of (record_group.h) */
};

/* Frees the answer. The caller may take call->answer out before (and leave {0} there). */
void record_call_fini(struct record_call *call);
/* The client went away: running SQL is interrupted. done is called as always. On the call's loop,
 * before done. */
void record_cancel(struct record_call *call);

/* ---- records ---- */
void record_list(struct record_call *call);
void record_get(struct record_call *call);
void record_create(struct record_call *call);
void record_update(struct record_call *call);
void record_delete(struct record_call *call);

/* A list as a file, part by part: ?format=csv or json, ?formulas=prefix; filter, sort, fields and,
 * of JSON, expand as of a list. Each call answers 200 with the next part of the file; the last has
 * been when next is empty. A part that fails leaves the file without its end. */
struct record_export {
	size_t n_parts;        /* that were asked for before; the caller counts */
	struct bytes_buf next; /* between two calls; {0} before the first. For the caller to free */
	bool is_csv, prefixes_formulas;
};
void record_export(struct record_call *call);

/* The strong entity tag of an answer: what its viewer sees of a record. */
void record_etag(struct bytes body, char out[static RECORD_ETAG_BYTES]);
/* Whether a header's list of tags has this one, or is "*". */
bool record_etag_matches(struct bytes list, const char *etag);

/* ---- files ---- */
struct file_store *record_book_files(const struct record_book *book);
/* How large the file may be that a form sends as key ("docs", "docs+", "+docs") to a collection.
 * False when that is no file field, so that the file can be passed over. An empty collection: any,
 * for forms that write to several; the largest limit then. */
bool record_upload_limit(
	struct record_book *book, struct bytes collection, struct bytes key, uint64_t *ret_bytes);
/* How large a whole form can be that a collection takes; without one, the largest. */
uint64_t record_upload_total(struct record_book *book, struct bytes collection);

/* Whether a record names a file, and the viewer may have it. */
struct record_find_file {
	/* collection, id, viewer, query and the like as for record_get; its status says: 200 or
	 * 404. */
	struct record_call call;
	struct bytes name;
	bool is_protected;      /* only for this viewer: not to be kept by others */
	char collection_id[64]; /* where it lies */
};
void record_find_file(struct record_find_file *find);

/* ---- collections: 403 unless the viewer is a superuser ----
 * The query's dryRun=1 tells what a change would touch and takes it back; lossy=1 lets a field's
 * type change although values would be lost. */
void record_collection_list(struct record_call *call);
void record_collection_get(struct record_call *call);
void record_collection_create(struct record_call *call);
void record_collection_update(struct record_call *call);
void record_collection_delete(struct record_call *call);
/* What a new collection of each type would be. */
void record_collection_scaffolds(struct record_call *call);
/* Several at once, out of {"collections":[...],"deleteMissing":false}: all of them or none. */
void record_collection_import(struct record_call *call);
/* All records of one. */
void record_collection_truncate(struct record_call *call);

/* ---- for auth; more is in record_auth.h ---- */
/* What a token is for: each kind has its own lifetime. */
enum record_token {
	RECORD_TOKEN_AUTH,
	RECORD_TOKEN_FILE,
	RECORD_TOKEN_VERIFICATION,
	RECORD_TOKEN_RESET,
	RECORD_TOKEN_EMAIL_CHANGE,
	RECORD_TOKENS
};

enum record_find_result {
	RECORD_FOUND,
	RECORD_NO_COLLECTION, /* or it is not one of type auth */
	RECORD_NO_RECORD,
	RECORD_UNAVAILABLE /* busy or at fault: 503; see err */
};

/* An auth record, by id, or (id empty) by identity: what it holds in one of the fields that its
 * collection names for that, or in identity_field alone. A find by id runs on the loop itself when
 * it can, so that verifying a token costs no thread hop. */
struct record_find_auth {
	struct record_book *book;
	struct loop *loop;
	struct bytes collection; /* name or id */
	struct bytes identity, id;
	bool is_address; /* identity is an e-mail address, whatever people sign in with */
	/* "": any of the collection's; one that is none finds nobody. */
	struct bytes identity_field;
	void (*done)(struct record_find_auth *find);
	void *context;

	enum record_find_result result;
	bool is_verified, is_superuser; /* is_superuser: the collection is _superusers */
	char record_id[ID_RECORD_BYTES + 1];
	char collection_id[32], collection_name[64];
	char email[256];
	char password_hash[128]; /* "" when none is set */
	/* Secret; changes with password and address: a token signed over it dies. */
	char token_key[64];
	int64_t lifetime_s[RECORD_TOKENS];
	struct err err;

	/* the module's own */
	struct store_job job;
	struct record_schema *schema;
	const struct record_collection *found;
};
/* done is called once, maybe before this returns. */
void record_find_auth(struct record_find_auth *find);

/* ---- events: what was committed ---- */
enum record_action { RECORD_CREATE, RECORD_UPDATE, RECORD_DELETE };

/* One row that a write made, changed or removed; also those that a delete took with it, and those
 * out of which it took a relation. */
struct record_event {
	enum record_action action;
	/* id is empty when many rows went at once, of this collection and of those that pointed
	 * at it, and none is told by itself. */
	struct bytes collection_id, collection_name, id;
	/* JSON objects with all members that a superuser sees, hidden ones too. record is as it is
	 * now, empty for a delete; old is as it was, empty for a create. Both are empty when only
	 * ids were wanted; from RECORD_EVENT_BYTES_MAX of a write on they are left out. */
	struct bytes record, old;
	/* Of a delete, when the list or the view rule looks at other rows: the database as it was.
	 * NULL: it could not be held. Borrowed; may be kept by reference (store_hold.h). */
	struct store_hold *before;
};

#define RECORD_EVENT_BYTES_MAX (16u << 20)

enum record_wanted { RECORD_WANT_NOTHING, RECORD_WANT_IDS, RECORD_WANT_RECORDS };

/* Both on the writer's thread of the tenant, which waits: look up, copy, post, return. */
struct record_events {
	void *context;
	/* What is wanted of writes to this collection; asked inside the write. */
	enum record_wanted (*wants)(void *context, struct bytes tenant, struct bytes collection_id);
	/* After the COMMIT, in the order of commits, once for each write that did anything wanted;
	 * of a batch once for each of its requests. All is borrowed. */
	void (*committed)(void *context, struct bytes tenant, const struct record_event *events,
		size_t n_events);
};

/* ---- hooks: the way up to plugins ---- */
/* What a hook answers to a client instead of the write. */
struct record_refusal {
	int status;           /* 400 to 499; 503: nobody could be asked; else 400 */
	struct bytes message; /* for people; borrowed until the call it is given to has returned */
	struct bytes field;   /* the field it is about, or "" */
	struct bytes code;    /* "" gives "validation_hook_refused" */
};

struct record_hook_call {
	/* what is about to happen */
	struct record_book *book;
	struct loop *loop;
	enum record_action action;
	struct bytes collection; /* its name */
	struct bytes record;     /* JSON: as it would be stored; for a delete as it is */
	struct bytes old;        /* of an update: as it is */
	struct record_viewer viewer;
	unsigned depth; /* for the calls that the hook makes: theirs is depth + 1 */
	uint8_t trace_id[ID_TRACE_BYTES];
	uint64_t deadline_ns;
	/* On loop, maybe before the start returns. */
	void (*done)(struct record_hook_call *call);

	/* what the hook says */
	bool is_refused;
	struct record_refusal refusal;
	/* Checks and writes that the write's own savepoint shall hold, or NULL. Opaque; given to
	 * run_attached, maybe twice, and at last to release_attached. */
	void *attached;
};

enum record_attached_result {
	RECORD_ATTACHED_PASSED,
	RECORD_ATTACHED_REFUSED, /* *ret says why: the write is taken back */
	RECORD_ATTACHED_FAULT    /* *ret_outcome is what the store said */
};

struct record_hooks {
	void *context;
	/* Whether anybody wants to be asked: a write without hooks takes the short way. */
	bool (*has_before)(void *context, struct loop *loop, struct bytes tenant,
		struct bytes collection, enum record_action action);
	/* Asks before the write, outside the writer. call lives until its done has been called. */
	void (*before)(void *context, struct record_hook_call *call);
	/* On the writer's thread, inside the write's savepoint, after the write itself. The grant
	 * under which it ran is taken away by the caller. */
	enum record_attached_result (*run_attached)(void *context, void *attached,
		struct store_conn *conn, struct record_refusal *ret,
		enum store_outcome *ret_outcome);
	/* Once for each attached, on the call's loop, after the write. */
	void (*release_attached)(void *context, void *attached);
};

DEFER_DEFINE(struct record_book *, record_book_free)

#endif
