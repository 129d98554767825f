/*
 * upload.h - a multipart form on its way in: values kept, files staged as they arrive
 *
 * A form is not gathered. At its headers the request takes its usual way (tenant, sign-in, route);
 * the route's function then asks for the form, and only then is it read, a piece at a time, no
 * faster than the file lane writes it down:
 *
 *   upload_on_headers -> pipeline -> upload_read -> pieces ... -> then(request) -> upload_json
 *
 * What arrives without a record taking it is thrown away when the request is answered.
 *
 * Threads: the request's loop. Memory: in the request's arena, but for values and stages.
 */
#ifndef API_UPLOAD_H
#define API_UPLOAD_H

#include "request.h"
#include "text_json_check.h"

struct upload;

/* Whether the request brings a form. */
bool upload_is_form(const struct api_request *request);
/* In on_headers: prepares the form. False having answered. *ret_limit is for the listener. */
bool upload_on_headers(struct api_request *request, int64_t *ret_limit);
/* The last piece has come. */
void upload_on_whole(struct api_request *request);
/* Reads the form for a collection ("": for several), then calls then, unless the form was refused:
 * then the request has been answered. */
void upload_read(struct api_request *request, struct bytes collection,
	void (*then)(struct api_request *request));
/* A digest of the form's keys, names and bytes, however it was cut and bounded: for
 * Idempotency-Key, without which it is not worked out. */
struct bytes upload_digest(const struct api_request *request);
/* The client has gone. */
void upload_abort(struct api_request *request);
/* The request is answered: throws away what nobody took. Takes NULL. */
void upload_end(struct upload *upload);

/* The form as one JSON object, by PocketBase's rules: keys that are there several times become
 * arrays, true, false and numbers are taken for what they look like, the members of @jsonPayload
 * come over them; files stand under their stored names behind the values of their key. Of keys only
 * those with this prefix, which is taken off; base, an object, stands in for @jsonPayload when it
 * is not empty. False having answered. The result lives as long as the request. */
bool upload_json(
	struct api_request *request, struct bytes prefix, struct bytes base, struct bytes *ret);
/* The member @jsonPayload, checked within limits; "{}" when there is none. False having answered.
 */
bool upload_payload(
	struct api_request *request, const struct text_json_limits *limits, struct bytes *ret);
/* Whether a key has this prefix. */
bool upload_has(const struct api_request *request, struct bytes prefix);
/* The files of keys with this prefix, for a struct record_call. False having answered. */
bool upload_files(struct api_request *request, struct bytes prefix, struct record_upload **ret,
	size_t *ret_n);

#endif
