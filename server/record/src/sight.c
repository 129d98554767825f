/*
 * sight.c - a record's JSON in the place of its table, under a viewer's rule, filter and encoder
 *
 *   SELECT columns FROM (SELECT CAST(json_extract(?1,'$."title"') AS TEXT) AS "title", ...) t
 *   WHERE (rule) AND (filter)
 *
 * The casts give each column the type and the affinity that it has in the table: comparisons come
 * out as they would there.
 */
#include "record_sight.h"

#include <string.h>

#include "hash.h"
#include "work.h"

static const struct bytes context_name = { "realtime", 8 };

/* A call and its work as the encoder wants them, without a request behind them. */
struct stand_in {
	struct record_call call;
	struct record_work work;
};

static bool find_pair(const struct expr_environment *environment, enum expr_source source,
	struct bytes name, struct bytes *ret)
{
	const struct record_sight *sight = environment->find_context;
	bool is_query = source == EXPR_QUERY || source == EXPR_QUERY_ISSET;
	const struct record_pair *pairs = is_query ? sight->query : sight->headers;
	size_t n = is_query ? sight->n_query : sight->n_headers;
	for (size_t i = n; i-- > 0;)
		if (bytes_eq(pairs[i].name, name)) {
			*ret = pairs[i].value;
			return true;
		}
	return false;
}

static struct bytes query_of(const struct record_sight *sight, const char *name)
{
	for (size_t i = sight->n_query; i-- > 0;)
		if (bytes_eq_string(sight->query[i].name, name))
			return sight->query[i].value;
	return (struct bytes){ NULL, 0 };
}

/* False when the collection is gone. The schema is referenced. */
static bool stand_in(const struct record_sight *sight, struct stand_in *ret)
{
	*ret = (struct stand_in){ 0 };
	ret->call = (struct record_call){ .book = sight->book,
		.arena = sight->arena,
		.viewer = sight->viewer,
		.method = BYTES("GET"),
		.query = sight->query,
		.n_query = sight->n_query,
		.headers = sight->headers,
		.n_headers = sight->n_headers };
	ret->work.call = &ret->call;
	ret->work.arena = sight->arena;
	ret->work.schema = book_schema(sight->book);
	ret->work.collection = schema_find(ret->work.schema, sight->collection_id);
	ret->work.environment = (struct expr_environment){ .auth_id = sight->viewer.record_id,
		.auth_collection_id = sight->viewer.collection_id,
		.auth_collection_name = sight->viewer.collection_name,
		.method = BYTES("GET"),
		.context = context_name,
		.find = find_pair,
		.find_context = sight,
		.now_us = clock_wall_us(),
		.arena = sight->arena };
	return ret->work.collection;
}

/* "(SELECT ... AS "a", ...) t" */
static struct bytes row_as_table(
	const struct record_collection *collection, struct arena *arena, struct bytes_buf *out)
{
	bytes_buf_append_string(out, "(SELECT ");
	bool is_first = true;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		if (field->is_secret)
			continue;
		const char *open = "CAST(json_extract(?1,'$.\"", *close = "\"') AS TEXT) AS ";
		if (field->is_list || field->type == FIELD_JSON)
			open = "CAST(nullif(?1->'$.\"", close = "\"','null') AS TEXT) AS ";
		else if (field->type == FIELD_NUMBER)
			close = "\"') AS REAL) AS ";
		else if (field->type == FIELD_BOOL)
			close = "\"') AS INTEGER) AS ";
		/* A field's name is letters, digits and '_'. */
		bytes_buf_appendf(out, "%s%s%.*s%s%.*s", is_first ? "" : ",", open,
			(int)field->name.n, field->name.p, close, (int)field->column.n,
			field->column.p);
		is_first = false;
	}
	bytes_buf_append_string(out, ") t");
	return out->failed ? (struct bytes){ NULL, 0 }
			   : (struct bytes){ arena_copy(arena, bytes_buf_view(out)), out->n };
}

#define SQL_MAX (1u << 20)

static struct bytes table_of(const struct stand_in *in)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	bytes_buf_init(&out, SQL_MAX);
	return row_as_table(in->work.collection, in->call.arena, &out);
}

bool record_sight_fits(struct record_book *book, struct bytes collection_id, struct bytes row)
{
	DEFER(schema_unref) struct record_schema *schema = book_schema(book);
	const struct record_collection *collection = schema_find(schema, collection_id);
	struct text_json_reader reader;
	struct text_json_token token;
	size_t n_seen = 0;
	if (!collection || !bytes_eq(collection->id, collection_id))
		return false;
	text_json_reader_init(&reader, row);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		bool is_known = false;
		for (size_t i = 0; i < collection->n_out && !is_known; i++)
			is_known = bytes_eq(collection->out[i].name, token.raw);
		if (!is_known)
			return false;
		n_seen++;
		text_json_skip(&reader, &token);
	}
	return token.type == TEXT_JSON_OBJECT_END && n_seen == collection->n_out;
}

int64_t record_schema_version(struct record_book *book)
{
	DEFER(schema_unref) struct record_schema *schema = book_schema(book);
	return schema->version;
}

/* ---- judging ---- */

static bool asks_for_viewer(const struct expr_sql *sql)
{
	/* A subquery may look at the viewer's own record. */
	bool asks = sql->has_subquery;
	for (size_t i = 0; i < sql->n_params; i++)
		asks |= sql->params[i].source == EXPR_AUTH_ID ||
			sql->params[i].source == EXPR_AUTH_COLLECTION_ID ||
			sql->params[i].source == EXPR_AUTH_COLLECTION_NAME;
	return asks;
}

static bool holds(struct bytes text, const char *needle)
{
	return text.n && memmem(text.p, text.n, needle, strlen(needle));
}

/* A filter that is none lets nothing through, as one that a list would refuse. */
static bool compile_filter(const struct record_sight *sight, const struct stand_in *in,
	unsigned first_param, struct expr_sql *ret)
{
	struct bytes text = query_of(sight, "filter");
	const struct record_schema *schema = in->work.schema;
	const struct expr_node *tree;
	struct expr_error error;
	bool sees_all = work_is_superuser(&in->work);
	if (!sees_all && (holds(text, "@request.") || holds(text, "@collection.")))
		return false;
	return expr_parse(text, sight->arena, &tree, &error) == EXPR_OK &&
	       expr_compile(tree, sees_all ? &schema->rules.expr : &schema->clients.expr,
		       in->work.collection, BYTES("t"), first_param, sight->arena, ret,
		       &error) == EXPR_OK;
}

/* ---- without the database: most rules look at nothing but the row and the request ---- */

struct row_at_hand {
	struct expr_row row;
	struct bytes json;
	struct arena *arena;
};

static bool value_of_json(const struct record_field *field, struct bytes json, struct arena *arena,
	struct expr_value *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	bool is_true;
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	*ret = (struct expr_value){ .type = EXPR_VALUE_TEXT };
	if (field->is_list || field->type == FIELD_JSON) {
		if (token.type == TEXT_JSON_NULL)
			ret->type = EXPR_VALUE_NULL;
		ret->text = json;
		return true;
	}
	switch (field->type) {
	case FIELD_NUMBER:
		ret->type = EXPR_VALUE_REAL;
		return text_json_double(&token, &ret->real);
	case FIELD_BOOL:
		ret->type = EXPR_VALUE_INTEGER;
		if (!text_json_bool(&token, &is_true))
			return false;
		ret->integer = is_true;
		return true;
	default:
		return text_json_text(&token, arena, &ret->text);
	}
}

static bool find_value(
	const struct expr_row *row, const struct expr_field *field, struct expr_value *ret)
{
	const struct row_at_hand *at = (const struct row_at_hand *)(const void *)row;
	const struct record_field *of = field->handle;
	struct bytes pointer, json;
	if (!of || of->is_secret)
		return false;
	pointer = arena_printf(at->arena, "/%.*s", (int)of->name.n, of->name.p);
	return pointer.p && text_json_find(at->json, pointer, &json) == TEXT_JSON_FOUND &&
	       value_of_json(of, json, at->arena, ret);
}

/* EXPR_NEEDS_SQL also when the two cannot be told apart without it. */
static enum expr_verdict judge_at_hand(const struct record_sight *sight, const struct stand_in *in,
	const struct expr_sql *rule, const struct expr_sql *filter)
{
	const struct row_at_hand row = {
		.row = { .find_value = find_value }, .json = sight->row, .arena = sight->arena
	};
	const struct row_at_hand viewer = { .row = { .find_value = find_value },
		.json = sight->viewer_row,
		.arena = sight->arena };
	struct expr_environment environment = in->work.environment;
	if (sight->viewer_row.n)
		environment.auth_row = &viewer.row;
	enum expr_verdict verdict = expr_evaluate(rule, &environment, &row.row);
	if (verdict == EXPR_FALSE)
		return EXPR_FALSE;
	enum expr_verdict second = expr_evaluate(filter, &environment, &row.row);
	if (second == EXPR_FALSE)
		return EXPR_FALSE;
	return verdict == EXPR_TRUE && second == EXPR_TRUE ? EXPR_TRUE : EXPR_NEEDS_SQL;
}

static enum record_verdict run_judge(const struct record_sight *sight, const struct stand_in *in,
	const struct expr_sql *rule, const struct expr_sql *filter)
{
	struct store_stmt *stmt;
	bool has_row = false;
	enum expr_verdict at_hand = judge_at_hand(sight, in, rule, filter);
	if (at_hand != EXPR_NEEDS_SQL)
		return at_hand == EXPR_TRUE ? RECORD_MAY_SEE : RECORD_MAY_NOT;
	struct store_conn *conn = sight->is_gone && sight->before ? sight->before : sight->conn;
	if (sight->is_gone && !sight->before && rule->has_subquery)
		return RECORD_UNJUDGED;
	struct bytes table = table_of(in);
	if (!table.p)
		return RECORD_UNJUDGED;
	struct bytes sql = arena_printf(sight->arena, "SELECT 1 FROM %.*s WHERE (%.*s) AND (%.*s)",
		(int)table.n, table.p, (int)rule->sql.n, rule->sql.p, (int)filter->sql.n,
		filter->sql.p);
	if (!sql.p || store_prepare(conn, sql, &stmt) != STORE_OK)
		return RECORD_UNJUDGED;
	store_bind_text(stmt, 1, sight->row);
	if (!expr_bind(rule, &in->work.environment, stmt) ||
		!expr_bind(filter, &in->work.environment, stmt) ||
		store_step(stmt, &has_row) != STORE_OK)
		return RECORD_UNJUDGED;
	return has_row ? RECORD_MAY_SEE : RECORD_MAY_NOT;
}

enum record_verdict record_judge(const struct record_sight *sight, bool *ret_is_shared)
{
	enum rule which = sight->is_by_id ? RULE_VIEW : RULE_LIST;
	enum record_verdict verdict = RECORD_UNJUDGED;
	struct expr_sql filter;
	struct stand_in in;
	*ret_is_shared = false;
	if (stand_in(sight, &in)) {
		const struct expr_sql *rule = work_rule(&in.work, which);
		bool is_open =
			work_is_superuser(&in.work) || !in.work.collection->rules[which].is_null;
		if (!is_open) {
			verdict = RECORD_MAY_NOT;
			*ret_is_shared = true;
		} else if (!compile_filter(sight, &in, rule->first_param + (unsigned)rule->n_params,
				   &filter)) {
			verdict = RECORD_MAY_NOT;
		} else {
			*ret_is_shared = !asks_for_viewer(rule) && !asks_for_viewer(&filter);
			verdict = run_judge(sight, &in, rule, &filter);
		}
	}
	schema_unref(in.work.schema);
	return verdict;
}

/* ---- telling ---- */

static bool run_tell(const struct record_sight *sight, struct stand_in *in, struct bytes_buf *out)
{
	const struct record_collection *collection = in->work.collection;
	struct bytes table = table_of(in);
	struct expand *expand = NULL;
	struct mask *mask = NULL;
	struct encoder encoder;
	struct store_stmt *stmt;
	const char *message;
	bool has_row = false;
	encoder_init(&encoder, &in->work, sight->conn);
	encoder.out = out;
	if (!table.p ||
		expand_parse(query_of(sight, "expand"), in->work.schema, collection,
			encoder.sees_all, sight->arena, &expand, &message) != SHAPE_OK ||
		mask_parse(query_of(sight, "fields"), sight->arena, &mask, &message) != SHAPE_OK)
		return false;
	struct bytes columns = encoder_columns(&encoder, collection);
	struct bytes sql = arena_printf(sight->arena, "SELECT %.*s FROM %.*s", (int)columns.n,
		columns.p, (int)table.n, table.p);
	if (!sql.p || store_prepare(sight->conn, sql, &stmt) != STORE_OK)
		return false;
	store_bind_text(stmt, 1, sight->row);
	if (!encoder_bind(&encoder, collection, stmt) || store_step(stmt, &has_row) != STORE_OK ||
		!has_row)
		return false;
	return encode_row(&encoder, collection, stmt, mask, expand) == STORE_OK && !out->failed;
}

bool record_tell(const struct record_sight *sight, struct bytes_buf *out, bool *ret_is_shared)
{
	struct stand_in in;
	size_t before = out->n;
	bool is_told = false;
	*ret_is_shared = false;
	if (stand_in(sight, &in)) {
		/* An address is shown to its owner, a field and a relation to whom their rules let.
		 */
		*ret_is_shared = !in.work.collection->is_auth && !in.work.collection->n_ruled &&
				 !query_of(sight, "expand").n && !work_is_superuser(&in.work);
		is_told = run_tell(sight, &in, out);
	}
	schema_unref(in.work.schema);
	if (!is_told)
		out->n = before;
	return is_told;
}

/* ---- accounts ---- */

void record_stamp(struct bytes token_key, uint8_t out[static RECORD_STAMP_BYTES])
{
	uint8_t digest[HASH_BYTES];
	struct hash hash;
	hash_init(&hash);
	hash_add(&hash, token_key.p, token_key.n);
	hash_end(&hash, digest);
	memcpy(out, digest, RECORD_STAMP_BYTES);
}

static bool find_stamp(const struct record_collection *collection, struct store_conn *conn,
	struct bytes id, uint8_t out[static RECORD_STAMP_BYTES])
{
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	struct store_stmt *stmt;
	bool found = false;
	bytes_buf_init(&sql, 256);
	bytes_buf_appendf(&sql, "SELECT \"_token_key\" FROM %.*s WHERE \"id\"=?1",
		(int)collection->table.n, collection->table.p);
	if (store_prepare(conn, bytes_buf_view(&sql), &stmt) != STORE_OK)
		return false;
	store_bind_text(stmt, 1, id);
	if (store_step(stmt, &found) != STORE_OK || !found)
		return false;
	record_stamp(store_column_text(stmt, 0), out);
	return true;
}

bool record_find_account(struct record_book *book, struct store_conn *conn,
	struct bytes collection_id, struct bytes id, uint8_t out[static RECORD_STAMP_BYTES],
	struct bytes_buf *row)
{
	DEFER(schema_unref) struct record_schema *schema = book_schema(book);
	const struct record_collection *collection = schema_find(schema, collection_id);
	struct encoder encoder = { .conn = conn, .out = row, .sees_all = true };
	bool found = false;
	if (!collection || !collection->is_auth || !find_stamp(collection, conn, id, out))
		return false;
	return !row || (encode_by_id(&encoder, collection, id, NULL, NULL, &found) == STORE_OK &&
			       found && !row->failed);
}
