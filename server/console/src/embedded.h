/*
 * embedded.h - the table that the build writes from web/dist
 *
 * Threads: any. Memory: constants.
 */
#ifndef CONSOLE_EMBEDDED_H
#define CONSOLE_EMBEDDED_H

#include <stdbool.h>
#include <stddef.h>

#include "bytes.h"

struct embedded {
	struct bytes path; /* below /_/, with no leading slash */
	struct bytes content_type;
	struct bytes identity, gzip;           /* gzip is empty where it would not be shorter */
	struct bytes identity_etag, gzip_etag; /* with quotes */
	bool is_hashed;                        /* the name carries a hash of the content */
};

/* In the order of bytes_cmp(path). */
extern const struct embedded embedded_files[];
extern const size_t embedded_n_files;
extern const struct bytes embedded_build_id;

#endif
