/*
 * api.h - the REST API: what a request means, who may, and what is written down about it
 *
 * The api is the handler behind the listener. Every request takes the same way:
 *
 *   path -> tenant -> route -> admit -> authenticate -> authorise -> the route's function
 *        -> audit record -> answer
 *
 * The audit record of a request is in the journal before its answer is queued; when it cannot be
 * written, the answer is 503 and nothing else is told. Paths below /t/{tenant}/, or without that
 * prefix for the tenant named "default", are the tenant's; /platform, /_/, /metrics, /healthz and
 * /readyz are the server's.
 *
 * Threads: api_new, api_start and api_free on the main thread; all else on the loops.
 * Memory:  what the config names outlives the api.
 */
#ifndef API_API_H
#define API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit.h"
#include "auth.h"
#include "auth_operator.h"
#include "bytes.h"
#include "defer.h"
#include "deploy.h"
#include "err.h"
#include "http.h"
#include "http_forward.h"
#include "live.h"
#include "loop.h"
#include "mail.h"
#include "pool.h"
#include "tenant.h"

struct api;

/* How events reach a client of /api/realtime. */
extern const struct live_sink realtime_sink;

struct api_config {
	struct loop *const *loops; /* loop i appends to the journal's lane i */
	unsigned n_loops;
	struct tenant_catalogue *tenants; /* what hangs on a tenant is its struct api_house */
	struct auth *auth;
	struct mail *mail;
	struct auth_operators *operators;
	struct pool *pool;     /* NULL: this server runs no plugins */
	struct deploy *deploy; /* NULL with it */
	struct live *live;     /* whose sink is realtime_sink */
	struct audit *audit;
	const char *version;
	struct http_forward forward; /* whose word about a client's address is believed */
	/* 64 hexadecimal digits: who can read it in the data folder is the operator. */
	const char *local_token;
	const char *audit_folder; /* for queries */
	struct executor *executor;
};

int api_new(const struct api_config *config, struct api **ret, struct err *err);
/* After the loops have ended. Takes NULL. */
void api_free(struct api *api);
/* Starts the ticks on every loop, before the loops run. */
void api_start(struct api *api);
/* For http_open. */
struct http_handler api_handler(struct api *api);
/* What is said about the sandbox once its self-test has run; any thread, once. */
void api_set_sandbox(struct api *api, const struct deploy_self_test *self_test);

DEFER_DEFINE(struct api *, api_free)

#endif
