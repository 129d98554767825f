/*
 * Only one thing happens at a time: either pieces are parsed, or a file's buffer is being written.
 * While it is, on_piece takes nothing, and the listener reads nothing.
 */
#include "upload_parts.h"

#include "internal.h"

#include "text_utf8.h"

#include <stdlib.h>
#include <string.h>

#define FORM_MAX   (INT64_C(64) << 30) /* more than that the listener does not take for anybody */
#define PARTS_MAX  1000
#define FILES_MAX  200
#define PART_BYTES 512 /* what a part costs beside its data */

static const struct bytes form_type = { "multipart/form-data", 19 };

bool upload_is_form(const struct api_request *request)
{
	struct bytes type = http_header(request->http, BYTES("Content-Type"));

	return type.n >= form_type.n &&
	       bytes_eq_nocase((struct bytes){ type.p, form_type.n }, form_type);
}

bool upload_refuse(struct upload *upload, enum api_error error, const char *message)
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
		return upload_refuse(upload, API_BAD_REQUEST, "The form has too many files.");
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
		return upload_refuse(upload, API_TOO_LARGE, NULL);
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
		return upload_refuse(upload, API_BAD_REQUEST, "A value of the form is not UTF-8.");
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
			upload_refuse(
				upload, API_TOO_LARGE, "The values of the form are too large.");
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
				upload_refuse(upload, API_TOO_LARGE, NULL);
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
			upload_refuse(upload, API_BAD_REQUEST,
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
	bytes_buf_init(&upload->values, UPLOAD_VALUES_MAX);
	bytes_buf_init(&upload->json, UPLOAD_JSON_MAX);
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
		upload_refuse(upload, API_BAD_REQUEST, "The body ended before it was whole.");
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
	upload->total_bytes = record_upload_total(request->book, collection) + UPLOAD_VALUES_MAX +
			      (uint64_t)PARTS_MAX * PART_BYTES;
	if (http_length(request->http) > upload->total_bytes) {
		upload_refuse(upload, API_TOO_LARGE, NULL);
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
		upload_refuse(upload, API_BAD_REQUEST,
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
		upload_refuse(upload, API_BAD_REQUEST, "The body ended before it was whole.");
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
