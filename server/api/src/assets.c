/* The console's files at /_/, and the health of the server. */
#include "internal.h"

#include "console.h"

#define HEADERS_MAX 24

void health(void *context)
{
	struct api_request *request = context;

	/* A tenant's superusers learn a little more, as their dashboard asks for it. */
	if (request->identity.kind != AUTH_SUPERUSER) {
		request_json(request, 200,
			BYTES("{\"code\":200,\"data\":{},\"message\":\"API is healthy.\"}"));
		return;
	}
	struct bytes peer = http_peer(request->http);
	struct bytes body = arena_printf(request->arena,
		"{\"code\":200,\"data\":{\"canBackup\":false,\"possibleProxyHeader\":\"\","
		"\"realIP\":\"%.*s\"},\"message\":\"API is healthy.\"}",
		(int)peer.n, peer.p);
	request_json(request, 200, body);
}

void assets_redirect(void *request)
{
	static const struct http_header headers[] = { { { "Location", 8 }, { "/_/", 3 } } };
	const struct http_answer answer = { .status = 302, .headers = headers, .n_headers = 1 };

	request_answer(request, &answer);
}

void assets_get(void *context)
{
	struct api_request *request = context;
	struct http_header headers[HEADERS_MAX];
	struct console_asset asset;
	size_t n_walls, n = 0;
	const struct console_header *walls = console_headers(&n_walls);

	if (bytes_eq(request->path, BYTES("/_"))) {
		assets_redirect(request);
		return;
	}
	for (size_t i = 0; i < n_walls && n < HEADERS_MAX - 4; i++)
		headers[n++] = (struct http_header){ walls[i].name, walls[i].value };
	bool takes_gzip =
		console_accepts_gzip(http_header(request->http, BYTES("Accept-Encoding")));
	if (console_find(request->path, takes_gzip, &asset) != CONSOLE_FOUND) {
		request_refuse(request, API_NOT_FOUND);
		return;
	}
	headers[n++] = (struct http_header){ BYTES("Content-Type"), asset.content_type };
	headers[n++] = (struct http_header){ BYTES("Cache-Control"), asset.cache_control };
	if (asset.etag.n > 0)
		headers[n++] = (struct http_header){ BYTES("ETag"), asset.etag };
	bool is_unchanged =
		console_is_unchanged(&asset, http_header(request->http, BYTES("If-None-Match")));
	if (asset.is_gzip && !is_unchanged)
		headers[n++] = (struct http_header){ BYTES("Content-Encoding"), BYTES("gzip") };
	const struct http_answer answer = { .status = is_unchanged ? 304 : 200,
		.headers = headers,
		.n_headers = n,
		.body = is_unchanged ? (struct bytes){ 0 } : asset.body,
		.body_kind = HTTP_BODY_STATIC };
	request_answer(request, &answer);
}
