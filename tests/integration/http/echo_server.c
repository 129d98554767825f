#include "echo_server.h"

#include "http.h"
#include "loop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG_BYTES (8u * 1024 * 1024)

struct echo_server {
	struct loop *loop;
	struct http *http;
	pthread_t thread;
	char *big;
	struct echo_counts counts;
};

/* What a request that is answered later hangs on itself. */
struct later {
	struct loop_timer timer; /* first */
	struct http_request *request;
	struct http_stream *stream;
	struct echo_server *server;
};

static const struct http_header json = { { "Content-Type", 12 }, { "application/json", 16 } };

static void answer(struct echo_server *server, struct http_request *request)
{
	struct bytes path = http_path(request);
	struct bytes body = arena_printf(http_arena(request),
		"{\"method\":\"%s\",\"path\":\"%.*s\",\"body\":%zu}\n",
		http_method_name(http_method(request)), (int)path.n, path.p, http_body(request).n);

	(void)server;
	http_respond(request, &(struct http_answer){ .status = 200,
				      .headers = &json,
				      .n_headers = 1,
				      .body = body,
				      .body_kind = HTTP_BODY_ARENA });
}

static void answer_later(struct loop_timer *timer)
{
	struct later *later = (struct later *)timer;

	answer(later->server, later->request);
}

static void on_abort(struct http_request *request, void *context)
{
	struct later *later = context;

	atomic_fetch_add(&later->server->counts.n_aborted, 1);
	/* The answer goes nowhere, but it ends the request. */
	answer(later->server, request);
}

static void on_stream_closed(void *context)
{
	struct later *later = context;

	loop_timer_stop(&later->timer);
	later->stream = NULL;
	atomic_fetch_add(&later->server->counts.n_streams_closed, 1);
}

static void write_event(struct loop_timer *timer)
{
	struct later *later = (struct later *)timer;

	if (!later->stream)
		return;
	http_stream_write(later->stream, BYTES("data: tick\n\n"));
	loop_timer_start(later->server->loop, timer, clock_mono_ns() + 10 * CLOCK_NS_PER_MS, NULL);
}

static int64_t on_headers(void *context, struct http_request *request)
{
	(void)context;
	if (bytes_eq_string(http_path(request), "/refused")) {
		http_respond(request, &(struct http_answer){ .status = 404 });
		return -1;
	}
	return bytes_eq_string(http_path(request), "/limited") ? 10 : 1024 * 1024;
}

static void on_request(void *context, struct http_request *request)
{
	struct echo_server *server = context;
	struct bytes path = http_path(request);
	struct later *later;

	atomic_fetch_add(&server->counts.n_requests, 1);
	if (bytes_eq_string(path, "/smuggled"))
		atomic_fetch_add(&server->counts.n_smuggled, 1);
	if (bytes_eq_string(path, "/big")) {
		http_respond(request, &(struct http_answer){ .status = 200,
					      .body = { server->big, BIG_BYTES },
					      .body_kind = HTTP_BODY_STATIC });
		return;
	}
	if (!bytes_eq_string(path, "/later") && !bytes_eq_string(path, "/hang") &&
		!bytes_eq_string(path, "/events")) {
		answer(server, request);
		return;
	}
	later = arena_alloc(http_arena(request), sizeof *later);
	*later = (struct later){ .request = request, .server = server };
	if (bytes_eq_string(path, "/hang")) {
		http_on_abort(request, on_abort, later);
		return;
	}
	later->timer.on_fire = answer_later;
	if (bytes_eq_string(path, "/events")) {
		later->timer.on_fire = write_event;
		later->stream =
			http_stream_open(request, 200, NULL, 0, 65536, on_stream_closed, later);
	}
	loop_timer_start(server->loop, &later->timer, clock_mono_ns() + 20 * CLOCK_NS_PER_MS, NULL);
}

static void on_done(
	void *context, struct http_request *request, unsigned status, uint64_t sent_bytes)
{
	(void)request;
	(void)status;
	(void)sent_bytes;
	atomic_fetch_add(&((struct echo_server *)context)->counts.n_done, 1);
}

static void make_error(void *context, struct http_request *request, unsigned status,
	const char *message, struct bytes_buf *out)
{
	(void)context;
	(void)request;
	bytes_buf_appendf(out, "{\"status\":%u,\"message\":\"%s\",\"data\":{}}", status, message);
}

static void *run(void *server)
{
	loop_run(((struct echo_server *)server)->loop, NULL);
	return NULL;
}

struct echo_server *echo_server_start(void)
{
	struct echo_server *server = calloc(1, sizeof *server);
	struct err err = { 0 };
	const struct http_config config = {
		.address = BYTES("127.0.0.1"),
		.connection_limit = 50,
		.header_timeout_ms = 1000,
		.body_timeout_ms = 1000,
		.idle_timeout_ms = 5000,
		.send_timeout_ms = 2000,
	};
	const struct http_handler handler = {
		.context = server,
		.on_headers = on_headers,
		.on_request = on_request,
		.on_done = on_done,
		.make_error = make_error,
	};

	if (!server || !(server->big = calloc(1, BIG_BYTES)) ||
		loop_new(0, &server->loop, &err) != 0 ||
		http_open(&config, &server->loop, 1, &handler, &server->http, &err) != 0 ||
		pthread_create(&server->thread, NULL, run, server) != 0) {
		fprintf(stderr, "the server does not start: %s\n", err.message);
		abort();
	}
	return server;
}

uint16_t echo_server_port(const struct echo_server *server)
{
	return http_port(server->http);
}

struct echo_counts *echo_server_counts(struct echo_server *server)
{
	return &server->counts;
}

unsigned echo_server_in_flight(const struct echo_server *server)
{
	return http_in_flight(server->http);
}

void echo_server_quiesce(struct echo_server *server)
{
	http_quiesce(server->http);
}

void echo_server_stop(struct echo_server *server)
{
	loop_stop(server->loop);
	pthread_join(server->thread, NULL);
	http_close(server->http);
	loop_free(server->loop);
	free(server->big);
	free(server);
}
