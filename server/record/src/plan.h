/*
 * plan.h - the changes of one request: run in one transaction, all of them or none
 *
 *   collections go  those that are to be dropped
 *   names move      tables, then columns; the database's own views are kept right by the database
 *   views go        what they say now is read back first
 *   the rest        tables made, columns added and converted, indexes made
 *   views return    each checked again, its columns read as fields
 *   rules follow    those that name something by its old name are written anew
 *   the new snapshot is read, and the rules of what changed are tried on it
 *
 * A dry run is the same, told and taken back.
 */
#ifndef RECORD_PLAN_H
#define RECORD_PLAN_H

#include "change.h"

#define PLAN_ARENA_BYTES (32u << 20)

/* A column whose field changed its type, or from one choice to many and back. */
struct conversion {
	const struct change *change;
	const struct record_field *was, *field;
	int64_t n_rows, n_lost; /* with a value; of them those that lose (part of) it */
	struct bytes sample_id; /* the first of the latter, and its value as JSON */
	struct bytes sample_value;
	struct conversion *next;
};

/* What a collection held before, for the report of a dry run. */
struct measure {
	int64_t n_rows;
	int64_t *n_values; /* for each of its fields: rows in which it is not empty */
};

/* A rule that names something by its old name, and how it reads now. */
struct rewrite {
	const struct record_collection *collection;
	int rule;
	struct bytes text;
	struct rewrite *next;
};

/* A view that the plan did not ask to change. */
struct view_state {
	const struct record_collection *old;
	struct bytes query;    /* as it reads now */
	bool is_standing;      /* among the database's views */
	struct change *change; /* when its text or its fields are others now; else NULL */
};

struct plan {
	struct arena *arena;
	struct change **changes;
	size_t n_changes;
	bool is_import, is_dry, is_lossy;
	bool is_told; /* of a dry run: the answer holds its report */

	/* while it runs */
	struct conversion *conversions, **conversions_end;
	struct rewrite *rewrites;
	struct measure *measures; /* one for each change, of a dry run */
	struct view_state *views;
	size_t n_views;
	struct change *flawed;        /* whose flaws are the answer */
	struct record_schema *schema; /* as it was before the views returned; their fields borrow */
};

struct plan *plan_of(const struct record_work *work);

/* ---- plan.c: on the writer ---- */
enum store_outcome plan_run(struct record_work *work, struct store_conn *conn);
/* Notes a flaw of change and ends the plan. Returns STORE_REFUSED. */
enum store_outcome plan_refuse(struct plan *plan, struct change *change);

/* ---- convert.c ---- */
/* Makes the values of columns whose field changed its type. Refuses, with a flaw, when some would
 * be lost and the plan is neither lossy nor dry. */
enum store_outcome plan_convert(
	struct record_work *work, struct store_conn *conn, struct change *change);

/* ---- rename.c ---- */
/* What text, a rule of collection, reads like when everything the plan renames has its new name.
 * The text itself when it names none of it; {NULL, 0} when the arena is full. */
struct bytes rename_rule(const struct record_schema *schema, const struct plan *plan,
	const struct record_collection *collection, struct bytes text, struct arena *arena);

/* ---- rewrite.c ---- */
/* What a change keeps of its collection's own rules, of fields and of signing in, uses the new
 * names. Before it is stored. False when the arena is full. */
bool plan_follow_names(struct record_work *work, struct change *change);
/* After all is stored: so do the rules of all collections, but those that the request brings. */
enum store_outcome plan_rewrite_rules(struct record_work *work, struct store_conn *conn);

/* ---- views.c ---- */
/* Before anything is renamed: takes away the views that cannot or need not be kept. */
enum store_outcome plan_views_prepare(struct record_work *work, struct store_conn *conn);
/* After it: reads what the others say now, and takes them away too. */
enum store_outcome plan_views_take(struct record_work *work, struct store_conn *conn);
/* At the end: makes all again, with their fields. */
enum store_outcome plan_views_return(struct record_work *work, struct store_conn *conn);

/* ---- report.c ---- */
/* Before anything is done: how much there is. */
enum store_outcome plan_measure(struct record_work *work, struct store_conn *conn);
/* What the plan did, as the answer of a dry run. */
void plan_report(struct record_work *work);

#endif
