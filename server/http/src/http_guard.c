#include "http_guard.h"

#include "text_utf8.h"

#include <string.h>

/*
 * One letter for each ASCII byte:
 *   h  may stand in a host name, a token and a target
 *   t  in a token (RFC 9110: methods, header names) and a target
 *   n  in a token only: '#' ends a URI and never travels in a target
 *   u  in a target only
 *   .  in none of them: controls, space, backslash
 */
static const char class_of[128 + 1] = "................" /* 00 */
				      "................" /* 10 */
				      ".tunttttuuttuhhu" /* 20  !"#$%&'()*+,-./ */
				      "hhhhhhhhhhuuuuuu" /* 30 0123456789:;<=>? */
				      "uhhhhhhhhhhhhhhh" /* 40 @ABCDEFGHIJKLMNO */
				      "hhhhhhhhhhhu.uth" /* 50 PQRSTUVWXYZ[\]^_ */
				      "thhhhhhhhhhhhhhh" /* 60 `abcdefghijklmno */
				      "hhhhhhhhhhhutut." /* 70 pqrstuvwxyz{|}~  */;

static bool is_token_byte(unsigned char c)
{
	return c < 128 && (class_of[c] == 'h' || class_of[c] == 't' || class_of[c] == 'n');
}

static bool is_target_byte(unsigned char c)
{
	return c < 128 && class_of[c] != '.' && class_of[c] != 'n';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static struct http_guard_verdict refuse(unsigned status, const char *reason)
{
	return (struct http_guard_verdict){ .status = status, .reason = reason };
}

static const struct http_guard_verdict pass = { 0 };

/* ---- request line ---- */
static bool find_method(struct bytes name, enum http_method *ret)
{
	for (int i = 0; i < HTTP_METHODS; i++)
		if (bytes_eq_string(name, http_method_name((enum http_method)i))) {
			*ret = (enum http_method)i;
			return true;
		}
	return false;
}

/* One decoding step ahead: what the path will be once its segments are decoded. */
struct segment_scan {
	size_t n;      /* decoded bytes of the current segment */
	size_t n_dots; /* how many of them are dots */
};

/* True when a segment ends that a file system or a proxy would resolve or drop. */
static bool is_special_segment(const struct segment_scan *segment)
{
	return segment->n > 0 && segment->n <= 2 && segment->n_dots == segment->n;
}

static struct http_guard_verdict check_path(struct bytes path)
{
	struct segment_scan segment = { 0 };

	for (size_t i = 1; i < path.n; i++) {
		unsigned char c = (unsigned char)path.p[i];

		if (c == '/') {
			if (segment.n == 0)
				return refuse(400, "The path has an empty segment.");
			if (is_special_segment(&segment))
				return refuse(400, "The path has a dot segment.");
			segment = (struct segment_scan){ 0 };
			continue;
		}
		if (c == '%') {
			/* check_escapes has seen that two digits follow. */
			c = (unsigned char)(hex_digit(path.p[i + 1]) << 4 |
					    hex_digit(path.p[i + 2]));
			i += 2;
			if (c == '/' || c == '\\')
				return refuse(400, "The path has an encoded slash.");
		}
		segment.n++;
		segment.n_dots += c == '.';
	}
	if (is_special_segment(&segment))
		return refuse(400, "The path has a dot segment.");
	return pass;
}

/* Every percent sign is followed by two digits, no control character is hidden behind one, and the
 * decoded bytes of each run are UTF-8. target is at most HTTP_GUARD_TARGET_BYTES long. */
static struct http_guard_verdict check_escapes(struct bytes target)
{
	char run[HTTP_GUARD_TARGET_BYTES / 3];
	size_t n = 0;

	for (size_t i = 0; i < target.n;) {
		if (target.p[i] != '%') {
			/* Raw bytes are ASCII: they can neither start nor end a character. */
			if (n > 0 && !text_utf8_is_valid((struct bytes){ run, n }))
				return refuse(400, "The target is not UTF-8.");
			n = 0;
			i++;
			continue;
		}
		int high = target.n - i > 2 ? hex_digit(target.p[i + 1]) : -1;
		int low = target.n - i > 2 ? hex_digit(target.p[i + 2]) : -1;

		if (high < 0 || low < 0)
			return refuse(400, "The target has a broken percent sign.");
		int c = high << 4 | low;

		if (c < 32 || c == 127)
			return refuse(400, "The target has an encoded control character.");
		run[n++] = (char)c;
		i += 3;
	}
	if (n > 0 && !text_utf8_is_valid((struct bytes){ run, n }))
		return refuse(400, "The target is not UTF-8.");
	return pass;
}

static struct http_guard_verdict check_target(struct bytes target)
{
	struct http_guard_verdict verdict;
	size_t path_n = target.n, n_pairs = 1;
	bool has_escapes = false;

	if (target.n > HTTP_GUARD_TARGET_BYTES)
		return refuse(414, "The request target is longer than 12 KiB.");
	if (target.n == 0 || target.p[0] != '/')
		return refuse(400, "The request target is not a path.");
	for (size_t i = 0; i < target.n; i++) {
		char c = target.p[i];

		if (!is_target_byte((unsigned char)c))
			return refuse(400, "The request target has a byte that must be encoded.");
		has_escapes = has_escapes || c == '%';
		n_pairs += c == '&';
		if (c == '?' && path_n == target.n)
			path_n = i;
	}
	if (n_pairs > HTTP_GUARD_QUERY_PAIRS)
		return refuse(414, "The query has more than 500 pairs.");
	if (has_escapes && (verdict = check_escapes(target)).status)
		return verdict;
	return check_path((struct bytes){ target.p, path_n });
}

/* ---- headers ---- */

/* What must be counted over the whole list. */
struct tally {
	struct http_guard_verdict *verdict;
	size_t n_bytes, n_cookies;
	unsigned n_hosts, n_lengths, n_encodings;
	bool is_http_1_0;
};

/* A host name, an IPv4 address or a bracketed IPv6 address, and perhaps a port. */
static bool is_host(struct bytes value)
{
	size_t i = 0;

	if (value.n > 0 && value.p[0] == '[') {
		for (i = 1; i < value.n &&
			    (hex_digit(value.p[i]) >= 0 || value.p[i] == ':' || value.p[i] == '.');
			i++)
			;
		if (i < 3 || i == value.n || value.p[i] != ']')
			return false;
		i++;
	} else {
		while (i < value.n && (unsigned char)value.p[i] < 128 &&
			class_of[(unsigned char)value.p[i]] == 'h')
			i++;
		if (i == 0 || i > 255)
			return false;
	}
	if (i == value.n)
		return true;
	if (value.p[i] != ':' || value.n - i > 6)
		return false;
	for (i++; i < value.n; i++)
		if (!is_digit(value.p[i]))
			return false;
	return true;
}

static struct http_guard_verdict check_host(struct tally *tally, struct bytes value)
{
	if (++tally->n_hosts > 1)
		return refuse(400, "There is more than one Host.");
	if (!is_host(value))
		return refuse(400, "Host is not a host name.");
	return pass;
}

static struct http_guard_verdict check_length(struct tally *tally, struct bytes value)
{
	uint64_t length = 0;

	if (++tally->n_lengths > 1)
		return refuse(400, "There is more than one Content-Length.");
	if (value.n == 0)
		return refuse(400, "Content-Length is not a number.");
	for (size_t i = 0; i < value.n; i++) {
		if (!is_digit(value.p[i]))
			return refuse(400, "Content-Length is not a number.");
		/* Beyond any limit of ours, and still far from where 64 bits end. */
		if (length < UINT64_MAX / 100)
			length = length * 10 + (uint64_t)(value.p[i] - '0');
	}
	if (length >= UINT64_MAX / 100)
		return refuse(413, "The body is too large.");
	tally->verdict->has_length = true;
	tally->verdict->length_bytes = length;
	return pass;
}

static struct http_guard_verdict check_encoding(struct tally *tally, struct bytes value)
{
	if (++tally->n_encodings > 1)
		return refuse(400, "There is more than one Transfer-Encoding.");
	if (tally->is_http_1_0)
		return refuse(400, "HTTP/1.0 has no Transfer-Encoding.");
	if (!bytes_eq_nocase(value, BYTES("chunked")))
		return refuse(400, "The only Transfer-Encoding is chunked.");
	tally->verdict->is_chunked = true;
	return pass;
}

static struct http_guard_verdict check_expect(struct tally *tally, struct bytes value)
{
	if (!bytes_eq_nocase(value, BYTES("100-continue")))
		return refuse(417, "The only expectation is 100-continue.");
	tally->verdict->expects_continue = true;
	return pass;
}

static struct http_guard_verdict check_cookie(struct tally *tally, struct bytes value)
{
	tally->n_cookies++;
	for (size_t i = 0; i < value.n; i++)
		tally->n_cookies += value.p[i] == ';';
	if (tally->n_cookies > HTTP_GUARD_COOKIES)
		return refuse(431, "There are more than 64 cookies.");
	return pass;
}

static const struct {
	struct bytes name;
	struct http_guard_verdict (*check)(struct tally *tally, struct bytes value);
} header_checks[] = {
	{ { "Host", 4 }, check_host },
	{ { "Content-Length", 14 }, check_length },
	{ { "Transfer-Encoding", 17 }, check_encoding },
	{ { "Expect", 6 }, check_expect },
	{ { "Cookie", 6 }, check_cookie },
};

static struct http_guard_verdict check_header(struct tally *tally, const struct http_header *header)
{
	if (header->name.n == 0)
		return refuse(400, "A header has no name.");
	for (size_t i = 0; i < header->name.n; i++)
		if (!is_token_byte((unsigned char)header->name.p[i]))
			return refuse(400, "A header name has a byte that it may not have.");
	for (size_t i = 0; i < header->value.n; i++) {
		unsigned char c = (unsigned char)header->value.p[i];

		if ((c < 32 && c != '\t') || c == 127)
			return refuse(400, "A header value has a control character.");
	}
	tally->n_bytes += header->name.n + header->value.n;
	if (tally->n_bytes > HTTP_GUARD_HEAD_BYTES)
		return refuse(431, "The headers are longer than 16 KiB.");
	for (size_t i = 0; i < sizeof header_checks / sizeof header_checks[0]; i++)
		if (bytes_eq_nocase(header->name, header_checks[i].name))
			return header_checks[i].check(tally, header->value);
	return pass;
}

struct http_guard_verdict http_guard_check(const struct http_guard_head *head)
{
	struct http_guard_verdict verdict = { 0 }, refusal;
	struct tally tally = { .verdict = &verdict };

	if (!find_method(head->method, &verdict.method))
		return refuse(501, "The method is not one that is implemented here.");
	tally.is_http_1_0 = bytes_eq(head->version, BYTES("HTTP/1.0"));
	if (!tally.is_http_1_0 && !bytes_eq(head->version, BYTES("HTTP/1.1")))
		return refuse(505, "The version is neither HTTP/1.1 nor HTTP/1.0.");
	if (head->n_headers > HTTP_GUARD_HEADERS)
		return refuse(431, "There are more than 100 headers.");
	refusal = check_target(head->target);
	if (refusal.status)
		return refusal;
	for (size_t i = 0; i < head->n_headers; i++) {
		refusal = check_header(&tally, &head->headers[i]);
		if (refusal.status)
			return refusal;
	}
	if (tally.n_lengths > 0 && tally.n_encodings > 0)
		return refuse(400, "There are both Content-Length and Transfer-Encoding.");
	if (tally.n_hosts == 0 && !tally.is_http_1_0)
		return refuse(400, "There is no Host.");
	if (verdict.expects_continue && !verdict.is_chunked && verdict.length_bytes == 0)
		return refuse(417, "100-continue is expected, but no body is announced.");
	return verdict;
}
