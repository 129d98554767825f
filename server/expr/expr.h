/*
 * expr.h - the language of filters and rules: from text to a tree, from a tree to SQL
 *
 *   status = "paid" && (total > 10 || owner = @request.auth.id)
 *
 * expr_parse makes a tree of the text and knows only the grammar. expr_compile turns it into an SQL
 * condition over one table; which names exist there it asks an expr_schema. No byte of the text
 * ever becomes part of the SQL: names are looked up and replaced by the schema's own, values become
 * numbered parameters. What depends on the request (@request.*, @now) stays open: a compiled
 * condition can be kept and is bound for each request by expr_bind.
 *
 * Comparison is as users of PocketBase know it: "" also equals null, ~ without % means "contains",
 * && binds tighter than ||, an operator with ? in front asks for any of several values.
 *
 * Threads: none inside. Memory: trees and SQL live in the arena that the caller gives.
 */
#ifndef EXPR_EXPR_H
#define EXPR_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "store.h"

#define EXPR_BYTES_MAX       3500 /* of a text */
#define EXPR_COMPARISONS_MAX 200
#define EXPR_DEPTH_MAX       32 /* open parentheses */
#define EXPR_PATH_MAX        7  /* names in a path: 6 relations and a field */

struct expr_error {
	size_t offset;     /* into the text */
	char message[160]; /* fit for the client */
};

enum expr_result {
	EXPR_OK,
	EXPR_INVALID, /* see the error: 400 */
	EXPR_NOMEM    /* the arena is full */
};

struct expr_node;

/* An empty text (or one of comments alone) gives a NULL tree: no condition. */
enum expr_result expr_parse(struct bytes text, struct arena *arena, const struct expr_node **ret,
	struct expr_error *error);

/* ---- what names mean ---- */
enum expr_type { EXPR_TEXT, EXPR_NUMBER, EXPR_BOOL, EXPR_JSON };

struct expr_field {
	struct bytes column; /* as SQL, quoted, without a table */
	enum expr_type type;
	bool is_nullable;
	bool is_list;       /* the column holds a JSON array of values */
	const void *target; /* the scope that a relation points at, by its column id; NULL: none */
	/* When set: a column without whose truth the field reads as "". */
	struct bytes guard;
};

/* A scope is a table: the schema's own pointer, opaque here. */
struct expr_schema {
	/* False when the scope has no such field, or none that may be asked for. */
	bool (*find_field)(const struct expr_schema *schema, const void *scope, struct bytes name,
		struct expr_field *ret);
	/* The table of a scope as SQL, quoted. */
	struct bytes (*table)(const struct expr_schema *schema, const void *scope);
	/* The i-th scope that a signed-in record can be in (@request.auth.*) and its id; NULL when
	 * there are no more. */
	const void *(*auth_scope)(
		const struct expr_schema *schema, size_t i, struct bytes *ret_collection_id);
};

/* ---- SQL ---- */
enum expr_source {
	EXPR_LITERAL, /* text */
	EXPR_LITERAL_NUMBER,
	EXPR_AUTH_ID,
	EXPR_AUTH_COLLECTION_ID,
	EXPR_AUTH_COLLECTION_NAME,
	EXPR_METHOD,
	EXPR_CONTEXT,
	EXPR_BODY, /* name is a JSON pointer */
	EXPR_BODY_ISSET,
	EXPR_BODY_LENGTH,
	EXPR_QUERY, /* name is the key */
	EXPR_QUERY_ISSET,
	EXPR_HEADER, /* name is the header's, in lower case, '-' as '_' */
	EXPR_HEADER_ISSET,
	EXPR_MACRO /* name is "@now" and so on */
};

struct expr_param {
	enum expr_source source;
	struct bytes name; /* or the literal text */
	double number;     /* of EXPR_LITERAL_NUMBER */
	bool is_pattern;   /* bound as a LIKE pattern: wrapped in % unless it has one */
};

struct expr_sql {
	struct bytes sql;                /* a condition: "1" when there was no tree */
	const struct expr_param *params; /* the i-th is bound to ?(first_param + i) */
	size_t n_params;
	unsigned first_param;
	bool has_subquery; /* looks at more than the row itself */
};

/* alias is the table's name in the surrounding SQL, in which the condition will stand. */
enum expr_result expr_compile(const struct expr_node *node, const struct expr_schema *schema,
	const void *scope, struct bytes alias, unsigned first_param, struct arena *arena,
	struct expr_sql *ret, struct expr_error *error);

/* The column that a path names, as SQL for a sort key: no lists, no request values. */
enum expr_result expr_compile_path(struct bytes path, const struct expr_schema *schema,
	const void *scope, struct bytes alias, struct arena *arena, struct bytes *ret,
	struct expr_error *error);

/* ---- what a request fills in ---- */
struct expr_environment {
	struct bytes auth_id, auth_collection_id, auth_collection_name; /* "": nobody signed in */
	struct bytes method, context;
	struct bytes body; /* a checked JSON document, or "" */
	/* A value of the query or the headers. May be NULL: there are none. */
	bool (*find)(const struct expr_environment *environment, enum expr_source source,
		struct bytes name, struct bytes *ret);
	const void *find_context;
	int64_t now_us;      /* one instant for all macros of a request */
	struct arena *arena; /* for bound text; lives until the statement has been stepped */
};

/* Binds all parameters of sql to stmt. False when the arena is full. */
bool expr_bind(const struct expr_sql *sql, const struct expr_environment *environment,
	struct store_stmt *stmt);

#endif
