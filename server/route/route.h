/*
 * route.h - the route table: method and path in, the row that serves them out
 *
 * Rows are constant data: pattern, methods, who may call, how large a body may be, what the audit
 * trail calls it, and the function that runs it. A table is built once from them, as a tree of path
 * segments, and never changes; matching walks it without allocating.
 *
 *   /api/collections/{collection}/records/{id}     {name} takes one segment
 *   /_/{rest*}                                     {name*} takes all that follows, also nothing
 *
 * Literal segments win over parameters. Segments are compared as they came: nothing is decoded
 * before the match, and an id or name in a path that needs decoding matches no row's literal.
 *
 * Threads: a table is immutable after route_table_new. Memory: rows are borrowed for its life.
 */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "http.h"

#define ROUTE_PARAMS_MAX 4

enum route_access {
	ROUTE_PUBLIC,    /* anyone; rules may still say no */
	ROUTE_USER,      /* any signed-in user or superuser of the tenant */
	ROUTE_SUPERUSER, /* the tenant's superusers */
	ROUTE_OPERATOR   /* who runs the server */
};

#define ROUTE_GET    (1u << HTTP_GET)
#define ROUTE_POST   (1u << HTTP_POST)
#define ROUTE_PUT    (1u << HTTP_PUT)
#define ROUTE_PATCH  (1u << HTTP_PATCH)
#define ROUTE_DELETE (1u << HTTP_DELETE)
#define ROUTE_ANY    0xffffffffu

struct route {
	uint32_t methods; /* GET takes HEAD as well */
	const char *pattern;
	enum route_access access;
	uint32_t body_limit;        /* bytes */
	const char *action;         /* "record.create" */
	void (*run)(void *request); /* the api's own request */
};

struct route_match {
	const struct route *route;
	struct bytes params[ROUTE_PARAMS_MAX]; /* in the order of the pattern, undecoded */
};

enum route_result {
	ROUTE_FOUND,
	ROUTE_NO_PATH,  /* 404 */
	ROUTE_NO_METHOD /* 405; ret->route is one of the rows of that path */
};

struct route_table;

/* Returns 0 and a table to free, or -1 (ERR_NOMEM; ERR_INVALID for a pattern that is none, or two
 * rows that take the same). */
int route_table_new(
	const struct route *routes, size_t n_routes, struct route_table **ret, struct err *err);
/* Takes NULL. */
void route_table_free(struct route_table *table);

/* path starts with '/', without the query. */
enum route_result route_find(const struct route_table *table, enum http_method method,
	struct bytes path, struct route_match *ret);

/* Appends the methods that a path takes, "GET, POST", for an Allow header. */
void route_allow(const struct route_table *table, struct bytes path, struct bytes_buf *out);

DEFER_DEFINE(struct route_table *, route_table_free)

#endif
