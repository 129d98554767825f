/*
 * plan.h - a condition whose names have been looked up: what both back ends work on
 *
 *   tree --resolve--> terms over sources --place--> plan --emit--> SQL
 *                                                    \--evaluate--> a verdict
 *
 * A term is a value: a column, a parameter, something made of one. A source is where rows or items
 * come from on the way to it: friends.name has the source "items of friends" and, hanging from it,
 * the source "the row whose id that is". Paths that begin alike share sources.
 *
 * A source that may give several rows makes what hangs from it many-valued. Then a comparison
 * means, as users of PocketBase know it:
 *
 *   ?op   some row meets it; and conditions joined by && that share a source speak of one row
 *   op    some row meets it as above, and no row of a second, independent walk fails it
 *
 * A source without rows counts as one row of nulls, as with LEFT JOIN. Where "some row" is decided
 * is a node of its own (PLAN_SOME), placed as deep in the tree as sharing allows.
 */
#ifndef EXPR_PLAN_H
#define EXPR_PLAN_H

#include "tree.h"

#define SOURCES_MAX 256 /* of one condition */
#define ARGS_MAX    10  /* of a function */
/* Of a column that serves as a pattern. SQLite refuses patterns of more than 50,000 bytes, and a
 * character has at most four. */
#define PATTERN_CHARACTERS 12000

/* ---- sources ---- */
enum source_kind {
	SOURCE_ITEMS,      /* of a list, or of the JSON value at name: field of parent */
	SOURCE_ROW,        /* the row whose id is the field of parent, or the item of parent */
	SOURCE_BACK,       /* the rows whose field points at parent */
	SOURCE_COLLECTION, /* all rows of scope */
	SOURCE_BODY_ITEMS, /* of a list that was sent */
	SOURCE_BODY_ROWS,  /* the rows whose ids were sent */
	SOURCE_AUTH        /* the signed-in record, when it is in scope */
};

struct source {
	enum source_kind kind;
	bool is_multi;
	unsigned index;
	struct source *parent, *next; /* parent NULL: the row that the condition is about */
	const void *scope;            /* of its rows */
	struct bytes table;           /* of its rows, as SQL */
	struct expr_field field;
	const struct plan *field_guard, *row_guard;
	struct bytes name; /* alias of a collection, JSON path, pointer into the body, auth id */
	unsigned alias;    /* while SQL is made: its number; 0: not in sight */
};

/* Sources that a condition needs to be bound, with those they hang from. */
struct source_set {
	uint64_t words[SOURCES_MAX / 64];
};

/* ---- terms ---- */
enum term_kind {
	TERM_NULL,
	TERM_CONSTANT, /* number: 0 or 1 */
	TERM_PARAM,
	TERM_COLUMN,   /* field of source */
	TERM_ITEM,     /* the item that source stands on */
	TERM_JSON,     /* what stands in the column at the path name */
	TERM_LENGTH,   /* of the list in the column, or at the path name in it */
	TERM_LOWER,    /* of args[0] */
	TERM_BARE,     /* args[0], a column, without its affinity */
	TERM_CHANGED,  /* the field was sent, and differs from what the row holds */
	TERM_AUTH,     /* args[i] when the signed-in record is in the collection names[i] */
	TERM_DISTANCE, /* geoDistance */
	TERM_STRFTIME
};

/* As SQLite's: BLOB is that of a column without a type, NONE that of what is no column. */
enum affinity { AFFINITY_NONE, AFFINITY_BLOB, AFFINITY_TEXT, AFFINITY_NUMERIC };

struct term {
	enum term_kind kind;
	struct source *source;
	struct expr_field field;
	const struct plan *guard; /* of the field */
	struct bytes name;        /* JSON path as SQLite has it; "$" is the whole */
	struct expr_param param;
	int number;
	const struct term *args[ARGS_MAX];
	const struct bytes *names; /* of AUTH */
	size_t n_args;

	/* what a comparison must know */
	enum affinity affinity;
	bool is_nullable;
	bool is_strict;  /* compared as it is: null is not "" */
	bool is_empty;   /* "" or null for sure */
	bool is_known;   /* neither "" nor null for sure */
	bool is_request; /* one or the other, and the request says which */
};

/* How two terms are compared by = and !=. Shared by the back ends. */
enum equality {
	EQUALITY_AS_IS,   /* IS, IS NOT */
	EQUALITY_CERTAIN, /* both are empty */
	EQUALITY_DIRECT,  /* = , IS NOT: one is known not to be empty */
	EQUALITY_EMPTY,   /* one is empty: the other as well? */
	EQUALITY_REQUEST, /* one comes with the request: EMPTY or DIRECT, by what it is */
	EQUALITY_FOLDED   /* null becomes "" on both sides */
};
enum equality equality_of(const struct term *a, const struct term *b);

/* ---- the plan ---- */
enum plan_kind { PLAN_COMPARE, PLAN_AND, PLAN_OR, PLAN_SOME };

struct plan_node {
	enum plan_kind kind;
	struct plan_node *first,
		*next;             /* children of AND, OR, SOME; the next child of the parent */
	struct source_set sources; /* SOME: what it binds. COMPARE: what it needs */
	/* of COMPARE */
	enum compare_op op;
	bool is_every; /* no row may fail it */
	bool is_some;  /* some row must meet it: not set when is_every says as much */
	struct source_set a_sources, b_sources;
	const struct term *a, *b;
	const struct term *every_a,
		*every_b; /* the same, as they are compared when no row may fail */
};

struct plan {
	struct plan_node *root; /* NULL: never met */
	struct source *sources; /* in order: each after the one it hangs from */
	unsigned n_sources;
};

struct resolver {
	const struct expr_schema *schema;
	const void *scope;
	struct arena *arena;
	struct expr_error *error;
	struct plan *plan;
	struct source *last;
	unsigned n_guards;         /* that this one is within */
	struct guard_plan *guards; /* made so far */
};

/* ---- resolve.c, path.c, request.c, function.c ---- */
enum expr_result resolve_operand(
	struct resolver *resolver, const struct operand *operand, const struct term **ret);

#define SEGMENTS_MAX (EXPR_PATH_MAX + 4)

/* The parts of a name: dotted segments and, behind the last, a modifier after ':'. */
struct path {
	struct bytes segments[SEGMENTS_MAX];
	size_t n;
	struct bytes modifier;
	size_t offset;
};

/* From segment first on, starting on a row of source (NULL: the row itself) in scope. */
enum expr_result path_walk(struct resolver *resolver, const struct path *path, size_t first,
	struct source *source, const void *scope, const struct term **ret);
enum expr_result path_unknown(
	struct resolver *resolver, const struct path *path, struct bytes name);
/* @request.* */
enum expr_result request_resolve(
	struct resolver *resolver, const struct path *path, const struct term **ret);
enum expr_result function_resolve(
	struct resolver *resolver, const struct operand *operand, const struct term **ret);
/* @now and so on. */
bool macro_is_known(struct bytes name);

/* The source that is like this one, made when there is none yet. */
enum expr_result source_add(
	struct resolver *resolver, const struct source *like, struct source **ret);
enum expr_result term_new(struct resolver *resolver, struct term like, const struct term **ret);
/* A parameter, or one in lower case, is bound as a pattern; all else becomes one in SQL. */
bool term_is_bound_pattern(const struct term *term);
enum expr_result term_lower(
	struct resolver *resolver, const struct term *term, const struct term **ret);
/* A copy that lives as long as the plan: the text may not. */
bool resolver_keep(struct resolver *resolver, struct bytes text, struct bytes *ret);

/* ---- plan.c ---- */
/* Makes the plan of a tree. */
enum expr_result plan_make(
	struct resolver *resolver, const struct expr_node *node, const struct plan **ret);
/* The plan of a guard of rows of scope; one that does not resolve is never met. */
enum expr_result plan_guard(struct resolver *resolver, const struct expr_guard *guard,
	const void *scope, const struct plan **ret);

static inline bool set_has(const struct source_set *set, unsigned index)
{
	return set->words[index / 64] >> (index % 64) & 1;
}

bool set_is_empty(const struct source_set *set);

/* ---- values, for the binder and the evaluator (value.c, macro.c, compare.c) ---- */
/* What a parameter is in this request. False when the arena is full. */
bool param_value(const struct expr_param *param, const struct expr_environment *environment,
	struct expr_value *ret);
/* A JSON value as json_extract gives it. False when the arena is full. */
bool value_of_json(struct bytes json, struct arena *arena, struct expr_value *ret);
/* A value that is not null as SQLite writes it. False when the arena is full. */
bool value_text(const struct expr_value *value, struct arena *arena, struct bytes *ret);
/* The same for the sides of a LIKE, where a whole number has no ".0". */
bool value_shown(const struct expr_value *value, struct arena *arena, struct bytes *ret);
/* False when it is no macro, or the arena is full. */
bool macro_value(struct bytes name, int64_t now_us, struct arena *arena, struct expr_value *ret);
/* The number that a text is, or begins and ends with white space around. */
bool value_number(const struct expr_value *value, struct expr_value *ret);

enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_NULL, TRUTH_UNKNOWN /* the arena is full */ };

/* What SQLite says of the SQL that term.c and compile.c make of a op b. For LIKE b is a pattern. */
enum truth value_compare(enum compare_op op, const struct term *a, const struct term *b,
	struct expr_value a_value, struct expr_value b_value, struct arena *arena);

#endif
