#include "limits.h"

#include "internal.h"

#include "record_auth.h"
#include "records.h"

#include <string.h>

#define SPREAD         10 /* accounts that one address may try at the rate of one */
#define LETTER_EVERY_S 120

/* What a route does, in the words of labels; group is a word for several. */
static const struct act {
	const char *action; /* of the route */
	const char *name, *group;
} acts[] = {
	{ "record.list", "list", NULL },
	{ "record.get", "view", NULL },
	{ "record.create", "create", NULL },
	{ "record.update", "update", NULL },
	{ "record.delete", "delete", NULL },
	{ "auth.password", "authWithPassword", "auth" },
	{ "auth.oauth2", "authWithOAuth2", "auth" },
	{ "auth.otp", "authWithOTP", "auth" },
	{ "auth.otp.request", "requestOTP", "mail" },
	{ "auth.refresh", "authRefresh", NULL },
	{ "auth.methods", "listAuthMethods", NULL },
	{ "auth.verification.request", "requestVerification", "mail" },
	{ "auth.verification.confirm", "confirmVerification", NULL },
	{ "auth.reset.request", "requestPasswordReset", "mail" },
	{ "auth.reset.confirm", "confirmPasswordReset", NULL },
	{ "auth.email.request", "requestEmailChange", "mail" },
	{ "auth.email.confirm", "confirmEmailChange", NULL },
	{ "auth.impersonate", "impersonate", NULL },
};

static const struct act *act_of(const struct route *route)
{
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		if (strcmp(acts[i].action, route->action) == 0)
			return &acts[i];
	return NULL;
}

static bool is_path(struct bytes label)
{
	return label.n > 0 && memchr(label.p, '/', label.n);
}

/* "POST /api/batch" as "POST" and "/api/batch"; "/api/" as "" and itself. */
static struct bytes split_method(struct bytes label, struct bytes *ret_method)
{
	const char *space = memchr(label.p, ' ', label.n);

	*ret_method = (struct bytes){ label.p, space ? (size_t)(space - label.p) : 0 };
	return space ? (struct bytes){ space + 1, label.n - ret_method->n - 1 } : label;
}

/* ---- which routes are limited at all ---- */

static bool may_concern(const struct settings_limit *rule, const struct route *route)
{
	struct bytes method, pattern = bytes_of(route->pattern);

	if (is_path(rule->label)) {
		struct bytes path = split_method(rule->label, &method);
		const char *brace = memchr(pattern.p, '{', pattern.n);
		size_t n = brace ? (size_t)(brace - pattern.p) : pattern.n;
		return memcmp(path.p, pattern.p, path.n < n ? path.n : n) == 0;
	}
	const struct act *act = act_of(route);
	const char *colon = memchr(rule->label.p, ':', rule->label.n);
	if (!act || !colon)
		return false;
	struct bytes word = { colon + 1, rule->label.n - (size_t)(colon + 1 - rule->label.p) };
	return bytes_eq_string(word, act->name) ||
	       (act->group && bytes_eq_string(word, act->group));
}

void limits_on_settings(void *context, const struct settings *settings)
{
	struct api_house *house = context;
	uint64_t bits[API_ROUTES_MAX / 64] = { 0 };

	_Static_assert(API_ROUTES_MAX % 64 == 0, "whole words");
	for (size_t r = 0; r < api_n_tenant_routes && settings->limits.enabled; r++)
		for (size_t i = 0; i < settings->limits.n_rules; i++)
			if (may_concern(&settings->limits.rules[i], &api_tenant_routes[r]))
				bits[r / 64] |= 1ull << r % 64;
	for (size_t i = 0; i < API_ROUTES_MAX / 64; i++)
		atomic_store_explicit(&house->limited[i], bits[i], memory_order_relaxed);
}

static bool is_limited(const struct api_request *request)
{
	size_t r = (size_t)(request->match.route - api_tenant_routes);
	uint64_t bits =
		atomic_load_explicit(&request->house->limited[r / 64], memory_order_relaxed);

	return bits >> r % 64 & 1;
}

/* ---- which rule counts ---- */

static bool is_audience(const struct api_request *request, enum settings_audience audience)
{
	bool is_guest = request->identity.kind == AUTH_ANONYMOUS;

	return audience == SETTINGS_ANYONE || is_guest == (audience == SETTINGS_GUESTS);
}

static bool is_label(struct bytes label, struct bytes collection, const char *word)
{
	return label.n == collection.n + 1 + strlen(word) &&
	       memcmp(label.p, collection.p, collection.n) == 0 && label.p[collection.n] == ':' &&
	       memcmp(label.p + collection.n + 1, word, strlen(word)) == 0;
}

static const struct settings_limit *find_label(const struct api_request *request,
	const struct settings *settings, struct bytes collection, const char *word)
{
	for (size_t i = 0; word && i < settings->limits.n_rules; i++)
		if (is_label(settings->limits.rules[i].label, collection, word) &&
			is_audience(request, settings->limits.rules[i].audience))
			return &settings->limits.rules[i];
	return NULL;
}

static const struct settings_limit *find_act_on(const struct api_request *request,
	const struct settings *settings, const struct act *act, struct bytes collection)
{
	const struct settings_limit *rule = NULL;
	char name[RECORD_NAME_BYTES];

	record_collection_name(request->book, collection, name);
	const struct bytes names[] = { bytes_of(name), BYTES("*") };
	const char *const words[] = { act->name, act->group };
	for (int w = 0; w < 2 && !rule; w++)
		for (int n = 0; n < 2 && !rule; n++)
			rule = find_label(request, settings, names[n], words[w]);
	return rule;
}

static const struct settings_limit *find_act(
	struct api_request *request, const struct settings *settings)
{
	const struct act *act = act_of(request->match.route);
	char name[RECORD_NAME_BYTES];

	if (!act)
		return NULL;
	records_collection_name(request, name);
	return find_act_on(request, settings, act, bytes_of(name));
}

/* A path says the same however its letters are spelt; the listener has refused encoded slashes. */
static struct bytes plain_path(struct api_request *request)
{
	struct bytes path = request->path;
	char *plain = memchr(path.p, '%', path.n) ? arena_alloc(request->arena, path.n) : NULL;
	size_t n = 0;

	for (size_t i = 0; plain && i < path.n; i++) {
		uint8_t byte;
		if (path.p[i] == '%' && i + 2 < path.n &&
			bytes_unhex((struct bytes){ path.p + i + 1, 2 }, &byte, 1)) {
			plain[n++] = (char)byte;
			i += 2;
		} else {
			plain[n++] = path.p[i];
		}
	}
	return plain ? (struct bytes){ plain, n } : path;
}

static const struct settings_limit *find_path(
	struct api_request *request, const struct settings *settings)
{
	struct bytes asked = plain_path(request);
	const char *name = http_method_name(http_method(request->http));
	const struct settings_limit *best = NULL;
	size_t best_score = 0;

	for (size_t i = 0; i < settings->limits.n_rules; i++) {
		const struct settings_limit *rule = &settings->limits.rules[i];
		struct bytes method;
		if (!is_path(rule->label) || !is_audience(request, rule->audience))
			continue;
		struct bytes path = split_method(rule->label, &method);
		if (method.n > 0 && !bytes_eq_string(method, name))
			continue;
		bool is_exact = bytes_eq(path, asked);
		bool is_below =
			path.n > 0 && path.p[path.n - 1] == '/' && bytes_starts_with(asked, path);
		/* Exact before the longest, and one for this method before one for all. */
		size_t score = is_exact ? 4096 : is_below ? 2 * path.n : 0;
		if (score + (method.n > 0) > best_score && score > 0) {
			best = rule;
			best_score = score + (method.n > 0);
		}
	}
	return best;
}

/* ---- taking ---- */

/* Who is held to it: the account, or else the address. */
static struct bytes client_of(const struct api_request *request)
{
	return request->identity.kind == AUTH_ANONYMOUS ? request_address(request)
							: bytes_of(request->identity.record_id);
}

static bool refuse(struct api_request *request, struct auth_limit_verdict verdict)
{
	request->decision = AUDIT_DENIED;
	request->reason = BYTES("rate limit");
	request_refuse_limited(
		request, verdict.limit, verdict.remaining, verdict.reset_s, verdict.retry_s);
	return false;
}

static bool take(struct api_request *request, const struct settings_limit *rule,
	struct bytes client, struct bytes more, uint32_t times)
{
	const struct auth_rate rate = { (uint32_t)rule->max_requests * times,
		(uint32_t)rule->duration_s };
	const struct bytes parts[] = { bytes_of(tenant_name(request->tenant)), rule->label, client,
		more };
	struct auth_limit_verdict verdict =
		auth_limit_take(request->api->config.auth, rate, parts, 4);

	return verdict.is_allowed || refuse(request, verdict);
}

static bool is_free(const struct api_request *request)
{
	return request->identity.kind == AUTH_SUPERUSER || !is_limited(request);
}

bool limits_allow(struct api_request *request)
{
	if (is_free(request))
		return true;
	DEFER(settings_unref) struct settings *settings = settings_ref(request->house->settings);
	const struct settings_limit *rule = find_path(request, settings);
	if (rule && !take(request, rule, client_of(request), (struct bytes){ 0 }, 1))
		return false;
	rule = find_act(request, settings);
	bool is_sign_in = request->match.route->run == sign_in_password;
	return !rule || take(request, rule, client_of(request), (struct bytes){ 0 },
				is_sign_in ? SPREAD : 1);
}

bool limits_allow_sign_in(struct api_request *request, struct bytes identity)
{
	if (is_free(request))
		return true;
	DEFER(settings_unref) struct settings *settings = settings_ref(request->house->settings);
	const struct settings_limit *rule = find_act(request, settings);
	return !rule || take(request, rule, request_address(request), identity, 1);
}

bool limits_allow_writes(struct api_request *request, const struct record_group *group)
{
	static const struct act of_kind[] = {
		[RECORD_ITEM_CREATE] = { NULL, "create", NULL },
		[RECORD_ITEM_UPDATE] = { NULL, "update", NULL },
		[RECORD_ITEM_DELETE] = { NULL, "delete", NULL },
		[RECORD_ITEM_UPSERT] = { NULL, "create", NULL },
	};

	if (request->identity.kind == AUTH_SUPERUSER)
		return true;
	DEFER(settings_unref) struct settings *settings = settings_ref(request->house->settings);
	/* The request itself has been counted as one of its route's. */
	for (size_t i = act_of(request->match.route) ? 1 : 0;
		settings->limits.enabled && i < group->n_items; i++) {
		const struct record_item *item = &group->items[i];
		const struct settings_limit *rule =
			find_act_on(request, settings, &of_kind[item->kind], item->call.collection);
		if (rule && !take(request, rule, client_of(request), (struct bytes){ 0 }, 1))
			return false;
	}
	return true;
}

bool limits_allow_letter(struct api_request *request, const char *kind, const char *record_id)
{
	const struct auth_rate rate = { 1, LETTER_EVERY_S };
	const struct bytes parts[] = { bytes_of(tenant_name(request->tenant)), BYTES("letter"),
		bytes_of(kind), bytes_of(record_id) };

	return auth_limit_take(request->api->config.auth, rate, parts, 4).is_allowed;
}
