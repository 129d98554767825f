/*
 * The way of every request. At the headers: whose path is it, which row serves it, how large may
 * its body be; on the platform also who asks, and may he. With the body: admit, a tenant's users
 * authenticate, authorise, run. What says no answers, and the way ends there.
 */
#include "internal.h"

#include "keys.h"
#include "limits.h"
#include "upload.h"

#include "clock.h"
#include "tenant_web.h"
#include "text_json_writer.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TENANT "default"

/* Splits "/t/{tenant}/rest" and finds the tenant. False when the path has no such prefix. */
static bool take_tenant(struct api_request *request)
{
	struct bytes path = request->path;

	if (!bytes_starts_with(path, BYTES("/t/")))
		return false;
	struct bytes rest = { path.p + 3, path.n - 3 };
	const char *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
	struct bytes name = { rest.p, slash ? (size_t)(slash - rest.p) : rest.n };
	request->tenant = tenant_find(request->api->config.tenants, name);
	request->path = slash ? (struct bytes){ slash, rest.n - name.n } : BYTES("/");
	return true;
}

/* Below a tenant's own host name there is that tenant, its files and nothing else: no prefix leads
 * to another one, and neither console nor platform is there. */
static enum route_result find_on_own_host(struct api_request *request)
{
	struct api *api = request->api;
	enum http_method method = http_method(request->http);
	bool is_api = bytes_starts_with(request->path, BYTES("/api/")) ||
		      bytes_eq(request->path, BYTES("/api"));

	if (is_api)
		return route_find(api->tenant_routes, method, request->path, &request->match);
	request->match.route = &static_route;
	return method == HTTP_GET || method == HTTP_HEAD ? ROUTE_FOUND : ROUTE_NO_METHOD;
}

/* Finds tenant and row. False having answered. */
static bool find_route(struct api_request *request)
{
	struct api *api = request->api;
	enum http_method method = http_method(request->http);
	enum route_result result = ROUTE_NO_PATH;
	struct tenant *own =
		tenant_find_host(api->config.tenants, http_header(request->http, BYTES("Host")));

	if (own) {
		request->tenant = own;
		result = find_on_own_host(request);
	} else if (take_tenant(request)) {
		if (!request->tenant) {
			request_refuse(request, API_NO_TENANT);
			return false;
		}
	} else {
		result = route_find(api->server_routes, method, request->path, &request->match);
		request->is_platform = result != ROUTE_NO_PATH;
	}
	if (!request->is_platform && !own) {
		if (!request->tenant)
			request->tenant = tenant_find(api->config.tenants, BYTES(DEFAULT_TENANT));
		result = request->tenant ? route_find(api->tenant_routes, method, request->path,
						   &request->match)
					 : ROUTE_NO_PATH;
	}
	if (request->tenant && !request->is_platform && cors_is_preflight(request->http)) {
		request->match.route = &cors_preflight_route;
		return true;
	}
	if (result == ROUTE_NO_METHOD && request->match.route == &static_route) {
		request_refuse_method(request, BYTES("GET, HEAD"));
		return false;
	}
	if (result == ROUTE_NO_METHOD) {
		request_refuse(request, API_NO_METHOD);
		return false;
	}
	if (result == ROUTE_NO_PATH) {
		request_refuse(request, API_NOT_FOUND);
		return false;
	}
	return true;
}

/* ---- authorise ---- */

/* Whether the row is for whoever asks. False having answered. */
static bool may(struct api_request *request)
{
	const struct route *route = request->match.route;
	enum auth_kind kind = request->identity.kind;

	switch (route->access) {
	case ROUTE_PUBLIC:
		break;
	case ROUTE_USER:
		if (kind != AUTH_USER && kind != AUTH_SUPERUSER) {
			request_refuse(request, API_UNAUTHORIZED);
			return false;
		}
		break;
	case ROUTE_SUPERUSER:
		if (kind != AUTH_SUPERUSER) {
			request_refuse_with(request,
				kind == AUTH_ANONYMOUS ? API_UNAUTHORIZED : API_FORBIDDEN,
				kind == AUTH_ANONYMOUS ? NULL
						       : "Only superusers can perform this action.",
				(struct bytes){ 0 });
			return false;
		}
		break;
	case ROUTE_OPERATOR:
		if (kind != AUTH_OPERATOR) {
			request_refuse_with(request, API_UNAUTHORIZED,
				"This is for operators: sign in to the console, or use the command "
				"line.",
				(struct bytes){ 0 });
			return false;
		}
		break;
	}
	if (kind != AUTH_ANONYMOUS)
		request->decision = AUDIT_ALLOWED;
	return true;
}

static void authorise(struct api_request *request)
{
	if (may(request) && (!request->key || keys_allow(request)) && limits_allow(request))
		request->match.route->run(request);
}

/* ---- authenticate: operators ---- */

/* A write that a browser sends with a cookie must prove that our own page made it. */
static bool is_from_console(struct api_request *request)
{
	enum http_method method = http_method(request->http);
	struct bytes site = http_header(request->http, BYTES("Sec-Fetch-Site"));

	if (site.n > 0 && !bytes_eq(site, BYTES("same-origin")) && !bytes_eq(site, BYTES("none")))
		return false;
	if (method == HTTP_GET || method == HTTP_HEAD)
		return true;
	return auth_session_has_csrf(
		&request->session, http_header(request->http, BYTES("X-Tenon-CSRF")));
}

/* Who is it? From memory, so that it can be asked before a body is read. False having answered. */
static bool identify_operator(struct api_request *request)
{
	struct api *api = request->api;
	struct auth_identity *identity = &request->identity;
	struct bytes authorization = http_header(request->http, BYTES("Authorization"));
	struct bytes cookie = http_cookie(request->http, BYTES("tenon_session"));

	if (authorization.n > 0) {
		if (bytes_eq_secret(auth_token_of_header(authorization),
			    bytes_of(api->config.local_token))) {
			identity->kind = AUTH_OPERATOR;
			memcpy(identity->record_id, "local", 6);
		}
	} else if (cookie.n > 0 &&
		   auth_session_find(api->config.operators, cookie, &request->session)) {
		if (!is_from_console(request)) {
			request->reason = BYTES("csrf");
			request_refuse_with(request, API_FORBIDDEN,
				"The request does not come from the console's own page.",
				(struct bytes){ 0 });
			return false;
		}
		identity->kind = AUTH_OPERATOR;
		memcpy(identity->record_id, request->session.operator_id,
			sizeof identity->record_id);
	}
	return true;
}

static void begin(struct api_request *request);

/* Routes that take a form beside JSON. */
static bool takes_form(const struct route *route)
{
	return route->run == records_create || route->run == records_update ||
	       route->run == batch_post;
}

/* A form is read by the route's function: the request takes its way before its body does. */
static int64_t begin_form(struct api_request *request)
{
	int64_t limit;

	if (!upload_on_headers(request, &limit))
		return -1;
	begin(request);
	return request->is_answered ? -1 : limit;
}

int64_t pipeline_on_headers(void *context, struct http_request *http)
{
	struct api *api = context;
	struct arena *arena = http_arena(http);
	struct api_request *request = arena_alloc(arena, sizeof *request);

	/* The arena is empty, and the request smaller than its first chunk. */
	if (!request)
		abort();
	*request = (struct api_request){ .api = api,
		.lane = &api->lanes[loop_index(http_loop(http))],
		.http = http,
		.arena = arena,
		.path = http_path(http) };
	request->n_address = http_forward_of(&api->config.forward, http, request->address);
	http_set_context(http, request);
	if (!find_route(request))
		return -1;
	/* A stranger's body is not read: a plugin's file may have 64 MiB. */
	if (request->is_platform && (!identify_operator(request) || !may(request)))
		return -1;
	if (request->match.route->run == plugin_call)
		return plugin_body_limit(request);
	if (takes_form(request->match.route) && upload_is_form(request))
		return begin_form(request);
	return request->match.route->body_limit;
}

/* ---- authenticate: users and superusers ---- */

static void on_account(struct record_find_auth *find)
{
	struct api_request *request = find->context;
	struct auth_identity *identity = &request->identity;
	struct bytes token =
		auth_token_of_header(http_header(request->http, BYTES("Authorization")));

	if (find->result == RECORD_UNAVAILABLE) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	if (find->result == RECORD_FOUND &&
		auth_token_check(request->api->config.auth, token, bytes_of(find->token_key))) {
		identity->kind = find->is_superuser ? AUTH_SUPERUSER : AUTH_USER;
		(void)bytes_to_string(bytes_of(find->collection_id), identity->collection_id,
			sizeof identity->collection_id);
		(void)bytes_to_string(bytes_of(find->collection_name), identity->collection,
			sizeof identity->collection);
		realtime_note_account(request, bytes_of(find->token_key), request->expires_s);
	} else {
		*identity = (struct auth_identity){ .kind = AUTH_ANONYMOUS };
	}
	explicit_bzero(find->token_key, sizeof find->token_key);
	explicit_bzero(find->password_hash, sizeof find->password_hash);
	authorise(request);
}

static void authenticate_user(struct api_request *request)
{
	struct bytes token =
		auth_token_of_header(http_header(request->http, BYTES("Authorization")));
	struct auth_claims claims;

	request->house = tenant_hung(request->tenant);
	request->book = request->house->book;
	if (token.n == 0) {
		authorise(request);
		return;
	}
	if (auth_key_is_key(token)) {
		keys_authenticate(request, token, authorise);
		return;
	}
	/* A token that is none, or has expired, makes a guest, as with PocketBase; but one that
	 * names another tenant is somebody in the wrong house, and told so. */
	switch (auth_token_read(token, AUTH_TOKEN_AUTH, bytes_of(tenant_name(request->tenant)),
		clock_wall_us() / 1000000, &claims)) {
	case AUTH_TOKEN_NONE:
		authorise(request);
		return;
	case AUTH_TOKEN_FOREIGN:
		request->reason = BYTES("token of another tenant");
		request_refuse(request, API_FOREIGN_TOKEN);
		return;
	case AUTH_TOKEN_READ:
		break;
	}
	request->find = arena_alloc(request->arena, sizeof *request->find);
	if (!request->find) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	request->identity = claims.identity;
	request->is_refreshable = claims.is_refreshable;
	request->expires_s = claims.expires_s;
	request->find->book = request->book;
	request->find->loop = request_loop(request);
	request->find->collection = bytes_of(request->identity.collection_id);
	request->find->id = bytes_of(request->identity.record_id);
	request->find->done = on_account;
	request->find->context = request;
	record_find_auth(request->find);
}

static void on_database(struct tenant_use *use, bool is_open)
{
	struct api_request *request =
		(struct api_request *)((char *)use - offsetof(struct api_request, use));

	if (!is_open) {
		request_not_open(request, &use->err);
		return;
	}
	request->is_using = true;
	authenticate_user(request);
}

static void on_abort(struct http_request *http, void *context)
{
	struct api_request *request = context;

	(void)http;
	if (request->upload)
		upload_abort(request);
	if (request->stop)
		request->stop(request);
}

static void begin(struct api_request *request)
{
	if (audit_ready(request->lane->audit) != AUDIT_OK) {
		request_refuse_later(request, API_AUDIT, NULL, 5);
		return;
	}
	if (request->is_platform) {
		request->match.route->run(request);
		return;
	}
	if (tenant_get_state(request->tenant) == TENANT_SUSPENDED) {
		request_refuse_later(request, API_SUSPENDED, NULL, 60);
		return;
	}
	/* Neither asks the database. */
	if (request->match.route == &cors_preflight_route ||
		request->match.route == &static_route) {
		request->match.route->run(request);
		return;
	}
	http_on_abort(request->http, on_abort, request);
	request->use.loop = request_loop(request);
	request->use.done = on_database;
	tenant_use_begin(request->tenant, &request->use);
}

void pipeline_on_request(void *context, struct http_request *http)
{
	struct api_request *request = http_context(http);

	(void)context;
	if (request->upload)
		upload_on_whole(request);
	else
		begin(request);
}

/* ---- what the listener refuses itself ---- */

/* Once its loop has ended a lane is nobody's: what the closing listener still reports goes into the
 * journal's own. */
enum audit_result lane_record(struct api_lane *lane, const struct audit_record *record)
{
	return loop_is_current(lane->loop)
		       ? audit_append(lane->audit, record, NULL)
		       : audit_append_shared(lane->api->config.audit, record, NULL);
}

void pipeline_on_done(
	void *context, struct http_request *http, unsigned status, uint64_t sent_bytes)
{
	struct api *api = context;
	struct api_lane *lane = &api->lanes[loop_index(http_loop(http))];
	const struct api_request *request = http_context(http);

	/* What the api answered was closed by its own record, before the answer. The rest never
	 * came to it, or not whole: a head that the guard refused, a body that is too large or too
	 * slow. */
	if (status == 0 || (request && request->is_answered))
		return;
	const struct audit_record record = { .kind = AUDIT_REQUEST,
		.decision = AUDIT_DENIED,
		.status = (uint16_t)status,
		.n_bytes = sent_bytes,
		.trace = http_trace_id(http),
		.tenant = request && request->tenant ? bytes_of(tenant_name(request->tenant))
						     : (struct bytes){ 0 },
		.action = BYTES("http.refused"),
		.object = request ? request->path : (struct bytes){ 0 },
		.address = request ? request_address(request) : http_peer(http) };
	(void)lane_record(lane, &record);
	figures_count(lane, status, 0, false);
}

void pipeline_make_error(void *context, struct http_request *http, unsigned status,
	const char *message, struct bytes_buf *out)
{
	struct text_json_writer json;
	char trace[2 * ID_TRACE_BYTES], code[8];

	(void)context;
	bytes_hex((struct bytes){ (const char *)http_trace_id(http), ID_TRACE_BYTES }, trace);
	code[0] = 'T';
	code[1] = 'N';
	code[2] = '1';
	code[3] = (char)('0' + status / 100 % 10);
	code[4] = (char)('0' + status / 10 % 10);
	code[5] = (char)('0' + status % 10);
	text_json_writer_init(&json, out);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("status"));
	text_json_write_int64(&json, status);
	text_json_write_key(&json, BYTES("message"));
	text_json_write_string(&json, bytes_of(message));
	text_json_write_key(&json, BYTES("data"));
	text_json_write_raw(&json, BYTES("{}"));
	text_json_write_key(&json, BYTES("code"));
	text_json_write_string(&json, (struct bytes){ code, 6 });
	text_json_write_key(&json, BYTES("traceId"));
	text_json_write_string(&json, (struct bytes){ trace, sizeof trace });
	text_json_end_object(&json);
}
