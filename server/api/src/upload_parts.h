/*
 * upload_parts.h - a form while it is read, and the parts that came
 *
 * The values of a form lie one behind the other in one buffer; entries in the arena say where.
 */
#ifndef API_UPLOAD_PARTS_H
#define API_UPLOAD_PARTS_H

#include "upload.h"

#include "hash.h"
#include "text_multipart.h"

#define UPLOAD_VALUES_MAX (1u << 20) /* bytes of all values, as of a JSON body */
#define UPLOAD_JSON_MAX   (4u << 20) /* and of what they become */

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

/* Refuses the form; false. */
bool upload_refuse(struct upload *upload, enum api_error error, const char *message);

#endif
