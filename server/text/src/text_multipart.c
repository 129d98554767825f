/*
 * The delimiter between parts is CR LF "--" and the boundary, whose characters are neither CR nor
 * LF. So the first byte of the delimiter stands nowhere else in it, a failed match can only begin
 * again at the byte that failed, and what was held back is a prefix of the delimiter itself: no
 * byte of the body needs to be kept.
 *
 *   FIRST -> AFTER -> HEADERS -> DATA -> AFTER -> ... -> CLOSING -> TAIL -> DONE
 */
#include "text_multipart.h"

#include <string.h>

#include "text_utf8.h"

enum state {
	STATE_FIRST,   /* the first boundary: its CR LF counts as seen */
	STATE_AFTER,   /* behind a boundary: CR LF or "--" */
	STATE_NEWLINE, /* behind its CR */
	STATE_CLOSING, /* behind the first '-' */
	STATE_HEADERS,
	STATE_DATA,
	STATE_TAIL,         /* behind the last boundary: a CR LF, or nothing */
	STATE_TAIL_NEWLINE, /* behind its CR */
	STATE_DONE,
	STATE_BROKEN
};

/* ---- the boundary ---- */

static bool is_boundary_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("'()+_,-./:=?", c));
}

static struct bytes trim(struct bytes text)
{
	while (text.n && (text.p[0] == ' ' || text.p[0] == '\t'))
		text = (struct bytes){ text.p + 1, text.n - 1 };
	while (text.n && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
		text.n--;
	return text;
}

/* Cuts one ";name=value" off *text; quotation marks come off the value. False when there is none
 * that is well formed. */
static bool take_parameter(struct bytes *text, struct bytes *ret_name, struct bytes *ret_value)
{
	struct bytes rest = trim(*text);

	if (rest.n == 0 || rest.p[0] != ';')
		return false;
	rest = trim((struct bytes){ rest.p + 1, rest.n - 1 });
	const char *equals = rest.n ? memchr(rest.p, '=', rest.n) : NULL;
	if (!equals)
		return false;
	*ret_name = (struct bytes){ rest.p, (size_t)(equals - rest.p) };
	rest = (struct bytes){ equals + 1, rest.n - ret_name->n - 1 };
	if (rest.n && rest.p[0] == '"') {
		const char *close = memchr(rest.p + 1, '"', rest.n - 1);
		if (!close)
			return false;
		*ret_value = (struct bytes){ rest.p + 1, (size_t)(close - rest.p - 1) };
		*text = (struct bytes){ close + 1, rest.n - ret_value->n - 2 };
		return true;
	}
	const char *end = rest.n ? memchr(rest.p, ';', rest.n) : NULL;
	size_t n = end ? (size_t)(end - rest.p) : rest.n;
	*ret_value = trim((struct bytes){ rest.p, n });
	*text = (struct bytes){ rest.p + n, rest.n - n };
	return true;
}

bool text_multipart_boundary(struct bytes content_type, struct bytes *ret)
{
	static const struct bytes type = { "multipart/form-data", 19 };
	struct bytes rest, name, value, boundary = { NULL, 0 };

	if (content_type.n < type.n ||
		!bytes_eq_nocase((struct bytes){ content_type.p, type.n }, type))
		return false;
	rest = trim((struct bytes){ content_type.p + type.n, content_type.n - type.n });
	while (rest.n) {
		if (!take_parameter(&rest, &name, &value))
			return false;
		if (bytes_eq_nocase(name, BYTES("charset")) &&
			bytes_eq_nocase(value, BYTES("utf-8"))) {
			rest = trim(rest);
			continue;
		}
		if (!bytes_eq_nocase(name, BYTES("boundary")) || boundary.p)
			return false;
		boundary = value;
		rest = trim(rest);
	}
	if (boundary.n == 0 || boundary.n > TEXT_MULTIPART_BOUNDARY_MAX)
		return false;
	for (size_t i = 0; i < boundary.n; i++)
		if (!is_boundary_char(boundary.p[i]))
			return false;
	*ret = boundary;
	return true;
}

void text_multipart_init(
	struct text_multipart *multipart, struct bytes boundary, uint32_t max_parts)
{
	size_t n =
		boundary.n < TEXT_MULTIPART_BOUNDARY_MAX ? boundary.n : TEXT_MULTIPART_BOUNDARY_MAX;

	/* Not the header's 2 KiB: n_header says how much of it is there. */
	memset(multipart, 0, offsetof(struct text_multipart, header));
	multipart->part = (struct text_multipart_part){ 0 };
	memcpy(multipart->delimiter, "\r\n--", 4);
	memcpy(multipart->delimiter + 4, boundary.p, n);
	multipart->n_delimiter = 4 + n;
	multipart->n_matched = 2;
	multipart->state = STATE_FIRST;
	multipart->max_parts = max_parts;
}

static enum text_multipart_event broken(struct text_multipart *multipart, const char *reason)
{
	multipart->state = STATE_BROKEN;
	multipart->reason = reason;
	return TEXT_MULTIPART_BROKEN;
}

/* ---- a part's headers ---- */

static bool is_token(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool is_alnum =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		if (!is_alnum && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return text.n > 0;
}

/* A name in quotation marks: UTF-8 that no reader unescapes. */
static bool is_plain_text(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f || text.p[i] == '\\')
			return false;
	return text_utf8_is_valid(text);
}

static const char *read_disposition(struct text_multipart_part *part, struct bytes value)
{
	static const struct bytes type = { "form-data", 9 };
	struct bytes name, text;
	bool has_name = false;

	if (value.n < type.n || !bytes_eq_nocase((struct bytes){ value.p, type.n }, type))
		return "a part is not form-data";
	struct bytes rest = trim((struct bytes){ value.p + type.n, value.n - type.n });
	while (rest.n) {
		const char *quote;
		if (!take_parameter(&rest, &name, &text))
			return "a part's Content-Disposition is malformed";
		quote = text.p - 1; /* there is an '=' at least */
		bool is_file = bytes_eq_nocase(name, BYTES("filename"));
		if (!is_file && !bytes_eq_nocase(name, BYTES("name")))
			return "a part's Content-Disposition has a parameter that is not name or "
			       "filename";
		if (*quote != '"')
			return "a part's name is not in quotation marks";
		if (!is_plain_text(text))
			return "a part's name has a backslash, a control character or bytes that "
			       "are not UTF-8";
		if (is_file ? part->is_file : has_name)
			return "a part's Content-Disposition has a parameter twice";
		*(is_file ? &part->filename : &part->name) = text;
		*(is_file ? &part->is_file : &has_name) = true;
		rest = trim(rest);
	}
	return part->name.n ? NULL : "a part has no name";
}

static const char *read_header(
	struct text_multipart_part *part, bool *has_disposition, struct bytes line)
{
	const char *colon = memchr(line.p, ':', line.n);

	if (!colon)
		return "a part's header has no colon";
	struct bytes name = { line.p, (size_t)(colon - line.p) };
	struct bytes value = trim((struct bytes){ colon + 1, line.n - name.n - 1 });
	if (!is_token(name))
		return "a part's header has a name that is none";
	for (size_t i = 0; i < value.n; i++)
		if (((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
			return "a part's header has a control character";
	if (bytes_eq_nocase(name, BYTES("Content-Disposition"))) {
		if (*has_disposition)
			return "a part has two Content-Dispositions";
		*has_disposition = true;
		return read_disposition(part, value);
	}
	if (bytes_eq_nocase(name, BYTES("Content-Type"))) {
		if (part->type.p)
			return "a part has two Content-Types";
		part->type = value.n ? value : (struct bytes){ "", 0 };
		return NULL;
	}
	if (bytes_eq_nocase(name, BYTES("Content-Transfer-Encoding")) &&
		!bytes_eq_nocase(value, BYTES("binary")) && !bytes_eq_nocase(value, BYTES("8bit")))
		return "a part has a transfer encoding";
	return NULL; /* others say nothing to us */
}

/* The headers are whole: n_header bytes, each line with its CR LF. */
static enum text_multipart_event begin_part(struct text_multipart *multipart)
{
	struct bytes rest = { multipart->header, multipart->n_header };
	bool has_disposition = false;

	multipart->part = (struct text_multipart_part){ 0 };
	while (rest.n > 2) {
		const char *end = memmem(rest.p, rest.n, "\r\n", 2);
		struct bytes line = { rest.p, (size_t)(end - rest.p) };
		const char *reason = read_header(&multipart->part, &has_disposition, line);

		if (reason)
			return broken(multipart, reason);
		rest = (struct bytes){ end + 2, rest.n - line.n - 2 };
	}
	if (!has_disposition)
		return broken(multipart, "a part has no Content-Disposition");
	if (multipart->n_parts == multipart->max_parts)
		return broken(multipart, "there are too many parts");
	multipart->n_parts++;
	multipart->has_part = true;
	multipart->state = STATE_DATA;
	multipart->n_matched = 0;
	return TEXT_MULTIPART_PART;
}

/* Takes header bytes up to the empty line. CR and LF stand only together, and no line is folded. */
static enum text_multipart_event take_headers(struct text_multipart *multipart, struct bytes *piece)
{
	char *header = multipart->header;

	while (piece->n) {
		size_t n = multipart->n_header;
		char c = piece->p[0];
		char last = n ? header[n - 1] : '\n';

		if (n == sizeof multipart->header)
			return broken(multipart, "a part's headers are too long");
		if ((c == '\n') != (n > 0 && last == '\r'))
			return broken(multipart,
				"a part's header has a carriage return or a line feed alone");
		if (last == '\n' && (c == ' ' || c == '\t'))
			return broken(multipart, "a part's header is folded");
		header[multipart->n_header++] = c;
		*piece = (struct bytes){ piece->p + 1, piece->n - 1 };
		n++;
		if (c == '\n' && (n == 2 || (n >= 4 && header[n - 3] == '\n')))
			return begin_part(multipart);
	}
	return TEXT_MULTIPART_MORE;
}

/* ---- data ---- */

/* Gives out a view of the piece's first n bytes. */
static enum text_multipart_event give(struct bytes *piece, size_t n, struct bytes *ret)
{
	*ret = (struct bytes){ piece->p, n };
	*piece = (struct bytes){ piece->p + n, piece->n - n };
	return TEXT_MULTIPART_DATA;
}

static enum text_multipart_event take_data(
	struct text_multipart *multipart, struct bytes *piece, struct bytes *ret)
{
	size_t at;

	if (multipart->n_matched == 0) {
		const char *cr = memchr(piece->p, '\r', piece->n);
		at = cr ? (size_t)(cr - piece->p) : piece->n;
		if (at > 0)
			return give(piece, at, ret);
	}
	for (at = 0; at < piece->n && multipart->n_matched < multipart->n_delimiter; at++) {
		if (piece->p[at] != multipart->delimiter[multipart->n_matched])
			break;
		multipart->n_matched++;
	}
	*piece = (struct bytes){ piece->p + at, piece->n - at };
	if (multipart->n_matched == multipart->n_delimiter) {
		multipart->state = STATE_AFTER;
		return TEXT_MULTIPART_MORE; /* the caller goes on */
	}
	if (piece->n == 0)
		return TEXT_MULTIPART_MORE;
	if (multipart->state == STATE_FIRST)
		return broken(multipart, "the body does not begin with its boundary");
	/* What looked like the delimiter was data. */
	*ret = (struct bytes){ multipart->delimiter, multipart->n_matched };
	multipart->n_matched = 0;
	return TEXT_MULTIPART_DATA;
}

/* One byte behind a boundary or at the end. */
static enum text_multipart_event take_byte(struct text_multipart *multipart, struct bytes *piece)
{
	char c = piece->p[0];

	*piece = (struct bytes){ piece->p + 1, piece->n - 1 };
	switch (multipart->state) {
	case STATE_AFTER:
		if (c != '\r' && c != '-')
			return broken(multipart, "a line begins with the boundary and is none");
		multipart->state = c == '\r' ? STATE_NEWLINE : STATE_CLOSING;
		break;
	case STATE_NEWLINE:
		if (c != '\n')
			return broken(multipart, "a line begins with the boundary and is none");
		multipart->state = STATE_HEADERS;
		multipart->n_header = 0;
		break;
	case STATE_CLOSING:
		if (c != '-')
			return broken(multipart, "a line begins with the boundary and is none");
		multipart->state = STATE_TAIL;
		break;
	case STATE_TAIL:
		if (c != '\r')
			return broken(multipart, "bytes follow the last boundary");
		multipart->state = STATE_TAIL_NEWLINE;
		break;
	case STATE_TAIL_NEWLINE:
		if (c != '\n')
			return broken(multipart, "bytes follow the last boundary");
		multipart->state = STATE_DONE;
		break;
	default:
		return broken(multipart, "bytes follow the last boundary");
	}
	/* The part ends where its boundary is certain. */
	if (multipart->has_part &&
		(multipart->state == STATE_HEADERS || multipart->state == STATE_TAIL)) {
		multipart->has_part = false;
		return TEXT_MULTIPART_PART_END;
	}
	return TEXT_MULTIPART_MORE;
}

enum text_multipart_event text_multipart_next(
	struct text_multipart *multipart, struct bytes *piece, struct bytes *ret_data)
{
	*ret_data = (struct bytes){ NULL, 0 };
	while (piece->n) {
		enum text_multipart_event event;

		switch (multipart->state) {
		case STATE_BROKEN:
			return TEXT_MULTIPART_BROKEN;
		case STATE_FIRST:
		case STATE_DATA:
			event = take_data(multipart, piece, ret_data);
			break;
		case STATE_HEADERS:
			event = take_headers(multipart, piece);
			break;
		default:
			event = take_byte(multipart, piece);
		}
		if (event != TEXT_MULTIPART_MORE)
			return event;
	}
	return multipart->state == STATE_BROKEN ? TEXT_MULTIPART_BROKEN : TEXT_MULTIPART_MORE;
}

bool text_multipart_is_whole(const struct text_multipart *multipart)
{
	return multipart->state == STATE_TAIL || multipart->state == STATE_DONE;
}

const char *text_multipart_reason(const struct text_multipart *multipart)
{
	return multipart->reason ? multipart->reason : "the body ends before its last boundary";
}
