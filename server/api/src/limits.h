/*
 * limits.h - how often a client may do something, by the rules of its tenant's settings
 *
 * Labels are PocketBase's: "posts:create", "*:create", "users:auth", "*:auth" name what is done to
 * a collection (the first that there is counts, in this order), "/api/batch", "POST /api/batch" and
 * "/api/" name paths (an exact one before the longest with a slash at its end). Ours is "*:mail":
 * whatever sends a letter. Superusers are not limited.
 */
#ifndef API_LIMITS_H
#define API_LIMITS_H

#include "request.h"

#include "auth_limit.h"
#include "record_group.h"

/* For settings_book_attach: works out which routes are limited at all. */
void limits_on_settings(void *house, const struct settings *settings);

/* Takes from the buckets of this request. False having answered 429. */
bool limits_allow(struct api_request *request);
/* The same for a sign-in, now that the account is known by name: its bucket is its own for each
 * address, while limits_allow held the address to ten times as many. */
bool limits_allow_sign_in(struct api_request *request, struct bytes identity);
/* The same for each write that one request asks for. */
bool limits_allow_writes(struct api_request *request, const struct record_group *group);
/* Whether a letter of this kind may go to the account: one in two minutes. */
bool limits_allow_letter(struct api_request *request, const char *kind, const char *record_id);

#endif
