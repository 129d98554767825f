/*
 * auth_scope.h - what an API key may do, in words that are matched and never interpreted
 *
 *   all                              what its superuser, or its record, may
 *   records:posts:list,view          these actions on the records of this collection
 *   records:*:view                   "*" is any collection, or any action
 *   plugins:order-rules  plugins:*   calls of a plugin's routes
 *   read:settings  read:logs  read:collections
 *
 * What no scope names is refused: a route that is added later is closed to all keys but those of
 * scope "all".
 *
 * Threads: any. Memory: none.
 */
#ifndef AUTH_AUTH_SCOPE_H
#define AUTH_AUTH_SCOPE_H

#include <stdbool.h>

#include "bytes.h"

#define AUTH_SCOPES_MAX      32
#define AUTH_SCOPE_MAX       160  /* bytes of one */
#define AUTH_SCOPES_TEXT_MAX 2048 /* of all, as a JSON array */

/* True for a text of the forms above. */
bool auth_scope_is_valid(struct bytes scope);

enum auth_act_kind { AUTH_ACT_RECORD, AUTH_ACT_PLUGIN, AUTH_ACT_READ, AUTH_ACT_OTHER };

struct auth_act {
	enum auth_act_kind kind;
	struct bytes object; /* the collection's name, the plugin's id; of a read what is read */
	struct bytes action; /* of a record: list, view, create, update, delete */
};

/* Whether one of the scopes (a JSON array of texts without escapes, as we keep it) allows it. */
bool auth_scope_allows(struct bytes scopes, const struct auth_act *act);
/* Whether the scopes hold "all". */
bool auth_scope_is_all(struct bytes scopes);

#endif
