/*
 * http_module.c - the listener with a handler that does nothing, answering 1 KiB, on two loops
 *
 *   http_module PORT
 *   GET /sync    answered at once
 *   GET /posted  answered from a message that the handler posts to its own loop
 *   GET /other   the message goes to the other loop and back, as an answer of a worker would
 */
#include "http.h"
#include "loop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char body[1024];
static struct loop *loops[2];

struct errand {
	struct loop_message message; /* first */
	struct http_request *request;
	bool goes_back;
};

static void answer(struct http_request *request)
{
	static const struct http_header type = { { "Content-Type", 12 },
		{ "application/json", 16 } };

	http_respond(request, &(struct http_answer){ .status = 200,
				      .headers = &type,
				      .n_headers = 1,
				      .body = { body, sizeof body },
				      .body_kind = HTTP_BODY_STATIC });
}

static void deliver(struct loop_message *message)
{
	struct errand *errand = (struct errand *)message;

	if (errand->goes_back) {
		errand->goes_back = false;
		loop_post(http_loop(errand->request), message);
		return;
	}
	answer(errand->request);
}

static int64_t on_headers(void *context, struct http_request *request)
{
	(void)context;
	(void)request;
	return 65536;
}

static void on_request(void *context, struct http_request *request)
{
	struct bytes path = http_path(request);

	(void)context;
	if (bytes_eq_string(path, "/posted") || bytes_eq_string(path, "/other")) {
		struct errand *errand = arena_alloc(http_arena(request), sizeof *errand);
		unsigned mine = loop_index(http_loop(request));

		*errand = (struct errand){ { .deliver = deliver }, request, path.p[1] == 'o' };
		loop_post(loops[errand->goes_back ? 1 - mine : mine], &errand->message);
		return;
	}
	answer(request);
}

static void on_done(
	void *context, struct http_request *request, unsigned status, uint64_t sent_bytes)
{
	(void)context;
	(void)request;
	(void)status;
	(void)sent_bytes;
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

int main(int argc, char **argv)
{
	const struct http_config config = {
		.address = BYTES("127.0.0.1"),
		.port = argc > 1 ? (uint16_t)atoi(argv[1]) : 0,
		.connection_limit = 4096,
		.header_timeout_ms = 10000,
		.body_timeout_ms = 10000,
		.idle_timeout_ms = 60000,
		.send_timeout_ms = 10000,
	};
	const struct http_handler handler = {
		.on_headers = on_headers,
		.on_request = on_request,
		.on_done = on_done,
		.make_error = make_error,
	};
	struct http *http;
	struct err err = { 0 };
	pthread_t threads[2];

	memset(body, 'x', sizeof body);
	if (loop_new(0, &loops[0], &err) != 0 || loop_new(1, &loops[1], &err) != 0 ||
		http_open(&config, loops, 2, &handler, &http, &err) != 0) {
		fprintf(stderr, "http_module: %s\n", err.message);
		return 1;
	}
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, run, loops[i]);
	pause();
	return 0;
}
