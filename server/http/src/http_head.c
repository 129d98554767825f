/*
 * libmicrohttpd 0.9.75 parses a head in place: it overwrites the blanks of the request line, the
 * colons and the line ends with NULs, and hands out pointers between them. That makes its leniency
 * visible. A head without any oddity lies in memory like this, and in no other way:
 *
 *   G E T 0 / a ? b 0 H T T P / 1 . 1 0 0 H o s t 0 _ x 0 0 A c c e p t 0 _ y 0 0 0 0 body...
 *   ^method ^target   ^version            ^name     ^value  ^name         ^value      ^head's end
 *
 * A bare LF leaves one NUL where CRLF leaves two; a NUL in a value ends it early; a folded line is
 * moved elsewhere; a second blank shifts what follows. Each breaks the chain of addresses, and the
 * head is refused. (Reading the bytes a second time from the socket with MSG_PEEK was rejected: it
 * costs a system call for every request, and the library has read on by then.)
 *
 * The library also splits the query into a list that we never use; 500 short pairs fill the
 * connection's memory and leave the client without an answer. It looks for '?' before it calls
 * back with the request line and splits afterwards, so a NUL behind the '?' in between leaves it
 * nothing to split. The byte is put back before anything reads the target.
 *
 * Both rest on 0.9.75; with another version (http.knows_layout is false) neither is done.
 */
#include "http_lane.h"

#include <string.h>

void head_cut_query(struct http_request *request, const char *uri)
{
	request->target = bytes_of(uri);
	if (!uri)
		return;
	if (!request->lane->http->knows_layout) {
		request->target.p = arena_copy(request->arena, request->target);
		if (!request->target.p)
			request->target.n = 0; /* and the guard refuses it */
		return;
	}
	const char *mark = memchr(uri, '?', request->target.n);

	if (!mark)
		return;
	request->cut = (char *)(uintptr_t)(mark + 1); /* the library's own, not constant, buffer */
	request->cut_byte = *request->cut;
	*request->cut = '\0';
}

static void mend_query(struct http_request *request)
{
	if (!request->cut)
		return;
	request->cut[-1] = '?'; /* the library has ended the path there */
	request->cut[0] = request->cut_byte;
	request->cut = NULL;
}

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
	size_t name_n, const char *value, size_t value_n)
{
	struct http_request *request = context;

	(void)kind;
	if (request->n_headers < HTTP_GUARD_HEADERS)
		request->headers[request->n_headers] =
			(struct http_header){ .name = { name, name_n },
				.value = { value, value ? value_n : 0 } };
	request->n_headers++;
	return MHD_YES;
}

/* Is the head free of what the library repairs silently? See the drawing above. */
static bool is_plain(const struct http_request *request, const char *method, const char *version)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		request->connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	const char *at = method + strlen(method) + 1;

	if (!info || request->target.p != at)
		return false;
	at += request->target.n + 1;
	if (version != at)
		return false;
	at += strlen(version) + 2;
	for (size_t i = 0; i < request->n_headers; i++) {
		const struct http_header *header = &request->headers[i];

		if (header->name.p != at || header->value.p <= header->name.p)
			return false;
		at = header->value.p + header->value.n + 2;
	}
	return at + 2 == method + info->header_size;
}

static struct bytes without_trailing_blanks(struct bytes value)
{
	while (value.n > 0 && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
		value.n--;
	return value;
}

unsigned head_read(struct http_request *request, const char *method, const char *version,
	const char **ret_reason)
{
	mend_query(request);
	MHD_get_connection_values_n(
		request->connection->mhd, MHD_HEADER_KIND, take_header, request);
	const struct http_guard_head head = {
		.method = bytes_of(method),
		.version = bytes_of(version),
		.target = request->target,
		.headers = request->headers,
		.n_headers = request->n_headers,
	};

	request->head = http_guard_check(&head);
	if (request->n_headers > HTTP_GUARD_HEADERS)
		request->n_headers = HTTP_GUARD_HEADERS; /* refused; nobody counts further */
	else if (request->head.status == 0 && request->lane->http->knows_layout &&
		 !is_plain(request, method, version)) {
		request->head.status = 400;
		request->head.reason = "The head has a folded line, a bare line feed or a NUL.";
	}
	*ret_reason = request->head.reason;
	if (request->head.status != 0)
		return request->head.status;

	const char *mark = memchr(request->target.p, '?', request->target.n);
	size_t path_n = mark ? (size_t)(mark - request->target.p) : request->target.n;

	request->path = (struct bytes){ request->target.p, path_n };
	if (mark)
		request->query = (struct bytes){ mark + 1, request->target.n - path_n - 1 };
	for (size_t i = 0; i < request->n_headers; i++)
		request->headers[i].value = without_trailing_blanks(request->headers[i].value);
	return 0;
}
