/*
 * A tenant's own static files, under its own host name and nowhere else: a page of a tenant's must
 * not share an origin with the console.
 *
 *   path -> decoded segments -> opened beneath the tenant's folder, no link followed -> its
 *   compressed twin, if the client takes it -> ETag -> 200 or 304; what is not there and is no
 *   file's name gets index.html, so that an app's own routes work
 */
#include "internal.h"

#include "tenant_web.h"
#include "text_url.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_BYTES   1024
#define SEGMENTS_MAX 32

struct static_call {
	struct api_request *request;
	struct executor_job job;
	struct loop_message message;
	char folder[PATH_MAX];
	char path[PATH_BYTES]; /* below the folder */
	bool takes_br, takes_gzip;
	bool is_page; /* nothing says that a file is meant: index.html stands in */

	/* what was found */
	bool is_found;
	struct http_file file;
	const char *encoding; /* of a compressed twin, or NULL */
	bool has_twins;
	char etag[64];
	const char *type;
};

/* ---- names ---- */

static const struct {
	const char *suffix, *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".htm", "text/html; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".mjs", "text/javascript; charset=utf-8" },
	{ ".json", "application/json" },
	{ ".map", "application/json" },
	{ ".webmanifest", "application/manifest+json" },
	{ ".txt", "text/plain; charset=utf-8" },
	{ ".md", "text/plain; charset=utf-8" },
	{ ".xml", "application/xml" },
	{ ".svg", "image/svg+xml" },
	{ ".png", "image/png" },
	{ ".jpg", "image/jpeg" },
	{ ".jpeg", "image/jpeg" },
	{ ".gif", "image/gif" },
	{ ".webp", "image/webp" },
	{ ".avif", "image/avif" },
	{ ".ico", "image/vnd.microsoft.icon" },
	{ ".woff", "font/woff" },
	{ ".woff2", "font/woff2" },
	{ ".ttf", "font/ttf" },
	{ ".wasm", "application/wasm" },
	{ ".pdf", "application/pdf" },
	{ ".mp3", "audio/mpeg" },
	{ ".mp4", "video/mp4" },
	{ ".webm", "video/webm" },
};

static const char *type_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++)
		if (strcasecmp(types[i].suffix, dot) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* "/a/b.js" as "a/b.js", decoded. False when a segment is none that a file may be called: what a
 * decoder refuses, or a hidden name (but for .well-known). */
static bool take_path(struct api_request *request, struct static_call *call)
{
	struct bytes rest = request->path, name = { 0 };
	size_t n = 0, n_segments = 0;

	while (rest.n > 0) {
		rest = (struct bytes){ rest.p + 1, rest.n - 1 };
		const char *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
		struct bytes segment = { rest.p, slash ? (size_t)(slash - rest.p) : rest.n };
		if (segment.n == 0 && !slash)
			break; /* "/" or a folder's name */
		if (++n_segments > SEGMENTS_MAX ||
			text_url_segment(segment, request->arena, &name) != TEXT_URL_OK ||
			(name.p[0] == '.' && !bytes_eq_string(name, ".well-known")) ||
			n + name.n + 2 > sizeof call->path)
			return false;
		if (n > 0)
			call->path[n++] = '/';
		memcpy(call->path + n, name.p, name.n);
		n += name.n;
		rest = (struct bytes){ rest.p + segment.n, rest.n - segment.n };
	}
	call->path[n] = '\0';
	/* "orders/17" may be a route of an app's; "logo.png" that is not there is not there. */
	const char *last = strrchr(call->path, '/');
	call->is_page = !strchr(last ? last : call->path, '.');
	return true;
}

/* Whether a coding is named, and not with a weight of 0. */
static bool accepts(struct bytes header, struct bytes coding)
{
	while (header.n > 0) {
		const char *comma = memchr(header.p, ',', header.n);
		struct bytes item = { header.p, comma ? (size_t)(comma - header.p) : header.n };
		header = comma ? (struct bytes){ comma + 1, header.n - item.n - 1 }
			       : (struct bytes){ 0 };
		while (item.n && item.p[0] == ' ')
			item = (struct bytes){ item.p + 1, item.n - 1 };
		if (!bytes_starts_with(item, coding))
			continue;
		struct bytes weight = { item.p + coding.n, item.n - coding.n };
		if (weight.n == 0)
			return true;
		if ((weight.p[0] == ';' || weight.p[0] == ' ') &&
			!memmem(weight.p, weight.n, "q=0", 3))
			return true;
		if (memmem(weight.p, weight.n, "q=0.", 4) &&
			!memmem(weight.p, weight.n, "q=0.0", 5))
			return true;
	}
	return false;
}

/* ---- on the executor ---- */

/* Opens a regular file below the folder. No link is followed on the way, whoever made it. */
static int open_below(int folder, const char *path, struct stat *ret)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);

	if (fd < 0)
		return -1;
	if (fstat(fd, ret) == 0 && S_ISREG(ret->st_mode))
		return fd;
	(void)close(fd);
	return -1;
}

static int open_twin(struct static_call *call, int folder, const char *path, const char *suffix,
	bool is_taken, const char *encoding, const struct stat *plain, struct stat *ret)
{
	char twin[PATH_BYTES + 8];
	int fd;

	(void)snprintf(twin, sizeof twin, "%s%s", path, suffix);
	fd = open_below(folder, twin, ret);
	if (fd < 0)
		return -1;
	call->has_twins = true;
	/* One that is older than the file was made of another. */
	if (is_taken && ret->st_mtim.tv_sec >= plain->st_mtim.tv_sec) {
		call->encoding = encoding;
		return fd;
	}
	(void)close(fd);
	return -1;
}

/* False when there is no such file. */
static bool find_file(struct static_call *call, int folder, const char *path)
{
	struct stat plain, twin;
	int fd = open_below(folder, path, &plain), compressed;

	if (fd < 0)
		return false;
	call->type = type_of(path);
	compressed = open_twin(call, folder, path, ".br", call->takes_br, "br", &plain, &twin);
	if (compressed < 0)
		compressed = open_twin(
			call, folder, path, ".gz", call->takes_gzip, "gzip", &plain, &twin);
	if (compressed >= 0) {
		(void)close(fd);
		fd = compressed;
		plain = twin;
	}
	(void)snprintf(call->etag, sizeof call->etag, "\"%llx-%llx%s%s\"",
		(unsigned long long)plain.st_mtim.tv_sec * 1000000000ull +
			(unsigned long long)plain.st_mtim.tv_nsec,
		(unsigned long long)plain.st_size, call->encoding ? "-" : "",
		call->encoding ? call->encoding : "");
	call->is_found = true;
	call->file = (struct http_file){ .fd = fd, .n_bytes = (uint64_t)plain.st_size };
	/* It is sent from the loop, which does not wait for a disk. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
	return true;
}

static void deliver(struct loop_message *message);

static void run(struct executor_job *job)
{
	struct static_call *call =
		(struct static_call *)((char *)job - offsetof(struct static_call, job));
	char index[PATH_BYTES + 16];
	int folder = open(call->folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (folder >= 0) {
		(void)snprintf(index, sizeof index, "%s%sindex.html", call->path,
			call->path[0] ? "/" : "");
		if (!(call->path[0] && find_file(call, folder, call->path)) && call->is_page &&
			!find_file(call, folder, index))
			(void)find_file(call, folder, "index.html");
		(void)close(folder);
	}
	call->message.deliver = deliver;
	loop_post(request_loop(call->request), &call->message);
}

/* ---- answering ---- */

static bool is_unchanged(struct api_request *request, const char *etag)
{
	struct bytes tags = http_header(request->http, BYTES("If-None-Match"));
	size_t n = strlen(etag);

	return bytes_eq_string(tags, "*") || (tags.n >= n && memmem(tags.p, tags.n, etag, n));
}

static void deliver(struct loop_message *message)
{
	struct static_call *call =
		(struct static_call *)((char *)message - offsetof(struct static_call, message));
	struct api_request *request = call->request;
	struct http_header headers[8];
	size_t n = 0;

	if (!call->is_found) {
		request_refuse(request, API_NOT_FOUND);
		return;
	}
	bool is_same = is_unchanged(request, call->etag);

	headers[n++] = (struct http_header){ BYTES("Content-Type"), bytes_of(call->type) };
	headers[n++] = (struct http_header){ BYTES("ETag"), bytes_of(call->etag) };
	/* Always asked for anew, mostly answered by 304: what is deployed is seen at once. */
	headers[n++] = (struct http_header){ BYTES("Cache-Control"), BYTES("no-cache") };
	headers[n++] = (struct http_header){ BYTES("X-Content-Type-Options"), BYTES("nosniff") };
	if (call->has_twins)
		headers[n++] = (struct http_header){ BYTES("Vary"), BYTES("Accept-Encoding") };
	if (call->encoding && !is_same)
		headers[n++] =
			(struct http_header){ BYTES("Content-Encoding"), bytes_of(call->encoding) };
	struct http_answer answer = {
		.status = is_same ? 304 : 200, .headers = headers, .n_headers = n
	};
	if (is_same) {
		(void)close(call->file.fd);
	} else {
		answer.body_kind = HTTP_BODY_FILE;
		answer.body_file = call->file;
	}
	request_answer(request, &answer);
}

static void static_get(void *context)
{
	struct api_request *request = context;
	struct static_call *call = arena_alloc(request->arena, sizeof *call);
	struct bytes codings = http_header(request->http, BYTES("Accept-Encoding"));

	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	call->request = request;
	call->takes_br = accepts(codings, BYTES("br"));
	call->takes_gzip = accepts(codings, BYTES("gzip"));
	call->job.run = run;
	if (!take_path(request, call) ||
		!tenant_public_folder(request->tenant, call->folder, sizeof call->folder)) {
		request_refuse(request, API_NOT_FOUND);
		return;
	}
	if (executor_submit(request->api->config.executor, EXECUTOR_FILE, &call->job) !=
		EXECUTOR_OK)
		request_refuse_later(request, API_BUSY, NULL, 1);
}

const struct route static_route = { ROUTE_GET, "/{rest*}", ROUTE_PUBLIC, 0, "static.get",
	static_get };
