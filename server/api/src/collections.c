/*
 * Collections over HTTP: for a tenant's superusers, and as a whole for operators in any tenant.
 */
#include "records.h"

#include <string.h>

/* Hundreds of collections have more values than the body of a record. */
#define IMPORT_LIMITS                                                                              \
	((struct text_json_limits){ .max_depth = 32, .max_nodes = 200000, .max_bytes = 4u << 20 })

static void run(struct api_request *request, void (*start)(struct record_call *call),
	const struct text_json_limits *body)
{
	struct record_call *call = records_new_call(request);

	if (call && (!body || request_body_json_within(request, body, &call->body)))
		records_start(request, call, start);
}

void collections_list(void *request)
{
	run(request, record_collection_list, NULL);
}

void collections_get(void *request)
{
	run(request, record_collection_get, NULL);
}

void collections_create(void *request)
{
	run(request, record_collection_create, &TEXT_JSON_LIMITS);
}

void collections_update(void *request)
{
	run(request, record_collection_update, &TEXT_JSON_LIMITS);
}

void collections_delete(void *request)
{
	run(request, record_collection_delete, NULL);
}

void collections_truncate(void *request)
{
	run(request, record_collection_truncate, NULL);
}

void collections_scaffolds(void *request)
{
	run(request, record_collection_scaffolds, NULL);
}

void collections_import(void *request)
{
	run(request, record_collection_import, &IMPORT_LIMITS);
}

/* ---- for operators ---- */

static void on_open(struct tenant_use *use, bool is_open)
{
	struct api_request *request =
		(struct api_request *)((char *)use - offsetof(struct api_request, use));
	bool is_import = http_method(request->http) == HTTP_PUT;
	struct record_call *call;

	if (!is_open) {
		request_not_open(request, &use->err);
		return;
	}
	request->is_using = true;
	request->house = tenant_hung(request->tenant);
	request->book = request->house->book;
	call = records_new_call(request);
	if (!call || (is_import && !request_body_json_within(request, &IMPORT_LIMITS, &call->body)))
		return;
	call->viewer = (struct record_viewer){ .is_superuser = true };
	call->ignore_rules = true;
	call->collection = (struct bytes){ 0 };
	records_start(request, call, is_import ? record_collection_import : record_collection_list);
}

/* GET lists them, PUT imports. */
void tenants_collections(void *context)
{
	struct api_request *request = context;

	request->object = request_param(request, 0);
	request->tenant = tenant_find(request->api->config.tenants, request_param(request, 0));
	if (!request->tenant) {
		request_refuse(request, API_NO_TENANT);
		return;
	}
	request->use.loop = request_loop(request);
	request->use.done = on_open;
	tenant_use_begin(request->tenant, &request->use);
}
