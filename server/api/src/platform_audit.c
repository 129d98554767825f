/* GET /platform/audit: the newest records that match. Read from the files, on the executor. */
#include "internal.h"

#include "audit_reader.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX    (8u << 20)
#define LIMIT_DEFAULT 100

struct audit_call {
	struct api_request *request;
	struct executor_job job;
	struct loop_message message;
	struct audit_filter filter;
	uint8_t trace[ID_TRACE_BYTES];
	unsigned limit;
	struct bytes_buf body;
	bool has_items;
	int rc;
	struct err err;
};

static bool add(const struct audit_entry *entry, void *context)
{
	struct audit_call *call = context;

	if (call->has_items)
		(void)bytes_buf_append_byte(&call->body, ',');
	call->has_items = true;
	return audit_entry_format(entry, &call->body);
}

static void deliver(struct loop_message *message)
{
	struct audit_call *call =
		(struct audit_call *)((char *)message - offsetof(struct audit_call, message));

	if (call->rc < 0) {
		bytes_buf_fini(&call->body);
		request_fault(call->request, &call->err);
		return;
	}
	request_json_buf(call->request, 200, &call->body);
}

static void run(struct executor_job *job)
{
	struct audit_call *call =
		(struct audit_call *)((char *)job - offsetof(struct audit_call, job));

	(void)bytes_buf_append_string(&call->body, "{\"items\":[");
	call->rc = audit_query(call->request->api->config.audit_folder, &call->filter, call->limit,
		add, call, &call->err);
	(void)bytes_buf_append_string(&call->body, "]}");
	call->message.deliver = deliver;
	loop_post(request_loop(call->request), &call->message);
}

void audit_list(void *context)
{
	struct api_request *request = context;
	struct audit_call *call = arena_alloc(request->arena, sizeof *call);
	struct bytes limit = request_query(request, "limit"),
		     trace = request_query(request, "trace");
	uint64_t n = LIMIT_DEFAULT;

	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	if (limit.n && (!bytes_parse_u64(limit, AUDIT_QUERY_MAX, &n) || n == 0)) {
		request_refuse_with(request, API_BAD_REQUEST, "limit is a number from 1 to 1000.",
			(struct bytes){ 0 });
		return;
	}
	if (trace.n && !bytes_unhex(trace, call->trace, sizeof call->trace)) {
		request_refuse_with(request, API_BAD_REQUEST, "trace is 32 hexadecimal digits.",
			(struct bytes){ 0 });
		return;
	}
	call->request = request;
	call->limit = (unsigned)n;
	call->filter = (struct audit_filter){ .tenant = request_query(request, "tenant"),
		.plugin = request_query(request, "plugin"),
		.action = request_query(request, "action"),
		.trace = trace.n ? call->trace : NULL,
		.decision = bytes_eq(request_query(request, "decision"), BYTES("denied"))
				    ? AUDIT_DENIED
				    : AUDIT_UNDECIDED };
	bytes_buf_init(&call->body, ANSWER_MAX);
	call->job.run = run;
	if (executor_submit(request->api->config.executor, EXECUTOR_FILE, &call->job) !=
		EXECUTOR_OK)
		request_refuse_later(request, API_BUSY, NULL, 1);
}
