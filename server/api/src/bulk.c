/*
 * Arrays of records: POST makes them, PATCH changes them (each names its id), DELETE takes an array
 * of ids. One transaction: all of them or none, and the answer names the one that failed.
 */
#include "idempotency.h"
#include "writes.h"

#include "text_json_reader.h"

#include <stdio.h>

static const struct {
	const char *failed;
	enum record_item_kind kind;
} kinds[] = {
	[RECORD_CREATE] = { "Failed to create records.", RECORD_ITEM_CREATE },
	[RECORD_UPDATE] = { "Failed to update records.", RECORD_ITEM_UPDATE },
	[RECORD_DELETE] = { "Failed to delete records.", RECORD_ITEM_DELETE },
};

static void compose(struct record_group *group, struct bytes_buf *out)
{
	if (group->items[0].action == RECORD_DELETE)
		return;
	for (size_t i = 0; i < group->n_items; i++) {
		bytes_buf_append_byte(out, i ? ',' : '[');
		writes_append_body(&group->items[i], out);
	}
	bytes_buf_append_byte(out, ']');
}

static void answer(struct writes *writes)
{
	const struct record_group *group = writes->group;
	struct api_request *request = writes->request;
	enum record_action action = group->items[0].action;

	if (group->result == RECORD_GROUP_ITEM_FAILED) {
		writes_refuse(writes, kinds[action].failed, "records");
	} else if (action == RECORD_DELETE) {
		writes_end(writes);
		request_no_content(request);
	} else {
		writes_answer(writes);
	}
}

static const struct writes_kind bulk = { compose, answer };

/* The id of a record to change, or that stands for it when it is deleted. */
static bool take_id(
	struct bytes json, enum record_action action, struct arena *arena, struct bytes *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;

	if (action == RECORD_UPDATE && text_json_find(json, BYTES("/id"), &json) != TEXT_JSON_FOUND)
		return false;
	text_json_reader_init(&reader, json);
	return text_json_next(&reader, &token) == TEXT_JSON_STRING &&
	       text_json_text(&token, arena, ret) && ret->n > 0;
}

static void refuse_count(struct api_request *request, size_t n)
{
	char message[80];

	(void)snprintf(message, sizeof message, "Between 1 and %d records can be written at once.",
		RECORD_GROUP_MAX);
	request_refuse_with(request, API_VALIDATION, "Failed to read the submitted records.",
		request_field_error(request, "records",
			n ? "validation_length_too_long" : "validation_required", message));
}

/* Where PATCH and DELETE of a collection's records take an array and nothing else. */
static bool is_array(struct api_request *request)
{
	if (writes_first_byte(request) == '[')
		return true;
	request_refuse_with(request, API_BAD_REQUEST,
		"Without an id in the path the body must be an array.", (struct bytes){ 0 });
	return false;
}

void bulk_run(
	struct api_request *request, enum record_action action, const struct record_once *once)
{
	struct text_json_limits limits = WRITES_JSON_LIMITS;
	struct text_json_reader reader;
	struct record_call outer;
	struct bytes json, no_id = BYTES("{\"id\":{\"code\":\"validation_required\",\"message\":"
					 "\"Missing required value.\"}}");
	size_t n = 0;

	if (!request_body_json_within(request, &limits, &json))
		return;
	writes_open_array(&reader, json);
	while (writes_next_element(&reader).n > 0)
		n++;
	if (n == 0 || n > RECORD_GROUP_MAX) {
		refuse_count(request, n);
		return;
	}
	struct writes *writes = writes_begin(request, n, &bulk, &outer);
	if (!writes)
		return;
	struct arena *arena = record_group_arena(writes->group);
	writes_open_array(&reader, json);
	for (size_t i = 0; i < n; i++) {
		struct record_item *item = &writes->group->items[i];
		struct bytes element = writes_next_element(&reader);
		item->kind = kinds[action].kind;
		if (action != RECORD_DELETE)
			item->call.body = element;
		if (action == RECORD_CREATE || take_id(element, action, arena, &item->call.id))
			continue;
		writes_end(writes);
		struct record_call unnamed = { .status = 400, .message = kinds[action].failed };
		bytes_buf_init(&unnamed.answer, 256);
		bytes_buf_append(&unnamed.answer, no_id);
		writes_refuse_item(request, kinds[action].failed, "records", i, &unnamed);
		record_call_fini(&unnamed);
		return;
	}
	writes_run(writes, once);
}

static void change_all(struct api_request *request, const struct record_once *once, void *context)
{
	(void)context;
	if (is_array(request))
		bulk_run(request, RECORD_UPDATE, once);
}

void bulk_update(void *request)
{
	idempotency_check(request, change_all, NULL);
}

static void remove_all(struct api_request *request, const struct record_once *once, void *context)
{
	(void)context;
	if (is_array(request))
		bulk_run(request, RECORD_DELETE, once);
}

void bulk_delete(void *request)
{
	idempotency_check(request, remove_all, NULL);
}
