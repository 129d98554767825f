/*
 * plugin_manifest.h - what a plugin says about itself, checked and turned into tables
 *
 * The manifest is JSON, written beside the plugin's source and embedded into its file. It names
 * every door through which the plugin can be entered (routes, hooks) and every one that it wants to
 * use (statements, upstreams, collections). What is not in it does not exist for the plugin.
 *
 * plugin-api/README.md describes every member.
 *
 * Threads: a parsed manifest never changes, any thread may read it.
 * Memory:  everything lives in the arena that was given to plugin_manifest_parse.
 */
#ifndef PLUGIN_MANIFEST_H
#define PLUGIN_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "err.h"

#define PLUGIN_ABI_MAJOR      1u
#define PLUGIN_ABI_MINOR      0u
#define PLUGIN_ID_MAX         48
#define PLUGIN_VERSION_MAX    32
#define PLUGIN_NAME_MAX       64 /* of a route, hook, statement, upstream, collection, parameter */
#define PLUGIN_ROUTES_MAX     256
#define PLUGIN_HOOKS_MAX      64
#define PLUGIN_STATEMENTS_MAX 128
#define PLUGIN_UPSTREAMS_MAX  16
#define PLUGIN_PARAMS_MAX     64
#define PLUGIN_SEGMENTS_MAX   16
#define PLUGIN_PATHS_MAX      32 /* of an upstream */
#define PLUGIN_GRANTS_MAX     64
#define PLUGIN_INTERFACES_MAX 32
#define PLUGIN_MANIFEST_MAX   (256u << 10)
#define PLUGIN_SQL_MAX        16384
#define PLUGIN_BODY_MAX       (8u << 20)
#define PLUGIN_TIMEOUT_MAX_MS 30000u

enum plugin_concurrency { PLUGIN_SERIAL, PLUGIN_COOPERATIVE };

enum plugin_method {
	PLUGIN_GET,
	PLUGIN_HEAD,
	PLUGIN_POST,
	PLUGIN_PUT,
	PLUGIN_PATCH,
	PLUGIN_DELETE,
	PLUGIN_METHODS
};

/* Who may call a route; the api checks it before the call. */
enum plugin_access {
	PLUGIN_ACCESS_PUBLIC,   /* anyone */
	PLUGIN_ACCESS_USER,     /* any signed-in user of the tenant */
	PLUGIN_ACCESS_SUPERUSER /* the tenant's superusers */
};

struct plugin_route {
	uint32_t id; /* what the plugin dispatches by; above 0 */
	enum plugin_method method;
	struct bytes path; /* "/totals/{id}", starts with '/' */
	/* The path split at '/': a literal, or {NULL, n} for a parameter. */
	struct bytes segments[PLUGIN_SEGMENTS_MAX];
	uint8_t n_segments;
	enum plugin_access access;
	uint32_t body_limit;
	uint32_t timeout_ms;
};

enum plugin_when { PLUGIN_BEFORE };
enum plugin_action { PLUGIN_CREATE, PLUGIN_UPDATE, PLUGIN_REMOVE };

struct plugin_hook {
	uint32_t id; /* as of a route, but numbers of their own */
	struct bytes collection;
	enum plugin_when when;
	enum plugin_action action;
	bool fail_open; /* "onFailure":"open": without an answer the write goes on */
	uint32_t timeout_ms;
};

enum plugin_statement_kind {
	PLUGIN_QUERY, /* rows to the plugin, reads only */
	PLUGIN_EXEC,  /* changes rows at once, in a transaction of its own */
	PLUGIN_CHECK, /* attached to a write: refuses it when it yields no row, or a false one */
	PLUGIN_WRITE  /* attached to a write: refuses it when it changes no row */
};

struct plugin_statement {
	struct bytes name;
	enum plugin_statement_kind kind;
	struct bytes sql;
	const struct bytes *params; /* names, in the order in which the plugin passes values */
	uint16_t n_params;
	uint32_t max_rows;
	uint32_t timeout_ms;
};

struct plugin_upstream {
	struct bytes name;
	bool is_https;
	struct bytes host;
	uint16_t port;
	uint32_t methods;          /* bit set of enum plugin_method */
	const struct bytes *paths; /* exact, or a prefix when it ends in '*' */
	uint16_t n_paths;
};

enum plugin_grant_action {
	PLUGIN_GRANT_READ = 1,
	PLUGIN_GRANT_CREATE = 2,
	PLUGIN_GRANT_UPDATE = 4,
	PLUGIN_GRANT_DELETE = 8
};
#define PLUGIN_GRANT_ANY_WRITE (PLUGIN_GRANT_CREATE | PLUGIN_GRANT_UPDATE | PLUGIN_GRANT_DELETE)

struct plugin_grant {
	struct bytes collection;
	uint32_t actions; /* bit set of enum plugin_grant_action */
};

struct plugin_interface {
	struct bytes id; /* "x.tenon.db/0" */
	uint32_t min_rev;
};

struct plugin_manifest {
	struct bytes id, version;
	enum plugin_concurrency concurrency;
	const struct plugin_interface *interfaces;
	const struct plugin_route *routes;
	const struct plugin_hook *hooks;
	const struct plugin_statement *statements;
	const struct plugin_upstream *upstreams;
	const struct plugin_grant *grants;
	uint16_t n_interfaces, n_routes, n_hooks, n_statements, n_upstreams, n_grants;
	uint32_t memory_mib;  /* of one instance */
	uint32_t n_instances; /* wanted; this server runs one */
	struct bytes json;    /* the document itself */
};

/* Checks json and fills *ret. Returns 0, or -1: ERR_INVALID with a sentence that names the place as
 * a JSON pointer and the fix ("/routes/0/timeoutMs: 90000 is more than 30000: ..."), or ERR_NOMEM.
 */
int plugin_manifest_parse(
	struct bytes json, struct arena *arena, struct plugin_manifest *ret, struct err *err);

/* True when id may name a plugin: a-z, then a-z 0-9 '-', at most PLUGIN_ID_MAX. */
bool plugin_id_is_valid(struct bytes id);

/* The position of what has this name in its table, -1 when there is none. */
int plugin_find_statement(const struct plugin_manifest *manifest, struct bytes name);
int plugin_find_upstream(const struct plugin_manifest *manifest, struct bytes name);

enum plugin_match {
	PLUGIN_MATCH,
	PLUGIN_NO_PATH,  /* 404 */
	PLUGIN_NO_METHOD /* a route has this path, but not this method: 405 */
};

/* Finds the route for a method and an undecoded path below the plugin's mount ("/totals/9"; "" is
 * "/"). HEAD falls back to GET. Literal segments win over parameters. *ret_index is set on
 * PLUGIN_MATCH. */
enum plugin_match plugin_match_route(const struct plugin_manifest *manifest, struct bytes method,
	struct bytes path, unsigned *ret_index);

/* The hook's position for an event, or -1. At most one hook of a plugin takes an event. */
int plugin_find_hook(const struct plugin_manifest *manifest, struct bytes collection,
	enum plugin_when when, enum plugin_action action);

/* True when an upstream takes this request; path is without the query. */
bool plugin_upstream_allows(
	const struct plugin_upstream *upstream, struct bytes method, struct bytes path);

const char *plugin_method_name(enum plugin_method method);
const char *plugin_statement_kind_name(enum plugin_statement_kind kind);

#endif
