/*
 * file_type.h - what a file is, told by its first bytes
 *
 * A small table of magic numbers decides, for the mimeTypes of a field and for the Content-Type of
 * an answer. What a client says about its file is not asked.
 *
 * Threads: all functions from any thread. Memory: all results are static.
 */
#ifndef FILE_TYPE_H
#define FILE_TYPE_H

#include <stdbool.h>

#include "bytes.h"

#define FILE_TYPE_HEAD 3072 /* bytes to look at, if the file has them */

/* The media type, without parameters; "application/octet-stream" when nothing else fits, text/plain
 * for text (and for the empty file). */
const char *file_type_of(struct bytes head);
/* Its usual extension, ".png"; "" when it has none. */
const char *file_type_extension(const char *type);
/* The Content-Type of an answer: for text the extension says which. */
const char *file_type_of_answer(const char *type, struct bytes name);
/* Whether a browser may show it in place: images, sounds, films and PDF, which run no script. */
bool file_type_is_inline(const char *type);

#endif
