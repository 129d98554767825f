/*
 * A body on its way in: gathered for the handler, passed on piece by piece, or dropped.
 *
 * A reader that takes less than it was given has the rest kept where it lies, in the library's own
 * buffer, and the connection suspended: the socket's window closes, and a client that sends faster
 * than the disk writes waits.
 */
#include "http_lane.h"

#include <assert.h>

static enum MHD_Result gather(struct http_request *request, struct bytes piece)
{
	if (bytes_buf_append(&request->body, piece))
		return MHD_YES;
	request->is_discarding = true;
	if (piece.n > request->body.max - request->body.n)
		connection_refuse(request->connection, 413, "The body is too large.");
	else
		connection_refuse(request->connection, 503, "There is no memory for the body.");
	return MHD_YES;
}

static enum MHD_Result pass_on(struct http_request *request, struct bytes piece, size_t *n)
{
	if (piece.n > request->body_limit - request->body_received) {
		request->is_discarding = true;
		connection_refuse(request->connection, 413, "The body is too large.");
		return MHD_YES;
	}
	size_t taken = request->on_piece(request, piece, request->piece_context);

	assert(taken <= piece.n);
	if (request->is_answered)
		taken = piece.n; /* the answer waits for the end of the body */
	request->body_received += taken;
	*n = piece.n - taken;
	if (*n > 0)
		connection_pause_body(request->connection);
	return MHD_YES;
}

enum MHD_Result body_take(struct http_request *request, const char *data, size_t *n)
{
	struct bytes piece = { data, *n };

	if (request->paused_ns)
		return MHD_YES; /* another chunk, found in the same run */
	*n = 0;                 /* all of it is taken */
	if (!request->is_discarding && !request->is_answered && request->on_piece)
		return pass_on(request, piece, n);
	request->body_received += piece.n;
	if (request->is_discarding)
		return MHD_YES;
	if (request->on_piece) { /* and it is answered */
		if (request->body_received > request->body_limit) {
			request->is_discarding = true;
			connection_shut_down(request->connection);
		}
		return MHD_YES;
	}
	return gather(request, piece);
}

void http_stream_body(struct http_request *request,
	size_t (*on_piece)(struct http_request *request, struct bytes piece, void *context),
	void *context)
{
	assert(request->is_begun && !request->is_handed && request->body_received == 0);
	request->on_piece = on_piece;
	request->piece_context = context;
}

void http_resume_body(struct http_request *request)
{
	if (request->connection && request->paused_ns)
		connection_resume_body(request->connection);
}
