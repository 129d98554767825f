/*
 * keys.h - requests that an API key signed
 */
#ifndef API_KEYS_H
#define API_KEYS_H

#include "internal.h"

/* Finds out whom the key in the Authorization header acts for, and goes on with next. A key that is
 * none is refused with 401: a machine must not be taken for a guest. */
void keys_authenticate(
	struct api_request *request, struct bytes text, void (*next)(struct api_request *request));
/* Whether the key's scopes allow this request. False having answered. */
bool keys_allow(struct api_request *request);

#endif
