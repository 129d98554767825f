/*
 * answer.h - the end of a call as the worker says it, turned into what a caller may use
 */
#ifndef POOL_ANSWER_H
#define POOL_ANSWER_H

#include "view.h"

/* Decodes RESPOND, FAIL or DONE of a call of that kind into the call. Texts borrow from payload,
 * headers from the view. False: malformed. */
bool answer_decode(struct pool_view *view, struct pool_call *call, uint8_t kind, uint16_t type,
	struct bytes payload);

#endif
