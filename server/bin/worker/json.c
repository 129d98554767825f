/*
 * json.c - x.tenon.json: strict reading by pointer, and building
 *
 * A parsed text stays text: get() walks it each time, so a document costs no memory but itself.
 */
#include "worker.h"

#include <math.h>

#include "text_json_check.h"
#include "text_json_reader.h"
#include "text_json_writer.h"
#include "text_utf8.h"

#define ORIGIN_JSON "json"
#define TEXT_MAX    (8u << 20)

struct tenon_json {
	struct tenon_call *call;
	struct bytes text;
};

struct tenon_json_out {
	struct tenon_call *call;
	struct tenon_json_out *next; /* of the same call */
	struct bytes_buf text;
	struct text_json_writer writer;
	int32_t status; /* of the first function that failed */
	bool is_finished;
};

/* ---- reading ---- */

static int32_t json_parse(
	struct tenon_call *call, const void *text, size_t text_n, struct tenon_json **out)
{
	const struct text_json_limits limits = TEXT_JSON_LIMITS;
	struct bytes bytes = { text, text_n };
	enum text_json_verdict verdict = text_json_check(bytes, &limits, NULL);

	if (verdict != TEXT_JSON_VALID)
		return call_error(call, TENON_E_INVALID, ORIGIN_JSON, text_json_reason(verdict));
	struct tenon_json *json = arena_alloc(call->arena, sizeof *json);
	if (!json)
		return call_error(
			call, TENON_E_EXHAUSTED, ORIGIN_JSON, "the call's memory is used up");
	*json = (struct tenon_json){ .call = call, .text = bytes };
	*out = json;
	return TENON_OK;
}

/* The number of members of the object or array that the reader has just opened. */
static int64_t count_members(struct text_json_reader *reader)
{
	struct text_json_token token;
	int64_t n = 0;

	for (;;) {
		switch (text_json_next(reader, &token)) {
		case TEXT_JSON_OBJECT_END:
		case TEXT_JSON_ARRAY_END:
		case TEXT_JSON_END:
		case TEXT_JSON_BROKEN:
			return n;
		case TEXT_JSON_KEY:
		case TEXT_JSON_OBJECT:
		case TEXT_JSON_ARRAY:
			(void)text_json_skip(reader, &token);
			n++;
			break;
		default:
			n++;
			break;
		}
	}
}

static int32_t json_get(
	struct tenon_json *json, const char *pointer, size_t pointer_n, struct tenon_value *out)
{
	struct tenon_call *call = json->call;
	struct tenon_value value = { 0 };
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes at, text;

	switch (text_json_find(json->text, (struct bytes){ pointer, pointer_n }, &at)) {
	case TEXT_JSON_FOUND:
		break;
	case TEXT_JSON_ABSENT:
		return call_error(call, TENON_E_NOT_FOUND, ORIGIN_JSON, "nothing is there");
	case TEXT_JSON_BAD_POINTER:
		return call_error(call, TENON_E_INVALID, ORIGIN_JSON, "not a JSON pointer");
	}
	text_json_reader_init(&reader, at);
	switch (text_json_next(&reader, &token)) {
	case TEXT_JSON_FALSE:
	case TEXT_JSON_TRUE:
		value.type = TENON_TYPE_BOOL;
		value.integer = token.type == TEXT_JSON_TRUE;
		break;
	case TEXT_JSON_INTEGER:
		value.type = TENON_TYPE_INTEGER;
		(void)text_json_int64(&token, &value.integer);
		value.real = (double)value.integer;
		break;
	case TEXT_JSON_DOUBLE:
		value.type = TENON_TYPE_REAL;
		(void)text_json_double(&token, &value.real);
		break;
	case TEXT_JSON_STRING:
		value.type = TENON_TYPE_TEXT;
		if (!text_json_text(&token, call->arena, &text))
			return call_error(call, TENON_E_EXHAUSTED, ORIGIN_JSON,
				"the call's memory is used up");
		value.text = str_of(text);
		break;
	case TEXT_JSON_OBJECT:
	case TEXT_JSON_ARRAY:
		value.type = token.type == TEXT_JSON_OBJECT ? TENON_TYPE_OBJECT : TENON_TYPE_ARRAY;
		value.integer = count_members(&reader);
		value.text = str_of(at);
		break;
	default: /* null */
		break;
	}
	*out = value;
	return TENON_OK;
}

/* ---- building ---- */

static int32_t json_build(struct tenon_call *call, struct tenon_json_out **out)
{
	struct tenon_json_out *made = arena_alloc(call->arena, sizeof *made);

	if (!made)
		return call_error(
			call, TENON_E_EXHAUSTED, ORIGIN_JSON, "the call's memory is used up");
	made->call = call;
	made->next = call->json_outs;
	call->json_outs = made;
	bytes_buf_init(&made->text, TEXT_MAX);
	text_json_writer_init(&made->writer, &made->text);
	*out = made;
	return TENON_OK;
}

void json_release(struct tenon_call *call)
{
	for (struct tenon_json_out *out = call->json_outs; out; out = out->next)
		bytes_buf_fini(&out->text);
	call->json_outs = NULL;
}

/* What the function that has just written leads to. */
static int32_t json_status(struct tenon_json_out *out)
{
	if (out->status != TENON_OK)
		return out->status;
	if (out->writer.misused)
		out->status = call_error(out->call, TENON_E_PRECOND, ORIGIN_JSON,
			"begin, key, put and end came out of order");
	else if (out->text.failed)
		out->status = call_error(
			out->call, TENON_E_EXHAUSTED, ORIGIN_JSON, "the text is too big");
	return out->status;
}

static int32_t json_refuse(struct tenon_json_out *out, int32_t status, const char *message)
{
	if (out->status == TENON_OK)
		out->status = call_error(out->call, status, ORIGIN_JSON, message);
	return out->status;
}

static int32_t json_begin(struct tenon_json_out *out, uint32_t type)
{
	if (out->status != TENON_OK || out->is_finished)
		return json_refuse(out, TENON_E_PRECOND, "the text is finished");
	if (type == TENON_TYPE_OBJECT)
		text_json_begin_object(&out->writer);
	else if (type == TENON_TYPE_ARRAY)
		text_json_begin_array(&out->writer);
	else
		return json_refuse(out, TENON_E_INVALID, "only an object or an array begins");
	return json_status(out);
}

static int32_t json_key(struct tenon_json_out *out, const char *name, size_t name_n)
{
	struct bytes key = { name, name_n };

	if (out->status != TENON_OK || out->is_finished)
		return json_refuse(out, TENON_E_PRECOND, "the text is finished");
	if (!text_utf8_is_valid(key))
		return json_refuse(out, TENON_E_INVALID, "a key is not UTF-8");
	text_json_write_key(&out->writer, key);
	return json_status(out);
}

static int32_t json_put(struct tenon_json_out *out, const struct tenon_value *value)
{
	struct bytes text = bytes_of_str(value->text);

	if (out->status != TENON_OK || out->is_finished)
		return json_refuse(out, TENON_E_PRECOND, "the text is finished");
	switch (value->type) {
	case TENON_TYPE_NULL:
		text_json_write_null(&out->writer);
		break;
	case TENON_TYPE_BOOL:
		text_json_write_bool(&out->writer, value->integer != 0);
		break;
	case TENON_TYPE_INTEGER:
		text_json_write_int64(&out->writer, value->integer);
		break;
	case TENON_TYPE_REAL:
		if (!isfinite(value->real))
			return json_refuse(out, TENON_E_INVALID, "not a finite number");
		text_json_write_double(&out->writer, value->real);
		break;
	case TENON_TYPE_TEXT:
		if (!text_utf8_is_valid(text))
			return json_refuse(out, TENON_E_INVALID, "a text is not UTF-8");
		text_json_write_string(&out->writer, text);
		break;
	default:
		return json_refuse(out, TENON_E_INVALID, "a value of this type cannot be put");
	}
	return json_status(out);
}

static int32_t json_end(struct tenon_json_out *out)
{
	if (out->status != TENON_OK || out->is_finished || out->writer.depth == 0)
		return json_refuse(out, TENON_E_PRECOND, "nothing is open");
	if (out->writer.in_object >> out->writer.depth & 1)
		text_json_end_object(&out->writer);
	else
		text_json_end_array(&out->writer);
	return json_status(out);
}

static int32_t json_finish(struct tenon_json_out *out, struct tenon_str *text)
{
	if (json_status(out) != TENON_OK)
		return out->status;
	if (!text_json_write_done(&out->writer))
		return json_refuse(out, TENON_E_PRECOND, "something is still open");
	out->is_finished = true;
	*text = str_of(bytes_buf_view(&out->text));
	return TENON_OK;
}

const struct tenon_json_api json_api = {
	.size = sizeof json_api,
	.rev = 1,
	.parse = json_parse,
	.get = json_get,
	.build = json_build,
	.begin = json_begin,
	.key = json_key,
	.put = json_put,
	.end = json_end,
	.finish = json_finish,
};
