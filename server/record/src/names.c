/*
 * names.c - what names mean to rules and to filters
 *
 * Rules are written by a tenant's superuser and see all but secrets. A client's filter sees what
 * its viewer may see: hidden fields do not exist for it, one with a read rule reads as null where
 * that is not met, as does an e-mail address unless its owner shows it (and no comparison with it
 * holds), and a path passes over the rows that the view rule of their collection hides, as expand
 * does.
 */
#include <string.h>

#include "schema.h"

static const struct schema_names *names_of(const struct expr_schema *expr)
{
	return (const struct schema_names *)(const void *)expr;
}

static enum expr_type type_of(const struct record_field *field)
{
	switch (field->type) {
	case FIELD_NUMBER:
		return EXPR_NUMBER;
	case FIELD_BOOL:
		return EXPR_BOOL;
	case FIELD_JSON:
	case FIELD_GEO_POINT:
		return EXPR_JSON;
	default:
		return EXPR_TEXT;
	}
}

static bool find_field(const struct expr_schema *expr, const void *scope, struct bytes name,
	struct expr_field *ret)
{
	const struct schema_names *names = names_of(expr);
	const struct record_collection *collection = scope;
	const struct record_field *field = collection_field(collection, name);
	if (!field || field->is_secret || (names->for_clients && field->is_hidden))
		return false;
	*ret = (struct expr_field){ .column = field->column,
		.type = type_of(field),
		.is_nullable = field->type == FIELD_JSON || collection->is_view,
		.is_list = field->is_list,
		.is_choice = !field->is_list &&
			     (field->type == FIELD_SELECT || field->type == FIELD_RELATION ||
				     field->type == FIELD_FILE),
		.target = field->target,
		.handle = field };
	/* Who may not see an address must not be able to ask for it letter by letter. */
	if (names->for_clients && collection->is_auth && bytes_eq_string(field->name, "email")) {
		ret->guard = &names->address_guard;
		ret->is_denied = true;
	}
	if (names->for_clients && field_is_ruled(field))
		ret->guard = &field->read_guard;
	return true;
}

static struct bytes table_of(const struct expr_schema *expr, const void *scope)
{
	(void)expr;
	return ((const struct record_collection *)scope)->table;
}

static const void *auth_scope(
	const struct expr_schema *expr, size_t i, struct bytes *ret_collection_id)
{
	const struct record_schema *schema = names_of(expr)->schema;
	for (size_t c = 0; c < schema->n_collections; c++) {
		const struct record_collection *collection = &schema->collections[c];
		if (!collection->is_auth || i--)
			continue;
		*ret_collection_id = collection->id;
		return collection;
	}
	return NULL;
}

/* Index texts are our own wording: CREATE UNIQUE INDEX "x" ON "posts" ("author"). */
bool field_is_unique(const struct record_collection *collection, const struct record_field *field)
{
	for (size_t i = 0; i < collection->indexes.n && !field->is_list; i++) {
		struct bytes text = collection->indexes.items[i];
		const char *open = text.n ? memchr(text.p, '(', text.n) : NULL;
		if (!open || !bytes_starts_with(text, BYTES("CREATE UNIQUE INDEX ")))
			continue;
		struct bytes rest = { open + 1, text.n - (size_t)(open + 1 - text.p) };
		if (bytes_starts_with(rest, field->column) && !memchr(rest.p, ',', rest.n))
			return true;
	}
	return false;
}

static bool find_back(const struct expr_schema *expr, const void *scope, struct bytes collection,
	struct bytes field, struct expr_back *ret)
{
	const struct record_collection *from = schema_find(names_of(expr)->schema, collection);
	*ret = (struct expr_back){ .scope = from };
	if (!from || from->is_view || !find_field(expr, from, field, &ret->field) ||
		ret->field.target != scope)
		return false;
	ret->is_unique = field_is_unique(from, ret->field.handle);
	return true;
}

static const void *find_scope(const struct expr_schema *expr, struct bytes name)
{
	/* A view runs under a grant of its own, inside no other collection's statement. */
	const struct record_collection *found = schema_find(names_of(expr)->schema, name);
	return found && found->is_view ? NULL : found;
}

static const struct expr_guard *row_guard(const struct expr_schema *expr, const void *scope)
{
	const struct record_collection *collection = scope;
	if (!names_of(expr)->for_clients || collection->is_row_open)
		return NULL;
	return &collection->row_guard;
}

/* A rule that does not parse is never met. */
static bool parse_guards(struct record_schema *schema)
{
	struct expr_error error;
	for (size_t i = 0; i < schema->n_collections; i++) {
		struct record_collection *collection = &schema->collections[i];
		const struct record_rule *view = &collection->rules[RULE_VIEW];
		collection->row_guard.schema = &schema->rules.expr;
		if (view->is_null)
			continue;
		enum expr_result result =
			expr_parse(view->text, schema->arena, &collection->row_guard.tree, &error);
		if (result == EXPR_NOMEM)
			return false;
		collection->is_row_open = result == EXPR_OK && !collection->row_guard.tree;
	}
	return expr_parse(BYTES("emailVisibility = true"), schema->arena,
		       &schema->clients.address_guard.tree, &error) == EXPR_OK;
}

bool names_init(struct record_schema *schema)
{
	const struct expr_schema expr = { .find_field = find_field,
		.table = table_of,
		.auth_scope = auth_scope,
		.find_back = find_back,
		.find_scope = find_scope,
		.row_guard = row_guard };
	schema->rules = (struct schema_names){ .expr = expr, .schema = schema };
	schema->clients =
		(struct schema_names){ .expr = expr, .schema = schema, .for_clients = true };
	schema->clients.address_guard.schema = &schema->rules.expr;
	return parse_guards(schema);
}
