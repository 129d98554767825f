/*
 * Sign-in of users and superusers, as PocketBase has it: auth-with-password, auth-refresh,
 * auth-methods.
 *
 *   limit -> find the account -> check the password (also when there is none) -> token -> the
 * record as its own viewer sees it -> {"record":...,"token":"..."}
 */
#include "internal.h"

#include "clock.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define WRONG "Failed to authenticate."

struct sign_in {
	struct api_request *request;
	struct record_find_auth find;
	struct auth_password check;
	struct record_call get;
	char token[AUTH_TOKEN_MAX];
	size_t n_token;
};

static void on_record(struct record_call *call)
{
	struct sign_in *in = call->context;
	struct api_request *request = in->request;
	struct text_json_writer json;
	struct bytes_buf body;

	if (call->status != 200) {
		int status = call->status;
		struct err err = call->err;
		record_call_fini(call);
		if (err.code != ERR_NONE)
			request_fault(request, &err);
		else
			request_status(request, (unsigned)status, NULL, (struct bytes){ 0 });
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

/* The account is who it says: gives it a token and its own record. */
static void welcome(struct sign_in *in)
{
	struct api_request *request = in->request;
	struct auth_identity *identity = &request->identity;
	const struct record_find_auth *find = &in->find;

	*identity =
		(struct auth_identity){ .kind = find->is_superuser ? AUTH_SUPERUSER : AUTH_USER };
	(void)bytes_to_string(
		bytes_of(tenant_name(request->tenant)), identity->tenant, sizeof identity->tenant);
	(void)bytes_to_string(bytes_of(find->collection_id), identity->collection_id,
		sizeof identity->collection_id);
	(void)bytes_to_string(
		bytes_of(find->collection_name), identity->collection, sizeof identity->collection);
	memcpy(identity->record_id, find->record_id, sizeof identity->record_id);
	const struct auth_token token = { .type = AUTH_TOKEN_AUTH,
		.identity = identity,
		.account_key = bytes_of(find->token_key),
		.now_s = clock_wall_us() / 1000000,
		.is_refreshable = true };
	in->n_token = auth_token_format(request->api->config.auth, &token, in->token);
	if (in->n_token == 0) {
		struct err err = { 0 };
		(void)ERR_SET(
			&err, ERR_CORRUPT, "the account %s has no token key", find->record_id);
		request_fault(request, &err);
		return;
	}
	in->get = (struct record_call){ .book = request->book,
		.loop = request_loop(request),
		.arena = request->arena,
		.viewer = { .is_superuser = find->is_superuser,
			.collection_id = bytes_of(identity->collection_id),
			.collection_name = bytes_of(identity->collection),
			.record_id = bytes_of(identity->record_id) },
		.ignore_rules = true,
		.collection = bytes_of(identity->collection_id),
		.id = bytes_of(identity->record_id),
		.method = BYTES("GET"),
		.done = on_record,
		.context = in };
	record_get(&in->get);
}

static void on_checked(struct auth_password *check)
{
	struct sign_in *in = (struct sign_in *)((char *)check - offsetof(struct sign_in, check));
	struct api_request *request = in->request;

	explicit_bzero(check->hash, sizeof check->hash);
	switch (check->outcome) {
	case AUTH_PASSWORD_OK:
		welcome(in);
		return;
	case AUTH_PASSWORD_WRONG:
		request->decision = AUDIT_DENIED;
		request->reason = BYTES("unknown account or wrong password");
		request_refuse_with(request, API_BAD_REQUEST, WRONG, (struct bytes){ 0 });
		return;
	case AUTH_PASSWORD_BUSY:
		request_refuse_later(request, API_BUSY, NULL, 2);
		return;
	case AUTH_PASSWORD_FAULT:
		request_refuse_later(request, API_BUSY, NULL, 5);
		return;
	}
}

static void on_found(struct record_find_auth *find)
{
	struct sign_in *in = find->context;
	struct api_request *request = in->request;

	if (find->result == RECORD_UNAVAILABLE) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	if (find->result == RECORD_NO_COLLECTION) {
		request_refuse(request, API_NOT_FOUND);
		return;
	}
	/* No account: the password is checked against nobody's, so that the time tells nothing. */
	if (find->result == RECORD_FOUND)
		memcpy(in->check.hash, find->password_hash, sizeof in->check.hash);
	explicit_bzero(find->password_hash, sizeof find->password_hash);
	in->check.act = AUTH_PASSWORD_CHECK;
	in->check.loop = request_loop(request);
	in->check.done = on_checked;
	auth_password_run(request->api->config.auth, &in->check);
}

static struct sign_in *new_sign_in(struct api_request *request)
{
	struct sign_in *in = arena_alloc(request->arena, sizeof *in);

	if (!in) {
		request_refuse(request, API_TOO_LARGE);
		return NULL;
	}
	in->request = request;
	in->find.book = request->book;
	in->find.loop = request_loop(request);
	in->find.context = in;
	in->find.collection = request_param(request, 0);
	return in;
}

void sign_in_password(void *context)
{
	struct api_request *request = context;
	struct bytes body;
	unsigned retry_s = 0;

	if (!request_body_json(request, &body))
		return;
	struct bytes identity = request_member(request, body, "/identity");
	struct bytes password = request_member(request, body, "/password");
	if (identity.n == 0 || password.n == 0) {
		request_refuse_with(request, API_VALIDATION, "Failed to authenticate.",
			request_field_error(request, identity.n == 0 ? "identity" : "password",
				"validation_required", "Cannot be blank."));
		return;
	}
	if (!auth_sign_in_is_allowed(
		    request->api->config.auth, http_peer(request->http), identity, &retry_s)) {
		request->decision = AUDIT_DENIED;
		request_refuse_later(request, API_LIMITED, NULL, retry_s);
		return;
	}
	struct sign_in *in = new_sign_in(request);
	if (!in)
		return;
	in->find.identity = identity;
	in->find.done = on_found;
	in->check.password = password;
	record_find_auth(&in->find);
}

static void on_refreshed(struct record_find_auth *find)
{
	struct sign_in *in = find->context;

	if (find->result == RECORD_FOUND)
		welcome(in);
	else if (find->result == RECORD_UNAVAILABLE)
		request_refuse_later(in->request, API_BUSY, NULL, 1);
	else
		request_refuse(in->request, API_UNAUTHORIZED);
}

void sign_in_refresh(void *context)
{
	struct api_request *request = context;
	const struct auth_identity *identity = &request->identity;

	/* The token is of the collection in the path, by name or by id. */
	if (!bytes_eq_string(request_param(request, 0), identity->collection) &&
		!bytes_eq_string(request_param(request, 0), identity->collection_id)) {
		request_refuse_with(request, API_FORBIDDEN,
			"The token was issued for another collection.", (struct bytes){ 0 });
		return;
	}
	struct sign_in *in = new_sign_in(request);
	if (!in)
		return;
	in->find.id = bytes_of(identity->record_id);
	in->find.done = on_refreshed;
	record_find_auth(&in->find);
}

static void on_methods(struct record_find_auth *find)
{
	struct sign_in *in = find->context;

	if (find->result == RECORD_NO_COLLECTION) {
		request_refuse(in->request, API_NOT_FOUND);
		return;
	}
	request_json(in->request, 200,
		BYTES("{\"password\":{\"enabled\":true,\"identityFields\":[\"email\"]},"
		      "\"oauth2\":{\"enabled\":false,\"providers\":[]},"
		      "\"mfa\":{\"enabled\":false,\"duration\":0},"
		      "\"otp\":{\"enabled\":false,\"duration\":0}}"));
}

void sign_in_methods(void *context)
{
	struct sign_in *in = new_sign_in(context);

	if (!in)
		return;
	/* No record has this id; what is asked is whether the collection has sign-in at all. */
	in->find.id = BYTES("-");
	in->find.done = on_methods;
	record_find_auth(&in->find);
}
