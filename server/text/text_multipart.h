/*
 * text_multipart.h - multipart/form-data piece by piece, and only what every reader reads the same
 *
 * A pull parser over a body that arrives in pieces: the caller hands it a view of what is there,
 * and each text_multipart_next takes some of it and gives one event. It holds no body: the data of
 * a part is given out as views into the caller's piece, so that a file of any size passes through
 * in the memory of one piece.
 *
 *   --b CRLF  Content-Disposition: form-data; name="a" CRLF  CRLF  data  CRLF --b-- [CRLF]
 *             `------------------ PART ------------------------'   DATA  PART_END
 *
 * RFC 7578 bodies as browsers and the usual libraries write them pass. What two readers could take
 * differently is refused: bytes before the first or after the last boundary, blanks behind a
 * boundary, a line that merely begins with it, bare CR or LF in a header, folded lines, a header or
 * parameter that is there twice, backslashes and control characters in names, "filename*", names
 * without quotation marks, transfer encodings, names that are no UTF-8. Percent signs in names stay
 * as they are: nobody agrees on decoding them.
 *
 * Threads: none inside. Memory: no heap; names and types live in the parser until the next PART.
 */
#ifndef TEXT_MULTIPART_H
#define TEXT_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define TEXT_MULTIPART_BOUNDARY_MAX 70   /* characters, RFC 2046 */
#define TEXT_MULTIPART_HEADER_MAX   2048 /* bytes of one part's headers */

enum text_multipart_event {
	TEXT_MULTIPART_MORE,     /* all of the piece is taken: the next one, please */
	TEXT_MULTIPART_PART,     /* a part begins: part says which */
	TEXT_MULTIPART_DATA,     /* bytes of it, never none */
	TEXT_MULTIPART_PART_END, /* it is whole */
	TEXT_MULTIPART_BROKEN    /* see text_multipart_reason; so is every later call */
};

struct text_multipart_part {
	struct bytes name;
	struct bytes filename; /* of a file; may be empty when is_file */
	struct bytes type;     /* its Content-Type as it was sent; {NULL, 0}: none */
	bool is_file;          /* there was a filename */
};

struct text_multipart {
	char delimiter[4 + TEXT_MULTIPART_BOUNDARY_MAX]; /* CR LF - - boundary */
	size_t n_delimiter, n_matched;
	uint8_t state;
	const char *reason;
	uint32_t n_parts, max_parts;
	bool has_part; /* the part whose headers were read has not ended */
	size_t n_header;
	char header[TEXT_MULTIPART_HEADER_MAX];
	struct text_multipart_part part;
};

/* The boundary in a Content-Type's value. False unless that is multipart/form-data with exactly one
 * boundary of 1 to 70 legal characters, and nothing else but charset=utf-8. */
bool text_multipart_boundary(struct bytes content_type, struct bytes *ret);

/* A parser at the start of a body. boundary is text_multipart_boundary's and is copied. */
void text_multipart_init(
	struct text_multipart *multipart, struct bytes boundary, uint32_t max_parts);

/* The next event; takes what belongs to it off the front of *piece. *ret_data: of DATA, a view into
 * the piece or into the parser, valid until the next call. */
enum text_multipart_event text_multipart_next(
	struct text_multipart *multipart, struct bytes *piece, struct bytes *ret_data);

/* True when the last boundary has come, so that the body may end here. */
bool text_multipart_is_whole(const struct text_multipart *multipart);

/* After BROKEN, or when the body ended and was not whole: why, for people. Static. */
const char *text_multipart_reason(const struct text_multipart *multipart);

#endif
