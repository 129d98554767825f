/*
 * batch.h - a batch of writes, read and ready to run
 */
#ifndef API_BATCH_H
#define API_BATCH_H

#include "writes.h"

#define BATCH_REQUESTS_MAX 50 /* as PocketBase has it unless told otherwise */

/* Reads {"requests":[...]}, a checked document that lives as long as the request. The caller may
 * hang files on the items, and calls writes_run. Returns NULL having answered. */
struct writes *batch_read(struct api_request *request, struct bytes json);

#endif
