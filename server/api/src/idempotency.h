/*
 * idempotency.h - Idempotency-Key: a write that is sent twice is done once
 */
#ifndef API_IDEMPOTENCY_H
#define API_IDEMPOTENCY_H

#include "internal.h"

#include "record_once.h"

/* Calls go, now or later, when the request has no key (once is NULL then) or one that is new. Else
 * answers: what was answered then; 422 when the key stood for another request; 400 when it is none.
 * once lives as long as the request. */
void idempotency_check(struct api_request *request,
	void (*go)(struct api_request *request, const struct record_once *once, void *context),
	void *context);

#endif
