/*
 * Sign-in of users and superusers, as PocketBase has it: auth-with-password, auth-refresh,
 * auth-methods, impersonate.
 *
 *   limit -> find the account -> check the password (also when there is none) -> authRule -> token
 *   -> the record as its own viewer sees it -> {"record":...,"token":"..."}
 */
#include "sign_in.h"

#include "clock.h"
#include "limits.h"
#include "records.h"
#include "text_json_reader.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define WRONG          "Failed to authenticate."
#define LIFETIME_MAX_S 94670856

struct sign_in *sign_in_new(struct api_request *request)
{
	struct sign_in *in = arena_alloc(request->arena, sizeof *in);
	struct bytes collection = request_param(request, 0);

	if (!in) {
		request_refuse(request, API_TOO_LARGE);
		return NULL;
	}
	switch (record_auth_options(request->book, collection, request->arena, &in->options)) {
	case RECORD_OPTIONS_OK:
		break;
	case RECORD_OPTIONS_NONE:
		request_refuse_with(request, API_NOT_FOUND,
			"Missing or invalid auth collection context.", (struct bytes){ 0 });
		return NULL;
	case RECORD_OPTIONS_NOMEM:
		request_refuse(request, API_TOO_LARGE);
		return NULL;
	}
	in->request = request;
	in->is_refreshable = true;
	in->find.book = request->book;
	in->find.loop = request_loop(request);
	in->find.context = in;
	in->find.collection = in->options.collection_id;
	request->object = in->options.collection_name;
	return in;
}

void sign_in_unavailable(struct api_request *request, const struct record_find_auth *find)
{
	if (find->result == RECORD_NO_COLLECTION)
		request_refuse(request, API_NOT_FOUND);
	else
		request_refuse_later(request, API_BUSY, NULL, 1);
}

/* ---- the answer ---- */

/* A call that did not end as it should: its status and message. */
static void answer_failed(struct sign_in *in)
{
	struct api_request *request = in->request;
	struct record_call *call = &in->call;
	unsigned status = (unsigned)call->status;
	const char *message = call->message;
	struct err err = call->err;

	if (call->refused_by == RECORD_BY_RULE) {
		request->decision = AUDIT_DENIED;
		request->reason = BYTES("rule");
	}
	record_call_fini(call);
	if (err.code != ERR_NONE)
		request_fault(request, &err);
	else if (status == 503)
		request_refuse_later(request, API_BUSY, NULL, 1);
	else
		request_status(request, status, message, (struct bytes){ 0 });
}

static void on_record(struct record_call *call)
{
	struct sign_in *in = call->context;
	struct api_request *request = in->request;
	struct text_json_writer json;
	struct bytes_buf body;

	if (call->status != 200) {
		answer_failed(in);
		return;
	}
	bytes_buf_init(&body, call->answer.n + AUTH_TOKEN_MAX + 64);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("record"));
	text_json_write_raw(&json, bytes_buf_view(&call->answer));
	text_json_write_key(&json, BYTES("token"));
	text_json_write_string(&json, (struct bytes){ in->token, in->n_token });
	text_json_end_object(&json);
	record_call_fini(call);
	request->decision = AUDIT_ALLOWED;
	request_json_buf(request, 200, &body);
}

static bool make_token(struct sign_in *in, const struct auth_identity *identity)
{
	struct api_request *request = in->request;
	const struct record_find_auth *find = &in->find;

	if (in->keeps_token) {
		struct bytes text =
			auth_token_of_header(http_header(request->http, BYTES("Authorization")));
		in->n_token = text.n;
		if (text.n <= sizeof in->token)
			memcpy(in->token, text.p, text.n);
		return text.n <= sizeof in->token;
	}
	const struct auth_token token = { .type = AUTH_TOKEN_AUTH,
		.identity = identity,
		.account_key = bytes_of(find->token_key),
		.now_s = clock_wall_us() / 1000000,
		.lifetime_s = in->lifetime_s ? in->lifetime_s : find->lifetime_s[RECORD_TOKEN_AUTH],
		.is_refreshable = in->is_refreshable };
	in->n_token = auth_token_format(request->api->config.auth, &token, in->token);
	return in->n_token > 0;
}

/* The account may sign in: gives it a token and its own record. */
static void give_token(struct sign_in *in)
{
	struct api_request *request = in->request;
	const struct record_find_auth *find = &in->find;
	struct auth_identity identity = { .kind = find->is_superuser ? AUTH_SUPERUSER : AUTH_USER };

	(void)bytes_to_string(
		bytes_of(tenant_name(request->tenant)), identity.tenant, sizeof identity.tenant);
	(void)bytes_to_string(bytes_of(find->collection_id), identity.collection_id,
		sizeof identity.collection_id);
	(void)bytes_to_string(
		bytes_of(find->collection_name), identity.collection, sizeof identity.collection);
	memcpy(identity.record_id, find->record_id, sizeof identity.record_id);
	if (!make_token(in, &identity)) {
		struct err err = { 0 };
		(void)ERR_SET(
			&err, ERR_CORRUPT, "the account %s has no token key", find->record_id);
		request_fault(request, &err);
		return;
	}
	/* The trail names who signed in; of an impersonation, who asked for it. */
	if (request->identity.kind == AUTH_ANONYMOUS)
		request->identity = identity;
	if (!records_fill_call(request, &in->call))
		return;
	in->call.viewer = (struct record_viewer){ .is_superuser = find->is_superuser,
		.collection_id = bytes_of(find->collection_id),
		.collection_name = bytes_of(find->collection_name),
		.record_id = bytes_of(find->record_id) };
	in->call.ignore_rules = true;
	in->call.collection = bytes_of(find->collection_id);
	in->call.id = bytes_of(find->record_id);
	in->call.done = on_record;
	in->call.context = in;
	request->object = in->options.collection_name;
	record_get(&in->call);
}

static void on_rule(struct record_call *call)
{
	struct sign_in *in = call->context;

	if (call->status != 200) {
		answer_failed(in);
		return;
	}
	record_call_fini(call);
	in->call = (struct record_call){ 0 };
	give_token(in);
}

void sign_in_welcome(struct sign_in *in)
{
	struct api_request *request = in->request;

	if (request->identity.kind == AUTH_SUPERUSER && !in->find.is_superuser) {
		give_token(in);
		return;
	}
	if (!records_fill_call(request, &in->call))
		return;
	in->call.collection = bytes_of(in->find.collection_id);
	in->call.id = bytes_of(in->find.record_id);
	in->call.body = http_body(request->http);
	in->call.done = on_rule;
	in->call.context = in;
	record_check_auth_rule(&in->call);
}

/* ---- with a password ---- */

static void on_checked(struct auth_password *check)
{
	struct sign_in *in = (struct sign_in *)((char *)check - offsetof(struct sign_in, check));
	struct api_request *request = in->request;

	request->stop = NULL;
	explicit_bzero(check->hash, sizeof check->hash);
	switch (check->outcome) {
	case AUTH_PASSWORD_OK:
		sign_in_welcome(in);
		return;
	case AUTH_PASSWORD_WRONG:
		request->decision = AUDIT_DENIED;
		request->reason = BYTES("unknown account or wrong password");
		request_refuse_with(request, API_BAD_REQUEST, WRONG, (struct bytes){ 0 });
		return;
	case AUTH_PASSWORD_GONE: /* nobody reads this */
	case AUTH_PASSWORD_BUSY:
		request_refuse_later(request, API_BUSY, NULL, 2);
		return;
	case AUTH_PASSWORD_FAULT:
		request_refuse_later(request, API_BUSY, NULL, 5);
		return;
	}
}

static void stop_check(struct api_request *request)
{
	struct sign_in *in = request->context;

	auth_password_cancel(&in->check);
}

static void on_found(struct record_find_auth *find)
{
	struct sign_in *in = find->context;
	struct api_request *request = in->request;

	if (find->result != RECORD_FOUND && find->result != RECORD_NO_RECORD) {
		sign_in_unavailable(request, find);
		return;
	}
	/* No account: the password is checked against nobody's, so that the time tells nothing. */
	if (find->result == RECORD_FOUND)
		memcpy(in->check.hash, find->password_hash, sizeof in->check.hash);
	explicit_bzero(find->password_hash, sizeof find->password_hash);
	in->check.act = AUTH_PASSWORD_CHECK;
	in->check.loop = request_loop(request);
	in->check.done = on_checked;
	request->context = in;
	request->stop = stop_check;
	auth_password_run(request->api->config.auth, &in->check);
}

static bool is_identity_field(const struct sign_in *in, struct bytes name)
{
	for (size_t i = 0; i < in->options.n_identity_fields; i++)
		if (bytes_eq(in->options.identity_fields[i], name))
			return true;
	return false;
}

void sign_in_password(void *context)
{
	struct api_request *request = context;
	struct sign_in *in = sign_in_new(request);
	struct bytes body;

	if (!in)
		return;
	if (!in->options.has_password) {
		request_refuse_with(request, API_FORBIDDEN,
			"The collection is not configured to allow password authentication.",
			(struct bytes){ 0 });
		return;
	}
	if (!request_body_json(request, &body))
		return;
	struct bytes identity = request_member(request, body, "/identity");
	struct bytes password = request_member(request, body, "/password");
	struct bytes field = request_member(request, body, "/identityField");
	if (identity.n == 0 || password.n == 0) {
		request_refuse_with(request, API_VALIDATION, WRONG,
			request_field_error(request, identity.n == 0 ? "identity" : "password",
				"validation_required", "Cannot be blank."));
		return;
	}
	if (field.n > 0 && !is_identity_field(in, field)) {
		request_refuse_with(request, API_VALIDATION, WRONG,
			request_field_error(request, "identityField", "validation_in_invalid",
				"Must be a valid value."));
		return;
	}
	if (!limits_allow_sign_in(request, identity))
		return;
	in->find.identity = identity;
	in->find.identity_field = field;
	in->find.done = on_found;
	in->check.password = password;
	record_find_auth(&in->find);
}

/* ---- with a token ---- */

static void on_refreshed(struct record_find_auth *find)
{
	struct sign_in *in = find->context;

	if (find->result == RECORD_FOUND)
		sign_in_welcome(in);
	else if (find->result == RECORD_UNAVAILABLE)
		request_refuse_later(in->request, API_BUSY, NULL, 1);
	else
		request_refuse(in->request, API_UNAUTHORIZED);
}

void sign_in_refresh(void *context)
{
	struct api_request *request = context;
	const struct auth_identity *identity = &request->identity;

	/* A key is no session, and gets none. */
	if (request->key) {
		request_refuse_with(request, API_FORBIDDEN, "An API key cannot be refreshed.",
			(struct bytes){ 0 });
		return;
	}
	struct sign_in *in = sign_in_new(request);
	if (!in)
		return;
	/* The token is of the collection in the path, by name or by id. */
	if (!bytes_eq_string(in->options.collection_id, identity->collection_id)) {
		request_refuse_with(request, API_FORBIDDEN,
			"The token was issued for another collection.", (struct bytes){ 0 });
		return;
	}
	in->keeps_token = !request->is_refreshable;
	in->find.id = bytes_of(identity->record_id);
	in->find.done = on_refreshed;
	record_find_auth(&in->find);
}

/* ---- as somebody else ---- */

static void on_impersonated(struct record_find_auth *find)
{
	struct sign_in *in = find->context;

	if (find->result == RECORD_FOUND)
		sign_in_welcome(in);
	else if (find->result == RECORD_NO_RECORD)
		request_refuse(in->request, API_NOT_FOUND);
	else
		sign_in_unavailable(in->request, find);
}

void sign_in_impersonate(void *context)
{
	struct api_request *request = context;
	struct sign_in *in = sign_in_new(request);
	struct bytes body = http_body(request->http), value;
	uint64_t duration_s = 0;

	if (!in || (body.n > 0 && !request_body_json(request, &body)))
		return;
	if (body.n > 0 && text_json_find(body, BYTES("/duration"), &value) == TEXT_JSON_FOUND &&
		!bytes_parse_u64(value, LIFETIME_MAX_S, &duration_s)) {
		request_refuse_with(request, API_VALIDATION, "The request could not be validated.",
			request_field_error(request, "duration",
				"validation_min_greater_equal_than_required",
				"Must be a whole number of seconds, at most 94670856."));
		return;
	}
	in->is_refreshable = false;
	in->lifetime_s = (int64_t)duration_s;
	in->find.id = request_param(request, 1);
	in->find.done = on_impersonated;
	record_find_auth(&in->find);
}

/* ---- how people sign in here ---- */

void sign_in_methods(void *context)
{
	struct api_request *request = context;
	struct sign_in *in = sign_in_new(request);
	struct text_json_writer json;
	struct bytes_buf body;

	if (!in)
		return;
	bytes_buf_init(&body, 8192);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("password"));
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("enabled"));
	text_json_write_bool(&json, in->options.has_password);
	text_json_write_key(&json, BYTES("identityFields"));
	text_json_begin_array(&json);
	for (size_t i = 0; i < in->options.n_identity_fields; i++)
		text_json_write_string(&json, in->options.identity_fields[i]);
	text_json_end_array(&json);
	text_json_end_object(&json);
	text_json_write_key(&json, BYTES("oauth2"));
	text_json_write_raw(&json, BYTES("{\"enabled\":false,\"providers\":[]}"));
	text_json_write_key(&json, BYTES("mfa"));
	text_json_write_raw(&json, BYTES("{\"enabled\":false,\"duration\":0}"));
	text_json_write_key(&json, BYTES("otp"));
	text_json_write_raw(&json, BYTES("{\"enabled\":false,\"duration\":0}"));
	text_json_end_object(&json);
	request_json_buf(request, 200, &body);
}

/* What is off answers as PocketBase does when it is off. */
static void refuse_off(struct api_request *request, const char *message)
{
	if (sign_in_new(request))
		request_refuse_with(request, API_FORBIDDEN, message, (struct bytes){ 0 });
}

void sign_in_oauth2(void *request)
{
	refuse_off(request, "The collection is not configured to allow OAuth2 authentication.");
}

void sign_in_otp(void *request)
{
	refuse_off(request, "The collection is not configured to allow OTP authentication.");
}
