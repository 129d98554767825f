/*
 * Several writes in one transaction, over HTTP: what batches and arrays of records share.
 */
#include "writes.h"

#include "limits.h"
#include "records.h"

#include "text_json_writer.h"

#include <stdio.h>
#include <string.h>

#define ITEM_ERROR_MAX (128 * 1024)

static void stop(struct api_request *request)
{
	const struct writes *writes = request->context;

	record_group_cancel(writes->group);
}

static void on_done(struct record_group *group)
{
	struct writes *writes = group->context;
	struct api_request *request = writes->request;

	request->stop = NULL;
	if (group->result != RECORD_GROUP_FAILED) {
		if (group->result == RECORD_GROUP_ITEM_FAILED) {
			const struct record_call *call = &group->items[group->failed].call;
			if (call->refused_by == RECORD_BY_RULE) {
				request->decision = AUDIT_DENIED;
				request->reason = BYTES("rule");
			} else if (call->refused_by == RECORD_BY_HOOK) {
				request->reason = BYTES("refused by a hook");
			}
		}
		writes->kind->answer(writes);
		return;
	}
	struct err err = group->err;
	struct bytes message = { 0 };
	unsigned status = (unsigned)group->status;
	if (group->message)
		message.p = arena_copy(request->arena, bytes_of(group->message));
	record_group_free(group);
	if (err.code != ERR_NONE)
		request_fault(request, &err);
	else if (status == 503)
		request_refuse_later(request, API_BUSY, message.p, 1);
	else
		request_status(request, status, message.p, (struct bytes){ 0 });
}

struct writes *writes_begin(struct api_request *request, size_t n_items,
	const struct writes_kind *kind, struct record_call *ret_outer)
{
	struct writes *writes = arena_alloc(request->arena, sizeof *writes);
	struct err err;

	*ret_outer = (struct record_call){ 0 };
	if (!records_fill_call(request, ret_outer))
		return NULL;
	if (!writes || record_group_new(n_items, &writes->group, &err) < 0) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return NULL;
	}
	struct record_group *group = writes->group;
	writes->request = request;
	writes->kind = kind;
	group->book = ret_outer->book;
	group->loop = ret_outer->loop;
	group->viewer = ret_outer->viewer;
	memcpy(group->trace_id, ret_outer->trace_id, ID_TRACE_BYTES);
	group->compose = kind->compose;
	group->done = on_done;
	group->context = writes;
	for (size_t i = 0; i < n_items; i++) {
		struct record_call *call = &group->items[i].call;
		call->collection = ret_outer->collection;
		call->method = ret_outer->method;
		call->is_strict = ret_outer->is_strict;
		call->query = ret_outer->query;
		call->n_query = ret_outer->n_query;
		call->headers = ret_outer->headers;
		call->n_headers = ret_outer->n_headers;
	}
	return writes;
}

void writes_run(struct writes *writes, const struct record_once *once)
{
	struct record_group *group = writes->group;

	if (!limits_allow_writes(writes->request, group)) {
		record_group_free(group); /* writes may have gone with the answer */
		return;
	}
	writes->request->context = writes;
	writes->request->stop = stop;
	writes->request->n_rows = writes->group->n_items;
	writes->group->once = once;
	record_group_run(writes->group);
}

void writes_end(struct writes *writes)
{
	record_group_free(writes->group);
	writes->group = NULL;
}

void writes_append_body(const struct record_item *item, struct bytes_buf *out)
{
	bool has_body = item->action != RECORD_DELETE;

	bytes_buf_append(out, has_body ? bytes_buf_view(&item->call.answer) : BYTES("null"));
}

void writes_refuse_item(struct api_request *request, const char *message, const char *list,
	size_t index, const struct record_call *call)
{
	struct text_json_writer json;
	DEFER(bytes_buf_fini) struct bytes_buf data;
	struct bytes said = call ? bytes_buf_view(&call->answer) : (struct bytes){ 0 };
	char number[24];

	(void)snprintf(number, sizeof number, "%zu", index);
	bytes_buf_init(&data, ITEM_ERROR_MAX);
	text_json_writer_init(&json, &data);
	text_json_begin_object(&json);
	text_json_write_key(&json, bytes_of(list));
	text_json_begin_object(&json);
	text_json_write_key(&json, bytes_of(number));
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("code"));
	text_json_write_string(&json, BYTES("batch_request_failed"));
	text_json_write_key(&json, BYTES("message"));
	text_json_write_string(&json, BYTES("Batch request failed."));
	text_json_write_key(&json, BYTES("response"));
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("status"));
	text_json_write_int64(&json, call ? call->status : 400);
	text_json_write_key(&json, BYTES("message"));
	text_json_write_string(
		&json, call && call->message
			       ? bytes_of(call->message)
			       : BYTES("Something went wrong while processing your request."));
	text_json_write_key(&json, BYTES("data"));
	text_json_write_raw(&json, said.n ? said : BYTES("{}"));
	text_json_end_object(&json);
	text_json_end_object(&json);
	text_json_end_object(&json);
	text_json_end_object(&json);
	char *copy = data.failed ? NULL : arena_copy(request->arena, bytes_buf_view(&data));
	request_status(
		request, 400, message, (struct bytes){ copy ? copy : "{}", copy ? data.n : 2 });
}

void writes_refuse(struct writes *writes, const char *message, const char *list)
{
	struct record_group *group = writes->group;

	writes_refuse_item(
		writes->request, message, list, group->failed, &group->items[group->failed].call);
	record_group_free(group); /* writes may have gone with the answer */
}

/* Adds the names that are not there yet. */
static void join_names(struct bytes_buf *out, struct bytes names)
{
	while (names.n > 0) {
		const char *comma = memchr(names.p, ',', names.n);
		struct bytes name = { names.p, comma ? (size_t)(comma - names.p) : names.n };
		names = comma ? (struct bytes){ comma + 1, names.n - name.n - 1 }
			      : (struct bytes){ 0 };
		bool is_there = false;
		for (struct bytes left = bytes_buf_view(out); left.n > 0 && !is_there;) {
			const char *stop_at = memchr(left.p, ',', left.n);
			size_t n = stop_at ? (size_t)(stop_at - left.p) : left.n;
			is_there = bytes_eq((struct bytes){ left.p, n }, name);
			left = stop_at ? (struct bytes){ stop_at + 1, left.n - n - 1 }
				       : (struct bytes){ 0 };
		}
		if (is_there || out->n + name.n + 1 > 2048)
			continue;
		if (out->n)
			bytes_buf_append_byte(out, ',');
		bytes_buf_append(out, name);
	}
}

void writes_answer(struct writes *writes)
{
	struct api_request *request = writes->request;
	struct bytes_buf json = writes->group->answer;
	struct http_header headers[3] = {
		{ BYTES("Content-Type"), BYTES("application/json") },
		{ BYTES("X-Content-Type-Options"), BYTES("nosniff") },
	};
	struct http_answer answer = { .status = 200, .headers = headers, .n_headers = 2 };
	DEFER(bytes_buf_fini) struct bytes_buf ignored;

	bytes_buf_init(&ignored, 4096);
	writes->group->answer = (struct bytes_buf){ 0 }; /* handed over */
	for (size_t i = 0; i < writes->group->n_items; i++)
		join_names(&ignored, bytes_buf_view(&writes->group->items[i].call.ignored));
	writes_end(writes);
	if (ignored.n) {
		struct bytes names = { arena_copy(request->arena, bytes_buf_view(&ignored)),
			ignored.n };
		if (names.p)
			headers[answer.n_headers++] =
				(struct http_header){ BYTES("X-Tenon-Ignored"), names };
	}
	answer.body = bytes_buf_view(&json);
	answer.body_kind = HTTP_BODY_FREE;
	request_answer(request, &answer);
}

char writes_first_byte(const struct api_request *request)
{
	struct bytes body = http_body(request->http);

	for (size_t i = 0; i < body.n; i++)
		if (body.p[i] != ' ' && body.p[i] != '\t' && body.p[i] != '\n' && body.p[i] != '\r')
			return body.p[i];
	return 0;
}

bool writes_open_array(struct text_json_reader *reader, struct bytes json)
{
	struct text_json_token token;

	text_json_reader_init(reader, json);
	return text_json_next(reader, &token) == TEXT_JSON_ARRAY;
}

struct bytes writes_next_element(struct text_json_reader *reader)
{
	static const struct text_json_token between = { .type = TEXT_JSON_NULL };

	return text_json_skip(reader, &between);
}
