#include "http.h"
#include "http_forward.h"
#include "http_guard.h"
#include "loop.h"
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the guard: one row, one verdict ---- */
#define HEADER(name, value)                                                                        \
	{                                                                                          \
		{ name, sizeof(name) - 1 },                                                        \
		{                                                                                  \
			value, sizeof(value) - 1                                                   \
		}                                                                                  \
	}
#define HOST HEADER("Host", "shop.example:8090")

struct guard_row {
	unsigned status;
	const char *method, *target, *version;
	struct http_header headers[4];
};

static const struct guard_row guard_rows[] = {
	{ 0, "GET", "/", "HTTP/1.1", { HOST } },
	{ 0, "GET", "/a/b.c/...?x=%2F..%2F&y", "HTTP/1.1", { HOST } },
	{ 0, "GET", "/%e4%bd%a0/a%20b?f=(a='b'||c~\"d\")", "HTTP/1.1", { HOST } },
	{ 0, "GET", "/a/", "HTTP/1.0", { { { NULL, 0 }, { NULL, 0 } } } },
	{ 0, "POST", "/", "HTTP/1.1", { HOST, HEADER("content-length", "0") } },
	{ 0, "POST", "/", "HTTP/1.1", { HOST, HEADER("TRANSFER-ENCODING", "Chunked") } },
	{ 0, "PATCH", "/", "HTTP/1.1",
		{ HOST, HEADER("Content-Length", "5"), HEADER("Expect", "100-Continue") } },
	{ 0, "GET", "/", "HTTP/1.1", { HEADER("Host", "[2001:db8::1]:80") } },
	{ 0, "GET", "/", "HTTP/1.1", { HOST, HEADER("X", "caf\xe9 \t ~") } },
	{ 501, "get", "/", "HTTP/1.1", { HOST } },
	{ 501, "GETX", "/", "HTTP/1.1", { HOST } },
	{ 501, "", "/", "HTTP/1.1", { HOST } },
	{ 505, "GET", "/", "HTTP/1.2", { HOST } },
	{ 505, "GET", "/", "", { HOST } },
	{ 400, "GET", "", "HTTP/1.1", { HOST } },
	{ 400, "GET", "*", "HTTP/1.1", { HOST } },
	{ 400, "GET", "a", "HTTP/1.1", { HOST } },
	{ 400, "GET", "//a", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a//", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/.", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a/%2e%2E?x", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/%2E/", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a%5cb", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a%", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a%1", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a?%7f", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a?%e4%bd", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a?%e4%bdx%a0", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a?%ed%a0%80", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a b", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/a#b", "HTTP/1.1", { HOST } },
	{ 400, "GET", "/", "HTTP/1.1", { HEADER("X", "y") } },
	{ 400, "GET", "/", "HTTP/1.1", { HOST, HOST } },
	{ 400, "GET", "/", "HTTP/1.1", { HEADER("Host", "a b") } },
	{ 400, "GET", "/", "HTTP/1.1", { HEADER("Host", "a:123456") } },
	{ 400, "GET", "/", "HTTP/1.1", { HEADER("Host", "[::1") } },
	{ 400, "GET", "/", "HTTP/1.1", { HOST, HEADER("X ", "y") } },
	{ 400, "GET", "/", "HTTP/1.1", { HOST, HEADER("", "y") } },
	{ 400, "GET", "/", "HTTP/1.1", { HOST, HEADER("X", "a\rb") } },
	{ 400, "GET", "/", "HTTP/1.1", { HOST, HEADER("X", "a\0b") } },
	{ 400, "POST", "/", "HTTP/1.1",
		{ HOST, HEADER("Content-Length", "3"), HEADER("Content-Length", "3") } },
	{ 400, "POST", "/", "HTTP/1.1",
		{ HOST, HEADER("Content-Length", "3"), HEADER("Transfer-Encoding", "chunked") } },
	{ 400, "POST", "/", "HTTP/1.1", { HOST, HEADER("Content-Length", "3 ") } },
	{ 400, "POST", "/", "HTTP/1.1", { HOST, HEADER("Content-Length", "") } },
	{ 413, "POST", "/", "HTTP/1.1",
		{ HOST, HEADER("Content-Length", "18446744073709551615") } },
	{ 413, "POST", "/", "HTTP/1.1",
		{ HOST, HEADER("Content-Length", "99999999999999999999999999") } },
	{ 400, "POST", "/", "HTTP/1.1", { HOST, HEADER("Transfer-Encoding", "chunked ") } },
	{ 400, "POST", "/", "HTTP/1.0", { HOST, HEADER("Transfer-Encoding", "chunked") } },
	{ 417, "POST", "/", "HTTP/1.1", { HOST, HEADER("Expect", "200-ok") } },
	{ 417, "GET", "/", "HTTP/1.1", { HOST, HEADER("Expect", "100-continue") } },
};

static void the_guard_gives_each_head_its_one_verdict(void)
{
	for (size_t i = 0; i < sizeof guard_rows / sizeof guard_rows[0]; i++) {
		const struct guard_row *row = &guard_rows[i];
		struct http_guard_head head = {
			.method = bytes_of(row->method),
			.target = bytes_of(row->target),
			.version = bytes_of(row->version),
			.headers = row->headers,
		};

		while (head.n_headers < 4 && row->headers[head.n_headers].name.p)
			head.n_headers++;
		unsigned status = http_guard_check(&head).status;

		CU_ASSERT_EQUAL(status, row->status);
		if (status != row->status)
			fprintf(stderr, "row %zu: %s %s: %u\n", i, row->method, row->target,
				status);
	}
}

static struct http_guard_verdict check_target(size_t n, char filler)
{
	static char target[20000];
	const struct http_header host = HOST;

	memset(target, filler, sizeof target);
	target[0] = '/';
	target[1] = '?';
	return http_guard_check(&(struct http_guard_head){ .method = BYTES("GET"),
		.version = BYTES("HTTP/1.1"),
		.target = { target, n },
		.headers = &host,
		.n_headers = 1 });
}

static void limits_of_a_head_are_exact(void)
{
	static char cookies[4 * 65];
	struct http_header headers[HTTP_GUARD_HEADERS] = { HOST };
	struct http_guard_head head = { .method = BYTES("GET"),
		.version = BYTES("HTTP/1.1"),
		.target = BYTES("/"),
		.headers = headers };

	CU_ASSERT_EQUAL(check_target(HTTP_GUARD_TARGET_BYTES, 'a').status, 0);
	CU_ASSERT_EQUAL(check_target(HTTP_GUARD_TARGET_BYTES + 1, 'a').status, 414);
	CU_ASSERT_EQUAL(check_target(2 + 499, '&').status, 0);
	CU_ASSERT_EQUAL(check_target(2 + 500, '&').status, 414);

	for (size_t i = 1; i < HTTP_GUARD_HEADERS; i++)
		headers[i] = (struct http_header)HEADER("X", "y");
	head.n_headers = HTTP_GUARD_HEADERS;
	CU_ASSERT_EQUAL(http_guard_check(&head).status, 0);
	head.n_headers = HTTP_GUARD_HEADERS + 1;
	CU_ASSERT_EQUAL(http_guard_check(&head).status, 431);

	for (size_t i = 0; i < sizeof cookies; i += 4)
		memcpy(cookies + i, "a=1;", 4);
	head.n_headers = 2;
	headers[1].name = BYTES("Cookie");
	headers[1].value = (struct bytes){ cookies, 4 * 64 - 1 };
	CU_ASSERT_EQUAL(http_guard_check(&head).status, 0);
	headers[1].value.n = 4 * 65 - 1;
	CU_ASSERT_EQUAL(http_guard_check(&head).status, 431);
}

/* ---- requests as their handler sees them ---- */
struct fixture {
	struct loop *loop;
	struct http *http;
	pthread_t thread;
	struct http_request *kept; /* of /keep: not answered */
	atomic_bool has_kept, has_aborted;
	unsigned last_status;
	bool saw_right;
	uint8_t trace_id[ID_TRACE_BYTES];
};

static int64_t on_headers(void *context, struct http_request *request)
{
	struct fixture *fixture = context;

	memcpy(fixture->trace_id, http_trace_id(request), ID_TRACE_BYTES);
	return 100;
}

static void on_abort(struct http_request *request, void *context)
{
	(void)request;
	atomic_store(&((struct fixture *)context)->has_aborted, true);
}

static void on_request(void *context, struct http_request *request)
{
	struct fixture *fixture = context;
	struct http_header header;

	if (bytes_eq_string(http_path(request), "/keep")) {
		fixture->kept = request;
		http_on_abort(request, on_abort, fixture);
		atomic_store(&fixture->has_kept, true);
		return;
	}
	fixture->saw_right =
		http_method(request) == HTTP_PUT && bytes_eq(http_path(request), BYTES("/a%20b")) &&
		bytes_eq(http_query(request), BYTES("q=%261&r")) &&
		bytes_eq(http_header(request, BYTES("x-tWo")), BYTES("two words")) &&
		http_header(request, BYTES("X-Three")).p == NULL &&
		bytes_eq(http_cookie(request, BYTES("sid")), BYTES("s3")) &&
		bytes_eq(http_cookie(request, BYTES("q")), BYTES("quoted")) &&
		http_cookie(request, BYTES("si")).p == NULL &&
		bytes_eq(http_body(request), BYTES("hello")) &&
		bytes_eq(http_peer(request), BYTES("127.0.0.1")) &&
		http_header_at(request, 0, &header) && bytes_eq(header.name, BYTES("Host")) &&
		!http_header_at(request, 5, &header);
	static const struct http_header headers[] = {
		HEADER("X-Kept", "yes"),
		HEADER("X-Split", "a\r\nX-Injected: b"),
		HEADER("Bad Name", "x"),
		HEADER("Content-Length", "999"),
		HEADER("Connection", "upgrade"),
	};
	char *body = malloc(4);

	memcpy(body, "done", 4);
	http_respond(request, &(struct http_answer){ .status = 201,
				      .headers = headers,
				      .n_headers = 5,
				      .body = { body, 4 },
				      .body_kind = HTTP_BODY_FREE });
}

static void on_done(
	void *context, struct http_request *request, unsigned status, uint64_t sent_bytes)
{
	(void)request;
	(void)sent_bytes;
	((struct fixture *)context)->last_status = status;
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

static void fixture_start(struct fixture *fixture)
{
	const struct http_config config = { .address = BYTES("127.0.0.1"),
		.connection_limit = 16,
		.header_timeout_ms = 1000,
		.body_timeout_ms = 1000,
		.idle_timeout_ms = 1000,
		.send_timeout_ms = 1000 };
	const struct http_handler handler = { fixture, on_headers, on_request, on_done,
		make_error };
	struct err err = { 0 };

	*fixture = (struct fixture){ 0 };
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &fixture->loop, &err), 0);
	CU_ASSERT_EQUAL_FATAL(
		http_open(&config, &fixture->loop, 1, &handler, &fixture->http, &err), 0);
	pthread_create(&fixture->thread, NULL, run, fixture->loop);
}

static void fixture_end_loop(struct fixture *fixture)
{
	loop_stop(fixture->loop);
	pthread_join(fixture->thread, NULL);
}

static int send_to(struct fixture *fixture, const char *request)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(http_port(fixture->http)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	return fd;
}

static void a_handler_sees_exactly_what_was_sent(void)
{
	struct fixture fixture;
	char answer[2048] = "";
	static const uint8_t trace[ID_TRACE_BYTES] = { 0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43,
		0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c };

	fixture_start(&fixture);
	int fd = send_to(&fixture,
		"PUT /a%20b?q=%261&r HTTP/1.1\r\nHost: x\r\nX-Two: \t two words \t\r\n"
		"Cookie: a=b; sid=s3; q=\"quoted\"\r\nContent-Length: 5\r\n"
		"traceparent: "
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\nhello");

	CU_ASSERT(recv(fd, answer, sizeof answer - 1, 0) > 0);
	CU_ASSERT(fixture.saw_right);
	CU_ASSERT(memcmp(fixture.trace_id, trace, sizeof trace) == 0);
	CU_ASSERT(strncmp(answer, "HTTP/1.1 201 ", 13) == 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\nX-Kept: yes\r\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(answer, "\r\nX-Request-Id: 0af7651916cd43dd8448eb211c80319c\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\nContent-Length: 4\r\n"));
	CU_ASSERT_PTR_NULL(strstr(answer, "Injected"));
	CU_ASSERT_PTR_NULL(strstr(answer, "Bad Name"));
	CU_ASSERT_PTR_NULL(strstr(answer, "upgrade"));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\r\n\r\ndone"));
	close(fd);
	fixture_end_loop(&fixture);
	http_close(fixture.http);
	loop_free(fixture.loop);
}

static void a_request_outlives_the_listener_until_it_is_answered(void)
{
	struct fixture fixture;
	char answer[64];

	fixture_start(&fixture);
	int fd = send_to(&fixture, "GET /keep?x HTTP/1.1\r\nHost: x\r\n\r\n");

	for (int i = 0; i < 1000 && !atomic_load(&fixture.has_kept); i++)
		usleep(1000);
	fixture_end_loop(&fixture);
	CU_ASSERT_EQUAL(http_in_flight(fixture.http), 1);
	CU_ASSERT(!atomic_load(&fixture.has_aborted));
	fixture.last_status = 7;
	http_close(fixture.http);
	CU_ASSERT(atomic_load(&fixture.has_aborted));
	CU_ASSERT_EQUAL(fixture.last_status, 0);
	CU_ASSERT_EQUAL(recv(fd, answer, sizeof answer, 0), 0);
	CU_ASSERT(bytes_eq(http_path(fixture.kept), BYTES("/keep")));
	CU_ASSERT(bytes_eq(http_query(fixture.kept), BYTES("x")));
	CU_ASSERT(bytes_eq(http_header(fixture.kept, BYTES("host")), BYTES("x")));
	/* Frees the request and the listener: the address sanitizer is the judge. */
	http_respond(fixture.kept,
		&(struct http_answer){
			.status = 200, .body = { malloc(1), 1 }, .body_kind = HTTP_BODY_FREE });
	close(fd);
	loop_free(fixture.loop);
}

static void a_quiesce_that_no_loop_has_seen_outlives_the_listener(void)
{
	struct fixture fixture;

	fixture_start(&fixture);
	fixture_end_loop(&fixture);
	http_quiesce(fixture.http);
	http_close(fixture.http);
	loop_free(fixture.loop); /* empties the mailbox: the address sanitizer is the judge */
}

static void a_port_in_use_is_refused(void)
{
	struct fixture fixture;
	struct http *second = NULL;
	struct loop *loop = NULL;
	struct err err = { 0 };

	fixture_start(&fixture);
	struct http_config config = { .address = BYTES("127.0.0.1"),
		.port = http_port(fixture.http),
		.connection_limit = 1 };
	const struct http_handler handler = { NULL, on_headers, on_request, on_done, make_error };

	CU_ASSERT_EQUAL_FATAL(loop_new(1, &loop, NULL), 0);
	CU_ASSERT_EQUAL(http_open(&config, &loop, 1, &handler, &second, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "in use"));
	config.address = BYTES("localhost");
	CU_ASSERT_EQUAL(http_open(&config, &loop, 1, &handler, &second, &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_INVALID);
	fixture_end_loop(&fixture);
	http_close(fixture.http);
	loop_free(fixture.loop);
	loop_free(loop);
}

/* ---- whose word about addresses is believed ---- */

struct forward_row {
	const char *peer, *values[3], *client;
};

static void only_trusted_proxies_name_the_client(void)
{
	static const struct forward_row rows[] = {
		{ "10.0.0.1", { "203.0.113.7" }, "203.0.113.7" },
		{ "10.0.0.1", { "1.1.1.1, 203.0.113.7" }, "203.0.113.7" },
		{ "10.0.0.1", { "1.1.1.1, 203.0.113.7,\t10.2.3.4 " }, "203.0.113.7" },
		{ "10.0.0.1", { "1.1.1.1", "203.0.113.7", "10.2.3.4" }, "203.0.113.7" },
		{ "10.0.0.1", { "10.9.9.9, 10.2.3.4" }, "10.9.9.9" },
		{ "::ffff:10.0.0.1", { "203.0.113.7:4711" }, "203.0.113.7" },
		{ "2001:db8::1", { "[2001:db8:1::5]:443" }, "2001:db8:1::5" },
		{ "2001:db8::1", { "2001:db8:1::5" }, "2001:db8:1::5" },
		{ "10.0.0.1", { "::ffff:203.0.113.7" }, "203.0.113.7" },
		/* not a proxy of ours */
		{ "192.0.2.1", { "203.0.113.7" }, "192.0.2.1" },
		{ "2001:db8:1::1", { "203.0.113.7" }, "2001:db8:1::1" },
		{ "11.0.0.1", { "203.0.113.7" }, "11.0.0.1" },
		/* says nothing */
		{ "10.0.0.1", { NULL }, "10.0.0.1" },
		{ "10.0.0.1", { "" }, "10.0.0.1" },
		{ "10.0.0.1", { "," }, "10.0.0.1" },
		{ "10.0.0.1", { "nonsense" }, "10.0.0.1" },
		{ "10.0.0.1", { "nonsense, 203.0.113.7" }, "10.0.0.1" },
		{ "10.0.0.1", { "203.0.113.7, " }, "10.0.0.1" },
		{ "10.0.0.1", { "203.0.113.7:99999" }, "10.0.0.1" },
		{ "10.0.0.1", { "203.0.113.07" }, "10.0.0.1" },
		{ "10.0.0.1", { "[203.0.113.7]" }, "10.0.0.1" },
		{ "10.0.0.1", { "[2001:db8::5" }, "10.0.0.1" },
		{ "10.0.0.1", { "fe80::1%eth0" }, "10.0.0.1" },
		{ "10.0.0.1", { "unknown" }, "10.0.0.1" },
	};
	struct http_forward forward = { .header = "X-Forwarded-For" };
	char seen[HTTP_FORWARD_TEXT];

	CU_ASSERT(http_network_parse(BYTES("10.0.0.0/8"), &forward.trusted[0]));
	CU_ASSERT(http_network_parse(BYTES("2001:db8::/48"), &forward.trusted[1]));
	forward.n_trusted = 2;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct bytes values[3];
		size_t n = 0;
		while (n < 3 && rows[i].values[n]) {
			values[n] = bytes_of(rows[i].values[n]);
			n++;
		}
		(void)http_forward_address(&forward, bytes_of(rows[i].peer), values, n, seen);
		if (strcmp(seen, rows[i].client) != 0)
			printf("row %zu: %s\n", i, seen);
		CU_ASSERT_STRING_EQUAL(seen, rows[i].client);
	}
	/* More hops than anybody has. */
	struct bytes many[HTTP_FORWARD_HOPS_MAX + 1];
	for (size_t i = 0; i < sizeof many / sizeof many[0]; i++)
		many[i] = BYTES("203.0.113.7");
	(void)http_forward_address(
		&forward, BYTES("10.0.0.1"), many, sizeof many / sizeof many[0], seen);
	CU_ASSERT_STRING_EQUAL(seen, "10.0.0.1");
}

static void networks_are_meant_as_they_are_written(void)
{
	static const char *const good[] = { "10.0.0.0/8", "127.0.0.1", "::1", "2001:db8::/32",
		"192.0.2.128/25", "::ffff:10.0.0.0/104" };
	static const char *const bad[] = { "", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/",
		"0.0.0.0/0", "::/0", "::/64", "10.0.0", "localhost", "2001:db8::1/32",
		"10.0.0.0/08", " ::1" };
	struct http_network network;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT(http_network_parse(bytes_of(good[i]), &network));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT(!http_network_parse(bytes_of(bad[i]), &network));
}

static const struct unit_test tests[] = {
	UNIT(only_trusted_proxies_name_the_client),
	UNIT(networks_are_meant_as_they_are_written),
	UNIT(the_guard_gives_each_head_its_one_verdict),
	UNIT(limits_of_a_head_are_exact),
	UNIT(a_handler_sees_exactly_what_was_sent),
	UNIT(a_request_outlives_the_listener_until_it_is_answered),
	UNIT(a_quiesce_that_no_loop_has_seen_outlives_the_listener),
	UNIT(a_port_in_use_is_refused),
};

UNIT_MAIN("http", tests)
