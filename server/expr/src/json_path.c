/*
 * json_path.c - JSON paths as SQLite follows them: a number is a place in a list, a name a member
 */
#include "json_path.h"

#include <string.h>

#include "text_json_reader.h"

/* The whole of the value that token has begun. */
static struct bytes whole(struct text_json_reader *reader, const struct text_json_token *token)
{
	if (token->type == TEXT_JSON_OBJECT || token->type == TEXT_JSON_ARRAY)
		return text_json_skip(reader, token);
	if (token->type == TEXT_JSON_STRING)
		return (struct bytes){ token->raw.p - 1, token->raw.n + 2 };
	return token->raw;
}

static bool is_over(enum text_json_type type)
{
	return type == TEXT_JSON_ARRAY_END || type == TEXT_JSON_OBJECT_END ||
	       type == TEXT_JSON_END || type == TEXT_JSON_BROKEN;
}

/* One step: by place in an array (name.p NULL), or by name in an object. */
static bool step(struct bytes json, uint64_t place, struct bytes name, struct bytes *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	enum text_json_type type = text_json_next(&reader, &token);
	if (type != (name.p ? TEXT_JSON_OBJECT : TEXT_JSON_ARRAY))
		return false;
	for (uint64_t i = 0; !is_over(text_json_next(&reader, &token)); i++) {
		bool is_it = name.p ? text_json_is(&token, name) : i == place;
		if (name.p)
			text_json_next(&reader, &token);
		*ret = whole(&reader, &token);
		if (is_it)
			return true;
	}
	return false;
}

bool json_path_find(struct bytes json, struct bytes path, struct bytes *ret)
{
	const char *p = path.p + 1, *end = path.p + path.n;
	*ret = json;
	while (p < end) {
		bool is_name = *p == '.';
		const char *start = p + (is_name ? 2 : 1);
		const char *stop = memchr(start, is_name ? '"' : ']', (size_t)(end - start));
		uint64_t place = 0;
		struct bytes part = { start, (size_t)(stop - start) };
		if (!is_name && !bytes_parse_u64(part, UINT32_MAX, &place))
			return false;
		if (!step(*ret, place, is_name ? part : (struct bytes){ NULL, 0 }, ret))
			return false;
		p = stop + 1;
	}
	return true;
}

bool json_path_each(
	struct bytes json, bool (*item)(void *context, struct bytes json), void *context)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	enum text_json_type type = text_json_next(&reader, &token);
	if (type != TEXT_JSON_ARRAY && type != TEXT_JSON_OBJECT)
		return is_over(type) || item(context, json);
	while (!is_over(text_json_next(&reader, &token))) {
		if (token.type == TEXT_JSON_KEY)
			text_json_next(&reader, &token);
		if (!item(context, whole(&reader, &token)))
			return false;
	}
	return true;
}

static bool count(void *context, struct bytes json)
{
	(void)json;
	++*(int64_t *)context;
	return true;
}

int64_t json_path_length(struct bytes json)
{
	int64_t n = 0;
	size_t at = 0;
	while (at < json.n && strchr(" \t\r\n", json.p[at]))
		at++;
	if (at < json.n && json.p[at] == '[')
		json_path_each(json, count, &n);
	return n;
}
