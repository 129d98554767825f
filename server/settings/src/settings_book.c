/*
 * settings_book.c - where settings are kept, and how they change
 *
 * A change runs on the writer: what is kept is read again there, so that two changes at once both
 * take effect, and the snapshot is swapped right after the COMMIT.
 */
#include "internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TENANT_BYTES 64
#define PROBLEMS_MAX 16384

static const char *const groups[] = { "batch", "logs", "meta", "rateLimits", "smtp" };
#define N_GROUPS (sizeof groups / sizeof groups[0])

struct settings_book {
	const struct vault *vault;
	struct store *store;
	void (*on_change)(void *context, const struct settings *settings);
	void *context;
	char seal[TENANT_BYTES + 16]; /* what sealed secrets are bound to */
	pthread_mutex_t lock;         /* of now: held for a load and an increment */
	struct settings *now;
};

/* ---- the database ---- */

/* The password as it is kept is sealed: opens it in place. One that does not open (another key
 * file) is as if there were none. */
static void unseal(const struct settings_book *book, struct settings *settings)
{
	DEFER(bytes_buf_fini) struct bytes_buf plain;
	struct bytes *password = &settings->smtp.password;

	bytes_buf_init(&plain, VAULT_PLAIN_MAX);
	if (password->n == 0)
		return;
	bool is_open = vault_unseal(book->vault, bytes_of(book->seal), *password, &plain);
	char *copy = is_open ? arena_copy(settings->arena, bytes_buf_view(&plain)) : NULL;
	*password = copy ? (struct bytes){ copy, plain.n } : (struct bytes){ "", 0 };
	if (plain.p)
		explicit_bzero(plain.p, plain.n);
}

/* {"meta":{...},"smtp":{...}} of what is kept. */
static enum store_outcome read_groups(struct store_conn *conn, struct bytes_buf *out)
{
	struct text_json_writer json;
	struct store_stmt *stmt;
	bool has_row = true;
	enum store_outcome outcome = store_prepare(
		conn, BYTES("SELECT name, value FROM _settings ORDER BY name"), &stmt);

	text_json_writer_init(&json, out);
	text_json_begin_object(&json);
	while (outcome == STORE_OK) {
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row)
			break;
		text_json_write_key(&json, store_column_text(stmt, 0));
		text_json_write_raw(&json, store_column_text(stmt, 1));
	}
	text_json_end_object(&json);
	return outcome;
}

static int load(const struct settings_book *book, struct store_conn *conn, struct settings **ret,
	struct err *err)
{
	DEFER(bytes_buf_fini) struct bytes_buf kept, ignored;
	DEFER(settings_unref) struct settings *settings = NULL;
	DEFER(json_free) struct json *tree = NULL;
	struct settings_problems problems = { 0 };

	bytes_buf_init(&kept, N_GROUPS * GROUP_MAX);
	bytes_buf_init(&ignored, PROBLEMS_MAX);
	text_json_writer_init(&problems.writer, &ignored);
	text_json_begin_object(&problems.writer);
	if (settings_new(&settings, err) < 0)
		return -1;
	if (read_groups(conn, &kept) != STORE_OK)
		return ERR_SET(err, ERR_STATE, "cannot read settings: %s", store_message(conn));
	if (json_parse(bytes_buf_view(&kept), NULL, &tree, NULL) != TEXT_JSON_VALID)
		return ERR_SET(err, ERR_CORRUPT, "the stored settings are unreadable");
	/* What was checked when it came may be out of today's bounds: it stands. */
	if (settings_take(settings, tree, &problems, err) < 0)
		return -1;
	unseal(book, settings);
	*ret = settings;
	settings = NULL; /* handed over */
	return 0;
}

static enum store_outcome save_group(const struct settings_book *book, struct store_conn *conn,
	const struct settings *settings, const char *group)
{
	DEFER(bytes_buf_fini) struct bytes_buf value, sealed;
	struct text_json_writer json;
	struct store_stmt *stmt;
	bool has_secret = strcmp(group, "smtp") == 0 && settings->smtp.password.n > 0;

	bytes_buf_init(&value, GROUP_MAX);
	bytes_buf_init(&sealed, 2 * VAULT_PLAIN_MAX);
	if (has_secret &&
		!vault_seal(book->vault, bytes_of(book->seal), settings->smtp.password, &sealed))
		return STORE_FAULT;
	text_json_writer_init(&json, &value);
	settings_write_group(&json, settings, group, bytes_buf_view(&sealed));
	enum store_outcome outcome = store_prepare(conn,
		BYTES("INSERT INTO _settings(name, value) VALUES(?1, ?2) "
		      "ON CONFLICT(name) DO UPDATE SET value=excluded.value"),
		&stmt);
	if (outcome != STORE_OK || value.failed)
		return outcome == STORE_OK ? STORE_FAULT : outcome;
	store_bind_text(stmt, 1, bytes_of(group));
	store_bind_text(stmt, 2, bytes_buf_view(&value));
	return store_exec(stmt, NULL);
}

/* ---- the book ---- */

int settings_book_open(struct store_conn *conn, const struct settings_config *config,
	struct settings_book **ret, struct err *err)
{
	DEFER(settings_book_free) struct settings_book *book = calloc(1, sizeof *book);
	char tenant[TENANT_BYTES];

	if (!book)
		return ERR_SET(err, ERR_NOMEM, "no memory for settings");
	(void)pthread_mutex_init(&book->lock, NULL);
	book->vault = config->vault;
	(void)bytes_to_string(config->tenant, tenant, sizeof tenant);
	memcpy(book->seal, tenant, sizeof tenant);
	memcpy(book->seal + strlen(tenant), " smtp.password", sizeof " smtp.password");
	if (load(book, conn, &book->now, err) < 0)
		return -1;
	*ret = book;
	book = NULL; /* handed over */
	return 0;
}

void settings_book_attach(struct settings_book *book, struct store *store,
	void (*on_change)(void *context, const struct settings *settings), void *context)
{
	book->store = store;
	book->on_change = on_change;
	book->context = context;
	if (on_change)
		on_change(context, book->now);
}

void settings_book_free(struct settings_book *book)
{
	if (!book)
		return;
	settings_unref(book->now);
	(void)pthread_mutex_destroy(&book->lock);
	free(book);
}

struct settings *settings_ref(struct settings_book *book)
{
	pthread_mutex_lock(&book->lock);
	struct settings *settings = book->now;
	atomic_fetch_add_explicit(&settings->n_refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&book->lock);
	return settings;
}

/* ---- changing ---- */

static struct settings_change *change_of(struct store_job *job)
{
	return (struct settings_change *)((char *)job - offsetof(struct settings_change, job));
}

static enum store_outcome run_change(struct store_job *job, struct store_conn *conn)
{
	struct settings_change *change = change_of(job);
	DEFER(json_free) struct json *tree = NULL;
	struct settings_problems problems = { 0 };

	settings_unref(change->next); /* of a run before this one */
	change->next = NULL;
	bytes_buf_clear(&change->answer);
	text_json_writer_init(&problems.writer, &change->answer);
	text_json_begin_object(&problems.writer);
	if (load(change->book, conn, &change->next, &job->err) < 0)
		return STORE_FAULT;
	if (json_parse(change->body, NULL, &tree, NULL) != TEXT_JSON_VALID ||
		settings_take(change->next, tree, &problems, &job->err) < 0) {
		(void)ERR_SET(&job->err, ERR_NOMEM, "no memory to read settings");
		return STORE_FAULT;
	}
	text_json_end_object(&problems.writer);
	if (problems.n > 0)
		return STORE_REFUSED;
	enum store_outcome outcome = STORE_OK;
	for (size_t i = 0; i < N_GROUPS && outcome == STORE_OK; i++)
		outcome = save_group(change->book, conn, change->next, groups[i]);
	return outcome;
}

static void deliver(struct loop_message *message)
{
	struct settings_change *change =
		(struct settings_change *)((char *)message -
					   offsetof(struct settings_change, message));

	change->done(change);
}

/* On the writer's thread, right after the COMMIT. */
static void done_change(struct store_job *job)
{
	struct settings_change *change = change_of(job);
	struct settings_book *book = change->book;
	struct text_json_writer json;

	change->outcome = job->outcome == STORE_OK        ? SETTINGS_OK
			  : job->outcome == STORE_REFUSED ? SETTINGS_INVALID
			  : job->outcome == STORE_BUSY    ? SETTINGS_BUSY
							  : SETTINGS_FAULT;
	change->err = job->err;
	if (job->outcome == STORE_OK) {
		bytes_buf_clear(&change->answer);
		text_json_writer_init(&json, &change->answer);
		settings_write(&json, change->next);
		if (book->on_change)
			book->on_change(book->context, change->next);
		pthread_mutex_lock(&book->lock);
		struct settings *old = book->now;
		book->now = change->next;
		pthread_mutex_unlock(&book->lock);
		change->next = old;
	}
	settings_unref(change->next);
	change->next = NULL;
	change->message.deliver = deliver;
	loop_post(change->loop, &change->message);
}

void settings_change(struct settings_change *change)
{
	bytes_buf_init(&change->answer, N_GROUPS * GROUP_MAX);
	change->next = NULL;
	change->err = (struct err){ 0 };
	/* Without a loop done is called on the writer's thread. */
	change->job = (struct store_job){ .run = run_change, .done = done_change };
	store_write(change->book->store, &change->job);
}
