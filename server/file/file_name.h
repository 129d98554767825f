/*
 * file_name.h - the names under which files are stored: ours, never a client's
 *
 *   "My Report (1).PDF"  ->  my_report_1_k3x9a0qz1b.PDF
 *   stem of a-z 0-9 _, ten random characters, an extension of letters, digits and dots
 *
 * Threads: all functions from any thread. Memory: the caller's.
 */
#ifndef FILE_NAME_H
#define FILE_NAME_H

#include <stdbool.h>

#include "bytes.h"

#define FILE_NAME_MAX    150 /* characters of a stored name */
#define FILE_NAME_RANDOM 10  /* of them random, out of a-z 0-9 */

/* Makes a name out of what the client calls the file and random characters (2 * FILE_NAME_RANDOM of
 * them: short stems take a second run). extension, ".png", is for files that have none; may be "".
 */
void file_name_make(struct bytes original, const char *extension,
	const char random[static 2 * FILE_NAME_RANDOM], char out[static FILE_NAME_MAX + 1]);

/* True when text can be one component of a path in the store: letters, digits, '_', '-', '.', the
 * first of them no '.'; at most FILE_NAME_MAX. */
bool file_name_is_component(struct bytes text);

#endif
