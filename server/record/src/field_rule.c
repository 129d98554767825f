/*
 * field_rule.c - the rules of fields: compiled, checked, asked before a write
 */
#include "field_rule.h"

#include <string.h>

#include "write.h"

/* ---- compiled with the schema ---- */

static enum expr_result compile(const struct record_schema *schema,
	const struct record_collection *collection, struct bytes text, unsigned first_param,
	struct arena *arena, const struct expr_node **ret_tree, struct expr_sql *ret,
	struct expr_error *error)
{
	enum expr_result result = expr_parse(text, arena, ret_tree, error);
	if (result == EXPR_OK)
		result = expr_compile(*ret_tree, &schema->rules.expr, collection, BYTES("t"),
			first_param, arena, ret, error);
	return result;
}

/* False when the arena is full. */
static bool compile_rule(struct record_schema *schema, const struct record_collection *collection,
	struct record_rule *rule, unsigned first_param, const struct expr_node **ret_tree)
{
	struct expr_error error;
	enum expr_result result = compile(schema, collection, rule->text, first_param,
		schema->arena, ret_tree, &rule->sql, &error);
	if (result == EXPR_INVALID) {
		*ret_tree = NULL;
		rule->sql = (struct expr_sql){ .sql = BYTES("0"), .first_param = first_param };
	}
	return result != EXPR_NOMEM;
}

/* What clients' filters ask before they read the field. An address keeps its own guard as well. */
static bool make_guard(const struct record_schema *schema,
	const struct record_collection *collection, struct record_field *field)
{
	struct bytes text = field->read_rule.text;
	struct expr_error error;
	field->read_guard = (struct expr_guard){ .schema = &schema->rules.expr };
	if (collection->is_auth && bytes_eq_string(field->name, "email"))
		text = arena_printf(
			schema->arena, "emailVisibility = true && (%.*s\n)", (int)text.n, text.p);
	return text.p &&
	       expr_parse(text, schema->arena, &field->read_guard.tree, &error) != EXPR_NOMEM;
}

bool field_rules_compile(struct record_schema *schema, struct record_collection *collection)
{
	DEFER(bytes_buf_fini) struct bytes_buf columns;
	unsigned param = RULE_PARAM;
	int column = 0;
	bytes_buf_init(&columns, 16u << 20);
	bytes_buf_append(&columns, collection->columns);
	for (size_t i = 0; i < collection->n_out; i++)
		column += collection->out[i].field != NULL;
	collection->n_ruled = 0;
	for (size_t i = 0; i < collection->n_fields; i++) {
		struct record_field *field = &collection->fields[i];
		const struct expr_node *tree;
		if (field->write_rule.text.n &&
			!compile_rule(schema, collection, &field->write_rule, RULE_PARAM, &tree))
			return false;
		if (!field_is_ruled(field))
			continue;
		struct expr_sql *sql = &field->read_rule.sql;
		if (!compile_rule(schema, collection, &field->read_rule, param, &tree) ||
			!make_guard(schema, collection, field))
			return false;
		param += (unsigned)sql->n_params;
		field->read_column = column++;
		collection->n_ruled++;
		collection->has_ruled_subquery |= sql->has_subquery;
		bytes_buf_append_string(&columns, ",(");
		bytes_buf_append(&columns, sql->sql);
		bytes_buf_append_byte(&columns, ')');
	}
	collection->rule_param = param;
	collection->client_columns = collection->columns;
	if (!collection->n_ruled)
		return true;
	char *copy = columns.failed ? NULL : arena_copy(schema->arena, bytes_buf_view(&columns));
	collection->client_columns = (struct bytes){ copy, columns.n };
	return copy;
}

void field_rules_check(
	struct record_work *work, const struct record_collection *collection, struct flaws *flaws)
{
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		const struct record_rule *const rules[] = { &field->read_rule, &field->write_rule };
		for (size_t r = 0; r < 2; r++) {
			const struct expr_node *tree;
			struct expr_sql sql;
			struct expr_error error;
			if (!rules[r]->text.n ||
				compile(work->new_schema, collection, rules[r]->text, RULE_PARAM,
					work->arena, &tree, &sql, &error) != EXPR_INVALID)
				continue;
			flaws_add(flaws, "fields", (long)i, r ? "writeRule" : "readRule",
				"validation_invalid_rule",
				"Invalid rule. Raw error: %s (at byte %zu).", error.message,
				error.offset);
		}
	}
}

/* ---- before a write ---- */

/* A password is the collection's own rules' business: changing one asks for the old one. */
static bool asks(const struct record_field *field)
{
	return field->write_rule.text.n && !field->is_secret;
}

bool field_rules_begin(struct record_work *work)
{
	const struct record_collection *collection = work->collection;
	size_t n_asked = 0;
	for (size_t i = 0; i < collection->n_fields; i++)
		n_asked += asks(&collection->fields[i]);
	if (!n_asked || work_is_superuser(work))
		return true;
	work->sent = arena_alloc(work->call->arena, collection->n_fields * sizeof(bool));
	work->locked = arena_alloc(work->call->arena, collection->n_fields * sizeof(bool));
	return work->sent && work->locked;
}

static enum store_outcome ask(struct record_work *work, struct store_conn *conn,
	const struct record_field *field, struct bytes sql, bool is_new, bool *ret)
{
	struct store_stmt *stmt;
	const struct expr_sql *rule = &field->write_rule.sql;
	const struct record_collection *collection = work->collection;
	*ret = false;
	enum store_outcome outcome = store_prepare(conn, sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	if (!is_new)
		store_bind_text(stmt, 1, bytes_of(work->id));
	unsigned first = rule->first_param + (unsigned)rule->n_params;
	for (size_t i = 0; i < collection->n_fields && is_new; i++)
		row_bind_field(work, i, stmt, (int)(first + i));
	if (!expr_bind(rule, &work->environment, stmt))
		return STORE_FAULT;
	return store_step(stmt, ret);
}

enum store_outcome field_rules_ask(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	enum store_outcome outcome = STORE_OK;
	for (size_t i = 0; work->locked && i < collection->n_fields && outcome == STORE_OK; i++) {
		const struct record_field *field = &collection->fields[i];
		struct bytes rule = field->write_rule.sql.sql;
		bool is_met;
		if (!asks(field))
			continue;
		struct bytes sql = arena_printf(work->arena,
			"SELECT 1 FROM %.*s t WHERE t.\"id\"=?1 AND (%.*s)",
			(int)collection->table.n, collection->table.p, (int)rule.n, rule.p);
		if (!sql.p)
			return STORE_FAULT;
		outcome = ask(work, conn, field, sql, false, &is_met);
		work->locked[i] = !is_met;
	}
	return outcome;
}

/* A SELECT of the rule over one row of values that is in no table yet. */
static struct bytes virtual_row_sql(struct record_work *work, const struct expr_sql *rule)
{
	const struct record_collection *collection = work->collection;
	unsigned first = rule->first_param + (unsigned)rule->n_params;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, 1u << 20);
	bytes_buf_append_string(&sql, "SELECT 1 FROM (SELECT ");
	for (size_t i = 0; i < collection->n_fields; i++)
		bytes_buf_appendf(&sql, "%s?%u AS %.*s", i ? "," : "", first + (unsigned)i,
			(int)collection->fields[i].column.n, collection->fields[i].column.p);
	bytes_buf_append_string(&sql, ") t WHERE (");
	bytes_buf_append(&sql, rule->sql);
	bytes_buf_append_byte(&sql, ')');
	char *copy = sql.failed ? NULL : arena_copy(work->arena, bytes_buf_view(&sql));
	return (struct bytes){ copy, sql.n };
}

enum store_outcome field_rules_apply(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; work->sent && i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		struct value *value = &work->values[i];
		bool is_met;
		if (!asks(field) || !work->sent[i])
			continue;
		struct bytes sql = virtual_row_sql(work, &field->write_rule.sql);
		if (!sql.p)
			return STORE_FAULT;
		enum store_outcome outcome = ask(work, conn, field, sql, true, &is_met);
		if (outcome != STORE_OK)
			return outcome;
		if (is_met)
			continue;
		if (!work->problems.n)
			problems_init(&work->problems, &work->call->answer);
		value_default(field, value);
		body_ignore(work, field->name);
		value_check(field, value, &work->problems);
	}
	return work->problems.n ? row_refuse(work, 0, NULL) : STORE_OK;
}
