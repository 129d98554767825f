/*
 * The checker is one loop over values with a bit per open level, and a stack of the keys of all
 * objects that are still open:
 *
 *      {"a":1,"b":{"x":1,"y":[{"k":      keys:  a b | x y | k
 *                                         first[1]^   ^     ^first[4]      (a level's first key)
 *
 * A key is 8 bytes there: a hash of its unescaped text, and where it stands. An object of up to
 * LINEAR_KEYS compares each new key with the ones before it; a larger one is left until it closes
 * and is then sorted by (hash, text), which puts equal keys side by side. The hash is seeded per
 * process and only speeds things up: the verdict always comes from the text, and heap sort stays n
 * log n even when all hashes are equal.
 */
#include "text_json_check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "text_scan.h"
#include "text_utf8.h"

#define LINEAR_KEYS 16
#define INLINE_KEYS 128

struct key {
	uint32_t hash;
	uint32_t at; /* offset of the first byte after the quotation mark */
};

struct check {
	const char *start, *p, *end;
	const struct text_json_limits *limits;
	uint64_t seed;
	uint32_t depth, max_depth, n_nodes;
	uint64_t in_object; /* bit d-1: level d is an object */
	uint32_t first[TEXT_JSON_DEPTH_MAX + 1];
	uint32_t n_keys, cap_keys;
	struct key *keys;
	struct key inline_keys[INLINE_KEYS];
};

/* Each step returns VALID or sets p to the offending byte and returns why. */

static enum text_json_verdict refuse(struct check *c, const char *at, enum text_json_verdict why)
{
	c->p = at;
	return why;
}

static void skip_space(struct check *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
		c->p++;
}

/* The process's own random bytes, from the kernel: no state and no system call. */
static uint64_t seed_of_process(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	uint64_t seed = 0x9e3779b97f4a7c15u;

	if (random) {
		uint64_t word;
		memcpy(&word, random, sizeof word);
		/* Multiplied, so that no bits of the C library's own secrets are used as they are.
		 */
		seed ^= word * 0xd6e8feb86659fd93u;
	}
	return seed;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0xff51afd7ed558ccdu;
	return hash ^ hash >> 32;
}

/* The same value for the same unescaped text, however it was written. */
static uint32_t hash_key(const struct check *c, const char *p, size_t n, bool has_escapes)
{
	uint64_t hash = c->seed, word = 0;

	if (!has_escapes) {
		size_t at = 0;
		for (; n - at >= 8; at += 8) {
			memcpy(&word, p + at, 8);
			hash = mix(hash, word);
		}
		word = 0;
		memcpy(&word, p + at, n - at);
		return (uint32_t)mix(mix(hash, word), n);
	}
	struct text_scan_cursor cursor = { .p = p, .end = p + n };
	size_t length = 0;
	for (int byte; (byte = text_scan_next(&cursor)) >= 0;) {
		word |= (uint64_t)byte << length % 8 * 8;
		if (++length % 8 == 0) {
			hash = mix(hash, word);
			word = 0;
		}
	}
	return (uint32_t)mix(mix(hash, word), length);
}

/* Orders by hash, then by unescaped text; 0 only for the same key. */
static int compare_keys(const struct check *c, struct key a, struct key b)
{
	if (a.hash != b.hash)
		return a.hash < b.hash ? -1 : 1;
	struct text_scan_cursor left = { .p = c->start + a.at, .end = c->end };
	struct text_scan_cursor right = { .p = c->start + b.at, .end = c->end };
	for (;;) {
		int l = text_scan_next(&left), r = text_scan_next(&right);
		if (l != r)
			return l < r ? -1 : 1;
		if (l < 0)
			return 0;
	}
}

static void sift_down(const struct check *c, struct key *keys, size_t root, size_t n)
{
	struct key moved = keys[root];

	for (size_t child; (child = 2 * root + 1) < n; root = child) {
		if (child + 1 < n && compare_keys(c, keys[child], keys[child + 1]) < 0)
			child++;
		if (compare_keys(c, moved, keys[child]) >= 0)
			break;
		keys[root] = keys[child];
	}
	keys[root] = moved;
}

static void sort_keys(const struct check *c, struct key *keys, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift_down(c, keys, i, n);
	for (size_t i = n; i-- > 1;) {
		struct key largest = keys[0];
		keys[0] = keys[i];
		keys[i] = largest;
		sift_down(c, keys, 0, i);
	}
}

static enum text_json_verdict grow_keys(struct check *c)
{
	uint32_t cap = c->cap_keys * 2;
	struct key *keys = realloc(c->keys == c->inline_keys ? NULL : c->keys, cap * sizeof *keys);

	if (!keys)
		return refuse(c, c->p, TEXT_JSON_NOMEM);
	if (c->keys == c->inline_keys)
		memcpy(keys, c->inline_keys, sizeof c->inline_keys);
	c->keys = keys;
	c->cap_keys = cap;
	return TEXT_JSON_VALID;
}

/* Notes the key [p, p+n) of the innermost object. */
static enum text_json_verdict note_key(struct check *c, const char *p, size_t n, bool has_escapes)
{
	uint32_t first = c->first[c->depth];
	struct key key = { hash_key(c, p, n, has_escapes), (uint32_t)(p - c->start) };

	if (c->n_keys - first < LINEAR_KEYS)
		for (uint32_t i = first; i < c->n_keys; i++)
			if (c->keys[i].hash == key.hash && compare_keys(c, c->keys[i], key) == 0)
				return refuse(c, p - 1, TEXT_JSON_KEY_TWICE);
	if (c->n_keys == c->cap_keys) {
		enum text_json_verdict verdict = grow_keys(c);
		if (verdict != TEXT_JSON_VALID)
			return verdict;
	}
	c->keys[c->n_keys++] = key;
	return TEXT_JSON_VALID;
}

static enum text_json_verdict close_object(struct check *c)
{
	uint32_t first = c->first[c->depth];
	size_t n = c->n_keys - first;
	struct key *keys = c->keys + first;

	c->n_keys = first;
	if (n <= LINEAR_KEYS)
		return TEXT_JSON_VALID;
	sort_keys(c, keys, n);
	for (size_t i = 1; i < n; i++)
		if (compare_keys(c, keys[i - 1], keys[i]) == 0) {
			uint32_t later = keys[i].at > keys[i - 1].at ? keys[i].at : keys[i - 1].at;
			return refuse(c, c->start + later - 1, TEXT_JSON_KEY_TWICE);
		}
	return TEXT_JSON_VALID;
}

/* Passes over a string; p is behind its opening quotation mark, and afterwards behind the closing
 * one. */
static enum text_json_verdict check_string(struct check *c, bool is_key)
{
	const char *start = c->p, *p = c->p;
	bool has_escapes = false;

	for (;;) {
		p += text_scan_plain(p, (size_t)(c->end - p));
		if (p == c->end)
			return refuse(c, p, TEXT_JSON_TRUNCATED);
		if (*p == '"')
			break;
		if (*p == '\\') {
			uint32_t character;
			const char *at = p;
			enum text_json_verdict verdict = text_scan_escape(&p, c->end, &character);
			if (verdict != TEXT_JSON_VALID)
				return refuse(c, at, verdict);
			if (is_key && character == 0)
				return refuse(c, at, TEXT_JSON_KEY_NUL);
			has_escapes = true;
			continue;
		}
		if ((uint8_t)*p < 0x20)
			return refuse(c, p, TEXT_JSON_CONTROL);
		do {
			size_t n = text_utf8_length(p, (size_t)(c->end - p));
			if (n == 0)
				return refuse(c, p, TEXT_JSON_UTF8);
			p += n;
		} while (p < c->end && (uint8_t)*p >= 0x80);
	}
	c->p = p + 1;
	return is_key ? note_key(c, start, (size_t)(p - start), has_escapes) : TEXT_JSON_VALID;
}

static bool is_digit(const struct check *c, const char *p)
{
	return p < c->end && *p >= '0' && *p <= '9';
}

/* Does the integer of n digits at p, without sign, fit an int64? */
static bool fits_int64(const char *p, size_t n, bool is_negative)
{
	if (n != 19)
		return n < 19;
	return memcmp(p, is_negative ? "9223372036854775808" : "9223372036854775807", 19) <= 0;
}

/* Is the number [start, end), of the grammar, finite as a double? Its first digit other than 0 is
 * worth less than 10^magnitude and at least 10^(magnitude-1). */
static bool is_finite(const char *start, const char *end, int64_t magnitude)
{
	if (magnitude <= 308)
		return true;
	if (magnitude > 309)
		return false;
	/* Between 10^308 and 10^309 the digits decide: the largest double is about 1.798 * 10^308.
	 */
	char copy[TEXT_JSON_NUMBER_MAX + 1];
	memcpy(copy, start, (size_t)(end - start));
	copy[end - start] = '\0';
	double value = strtod(copy, NULL);
	return value - value == 0;
}

static enum text_json_verdict check_number(struct check *c)
{
	const char *start = c->p, *p = c->p;
	bool is_negative = *p == '-', is_integer = true;
	int64_t magnitude = 0, exponent = 0;
	const char *significant = NULL; /* the first digit that is not 0 */

	p += is_negative;
	const char *digits = p, *point;
	if (!is_digit(c, p))
		return refuse(c, p, p == c->end ? TEXT_JSON_TRUNCATED : TEXT_JSON_NUMBER_SYNTAX);
	if (*p == '0')
		p++;
	else
		for (significant = p; is_digit(c, p);)
			p++;
	point = p;
	if (p < c->end && *p == '.') {
		is_integer = false;
		const char *fraction = ++p;
		for (; is_digit(c, p); p++)
			if (!significant && *p != '0')
				significant = p;
		if (p == fraction)
			return refuse(
				c, p, p == c->end ? TEXT_JSON_TRUNCATED : TEXT_JSON_NUMBER_SYNTAX);
	}
	if (p < c->end && (*p == 'e' || *p == 'E')) {
		is_integer = false;
		p++;
		bool is_small = p < c->end && *p == '-';
		p += p < c->end && (*p == '-' || *p == '+');
		const char *power = p;
		for (; is_digit(c, p); p++)
			if (exponent < 100000)
				exponent = exponent * 10 + (*p - '0');
		if (p == power)
			return refuse(
				c, p, p == c->end ? TEXT_JSON_TRUNCATED : TEXT_JSON_NUMBER_SYNTAX);
		exponent = is_small ? -exponent : exponent;
	}
	/* 01, 1x, 0x10, 1.2.3: what is glued to a number makes it a wrong one. */
	if (p < c->end && (is_digit(c, p) || *p == '.' || *p == '+' || *p == '-' ||
				  ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')))
		return refuse(c, p, TEXT_JSON_NUMBER_SYNTAX);
	if (p - start > TEXT_JSON_NUMBER_MAX)
		return refuse(c, start, TEXT_JSON_NUMBER_RANGE);
	if (significant) /* left of the point it counts its place, right of it the zeros before it
			  */
		magnitude = significant < point ? point - significant : point + 1 - significant;
	bool is_kept = is_integer ? fits_int64(digits, (size_t)(p - digits), is_negative)
				  : !significant || is_finite(start, p, magnitude + exponent);
	if (!is_kept)
		return refuse(c, start, TEXT_JSON_NUMBER_RANGE);
	c->p = p;
	return TEXT_JSON_VALID;
}

static enum text_json_verdict check_word(struct check *c, const char *word, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (c->p + i == c->end)
			return refuse(c, c->end, TEXT_JSON_TRUNCATED);
		if (c->p[i] != word[i])
			return refuse(c, c->p + i, TEXT_JSON_SYNTAX);
	}
	c->p += n;
	return TEXT_JSON_VALID;
}

/* Why there is no value at p. */
static enum text_json_verdict refuse_value(struct check *c)
{
	uint8_t byte = (uint8_t)*c->p;

	if (byte >= 0x80 && text_utf8_length(c->p, (size_t)(c->end - c->p)) == 0)
		return TEXT_JSON_UTF8;
	if (byte == '+' || byte == '.' || byte == 'N' || byte == 'I')
		return TEXT_JSON_NUMBER_SYNTAX;
	return TEXT_JSON_SYNTAX;
}

static enum text_json_verdict check_scalar(struct check *c)
{
	switch (*c->p) {
	case '"':
		c->p++;
		return check_string(c, false);
	case 't':
		return check_word(c, "true", 4);
	case 'f':
		return check_word(c, "false", 5);
	case 'n':
		return check_word(c, "null", 4);
	default:
		return *c->p == '-' || is_digit(c, c->p) ? check_number(c) : refuse_value(c);
	}
}

static enum text_json_verdict open_level(struct check *c, bool is_object)
{
	if (c->depth == c->max_depth)
		return TEXT_JSON_DEPTH;
	c->p++;
	c->depth++;
	uint64_t bit = 1ull << (c->depth - 1);
	c->in_object = is_object ? c->in_object | bit : c->in_object & ~bit;
	c->first[c->depth] = c->n_keys;
	return TEXT_JSON_VALID;
}

static bool is_in_object(const struct check *c)
{
	return c->in_object >> (c->depth - 1) & 1;
}

/* A key and its colon; p is at what should be the opening quotation mark. */
static enum text_json_verdict check_member_name(struct check *c)
{
	skip_space(c);
	if (c->p == c->end)
		return TEXT_JSON_TRUNCATED;
	if (*c->p != '"')
		return TEXT_JSON_SYNTAX;
	c->p++;
	enum text_json_verdict verdict = check_string(c, true);
	if (verdict != TEXT_JSON_VALID)
		return verdict;
	skip_space(c);
	if (c->p == c->end)
		return TEXT_JSON_TRUNCATED;
	if (*c->p != ':')
		return TEXT_JSON_SYNTAX;
	c->p++;
	return TEXT_JSON_VALID;
}

/* Closes levels as long as the bytes do. On VALID the document is over (depth 0) or another value
 * is to be read: of an array, or of a member whose name has been read. */
static enum text_json_verdict after_value(struct check *c)
{
	while (c->depth > 0) {
		skip_space(c);
		if (c->p == c->end)
			return TEXT_JSON_TRUNCATED;
		bool is_object = is_in_object(c);
		if (*c->p == ',') {
			c->p++;
			return is_object ? check_member_name(c) : TEXT_JSON_VALID;
		}
		if (*c->p != (is_object ? '}' : ']'))
			return TEXT_JSON_SYNTAX;
		c->p++;
		if (is_object) {
			enum text_json_verdict verdict = close_object(c);
			if (verdict != TEXT_JSON_VALID)
				return verdict;
		}
		c->depth--;
	}
	return TEXT_JSON_VALID;
}

/* One value and what follows it. For an opening bracket only its first member or item is prepared.
 */
static enum text_json_verdict check_value(struct check *c)
{
	skip_space(c);
	if (c->p == c->end)
		return c->n_nodes == 0 ? TEXT_JSON_EMPTY : TEXT_JSON_TRUNCATED;
	if (c->n_nodes == c->limits->max_nodes)
		return TEXT_JSON_NODES;
	c->n_nodes++;
	enum text_json_verdict verdict;
	if (*c->p == '{' || *c->p == '[') {
		bool is_object = *c->p == '{';
		verdict = open_level(c, is_object);
		if (verdict != TEXT_JSON_VALID)
			return verdict;
		skip_space(c);
		if (c->p == c->end)
			return TEXT_JSON_TRUNCATED;
		if (*c->p != (is_object ? '}' : ']'))
			return is_object ? check_member_name(c) : TEXT_JSON_VALID;
	} else {
		verdict = check_scalar(c);
		if (verdict != TEXT_JSON_VALID)
			return verdict;
	}
	return after_value(c);
}

static enum text_json_verdict check_document(struct check *c)
{
	size_t n = (size_t)(c->end - c->start);

	if (n > c->limits->max_bytes || n > TEXT_JSON_BYTES_MAX)
		return TEXT_JSON_SIZE;
	if (n >= 3 && memcmp(c->p, "\xef\xbb\xbf", 3) == 0)
		return TEXT_JSON_BOM;
	do {
		enum text_json_verdict verdict = check_value(c);
		if (verdict != TEXT_JSON_VALID)
			return verdict;
	} while (c->depth > 0);
	skip_space(c);
	return c->p == c->end ? TEXT_JSON_VALID : TEXT_JSON_TRAILING;
}

enum text_json_verdict text_json_check(
	struct bytes doc, const struct text_json_limits *limits, size_t *ret_offset)
{
	/* Not initialised as a whole: the key stack alone is 1 KiB, and is written before it is
	 * read. */
	struct check c;

	c.start = c.p = doc.n ? doc.p : "";
	c.end = c.start + doc.n;
	c.limits = limits;
	c.seed = seed_of_process();
	c.depth = c.n_nodes = c.n_keys = 0;
	c.max_depth =
		limits->max_depth < TEXT_JSON_DEPTH_MAX ? limits->max_depth : TEXT_JSON_DEPTH_MAX;
	c.in_object = 0;
	c.cap_keys = INLINE_KEYS;
	c.keys = c.inline_keys;

	enum text_json_verdict verdict = check_document(&c);
	if (ret_offset)
		*ret_offset = (size_t)(c.p - c.start);
	if (c.keys != c.inline_keys)
		free(c.keys);
	return verdict;
}

const char *text_json_reason(enum text_json_verdict verdict)
{
	static const char *const reasons[] = {
		[TEXT_JSON_VALID] = "valid",
		[TEXT_JSON_EMPTY] = "no value at all",
		[TEXT_JSON_TRUNCATED] = "the text ends inside a value",
		[TEXT_JSON_SYNTAX] = "a character that may not stand here",
		[TEXT_JSON_TRAILING] = "something after the value",
		[TEXT_JSON_BOM] = "a byte order mark",
		[TEXT_JSON_UTF8] = "not UTF-8",
		[TEXT_JSON_CONTROL] = "a control character that is not escaped",
		[TEXT_JSON_ESCAPE] = "an escape that does not exist",
		[TEXT_JSON_SURROGATE] = "half a surrogate pair",
		[TEXT_JSON_KEY_NUL] = "a NUL in a key",
		[TEXT_JSON_KEY_TWICE] = "a key that its object has already",
		[TEXT_JSON_NUMBER_SYNTAX] = "not a number as JSON writes it",
		[TEXT_JSON_NUMBER_RANGE] = "a number out of range",
		[TEXT_JSON_DEPTH] = "too deeply nested",
		[TEXT_JSON_NODES] = "too many values",
		[TEXT_JSON_SIZE] = "too long",
		[TEXT_JSON_NOMEM] = "no memory for the check",
	};
	size_t i = (size_t)verdict;

	return i < sizeof reasons / sizeof reasons[0] ? reasons[i] : "unknown";
}
