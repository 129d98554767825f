#include "http.h"
#include "loop.h"
#include "unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT  200000
#define LENGTH 150000

/* A listener whose handler reads bodies by its own pace. */
static struct {
	struct loop *loop;
	struct http *http;
	pthread_t thread;
	int file;
	/* of the request that is read */
	struct http_request *request;
	struct loop_timer timer;
	size_t n_read, n_held; /* n_held: bytes that were left to the listener so far */
	unsigned sum;
	atomic_uint n_aborted, n_done;
} fix;

static void respond(struct http_request *request, unsigned status)
{
	struct bytes body = arena_printf(http_arena(request), "%zu %u", fix.n_read, fix.sum);

	http_respond(
		request, &(struct http_answer){
				 .status = status, .body = body, .body_kind = HTTP_BODY_ARENA });
}

static void on_timer(struct loop_timer *timer)
{
	(void)timer;
	if (fix.request)
		http_resume_body(fix.request);
}

/* Takes at most 5,000 bytes at a time, and a millisecond in between. */
static size_t on_piece(struct http_request *request, struct bytes piece, void *context)
{
	size_t n = piece.n < 5000 ? piece.n : 5000;

	(void)context;
	if (bytes_eq_string(http_path(request), "/early")) {
		respond(request, 400);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		fix.sum += (unsigned char)piece.p[i];
	fix.n_read += n;
	fix.n_held += piece.n - n;
	if (n < piece.n)
		loop_timer_start(fix.loop, &fix.timer, clock_mono_ns() + CLOCK_NS_PER_MS, NULL);
	return n;
}

static void on_abort(struct http_request *request, void *context)
{
	(void)context;
	atomic_fetch_add(&fix.n_aborted, 1);
	fix.request = NULL;
	respond(request, 400);
}

static int64_t on_headers(void *context, struct http_request *request)
{
	(void)context;
	if (bytes_eq_string(http_path(request), "/file"))
		return 0;
	fix.request = request;
	fix.n_read = fix.n_held = fix.sum = 0;
	http_on_abort(request, on_abort, NULL);
	http_stream_body(request, on_piece, NULL);
	return LIMIT;
}

static void on_request(void *context, struct http_request *request)
{
	(void)context;
	CU_ASSERT_EQUAL(http_body(request).n, 0);
	fix.request = NULL;
	if (!bytes_eq_string(http_path(request), "/file")) {
		respond(request, 200);
		return;
	}
	http_respond(request, &(struct http_answer){ .status = 206,
				      .body_kind = HTTP_BODY_FILE,
				      .body_file = { dup(fix.file), 1000, 100000 } });
}

static void on_done(void *context, struct http_request *request, unsigned status, uint64_t n)
{
	(void)context;
	(void)request;
	(void)status;
	(void)n;
	atomic_fetch_add(&fix.n_done, 1);
}

static void make_error(void *context, struct http_request *request, unsigned status,
	const char *message, struct bytes_buf *out)
{
	(void)context;
	(void)request;
	bytes_buf_appendf(out, "{\"status\":%u,\"message\":\"%s\"}", status, message);
}

static void *run(void *loop)
{
	loop_run(loop, NULL);
	return NULL;
}

static void setup(void)
{
	const struct http_config config = { .address = BYTES("127.0.0.1"),
		.connection_limit = 16,
		.header_timeout_ms = 2000,
		.body_timeout_ms = 2000,
		.idle_timeout_ms = 2000,
		.send_timeout_ms = 2000 };
	const struct http_handler handler = { NULL, on_headers, on_request, on_done, make_error };

	memset(&fix, 0, sizeof fix);
	fix.timer.on_fire = on_timer;
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &fix.loop, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(http_open(&config, &fix.loop, 1, &handler, &fix.http, NULL), 0);
	pthread_create(&fix.thread, NULL, run, fix.loop);
}

static void teardown(void)
{
	loop_stop(fix.loop);
	pthread_join(fix.thread, NULL);
	loop_timer_stop(&fix.timer);
	http_close(fix.http);
	loop_free(fix.loop);
}

static int dial(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(http_port(fix.http)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* LENGTH bytes, each with its place modulo 251; the sum of them in *ret_sum. */
static void say_body(int fd, bool is_chunked, unsigned *ret_sum)
{
	static char body[LENGTH];
	char size[32];

	*ret_sum = 0;
	for (size_t i = 0; i < sizeof body; i++) {
		body[i] = (char)(i % 251);
		*ret_sum += (unsigned)(i % 251);
	}
	for (size_t at = 0, n; at < sizeof body; at += n) {
		n = sizeof body - at < 7001 ? sizeof body - at : 7001;
		(void)snprintf(size, sizeof size, "%zx\r\n", n);
		if (is_chunked)
			say(fd, size);
		(void)!send(fd, body + at, n, MSG_NOSIGNAL);
		if (is_chunked)
			say(fd, "\r\n");
	}
	if (is_chunked)
		say(fd, "0\r\n\r\n");
}

/* Reads until the text has come, or nothing more comes. */
static bool hears(int fd, const char *text)
{
	char answer[4096];
	size_t n = 0;

	while (n < sizeof answer - 1) {
		ssize_t got = recv(fd, answer + n, sizeof answer - 1 - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
		answer[n] = '\0';
		if (strstr(answer, text))
			return true;
	}
	return false;
}

static void a_body_is_read_at_the_pace_of_its_reader(void)
{
	for (int is_chunked = 0; is_chunked < 2; is_chunked++) {
		char expected[64];
		unsigned sum;

		setup();
		int fd = dial();
		say(fd, is_chunked
				? "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
				  "chunked\r\n\r\n"
				: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n");
		say_body(fd, is_chunked, &sum);
		(void)snprintf(expected, sizeof expected, "\r\n\r\n%d %u", LENGTH, sum);
		CU_ASSERT(hears(fd, expected));
		CU_ASSERT(fix.n_held > 0);
		close(fd);
		teardown();
	}
}

static void an_early_answer_waits_for_the_end_of_the_body(void)
{
	unsigned sum;

	setup();
	int fd = dial();
	say(fd, "POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n");
	say_body(fd, false, &sum);
	CU_ASSERT(hears(fd, "HTTP/1.1 400 "));
	/* And what comes behind it is a request. */
	say(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	CU_ASSERT(hears(fd, "\r\n\r\n3 294"));
	close(fd);
	teardown();
}

static void a_body_over_the_limit_is_cut_off(void)
{
	static char zeros[65536];

	setup();
	int fd = dial();
	say(fd, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 4; i++) {
		say(fd, "10000\r\n");
		(void)!send(fd, zeros, sizeof zeros, MSG_NOSIGNAL);
		say(fd, "\r\n");
	}
	CU_ASSERT(hears(fd, "HTTP/1.1 413 "));
	close(fd);
	teardown();
	CU_ASSERT_EQUAL(fix.n_aborted, 1);
}

static void a_client_that_leaves_is_told_of_once(void)
{
	static char zeros[30000];

	setup();
	int fd = dial();
	say(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n");
	(void)!send(fd, zeros, sizeof zeros, MSG_NOSIGNAL);
	close(fd);
	for (int i = 0; i < 3000 && atomic_load(&fix.n_aborted) == 0; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(fix.n_aborted, 1);
	for (int i = 0; i < 1000 && atomic_load(&fix.n_done) == 0; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(http_in_flight(fix.http), 0);
	teardown();
	CU_ASSERT_EQUAL(fix.n_aborted, 1);
}

static void a_paused_body_does_not_keep_the_listener_from_closing(void)
{
	static char zeros[30000];

	setup();
	fix.timer.on_fire = on_timer;
	int fd = dial();
	say(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n");
	(void)!send(fd, zeros, sizeof zeros, MSG_NOSIGNAL);
	usleep(2000);
	teardown();
	CU_ASSERT_EQUAL(fix.n_aborted, 1);
	close(fd);
}

static void a_part_of_a_file_is_sent_from_its_descriptor(void)
{
	char name[] = "/tmp/tenon-http-XXXXXX";
	static char content[200000], answer[120000];
	size_t n = 0;

	setup();
	fix.file = mkstemp(name);
	unlink(name);
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (char)(i % 253);
	CU_ASSERT_EQUAL_FATAL(write(fix.file, content, sizeof content), sizeof content);
	int fd = dial();
	say(fd, "GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (ssize_t got; (got = recv(fd, answer + n, sizeof answer - n, 0)) > 0;)
		n += (size_t)got;
	CU_ASSERT(n > 100000);
	CU_ASSERT_PTR_NOT_NULL(memmem(answer, 500, "\r\nContent-Length: 100000\r\n", 26));
	CU_ASSERT(memcmp(answer + n - 100000, content + 1000, 100000) == 0);
	close(fd);
	teardown();
	close(fix.file);
}

static const struct unit_test tests[] = {
	UNIT(a_body_is_read_at_the_pace_of_its_reader),
	UNIT(an_early_answer_waits_for_the_end_of_the_body),
	UNIT(a_body_over_the_limit_is_cut_off),
	UNIT(a_client_that_leaves_is_told_of_once),
	UNIT(a_paused_body_does_not_keep_the_listener_from_closing),
	UNIT(a_part_of_a_file_is_sent_from_its_descriptor),
};

UNIT_MAIN("http_body", tests)
