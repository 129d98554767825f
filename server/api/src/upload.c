/*
 * The values of a form lie one behind the other in one buffer; entries in the arena say where.
 *
 * Only one thing happens at a time: either pieces are parsed, or a file's buffer is being written.
 * While it is, on_piece takes nothing, and the listener reads nothing.
 */
#include "upload.h"

#include "internal.h"

#include "hash.h"
#include "text_json_check.h"
#include "text_json_reader.h"
#include "text_multipart.h"
#include "text_utf8.h"

#include <stdlib.h>
#include <string.h>

#define FORM_MAX   (INT64_C(64) << 30) /* more than that the listener does not take for anybody */
#define VALUES_MAX (1u << 20)          /* bytes of all values, as of a JSON body */
#define JSON_MAX   (4u << 20)          /* and of what they become */
#define PARTS_MAX  1000
#define FILES_MAX  200
#define PART_BYTES 512 /* what a part costs beside its data */

struct entry {
	struct entry *next;
	struct bytes key;
	size_t at, n;             /* of a value: where it lies */
	struct file_stage *stage; /* of a file; NULL: a value */
};

struct upload {
	struct api_request *request;
	struct text_multipart multipart;
	struct bytes_buf values, json;
	struct bytes payload;
	struct entry *first, **last;
	struct entry *part; /* that is being read; NULL: none, or one to pass over */
	struct bytes collection;
	void (*then)(struct api_request *request);
	uint64_t n_bytes, total_bytes;
	unsigned n_files;
	struct hash hash; /* see upload_digest */
	uint8_t digest[HASH_BYTES];
	bool is_hashing;
	bool is_named;    /* the file that is being read has a name */
	bool is_reading;  /* somebody wants the form */
	bool is_flushing; /* the file lane has a buffer */
	bool is_whole;    /* no piece will come */
	bool is_gone;     /* nor anybody who wants an answer */
	bool is_counted;  /* in lane->n_uploads */
};

static const struct bytes form_type = { "multipart/form-data", 19 };

bool upload_is_form(const struct api_request *request)
{
	struct bytes type = http_header(request->http, BYTES("Content-Type"));

	return type.n >= form_type.n &&
	       bytes_eq_nocase((struct bytes){ type.p, form_type.n }, form_type);
}

static bool refuse(struct upload *upload, enum api_error error, const char *message)
{
	upload->is_reading = false;
	request_refuse_with(upload->request, error, message, (struct bytes){ 0 });
	return false;
}

/* ---- the digest ---- */

static void hash_text(struct upload *upload, struct bytes text)
{
	uint64_t n = text.n;

	if (!upload->is_hashing)
		return;
	hash_add(&upload->hash, &n, sizeof n);
	if (n)
		hash_add(&upload->hash, text.p, text.n);
}

struct bytes upload_digest(const struct api_request *request)
{
	return (struct bytes){ (const char *)request->upload->digest, HASH_BYTES };
}

/* ---- parts ---- */

static bool begin_file(struct upload *upload, struct entry *entry)
{
	struct api_request *request = upload->request;
	const struct text_multipart_part *part = &upload->multipart.part;
	uint64_t max_bytes;

	/* A file that no field takes is passed over, as an unknown value is. */
	if (!record_upload_limit(request->book, upload->collection, entry->key, &max_bytes))
		return true;
	if (upload->n_files++ == FILES_MAX)
		return refuse(upload, API_BAD_REQUEST, "The form has too many files.");
	entry->stage = file_stage_new(
		record_book_files(request->book), request_loop(request), part->filename, max_bytes);
	if (!entry->stage) {
		upload->is_reading = false;
		request_refuse_later(request, API_BUSY, NULL, 1);
		return false;
	}
	upload->is_named = part->filename.n > 0;
	upload->part = entry;
	return true;
}

static bool begin_part(struct upload *upload)
{
	const struct text_multipart_part *part = &upload->multipart.part;
	struct arena *arena = upload->request->arena;
	struct entry *entry = arena_alloc(arena, sizeof *entry);
	char *key = entry ? arena_copy(arena, part->name) : NULL;

	upload->part = NULL;
	hash_text(upload, part->name);
	hash_text(upload, part->filename);
	if (!key)
		return refuse(upload, API_TOO_LARGE, NULL);
	*entry = (struct entry){ .key = { key, part->name.n }, .at = upload->values.n };
	if (part->is_file)
		return begin_file(upload, entry);
	upload->part = entry;
	return true;
}

static bool end_value(struct upload *upload)
{
	struct entry *entry = upload->part;

	entry->n = upload->values.n - entry->at;
	if (!text_utf8_is_valid((struct bytes){ upload->values.p + entry->at, entry->n }))
		return refuse(upload, API_BAD_REQUEST, "A value of the form is not UTF-8.");
	*upload->last = entry;
	upload->last = &entry->next;
	upload->part = NULL;
	return true;
}

static void flush(struct upload *upload, bool is_last);
static void finish(struct upload *upload);

static void on_flushed(struct file_stage *stage, enum file_outcome outcome, void *context)
{
	struct upload *upload = context;
	struct api_request *request = upload->request;

	upload->is_flushing = false;
	if (outcome == FILE_OK) {
		http_resume_body(request->http);
		if (upload->is_whole)
			finish(upload);
		return;
	}
	upload->is_reading = false;
	if (outcome == FILE_FULL)
		request_status(request, 507, "There is no room for the file.", (struct bytes){ 0 });
	else if (outcome == FILE_BUSY)
		request_refuse_later(request, API_BUSY, NULL, 1);
	else
		request_fault(request, file_stage_err(stage));
}

static void on_last_flushed(struct file_stage *stage, enum file_outcome outcome, void *context)
{
	struct upload *upload = context;

	if (outcome == FILE_OK) {
		*upload->last = upload->part;
		upload->last = &upload->part->next;
		upload->part = NULL;
	}
	on_flushed(stage, outcome, context);
}

static void flush(struct upload *upload, bool is_last)
{
	upload->is_flushing = true;
	file_stage_flush(
		upload->part->stage, is_last, is_last ? on_last_flushed : on_flushed, upload);
}

/* A part is whole. A file input that was left empty sends a file without name and bytes. */
static bool end_part(struct upload *upload)
{
	struct entry *entry = upload->part;

	hash_text(upload, (struct bytes){ NULL, 0 });

	if (!entry)
		return true;
	if (!entry->stage)
		return end_value(upload);
	if (!upload->is_named && file_stage_bytes(entry->stage) == 0) {
		file_stage_free(entry->stage);
		upload->part = NULL;
		return true;
	}
	flush(upload, true);
	return true;
}

/* Takes data of the part. Returns how many bytes of it. */
static size_t take_data(struct upload *upload, struct bytes data)
{
	struct entry *entry = upload->part;

	if (!entry)
		return data.n;
	if (!entry->stage) {
		if (upload->is_hashing)
			hash_add(&upload->hash, data.p, data.n);
		if (!bytes_buf_append(&upload->values, data))
			refuse(upload, API_TOO_LARGE, "The values of the form are too large.");
		return data.n;
	}
	size_t taken = file_stage_add(entry->stage, data);
	if (upload->is_hashing)
		hash_add(&upload->hash, data.p, taken);
	if (file_stage_is_full(entry->stage))
		flush(upload, false);
	return taken;
}

static size_t on_piece(struct http_request *http, struct bytes piece, void *context)
{
	struct upload *upload = context;
	size_t n = piece.n;

	(void)http;
	while (upload->is_reading && !upload->is_flushing) {
		struct bytes data;

		switch (text_multipart_next(&upload->multipart, &piece, &data)) {
		case TEXT_MULTIPART_MORE:
			upload->n_bytes += n;
			if (upload->n_bytes > upload->total_bytes)
				refuse(upload, API_TOO_LARGE, NULL);
			return n;
		case TEXT_MULTIPART_PART:
			begin_part(upload);
			break;
		case TEXT_MULTIPART_DATA: {
			/* What is not taken is part of the piece: it comes again. */
			size_t left = data.n - take_data(upload, data);
			piece = (struct bytes){ piece.p - left, piece.n + left };
			break;
		}
		case TEXT_MULTIPART_PART_END:
			end_part(upload);
			break;
		case TEXT_MULTIPART_BROKEN:
			refuse(upload, API_BAD_REQUEST,
				arena_printf(upload->request->arena,
					"The form cannot be taken: %s.",
					text_multipart_reason(&upload->multipart))
					.p);
			break;
		}
	}
	upload->n_bytes += n - piece.n;
	return n - piece.n;
}

/* ---- the way of the request ---- */

bool upload_on_headers(struct api_request *request, int64_t *ret_limit)
{
	struct bytes boundary;
	struct upload *upload = arena_alloc(request->arena, sizeof *upload);

	*ret_limit = FORM_MAX;
	if (!upload || http_length(request->http) > (uint64_t)FORM_MAX) {
		request_refuse(request, API_TOO_LARGE);
		return false;
	}
	if (!text_multipart_boundary(
		    http_header(request->http, BYTES("Content-Type")), &boundary)) {
		request_refuse_with(request, API_BAD_REQUEST,
			"The form's Content-Type has no boundary that can be taken.",
			(struct bytes){ 0 });
		return false;
	}
	upload->request = request;
	upload->last = &upload->first;
	bytes_buf_init(&upload->values, VALUES_MAX);
	bytes_buf_init(&upload->json, JSON_MAX);
	text_multipart_init(&upload->multipart, boundary, PARTS_MAX);
	request->upload = upload;
	http_stream_body(request->http, on_piece, upload);
	return true;
}

void upload_read(struct api_request *request, struct bytes collection,
	void (*then)(struct api_request *request))
{
	struct upload *upload = request->upload;
	struct api_lane *lane = request->lane;

	if (upload->is_gone) {
		refuse(upload, API_BAD_REQUEST, "The body ended before it was whole.");
		return;
	}
	if (lane->n_uploads >= UPLOADS_MAX) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	lane->n_uploads++;
	upload->is_counted = true;
	upload->collection = collection;
	upload->then = then;
	upload->total_bytes = record_upload_total(request->book, collection) + VALUES_MAX +
			      (uint64_t)PARTS_MAX * PART_BYTES;
	if (http_length(request->http) > upload->total_bytes) {
		refuse(upload, API_TOO_LARGE, NULL);
		return;
	}
	upload->is_hashing = http_header(request->http, BYTES("Idempotency-Key")).n > 0;
	if (upload->is_hashing)
		hash_init(&upload->hash);
	upload->is_reading = true;
	if (upload->is_whole)
		finish(upload);
	else
		http_resume_body(request->http);
}

static void finish(struct upload *upload)
{
	if (!upload->is_reading || upload->is_flushing)
		return;
	upload->is_reading = false;
	if (!text_multipart_is_whole(&upload->multipart)) {
		refuse(upload, API_BAD_REQUEST,
			arena_printf(upload->request->arena, "The form cannot be taken: %s.",
				text_multipart_reason(&upload->multipart))
				.p);
		return;
	}
	if (upload->is_hashing)
		hash_end(&upload->hash, upload->digest);
	upload->then(upload->request);
}

void upload_on_whole(struct api_request *request)
{
	request->upload->is_whole = true;
	finish(request->upload);
}

void upload_abort(struct api_request *request)
{
	struct upload *upload = request->upload;

	upload->is_gone = true;
	/* While the form is read nobody else will answer. */
	if (upload->is_reading)
		refuse(upload, API_BAD_REQUEST, "The body ended before it was whole.");
}

void upload_end(struct upload *upload)
{
	if (!upload)
		return;
	for (struct entry *entry = upload->first; entry; entry = entry->next) {
		file_stage_free(entry->stage);
		entry->stage = NULL;
	}
	if (upload->part)
		file_stage_free(upload->part->stage);
	upload->part = NULL;
	upload->first = NULL;
	upload->last = &upload->first;
	upload->is_reading = false;
	bytes_buf_fini(&upload->values);
	bytes_buf_fini(&upload->json);
	if (upload->is_counted)
		upload->request->lane->n_uploads--;
	upload->is_counted = false;
}

/* ---- what came ---- */

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
			return refuse(upload, API_BAD_REQUEST,
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
		return refuse(upload, API_TOO_LARGE, NULL);
	text_json_writer_init(&json, &upload->json);
	text_json_begin_object(&json);
	for (const struct entry *entry = upload->first; entry; entry = entry->next)
		if (take_key(entry, prefix, &key) && !is_earlier(upload, entry, prefix, key))
			write_member(upload, &json, prefix, entry, key, base_member(base, key));
	bool is_done = write_rest(upload, &json, prefix, base);
	text_json_end_object(&json);
	*ret = (struct bytes){ upload->json.p + start, upload->json.n - start };
	if (!is_done || !text_json_write_done(&json))
		return refuse(upload, API_TOO_LARGE, "The values of the form are too large.");
	if (text_json_check(*ret, &TEXT_JSON_LIMITS, &offset) != TEXT_JSON_VALID)
		return refuse(upload, API_BAD_REQUEST, "The form has too many values.");
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
		return refuse(upload, API_TOO_LARGE, NULL);
	for (const struct entry *entry = upload->first; entry; entry = entry->next)
		if (entry->stage && take_key(entry, prefix, &key))
			files[n++].stage = entry->stage;
	*ret = files;
	*ret_n = n;
	return true;
}
