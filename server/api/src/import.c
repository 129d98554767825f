/*
 * Imports: many records out of a CSV or JSON body, for whoever may create them one by one, and for
 * operators in any tenant.
 */
#include "idempotency.h"
#include "records.h"

#include "record_import.h"

#include <string.h>

struct import_call {
	struct record_import import;
	struct api_request *request;
};

static void on_done(struct record_import *import)
{
	struct api_request *request = ((struct import_call *)import)->request;
	struct record_call *call = &import->call;
	struct err err = call->err;

	request->stop = NULL;
	if (call->status == 200) {
		struct bytes_buf answer = call->answer;
		call->answer = (struct bytes_buf){ 0 }; /* handed over */
		record_import_fini(import);
		request_json_buf(request, 200, &answer);
		return;
	}
	unsigned status = (unsigned)call->status;
	struct bytes data = { arena_copy(request->arena, bytes_buf_view(&call->answer)),
		call->answer.n };
	struct bytes message = { arena_copy(request->arena, bytes_of(call->message)), 0 };
	if (call->refused_by == RECORD_BY_RULE) {
		request->decision = AUDIT_DENIED;
		request->reason = BYTES("rule");
	}
	record_import_fini(import);
	if (err.code != ERR_NONE && status >= 500)
		request_fault(request, &err);
	else if (status == 503)
		request_refuse_later(request, API_BUSY, message.p, 1);
	else
		request_status(request, status, message.p, data.p ? data : (struct bytes){ 0 });
}

static void stop(struct api_request *request)
{
	struct import_call *call = request->context;

	record_cancel(&call->import.call);
}

static bool is_true(struct bytes text)
{
	return bytes_eq_string(text, "1") || bytes_eq_nocase(text, BYTES("true"));
}

/* What the query asks for. False having answered. */
static bool take_options(struct api_request *request, struct record_import *import)
{
	struct bytes type = http_header(request->http, BYTES("Content-Type"));
	struct bytes format = request_query(request, "format");
	struct bytes mode = request_query(request, "mode");
	const char *wrong = NULL;

	if (format.n == 0)
		format = bytes_starts_with(type, BYTES("text/csv")) ? BYTES("csv") : BYTES("json");
	if (bytes_eq_string(format, "csv"))
		import->format = RECORD_IMPORT_CSV;
	else if (bytes_eq_string(format, "json"))
		import->format = RECORD_IMPORT_JSON;
	else
		wrong = "format is csv or json.";
	if (bytes_eq_string(mode, "upsert"))
		import->is_upsert = true;
	else if (mode.n > 0 && !bytes_eq_string(mode, "create"))
		wrong = "mode is create or upsert.";
	import->is_dry_run = is_true(request_query(request, "dryRun"));
	import->skips_hooks = is_true(request_query(request, "skipHooks"));
	import->text = http_body(request->http);
	if (wrong)
		request_refuse_with(request, API_BAD_REQUEST, wrong, (struct bytes){ 0 });
	return !wrong;
}

static struct import_call *new_call(struct api_request *request)
{
	struct import_call *call = arena_alloc(request->arena, sizeof *call);

	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return NULL;
	}
	call->request = request;
	call->import.done = on_done;
	return take_options(request, &call->import) ? call : NULL;
}

static void run(struct api_request *request, struct import_call *call)
{
	request->context = call;
	request->stop = stop;
	record_import_run(&call->import);
}

static void begin(struct api_request *request, const struct record_once *once, void *context)
{
	struct import_call *call = new_call(request);

	(void)context;
	if (!call || !records_fill_call(request, &call->import.call))
		return;
	call->import.call.once = once;
	run(request, call);
}

void records_import(void *request)
{
	idempotency_check(request, begin, NULL);
}

/* ---- for operators ---- */

static void on_open(struct tenant_use *use, bool is_open)
{
	struct api_request *request =
		(struct api_request *)((char *)use - offsetof(struct api_request, use));

	if (!is_open) {
		request_not_open(request, &use->err);
		return;
	}
	request->is_using = true;
	request->house = tenant_hung(request->tenant);
	request->book = request->house->book;
	struct import_call *call = new_call(request);
	if (!call)
		return;
	call->import.call.book = request->book;
	call->import.call.loop = request_loop(request);
	call->import.call.ignore_rules = true;
	call->import.call.collection = request_param(request, 1);
	memcpy(call->import.call.trace_id, http_trace_id(request->http), ID_TRACE_BYTES);
	run(request, call);
}

void tenants_import(void *context)
{
	struct api_request *request = context;

	request->object = request_param(request, 1);
	request->tenant = tenant_find(request->api->config.tenants, request_param(request, 0));
	if (!request->tenant) {
		request_refuse(request, API_NO_TENANT);
		return;
	}
	request->use.loop = request_loop(request);
	request->use.done = on_open;
	tenant_use_begin(request->tenant, &request->use);
}
