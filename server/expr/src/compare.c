/*
 * compare.c - two values compared as SQLite compares them
 *
 * What term.c and compile.c write in SQL stands here once more, in C: each case of equality_of(),
 * the affinities of the two sides, null as a third truth, LIKE. The two are held together by a
 * property test.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "text_utf8.h"

static const struct expr_value empty = { .type = EXPR_VALUE_TEXT, .text = { "", 0 } };

/* ---- affinity and order ---- */

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t digits(struct bytes text, size_t at)
{
	while (at < text.n && text.p[at] >= '0' && text.p[at] <= '9')
		at++;
	return at;
}

/* [space] [sign] digits [. digits] [e [sign] digits] [space] */
bool value_number(const struct expr_value *value, struct expr_value *ret)
{
	struct bytes text = value->text;
	*ret = *value;
	if (value->type != EXPR_VALUE_TEXT)
		return value->type != EXPR_VALUE_NULL;
	while (text.n && is_space(text.p[0])) {
		text.p++;
		text.n--;
	}
	while (text.n && is_space(text.p[text.n - 1]))
		text.n--;
	size_t start = text.n && (text.p[0] == '-' || text.p[0] == '+');
	size_t at = digits(text, start), n = at - start;
	bool is_whole = true;
	if (at < text.n && text.p[at] == '.') {
		size_t end = digits(text, at + 1);
		n += end - at - 1;
		at = end;
		is_whole = false;
	}
	if (n > 0 && at < text.n && (text.p[at] == 'e' || text.p[at] == 'E')) {
		size_t sign = at + 1 < text.n && (text.p[at + 1] == '-' || text.p[at + 1] == '+');
		size_t end = digits(text, at + 1 + sign);
		if (end == at + 1 + sign)
			return false;
		at = end;
		is_whole = false;
	}
	char copy[400];
	if (n == 0 || at != text.n || !bytes_to_string(text, copy, sizeof(copy)))
		return false;
	*ret = (struct expr_value){ .type = EXPR_VALUE_REAL, .real = strtod(copy, NULL) };
	if (is_whole && n <= 18)
		*ret = (struct expr_value){ .type = EXPR_VALUE_INTEGER,
			.integer = strtoll(copy, NULL, 10) };
	return true;
}

static bool make_text(struct expr_value *value, struct arena *arena)
{
	if (value->type == EXPR_VALUE_NULL || value->type == EXPR_VALUE_TEXT)
		return true;
	if (!value_text(value, arena, &value->text))
		return false;
	value->type = EXPR_VALUE_TEXT;
	return true;
}

/* SQLite's rule for a comparison: with two columns only numbers matter, with one its own affinity
 * holds for both sides. */
static bool apply_affinity(struct expr_value *a, enum affinity a_affinity, struct expr_value *b,
	enum affinity b_affinity, struct arena *arena)
{
	bool is_numeric = a_affinity == AFFINITY_NUMERIC || b_affinity == AFFINITY_NUMERIC;
	bool is_pair = a_affinity != AFFINITY_NONE && b_affinity != AFFINITY_NONE;
	bool is_text = a_affinity == AFFINITY_TEXT || b_affinity == AFFINITY_TEXT;
	struct expr_value number;
	if (is_numeric) {
		if (value_number(a, &number))
			*a = number;
		if (value_number(b, &number))
			*b = number;
		return true;
	}
	return is_pair || !is_text || (make_text(a, arena) && make_text(b, arena));
}

static int compare_numbers(const struct expr_value *a, const struct expr_value *b)
{
	if (a->type == EXPR_VALUE_INTEGER && b->type == EXPR_VALUE_INTEGER)
		return (a->integer > b->integer) - (a->integer < b->integer);
	long double x = a->type == EXPR_VALUE_INTEGER ? (long double)a->integer : a->real;
	long double y = b->type == EXPR_VALUE_INTEGER ? (long double)b->integer : b->real;
	return (x > y) - (x < y);
}

/* Numbers come before text. Neither is null. */
static int order(const struct expr_value *a, const struct expr_value *b)
{
	bool a_is_text = a->type == EXPR_VALUE_TEXT, b_is_text = b->type == EXPR_VALUE_TEXT;
	if (a_is_text != b_is_text)
		return a_is_text - b_is_text;
	return a_is_text ? bytes_cmp(a->text, b->text) : compare_numbers(a, b);
}

static bool is_same(const struct expr_value *a, const struct expr_value *b)
{
	bool a_is_null = a->type == EXPR_VALUE_NULL, b_is_null = b->type == EXPR_VALUE_NULL;
	if (a_is_null || b_is_null)
		return a_is_null == b_is_null;
	return order(a, b) == 0;
}

/* ---- equality ---- */

static enum truth of(bool is_true)
{
	return is_true ? TRUTH_TRUE : TRUTH_FALSE;
}

static struct expr_value folded(struct expr_value value)
{
	return value.type == EXPR_VALUE_NULL ? empty : value;
}

/* a = b, or a IS NOT b. */
static enum truth direct(bool is_equal, const struct expr_value *a, const struct expr_value *b)
{
	if (is_equal && (a->type == EXPR_VALUE_NULL || b->type == EXPR_VALUE_NULL))
		return TRUTH_NULL;
	return of(is_same(a, b) == is_equal);
}

/* As with_request() has it: the value that the request brings counts as "" when it is null. */
static enum truth with_request(bool is_equal, const struct term *x, struct expr_value value,
	struct expr_value sent, struct arena *arena)
{
	sent = folded(sent);
	if (value.type == EXPR_VALUE_NULL && is_same(&sent, &empty))
		return of(is_equal);
	if (!apply_affinity(&value, x->affinity, &sent, AFFINITY_NONE, arena))
		return TRUTH_UNKNOWN;
	return direct(is_equal, &value, &sent);
}

static enum truth equal(bool is_equal, const struct term *a, const struct term *b,
	struct expr_value a_value, struct expr_value b_value, struct arena *arena)
{
	enum equality equality = equality_of(a, b);
	switch (equality) {
	case EQUALITY_CERTAIN:
		return of(is_equal);
	case EQUALITY_EMPTY:
		a_value = folded(a->is_empty ? b_value : a_value);
		return of(is_same(&a_value, &empty) == is_equal);
	case EQUALITY_REQUEST:
		return a->is_request ? with_request(is_equal, b, b_value, a_value, arena)
				     : with_request(is_equal, a, a_value, b_value, arena);
	case EQUALITY_FOLDED:
		a_value = folded(a_value);
		b_value = folded(b_value);
		return of(is_same(&a_value, &b_value) == is_equal);
	default:
		break;
	}
	bool is_direct = equality == EQUALITY_DIRECT;
	if (is_direct && a->is_empty)
		a_value = empty;
	if (is_direct && b->is_empty)
		b_value = empty;
	if (!apply_affinity(&a_value, a->affinity, &b_value, b->affinity, arena))
		return TRUTH_UNKNOWN;
	return is_direct ? direct(is_equal, &a_value, &b_value)
			 : of(is_same(&a_value, &b_value) == is_equal);
}

/* ---- LIKE ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static size_t character(struct bytes text, size_t at)
{
	size_t n = text_utf8_length(text.p + at, text.n - at);
	return n ? n : 1;
}

/* Whether the one character at *p of the pattern, not a %, is the one at *t of the text; moves both
 * behind it. */
static bool match_one(struct bytes pattern, size_t *p, struct bytes text, size_t *t)
{
	if (*t == text.n)
		return false;
	if (pattern.p[*p] == '_') {
		++*p;
		*t += character(text, *t);
		return true;
	}
	if (pattern.p[*p] == '\\' && ++*p == pattern.n)
		return false;
	size_t n = character(pattern, *p);
	if (n > text.n - *t)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(pattern.p[*p + i]) != lower(text.p[*t + i]))
			return false;
	*p += n;
	*t += n;
	return true;
}

/* When it does not fit, the last % takes one character more. */
static bool matches(struct bytes pattern, struct bytes text)
{
	size_t p = 0, t = 0, after = SIZE_MAX, from = 0;
	while (p < pattern.n || t < text.n) {
		size_t p_next = p, t_next = t;
		if (p < pattern.n && pattern.p[p] == '%') {
			after = ++p;
			from = t;
		} else if (p < pattern.n && match_one(pattern, &p_next, text, &t_next)) {
			p = p_next;
			t = t_next;
		} else if (after != SIZE_MAX && from < text.n) {
			from += character(text, from);
			p = after;
			t = from;
		} else {
			return false;
		}
	}
	return true;
}

static bool make_shown(const struct term *term, struct expr_value *value, struct arena *arena)
{
	bool is_shown = term->kind == TERM_COLUMN && term->field.type == EXPR_NUMBER;
	if (value->type == EXPR_VALUE_NULL)
		return true;
	if (!(is_shown ? value_shown(value, arena, &value->text)
		       : value_text(value, arena, &value->text)))
		return false;
	value->type = EXPR_VALUE_TEXT;
	return true;
}

/* What is in the row becomes a pattern by a % on either side, unless it is too long for one. */
static bool make_pattern(const struct term *term, struct expr_value *value, struct arena *arena)
{
	if (!make_shown(term, value, arena))
		return false;
	if (value->type == EXPR_VALUE_NULL || term_is_bound_pattern(term))
		return true;
	size_t n = 0;
	for (size_t i = 0; i < value->text.n; i++)
		n += ((unsigned char)value->text.p[i] & 0xc0) != 0x80;
	if (n > PATTERN_CHARACTERS) {
		*value = (struct expr_value){ 0 };
		return true;
	}
	value->text = arena_printf(arena, "%%%.*s%%", (int)value->text.n, value->text.p);
	return value->text.p;
}

static enum truth like(bool is_like, const struct term *a, const struct term *b,
	struct expr_value a_value, struct expr_value b_value, struct arena *arena)
{
	if (!make_shown(a, &a_value, arena) || !make_pattern(b, &b_value, arena))
		return TRUTH_UNKNOWN;
	if (a_value.type == EXPR_VALUE_NULL || b_value.type == EXPR_VALUE_NULL)
		return TRUTH_NULL;
	return of(matches(b_value.text, a_value.text) == is_like);
}

enum truth value_compare(enum compare_op op, const struct term *a, const struct term *b,
	struct expr_value a_value, struct expr_value b_value, struct arena *arena)
{
	if (op == OP_EQ || op == OP_NE)
		return equal(op == OP_EQ, a, b, a_value, b_value, arena);
	if (op == OP_LIKE || op == OP_NOT_LIKE)
		return like(op == OP_LIKE, a, b, a_value, b_value, arena);
	if (!apply_affinity(&a_value, a->affinity, &b_value, b->affinity, arena))
		return TRUTH_UNKNOWN;
	if (a_value.type == EXPR_VALUE_NULL || b_value.type == EXPR_VALUE_NULL)
		return TRUTH_NULL;
	int sign = order(&a_value, &b_value);
	switch (op) {
	case OP_LT:
		return of(sign < 0);
	case OP_LE:
		return of(sign <= 0);
	case OP_GT:
		return of(sign > 0);
	default:
		return of(sign >= 0);
	}
}
