/* Tenants, and the superusers that an operator makes in them. */
#include "internal.h"

#include "clock.h"
#include "tenant_web.h"
#include "text_json_reader.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX (8u << 20)

static void write_list(
	struct text_json_writer *json, struct bytes key, const struct bytes *list, size_t n)
{
	text_json_write_key(json, key);
	text_json_begin_array(json);
	for (size_t i = 0; i < n; i++)
		text_json_write_string(json, list[i]);
	text_json_end_array(json);
}

static void write_tenant(struct text_json_writer *json, const struct tenant *tenant)
{
	char created[CLOCK_TEXT_BYTES];

	clock_format(tenant_created_us(tenant), created);
	text_json_begin_object(json);
	text_json_write_key(json, BYTES("id"));
	text_json_write_string(json, bytes_of(tenant_id(tenant)));
	text_json_write_key(json, BYTES("name"));
	text_json_write_string(json, bytes_of(tenant_name(tenant)));
	text_json_write_key(json, BYTES("state"));
	text_json_write_string(json, tenant_get_state(tenant) == TENANT_SUSPENDED
					     ? BYTES("suspended")
					     : BYTES("active"));
	text_json_write_key(json, BYTES("created"));
	text_json_write_string(json, bytes_of(created));
	const struct tenant_web *web = tenant_web(tenant);
	write_list(json, BYTES("hosts"), web->hosts, web->n_hosts);
	write_list(json, BYTES("origins"), web->origins, web->n_origins);
	text_json_end_object(json);
}

static bool write_one(struct tenant *tenant, void *json)
{
	write_tenant(json, tenant);
	return true;
}

void tenants_list(void *context)
{
	struct api_request *request = context;
	struct text_json_writer json;
	struct bytes_buf body;

	bytes_buf_init(&body, LIST_MAX);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("items"));
	text_json_begin_array(&json);
	tenant_each(request->api->config.tenants, write_one, &json);
	text_json_end_array(&json);
	text_json_end_object(&json);
	request_json_buf(request, 200, &body);
}

struct tenant_call {
	struct tenant_request tenant;
	struct api_request *request;
};

static void on_done(struct tenant_request *done)
{
	struct api_request *request = ((struct tenant_call *)done)->request;
	struct text_json_writer json;
	struct bytes_buf body;

	switch (done->outcome) {
	case TENANT_OK:
		bytes_buf_init(&body, 4096);
		text_json_writer_init(&json, &body);
		write_tenant(&json, done->tenant);
		request_json_buf(request, 200, &body);
		return;
	case TENANT_EXISTS:
		request_refuse_with(request, API_CONFLICT, "A tenant of that name exists already.",
			request_field_error(
				request, "name", "validation_not_unique", "Value must be unique."));
		return;
	case TENANT_BAD_NAME:
		request_refuse_with(request, API_VALIDATION, NULL,
			request_field_error(request, "name", "validation_match_invalid",
				"Must be 2 to 31 of a-z, 0-9 and '-', beginning with a letter."));
		return;
	case TENANT_FAULT:
		request_not_open(request, &done->err);
		return;
	}
}

static struct tenant_call *new_call(struct api_request *request)
{
	struct tenant_call *call = arena_alloc(request->arena, sizeof *call);

	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return NULL;
	}
	call->request = request;
	call->tenant.done = on_done;
	call->tenant.loop = request_loop(request);
	return call;
}

void tenants_create(void *context)
{
	struct api_request *request = context;
	struct tenant_call *call = new_call(request);
	struct bytes body;

	if (!call || !request_body_json(request, &body))
		return;
	request->object = request_member(request, body, "/name");
	tenant_create(request->api->config.tenants, request->object, &call->tenant);
}

static void set_state(struct api_request *request, enum tenant_state state)
{
	struct tenant *tenant =
		tenant_find(request->api->config.tenants, request_param(request, 0));

	request->object = request_param(request, 0);
	if (!tenant) {
		request_refuse(request, API_NO_TENANT);
		return;
	}
	struct tenant_call *call = new_call(request);
	if (call)
		tenant_set_state(tenant, state, &call->tenant);
}

void tenants_suspend(void *request)
{
	set_state(request, TENANT_SUSPENDED);
}

void tenants_resume(void *request)
{
	set_state(request, TENANT_ACTIVE);
}

/* ---- how browsers reach it: host names of its own, and whose pages may call it ---- */

static void on_web_done(struct tenant_request *done)
{
	struct api_request *request = ((struct tenant_call *)done)->request;

	if (done->outcome == TENANT_EXISTS)
		request_refuse_with(request, API_CONFLICT, "A host name is another tenant's.",
			request_field_error(request, "hosts", "validation_not_unique",
				"Each host name is one tenant's."));
	else if (done->outcome == TENANT_BAD_NAME)
		request_refuse_with(request, API_VALIDATION, NULL,
			request_field_error(request, "hosts", "validation_match_invalid",
				"At most 16 host names as app.example.org, and 64 origins as "
				"https://app.example.org."));
	else
		on_done(done);
}

/* A member that is an array of texts, joined by spaces; {NULL, 0} when it is none. */
static struct bytes join_list(struct api_request *request, struct bytes json, const char *pointer)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes value, text;
	size_t n = 0;

	if (text_json_find(json, bytes_of(pointer), &value) != TEXT_JSON_FOUND)
		return (struct bytes){ 0 };
	char *out = arena_alloc(request->arena, value.n + 1);
	text_json_reader_init(&reader, value);
	if (!out || text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return (struct bytes){ 0 };
	while (text_json_next(&reader, &token) == TEXT_JSON_STRING) {
		if (!text_json_text(&token, request->arena, &text))
			return (struct bytes){ 0 };
		if (n > 0)
			out[n++] = ' ';
		memcpy(out + n, text.p, text.n);
		n += text.n;
	}
	return token.type == TEXT_JSON_ARRAY_END ? (struct bytes){ out, n } : (struct bytes){ 0 };
}

void tenants_web(void *context)
{
	struct api_request *request = context;
	struct tenant *tenant =
		tenant_find(request->api->config.tenants, request_param(request, 0));
	struct bytes body;

	request->object = request_param(request, 0);
	if (!tenant) {
		request_refuse(request, API_NO_TENANT);
		return;
	}
	if (!request_body_json(request, &body))
		return;
	struct bytes hosts = join_list(request, body, "/hosts");
	struct bytes origins = join_list(request, body, "/origins");
	struct tenant_call *call = new_call(request);
	if (!call)
		return;
	call->tenant.done = on_web_done;
	if (hosts.p && origins.p)
		tenant_set_web(tenant, hosts, origins, &call->tenant);
	else
		request_refuse_with(request, API_BAD_REQUEST,
			"Both lists are wanted: {\"hosts\":[],\"origins\":[]}.",
			(struct bytes){ 0 });
}

/* ---- superusers: records of the tenant's _superusers, found by e-mail, else made ---- */

struct superuser_call {
	struct api_request *request;
	struct tenant_use use;
	struct record_find_auth find;
	struct record_call write;
	struct bytes email, password;
	struct bytes_buf body;
};

static void on_written(struct record_call *write)
{
	struct superuser_call *call = write->context;
	struct api_request *request = call->request;
	int status = write->status;
	struct err err = write->err;
	struct bytes data = { arena_copy(request->arena, bytes_buf_view(&write->answer)),
		write->answer.n };
	const char *message = write->message;

	record_call_fini(write);
	bytes_buf_fini(&call->body);
	tenant_use_end(&call->use);
	if (status < 300)
		request_no_content(request);
	else if (status >= 500 && err.code != ERR_NONE)
		request_fault(request, &err);
	else
		request_status(
			request, (unsigned)status, message, data.p ? data : (struct bytes){ 0 });
}

static void on_found(struct record_find_auth *find)
{
	struct superuser_call *call = find->context;
	struct api_request *request = call->request;
	struct text_json_writer json;

	explicit_bzero(find->token_key, sizeof find->token_key);
	explicit_bzero(find->password_hash, sizeof find->password_hash);
	if (find->result != RECORD_FOUND && find->result != RECORD_NO_RECORD) {
		tenant_use_end(&call->use);
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	bytes_buf_init(&call->body, 8192);
	text_json_writer_init(&json, &call->body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("email"));
	text_json_write_string(&json, call->email);
	text_json_write_key(&json, BYTES("password"));
	text_json_write_string(&json, call->password);
	text_json_write_key(&json, BYTES("passwordConfirm"));
	text_json_write_string(&json, call->password);
	text_json_end_object(&json);
	call->write = (struct record_call){ .book = find->book,
		.loop = request_loop(request),
		.arena = request->arena,
		.viewer = { .is_superuser = true },
		.ignore_rules = true,
		.collection = BYTES("_superusers"),
		.id = find->result == RECORD_FOUND ? bytes_of(find->record_id)
						   : (struct bytes){ 0 },
		.body = bytes_buf_view(&call->body),
		.method = BYTES("PUT"),
		.done = on_written,
		.context = call };
	memcpy(call->write.trace_id, http_trace_id(request->http), ID_TRACE_BYTES);
	if (find->result == RECORD_FOUND)
		record_update(&call->write);
	else
		record_create(&call->write);
}

static void on_open(struct tenant_use *use, bool is_open)
{
	struct superuser_call *call =
		(struct superuser_call *)((char *)use - offsetof(struct superuser_call, use));

	if (!is_open) {
		request_not_open(call->request, &use->err);
		return;
	}
	call->find = (struct record_find_auth){
		.book = ((struct api_house *)tenant_hung(use->tenant))->book,
		.loop = request_loop(call->request),
		.collection = BYTES("_superusers"),
		.identity = call->email,
		.is_address = true,
		.done = on_found,
		.context = call
	};
	record_find_auth(&call->find);
}

void superusers_put(void *context)
{
	struct api_request *request = context;
	struct superuser_call *call = arena_alloc(request->arena, sizeof *call);
	struct tenant *tenant =
		tenant_find(request->api->config.tenants, request_param(request, 0));
	struct bytes body;

	request->object = request_param(request, 0);
	if (!tenant) {
		request_refuse(request, API_NO_TENANT);
		return;
	}
	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	if (!request_body_json(request, &body))
		return;
	call->request = request;
	call->email = request_member(request, body, "/email");
	call->password = request_member(request, body, "/password");
	if (call->email.n == 0 || call->password.n < AUTH_PASSWORD_MIN) {
		bool is_email = call->email.n == 0;
		request_refuse_with(request, API_VALIDATION, NULL,
			request_field_error(request, is_email ? "email" : "password",
				is_email ? "validation_required" : "validation_length_out_of_range",
				is_email ? "Cannot be blank."
					 : "Must have at least 10 characters."));
		return;
	}
	call->use.loop = request_loop(request);
	call->use.done = on_open;
	tenant_use_begin(tenant, &call->use);
}
