/*
 * shape.c - ?fields= and ?expand= into trees
 */
#include "shape.h"

#include <string.h>

static struct bytes trim(struct bytes text)
{
	while (text.n && text.p[0] == ' ') {
		text.p++;
		text.n--;
	}
	while (text.n && text.p[text.n - 1] == ' ')
		text.n--;
	return text;
}

/* Cuts the part before the next separator off text; one inside parentheses does not count. */
static struct bytes cut(struct bytes *text, char separator)
{
	size_t depth = 0, n = 0;
	while (n < text->n && (text->p[n] != separator || depth)) {
		depth += text->p[n] == '(';
		depth -= text->p[n] == ')' && depth;
		n++;
	}
	struct bytes part = { text->p, n };
	*text = n < text->n ? (struct bytes){ text->p + n + 1, text->n - n - 1 }
			    : (struct bytes){ NULL, 0 };
	return part;
}

/* ---- ?fields= ---- */

struct mask_parser {
	struct arena *arena;
	unsigned n_names;
	const char *message;
};

static enum shape_result invalid(struct mask_parser *parser, const char *message)
{
	parser->message = message;
	return SHAPE_INVALID;
}

static enum shape_result add_child(
	struct mask_parser *parser, struct mask *mask, struct bytes name, struct mask **ret)
{
	for (struct mask *child = mask->children; child; child = child->next)
		if (bytes_eq(child->name, name)) {
			*ret = child;
			return SHAPE_OK;
		}
	if (++parser->n_names > MASK_NAMES_MAX)
		return invalid(parser, "At most 200 fields can be picked.");
	struct mask *child = arena_alloc(parser->arena, sizeof(*child));
	if (!child)
		return SHAPE_NOMEM;
	*child = (struct mask){ .name = name, .next = mask->children };
	mask->children = child;
	*ret = child;
	return SHAPE_OK;
}

/* "excerpt(200,true)" */
static enum shape_result apply_modifier(
	struct mask_parser *parser, struct bytes modifier, struct mask *mask)
{
	uint64_t max;
	size_t n = sizeof("excerpt(") - 1;
	if (!bytes_starts_with(modifier, BYTES("excerpt(")) || modifier.p[modifier.n - 1] != ')')
		return invalid(parser, "The modifier is not known: there is :excerpt(max,true).");
	struct bytes arguments = { modifier.p + n, modifier.n - n - 1 };
	struct bytes first = trim(cut(&arguments, ','));
	struct bytes second = trim(cut(&arguments, ','));
	if (arguments.n || !bytes_parse_u64(first, EXCERPT_MAX, &max) || max == 0)
		return invalid(parser, "An excerpt has between 1 and 100000 characters.");
	mask->excerpt = (int64_t)max;
	mask->has_ellipsis = bytes_eq_string(second, "1") || bytes_eq_nocase(second, BYTES("t")) ||
			     bytes_eq_nocase(second, BYTES("true"));
	return SHAPE_OK;
}

/* One entry: "expand.author.bio:excerpt(10)". */
static enum shape_result add_entry(
	struct mask_parser *parser, struct mask *root, struct bytes entry)
{
	struct bytes modifier = entry, path = cut(&modifier, ':');
	struct mask *at = root;
	enum shape_result result = SHAPE_OK;
	while (path.n && result == SHAPE_OK) {
		struct bytes name = trim(cut(&path, '.'));
		if (bytes_eq_string(name, "*")) {
			at->is_all = true;
			if (modifier.n)
				return invalid(parser, "A modifier belongs to one field.");
			return SHAPE_OK;
		}
		result = add_child(parser, at, name, &at);
	}
	if (result != SHAPE_OK || at == root)
		return result;
	at->is_all = true;
	modifier = trim(modifier);
	return modifier.n ? apply_modifier(parser, modifier, at) : SHAPE_OK;
}

enum shape_result mask_parse(
	struct bytes text, struct arena *arena, struct mask **ret, const char **ret_message)
{
	struct mask_parser parser = { .arena = arena };
	*ret = NULL;
	if (trim(text).n == 0)
		return SHAPE_OK;
	struct mask *root = arena_alloc(arena, sizeof(*root));
	if (!root)
		return SHAPE_NOMEM;
	*root = (struct mask){ 0 };
	while (text.n) {
		enum shape_result result = add_entry(&parser, root, trim(cut(&text, ',')));
		*ret_message = parser.message;
		if (result != SHAPE_OK)
			return result;
	}
	*ret = root;
	return SHAPE_OK;
}

/* A name that is given wins over the "*" beside it, which stands for all the others. */
bool mask_enter(const struct mask *mask, struct bytes name, const struct mask **ret)
{
	*ret = NULL;
	if (!mask)
		return true;
	for (const struct mask *child = mask->children; child; child = child->next)
		if (bytes_eq(child->name, name)) {
			*ret = child->is_all && !child->children && !child->excerpt ? NULL : child;
			return true;
		}
	return mask->is_all;
}

/* ---- ?expand= ---- */

/* Its place in collection->columns; -1: none. NULL: the id's. */
static int column_of(const struct record_collection *collection, const struct record_field *field)
{
	int column = 0;
	for (size_t i = 0; i < collection->n_out; i++) {
		const struct record_field *at = collection->out[i].field;
		if (at && (field ? at == field : at->is_primary))
			return column;
		column += at != NULL;
	}
	return -1;
}

/* What one name of a path means in collection. False when it leads nowhere. */
static bool find_relation(const struct record_schema *schema,
	const struct record_collection *collection, struct bytes name, bool sees_all,
	struct expand *ret)
{
	const struct record_field *field = collection_field(collection, name);
	*ret = (struct expand){ .name = name, .field = field };
	if (field) {
		ret->target = field->target;
		ret->is_many = field->is_list;
	} else {
		const char *via = name.n ? memmem(name.p, name.n, "_via_", 5) : NULL;
		if (!via)
			return false;
		size_t n_from = (size_t)(via - name.p);
		ret->target = schema_find(schema, (struct bytes){ name.p, n_from });
		ret->field = field =
			ret->target ? collection_field(ret->target,
					      (struct bytes){ via + 5, name.n - n_from - 5 })
				    : NULL;
		if (!field || field->target != collection)
			return false;
		ret->is_back = true;
		ret->is_many = field->is_list || !field_is_unique(ret->target, field);
	}
	ret->column = column_of(collection, ret->is_back ? NULL : field);
	return ret->target && ret->column >= 0 && (sees_all || !field->is_hidden);
}

enum shape_result expand_parse(struct bytes text, const struct record_schema *schema,
	const struct record_collection *collection, bool sees_all, struct arena *arena,
	struct expand **ret, const char **ret_message)
{
	unsigned n_names = 0;
	*ret = NULL;
	while (text.n) {
		struct bytes path = trim(cut(&text, ','));
		const struct record_collection *from = collection;
		struct expand **list = ret, found;
		for (unsigned depth = 0; path.n && depth < RECORD_EXPAND_DEPTH; depth++) {
			struct bytes name = trim(cut(&path, '.'));
			struct expand *node = *list;
			while (node && !bytes_eq(node->name, name))
				node = node->next;
			if (!node) {
				if (!find_relation(schema, from, name, sees_all, &found))
					break;
				if (++n_names > EXPAND_NAMES_MAX) {
					*ret_message = "At most 100 relations can be followed.";
					return SHAPE_INVALID;
				}
				node = arena_alloc(arena, sizeof(*node));
				if (!node)
					return SHAPE_NOMEM;
				*node = found;
				node->next = *list;
				*list = node;
			}
			list = &node->children;
			from = node->target;
		}
	}
	return SHAPE_OK;
}

bool expand_keep(struct expand *expand, struct arena *arena, struct bytes ids)
{
	if (ids.n > expand->n_room) {
		size_t n = ids.n < 64 ? 64 : 2 * ids.n;
		expand->room = arena_alloc(arena, n);
		expand->n_room = expand->room ? n : 0;
		if (!expand->room)
			return false;
	}
	if (ids.n)
		memcpy(expand->room, ids.p, ids.n);
	expand->ids = (struct bytes){ expand->room, ids.n };
	return true;
}
