/*
 * batch.h - a batch of writes, read and ready to run
 */
#ifndef API_BATCH_H
#define API_BATCH_H

#include "writes.h"

/* Within the limits of the tenant's settings. Reads {"requests":[...]}, a checked document that
 * lives as long as the request. The caller may hang files on the items, and calls writes_run.
 * Returns NULL having answered. */
struct writes *batch_read(struct api_request *request, struct bytes json);

/* One element of "requests": what it writes, into item. outer has the headers of the batch itself.
 * False when it is no write. */
bool batch_take_item(struct bytes json, const struct record_call *outer, struct arena *arena,
	struct record_item *item);

#endif
