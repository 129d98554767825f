/*
 * A form that has come, told as a JSON body: values, what @jsonPayload lays over them, and files
 * under their stored names.
 */
#include "upload_parts.h"

#include "text_json_reader.h"

#include <stdlib.h>
#include <string.h>

static struct bytes value_of(const struct upload *upload, const struct entry *entry)
{
	return (struct bytes){ upload->values.p + entry->at, entry->n };
}

/* The entry's key without the prefix; false when it has another. */
static bool take_key(const struct entry *entry, struct bytes prefix, struct bytes *ret)
{
	if (!bytes_starts_with(entry->key, prefix) || entry->key.n == prefix.n ||
		bytes_eq_string(entry->key, "@jsonPayload"))
		return false;
	*ret = (struct bytes){ entry->key.p + prefix.n, entry->key.n - prefix.n };
	return true;
}

/* A number in its shortest form is one; "007" and "1e3" are texts. */
static bool is_number(struct bytes text)
{
	char copy[TEXT_JSON_DOUBLE_BYTES], shortest[TEXT_JSON_DOUBLE_BYTES];

	if (!text.n || !bytes_to_string(text, copy, sizeof copy) ||
		strspn(copy, "-.0123456789") != text.n)
		return false;
	size_t n = text_json_format_double(strtod(copy, NULL), shortest);
	return bytes_eq((struct bytes){ shortest, n }, text);
}

static void write_value(struct text_json_writer *json, struct bytes text)
{
	if (bytes_eq_string(text, "true") || bytes_eq_string(text, "false") || is_number(text))
		text_json_write_raw(json, text);
	else
		text_json_write_string(json, text);
}

/* The texts of a member of the payload: what files are put behind. */
static void write_texts(struct text_json_writer *json, struct bytes value)
{
	struct text_json_reader reader;
	struct text_json_token token;

	text_json_reader_init(&reader, value);
	for (;;) {
		switch (text_json_next(&reader, &token)) {
		case TEXT_JSON_ARRAY:
			break;
		case TEXT_JSON_STRING: {
			/* With its quotation marks. */
			struct bytes raw = { token.raw.p - 1, token.raw.n + 2 };
			if (token.raw.n)
				text_json_write_raw(json, raw);
			break;
		}
		default:
			return;
		}
	}
}

/* One member: the payload's value, or the form's, then the files. */
static void write_member(struct upload *upload, struct text_json_writer *json, struct bytes prefix,
	const struct entry *first, struct bytes key, struct bytes base_value)
{
	size_t n_values = 0, n_files = 0;
	struct bytes name;

	for (const struct entry *entry = first; entry; entry = entry->next)
		if (take_key(entry, prefix, &name) && bytes_eq(name, key))
			(*(entry->stage ? &n_files : &n_values))++;
	text_json_write_key(json, key);
	if (base_value.p && n_files == 0) {
		text_json_write_raw(json, base_value);
		return;
	}
	bool is_array = n_files > 0 || n_values > 1;
	if (is_array)
		text_json_begin_array(json);
	if (base_value.p)
		write_texts(json, base_value);
	for (int files = 0; files < 2; files++)
		for (const struct entry *entry = first; entry; entry = entry->next) {
			if (!take_key(entry, prefix, &name) || !bytes_eq(name, key) ||
				(entry->stage != NULL) != files)
				continue;
			if (entry->stage)
				text_json_write_string(
					json, bytes_of(file_stage_name(entry->stage)));
			else if (!base_value.p)
				write_value(json, value_of(upload, entry));
		}
	if (is_array)
		text_json_end_array(json);
}

static bool is_earlier(const struct upload *upload, const struct entry *until, struct bytes prefix,
	struct bytes key)
{
	struct bytes name;

	for (const struct entry *entry = upload->first; entry != until; entry = entry->next)
		if (take_key(entry, prefix, &name) && bytes_eq(name, key))
			return true;
	return false;
}

/* The value of a member of base, {NULL, 0} when it has none. Names are compared unescaped. */
static struct bytes base_member(struct bytes base, struct bytes key)
{
	struct text_json_reader reader;
	struct text_json_token token;

	text_json_reader_init(&reader, base);
	if (!base.n || text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return (struct bytes){ NULL, 0 };
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		bool is_it = text_json_is(&token, key);
		struct bytes value = text_json_skip(&reader, &token);
		if (is_it)
			return value;
	}
	return (struct bytes){ NULL, 0 };
}

/* The members of base that no entry of the form has. */
static bool write_rest(struct upload *upload, struct text_json_writer *json, struct bytes prefix,
	struct bytes base)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes name;

	text_json_reader_init(&reader, base);
	if (!base.n || text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return true;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		if (!text_json_text(&token, upload->request->arena, &name))
			return false;
		struct bytes value = text_json_skip(&reader, &token);
		if (is_earlier(upload, NULL, prefix, name))
			continue;
		text_json_write_key(json, name);
		text_json_write_raw(json, value);
	}
	return true;
}

/* Checks and keeps @jsonPayload. PocketBase lays several over one another; here the last counts. */
static bool read_payload(struct upload *upload, const struct text_json_limits *limits)
{
	size_t offset = 0;

	for (const struct entry *entry = upload->first; entry; entry = entry->next) {
		if (entry->stage || !bytes_eq_string(entry->key, "@jsonPayload"))
			continue;
		struct bytes value = value_of(upload, entry);
		if (text_json_check(value, limits, &offset) != TEXT_JSON_VALID ||
			!memchr(value.p, '{', value.n))
			return upload_refuse(upload, API_BAD_REQUEST,
				"The form's @jsonPayload is not a JSON object.");
		upload->payload = value;
	}
	return true;
}

bool upload_payload(
	struct api_request *request, const struct text_json_limits *limits, struct bytes *ret)
{
	struct upload *upload = request->upload;

	if (!read_payload(upload, limits))
		return false;
	*ret = upload->payload.n ? upload->payload : BYTES("{}");
	return true;
}

bool upload_has(const struct api_request *request, struct bytes prefix)
{
	struct bytes key;

	for (const struct entry *entry = request->upload->first; entry; entry = entry->next)
		if (take_key(entry, prefix, &key))
			return true;
	return false;
}

bool upload_json(
	struct api_request *request, struct bytes prefix, struct bytes base, struct bytes *ret)
{
	struct upload *upload = request->upload;
	struct text_json_writer json;
	struct bytes key;
	size_t start = upload->json.n, offset = 0;

	if (!base.n) {
		if (!read_payload(upload, &TEXT_JSON_LIMITS))
			return false;
		base = upload->payload;
	}
	/* All of it at once: what was given out stays where it is. */
	if (!start && !bytes_buf_reserve(&upload->json, upload->json.max))
		return upload_refuse(upload, API_TOO_LARGE, NULL);
	text_json_writer_init(&json, &upload->json);
	text_json_begin_object(&json);
	for (const struct entry *entry = upload->first; entry; entry = entry->next)
		if (take_key(entry, prefix, &key) && !is_earlier(upload, entry, prefix, key))
			write_member(upload, &json, prefix, entry, key, base_member(base, key));
	bool is_done = write_rest(upload, &json, prefix, base);
	text_json_end_object(&json);
	*ret = (struct bytes){ upload->json.p + start, upload->json.n - start };
	if (!is_done || !text_json_write_done(&json))
		return upload_refuse(
			upload, API_TOO_LARGE, "The values of the form are too large.");
	if (text_json_check(*ret, &TEXT_JSON_LIMITS, &offset) != TEXT_JSON_VALID)
		return upload_refuse(upload, API_BAD_REQUEST, "The form has too many values.");
	return true;
}

bool upload_files(
	struct api_request *request, struct bytes prefix, struct record_upload **ret, size_t *ret_n)
{
	struct upload *upload = request->upload;
	struct bytes key;
	size_t n = 0;

	struct record_upload *files =
		arena_alloc(request->arena, (upload->n_files + 1) * sizeof *files);
	if (!files)
		return upload_refuse(upload, API_TOO_LARGE, NULL);
	for (const struct entry *entry = upload->first; entry; entry = entry->next)
		if (entry->stage && take_key(entry, prefix, &key))
			files[n++].stage = entry->stage;
	*ret = files;
	*ret_n = n;
	return true;
}
