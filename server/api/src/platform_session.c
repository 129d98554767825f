/* Operators: first set-up, sign-in, session, sign-out, and accounts. */
#include "internal.h"

#include "console.h"

#include <stdlib.h>

#define SESSION_COOKIE "tenon_session"

struct operator_call {
	struct auth_operator_request auth;
	struct api_request *request;
};

static void write_session(
	struct api_request *request, const struct auth_session *session, struct bytes_buf *body)
{
	struct text_json_writer json;

	text_json_writer_init(&json, body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("operator"));
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("email"));
	text_json_write_string(&json, bytes_of(session->email));
	text_json_end_object(&json);
	text_json_write_key(&json, BYTES("csrf"));
	text_json_write_string(&json, bytes_of(session->csrf));
	text_json_write_key(&json, BYTES("version"));
	text_json_write_string(&json, bytes_of(request->api->config.version));
	text_json_write_key(&json, BYTES("buildId"));
	text_json_write_string(&json, console_build_id());
	text_json_end_object(&json);
}

/* 200 with the session and its cookie. Behind TLS the proxy or listener says so, and the cookie is
 * Secure. */
static void answer_session(struct api_request *request, const struct auth_session *session)
{
	struct bytes proto = http_header(request->http, BYTES("X-Forwarded-Proto"));
	struct http_header headers[] = {
		{ BYTES("Content-Type"), BYTES("application/json") },
		{ BYTES("Cache-Control"), BYTES("no-store") },
		{ BYTES("Set-Cookie"), arena_printf(request->arena,
					       "%s=%s; Path=/platform; HttpOnly; SameSite=Strict%s",
					       SESSION_COOKIE, session->id,
					       bytes_eq(proto, BYTES("https")) ? "; Secure" : "") },
	};
	struct bytes_buf body;

	bytes_buf_init(&body, 4096);
	write_session(request, session, &body);
	const struct http_answer answer = { .status = 200,
		.headers = headers,
		.n_headers = 3,
		.body = bytes_buf_view(&body),
		.body_kind = HTTP_BODY_FREE };
	request_answer(request, &answer);
}

static void on_done(struct auth_operator_request *auth)
{
	struct operator_call *call = (struct operator_call *)auth;
	struct api_request *request = call->request;

	switch (auth->outcome) {
	case AUTH_OPERATOR_OK:
		request->decision = AUDIT_ALLOWED;
		if (auth->act == AUTH_OPERATOR_UPSERT)
			request_no_content(request);
		else
			answer_session(request, &auth->session);
		return;
	case AUTH_OPERATOR_WRONG:
		request->decision = AUDIT_DENIED;
		request_refuse_with(request, API_BAD_REQUEST,
			"The e-mail address or the password is wrong.", (struct bytes){ 0 });
		return;
	case AUTH_OPERATOR_BAD_TOKEN:
		request->decision = AUDIT_DENIED;
		request_refuse_with(request, API_BAD_REQUEST,
			"This link was used already or has expired; restart the server for a new "
			"one, or run: "
			"tenon operator upsert EMAIL PASSWORD",
			(struct bytes){ 0 });
		return;
	case AUTH_OPERATOR_BAD_EMAIL:
		request_refuse_with(request, API_VALIDATION, NULL,
			request_field_error(request, "email", "validation_is_email",
				"Must be a valid email address."));
		return;
	case AUTH_OPERATOR_BAD_PASSWORD:
		request_refuse_with(request, API_VALIDATION, NULL,
			request_field_error(request, "password", "validation_length_out_of_range",
				"Must have between 10 and 1024 characters."));
		return;
	case AUTH_OPERATOR_LIMITED:
		request->decision = AUDIT_DENIED;
		request_refuse_later(request, API_LIMITED, NULL, auth->retry_s);
		return;
	case AUTH_OPERATOR_BUSY:
		request_refuse_later(request, API_BUSY, NULL, 2);
		return;
	case AUTH_OPERATOR_FAULT:
		request_fault(request, &auth->err);
		return;
	}
}

static void run(struct api_request *request, enum auth_operator_act act)
{
	struct operator_call *call = arena_alloc(request->arena, sizeof *call);
	struct bytes body;

	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	if (!request_body_json(request, &body))
		return;
	call->request = request;
	call->auth = (struct auth_operator_request){ .act = act,
		.token = request_member(request, body, "/token"),
		.email = request_member(request, body, "/email"),
		.password = request_member(request, body, "/password"),
		.address = request_address(request),
		.done = on_done,
		.loop = request_loop(request) };
	auth_operator_run(request->api->config.operators, &call->auth);
}

void setup_get(void *context)
{
	struct api_request *request = context;

	request_json(request, 200,
		auth_setup_is_needed(request->api->config.operators) ? BYTES("{\"needed\":true}")
								     : BYTES("{\"needed\":false}"));
}

void setup_post(void *request)
{
	run(request, AUTH_OPERATOR_SETUP);
}

void session_sign_in(void *request)
{
	run(request, AUTH_OPERATOR_SIGN_IN);
}

void operators_put(void *request)
{
	run(request, AUTH_OPERATOR_UPSERT);
}

void session_get(void *context)
{
	struct api_request *request = context;
	struct bytes_buf body;

	bytes_buf_init(&body, 4096);
	write_session(request, &request->session, &body);
	request_json_buf(request, 200, &body);
}

void session_sign_out(void *context)
{
	struct api_request *request = context;
	static const char cookie[] =
		SESSION_COOKIE "=; Path=/platform; HttpOnly; SameSite=Strict; Max-Age=0";
	static const struct http_header headers[] = {
		{ { "Set-Cookie", 10 }, { cookie, sizeof cookie - 1 } },
	};
	const struct http_answer answer = { .status = 204, .headers = headers, .n_headers = 1 };

	auth_session_end(request->api->config.operators, bytes_of(request->session.id));
	request_answer(request, &answer);
}
