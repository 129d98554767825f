#include "auth_scope.h"

#include <string.h>

static const char *const actions[] = { "list", "view", "create", "update", "delete" };
static const char *const readable[] = { "settings", "logs", "collections" };

static bool is_one_of(struct bytes word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq_string(word, words[i]))
			return true;
	return false;
}

/* What stands before the separator, which is passed over with it; all when there is none. */
static struct bytes take(struct bytes *rest, char separator)
{
	const char *at = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
	struct bytes part = { rest->p, at ? (size_t)(at - rest->p) : rest->n };

	*rest = at ? (struct bytes){ at + 1, rest->n - part.n - 1 } : (struct bytes){ rest->p, 0 };
	return part;
}

static bool is_name(struct bytes name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '-'))
			return bytes_eq_string(name, "*");
	}
	return name.n > 0;
}

bool auth_scope_is_valid(struct bytes scope)
{
	struct bytes rest = scope;

	if (scope.n > AUTH_SCOPE_MAX)
		return false;
	if (bytes_eq_string(scope, "all"))
		return true;
	struct bytes kind = take(&rest, ':');
	if (bytes_eq_string(kind, "read"))
		return is_one_of(rest, readable, sizeof readable / sizeof readable[0]);
	if (bytes_eq_string(kind, "plugins"))
		return is_name(rest);
	if (!bytes_eq_string(kind, "records") || !is_name(take(&rest, ':')) || rest.n == 0)
		return false;
	if (bytes_eq_string(rest, "*"))
		return true;
	bool is_good = rest.p[rest.n - 1] != ',';
	while (rest.n > 0 && is_good)
		is_good = is_one_of(take(&rest, ','), actions, sizeof actions / sizeof actions[0]);
	return is_good;
}

static bool is_match(struct bytes pattern, struct bytes name)
{
	return bytes_eq_string(pattern, "*") || (name.n > 0 && bytes_eq(pattern, name));
}

static bool allows(struct bytes scope, const struct auth_act *act)
{
	struct bytes rest = scope;

	if (bytes_eq_string(scope, "all"))
		return true;
	struct bytes kind = take(&rest, ':');
	switch (act->kind) {
	case AUTH_ACT_READ:
		return bytes_eq_string(kind, "read") && bytes_eq(rest, act->object);
	case AUTH_ACT_PLUGIN:
		return bytes_eq_string(kind, "plugins") && is_match(rest, act->object);
	case AUTH_ACT_RECORD:
		if (!bytes_eq_string(kind, "records") || !is_match(take(&rest, ':'), act->object))
			return false;
		if (bytes_eq_string(rest, "*"))
			return true;
		while (rest.n > 0)
			if (bytes_eq(take(&rest, ','), act->action))
				return true;
		return false;
	case AUTH_ACT_OTHER:
		return false;
	}
	return false;
}

/* The next text of the array, or {NULL, 0}. */
static struct bytes next_scope(struct bytes *rest)
{
	const char *open = rest->n ? memchr(rest->p, '"', rest->n) : NULL;

	if (!open)
		return (struct bytes){ 0 };
	*rest = (struct bytes){ open + 1, rest->n - (size_t)(open + 1 - rest->p) };
	return take(rest, '"');
}

bool auth_scope_allows(struct bytes scopes, const struct auth_act *act)
{
	for (struct bytes scope = next_scope(&scopes); scope.p; scope = next_scope(&scopes))
		if (allows(scope, act))
			return true;
	return false;
}

bool auth_scope_is_all(struct bytes scopes)
{
	for (struct bytes scope = next_scope(&scopes); scope.p; scope = next_scope(&scopes))
		if (bytes_eq_string(scope, "all"))
			return true;
	return false;
}
