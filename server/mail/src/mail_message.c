#include "mail_message.h"

#include "egress_smtp.h"
#include "text_utf8.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define WORD_BYTES 18 /* of text in one encoded word: 3 characters each, and the word below 76 */
#define LINE_MAX   75 /* characters of a quoted-printable line, before its soft break */

/* ---- templates ---- */

static bool append_escaped(struct bytes_buf *out, struct bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		const char *escape = text.p[i] == '&'    ? "&amp;"
				     : text.p[i] == '<'  ? "&lt;"
				     : text.p[i] == '>'  ? "&gt;"
				     : text.p[i] == '"'  ? "&quot;"
				     : text.p[i] == '\'' ? "&#39;"
							 : NULL;
		if (escape ? !bytes_buf_append_string(out, escape)
			   : !bytes_buf_append_byte(out, text.p[i]))
			return false;
	}
	return true;
}

/* The value of the placeholder at the start of text, which begins with '{'; NULL: it is none. */
static const struct mail_value *match(
	struct bytes text, const struct mail_value *values, size_t n_values)
{
	for (size_t i = 0; i < n_values; i++)
		if (text.n >= values[i].name.n + 2 && text.p[values[i].name.n + 1] == '}' &&
			memcmp(text.p + 1, values[i].name.p, values[i].name.n) == 0)
			return &values[i];
	return NULL;
}

bool mail_fill(struct bytes text, const struct mail_value *values, size_t n_values, bool is_html,
	struct bytes_buf *out)
{
	while (text.n > 0) {
		const char *brace = memchr(text.p, '{', text.n);
		size_t n = brace ? (size_t)(brace - text.p) : text.n;
		if (!bytes_buf_append(out, (struct bytes){ text.p, n }))
			return false;
		text = (struct bytes){ text.p + n, text.n - n };
		if (text.n == 0)
			break;
		const struct mail_value *value = match(text, values, n_values);
		size_t skip = value ? value->name.n + 2 : 1;
		bool is_in = !value    ? bytes_buf_append_byte(out, '{')
			     : is_html ? append_escaped(out, value->value)
				       : bytes_buf_append(out, value->value);
		if (!is_in)
			return false;
		text = (struct bytes){ text.p + skip, text.n - skip };
	}
	return true;
}

/* ---- headers ---- */

static bool is_plain(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] >= 127 || strchr("=?\"\\<>()[],;:@", text.p[i]))
			return false;
	/* A header line of 998 characters is the most; 78 is what is asked for. */
	return text.n <= 60;
}

/* RFC 2047, Q: each byte as =XX, in words that are not cut within a character. */
static void append_words(struct bytes_buf *out, struct bytes text)
{
	while (text.n > 0) {
		struct bytes word = text_utf8_prefix(text, WORD_BYTES);
		if (word.n == 0) /* not UTF-8: byte by byte */
			word = (struct bytes){ text.p, 1 };
		(void)bytes_buf_append_string(out, "=?UTF-8?Q?");
		for (size_t i = 0; i < word.n; i++)
			(void)bytes_buf_appendf(out, "=%02X", (unsigned char)word.p[i]);
		(void)bytes_buf_append_string(out, "?=");
		text = (struct bytes){ text.p + word.n, text.n - word.n };
		if (text.n > 0)
			(void)bytes_buf_append_string(out, "\r\n ");
	}
}

static void append_text(struct bytes_buf *out, struct bytes text)
{
	if (is_plain(text))
		(void)bytes_buf_append(out, text);
	else
		append_words(out, text);
}

static void append_date(struct bytes_buf *out, int64_t now_s)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t at = (time_t)now_s;
	struct tm tm = { 0 };

	(void)gmtime_r(&at, &tm);
	(void)bytes_buf_appendf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n",
		days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12], tm.tm_year + 1900,
		tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* ---- the body ---- */

static void append_quoted(struct bytes_buf *out, struct bytes text)
{
	size_t column = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool is_break = c == '\n';
		bool is_literal = (c >= 33 && c <= 126 && c != '=') ||
				  (c == ' ' && i + 1 < text.n && text.p[i + 1] != '\n' &&
					  text.p[i + 1] != '\r');
		if (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n')
			continue;
		if (is_break) {
			(void)bytes_buf_append_string(out, "\r\n");
			column = 0;
			continue;
		}
		if (column + (is_literal ? 1 : 3) > LINE_MAX) {
			(void)bytes_buf_append_string(out, "=\r\n");
			column = 0;
		}
		if (is_literal)
			(void)bytes_buf_append_byte(out, (char)c);
		else
			(void)bytes_buf_appendf(out, "=%02X", c);
		column += is_literal ? 1 : 3;
	}
	(void)bytes_buf_append_string(out, "\r\n");
}

bool mail_compose(const struct mail_message *message, struct bytes_buf *out)
{
	struct bytes from = message->from_address, to = message->to_address;

	if (!egress_smtp_address_is_valid(from) || !egress_smtp_address_is_valid(to))
		return false;
	const char *domain = (const char *)memchr(from.p, '@', from.n) + 1;
	(void)bytes_buf_append_string(out, "From: ");
	append_text(out, message->from_name);
	(void)bytes_buf_appendf(
		out, " <%.*s>\r\nTo: <%.*s>\r\nSubject: ", (int)from.n, from.p, (int)to.n, to.p);
	append_text(out, message->subject);
	(void)bytes_buf_append_string(out, "\r\n");
	append_date(out, message->now_s);
	(void)bytes_buf_appendf(out,
		"Message-ID: <%.*s@%.*s>\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/html; charset=UTF-8\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n"
		"Auto-Submitted: auto-generated\r\n\r\n",
		(int)message->id.n, message->id.p, (int)(from.p + from.n - domain), domain);
	append_quoted(out, message->html);
	return !out->failed;
}
