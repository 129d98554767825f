/*
 * A stream is an answer without a known end. The library asks for its bytes; when there are none
 * the connection is suspended, and a write resumes it: answering "nothing yet" alone would make the
 * library ask again at once, for ever.
 *
 *   buffer:  [ sent ............ | pending ............ ]
 *            0                   at                     buffer.n <= limit
 */
#include "http_lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What the library asks for at a time when it does not chunk, which is for HTTP/1.0; it holds a
 * buffer of this size for each stream all the same. */
#define BLOCK_BYTES 1024

struct http_stream {
	struct http_request *request;
	struct bytes_buf buffer;
	size_t at;
	void (*on_closed)(void *context); /* NULL once it was told */
	void *context;
	bool is_ended;  /* nothing more will be written */
	bool is_broken; /* and what was is not all */
};

size_t http_stream_pending(const struct http_stream *stream)
{
	return stream->buffer.n - stream->at;
}

/* The library wants the next bytes. */
static ssize_t read_stream(void *context, uint64_t position, char *out, size_t max)
{
	struct http_stream *stream = context;
	struct connection *connection = stream->request->connection;
	size_t n = http_stream_pending(stream);

	(void)position;
	connection->lane->n_fruitless = 0;
	if (n == 0) {
		if (stream->is_broken)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (stream->is_ended || connection->phase == PHASE_LEAVING)
			return MHD_CONTENT_READER_END_OF_STREAM;
		connection->deadline_ns = CLOCK_NEVER;
		connection_suspend(connection);
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(out, stream->buffer.p + stream->at, n);
	stream->at += n;
	stream->request->sent_bytes += n;
	if (http_stream_pending(stream) == 0) {
		/* Most streams are silent most of the time: they hold no memory then. */
		bytes_buf_fini(&stream->buffer);
		stream->at = 0;
	}
	return (ssize_t)n;
}

struct http_stream *http_stream_open(struct http_request *request, unsigned status,
	const struct http_header *headers, size_t n_headers, size_t buffer_limit_bytes,
	void (*on_closed)(void *context), void *context)
{
	struct http_stream *stream = calloc(1, sizeof *stream);

	if (!stream)
		return NULL;
	assert(request->connection && !request->is_answered);
	bytes_buf_init(&stream->buffer, buffer_limit_bytes);
	stream->request = request;
	stream->on_closed = on_closed;
	stream->context = context;
	request->response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream, NULL);
	if (!request->response) {
		free(stream);
		return NULL;
	}
	for (size_t i = 0; i < n_headers; i++)
		answer_add_header(request, request->response, headers[i]);
	answer_add_common(request, request->response, true);
	request->is_answered = true;
	request->status = status;
	request->stream = stream;
	struct connection *connection = request->connection;

	answer_deliver(request);
	connection_enter(connection, PHASE_STREAM, 0);
	link_append(&connection->lane->streaming, &connection->link);
	return stream;
}

static void wake(struct http_stream *stream)
{
	struct connection *connection = stream->request->connection;

	if (connection->is_suspended)
		connection_resume(connection);
}

bool http_stream_write(struct http_stream *stream, struct bytes data)
{
	struct connection *connection = stream->request->connection;

	assert(!stream->is_ended);
	if (stream->at > 0 && data.n > stream->buffer.max - stream->buffer.n) {
		memmove(stream->buffer.p, stream->buffer.p + stream->at,
			http_stream_pending(stream));
		stream->buffer.n -= stream->at;
		stream->at = 0;
	}
	bool was_empty = http_stream_pending(stream) == 0;

	if (!bytes_buf_append(&stream->buffer, data))
		return false;
	if (was_empty && data.n > 0)
		connection_await_reader(connection);
	wake(stream);
	return true;
}

void http_stream_forget_request(struct http_stream *stream)
{
	request_forget(stream->request);
}

void http_stream_end(struct http_stream *stream)
{
	stream->is_ended = true;
	wake(stream);
}

void http_stream_abort(struct http_stream *stream)
{
	stream->is_broken = true;
	http_stream_end(stream);
}

void stream_close(struct http_stream *stream)
{
	void (*on_closed)(void *) = stream->on_closed;

	stream->on_closed = NULL;
	stream->is_ended = true;
	wake(stream);
	if (on_closed)
		on_closed(stream->context);
}

void stream_free(struct http_stream *stream)
{
	bytes_buf_fini(&stream->buffer);
	free(stream);
}
