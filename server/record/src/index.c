/*
 * index.c - CREATE INDEX texts, understood and written anew
 *
 * The text comes from a tenant's superuser, so not a byte of it is run: names are looked up among
 * the fields, and the rest is our own wording.
 */
#include <string.h>

#include "change.h"

struct cursor {
	const char *p, *end;
};

static void skip_space(struct cursor *cursor)
{
	while (cursor->p < cursor->end && *cursor->p && strchr(" \t\r\n", *cursor->p))
		cursor->p++;
}

static bool is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* A bare word; {NULL, 0} when there is none. */
static struct bytes take_word(struct cursor *cursor)
{
	skip_space(cursor);
	const char *start = cursor->p;
	while (cursor->p < cursor->end && is_word_byte(*cursor->p))
		cursor->p++;
	return (struct bytes){ start, (size_t)(cursor->p - start) };
}

static bool take_keyword(struct cursor *cursor, const char *keyword)
{
	struct cursor before = *cursor;
	if (bytes_eq_nocase(take_word(cursor), bytes_of(keyword)))
		return true;
	*cursor = before;
	return false;
}

static bool take_symbol(struct cursor *cursor, const char *symbol)
{
	skip_space(cursor);
	size_t n = strlen(symbol);
	if ((size_t)(cursor->end - cursor->p) < n || memcmp(cursor->p, symbol, n) != 0)
		return false;
	cursor->p += n;
	return true;
}

/* A name, bare or in `quotes`, "quotes" or [brackets]. */
static struct bytes take_name(struct cursor *cursor)
{
	skip_space(cursor);
	if (cursor->p == cursor->end)
		return (struct bytes){ NULL, 0 };
	char open = *cursor->p;
	char close = open == '[' ? ']' : open;
	if (open != '`' && open != '"' && open != '[')
		return take_word(cursor);
	cursor->p++;
	struct bytes name = take_word(cursor);
	if (cursor->p == cursor->end || *cursor->p != close)
		return (struct bytes){ NULL, 0 };
	cursor->p++;
	return name;
}

/* The names that a text uses, and those that the new one is to use. */
struct naming {
	const struct change *change;
	bool by_old_names;
};

static const struct record_field *find_in(
	const struct record_field *fields, size_t n, struct bytes name)
{
	for (size_t i = 0; i < n; i++) {
		/* Our own wording names the column, which for secrets is not the field's name. */
		struct bytes column = fields[i].column;
		struct bytes bare = { column.p + 1, column.n - 2 };
		if (bytes_eq_nocase(fields[i].name, name) || bytes_eq(bare, name))
			return &fields[i];
	}
	return NULL;
}

/* The field of the wanted state: by the name it has there, or by the one it had. */
static const struct record_field *find(const struct naming *naming, struct bytes name)
{
	const struct change *change = naming->change;
	const struct record_collection *old = change->old;
	const struct record_field *now = find_in(change->fields, change->n_fields, name);
	const struct record_field *was = old ? find_in(old->fields, old->n_fields, name) : NULL;
	if (!name.n || !was || (now && !naming->by_old_names))
		return name.n ? now : NULL;
	for (size_t i = 0; i < change->n_fields; i++)
		if (bytes_eq(change->fields[i].id, was->id))
			return &change->fields[i];
	return NULL;
}

static bool parse_column(
	struct cursor *cursor, const struct naming *naming, bool is_first, struct bytes_buf *out)
{
	const struct record_field *field = find(naming, take_name(cursor));
	if (!field)
		return false;
	bytes_buf_appendf(
		out, "%s%.*s", is_first ? "" : ", ", (int)field->column.n, field->column.p);
	if (take_keyword(cursor, "COLLATE")) {
		if (!take_keyword(cursor, "NOCASE"))
			return false;
		bytes_buf_append_string(out, " COLLATE NOCASE");
	}
	if (take_keyword(cursor, "DESC"))
		bytes_buf_append_string(out, " DESC");
	else
		take_keyword(cursor, "ASC");
	return true;
}

static bool parse_where(struct cursor *cursor, const struct naming *naming, struct bytes_buf *out)
{
	const struct record_field *field = find(naming, take_name(cursor));
	if (!field || (!take_symbol(cursor, "!=") && !take_symbol(cursor, "<>")))
		return false;
	if (!take_symbol(cursor, "''"))
		return false;
	bytes_buf_appendf(out, " WHERE %.*s != ''", (int)field->column.n, field->column.p);
	return true;
}

struct bytes index_name(struct bytes text)
{
	const char *open = text.n ? memchr(text.p, '"', text.n) : NULL;
	size_t left = open ? text.n - (size_t)(open + 1 - text.p) : 0;
	const char *close = left ? memchr(open + 1, '"', left) : NULL;
	return close ? (struct bytes){ open, (size_t)(close + 1 - open) }
		     : (struct bytes){ NULL, 0 };
}

bool index_parse(struct bytes text, const struct change *change, bool by_old_names,
	struct arena *arena, struct bytes *ret, struct bytes *ret_name)
{
	const struct naming naming = { change, by_old_names };
	struct cursor cursor = { text.p, text.p + text.n };
	DEFER(bytes_buf_fini) struct bytes_buf out;
	bytes_buf_init(&out, 8192);
	if (!text.n || !take_keyword(&cursor, "CREATE"))
		return false;
	bool is_unique = take_keyword(&cursor, "UNIQUE");
	if (!take_keyword(&cursor, "INDEX"))
		return false;
	if (take_keyword(&cursor, "IF") &&
		(!take_keyword(&cursor, "NOT") || !take_keyword(&cursor, "EXISTS")))
		return false;
	struct bytes name = take_name(&cursor);
	if (!name_is_valid(name) || !take_keyword(&cursor, "ON") || !take_name(&cursor).n ||
		!take_symbol(&cursor, "("))
		return false;
	/* The table is always this collection's: a rename takes its indexes along. */
	bytes_buf_appendf(&out, "CREATE %sINDEX \"%.*s\" ON \"%.*s\" (", is_unique ? "UNIQUE " : "",
		(int)name.n, name.p, (int)change->name.n, change->name.p);
	bool is_first = true;
	do {
		if (!parse_column(&cursor, &naming, is_first, &out))
			return false;
		is_first = false;
	} while (take_symbol(&cursor, ","));
	if (!take_symbol(&cursor, ")"))
		return false;
	bytes_buf_append_byte(&out, ')');
	if (take_keyword(&cursor, "WHERE") && !parse_where(&cursor, &naming, &out))
		return false;
	take_symbol(&cursor, ";");
	skip_space(&cursor);
	char *copy = out.failed || cursor.p != cursor.end ? NULL
							  : arena_copy(arena, bytes_buf_view(&out));
	*ret = (struct bytes){ copy, out.n };
	*ret_name = name;
	return copy;
}
