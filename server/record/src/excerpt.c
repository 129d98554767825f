/*
 * excerpt.c - the readable text of what may be HTML, cut to a number of characters
 *
 * No tree is built: tags are passed over, those of blocks leave a space, what stands in a few
 * elements that nobody reads is left out, and the common entities become their characters. The
 * result is plain text: it is not safe to be put into a page as HTML.
 */
#include "shape.h"

#include <string.h>

#include "text_utf8.h"

struct excerpt {
	struct bytes_buf *out;
	size_t start;   /* in out */
	int64_t n, max; /* characters */
	bool has_space; /* one waits to be written before the next word */
	bool is_cut;
};

static void put(struct excerpt *excerpt, struct bytes character)
{
	if (excerpt->is_cut)
		return;
	if (excerpt->has_space && excerpt->n && excerpt->n < excerpt->max) {
		bytes_buf_append_byte(excerpt->out, ' ');
		excerpt->n++;
	}
	excerpt->has_space = false;
	if (excerpt->n >= excerpt->max) {
		excerpt->is_cut = true;
		return;
	}
	bytes_buf_append(excerpt->out, character);
	excerpt->n++;
}

/* The name of the tag that text starts with, behind '<' and maybe '/'. */
static struct bytes tag_name(struct bytes text)
{
	size_t at = text.n > 1 && text.p[1] == '/' ? 2 : 1, n = 0;
	while (at + n < text.n && ((text.p[at + n] | 32) >= 'a' && (text.p[at + n] | 32) <= 'z'))
		n++;
	while (n && at + n < text.n && text.p[at + n] >= '0' && text.p[at + n] <= '9')
		n++;
	return (struct bytes){ text.p + at, n };
}

static bool is_one_of(struct bytes name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq_nocase(name, bytes_of(names[i])))
			return true;
	return false;
}

static bool is_inline(struct bytes name)
{
	static const char *const names[] = { "a", "abbr", "acronym", "b", "bdo", "big", "button",
		"cite", "code", "em", "i", "label", "q", "small", "span", "strong", "strike", "sub",
		"sup", "time" };
	return is_one_of(name, names, sizeof(names) / sizeof(names[0]));
}

static bool is_unread(struct bytes name)
{
	static const char *const names[] = { "head", "style", "script", "iframe", "embed",
		"object" };
	return is_one_of(name, names, sizeof(names) / sizeof(names[0]));
}

/* How long the tag or comment at text is; 0 when it is none. A '>' inside quotation marks is part
 * of a value. */
static size_t tag_length(struct bytes text)
{
	bool is_comment = bytes_starts_with(text, BYTES("<!--"));
	char quote = 0;
	if (is_comment) {
		const char *end = memmem(text.p + 4, text.n - 4, "-->", 3);
		return end ? (size_t)(end + 3 - text.p) : text.n;
	}
	if (tag_name(text).n == 0 && (text.n < 2 || (text.p[1] != '!' && text.p[1] != '?')))
		return 0;
	for (size_t i = 1; i < text.n; i++) {
		char c = text.p[i];
		if (quote)
			quote = c == quote ? 0 : quote;
		else if (c == '"' || c == '\'')
			quote = c;
		else if (c == '>')
			return i + 1;
	}
	return text.n;
}

/* How far it is behind the closing tag of name. */
static size_t skip_element(struct bytes text, struct bytes name)
{
	for (size_t i = 0; i + 2 + name.n <= text.n; i++) {
		const char *open = memchr(text.p + i, '<', text.n - i);
		if (!open)
			break;
		i = (size_t)(open - text.p);
		struct bytes rest = { open, text.n - i };
		if (rest.n > 1 && rest.p[1] == '/' && bytes_eq_nocase(tag_name(rest), name))
			return i + tag_length(rest);
	}
	return text.n;
}

/* "&amp;": its character in out, and how long it is here; 0 when it is none. */
static size_t entity(struct bytes text, char out[static 4], size_t *ret_n)
{
	static const struct {
		const char *name;
		uint32_t character;
	} known[] = { { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' },
		{ "apos", '\'' }, { "nbsp", 0xa0 } };
	size_t max = text.n < 12 ? text.n : 12;
	const char *end = memchr(text.p, ';', max);
	if (!end || end == text.p + 1)
		return 0;
	struct bytes name = { text.p + 1, (size_t)(end - text.p) - 1 };
	uint32_t character = 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (bytes_eq_string(name, known[i].name))
			character = known[i].character;
	if (name.p[0] == '#') {
		bool is_hex = name.n > 1 && (name.p[1] | 32) == 'x';
		for (size_t i = is_hex ? 2 : 1; i < name.n; i++) {
			char c = (char)(name.p[i] | 32);
			bool is_digit = name.p[i] >= '0' && name.p[i] <= '9';
			if (!is_digit && !(is_hex && c >= 'a' && c <= 'f'))
				return 0;
			uint32_t digit =
				is_digit ? (uint32_t)(name.p[i] - '0') : (uint32_t)(c - 'a' + 10);
			character = character * (is_hex ? 16 : 10) + digit;
			if (character > 0x10ffff)
				return 0;
		}
	}
	if (character < 0x20 || (character >= 0xd800 && character < 0xe000))
		return 0;
	*ret_n = text_utf8_put(character, out);
	return name.n + 2;
}

/* Takes one character, tag or entity off text. */
static void step(struct excerpt *excerpt, struct bytes *text)
{
	char c = text->p[0], out[4];
	size_t n = 1, n_out = 0;
	if (c == '<' && (n = tag_length(*text)) > 0) {
		struct bytes name = tag_name(*text);
		if (!is_inline(name))
			excerpt->has_space = true;
		if (is_unread(name) && text->p[1] != '/')
			n += skip_element((struct bytes){ text->p + n, text->n - n }, name);
	} else if (c == '&' && (n = entity(*text, out, &n_out)) > 0) {
		put(excerpt, (struct bytes){ out, n_out });
	} else if (c == ' ' || (c >= '\t' && c <= '\r')) {
		n = 1;
		excerpt->has_space = true;
	} else {
		n = text_utf8_length(text->p, text->n);
		n = n ? n : 1;
		put(excerpt, (struct bytes){ text->p, n });
	}
	*text = (struct bytes){ text->p + n, text->n - n };
}

void excerpt_append(struct bytes text, int64_t max, bool has_ellipsis, struct bytes_buf *out)
{
	struct excerpt excerpt = { .out = out, .start = out->n, .max = max };
	while (text.n && !excerpt.is_cut && !out->failed)
		step(&excerpt, &text);
	while (excerpt.is_cut && !out->failed && out->n > excerpt.start &&
		out->p[out->n - 1] == ' ')
		out->n--;
	if (excerpt.is_cut && has_ellipsis)
		bytes_buf_append_string(out, "...");
}
