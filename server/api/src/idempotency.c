#include "idempotency.h"

#include "hash.h"
#include "upload.h"

#include <string.h>

struct check {
	struct api_request *request;
	struct record_once once;
	struct record_once_find find;
	void (*go)(struct api_request *request, const struct record_once *once, void *context);
	void *context;
};

/* A part with its length in front: no two lists of parts give the same bytes. */
static void add(struct hash *hash, struct bytes part)
{
	uint64_t n = part.n;

	hash_add(hash, &n, sizeof n);
	hash_add(hash, part.p, part.n);
}

static void end(struct hash *hash, char out[static 2 * HASH_BYTES + 1])
{
	uint8_t digest[HASH_BYTES];

	hash_end(hash, digest);
	bytes_hex((struct bytes){ (const char *)digest, HASH_BYTES }, out);
	out[2 * HASH_BYTES] = '\0';
}

static void make_once(struct api_request *request, struct bytes key, struct record_once *ret)
{
	const struct auth_identity *identity = &request->identity;
	struct hash hash;

	hash_init(&hash);
	add(&hash, bytes_of(identity->collection_id));
	add(&hash, bytes_of(identity->record_id));
	add(&hash, key);
	end(&hash, ret->key);
	hash_init(&hash);
	add(&hash, bytes_of(http_method_name(http_method(request->http))));
	add(&hash, request->path);
	add(&hash, http_query(request->http));
	/* A form's boundary is another each time. */
	add(&hash, request->upload ? BYTES("multipart/form-data")
				   : http_header(request->http, BYTES("Content-Type")));
	add(&hash, http_header(request->http, BYTES("If-Match")));
	add(&hash, request->upload ? upload_digest(request) : http_body(request->http));
	end(&hash, ret->request);
}

static void replay(struct check *check)
{
	static const struct http_header headers[] = {
		{ { "Idempotency-Replayed", 20 }, { "true", 4 } },
		{ { "Content-Type", 12 }, { "application/json", 16 } },
		{ { "X-Content-Type-Options", 22 }, { "nosniff", 7 } },
	};
	struct record_once_find *find = &check->find;
	const struct http_answer answer = { .status = (unsigned)find->status,
		.headers = headers,
		.n_headers = find->status == 204 ? 1 : 3,
		.body = bytes_buf_view(&find->body),
		.body_kind = find->body.p ? HTTP_BODY_FREE : HTTP_BODY_COPY };

	find->body = (struct bytes_buf){ 0 }; /* handed over */
	check->request->reason = BYTES("replayed");
	request_answer(check->request, &answer);
}

static void on_found(struct record_once_find *find)
{
	struct check *check = find->context;
	struct api_request *request = check->request;

	/* What is answered may be gone at once, and this with it. */
	if (find->result != RECORD_ONCE_SAME)
		record_once_find_fini(find);
	switch (find->result) {
	case RECORD_ONCE_NEW:
		check->go(request, &check->once, check->context);
		break;
	case RECORD_ONCE_SAME:
		replay(check);
		break;
	case RECORD_ONCE_OTHER:
		request_status(request, 422, "This Idempotency-Key stood for another request.",
			(struct bytes){ 0 });
		break;
	case RECORD_ONCE_UNAVAILABLE:
		request_refuse_later(request, API_BUSY, NULL, 1);
		break;
	}
}

void idempotency_check(struct api_request *request,
	void (*go)(struct api_request *request, const struct record_once *once, void *context),
	void *context)
{
	struct bytes key = http_header(request->http, BYTES("Idempotency-Key"));

	if (key.n == 0) {
		go(request, NULL, context);
		return;
	}
	for (size_t i = 0; i < key.n; i++)
		if ((unsigned char)key.p[i] < ' ' || (unsigned char)key.p[i] > '~')
			key.n = RECORD_ONCE_KEY_MAX + 1;
	if (key.n > RECORD_ONCE_KEY_MAX) {
		request_refuse_with(request, API_BAD_REQUEST,
			"An Idempotency-Key has 1 to 255 printable characters.",
			(struct bytes){ 0 });
		return;
	}
	struct check *check = arena_alloc(request->arena, sizeof *check);
	if (!check) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	check->request = request;
	check->go = go;
	check->context = context;
	make_once(request, key, &check->once);
	check->find.book = request->book;
	check->find.loop = request_loop(request);
	check->find.once = &check->once;
	check->find.done = on_found;
	check->find.context = check;
	record_once_find(&check->find);
}
