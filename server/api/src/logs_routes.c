/* GET /api/logs, /api/logs/{id}, /api/logs/stats: a tenant's superusers read of their tenant. */
#include "logs.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX       (8u << 20)
#define PER_PAGE_DEFAULT 30
#define PER_PAGE_MAX     1000

struct logs_call {
	struct api_request *request;
	struct executor_job job;
	struct loop_message message;
	/* Writes the answer of what was read; returns its status, 200, 400 or 404. */
	int (*write)(struct logs_call *call, struct log_book *book, struct text_json_writer *json);
	struct bytes tenant, filter, sort, id;
	uint64_t page, per_page;
	bool skip_total;
	struct bytes_buf body;
	int rc, status;
	char refusal[256];
	struct err err;
};

static void write_row(struct text_json_writer *json, const struct log_row *row)
{
	text_json_begin_object(json);
	text_json_write_key(json, BYTES("id"));
	text_json_write_string(json, bytes_of(row->id));
	text_json_write_key(json, BYTES("created"));
	text_json_write_string(json, bytes_of(row->created));
	text_json_write_key(json, BYTES("updated"));
	text_json_write_string(json, bytes_of(row->created));
	text_json_write_key(json, BYTES("level"));
	text_json_write_int64(json, row->level);
	text_json_write_key(json, BYTES("message"));
	text_json_write_string(json, row->message);
	text_json_write_key(json, BYTES("data"));
	text_json_write_raw(json, row->data);
	text_json_end_object(json);
}

static int write_list(struct logs_call *call, struct log_book *book, struct text_json_writer *json)
{
	uint64_t n = book->n_rows, first = (call->page - 1) * call->per_page;

	text_json_begin_object(json);
	text_json_write_key(json, BYTES("page"));
	text_json_write_uint64(json, call->page);
	text_json_write_key(json, BYTES("perPage"));
	text_json_write_uint64(json, call->per_page);
	text_json_write_key(json, BYTES("totalItems"));
	text_json_write_int64(json, call->skip_total ? -1 : (int64_t)n);
	text_json_write_key(json, BYTES("totalPages"));
	text_json_write_int64(
		json, call->skip_total ? -1 : (int64_t)((n + call->per_page - 1) / call->per_page));
	text_json_write_key(json, BYTES("items"));
	text_json_begin_array(json);
	for (uint64_t i = first; i < n && i < first + call->per_page; i++)
		write_row(json, &book->rows[i]);
	text_json_end_array(json);
	text_json_end_object(json);
	return 200;
}

static int write_one(struct logs_call *call, struct log_book *book, struct text_json_writer *json)
{
	for (size_t i = 0; i < book->n_rows; i++)
		if (bytes_eq_string(call->id, book->rows[i].id)) {
			write_row(json, &book->rows[i]);
			return 200;
		}
	return 404;
}

/* How many in each hour, the first hour first. */
static int write_stats(struct logs_call *call, struct log_book *book, struct text_json_writer *json)
{
	(void)call;
	text_json_begin_array(json);
	(void)logs_sort(book, BYTES("created"));
	for (size_t i = 0; i < book->n_rows;) {
		/* "2026-11-23 14:" is what an hour's rows have in common. */
		const char *hour = book->rows[i].created;
		size_t n = 0;
		while (i + n < book->n_rows && memcmp(book->rows[i + n].created, hour, 14) == 0)
			n++;
		char date[CLOCK_TEXT_BYTES];
		memcpy(date, hour, 14);
		memcpy(date + 14, "00:00.000Z", 11);
		text_json_begin_object(json);
		text_json_write_key(json, BYTES("date"));
		text_json_write_string(json, bytes_of(date));
		text_json_write_key(json, BYTES("total"));
		text_json_write_uint64(json, n);
		text_json_end_object(json);
		i += n;
	}
	text_json_end_array(json);
	return 200;
}

static void deliver(struct loop_message *message)
{
	struct logs_call *call =
		(struct logs_call *)((char *)message - offsetof(struct logs_call, message));
	struct api_request *request = call->request;

	if (call->rc == 0 && call->status == 200) {
		request_json_buf(request, 200, &call->body);
		return;
	}
	bytes_buf_fini(&call->body);
	if (call->rc < 0)
		request_fault(request, &call->err);
	else if (call->status == 404)
		request_refuse(request, API_NOT_FOUND);
	else
		request_refuse_with(request, API_BAD_REQUEST, call->refusal, (struct bytes){ 0 });
}

static void run(struct executor_job *job)
{
	struct logs_call *call =
		(struct logs_call *)((char *)job - offsetof(struct logs_call, job));
	struct text_json_writer json;
	struct log_book book = { 0 };
	const char *message = NULL;

	call->rc =
		logs_read(call->request->api->config.audit_folder, call->tenant, &book, &call->err);
	if (call->rc == 0) {
		text_json_writer_init(&json, &call->body);
		call->status = 400;
		if (!logs_filter(&book, call->filter, &message))
			(void)bytes_to_string(
				bytes_of(message), call->refusal, sizeof call->refusal);
		else if (!logs_sort(&book, call->sort))
			memcpy(call->refusal, "Invalid sort key.", sizeof "Invalid sort key.");
		else
			call->status = call->write(call, &book, &json);
		logs_fini(&book);
	}
	call->message.deliver = deliver;
	loop_post(request_loop(call->request), &call->message);
}

static uint64_t number(
	struct api_request *request, const char *name, uint64_t initial, uint64_t max)
{
	uint64_t n;

	return bytes_parse_u64(request_query(request, name), max, &n) && n > 0 ? n : initial;
}

static void start(struct api_request *request,
	int (*write)(struct logs_call *call, struct log_book *book, struct text_json_writer *json))
{
	struct logs_call *call = arena_alloc(request->arena, sizeof *call);

	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	call->request = request;
	call->write = write;
	call->tenant = bytes_of(tenant_name(request->tenant));
	call->filter = request_query(request, "filter");
	call->sort = request_query(request, "sort");
	call->page = number(request, "page", 1, 1000000);
	call->per_page = number(request, "perPage", PER_PAGE_DEFAULT, PER_PAGE_MAX);
	call->skip_total = bytes_eq_string(request_query(request, "skipTotal"), "true") ||
			   bytes_eq_string(request_query(request, "skipTotal"), "1");
	call->id = request_param(request, 0);
	bytes_buf_init(&call->body, ANSWER_MAX);
	call->job.run = run;
	if (executor_submit(request->api->config.executor, EXECUTOR_FILE, &call->job) !=
		EXECUTOR_OK)
		request_refuse_later(request, API_BUSY, NULL, 1);
}

void logs_list(void *request)
{
	start(request, write_list);
}

void logs_get(void *request)
{
	start(request, write_one);
}

void logs_stats(void *request)
{
	start(request, write_stats);
}
