#include <string.h>

#include "plugin_manifest.h"

bool plugin_id_is_valid(struct bytes id)
{
	if (id.n == 0 || id.n > PLUGIN_ID_MAX)
		return false;
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];
		bool is_other = (c >= '0' && c <= '9') || c == '-';
		if (!(c >= 'a' && c <= 'z') && !(is_other && i > 0))
			return false;
	}
	return true;
}

int plugin_find_statement(const struct plugin_manifest *manifest, struct bytes name)
{
	for (int i = 0; i < manifest->n_statements; i++)
		if (bytes_eq(manifest->statements[i].name, name))
			return i;
	return -1;
}

int plugin_find_upstream(const struct plugin_manifest *manifest, struct bytes name)
{
	for (int i = 0; i < manifest->n_upstreams; i++)
		if (bytes_eq(manifest->upstreams[i].name, name))
			return i;
	return -1;
}

int plugin_find_hook(const struct plugin_manifest *manifest, struct bytes collection,
	enum plugin_when when, enum plugin_action action)
{
	for (int i = 0; i < manifest->n_hooks; i++) {
		const struct plugin_hook *hook = &manifest->hooks[i];
		if (hook->when == when && hook->action == action &&
			bytes_eq(hook->collection, collection))
			return i;
	}
	return -1;
}

/* Splits a request path into at most PLUGIN_SEGMENTS_MAX segments; -1 when there are more, or one
 * is empty (a trailing '/' is another path). */
static int split_path(struct bytes path, struct bytes segments[static PLUGIN_SEGMENTS_MAX])
{
	if (path.n == 0 || (path.n == 1 && path.p[0] == '/'))
		return 0;
	if (path.p[0] != '/')
		return -1;
	int n = 0;
	size_t start = 1;
	for (size_t i = 1; i <= path.n; i++) {
		if (i < path.n && path.p[i] != '/')
			continue;
		if (i == start || n == PLUGIN_SEGMENTS_MAX)
			return -1;
		segments[n++] = (struct bytes){ path.p + start, i - start };
		start = i + 1;
	}
	return n;
}

/* How well a route fits: a bit for each literal segment, the first segment's highest, so that the
 * route whose literals come first wins. -1: not at all. */
static int32_t fit_route(const struct plugin_route *route, const struct bytes *segments, int n)
{
	int32_t fit = 0;
	if (route->n_segments != n)
		return -1;
	for (int i = 0; i < n; i++) {
		fit <<= 1;
		if (!route->segments[i].p)
			continue;
		if (!bytes_eq(route->segments[i], segments[i]))
			return -1;
		fit |= 1;
	}
	return fit;
}

/* What a route's method says to the request's: 2 exact, 1 GET for HEAD, 0 no. */
static int fit_method(enum plugin_method route, struct bytes method)
{
	if (bytes_eq_string(method, plugin_method_name(route)))
		return 2;
	return route == PLUGIN_GET && bytes_eq_string(method, "HEAD");
}

enum plugin_match plugin_match_route(const struct plugin_manifest *manifest, struct bytes method,
	struct bytes path, unsigned *ret_index)
{
	struct bytes segments[PLUGIN_SEGMENTS_MAX];
	int n = split_path(path, segments);
	if (n < 0)
		return PLUGIN_NO_PATH;
	bool has_path = false;
	int32_t best = -1;
	for (unsigned i = 0; i < manifest->n_routes; i++) {
		int32_t fit = fit_route(&manifest->routes[i], segments, n);
		if (fit < 0)
			continue;
		has_path = true;
		int by_method = fit_method(manifest->routes[i].method, method);
		if (!by_method)
			continue;
		fit = fit << 1 | (by_method == 2);
		if (fit > best) {
			best = fit;
			*ret_index = i;
		}
	}
	if (best >= 0)
		return PLUGIN_MATCH;
	return has_path ? PLUGIN_NO_METHOD : PLUGIN_NO_PATH;
}

bool plugin_upstream_allows(
	const struct plugin_upstream *upstream, struct bytes method, struct bytes path)
{
	bool has_method = false;
	for (unsigned i = 0; i < PLUGIN_METHODS; i++)
		if ((upstream->methods & 1u << i) &&
			bytes_eq_string(method, plugin_method_name((enum plugin_method)i)))
			has_method = true;
	if (!has_method)
		return false;
	for (unsigned i = 0; i < upstream->n_paths; i++) {
		struct bytes pattern = upstream->paths[i];
		if (pattern.p[pattern.n - 1] == '*') {
			if (bytes_starts_with(path, (struct bytes){ pattern.p, pattern.n - 1 }))
				return true;
		} else if (bytes_eq(pattern, path)) {
			return true;
		}
	}
	return false;
}
