#include "log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "text_json_writer.h"
#include "text_utf8.h"

/* Kept free at the end of a line for what is only known last. */
#define TAIL_BYTES 96

/* Process-wide on purpose: a log line may come from anywhere, and a process has one standard error.
 */
static _Atomic int least_level = LOG_INFO;
static _Atomic uint64_t n_dropped_lines;

static struct {
	pthread_mutex_t lock;
	int fd;
	enum log_format format;
} output = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .format = LOG_FORMAT_AUTO };

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&least_level, (int)level, memory_order_relaxed);
}

bool log_parse_level(struct bytes name, enum log_level *ret)
{
	for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
		if (bytes_eq_string(name, level_names[i])) {
			*ret = (enum log_level)i;
			return true;
		}
	return false;
}

bool log_is_on(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

static enum log_format settle_format(int fd, enum log_format format)
{
	if (format != LOG_FORMAT_AUTO)
		return format;
	return isatty(fd) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
}

void log_set_output(int fd, enum log_format format)
{
	pthread_mutex_lock(&output.lock);
	output.fd = fd;
	output.format = settle_format(fd, format);
	pthread_mutex_unlock(&output.lock);
}

static enum log_format current_format(void)
{
	pthread_mutex_lock(&output.lock);
	enum log_format format = output.format = settle_format(output.fd, output.format);
	pthread_mutex_unlock(&output.lock);
	return format;
}

uint64_t log_dropped(void)
{
	return atomic_load_explicit(&n_dropped_lines, memory_order_relaxed);
}

/* The bucket as one number: the time at which it is full again. Each line moves that time on by the
 * price of a line; a line that would move it further than a burst ahead of now is one too many. */
static bool take_token(struct log_source *source)
{
	if (!source || source->lines_per_second == 0)
		return true;
	uint64_t price_ns = CLOCK_NS_PER_S / source->lines_per_second;
	uint64_t burst_ns = price_ns * (source->burst_lines ? source->burst_lines : 1);
	uint64_t now_ns = clock_mono_ns();
	uint64_t next_ns = atomic_load_explicit(&source->next_ns, memory_order_relaxed);
	uint64_t after_ns;

	do {
		after_ns = (next_ns > now_ns ? next_ns : now_ns) + price_ns;
		if (after_ns - now_ns > burst_ns) {
			atomic_fetch_add_explicit(&source->n_dropped, 1, memory_order_relaxed);
			atomic_fetch_add_explicit(&n_dropped_lines, 1, memory_order_relaxed);
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&source->next_ns, &next_ns, after_ns, memory_order_relaxed, memory_order_relaxed));
	return true;
}

/* A line while it is built: in JSON or in text, in memory that never grows. */
struct line {
	struct bytes_buf out;
	bool is_json;
	bool is_cut;
};

/* Characters that a terminal or an editor might act on: C0, DEL, C1, line and paragraph separators,
 * and those that turn the direction of writing. Three bytes at most. */
static bool is_active(const char *p, size_t n)
{
	const uint8_t *b = (const uint8_t *)p;

	if (n == 1)
		return b[0] < 0x20 || b[0] == 0x7f;
	if (n == 2)
		return b[0] == 0xc2 && b[1] < 0xa0;
	/* U+2028-202E are e2 80 a8-ae, U+2066-2069 are e2 81 a6-a9. */
	return n == 3 && b[0] == 0xe2 &&
	       ((b[1] == 0x80 && b[2] >= 0xa8 && b[2] <= 0xae) ||
		       (b[1] == 0x81 && b[2] >= 0xa6 && b[2] <= 0xa9));
}

static uint32_t character_of(const char *p, size_t n)
{
	const uint8_t *b = (const uint8_t *)p;

	if (n == 1)
		return b[0];
	if (n == 2)
		return (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
	return (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
}

/* Foreign text without quotation marks. What may not stand as it is becomes a JSON escape, which a
 * person can read too; bytes that are not UTF-8 become U+FFFD. */
static void put_escaped(struct bytes_buf *out, struct bytes text)
{
	for (size_t at = 0, n; at < text.n && !out->failed; at += n) {
		const char *p = text.p + at;
		n = text_utf8_length(p, text.n - at);
		if (n == 0) {
			n = 1;
			bytes_buf_append_string(out, "\\ufffd");
		} else if (*p == '"' || *p == '\\') {
			bytes_buf_append(out, (struct bytes){ (char[]){ '\\', *p }, 2 });
		} else if (*p == '\n') {
			bytes_buf_append_string(out, "\\n");
		} else if (is_active(p, n)) {
			bytes_buf_appendf(out, "\\u%04x", character_of(p, n));
		} else {
			bytes_buf_append(out, (struct bytes){ p, n });
		}
	}
}

static bool is_word(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t byte = (uint8_t)text.p[i];
		if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '=')
			return false;
	}
	return text.n > 0;
}

static void put_key(struct line *line, const char *key)
{
	bytes_buf_append_string(&line->out, line->is_json ? ",\"" : " ");
	bytes_buf_append_string(&line->out, key);
	bytes_buf_append_string(&line->out, line->is_json ? "\":" : "=");
}

/* A key with a text, of which as much goes in as there is room for. */
static void put_text(struct line *line, const char *key, struct bytes text)
{
	size_t start = line->out.n;

	for (;;) {
		bool is_quoted = line->is_json || !is_word(text);
		put_key(line, key);
		if (is_quoted)
			bytes_buf_append_byte(&line->out, '"');
		put_escaped(&line->out, text);
		if (is_quoted)
			bytes_buf_append_byte(&line->out, '"');
		if (!line->out.failed)
			return;
		/* Take it back and try with half of it, down to nothing. */
		line->out.n = start;
		line->out.failed = false;
		line->is_cut = true;
		if (text.n == 0)
			return;
		text = text_utf8_prefix(text, text.n / 2);
	}
}

static void put_number(struct line *line, const char *key, const char *number, size_t n)
{
	size_t start = line->out.n;

	put_key(line, key);
	bytes_buf_append(&line->out, (struct bytes){ number, n });
	if (line->out.failed) {
		line->out.n = start;
		line->out.failed = false;
		line->is_cut = true;
	}
}

static void put_field(struct line *line, const struct log_field *field)
{
	char number[TEXT_JSON_DOUBLE_BYTES];
	int n = 0;

	switch (field->kind) {
	case LOG_KIND_END:
		break;
	case LOG_KIND_TEXT:
		put_text(line, field->key, field->as.text);
		break;
	case LOG_KIND_INT:
		n = snprintf(number, sizeof number, "%lld", (long long)field->as.integer);
		put_number(line, field->key, number, (size_t)n);
		break;
	case LOG_KIND_UINT:
		/* Above int64 as a double, as all JSON that we write. */
		n = field->as.number > INT64_MAX
			    ? (int)text_json_format_double((double)field->as.number, number)
			    : snprintf(number, sizeof number, "%llu",
				      (unsigned long long)field->as.number);
		put_number(line, field->key, number, (size_t)n);
		break;
	case LOG_KIND_DOUBLE:
		put_number(
			line, field->key, number, text_json_format_double(field->as.real, number));
		break;
	case LOG_KIND_BOOL:
		put_number(line, field->key, field->as.truth ? "true" : "false",
			field->as.truth ? 4 : 5);
		break;
	case LOG_KIND_FAULT: {
		const struct err *fault = field->as.fault;
		char place[128];
		(void)snprintf(
			place, sizeof place, "%s:%d", fault->file ? fault->file : "?", fault->line);
		put_text(line, "code", bytes_of(err_name(fault->code)));
		put_text(line, field->key, bytes_of(fault->message));
		put_text(line, "at", bytes_of(place));
		if (fault->os_errno)
			put_text(line, "errno", bytes_of(strerrorname_np(fault->os_errno)));
		break;
	}
	}
}

static void begin_json(struct line *line, const char *time, enum log_level level,
	const char *source, const char *message)
{
	bytes_buf_appendf(
		&line->out, "{\"time\":\"%s\",\"level\":\"%s\"", time, level_names[level]);
	if (source)
		put_text(line, "source", bytes_of(source));
	put_text(line, "message", bytes_of(message));
}

static void begin_text(struct line *line, const char *time, enum log_level level,
	const char *source, const char *message)
{
	/* The day is of no use to somebody who watches: "14:24:25.123". */
	bytes_buf_appendf(&line->out, "%.12s %-5s ", time + 11, level_names[level]);
	if (source) {
		put_escaped(&line->out, bytes_of(source));
		bytes_buf_append_string(&line->out, ": ");
	}
	put_escaped(&line->out, text_utf8_prefix(bytes_of(message), 512));
}

/* Writes the line in one piece, or counts it as dropped: a reader that has stopped must not stop
 * us. Under the lock, what poll says about the room in a pipe still holds at the write. */
static void send_line(struct bytes line)
{
	pthread_mutex_lock(&output.lock);
	struct pollfd poll_fd = { .fd = output.fd, .events = POLLOUT };
	bool is_sent = false;
	if (poll(&poll_fd, 1, 0) == 1 && poll_fd.revents == POLLOUT) {
		ssize_t n;
		do
			n = write(output.fd, line.p, line.n);
		while (n < 0 && errno == EINTR);
		is_sent = n == (ssize_t)line.n;
	}
	pthread_mutex_unlock(&output.lock);
	if (!is_sent)
		atomic_fetch_add_explicit(&n_dropped_lines, 1, memory_order_relaxed);
}

void log_write(enum log_level level, struct log_source *source,
	const uint8_t trace_id[ID_TRACE_BYTES], const char *message, const struct log_field *fields)
{
	assert(level >= LOG_DEBUG && level <= LOG_ERROR);
	if (!log_is_on(level) || !take_token(source))
		return;

	int saved_errno = errno;
	char memory[LOG_LINE_BYTES], time[CLOCK_TEXT_BYTES];
	/* A buffer that is as large as it may become never allocates; so it is not released either.
	 */
	struct line line = { .is_json = current_format() == LOG_FORMAT_JSON };
	line.out.p = memory;
	line.out.cap = line.out.max = sizeof memory - TAIL_BYTES;
	clock_format(clock_wall_us(), time);
	const char *name = source ? source->name : NULL;
	if (line.is_json)
		begin_json(&line, time, level, name, message);
	else
		begin_text(&line, time, level, name, message);
	if (trace_id) {
		char hex[2 * ID_TRACE_BYTES];
		bytes_hex((struct bytes){ (const char *)trace_id, ID_TRACE_BYTES }, hex);
		put_text(&line, "trace", (struct bytes){ hex, sizeof hex });
	}
	for (; fields && fields->kind != LOG_KIND_END; fields++)
		put_field(&line, fields);

	line.out.cap = line.out.max = sizeof memory;
	uint64_t n_dropped =
		source ? atomic_exchange_explicit(&source->n_dropped, 0, memory_order_relaxed) : 0;
	if (n_dropped > 0)
		put_field(&line,
			&(struct log_field){ "dropped", LOG_KIND_UINT, { .number = n_dropped } });
	if (line.is_cut)
		put_field(&line, &(struct log_field){ "cut", LOG_KIND_BOOL, { .truth = true } });
	bytes_buf_append_string(&line.out, line.is_json ? "}\n" : "\n");
	send_line(bytes_buf_view(&line.out));
	errno = saved_errno;
}
