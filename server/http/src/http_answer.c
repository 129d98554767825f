#include "http_lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ERROR_MOST_BYTES 4096

/* ---- headers ---- */
static bool is_ours(struct bytes name)
{
	/* They are 4, 10, 14 and 17 bytes long. */
	if (name.n != 4 && name.n != 10 && name.n != 14 && name.n != 17)
		return false;
	return bytes_eq_nocase(name, BYTES("Content-Length")) ||
	       bytes_eq_nocase(name, BYTES("Transfer-Encoding")) ||
	       bytes_eq_nocase(name, BYTES("Connection")) || bytes_eq_nocase(name, BYTES("Date"));
}

static bool is_token(struct bytes name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool is_alnum =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		if (!is_alnum && c != '-' && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return name.n > 0;
}

static bool is_value(struct bytes value)
{
	for (size_t i = 0; i < value.n; i++)
		if (((unsigned char)value.p[i] < 32 && value.p[i] != '\t') || value.p[i] == 127)
			return false;
	return value.n > 0;
}

void answer_add_header(
	struct http_request *request, struct MHD_Response *response, struct http_header header)
{
	/* The library wants terminated strings and copies them. */
	char small[512], *text = small;

	if (!is_token(header.name) || !is_value(header.value) || is_ours(header.name))
		return;
	if (header.name.n > sizeof small || header.value.n > sizeof small - 2 ||
		header.name.n + header.value.n > sizeof small - 2) {
		if (header.name.n > SIZE_MAX / 4 || header.value.n > SIZE_MAX / 4)
			return;
		text = arena_alloc(request->arena, header.name.n + header.value.n + 2);
		if (!text)
			return;
	}
	memcpy(text, header.name.p, header.name.n);
	text[header.name.n] = '\0';
	char *value = text + header.name.n + 1;

	memcpy(value, header.value.p, header.value.n);
	value[header.value.n] = '\0';
	MHD_add_response_header(response, text, value);
}

void answer_add_common(struct http_request *request, struct MHD_Response *response, bool close)
{
	char trace_id[2 * ID_TRACE_BYTES + 1];

	bytes_hex((struct bytes){ (const char *)request->trace_id, ID_TRACE_BYTES }, trace_id);
	trace_id[2 * ID_TRACE_BYTES] = '\0';
	MHD_add_response_header(response, "X-Request-Id", trace_id);
	/* After a chunked body too: where it ends is the one thing about which the library is still
	 * lenient (bare line feeds, trailers), so nothing behind it is ever taken for a request. */
	if (close || request->head.is_chunked || request->lane->is_draining)
		MHD_add_response_header(response, "Connection", "close");
}

/* ---- bodies ---- */
static struct MHD_Response *make_response(struct bytes body, enum http_body_kind kind)
{
	static const enum MHD_ResponseMemoryMode modes[] = {
		[HTTP_BODY_COPY] = MHD_RESPMEM_MUST_COPY,
		[HTTP_BODY_STATIC] = MHD_RESPMEM_PERSISTENT,
		[HTTP_BODY_FREE] = MHD_RESPMEM_MUST_FREE,
		[HTTP_BODY_ARENA] = MHD_RESPMEM_PERSISTENT,
	};
	void *bytes = (void *)(uintptr_t)body.p; /* read only, unless it is to be freed */
	struct MHD_Response *response = MHD_create_response_from_buffer(body.n, bytes, modes[kind]);

	if (!response && kind == HTTP_BODY_FREE)
		free(bytes);
	return response;
}

static struct MHD_Response *make_file_response(const struct http_file *file)
{
	struct MHD_Response *response =
		MHD_create_response_from_fd_at_offset64(file->n_bytes, file->fd, file->offset);

	if (!response)
		close(file->fd);
	return response;
}

static void set_answer(struct http_request *request, unsigned status, struct MHD_Response *response,
	uint64_t n_bytes)
{
	request->is_answered = true;
	request->response = response; /* NULL: no memory; the connection ends without an answer */
	request->status = status;
	request->sent_bytes = response ? n_bytes : 0;
}

void answer_refuse(struct http_request *request, unsigned status, const char *message)
{
	const struct http_handler *handler = &request->lane->http->handler;
	struct bytes_buf body;

	count(&request->lane->counts.refused);
	bytes_buf_init(&body, ERROR_MOST_BYTES);
	handler->make_error(handler->context, request, status, message, &body);
	struct MHD_Response *response = make_response(bytes_buf_view(&body), HTTP_BODY_FREE);

	if (response) {
		MHD_add_response_header(response, "Content-Type", "application/json");
		answer_add_common(request, response, true);
	}
	set_answer(request, status, response, body.n);
}

enum MHD_Result answer_queue(struct http_request *request)
{
	struct connection *connection = request->connection;
	struct MHD_Response *response = request->response;

	request->response = NULL; /* handed over */
	if (!response)
		return MHD_NO;
	if (request->stream)
		connection->phase = PHASE_STREAM; /* entered when it was opened */
	else
		connection_enter(connection, PHASE_SEND,
			connection->lane->http->config.send_timeout_ms / 2 + 1);
	request->is_queued = true;
	enum MHD_Result result = MHD_queue_response(connection->mhd, request->status, response);

	MHD_destroy_response(response);
	return result;
}

void answer_deliver(struct http_request *request)
{
	struct connection *connection = request->connection;

	if (request->in_library)
		return;
	if (connection->request->paused_ns) {
		connection_resume_body(connection); /* what is left of the body is dropped */
		return;
	}
	if (connection->is_suspended) {
		connection_resume(connection);
		return;
	}
	link_remove(&connection->link); /* handed over, not suspended yet */
	if (connection->lane->wait_score < WAIT_SCORE_MOST)
		connection->lane->wait_score++;
	lane_make_due(connection->lane);
}

void http_answer_drop(const struct http_answer *answer)
{
	if (answer->body_kind == HTTP_BODY_FREE)
		free((void *)(uintptr_t)answer->body.p);
	else if (answer->body_kind == HTTP_BODY_FILE)
		close(answer->body_file.fd);
}

/* The connection is gone, perhaps the whole listener. */
static void respond_as_orphan(struct http_request *request, const struct http_answer *answer)
{
	struct http *http = request->lane->http;

	http_answer_drop(answer);
	request_free(request);
	http_let_go(http);
}

void http_respond(struct http_request *request, const struct http_answer *answer)
{
	if (!request->connection) {
		respond_as_orphan(request, answer);
		return;
	}
	assert(!request->is_answered);
	assert(answer->status >= 200 && answer->status <= 599);
	struct MHD_Response *response = answer->body_kind == HTTP_BODY_FILE
						? make_file_response(&answer->body_file)
						: make_response(answer->body, answer->body_kind);

	if (response) {
		for (size_t i = 0; i < answer->n_headers; i++)
			answer_add_header(request, response, answer->headers[i]);
		answer_add_common(request, response, answer->close);
	}
	set_answer(request, answer->status, response, http_answer_bytes(answer));
	answer_deliver(request);
}
