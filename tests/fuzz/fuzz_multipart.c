/*
 * fuzz_multipart.c - however a body is cut into pieces, the parser sees the same parts
 *
 * The first byte says into how long pieces the second reading is cut.
 */
#include <stdlib.h>
#include <string.h>

#include "text_multipart.h"
#include "text_utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define EXPECT(claim)                                                                              \
	do {                                                                                       \
		if (!(claim))                                                                      \
			abort();                                                                   \
	} while (0)

/* All that a reader saw, as text. */
static bool read_all(struct bytes body, size_t n_piece, struct bytes_buf *out)
{
	struct text_multipart multipart;
	struct bytes data;

	text_multipart_init(&multipart, BYTES("b"), 8);
	for (size_t at = 0; at < body.n;) {
		size_t n = body.n - at < n_piece ? body.n - at : n_piece;
		struct bytes piece = { body.p + at, n };
		enum text_multipart_event event;

		while ((event = text_multipart_next(&multipart, &piece, &data)) !=
			TEXT_MULTIPART_MORE) {
			if (event == TEXT_MULTIPART_BROKEN) {
				EXPECT(text_multipart_reason(&multipart));
				bytes_buf_append_string(out, text_multipart_reason(&multipart));
				return false;
			}
			EXPECT((event == TEXT_MULTIPART_DATA) == (data.n > 0));
			bytes_buf_append(out, data);
			if (event == TEXT_MULTIPART_PART) {
				const struct text_multipart_part *part = &multipart.part;
				EXPECT(part->name.n > 0 && text_utf8_is_valid(part->name));
				EXPECT(!memchr(part->name.p, '\\', part->name.n));
				EXPECT(text_utf8_is_valid(part->filename));
				bytes_buf_append(out, part->name);
				bytes_buf_append(out, part->filename);
				bytes_buf_append(out, part->type);
			}
			/* Data comes in portions that depend on the pieces. */
			if (event != TEXT_MULTIPART_DATA)
				bytes_buf_append_byte(out, (char)('0' + event));
		}
		EXPECT(piece.n == 0);
		at += n;
	}
	return text_multipart_is_whole(&multipart);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes text = { (const char *)data, n }, boundary;
	DEFER(bytes_buf_fini) struct bytes_buf whole, cut;

	bytes_buf_init(&whole, 4 * n + 4096);
	bytes_buf_init(&cut, 4 * n + 4096);
	if (text_multipart_boundary(text, &boundary))
		EXPECT(boundary.n > 0 && boundary.n <= TEXT_MULTIPART_BOUNDARY_MAX);
	if (n == 0)
		return 0;
	struct bytes body = { text.p + 1, n - 1 };
	bool is_whole = read_all(body, n, &whole);
	size_t n_piece = data[0] ? data[0] : 1;

	EXPECT(read_all(body, n_piece, &cut) == is_whole);
	EXPECT(!whole.failed && bytes_eq(bytes_buf_view(&whole), bytes_buf_view(&cut)));
	return 0;
}
