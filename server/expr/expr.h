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
struct plan;
struct expr_row;

/* An empty text (or one of comments alone) gives a NULL tree: no condition. */
enum expr_result expr_parse(struct bytes text, struct arena *arena, const struct expr_node **ret,
	struct expr_error *error);

/* ---- what names mean ---- */
enum expr_type { EXPR_TEXT, EXPR_NUMBER, EXPR_BOOL, EXPR_JSON };

struct expr_schema;

/* A condition on the very row that it guards, asked with the same request; its names mean what its
 * own schema says, as those of a rule do. */
struct expr_guard {
	const struct expr_node *tree; /* NULL: never met */
	const struct expr_schema *schema;
};

struct expr_field {
	struct bytes column; /* as SQL, quoted, without a table */
	enum expr_type type;
	bool is_nullable;
	bool is_list;   /* the column holds a JSON array of values */
	bool is_choice; /* one value of a field that could have several: :each and :length fit */
	const void *target; /* the scope that a relation points at, by its column id; NULL: none */
	/* NULL: none. Where its condition is not met the field reads as null: in comparisons, sort
	 * keys, and as a step of a path in either direction. */
	const struct expr_guard *guard;
	bool is_denied;     /* and where it is not met, no comparison with the field holds */
	const void *handle; /* the schema's own, for expr_row.find_value */
};

/* Where "comments_via_post" leads. */
struct expr_back {
	const void *scope;       /* of comments */
	struct expr_field field; /* post */
	bool is_unique;          /* a unique index on post alone: at most one row */
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
	/* The rows of collection whose field points at a row of scope. False when there is no such
	 * field or it points elsewhere. */
	bool (*find_back)(const struct expr_schema *schema, const void *scope,
		struct bytes collection, struct bytes field, struct expr_back *ret);
	/* By name or id, for @collection.name; NULL when there is none. */
	const void *(*find_scope)(const struct expr_schema *schema, struct bytes name);
	/* The condition under which a row of scope that a path leads to may be read; NULL: always.
	 * A row that may not be read is passed over as if it were not there. Neither the row that a
	 * condition begins with nor the signed-in record is asked about. May be NULL itself. */
	const struct expr_guard *(*row_guard)(const struct expr_schema *schema, const void *scope);
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
	EXPR_BODY,      /* name is a JSON pointer */
	EXPR_BODY_LIST, /* a JSON array of what is there: its items, the one value, or nothing */
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
	bool is_number;    /* of EXPR_BODY: a text that is a number is meant as one */
};

struct expr_sql {
	struct bytes sql;                /* a condition: "1" when there was no tree */
	const struct expr_param *params; /* the i-th is bound to ?(first_param + i) */
	size_t n_params;
	unsigned first_param;
	bool has_subquery;       /* looks at more than the row itself */
	const struct plan *plan; /* for expr_evaluate; NULL when there was no tree */
};

/* alias is the table's name in the surrounding SQL, in which the condition will stand. */
enum expr_result expr_compile(const struct expr_node *node, const struct expr_schema *schema,
	const void *scope, struct bytes alias, unsigned first_param, struct arena *arena,
	struct expr_sql *ret, struct expr_error *error);

/* The value that a path names, as SQL for a sort key: no lists, no request values. Guards may bring
 * parameters, which are bound as a condition's. */
enum expr_result expr_compile_path(struct bytes path, const struct expr_schema *schema,
	const void *scope, struct bytes alias, unsigned first_param, struct arena *arena,
	struct expr_sql *ret, struct expr_error *error);

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
	/* For expr_evaluate: the signed-in record, when it is at hand; else NULL. */
	const struct expr_row *auth_row;
};

/* Binds all parameters of sql to stmt. False when the arena is full. */
bool expr_bind(const struct expr_sql *sql, const struct expr_environment *environment,
	struct store_stmt *stmt);

/* ---- without a database ---- */
enum expr_value_type { EXPR_VALUE_NULL, EXPR_VALUE_INTEGER, EXPR_VALUE_REAL, EXPR_VALUE_TEXT };

struct expr_value {
	enum expr_value_type type;
	int64_t integer;
	double real;
	struct bytes text;
};

/* A record at hand. */
struct expr_row {
	/* What the field's column holds, or would hold: a number of a NUMBER field is REAL, of a
	 * BOOL field INTEGER, lists and JSON are TEXT. Text is borrowed until the verdict. False
	 * when it is not at hand: then the verdict is EXPR_NEEDS_SQL. */
	bool (*find_value)(
		const struct expr_row *row, const struct expr_field *field, struct expr_value *ret);
	const void *context;
};

enum expr_verdict {
	EXPR_FALSE,
	EXPR_TRUE,
	EXPR_NEEDS_SQL /* other tables, strftime, or an arena that is full: ask the database */
};

/* The verdict that the database would give of a compiled condition on this row. Takes from
 * environment->arena. */
enum expr_verdict expr_evaluate(const struct expr_sql *sql,
	const struct expr_environment *environment, const struct expr_row *row);

#endif
