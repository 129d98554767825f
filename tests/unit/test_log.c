#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "text_json_check.h"
#include "unit.h"

/* Lines go into a pipe while a test runs. */
static int pipe_fds[2];

static void open_pipe(enum log_format format)
{
	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fds, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL_FATAL(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
	log_set_output(pipe_fds[1], format);
	log_set_level(LOG_INFO);
}

static void close_pipe(void)
{
	log_set_output(STDERR_FILENO, LOG_FORMAT_AUTO);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* What was written since the last call, terminated. */
static const char *read_all(char *text, size_t cap)
{
	ssize_t n = read(pipe_fds[0], text, cap - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static bool is_json_line(const char *line)
{
	size_t n = strlen(line);

	return n > 0 && line[n - 1] == '\n' &&
	       text_json_check((struct bytes){ line, n - 1 }, &TEXT_JSON_LIMITS, NULL) ==
		       TEXT_JSON_VALID;
}

static void a_line_is_json_with_time_level_source_trace_and_fields(void)
{
	static const uint8_t trace[ID_TRACE_BYTES] = { 0x4b, 0xf9 };
	struct log_source source = LOG_SOURCE("pool");
	struct err err = { 0 };
	char text[8192];

	open_pipe(LOG_FORMAT_JSON);
	ERR_SET(&err, ERR_CORRUPT, "page %d", 7);
	log_write(LOG_WARN, &source, trace, "worker exited",
		LOG_FIELDS(log_string("plugin", "order-rules"), log_int("signal", -11),
			log_uint("bytes", UINT64_MAX), log_double("load", 0.25),
			log_bool("again", true), log_fault(&err)));
	read_all(text, sizeof text);
	CU_ASSERT(is_json_line(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text,
		"Z\",\"level\":\"warn\",\"source\":\"pool\",\"message\":"
		"\"worker exited\",\"trace\":\"4bf90000000000000000000000000000\","
		"\"plugin\":\"order-rules\",\"signal\":-11,\"bytes\":1.8446744073709552e+19,"
		"\"load\":0.25,\"again\":true,\"code\":\"corrupt\",\"fault\":\"page "
		"7\",\"at\":\""));
	close_pipe();
}

static void foreign_bytes_cannot_forge_lines_or_drive_a_terminal(void)
{
	struct bytes hostile = BYTES("a\"}\n{\"level\":\"error\"}\x1b[2J\xc2\x9b"
				     "31m\x7f\xff\\ \xe2\x80\xae \xc3\xa9");
	char text[8192];

	open_pipe(LOG_FORMAT_JSON);
	log_write(LOG_INFO, NULL, NULL, "said", LOG_FIELDS(log_text("line", hostile)));
	read_all(text, sizeof text);
	CU_ASSERT(is_json_line(text));
	CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"a\\\"}\\n{\\\"level\\\":\\\"error\\\"}\\u001b["
					    "2J\\u009b31m\\u007f\\ufffd\\\\ \\u202e \xc3\xa9\""));
	close_pipe();

	open_pipe(LOG_FORMAT_TEXT);
	log_write(LOG_INFO, NULL, NULL, "said\nmore", LOG_FIELDS(log_text("line", hostile)));
	read_all(text, sizeof text);
	CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
	CU_ASSERT_PTR_NULL(strchr(text, '\x1b'));
	CU_ASSERT_PTR_NULL(strstr(text, "\xc2\x9b"));
	close_pipe();
}

static void people_read_text(void)
{
	struct log_source source = LOG_SOURCE("http");
	char text[8192];

	open_pipe(LOG_FORMAT_TEXT);
	log_write(LOG_INFO, &source, NULL, "listening",
		LOG_FIELDS(log_string("address", "127.0.0.1:8090"), log_string("note", "two words"),
			log_string("empty", "")));
	read_all(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text + 12,
		" info  http: listening address=127.0.0.1:8090 note=\"two words\" empty=\"\"\n");
	close_pipe();
}

static void lines_below_the_level_are_not_written(void)
{
	char text[8192];
	enum log_level level;

	open_pipe(LOG_FORMAT_JSON);
	log_write(LOG_DEBUG, NULL, NULL, "unseen", NULL);
	CU_ASSERT_STRING_EQUAL(read_all(text, sizeof text), "");
	CU_ASSERT(log_parse_level(BYTES("debug"), &level));
	CU_ASSERT(!log_parse_level(BYTES("loud"), &level));
	log_set_level(level);
	log_write(LOG_DEBUG, NULL, NULL, "seen", NULL);
	CU_ASSERT(is_json_line(read_all(text, sizeof text)));
	close_pipe();
}

static void a_line_never_passes_its_maximum_and_says_when_it_was_cut(void)
{
	static char filler[20000];
	char text[8192];

	memset(filler, '\x01', sizeof filler);
	for (size_t n = 1; n < sizeof filler; n = n * 3 + 1) {
		open_pipe(LOG_FORMAT_JSON);
		log_write(LOG_INFO, NULL, NULL, "long",
			LOG_FIELDS(log_text("a", (struct bytes){ filler, n }),
				log_text("b", (struct bytes){ filler, n }), log_int("c", 1)));
		read_all(text, sizeof text);
		CU_ASSERT(strlen(text) <= LOG_LINE_BYTES);
		CU_ASSERT(is_json_line(text));
		CU_ASSERT_EQUAL(strstr(text, "\"cut\":true") != NULL, n > 300);
		close_pipe();
	}
}

static void a_source_is_limited_and_tells_how_many_lines_it_lost(void)
{
	struct log_source source = { .name = "noisy", .lines_per_second = 1, .burst_lines = 3 };
	char text[65536];
	int n_lines = 0;

	open_pipe(LOG_FORMAT_JSON);
	uint64_t before = log_dropped();
	for (int i = 0; i < 10; i++)
		log_write(LOG_INFO, &source, NULL, "again", NULL);
	read_all(text, sizeof text);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		n_lines++;
	CU_ASSERT_EQUAL(n_lines, 3);
	CU_ASSERT_EQUAL(log_dropped() - before, 7);
	CU_ASSERT_PTR_NULL(strstr(text, "dropped"));
	/* As if a second had passed. */
	atomic_fetch_sub(&source.next_ns, CLOCK_NS_PER_S);
	log_write(LOG_INFO, &source, NULL, "again", NULL);
	log_write(LOG_INFO, &source, NULL, "again", NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(read_all(text, sizeof text), "\"dropped\":7}\n"));
	close_pipe();
}

static void a_reader_that_stopped_does_not_stop_the_writer(void)
{
	open_pipe(LOG_FORMAT_JSON);
	uint64_t before = log_dropped();
	/* A pipe holds 64 KiB, and nobody reads. */
	for (int i = 0; i < 2000; i++)
		log_write(LOG_INFO, NULL, NULL, "a line of some bytes that nobody reads", NULL);
	CU_ASSERT(log_dropped() > before + 500);
	close_pipe();
}

static void *write_many(void *unused)
{
	for (int i = 0; i < 50; i++)
		log_write(LOG_INFO, NULL, NULL, "from a thread", LOG_FIELDS(log_int("i", i)));
	return unused;
}

static void lines_of_threads_do_not_mix(void)
{
	static char text[65536];
	pthread_t threads[4];
	int n_lines = 0;

	open_pipe(LOG_FORMAT_JSON);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, write_many, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	read_all(text, sizeof text);
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, n_lines++)
		CU_ASSERT_EQUAL(text_json_check((struct bytes){ line, (size_t)(end - line) },
					&TEXT_JSON_LIMITS, NULL),
			TEXT_JSON_VALID);
	CU_ASSERT_EQUAL(n_lines, 200);
	close_pipe();
}

static const struct unit_test tests[] = {
	UNIT(a_line_is_json_with_time_level_source_trace_and_fields),
	UNIT(foreign_bytes_cannot_forge_lines_or_drive_a_terminal),
	UNIT(people_read_text),
	UNIT(lines_below_the_level_are_not_written),
	UNIT(a_line_never_passes_its_maximum_and_says_when_it_was_cut),
	UNIT(a_source_is_limited_and_tells_how_many_lines_it_lost),
	UNIT(a_reader_that_stopped_does_not_stop_the_writer),
	UNIT(lines_of_threads_do_not_mix),
};

UNIT_MAIN("log", tests)
