/*
 * Accounts by letter: an address verified, a password reset, an address changed. Each in two steps,
 *
 *   request-...   address -> account or none -> letter or the work of one -> 204, always
 *   confirm-...   token -> account -> signed with its key, for this purpose -> the change -> 204
 *
 * A change is made only while the account still has the key that the token was signed over; a new
 * password and a new address give it another, so a token works once.
 */
#include "letters.h"

#include "clock.h"
#include "egress_smtp.h"
#include "text_json_writer.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define INVALID "An error occurred while validating the submitted data."

struct account_call {
	struct sign_in in;
	struct auth_claims claims;
	struct bytes token, email, password, confirm;
	char token_key[sizeof((struct record_find_auth *)0)->token_key];
	char record_id[AUTH_RECORD_MAX + 1], old_email[256];
	struct bytes_buf body;
	struct record_call write;
	/* confirm: the account is who the token says; leads to the answer */
	void (*confirmed)(struct account_call *call);
};

static void refuse_field(
	struct api_request *request, const char *field, const char *code, const char *message)
{
	request_refuse_with(request, API_VALIDATION, INVALID,
		request_field_error(request, field, code, message));
}

/* A call for the collection in the path with the body as JSON; NULL having answered. */
static struct account_call *new_call(struct api_request *request, struct bytes *ret_body)
{
	struct sign_in *in = sign_in_new(request);

	if (!in || !request_body_json(request, ret_body))
		return NULL;
	struct account_call *call = arena_alloc(request->arena, sizeof *call);
	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return NULL;
	}
	call->in = *in;
	call->in.find.context = call;
	return call;
}

/* The address in the body's member, or {NULL, 0} having answered. */
static struct bytes take_address(
	struct api_request *request, struct bytes body, const char *pointer)
{
	struct bytes address = request_member(request, body, pointer);

	if (address.n > 0 && egress_smtp_address_is_valid(address))
		return address;
	refuse_field(request, pointer + 1,
		address.n ? "validation_is_email" : "validation_required",
		address.n ? "Must be a valid email address." : "Cannot be blank.");
	return (struct bytes){ 0 };
}

/* ---- asking for a letter ---- */

static void on_addressee(struct record_find_auth *find)
{
	struct account_call *call = find->context;
	struct api_request *request = call->in.request;
	bool is_reset = strcmp(request->match.route->action, "auth.reset.request") == 0;
	const struct letter_order order = { .letter = is_reset ? RECORD_LETTER_RESET
							       : RECORD_LETTER_VERIFICATION,
		.token = is_reset ? AUTH_TOKEN_RESET : AUTH_TOKEN_VERIFICATION,
		.to = call->email };

	explicit_bzero(find->password_hash, sizeof find->password_hash);
	if (find->result != RECORD_FOUND && find->result != RECORD_NO_RECORD) {
		sign_in_unavailable(request, find);
		return;
	}
	letters_post(&call->in, &order, is_reset || !find->is_verified);
	request_no_content(request);
}

static void request_letter(struct api_request *request)
{
	struct bytes body;
	struct account_call *call = new_call(request, &body);

	if (!call)
		return;
	bool is_reset = strcmp(request->match.route->action, "auth.reset.request") == 0;
	if (is_reset && !call->in.options.has_password) {
		request_refuse_with(request, API_BAD_REQUEST,
			"The collection is not configured to allow password authentication.",
			(struct bytes){ 0 });
		return;
	}
	call->email = take_address(request, body, "/email");
	if (!call->email.p)
		return;
	call->in.find.identity = call->email;
	call->in.find.is_address = true;
	call->in.find.done = on_addressee;
	record_find_auth(&call->in.find);
}

void accounts_request_verification(void *request)
{
	request_letter(request);
}

void accounts_request_reset(void *request)
{
	request_letter(request);
}

/* ---- asking for another address: only who is signed in ---- */

static void on_other(struct record_find_auth *find)
{
	struct account_call *call = find->context;
	struct api_request *request = call->in.request;

	if (find->result != RECORD_FOUND && find->result != RECORD_NO_RECORD) {
		sign_in_unavailable(request, find);
		return;
	}
	if (find->result == RECORD_FOUND && strcmp(find->record_id, call->record_id) != 0) {
		refuse_field(request, "newEmail", "validation_invalid_new_email",
			"Invalid new email address.");
		return;
	}
	/* The letter is about the one who asks. */
	find->result = RECORD_FOUND;
	memcpy(find->record_id, call->record_id, sizeof find->record_id);
	memcpy(find->email, call->old_email, sizeof find->email);
	memcpy(find->token_key, call->token_key, sizeof find->token_key);
	const struct letter_order order = { .letter = RECORD_LETTER_EMAIL_CHANGE,
		.token = AUTH_TOKEN_EMAIL_CHANGE,
		.to = call->email,
		.new_email = call->email };
	letters_post(&call->in, &order, true);
	request_no_content(request);
}

static void on_self(struct record_find_auth *find)
{
	struct account_call *call = find->context;
	struct api_request *request = call->in.request;

	explicit_bzero(find->password_hash, sizeof find->password_hash);
	if (find->result == RECORD_NO_RECORD) {
		request_refuse(request, API_UNAUTHORIZED);
		return;
	}
	if (find->result != RECORD_FOUND) {
		sign_in_unavailable(request, find);
		return;
	}
	if (bytes_eq_nocase(bytes_of(find->email), call->email)) {
		refuse_field(
			request, "newEmail", "validation_not_in_invalid", "Must not be in list.");
		return;
	}
	memcpy(call->record_id, find->record_id, sizeof call->record_id);
	memcpy(call->old_email, find->email, sizeof call->old_email);
	memcpy(call->token_key, find->token_key, sizeof call->token_key);
	find->id = (struct bytes){ 0 };
	find->identity = call->email;
	find->is_address = true;
	find->done = on_other;
	record_find_auth(find);
}

void accounts_request_email(void *context)
{
	struct api_request *request = context;
	const struct auth_identity *identity = &request->identity;
	struct bytes body;
	struct account_call *call = new_call(request, &body);

	if (!call)
		return;
	if (!bytes_eq_string(call->in.options.collection_id, identity->collection_id)) {
		request_refuse_with(request, API_FORBIDDEN,
			"The token was issued for another collection.", (struct bytes){ 0 });
		return;
	}
	call->email = take_address(request, body, "/newEmail");
	if (!call->email.p)
		return;
	call->in.find.id = bytes_of(identity->record_id);
	call->in.find.done = on_self;
	record_find_auth(&call->in.find);
}

/* ---- confirming ---- */

static void refuse_token(struct api_request *request)
{
	request->decision = AUDIT_DENIED;
	request->reason = BYTES("invalid token");
	refuse_field(request, "token", "validation_invalid_token", "Invalid or expired token.");
}

static void on_written(struct record_call *write)
{
	struct account_call *call = write->context;
	struct api_request *request = call->in.request;
	unsigned status = (unsigned)write->status;
	struct err err = write->err;
	struct bytes data = { arena_copy(request->arena, bytes_buf_view(&write->answer)),
		write->answer.n };

	record_call_fini(write);
	if (call->body.p)
		explicit_bzero(call->body.p, call->body.cap);
	bytes_buf_fini(&call->body);
	if (status < 300) {
		request->decision = AUDIT_ALLOWED;
		request_no_content(request);
	} else if (err.code != ERR_NONE) {
		request_fault(request, &err);
	} else if (status == 404) {
		/* The token was used by another request meanwhile. */
		refuse_token(request);
	} else if (status == 400 && call->claims.new_email[0]) {
		refuse_field(request, "token", "validation_existing_token_email",
			"The new email address is already registered.");
	} else if (status == 400) {
		request_refuse_with(
			request, API_VALIDATION, INVALID, data.p ? data : (struct bytes){ 0 });
	} else {
		request_status(request, status, NULL, (struct bytes){ 0 });
	}
}

/* Writes what call->body says, while the account has the key that the token was signed over. */
static void write_account(struct account_call *call)
{
	struct api_request *request = call->in.request;

	/* The trail names the account whose token this is. */
	request->identity = call->claims.identity;
	(void)bytes_to_string(call->in.options.collection_name, request->identity.collection,
		sizeof request->identity.collection);
	call->write = (struct record_call){ .book = request->book,
		.loop = request_loop(request),
		.arena = request->arena,
		.viewer = { .is_superuser = true },
		.ignore_rules = true,
		.token_key = bytes_of(call->token_key),
		.collection = call->in.options.collection_id,
		.id = bytes_of(call->claims.identity.record_id),
		.body = bytes_buf_view(&call->body),
		.method = BYTES("PATCH"),
		.done = on_written,
		.context = call };
	memcpy(call->write.trace_id, http_trace_id(request->http), ID_TRACE_BYTES);
	record_update(&call->write);
}

static void begin_body(struct account_call *call, struct text_json_writer *json)
{
	bytes_buf_init(&call->body, 16384);
	text_json_writer_init(json, &call->body);
	text_json_begin_object(json);
}

static void check_owner(struct account_call *call);

static void on_account(struct record_find_auth *find)
{
	struct account_call *call = find->context;
	struct api_request *request = call->in.request;

	if (find->result == RECORD_UNAVAILABLE) {
		sign_in_unavailable(request, find);
		return;
	}
	if (find->result != RECORD_FOUND ||
		!auth_token_check(
			request->api->config.auth, call->token, bytes_of(find->token_key)) ||
		strcmp(find->email, call->claims.email) != 0) {
		refuse_token(request);
		return;
	}
	memcpy(call->token_key, find->token_key, sizeof call->token_key);
	if (call->confirmed != check_owner)
		explicit_bzero(find->password_hash, sizeof find->password_hash);
	call->confirmed(call);
}

static struct account_call *new_confirmation(struct api_request *request, enum auth_token_type type,
	void (*confirmed)(struct account_call *call), struct bytes *ret_body)
{
	struct account_call *call = new_call(request, ret_body);

	if (!call)
		return NULL;
	call->token = request_member(request, *ret_body, "/token");
	call->confirmed = confirmed;
	if (call->token.n == 0) {
		refuse_field(request, "token", "validation_required", "Cannot be blank.");
		return NULL;
	}
	if (auth_token_read(call->token, type, bytes_of(tenant_name(request->tenant)),
		    clock_wall_us() / 1000000, &call->claims) != AUTH_TOKEN_READ ||
		!bytes_eq_string(
			call->in.options.collection_id, call->claims.identity.collection_id)) {
		refuse_token(request);
		return NULL;
	}
	call->in.find.id = bytes_of(call->claims.identity.record_id);
	call->in.find.done = on_account;
	return call;
}

/* ---- verification ---- */

static void verify(struct account_call *call)
{
	struct text_json_writer json;

	if (call->in.find.is_verified) {
		request_no_content(call->in.request);
		return;
	}
	begin_body(call, &json);
	text_json_write_key(&json, BYTES("verified"));
	text_json_write_bool(&json, true);
	text_json_end_object(&json);
	write_account(call);
}

void accounts_confirm_verification(void *request)
{
	struct bytes body;
	struct account_call *call =
		new_confirmation(request, AUTH_TOKEN_VERIFICATION, verify, &body);

	if (call)
		record_find_auth(&call->in.find);
}

/* ---- a new password: who could read the letter has the address too ---- */

static void reset(struct account_call *call)
{
	struct text_json_writer json;

	begin_body(call, &json);
	text_json_write_key(&json, BYTES("password"));
	text_json_write_string(&json, call->password);
	text_json_write_key(&json, BYTES("passwordConfirm"));
	text_json_write_string(&json, call->confirm);
	text_json_write_key(&json, BYTES("verified"));
	text_json_write_bool(&json, true);
	text_json_end_object(&json);
	write_account(call);
}

void accounts_confirm_reset(void *context)
{
	struct api_request *request = context;
	struct bytes body;
	struct account_call *call = new_confirmation(request, AUTH_TOKEN_RESET, reset, &body);

	if (!call)
		return;
	call->password = request_member(request, body, "/password");
	call->confirm = request_member(request, body, "/passwordConfirm");
	if (call->password.n == 0 || call->confirm.n == 0)
		refuse_field(request, call->password.n ? "passwordConfirm" : "password",
			"validation_required", "Cannot be blank.");
	else if (!bytes_eq(call->password, call->confirm))
		refuse_field(request, "passwordConfirm", "validation_values_mismatch",
			"Values don't match.");
	else
		record_find_auth(&call->in.find);
}

/* ---- another address: with the password, since the token went to the new one ---- */

static void on_password(struct auth_password *check)
{
	struct account_call *call =
		(struct account_call *)((char *)check - offsetof(struct account_call, in.check));
	struct api_request *request = call->in.request;
	struct text_json_writer json;

	request->stop = NULL;
	explicit_bzero(check->hash, sizeof check->hash);
	if (check->outcome == AUTH_PASSWORD_WRONG) {
		request->decision = AUDIT_DENIED;
		refuse_field(request, "password", "validation_invalid_password",
			"Missing or invalid auth record password.");
		return;
	}
	if (check->outcome != AUTH_PASSWORD_OK) {
		request_refuse_later(request, API_BUSY, NULL, 2);
		return;
	}
	begin_body(call, &json);
	text_json_write_key(&json, BYTES("email"));
	text_json_write_string(&json, bytes_of(call->claims.new_email));
	text_json_write_key(&json, BYTES("verified"));
	text_json_write_bool(&json, true);
	text_json_end_object(&json);
	write_account(call);
}

static void stop_check(struct api_request *request)
{
	auth_password_cancel(request->context);
}

static void check_owner(struct account_call *call)
{
	struct api_request *request = call->in.request;
	struct auth_password *check = &call->in.check;

	memcpy(check->hash, call->in.find.password_hash, sizeof check->hash);
	check->act = AUTH_PASSWORD_CHECK;
	check->password = call->password;
	check->loop = request_loop(request);
	check->done = on_password;
	request->context = check;
	request->stop = stop_check;
	auth_password_run(request->api->config.auth, check);
}

void accounts_confirm_email(void *context)
{
	struct api_request *request = context;
	struct bytes body;
	struct account_call *call =
		new_confirmation(request, AUTH_TOKEN_EMAIL_CHANGE, check_owner, &body);

	if (!call)
		return;
	call->password = request_member(request, body, "/password");
	if (call->password.n == 0)
		refuse_field(request, "password", "validation_required", "Cannot be blank.");
	else
		record_find_auth(&call->in.find);
}
