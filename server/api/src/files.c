/*
 * Files of records: GET /api/files/{collection}/{record}/{name}, POST /api/files/token.
 *
 *   [?token= -> account] -> does the record name it, may the viewer -> open (file lane) ->
 * conditions
 *   -> range -> the kernel sends it
 *
 * A file is somebody's upload: it leaves with headers under which a browser runs nothing of it, and
 * only pictures, sounds, films and PDF are shown in place (docs/security.md). ?thumb= is taken and
 * serves the file itself.
 */
#include "records.h"

#include "clock.h"
#include "file_type.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DATE_BYTES 32
#define HEADERS    16

struct download {
	struct api_request *request;
	struct record_find_auth account;
	struct record_find_file find;
	struct file_get get;
	struct bytes token;
	struct auth_identity identity; /* whose eyes see it */
	char etag[64], modified[DATE_BYTES], range[96], disposition[FILE_NAME_MAX + 40];
};

/* ---- dates and tags ---- */

/* "Mon, 23 Nov 2026 14:24:25 GMT" */
static void format_date(int64_t seconds, char out[static DATE_BYTES])
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	time_t time = (time_t)seconds;
	struct tm tm = { 0 };

	gmtime_r(&time, &tm);
	(void)snprintf(out, DATE_BYTES, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday % 7],
		tm.tm_mday % 100, months[tm.tm_mon % 12], (tm.tm_year + 1900) % 10000,
		tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
}

/* Whether a list of tags, or "*", names ours; weakly: W/ does not count. */
static bool has_etag(struct bytes list, const char *etag)
{
	while (list.n) {
		const char *comma = memchr(list.p, ',', list.n);
		struct bytes tag = { list.p, comma ? (size_t)(comma - list.p) : list.n };

		list = comma ? (struct bytes){ comma + 1, list.n - tag.n - 1 }
			     : (struct bytes){ NULL, 0 };
		while (tag.n && tag.p[0] == ' ')
			tag = (struct bytes){ tag.p + 1, tag.n - 1 };
		while (tag.n && tag.p[tag.n - 1] == ' ')
			tag.n--;
		if (bytes_starts_with(tag, BYTES("W/")))
			tag = (struct bytes){ tag.p + 2, tag.n - 2 };
		if (bytes_eq_string(tag, etag) || bytes_eq_string(tag, "*"))
			return true;
	}
	return false;
}

/* A file never changes under its name, so a date that is not exactly its own is an older one of
 * somebody else's: compared as text, no parser of dates is needed. */
static bool is_unchanged(struct api_request *request, const struct download *download)
{
	struct bytes tags = http_header(request->http, BYTES("If-None-Match"));

	if (tags.p)
		return has_etag(tags, download->etag);
	return bytes_eq_string(
		http_header(request->http, BYTES("If-Modified-Since")), download->modified);
}

/* ---- ranges ---- */

enum range_result { RANGE_WHOLE, RANGE_PART, RANGE_NONE };

/* "bytes=0-499", "bytes=500-", "bytes=-500". What is malformed, or asks for several, is passed
 * over.
 */
static enum range_result parse_range(
	struct bytes text, uint64_t n_bytes, uint64_t *ret_first, uint64_t *ret_n)
{
	uint64_t first, last = UINT64_MAX;
	struct bytes unit = BYTES("bytes=");

	if (!bytes_starts_with(text, unit))
		return RANGE_WHOLE;
	text = (struct bytes){ text.p + unit.n, text.n - unit.n };
	const char *dash = text.n ? memchr(text.p, '-', text.n) : NULL;
	if (!dash)
		return RANGE_WHOLE;
	struct bytes from = { text.p, (size_t)(dash - text.p) };
	struct bytes to = { dash + 1, text.n - from.n - 1 };
	if ((to.n && !bytes_parse_u64(to, UINT64_MAX, &last)) || (!from.n && !to.n))
		return RANGE_WHOLE;
	if (!from.n) {
		if (last == 0 || n_bytes == 0)
			return RANGE_NONE;
		first = last < n_bytes ? n_bytes - last : 0;
		last = n_bytes - 1;
	} else if (!bytes_parse_u64(from, UINT64_MAX, &first) || first > last) {
		return RANGE_WHOLE;
	}
	if (first >= n_bytes)
		return RANGE_NONE;
	if (last >= n_bytes)
		last = n_bytes - 1;
	*ret_first = first;
	*ret_n = last - first + 1;
	return RANGE_PART;
}

static enum range_result find_range(
	struct api_request *request, const struct download *download, struct http_file *file)
{
	struct bytes range = http_header(request->http, BYTES("Range"));
	struct bytes condition = http_header(request->http, BYTES("If-Range"));

	if (!range.p || http_method(request->http) != HTTP_GET)
		return RANGE_WHOLE;
	/* Strongly: a weak tag, or another date, gets the whole. */
	if (condition.p && !bytes_eq_string(condition, download->etag) &&
		!bytes_eq_string(condition, download->modified))
		return RANGE_WHOLE;
	return parse_range(range, download->get.n_bytes, &file->offset, &file->n_bytes);
}

/* ---- the answer ---- */

static bool is_true(struct bytes text)
{
	static const char *const truths[] = { "1", "t", "T", "true", "TRUE", "True" };

	for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++)
		if (bytes_eq_string(text, truths[i]))
			return true;
	return false;
}

static size_t write_headers(struct download *download, struct http_header *out)
{
	const struct file_get *get = &download->get;
	struct api_request *request = download->request;
	bool is_inline =
		file_type_is_inline(get->type) && !is_true(request_query(request, "download"));
	size_t n = 0;

	(void)snprintf(download->disposition, sizeof download->disposition, "%s; filename=\"%.*s\"",
		is_inline ? "inline" : "attachment", (int)download->find.name.n,
		download->find.name.p);
	const struct http_header headers[] = {
		{ BYTES("Content-Type"), bytes_of(file_type_of_answer(get->type, get->name)) },
		{ BYTES("Content-Disposition"), bytes_of(download->disposition) },
		{ BYTES("Content-Security-Policy"), BYTES("sandbox; default-src 'none'") },
		{ BYTES("X-Content-Type-Options"), BYTES("nosniff") },
		{ BYTES("Cross-Origin-Resource-Policy"), BYTES("cross-origin") },
		{ BYTES("Cache-Control"), download->find.is_protected
						  ? BYTES("private, no-store")
						  : BYTES("max-age=2592000, immutable") },
		{ BYTES("Accept-Ranges"), BYTES("bytes") },
		{ BYTES("ETag"), bytes_of(download->etag) },
		{ BYTES("Last-Modified"), bytes_of(download->modified) },
	};
	for (; n < sizeof headers / sizeof headers[0]; n++)
		out[n] = headers[n];
	return n;
}

static void answer(struct download *download)
{
	struct api_request *request = download->request;
	const struct file_get *get = &download->get;
	struct http_header headers[HEADERS];
	struct http_answer answer = { .status = 200, .headers = headers };
	struct http_file file = { get->fd, 0, get->n_bytes };

	(void)snprintf(download->etag, sizeof download->etag, "\"%llx-%llx%08x\"",
		(unsigned long long)get->n_bytes, (unsigned long long)get->modified_s,
		get->modified_ns);
	format_date(get->modified_s, download->modified);
	answer.n_headers = write_headers(download, headers);
	if (is_unchanged(request, download)) {
		close(get->fd);
		answer.status = 304;
		request_answer(request, &answer);
		return;
	}
	enum range_result range = find_range(request, download, &file);
	if (range != RANGE_WHOLE) {
		if (range == RANGE_NONE)
			(void)snprintf(download->range, sizeof download->range, "bytes */%llu",
				(unsigned long long)get->n_bytes);
		else
			(void)snprintf(download->range, sizeof download->range,
				"bytes %llu-%llu/%llu", (unsigned long long)file.offset,
				(unsigned long long)(file.offset + file.n_bytes - 1),
				(unsigned long long)get->n_bytes);
		headers[answer.n_headers++] =
			(struct http_header){ BYTES("Content-Range"), bytes_of(download->range) };
	}
	if (range == RANGE_NONE) {
		close(get->fd);
		answer.status = 416;
		request_answer(request, &answer);
		return;
	}
	answer.status = range == RANGE_PART ? 206 : 200;
	answer.body_kind = HTTP_BODY_FILE;
	answer.body_file = file;
	request_answer(request, &answer);
}

static void on_opened(struct file_get *get)
{
	struct download *download = get->context;
	struct api_request *request = download->request;

	switch (get->outcome) {
	case FILE_OK:
		answer(download);
		return;
	case FILE_NONE:
		request_refuse(request, API_NOT_FOUND);
		return;
	case FILE_FAULT:
		request_fault(request, &get->err);
		return;
	default:
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
}

/* ---- who asks for what ---- */

static void on_found(struct record_call *call)
{
	struct download *download = call->context;
	struct api_request *request = download->request;
	int status = call->status;
	struct err err = call->err;

	request->stop = NULL;
	if (call->refused_by == RECORD_BY_RULE) {
		request->decision = AUDIT_DENIED;
		request->reason = BYTES("rule");
	}
	record_call_fini(call);
	if (status >= 500 && err.code != ERR_NONE) {
		request_fault(request, &err);
		return;
	}
	if (status == 503) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	if (status != 200) {
		request_status(request, (unsigned)status, call->message, (struct bytes){ 0 });
		return;
	}
	download->get = (struct file_get){ .store = record_book_files(request->book),
		.collection = bytes_of(download->find.collection_id),
		.record = call->id,
		.name = download->find.name,
		.loop = request_loop(request),
		.done = on_opened,
		.context = download };
	file_get(&download->get);
}

static void stop(struct api_request *request)
{
	struct download *download = request->context;

	record_cancel(&download->find.call);
}

static void find(struct download *download)
{
	const struct auth_identity *identity = &download->identity;
	struct record_call *call = &download->find.call;

	call->viewer = (struct record_viewer){ .is_superuser = identity->kind == AUTH_SUPERUSER,
		.collection_id = bytes_of(identity->collection_id),
		.collection_name = bytes_of(identity->collection),
		.record_id = bytes_of(identity->record_id) };
	download->request->stop = stop;
	record_find_file(&download->find);
}

/* The token was somebody's: the audit trail names him too. */
static void on_account(struct record_find_auth *account)
{
	struct download *download = account->context;
	struct api_request *request = download->request;
	struct auth_identity identity = { .kind = AUTH_ANONYMOUS };

	if (account->result == RECORD_UNAVAILABLE) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	if (account->result == RECORD_FOUND &&
		auth_token_check(
			request->api->config.auth, download->token, bytes_of(account->token_key))) {
		identity.kind = account->is_superuser ? AUTH_SUPERUSER : AUTH_USER;
		(void)bytes_to_string(bytes_of(account->collection_id), identity.collection_id,
			sizeof identity.collection_id);
		(void)bytes_to_string(bytes_of(account->collection_name), identity.collection,
			sizeof identity.collection);
		(void)bytes_to_string(bytes_of(account->record_id), identity.record_id,
			sizeof identity.record_id);
		request->identity = identity;
		request->decision = AUDIT_ALLOWED;
	}
	explicit_bzero(account->token_key, sizeof account->token_key);
	explicit_bzero(account->password_hash, sizeof account->password_hash);
	download->identity = identity;
	find(download);
}

void files_get(void *context)
{
	struct api_request *request = context;
	struct download *download = arena_alloc(request->arena, sizeof *download);
	struct auth_claims claims;

	if (!download) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	download->request = request;
	struct record_call *call = &download->find.call;
	if (text_url_segment(request_param(request, 2), request->arena, &download->find.name) !=
			TEXT_URL_OK ||
		!file_name_is_component(download->find.name)) {
		request_refuse(request, API_NOT_FOUND);
		return;
	}
	if (!records_fill_call(request, call))
		return;
	request->object = arena_printf(request->arena, "%.*s/%.*s/%.*s", (int)call->collection.n,
		call->collection.p, (int)call->id.n, call->id.p, (int)download->find.name.n,
		download->find.name.p);
	call->done = on_found;
	call->context = download;
	request->context = download;
	download->token = request_query(request, "token");
	if (download->token.n == 0) {
		download->identity = request->identity;
		find(download);
		return;
	}
	switch (auth_token_read(download->token, AUTH_TOKEN_FILE,
		bytes_of(tenant_name(request->tenant)), clock_wall_us() / 1000000, &claims)) {
	case AUTH_TOKEN_NONE: /* a guest's then */
		download->identity = (struct auth_identity){ .kind = AUTH_ANONYMOUS };
		find(download);
		return;
	case AUTH_TOKEN_FOREIGN:
		request->reason = BYTES("token of another tenant");
		request_refuse(request, API_FOREIGN_TOKEN);
		return;
	case AUTH_TOKEN_READ:
		break;
	}
	download->identity = claims.identity;
	download->account.book = request->book;
	download->account.loop = request_loop(request);
	download->account.collection = bytes_of(download->identity.collection_id);
	download->account.id = bytes_of(download->identity.record_id);
	download->account.done = on_account;
	download->account.context = download;
	record_find_auth(&download->account);
}

/* ---- tokens ---- */

static void on_holder(struct record_find_auth *holder)
{
	struct api_request *request = holder->context;
	char token[AUTH_TOKEN_MAX];
	size_t n = 0;

	if (holder->result == RECORD_UNAVAILABLE) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	if (holder->result == RECORD_FOUND) {
		struct auth_identity identity = request->identity;
		(void)bytes_to_string(bytes_of(tenant_name(request->tenant)), identity.tenant,
			sizeof identity.tenant);
		const struct auth_token claims = { .type = AUTH_TOKEN_FILE,
			.identity = &identity,
			.account_key = bytes_of(holder->token_key),
			.now_s = clock_wall_us() / 1000000,
			.lifetime_s = holder->lifetime_s[RECORD_TOKEN_FILE] };
		n = auth_token_format(request->api->config.auth, &claims, token);
	}
	explicit_bzero(holder->token_key, sizeof holder->token_key);
	explicit_bzero(holder->password_hash, sizeof holder->password_hash);
	if (n == 0) {
		request_refuse(request, API_UNAUTHORIZED);
		return;
	}
	struct bytes json = arena_printf(request->arena, "{\"token\":\"%.*s\"}", (int)n, token);
	explicit_bzero(token, sizeof token);
	request_json(request, 200, json);
}

void files_token(void *context)
{
	struct api_request *request = context;
	struct record_find_auth *holder = arena_alloc(request->arena, sizeof *holder);

	if (!holder) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	holder->book = request->book;
	holder->loop = request_loop(request);
	holder->collection = bytes_of(request->identity.collection_id);
	holder->id = bytes_of(request->identity.record_id);
	holder->done = on_holder;
	holder->context = request;
	record_find_auth(holder);
}
