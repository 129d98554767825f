/*
 * aggregate.c - figures of groups: ?aggregate[sum]=total&aggregate[count]=*&groupBy=customer
 *
 *   {"page":1,"perPage":30,"totalItems":2,"totalPages":1,
 *    "items":[{"customer":"c1","count":3,"sum":{"total":12.5}}, ...]}
 *
 * One SELECT with GROUP BY over the rows that the list rule and the filter leave. Fields are named
 * as in a filter, so what the viewer may not read is unknown or reads as null, and null is in no
 * figure.
 */
#include <stdio.h>
#include <string.h>

#include "list.h"

#define GROUPS_MAX  3
#define FIGURES_MAX 16

enum figure { FIGURE_COUNT, FIGURE_SUM, FIGURE_AVG, FIGURE_MIN, FIGURE_MAX, FIGURES };

static const struct {
	const char *name, *parameter, *function;
	bool is_of_numbers;
} figures[FIGURES] = {
	[FIGURE_COUNT] = { "count", "aggregate[count]", "count", false },
	[FIGURE_SUM] = { "sum", "aggregate[sum]", "total", true },
	[FIGURE_AVG] = { "avg", "aggregate[avg]", "avg", true },
	[FIGURE_MIN] = { "min", "aggregate[min]", "min", false },
	[FIGURE_MAX] = { "max", "aggregate[max]", "max", false },
};

/* A column of the SELECT. */
struct column {
	struct bytes name; /* the path as it was asked for; "*" */
	const struct record_field *field;
	struct expr_sql sql;
};

struct aggregate {
	struct column groups[GROUPS_MAX];
	struct column values[FIGURES_MAX]; /* in order of figure */
	enum figure figure[FIGURES_MAX];
	size_t n_groups, n_values;
	struct bytes order; /* ORDER BY */
};

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

bool aggregate_is_asked(const struct record_work *work)
{
	struct bytes value;
	if (work_has_query(work, "groupBy", &value))
		return true;
	for (int i = 0; i < FIGURES; i++)
		if (work_has_query(work, figures[i].parameter, &value))
			return true;
	return false;
}

/* ---- what is asked ---- */

static enum list_result invalid(
	struct list_problem *problem, const char *parameter, const char *message)
{
	problem->parameter = parameter;
	problem->code = "validation_invalid_aggregate";
	snprintf(problem->message, sizeof(problem->message), "%s", message);
	return LIST_INVALID;
}

/* The field that a path ends in. expr_compile_path has accepted it. */
static const struct record_field *last_field(
	const struct record_collection *collection, struct bytes path)
{
	const struct record_field *field = NULL;
	while (path.n && collection) {
		const char *dot = memchr(path.p, '.', path.n);
		struct bytes name = { path.p, dot ? (size_t)(dot - path.p) : path.n };
		path = dot ? (struct bytes){ dot + 1, path.n - name.n - 1 }
			   : (struct bytes){ NULL, 0 };
		field = collection_field(collection, name);
		collection = field ? field->target : NULL;
	}
	return path.n ? NULL : field;
}

static enum list_result compile_column(struct list *list, const char *parameter, struct bytes path,
	struct column *ret, struct list_problem *problem)
{
	struct expr_error error;
	*ret = (struct column){ .name = path };
	enum expr_result result =
		list_compile_path(path, &list->names, list->param, &ret->sql, &error);
	if (result == EXPR_NOMEM)
		return LIST_NOMEM;
	if (result == EXPR_INVALID)
		return invalid(problem, parameter, error.message);
	list->param += (unsigned)ret->sql.n_params;
	ret->field = last_field(list->names.collection, path);
	if (!ret->field || ret->field->is_list || ret->field->type == FIELD_JSON ||
		memchr(path.p, ':', path.n))
		return invalid(problem, parameter, "Only fields with one plain value can be used.");
	return LIST_OK;
}

static struct bytes cut(struct bytes *list)
{
	const char *comma = memchr(list->p, ',', list->n);
	struct bytes part = { list->p, comma ? (size_t)(comma - list->p) : list->n };
	*list = comma ? (struct bytes){ comma + 1, list->n - part.n - 1 }
		      : (struct bytes){ NULL, 0 };
	while (part.n && part.p[0] == ' ') {
		part.p++;
		part.n--;
	}
	while (part.n && part.p[part.n - 1] == ' ')
		part.n--;
	return part;
}

static enum list_result take_groups(
	struct list *list, struct aggregate *aggregate, struct list_problem *problem)
{
	struct bytes left = work_query(list->work, "groupBy");
	while (left.n) {
		struct bytes path = cut(&left);
		if (aggregate->n_groups == GROUPS_MAX)
			return invalid(problem, "groupBy", "At most 3 fields can be grouped by.");
		for (size_t i = 0; i < aggregate->n_groups; i++)
			if (bytes_eq(aggregate->groups[i].name, path))
				return invalid(problem, "groupBy", "A field is named twice.");
		for (int i = 0; i < FIGURES; i++)
			if (bytes_eq_string(path, figures[i].name))
				return invalid(problem, "groupBy",
					"A field with the name of a figure cannot be grouped by.");
		enum list_result result = compile_column(
			list, "groupBy", path, &aggregate->groups[aggregate->n_groups++], problem);
		if (result != LIST_OK)
			return result;
	}
	return LIST_OK;
}

static enum list_result take_figure(struct list *list, struct aggregate *aggregate,
	enum figure figure, struct bytes path, struct list_problem *problem)
{
	const char *parameter = figures[figure].parameter;
	struct column *column = &aggregate->values[aggregate->n_values];
	if (aggregate->n_values == FIGURES_MAX)
		return invalid(problem, parameter, "At most 16 figures can be asked for.");
	for (size_t i = 0; i < aggregate->n_values; i++)
		if (aggregate->figure[i] == figure && bytes_eq(aggregate->values[i].name, path))
			return invalid(problem, parameter, "A field is named twice.");
	aggregate->figure[aggregate->n_values++] = figure;
	if (figure == FIGURE_COUNT && bytes_eq_string(path, "*")) {
		*column = (struct column){ .name = path };
		column->sql.sql = BYTES("*");
		return LIST_OK;
	}
	enum list_result result = compile_column(list, parameter, path, column, problem);
	if (result == LIST_OK && figures[figure].is_of_numbers &&
		column->field->type != FIELD_NUMBER)
		return invalid(problem, parameter, "Only numbers can be added up.");
	return result;
}

static enum list_result take_figures(
	struct list *list, struct aggregate *aggregate, struct list_problem *problem)
{
	enum list_result result = LIST_OK;
	for (int i = 0; i < FIGURES; i++) {
		struct bytes left = work_query(list->work, figures[i].parameter);
		while (left.n && result == LIST_OK)
			result = take_figure(list, aggregate, (enum figure)i, cut(&left), problem);
	}
	return result;
}

/* The place of a sort key among the columns, from 1: "customer", "count", "sum.total". 0: none. */
static size_t find_column(const struct aggregate *aggregate, struct bytes key)
{
	for (size_t i = 0; i < aggregate->n_groups; i++)
		if (bytes_eq(aggregate->groups[i].name, key))
			return i + 1;
	for (size_t i = 0; i < aggregate->n_values; i++) {
		struct bytes figure = bytes_of(figures[aggregate->figure[i]].name), rest = key;
		if (!bytes_starts_with(rest, figure))
			continue;
		rest = (struct bytes){ rest.p + figure.n, rest.n - figure.n };
		if (rest.n == 0)
			rest = BYTES(".*");
		if (rest.p[0] == '.' && bytes_eq((struct bytes){ rest.p + 1, rest.n - 1 },
						aggregate->values[i].name))
			return aggregate->n_groups + i + 1;
	}
	return 0;
}

/* Columns by their number; the groups at last, so that the order is total. */
static enum list_result take_order(
	struct list *list, struct aggregate *aggregate, struct list_problem *problem)
{
	struct bytes left = work_query(list->work, "sort");
	DEFER(bytes_buf_fini) struct bytes_buf order;
	unsigned n = 0;
	bytes_buf_init(&order, 4096);
	while (left.n) {
		struct bytes key = cut(&left);
		bool is_descending = key.n && key.p[0] == '-';
		if (key.n && (key.p[0] == '-' || key.p[0] == '+'))
			key = (struct bytes){ key.p + 1, key.n - 1 };
		size_t column = find_column(aggregate, key);
		if (!column || n == RECORD_SORT_KEYS_MAX)
			return invalid(problem, "sort",
				"At most 8 of the groups and figures that are asked for can be "
				"sorted by, as in -sum.total,customer.");
		bytes_buf_appendf(&order, "%s%zu%s", n++ ? "," : " ORDER BY ", column,
			is_descending ? " DESC" : "");
	}
	for (size_t i = 0; i < aggregate->n_groups; i++)
		bytes_buf_appendf(&order, "%s%zu", n++ ? "," : " ORDER BY ", i + 1);
	char *copy = order.failed ? NULL : arena_copy(list->names.arena, bytes_buf_view(&order));
	aggregate->order = (struct bytes){ copy, order.n };
	return copy ? LIST_OK : LIST_NOMEM;
}

/* ---- the statements ---- */

static bool make_sql(struct list *list, const struct aggregate *aggregate)
{
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, 2u << 20);
	bytes_buf_append_string(&sql, "SELECT ");
	for (size_t i = 0; i < aggregate->n_groups; i++) {
		bytes_buf_append(&sql, aggregate->groups[i].sql.sql);
		bytes_buf_append_byte(&sql, ',');
	}
	for (size_t i = 0; i < aggregate->n_values; i++) {
		bytes_buf_appendf(&sql, "%s(", figures[aggregate->figure[i]].function);
		bytes_buf_append(&sql, aggregate->values[i].sql.sql);
		bytes_buf_append_string(&sql, "),");
	}
	bytes_buf_append_string(&sql, "0 ");
	bytes_buf_append(&sql, list->from);
	for (size_t i = 0; i < aggregate->n_groups; i++)
		bytes_buf_appendf(&sql, "%s%zu", i ? "," : " GROUP BY ", i + 1);
	char *copy = sql.failed ? NULL : arena_copy(list->names.arena, bytes_buf_view(&sql));
	struct bytes inner = { copy, sql.n };
	if (!copy)
		return false;
	list->count_sql = arena_printf(
		list->names.arena, "SELECT count(*) FROM (%.*s)", (int)inner.n, inner.p);
	list->sql = arena_printf(list->names.arena, "%.*s%.*s LIMIT ?1 OFFSET ?2", (int)inner.n,
		inner.p, (int)aggregate->order.n, aggregate->order.p);
	return list->count_sql.p && list->sql.p;
}

static bool bind(struct list *list, const struct aggregate *aggregate, struct store_stmt *stmt)
{
	const struct expr_environment *environment = &list->work->environment;
	bool is_bound = list_bind(list, NULL, stmt);
	for (size_t i = 0; i < aggregate->n_groups && is_bound; i++)
		is_bound = expr_bind(&aggregate->groups[i].sql, environment, stmt);
	for (size_t i = 0; i < aggregate->n_values && is_bound; i++)
		is_bound = expr_bind(&aggregate->values[i].sql, environment, stmt);
	return is_bound;
}

/* ---- the answer ---- */

static void write_value(struct text_json_writer *writer, const struct record_field *field,
	struct store_stmt *stmt, int column)
{
	if (store_column_is_null(stmt, column))
		text_json_write_null(writer);
	else if (field->type == FIELD_NUMBER)
		text_json_write_double(writer, store_column_double(stmt, column));
	else if (field->type == FIELD_BOOL)
		text_json_write_bool(writer, store_column_int64(stmt, column) != 0);
	else
		text_json_write_string(writer, store_column_text(stmt, column));
}

static void write_figures(struct text_json_writer *writer, const struct aggregate *aggregate,
	size_t *at, struct store_stmt *stmt)
{
	enum figure figure = aggregate->figure[*at];
	size_t end = *at;
	while (end < aggregate->n_values && aggregate->figure[end] == figure)
		end++;
	text_json_write_key(writer, bytes_of(figures[figure].name));
	/* A count of records alone is a number. */
	if (end == *at + 1 && !aggregate->values[*at].field) {
		int column = (int)(aggregate->n_groups + (*at)++);
		text_json_write_int64(writer, store_column_int64(stmt, column));
		return;
	}
	text_json_begin_object(writer);
	for (; *at < end; (*at)++) {
		const struct column *value = &aggregate->values[*at];
		int column = (int)(aggregate->n_groups + *at);
		text_json_write_key(writer, value->name);
		if (figure == FIGURE_COUNT)
			text_json_write_int64(writer, store_column_int64(stmt, column));
		else
			write_value(writer, value->field, stmt, column);
	}
	text_json_end_object(writer);
}

static void write_item(
	struct text_json_writer *writer, const struct aggregate *aggregate, struct store_stmt *stmt)
{
	text_json_begin_object(writer);
	for (size_t i = 0; i < aggregate->n_groups; i++) {
		text_json_write_key(writer, aggregate->groups[i].name);
		write_value(writer, aggregate->groups[i].field, stmt, (int)i);
	}
	for (size_t at = 0; at < aggregate->n_values;)
		write_figures(writer, aggregate, &at, stmt);
	text_json_end_object(writer);
}

static enum store_outcome prepare(struct list *list, const struct aggregate *aggregate,
	struct store_conn *conn, struct bytes sql, struct store_stmt **ret)
{
	enum store_outcome outcome = collection_prepare(conn, list->names.collection, sql, ret);
	if (outcome == STORE_OK && !bind(list, aggregate, *ret))
		outcome = encode_too_much(&list->encoder);
	return outcome;
}

static enum store_outcome count_groups(
	struct list *list, const struct aggregate *aggregate, struct store_conn *conn, int64_t *ret)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = prepare(list, aggregate, conn, list->count_sql, &stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK)
		*ret = store_column_int64(stmt, 0);
	return outcome;
}

static enum store_outcome run_aggregate(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct list *list = work->list;
	const struct aggregate *aggregate = list->aggregate;
	struct bytes_buf *out = &work->call->answer;
	struct text_json_writer writer;
	struct store_stmt *stmt;
	int64_t total = -1;
	enum store_outcome outcome = STORE_OK;
	if (!list->skip_total)
		outcome = count_groups(list, aggregate, conn, &total);
	if (outcome == STORE_OK)
		outcome = prepare(list, aggregate, conn, list->sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_int64(stmt, 1, list->per_page);
	store_bind_int64(stmt, 2, (list->page - 1) * list->per_page);
	bytes_buf_clear(out);
	bytes_buf_appendf(out,
		"{\"page\":%lld,\"perPage\":%lld,\"totalItems\":%lld,\"totalPages\":%lld,"
		"\"items\":",
		(long long)list->page, (long long)list->per_page, (long long)total,
		total < 0 ? -1LL : (long long)((total + list->per_page - 1) / list->per_page));
	text_json_writer_init(&writer, out);
	text_json_begin_array(&writer);
	for (;;) {
		bool has_row;
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row || out->failed)
			break;
		write_item(&writer, aggregate, stmt);
	}
	text_json_end_array(&writer);
	bytes_buf_append_byte(out, '}');
	return outcome;
}

static void done_aggregate(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK) {
		work_answer(work, 200, "");
		return;
	}
	bytes_buf_clear(&work->call->answer);
	work_answer(work, 400, ENCODE_TOO_MUCH);
}

void aggregate_start(struct list *list)
{
	struct record_work *work = list->work;
	struct list_problem problem = { 0 };
	struct bytes cursor;
	struct aggregate *aggregate = arena_alloc(list->names.arena, sizeof(*aggregate));
	enum list_result result = aggregate ? LIST_OK : LIST_NOMEM;
	list->aggregate = aggregate;
	encoder_init(&list->encoder, work, NULL);
	if (result == LIST_OK && work_has_query(work, "cursor", &cursor))
		result = invalid(&problem, "cursor", "Groups are paged by number.");
	if (result == LIST_OK)
		result = take_groups(list, aggregate, &problem);
	if (result == LIST_OK)
		result = take_figures(list, aggregate, &problem);
	if (result == LIST_OK && !aggregate->n_groups && !aggregate->n_values)
		result = invalid(&problem, "groupBy", "There is nothing to group or to add up.");
	if (result == LIST_OK)
		result = take_order(list, aggregate, &problem);
	if (result == LIST_OK && !make_sql(list, aggregate))
		result = LIST_NOMEM;
	if (!list_answer_result(list, result, &problem))
		return;
	work->job.run = run_aggregate;
	work->job.done = done_aggregate;
	store_read(work->call->book->store, &work->job);
}
