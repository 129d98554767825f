#include "plugin_manifest.h"

#include <stddef.h>
#include <string.h>

#include "manifest_walk.h"
#include "text_json_check.h"

#define COUNT(table)     (sizeof(table) / sizeof((table)[0]))
#define AT(type, member) offsetof(struct type, member)

/* ---- words ---- */
static const char *const METHODS[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", NULL };
static const char *const ACCESS[] = { "public", "user", "superuser", NULL };
static const char *const CONCURRENCY[] = { "serial", "cooperative", NULL };
static const char *const WHEN[] = { "before", NULL };
static const char *const ACTIONS[] = { "create", "update", "delete", NULL };
static const char *const ON_FAILURE[] = { "closed", "open", NULL };
static const char *const KINDS[] = { "query", "exec", "check", "write", NULL };
static const char *const SCHEMES[] = { "http", "https", NULL };
static const char *const GRANT_ACTIONS[] = { "read", "create", "update", "delete", NULL };

const char *plugin_method_name(enum plugin_method method)
{
	return METHODS[method];
}

const char *plugin_statement_kind_name(enum plugin_statement_kind kind)
{
	return KINDS[kind];
}

/* ---- routes ---- */
static const struct plugin_route ROUTE_DEFAULTS = {
	.access = PLUGIN_ACCESS_SUPERUSER, .body_limit = 65536, .timeout_ms = 5000
};

static const struct member ROUTE[] = {
	{ "id", MEMBER_NUMBER, AT(plugin_route, id), true, 1, 65535, NULL, NULL },
	{ "method", MEMBER_WORD, AT(plugin_route, method), true, 0, 0, METHODS, NULL },
	{ "path", MEMBER_TEXT, AT(plugin_route, path), true, 1, 256, NULL, NULL },
	{ "access", MEMBER_WORD, AT(plugin_route, access), true, 0, 0, ACCESS, NULL },
	{ "bodyLimit", MEMBER_NUMBER, AT(plugin_route, body_limit), false, 0, PLUGIN_BODY_MAX, NULL,
		NULL },
	{ "timeoutMs", MEMBER_NUMBER, AT(plugin_route, timeout_ms), false, 1, PLUGIN_TIMEOUT_MAX_MS,
		NULL, NULL },
};

/* One segment of a path: a literal of unreserved characters, or {name}. */
static int check_segment(struct walk *walk, struct plugin_route *route, struct bytes segment)
{
	if (route->n_segments == PLUGIN_SEGMENTS_MAX)
		return walk_refuse(walk, "/path has more than %d segments", PLUGIN_SEGMENTS_MAX);
	struct bytes *slot = &route->segments[route->n_segments++];
	if (segment.n > 2 && segment.p[0] == '{' && segment.p[segment.n - 1] == '}') {
		if (!walk_is_name((struct bytes){ segment.p + 1, segment.n - 2 }))
			return walk_refuse(walk, "/path: a parameter is {name}");
		*slot = (struct bytes){ NULL, 0 };
		return 0;
	}
	bool is_dots = bytes_eq_string(segment, ".") || bytes_eq_string(segment, "..");
	if (segment.n == 0 || is_dots)
		return walk_refuse(walk, "/path has an empty or dotted segment");
	for (size_t i = 0; i < segment.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~",
			    segment.p[i]))
			return walk_refuse(walk, "/path may hold letters, digits, '-', '.', '_', "
						 "'~' and {name}");
	*slot = segment;
	return 0;
}

static int check_route(struct walk *walk, void *element)
{
	struct plugin_route *route = element;
	if (route->path.p[0] != '/')
		return walk_refuse(walk, "/path must start with '/'");
	if (route->path.n == 1)
		return 0;
	size_t start = 1;
	for (size_t i = 1; i <= route->path.n; i++)
		if (i == route->path.n || route->path.p[i] == '/') {
			struct bytes segment = { route->path.p + start, i - start };
			if (check_segment(walk, route, segment) < 0)
				return -1;
			start = i + 1;
		}
	return 0;
}

static bool routes_overlap(const struct plugin_route *a, const struct plugin_route *b)
{
	if (a->method != b->method || a->n_segments != b->n_segments)
		return false;
	for (unsigned i = 0; i < a->n_segments; i++) {
		if (!a->segments[i].p != !b->segments[i].p)
			return false; /* a literal against a parameter: the literal wins */
		if (a->segments[i].p && !bytes_eq(a->segments[i], b->segments[i]))
			return false;
	}
	return true;
}

static int parse_routes(struct walk *walk, const struct text_json_token *token, void *object)
{
	static const struct list LIST = { ROUTE, COUNT(ROUTE), sizeof(struct plugin_route),
		PLUGIN_ROUTES_MAX, &ROUTE_DEFAULTS, check_route };
	struct plugin_manifest *manifest = object;
	void *routes;
	if (walk_list(walk, token, &LIST, &routes, &manifest->n_routes) < 0)
		return -1;
	manifest->routes = routes;
	for (unsigned i = 0; i < manifest->n_routes; i++)
		for (unsigned j = 0; j < i; j++) {
			if (manifest->routes[i].id == manifest->routes[j].id)
				return walk_refuse(walk,
					"two routes have the id %u: number them "
					"apart",
					manifest->routes[i].id);
			if (routes_overlap(&manifest->routes[i], &manifest->routes[j]))
				return walk_refuse(walk,
					"routes %u and %u take the same requests: "
					"remove one",
					manifest->routes[j].id, manifest->routes[i].id);
		}
	return 0;
}

/* ---- hooks ---- */
static const struct plugin_hook HOOK_DEFAULTS = { .timeout_ms = 2000 };

static const struct member HOOK[] = {
	{ "id", MEMBER_NUMBER, AT(plugin_hook, id), true, 1, 65535, NULL, NULL },
	{ "collection", MEMBER_NAME, AT(plugin_hook, collection), true, 0, PLUGIN_NAME_MAX, NULL,
		NULL },
	{ "when", MEMBER_WORD, AT(plugin_hook, when), true, 0, 0, WHEN, NULL },
	{ "action", MEMBER_WORD, AT(plugin_hook, action), true, 0, 0, ACTIONS, NULL },
	{ "onFailure", MEMBER_WORD_IS, AT(plugin_hook, fail_open), false, 0, 0, ON_FAILURE, NULL },
	{ "timeoutMs", MEMBER_NUMBER, AT(plugin_hook, timeout_ms), false, 1, PLUGIN_TIMEOUT_MAX_MS,
		NULL, NULL },
};

static int parse_hooks(struct walk *walk, const struct text_json_token *token, void *object)
{
	static const struct list LIST = { HOOK, COUNT(HOOK), sizeof(struct plugin_hook),
		PLUGIN_HOOKS_MAX, &HOOK_DEFAULTS, NULL };
	struct plugin_manifest *manifest = object;
	void *hooks;
	if (walk_list(walk, token, &LIST, &hooks, &manifest->n_hooks) < 0)
		return -1;
	manifest->hooks = hooks;
	for (unsigned i = 0; i < manifest->n_hooks; i++)
		for (unsigned j = 0; j < i; j++) {
			const struct plugin_hook *a = &manifest->hooks[j];
			const struct plugin_hook *b = &manifest->hooks[i];
			if (a->id == b->id)
				return walk_refuse(walk,
					"two hooks have the id %u: number them "
					"apart",
					a->id);
			if (a->when == b->when && a->action == b->action &&
				bytes_eq(a->collection, b->collection))
				return walk_refuse(walk,
					"hooks %u and %u take the same event: "
					"remove one",
					a->id, b->id);
		}
	return 0;
}

/* ---- statements ---- */
static const struct plugin_statement STATEMENT_DEFAULTS = { .max_rows = 100, .timeout_ms = 1000 };

static int parse_params(struct walk *walk, const struct text_json_token *token, void *object)
{
	struct plugin_statement *statement = object;
	struct bytes *params;
	if (walk_texts(walk, token, 0, PLUGIN_PARAMS_MAX, PLUGIN_NAME_MAX, &params,
		    &statement->n_params) < 0)
		return -1;
	for (unsigned i = 0; i < statement->n_params; i++)
		if (!walk_is_name(params[i]))
			return walk_refuse(walk, "holds something that is not a name");
	statement->params = params;
	return 0;
}

static const struct member STATEMENT[] = {
	{ "name", MEMBER_NAME, AT(plugin_statement, name), true, 0, PLUGIN_NAME_MAX, NULL, NULL },
	{ "kind", MEMBER_WORD, AT(plugin_statement, kind), true, 0, 0, KINDS, NULL },
	{ "sql", MEMBER_TEXT, AT(plugin_statement, sql), true, 1, PLUGIN_SQL_MAX, NULL, NULL },
	{ "params", MEMBER_PARSE, 0, false, 0, 0, NULL, parse_params },
	{ "maxRows", MEMBER_NUMBER, AT(plugin_statement, max_rows), false, 1, 10000, NULL, NULL },
	{ "timeoutMs", MEMBER_NUMBER, AT(plugin_statement, timeout_ms), false, 1,
		PLUGIN_TIMEOUT_MAX_MS, NULL, NULL },
};

static int parse_statements(struct walk *walk, const struct text_json_token *token, void *object)
{
	static const struct list LIST = { STATEMENT, COUNT(STATEMENT),
		sizeof(struct plugin_statement), PLUGIN_STATEMENTS_MAX, &STATEMENT_DEFAULTS, NULL };
	struct plugin_manifest *manifest = object;
	void *statements;
	if (walk_list(walk, token, &LIST, &statements, &manifest->n_statements) < 0)
		return -1;
	manifest->statements = statements;
	for (int i = 0; i < manifest->n_statements; i++)
		if (plugin_find_statement(manifest, manifest->statements[i].name) != i)
			return walk_refuse(walk, "two statements have the name \"%.*s\"",
				(int)manifest->statements[i].name.n,
				manifest->statements[i].name.p);
	return 0;
}

/* ---- upstreams ---- */
static const struct plugin_upstream UPSTREAM_DEFAULTS = { 0 };

static int parse_methods(struct walk *walk, const struct text_json_token *token, void *object)
{
	struct plugin_upstream *upstream = object;
	struct text_json_token element;
	if (token->type != TEXT_JSON_ARRAY)
		return walk_refuse(walk, "must be an array of methods");
	while (text_json_next(&walk->reader, &element) != TEXT_JSON_ARRAY_END) {
		uint32_t method;
		if (walk_word(walk, &element, METHODS, &method) < 0)
			return -1;
		upstream->methods |= 1u << method;
	}
	return 0;
}

static int parse_paths(struct walk *walk, const struct text_json_token *token, void *object)
{
	struct plugin_upstream *upstream = object;
	struct bytes *paths;
	if (walk_texts(walk, token, 1, PLUGIN_PATHS_MAX, 256, &paths, &upstream->n_paths) < 0)
		return -1;
	for (unsigned i = 0; i < upstream->n_paths; i++)
		if (paths[i].p[0] != '/')
			return walk_refuse(walk, "each path must start with '/'");
	upstream->paths = paths;
	return 0;
}

static const struct member UPSTREAM[] = {
	{ "name", MEMBER_NAME, AT(plugin_upstream, name), true, 0, PLUGIN_NAME_MAX, NULL, NULL },
	{ "scheme", MEMBER_WORD_IS, AT(plugin_upstream, is_https), true, 0, 0, SCHEMES, NULL },
	{ "host", MEMBER_TEXT, AT(plugin_upstream, host), true, 1, 253, NULL, NULL },
	{ "port", MEMBER_NUMBER16, AT(plugin_upstream, port), false, 1, 65535, NULL, NULL },
	{ "methods", MEMBER_PARSE, 0, true, 0, 0, NULL, parse_methods },
	{ "paths", MEMBER_PARSE, 0, true, 0, 0, NULL, parse_paths },
};

static int check_upstream(struct walk *walk, void *element)
{
	struct plugin_upstream *upstream = element;
	for (size_t i = 0; i < upstream->host.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.:[]", upstream->host.p[i]))
			return walk_refuse(
				walk, "/host must be a lower-case host name or an address");
	if (upstream->methods == 0)
		return walk_refuse(walk, "/methods is empty: name at least one");
	if (upstream->port == 0)
		upstream->port = upstream->is_https ? 443 : 80;
	return 0;
}

static int parse_upstreams(struct walk *walk, const struct text_json_token *token, void *object)
{
	static const struct list LIST = { UPSTREAM, COUNT(UPSTREAM), sizeof(struct plugin_upstream),
		PLUGIN_UPSTREAMS_MAX, &UPSTREAM_DEFAULTS, check_upstream };
	struct plugin_manifest *manifest = object;
	void *upstreams;
	if (walk_list(walk, token, &LIST, &upstreams, &manifest->n_upstreams) < 0)
		return -1;
	manifest->upstreams = upstreams;
	for (int i = 0; i < manifest->n_upstreams; i++)
		if (plugin_find_upstream(manifest, manifest->upstreams[i].name) != i)
			return walk_refuse(walk, "two upstreams have the name \"%.*s\"",
				(int)manifest->upstreams[i].name.n, manifest->upstreams[i].name.p);
	return 0;
}

/* ---- grants: {"collections":{"products":["read","update"]}} ---- */
static int parse_granted_actions(struct walk *walk, struct plugin_grant *grant)
{
	struct text_json_token token;
	if (text_json_next(&walk->reader, &token) != TEXT_JSON_ARRAY)
		return walk_refuse(walk, "must be an array of actions");
	while (text_json_next(&walk->reader, &token) != TEXT_JSON_ARRAY_END) {
		uint32_t action;
		if (walk_word(walk, &token, GRANT_ACTIONS, &action) < 0)
			return -1;
		grant->actions |= 1u << action;
	}
	return 0;
}

static int parse_collections(struct walk *walk, const struct text_json_token *token, void *object)
{
	struct plugin_manifest *manifest = object;
	struct text_json_token key;
	if (token->type != TEXT_JSON_OBJECT)
		return walk_refuse(walk, "must be an object of collections");
	struct plugin_grant *grants = arena_alloc(walk->arena, PLUGIN_GRANTS_MAX * sizeof *grants);
	if (!grants)
		return walk_no_memory(walk);
	while (text_json_next(&walk->reader, &key) == TEXT_JSON_KEY) {
		if (manifest->n_grants == PLUGIN_GRANTS_MAX)
			return walk_refuse(
				walk, "names more than %d collections", PLUGIN_GRANTS_MAX);
		struct plugin_grant *grant = &grants[manifest->n_grants++];
		size_t mark = walk_enter(walk, key.raw);
		if (!text_json_text(&key, walk->arena, &grant->collection))
			return walk_no_memory(walk);
		if (grant->collection.n > PLUGIN_NAME_MAX || !walk_is_name(grant->collection))
			return walk_refuse(walk, "is not the name of a collection");
		if (parse_granted_actions(walk, grant) < 0)
			return -1;
		walk_leave(walk, mark);
	}
	manifest->grants = grants;
	return 0;
}

static int parse_grants(struct walk *walk, const struct text_json_token *token, void *object)
{
	static const struct member GRANTS[] = {
		{ "collections", MEMBER_PARSE, 0, false, 0, 0, NULL, parse_collections },
	};
	if (token->type != TEXT_JSON_OBJECT)
		return walk_refuse(walk, "must be an object");
	return walk_object(walk, GRANTS, COUNT(GRANTS), object);
}

/* ---- the rest ---- */
static const struct member INTERFACE[] = {
	{ "id", MEMBER_TEXT, AT(plugin_interface, id), true, 1, PLUGIN_NAME_MAX, NULL, NULL },
	{ "rev", MEMBER_NUMBER, AT(plugin_interface, min_rev), true, 1, 1000, NULL, NULL },
};

/* What this server's workers have. A draft id says so in its first two characters. */
static const struct served {
	const char *id;
	uint32_t rev;
} SERVED[] = {
	{ "x.tenon.call/0", 1 },
	{ "x.tenon.log/0", 1 },
	{ "x.tenon.db/0", 1 },
	{ "x.tenon.http/0", 1 },
	{ "x.tenon.json/0", 1 },
};

static const struct plugin_interface INTERFACE_DEFAULTS = { .min_rev = 1 };

static int check_interface(struct walk *walk, void *element)
{
	const struct plugin_interface *wanted = element;
	for (size_t i = 0; i < COUNT(SERVED); i++) {
		if (!bytes_eq_string(wanted->id, SERVED[i].id))
			continue;
		if (wanted->min_rev > SERVED[i].rev)
			return walk_refuse(walk,
				"needs %.*s revision %u, this server has %u: rebuild for it or "
				"upgrade the server",
				(int)wanted->id.n, wanted->id.p, wanted->min_rev, SERVED[i].rev);
		return 0;
	}
	return walk_refuse(
		walk, "this server has no interface \"%.*s\"", (int)wanted->id.n, wanted->id.p);
}

static int parse_interfaces(struct walk *walk, const struct text_json_token *token, void *object)
{
	static const struct list LIST = { INTERFACE, COUNT(INTERFACE),
		sizeof(struct plugin_interface), PLUGIN_INTERFACES_MAX, &INTERFACE_DEFAULTS,
		check_interface };
	struct plugin_manifest *manifest = object;
	void *interfaces;
	if (walk_list(walk, token, &LIST, &interfaces, &manifest->n_interfaces) < 0)
		return -1;
	manifest->interfaces = interfaces;
	return 0;
}

static int parse_limits(struct walk *walk, const struct text_json_token *token, void *object)
{
	static const struct member LIMITS[] = {
		{ "memoryMiB", MEMBER_NUMBER, AT(plugin_manifest, memory_mib), false, 16, 1024,
			NULL, NULL },
		{ "instances", MEMBER_NUMBER, AT(plugin_manifest, n_instances), false, 1, 64, NULL,
			NULL },
	};
	if (token->type != TEXT_JSON_OBJECT)
		return walk_refuse(walk, "must be an object");
	return walk_object(walk, LIMITS, COUNT(LIMITS), object);
}

struct abi {
	uint32_t major, minor;
};

static int parse_abi(struct walk *walk, const struct text_json_token *token, void *object)
{
	static const struct member ABI[] = {
		{ "major", MEMBER_NUMBER, AT(abi, major), true, 0, 1000, NULL, NULL },
		{ "minor", MEMBER_NUMBER, AT(abi, minor), true, 0, 1000, NULL, NULL },
	};
	(void)object;
	struct abi abi = { 0 };
	if (token->type != TEXT_JSON_OBJECT)
		return walk_refuse(walk, "must be an object");
	if (walk_object(walk, ABI, COUNT(ABI), &abi) < 0)
		return -1;
	if (abi.major != PLUGIN_ABI_MAJOR || abi.minor > PLUGIN_ABI_MINOR)
		return walk_refuse(walk,
			"was built for ABI %u.%u, this server has %u.%u: rebuild with its "
			"tenon/plugin.h, or upgrade the server",
			abi.major, abi.minor, PLUGIN_ABI_MAJOR, PLUGIN_ABI_MINOR);
	return 0;
}

static const struct member MANIFEST[] = {
	{ "id", MEMBER_NAME, AT(plugin_manifest, id), true, 0, PLUGIN_ID_MAX, NULL, NULL },
	{ "version", MEMBER_TEXT, AT(plugin_manifest, version), true, 1, PLUGIN_VERSION_MAX, NULL,
		NULL },
	{ "abi", MEMBER_PARSE, 0, true, 0, 0, NULL, parse_abi },
	{ "concurrency", MEMBER_WORD, AT(plugin_manifest, concurrency), false, 0, 0, CONCURRENCY,
		NULL },
	{ "interfaces", MEMBER_PARSE, 0, true, 0, 0, NULL, parse_interfaces },
	{ "routes", MEMBER_PARSE, 0, false, 0, 0, NULL, parse_routes },
	{ "hooks", MEMBER_PARSE, 0, false, 0, 0, NULL, parse_hooks },
	{ "statements", MEMBER_PARSE, 0, false, 0, 0, NULL, parse_statements },
	{ "upstreams", MEMBER_PARSE, 0, false, 0, 0, NULL, parse_upstreams },
	{ "grants", MEMBER_PARSE, 0, false, 0, 0, NULL, parse_grants },
	{ "limits", MEMBER_PARSE, 0, false, 0, 0, NULL, parse_limits },
};

static bool is_version(struct bytes version)
{
	for (size_t i = 0; i < version.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.+",
			    version.p[i]))
			return false;
	return version.n > 0 && version.p[0] >= '0' && version.p[0] <= '9';
}

int plugin_manifest_parse(
	struct bytes json, struct arena *arena, struct plugin_manifest *ret, struct err *err)
{
	size_t at = 0;
	struct text_json_limits limits = TEXT_JSON_LIMITS;
	limits.max_bytes = PLUGIN_MANIFEST_MAX;
	enum text_json_verdict verdict = text_json_check(json, &limits, &at);
	if (verdict == TEXT_JSON_NOMEM)
		return ERR_SET(err, ERR_NOMEM, "no memory for a manifest");
	if (verdict != TEXT_JSON_VALID)
		return ERR_SET(err, ERR_INVALID, "the manifest is not JSON: %s at byte %zu",
			text_json_reason(verdict), at);

	struct plugin_manifest manifest = { .memory_mib = 64, .n_instances = 1 };
	const char *copy = arena_copy(arena, json);
	if (!copy)
		return ERR_SET(err, ERR_NOMEM, "no memory for a manifest");
	manifest.json = (struct bytes){ copy, json.n };

	struct walk walk = { .arena = arena, .err = err };
	struct text_json_token token;
	text_json_reader_init(&walk.reader, manifest.json);
	if (text_json_next(&walk.reader, &token) != TEXT_JSON_OBJECT)
		return walk_refuse(&walk, "the manifest must be an object");
	if (walk_object(&walk, MANIFEST, COUNT(MANIFEST), &manifest) < 0)
		return -1;
	if (!plugin_id_is_valid(manifest.id))
		return ERR_SET(err, ERR_INVALID,
			"/id: must be a-z first, then a-z, 0-9 and '-', at most %d", PLUGIN_ID_MAX);
	if (!is_version(manifest.version))
		return ERR_SET(err, ERR_INVALID,
			"/version: may hold letters, digits, '-', '.' and '+', and begins with a "
			"digit, as in 1.0.0");
	*ret = manifest;
	return 0;
}
