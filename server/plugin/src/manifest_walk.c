#include "manifest_walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int walk_refuse(struct walk *walk, const char *format, ...)
{
	char text[160];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return ERR_SET(walk->err, ERR_INVALID, "%s: %s", walk->path_n ? walk->path : "/", text);
}

int walk_no_memory(struct walk *walk)
{
	return ERR_SET(walk->err, ERR_NOMEM, "no memory for a manifest");
}

size_t walk_enter(struct walk *walk, struct bytes name)
{
	size_t mark = walk->path_n;
	size_t room = sizeof walk->path - 1 - mark;
	if (room > 1) {
		walk->path[walk->path_n++] = '/';
		room--;
	}
	for (size_t i = 0; i < name.n && i < room; i++) {
		char c = name.p[i];
		walk->path[walk->path_n++] = c >= ' ' && c <= '~' ? c : '?';
	}
	walk->path[walk->path_n] = 0;
	return mark;
}

size_t walk_enter_index(struct walk *walk, size_t index)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%zu", index);
	return walk_enter(walk, (struct bytes){ digits, (size_t)n });
}

void walk_leave(struct walk *walk, size_t mark)
{
	walk->path_n = mark;
	walk->path[mark] = 0;
}

bool walk_is_name(struct bytes text)
{
	if (text.n == 0)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool is_other = (c >= '0' && c <= '9') || c == '-' || c == '_';
		if (!is_letter && !(is_other && i > 0))
			return false;
	}
	return true;
}

int walk_text(struct walk *walk, const struct text_json_token *token, size_t min, size_t max,
	struct bytes *ret)
{
	if (token->type != TEXT_JSON_STRING)
		return walk_refuse(walk, "must be a string");
	if (!text_json_text(token, walk->arena, ret))
		return walk_no_memory(walk);
	if (ret->n < min || ret->n > max)
		return walk_refuse(walk, "has %zu bytes: give it %zu to %zu", ret->n, min, max);
	if (memchr(ret->p, 0, ret->n))
		return walk_refuse(walk, "must not contain \\u0000");
	return 0;
}

int walk_word(struct walk *walk, const struct text_json_token *token, const char *const *words,
	uint32_t *ret)
{
	char known[120] = "";
	for (uint32_t i = 0; words[i]; i++) {
		if (token->type == TEXT_JSON_STRING && text_json_is(token, bytes_of(words[i]))) {
			*ret = i;
			return 0;
		}
		size_t at = strlen(known);
		snprintf(known + at, sizeof known - at, "%s\"%s\"", i ? ", " : "", words[i]);
	}
	return walk_refuse(walk, "is not one of %s", known);
}

int walk_number(struct walk *walk, const struct text_json_token *token, uint32_t min, uint32_t max,
	uint32_t *ret)
{
	int64_t number;
	if (token->type != TEXT_JSON_INTEGER || !text_json_int64(token, &number))
		return walk_refuse(walk, "must be a whole number");
	if (number < (int64_t)min || number > (int64_t)max)
		return walk_refuse(
			walk, "%lld is out of bounds: use %u to %u", (long long)number, min, max);
	*ret = (uint32_t)number;
	return 0;
}

static int take_value(struct walk *walk, const struct text_json_token *token,
	const struct member *member, void *object)
{
	char *at = (char *)object + member->offset;
	uint32_t number = 0;
	struct bytes text = { NULL, 0 };
	switch (member->kind) {
	case MEMBER_TEXT:
		return walk_text(walk, token, member->min, member->max, (struct bytes *)(void *)at);
	case MEMBER_NAME:
		if (walk_text(walk, token, 1, member->max, &text) < 0)
			return -1;
		if (!walk_is_name(text))
			return walk_refuse(walk,
				"is not a name: a letter first, then letters, digits, '_' and '-'");
		*(struct bytes *)(void *)at = text;
		return 0;
	case MEMBER_NUMBER:
		return walk_number(walk, token, member->min, member->max, (uint32_t *)(void *)at);
	case MEMBER_NUMBER16:
		if (walk_number(walk, token, member->min, member->max, &number) < 0)
			return -1;
		*(uint16_t *)(void *)at = (uint16_t)number;
		return 0;
	case MEMBER_WORD:
		return walk_word(walk, token, member->words, (uint32_t *)(void *)at);
	case MEMBER_WORD_IS:
		if (walk_word(walk, token, member->words, &number) < 0)
			return -1;
		*(bool *)(void *)at = number == 1;
		return 0;
	case MEMBER_PARSE:
		return member->parse(walk, token, object);
	}
	return -1;
}

static const struct member *find_member(
	const struct text_json_token *key, const struct member *members, size_t n_members)
{
	for (size_t i = 0; i < n_members; i++)
		if (text_json_is(key, bytes_of(members[i].name)))
			return &members[i];
	return NULL;
}

int walk_object(struct walk *walk, const struct member *members, size_t n_members, void *object)
{
	uint64_t seen = 0;
	struct text_json_token key, value;
	while (text_json_next(&walk->reader, &key) == TEXT_JSON_KEY) {
		const struct member *member = find_member(&key, members, n_members);
		size_t mark = walk_enter(walk, key.raw);
		if (!member)
			return walk_refuse(walk, "this server knows no such member: remove it, or "
						 "check its spelling");
		text_json_next(&walk->reader, &value);
		if (take_value(walk, &value, member, object) < 0)
			return -1;
		seen |= 1ull << (member - members);
		walk_leave(walk, mark);
	}
	for (size_t i = 0; i < n_members; i++)
		if (members[i].is_required && !(seen & 1ull << i)) {
			walk_enter(walk, bytes_of(members[i].name));
			return walk_refuse(walk, "is missing: add it");
		}
	return 0;
}

/* How many elements the array has whose opening token was read. The reader is a plain struct, so a
 * copy of it looks ahead. */
static size_t count_elements(const struct walk *walk)
{
	struct text_json_reader ahead = walk->reader;
	struct text_json_token token;
	size_t n = 0;
	for (;;) {
		enum text_json_type type = text_json_next(&ahead, &token);
		if (type == TEXT_JSON_ARRAY_END || type == TEXT_JSON_END ||
			type == TEXT_JSON_BROKEN)
			return n;
		if (type == TEXT_JSON_OBJECT || type == TEXT_JSON_ARRAY)
			text_json_skip(&ahead, &token);
		n++;
	}
}

int walk_list(struct walk *walk, const struct text_json_token *token, const struct list *list,
	void **ret, uint16_t *ret_n)
{
	if (token->type != TEXT_JSON_ARRAY)
		return walk_refuse(walk, "must be an array of objects");
	size_t n = count_elements(walk);
	if (n > list->max)
		return walk_refuse(walk, "has %zu elements: at most %zu", n, list->max);
	char *elements = n ? arena_alloc(walk->arena, n * list->element_bytes) : NULL;
	if (n && !elements)
		return walk_no_memory(walk);
	for (size_t i = 0; i < n; i++) {
		struct text_json_token open;
		size_t mark = walk_enter_index(walk, i);
		char *element = elements + i * list->element_bytes;
		if (text_json_next(&walk->reader, &open) != TEXT_JSON_OBJECT)
			return walk_refuse(walk, "must be an object");
		memcpy(element, list->defaults, list->element_bytes);
		if (walk_object(walk, list->members, list->n_members, element) < 0)
			return -1;
		if (list->check && list->check(walk, element) < 0)
			return -1;
		walk_leave(walk, mark);
	}
	text_json_next(&walk->reader, &(struct text_json_token){ 0 });
	*ret = elements;
	*ret_n = (uint16_t)n;
	return 0;
}

int walk_texts(struct walk *walk, const struct text_json_token *token, size_t min, size_t max,
	size_t max_bytes, struct bytes **ret, uint16_t *ret_n)
{
	if (token->type != TEXT_JSON_ARRAY)
		return walk_refuse(walk, "must be an array of strings");
	size_t n = count_elements(walk);
	if (n < min || n > max)
		return walk_refuse(walk, "has %zu elements: give it %zu to %zu", n, min, max);
	struct bytes *texts = n ? arena_alloc(walk->arena, n * sizeof *texts) : NULL;
	if (n && !texts)
		return walk_no_memory(walk);
	for (size_t i = 0; i < n; i++) {
		struct text_json_token element;
		size_t mark = walk_enter_index(walk, i);
		text_json_next(&walk->reader, &element);
		if (walk_text(walk, &element, 1, max_bytes, &texts[i]) < 0)
			return -1;
		walk_leave(walk, mark);
	}
	text_json_next(&walk->reader, &(struct text_json_token){ 0 });
	*ret = texts;
	*ret_n = (uint16_t)n;
	return 0;
}
