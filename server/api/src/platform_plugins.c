/* Plugins of a tenant: upload, what runs, back to the version before, off and on. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX (4u << 20)

struct plugin_act {
	struct deploy_request deploy;
	struct api_request *request;
};

static void on_done(struct deploy_request *deploy)
{
	struct api_request *request = ((struct plugin_act *)deploy)->request;
	struct bytes message = { arena_copy(request->arena, bytes_of(deploy->message)),
		strlen(deploy->message) };
	struct text_json_writer json;
	struct bytes_buf body;

	request->artifact = deploy->sha256[0] ? deploy->sha256 : NULL;
	request->plugin = bytes_of(deploy->plugin_id);
	switch (deploy->outcome) {
	case DEPLOY_DONE:
		bytes_buf_init(&body, 8192);
		text_json_writer_init(&json, &body);
		text_json_begin_object(&json);
		text_json_write_key(&json, BYTES("tenant"));
		text_json_write_string(&json, deploy->tenant);
		text_json_write_key(&json, BYTES("id"));
		text_json_write_string(&json, bytes_of(deploy->plugin_id));
		text_json_write_key(&json, BYTES("version"));
		text_json_write_string(&json, bytes_of(deploy->version));
		text_json_write_key(&json, BYTES("sha256"));
		text_json_write_string(&json, bytes_of(deploy->sha256));
		text_json_write_key(&json, BYTES("state"));
		text_json_write_string(
			&json, deploy->act == DEPLOY_DISABLE ? BYTES("disabled") : BYTES("active"));
		text_json_end_object(&json);
		request_json_buf(request, 200, &body);
		return;
	case DEPLOY_REFUSED:
		request->reason = message;
		request_refuse_with(request, API_BAD_REQUEST, message.p,
			request_field_error(
				request, "file", "validation_plugin_refused", deploy->message));
		return;
	case DEPLOY_NOT_FOUND:
		request_refuse_with(request, API_NOT_FOUND, "This tenant has no such plugin.",
			(struct bytes){ 0 });
		return;
	case DEPLOY_NO_TENANT:
		request_refuse(request, API_NO_TENANT);
		return;
	case DEPLOY_BUSY:
		request_refuse_later(request, API_BUSY, "Too many deployments wait.", 5);
		return;
	case DEPLOY_FAULT: {
		struct err err = { 0 };
		(void)ERR_SET(&err, ERR_STATE, "%.220s", deploy->message);
		request_fault(request, &err);
		return;
	}
	}
}

static void act(struct api_request *request, enum deploy_act what)
{
	struct plugin_act *call = arena_alloc(request->arena, sizeof *call);

	request->object = arena_printf(request->arena, "%.*s/%.*s",
		(int)request_param(request, 0).n, request_param(request, 0).p,
		(int)request_param(request, 1).n, request_param(request, 1).p);
	if (!request->api->config.deploy) {
		request_refuse_with(request, API_PLUGIN_DOWN, "This server runs without plugins.",
			(struct bytes){ 0 });
		return;
	}
	if (!tenant_find(request->api->config.tenants, request_param(request, 0))) {
		request_refuse(request, API_NO_TENANT);
		return;
	}
	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	call->request = request;
	call->deploy = (struct deploy_request){ .act = what,
		.tenant = request_param(request, 0),
		.plugin = request_param(request, 1),
		.actor = request_actor(request),
		.done = on_done,
		.loop = request_loop(request) };
	if (what == DEPLOY_UPLOAD) {
		call->deploy.file = http_body(request->http);
		call->deploy.grant_all = bytes_eq(request_query(request, "grantAll"), BYTES("1"));
	}
	memcpy(call->deploy.trace_id, http_trace_id(request->http), ID_TRACE_BYTES);
	deploy_submit(request->api->config.deploy, &call->deploy);
}

void plugins_deploy(void *request)
{
	act(request, DEPLOY_UPLOAD);
}

void plugins_rollback(void *request)
{
	act(request, DEPLOY_ROLLBACK);
}

void plugins_disable(void *request)
{
	act(request, DEPLOY_DISABLE);
}

void plugins_enable(void *request)
{
	act(request, DEPLOY_ENABLE);
}

void plugins_list(void *context)
{
	struct api_request *request = context;
	struct text_json_writer json;
	struct bytes_buf body;

	bytes_buf_init(&body, LIST_MAX);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("items"));
	overview_write_plugins(request->api, request_query(request, "tenant"), &json);
	text_json_end_object(&json);
	request_json_buf(request, 200, &body);
}

void plugins_show(void *context)
{
	struct api_request *request = context;
	struct deploy_status *list = NULL;
	struct text_json_writer json;
	DEFER(bytes_buf_fini) struct bytes_buf manifest;
	struct bytes_buf body;
	size_t n = 0, at = 0;

	if (!request->api->config.deploy || deploy_list(request->api->config.deploy,
						    request_param(request, 0), &list, &n, NULL) < 0)
		n = 0;
	while (at < n && !bytes_eq_string(request_param(request, 1), list[at].plugin))
		at++;
	if (at == n) {
		free(list);
		request_refuse(request, API_NOT_FOUND);
		return;
	}
	bytes_buf_init(&manifest, LIST_MAX);
	bytes_buf_init(&body, LIST_MAX);
	bool has_manifest = deploy_manifest(request->api->config.deploy, request_param(request, 0),
		request_param(request, 1), &manifest);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("tenant"));
	text_json_write_string(&json, bytes_of(list[at].tenant));
	text_json_write_key(&json, BYTES("id"));
	text_json_write_string(&json, bytes_of(list[at].plugin));
	text_json_write_key(&json, BYTES("version"));
	text_json_write_string(&json, bytes_of(list[at].version));
	text_json_write_key(&json, BYTES("sha256"));
	text_json_write_string(&json, bytes_of(list[at].sha256));
	text_json_write_key(&json, BYTES("state"));
	text_json_write_string(&json, bytes_of(list[at].state));
	text_json_write_key(&json, BYTES("message"));
	text_json_write_string(&json, bytes_of(list[at].message));
	text_json_write_key(&json, BYTES("workerPid"));
	text_json_write_int64(&json, list[at].worker_pid);
	text_json_write_key(&json, BYTES("grantAll"));
	text_json_write_bool(&json, list[at].grant_all);
	text_json_write_key(&json, BYTES("manifest"));
	text_json_write_raw(&json, has_manifest ? bytes_buf_view(&manifest) : BYTES("null"));
	text_json_end_object(&json);
	free(list);
	request_json_buf(request, 200, &body);
}
