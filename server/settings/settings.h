/*
 * settings.h - what a tenant's superusers set for their app: its name, mail, batches, limits, logs
 *
 * Settings lie in the tenant's database, one JSON object for each group, in the shape in which the
 * API shows them; a table of rows says of each its type, bounds and default. The password of the
 * mail server is sealed there, and never shown. In memory they are an immutable snapshot that is
 * swapped after the commit of a change.
 *
 * Threads: settings_ref from any; a change is started on its loop and answered there.
 * Memory:  a snapshot lives until its last reference goes; a change is its caller's until done.
 */
#ifndef SETTINGS_SETTINGS_H
#define SETTINGS_SETTINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "loop.h"
#include "store.h"
#include "text_json_writer.h"
#include "vault.h"

#define SETTINGS_RULES_MAX 64

enum settings_audience { SETTINGS_ANYONE, SETTINGS_GUESTS, SETTINGS_SIGNED_IN };

/* At most max_requests in duration_s of what label names: "*:auth", "posts:create", "/api/batch",
 * "POST /api/". */
struct settings_limit {
	struct bytes label;
	int64_t max_requests, duration_s;
	enum settings_audience audience;
};

/* Text is never NULL. */
struct settings {
	struct {
		struct bytes app_name, app_url, sender_name, sender_address;
		bool hide_controls;
	} meta;
	struct {
		bool enabled, tls;
		int64_t port;
		struct bytes host, username, password, auth_method, local_name;
	} smtp;
	struct {
		bool enabled;
		int64_t max_requests, timeout_s, max_body_bytes; /* 0 bytes: the route's own */
	} batch;
	struct {
		bool enabled;
		struct settings_limit *rules;
		size_t n_rules;
	} limits;
	struct {
		int64_t max_days, min_level;
		bool log_ip, log_auth_id;
	} logs;

	/* the module's own */
	atomic_uint n_refs;
	struct arena *arena;
};

struct settings_book;

/* ---- opening: inside the store's on_open, once its migrations are applied ---- */
struct settings_config {
	const struct vault *vault; /* outlives the book */
	struct bytes tenant;       /* its name; sealed secrets are bound to it; copied */
};

/* Returns 0 and a book to free, or -1. */
int settings_book_open(struct store_conn *conn, const struct settings_config *config,
	struct settings_book **ret, struct err *err);
/* Before its first change: where changes are written. */
void settings_book_attach(struct settings_book *book, struct store *store,
	void (*on_change)(void *context, const struct settings *settings), void *context);
/* After its changes have ended. Takes NULL. */
void settings_book_free(struct settings_book *book);

/* The current snapshot, referenced. */
struct settings *settings_ref(struct settings_book *book);
void settings_unref(struct settings *settings);

/* As the API shows them: no secret among them. */
void settings_write(struct text_json_writer *json, const struct settings *settings);

/* ---- changing ---- */
enum settings_outcome {
	SETTINGS_OK,
	SETTINGS_INVALID, /* problems is the error body's data */
	SETTINGS_BUSY,
	SETTINGS_FAULT
};

struct settings_change {
	struct settings_book *book;
	struct loop *loop;
	struct bytes body; /* checked JSON, an object; what it does not name stays as it is */
	void (*done)(struct settings_change *change); /* on loop */
	void *context;

	enum settings_outcome outcome;
	struct bytes_buf answer; /* the settings, or the problems; freed by the caller */
	struct err err;

	/* the module's own */
	struct store_job job;
	struct loop_message message;
	struct settings *next;
};

void settings_change(struct settings_change *change);

DEFER_DEFINE(struct settings_book *, settings_book_free)
DEFER_DEFINE(struct settings *, settings_unref)

#endif
