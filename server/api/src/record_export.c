/*
 * GET /api/collections/{c}/records/export: a filtered list as a file.
 *
 *   part 1 ─▶ an error, or all of it: an answer like any other
 *          └▶ a stream: send, wait until the reader has taken it, ask for the next part ...
 *
 * What is held for a file is one part and the stream's buffer, however long the file becomes. The
 * parts outlive the request when its client leaves, so they borrow nothing of it. A file whose end
 * cannot be read is cut off in a way that the client can tell from an end.
 */
#include "records.h"

#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTS_MAX   16           /* per loop */
#define OWN_BYTES     (256u << 10) /* copies of what the request said */
#define PART_ARENA    (4u << 20)
#define BUFFER_BYTES  (RECORD_BODY_MAX + (1u << 20)) /* one part of the largest kind fits */
#define REFILL_BYTES  (64u << 10) /* what may still wait when the next part is asked for */
#define LOOK_AGAIN_NS (5 * CLOCK_NS_PER_MS)

struct export
{
	struct record_call call;
	struct record_export parts;
	struct arena *own, *arena;
	struct api_lane *lane;
	struct api_request *request; /* until it is answered or streams */
	struct http_stream *stream;
	struct tenant_use use;
	bool is_using, is_running;
	struct loop_timer timer;
	char name[80]; /* of the file */
};

static void export_free(struct export *export)
{
	if (!export)
		return;
	if (export->is_using)
		tenant_use_end(&export->use);
	if (export->lane)
		export->lane->n_exports--;
	loop_timer_stop(&export->timer);
	record_call_fini(&export->call);
	bytes_buf_fini(&export->parts.next);
	arena_free(export->arena);
	arena_free(export->own);
	free(export);
}

DEFER_DEFINE(struct export *, export_free)

/* ---- copies ---- */

static bool keep(struct export *export, struct bytes *text)
{
	char *copy = arena_copy(export->own, *text);

	text->p = copy;
	return copy;
}

static bool keep_pairs(struct export *export, const struct record_pair **pairs, size_t n)
{
	struct record_pair *copy = arena_alloc(export->own, (n + 1) * sizeof *copy);

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = (*pairs)[i];
		if (!keep(export, &copy[i].name) || !keep(export, &copy[i].value))
			return false;
	}
	*pairs = copy;
	return copy;
}

static bool keep_all(struct export *export)
{
	struct record_call *call = &export->call;

	return keep(export, &call->viewer.collection_id) &&
	       keep(export, &call->viewer.collection_name) &&
	       keep(export, &call->viewer.record_id) && keep(export, &call->collection) &&
	       keep(export, &call->method) && keep_pairs(export, &call->query, call->n_query) &&
	       keep_pairs(export, &call->headers, call->n_headers);
}

/* ---- parts ---- */

static void next_part(struct export *export)
{
	record_call_fini(&export->call);
	arena_reset(export->arena);
	export->call.deadline_ns = 0;
	export->is_running = true;
	record_export(&export->call);
}

static void pump(struct export *export);

static void on_timer(struct loop_timer *timer)
{
	pump((struct export *)(void *)((char *)timer - offsetof(struct export, timer)));
}

/* Asks for the next part as soon as the reader has taken most of the last. */
static void pump(struct export *export)
{
	struct err err;

	if (http_stream_pending(export->stream) < REFILL_BYTES) {
		next_part(export);
		return;
	}
	if (loop_timer_start(
		    export->call.loop, &export->timer, clock_mono_ns() + LOOK_AGAIN_NS, &err) < 0)
		http_stream_abort(export->stream);
}

static void on_closed(void *context)
{
	struct export *export = context;

	export->stream = NULL;
	loop_timer_stop(&export->timer);
	if (export->is_running)
		record_cancel(&export->call); /* done frees it */
	else
		export_free(export);
}

static void send_part(struct export *export)
{
	struct bytes part = bytes_buf_view(&export->call.answer);

	if (part.n && !http_stream_write(export->stream, part)) {
		http_stream_abort(export->stream);
		return;
	}
	export->parts.n_parts++;
	if (export->parts.next.n)
		pump(export);
	else
		http_stream_end(export->stream);
}

static void on_part(struct record_call *call)
{
	struct export *export = call->context;

	export->is_running = false;
	if (!export->stream)
		export_free(export); /* the client left meanwhile */
	else if (call->status == 200)
		send_part(export);
	else
		http_stream_abort(export->stream);
}

/* ---- the first part ---- */

static void name_file(struct export *export)
{
	char safe[48];
	size_t n = 0;
	struct bytes name = export->call.collection;

	for (size_t i = 0; i < name.n && n + 1 < sizeof safe; i++) {
		char c = name.p[i];
		bool is_plain =
			(c >= '0' && c <= '9') || c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z');
		if (is_plain)
			safe[n++] = c;
	}
	safe[n] = '\0';
	snprintf(export->name, sizeof export->name, "attachment; filename=\"%s.%s\"", safe,
		export->parts.is_csv ? "csv" : "json");
}

static void on_first(struct record_call *call)
{
	struct export *export = call->context;
	struct api_request *request = export->request;

	export->is_running = false;
	request->stop = NULL;
	if (call->status != 200) {
		records_refuse(request, call);
		export_free(export);
		return;
	}
	name_file(export);
	const struct http_header headers[] = {
		{ BYTES("Content-Type"), export->parts.is_csv
						 ? BYTES("text/csv; charset=utf-8; header=present")
						 : BYTES("application/json") },
		{ BYTES("Content-Disposition"), bytes_of(export->name) },
		{ BYTES("X-Content-Type-Options"), BYTES("nosniff") },
	};
	if (!export->parts.next.n) {
		struct http_answer answer = { .status = 200,
			.headers = headers,
			.n_headers = 3,
			.body = bytes_buf_view(&call->answer),
			.body_kind = HTTP_BODY_COPY };
		request_answer(request, &answer);
		export_free(export);
		return;
	}
	export->use.loop = call->loop;
	if (!tenant_try_use(request->tenant, &export->use)) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		export_free(export);
		return;
	}
	export->is_using = true;
	export->stream = request_stream(request, headers, 3, BUFFER_BYTES, on_closed, export);
	if (!export->stream) {
		export_free(export);
		return;
	}
	/* The request gave its use of the database back: from here on the export's own holds it. */
	export->request = NULL;
	call->done = on_part;
	send_part(export);
}

static void stop(struct api_request *request)
{
	struct export *export = request->context;

	record_cancel(&export->call);
}

static void start(struct api_request *request, struct record_call *call)
{
	struct err err;

	DEFER(export_free) struct export *export = calloc(1, sizeof *export);
	if (!export || arena_new(OWN_BYTES, &export->own, &err) < 0 ||
		arena_new(PART_ARENA, &export->arena, &err) < 0) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	if (request->lane->n_exports >= EXPORTS_MAX) {
		request_refuse_later(request, API_BUSY, "Too many files are being exported.", 10);
		return;
	}
	export->lane = request->lane;
	export->lane->n_exports++;
	export->request = request;
	export->call = *call;
	if (!keep_all(export)) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	export->call.arena = export->arena;
	export->call.export = &export->parts;
	export->call.done = on_first;
	export->call.context = export;
	export->timer.on_fire = on_timer;
	export->is_running = true;
	request->context = export;
	request->stop = stop;
	struct export *running = export;
	export = NULL; /* handed over: done frees it */
	record_export(&running->call);
}

void records_export(void *context)
{
	struct api_request *request = context;
	struct record_call *call = records_new_call(request);

	if (call)
		start(request, call);
}

/* ---- for operators: the same of any tenant, whatever its rules say ---- */

static void on_database(struct tenant_use *use, bool is_open)
{
	struct api_request *request =
		(struct api_request *)((char *)use - offsetof(struct api_request, use));

	if (!is_open) {
		request_not_open(request, &use->err);
		return;
	}
	request->is_using = true;
	request->house = tenant_hung(use->tenant);
	request->book = request->house->book;
	/* The route's first parameter is the tenant; what follows is as in its own routes. */
	memmove(request->match.params, request->match.params + 1,
		(ROUTE_PARAMS_MAX - 1) * sizeof request->match.params[0]);
	request->match.params[ROUTE_PARAMS_MAX - 1] = (struct bytes){ 0 };
	struct record_call *call = records_new_call(request);
	if (!call)
		return;
	call->viewer.is_superuser = true;
	start(request, call);
}

void platform_export(void *context)
{
	struct api_request *request = context;
	struct tenant *tenant =
		tenant_find(request->api->config.tenants, request_param(request, 0));

	if (!tenant) {
		request_refuse(request, API_NO_TENANT);
		return;
	}
	request->tenant = tenant;
	request->use.loop = request_loop(request);
	request->use.done = on_database;
	tenant_use_begin(tenant, &request->use);
}
