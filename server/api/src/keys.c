#include "keys.h"

#include "clock.h"
#include "record_auth.h"
#include "records.h"
#include "text_json_reader.h"
#include "text_url.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRES_MAX_DAYS 3650
#define QUERY_PAIRS_MAX  64

/* ---- who is it? ---- */

struct key_check {
	struct auth_key_find find;
	struct record_find_auth account;
	struct api_request *request;
	void (*next)(struct api_request *request);
};

static void refuse_key(struct api_request *request)
{
	request->identity = (struct auth_identity){ .kind = AUTH_ANONYMOUS };
	request->reason = BYTES("unknown, expired or revoked API key");
	request_refuse_with(
		request, API_UNAUTHORIZED, "The API key is not valid.", (struct bytes){ 0 });
}

static void on_account(struct record_find_auth *find)
{
	struct key_check *check = find->context;
	struct api_request *request = check->request;
	struct auth_identity *identity = &request->identity;

	explicit_bzero(find->token_key, sizeof find->token_key);
	explicit_bzero(find->password_hash, sizeof find->password_hash);
	if (find->result == RECORD_UNAVAILABLE) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	if (find->result != RECORD_FOUND) {
		refuse_key(request);
		return;
	}
	identity->kind = find->is_superuser ? AUTH_SUPERUSER : AUTH_USER;
	(void)bytes_to_string(bytes_of(find->collection_id), identity->collection_id,
		sizeof identity->collection_id);
	(void)bytes_to_string(
		bytes_of(find->collection_name), identity->collection, sizeof identity->collection);
	memcpy(identity->record_id, find->record_id, sizeof identity->record_id);
	request->key = &check->find;
	check->next(request);
}

static void on_key(struct auth_key_find *find)
{
	struct key_check *check = find->context;
	struct api_request *request = check->request;

	if (find->result == AUTH_KEY_UNAVAILABLE) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
	if (find->result == AUTH_KEY_NONE) {
		refuse_key(request);
		return;
	}
	(void)bytes_to_string(bytes_of(tenant_name(request->tenant)), request->identity.tenant,
		sizeof request->identity.tenant);
	if (find->record_id[0] == '\0') {
		struct auth_identity *identity = &request->identity;
		identity->kind = AUTH_SUPERUSER;
		/* No record, but nobody else either: what is bound to a viewer is bound to it. */
		memcpy(identity->collection_id, "_api_keys", sizeof "_api_keys");
		memcpy(identity->collection, "_api_keys", sizeof "_api_keys");
		memcpy(identity->record_id, find->id, sizeof identity->record_id);
		request->key = find;
		check->next(request);
		return;
	}
	check->account = (struct record_find_auth){ .book = request->book,
		.loop = request_loop(request),
		.collection = bytes_of(find->collection_id),
		.id = bytes_of(find->record_id),
		.done = on_account,
		.context = check };
	record_find_auth(&check->account);
}

void keys_authenticate(
	struct api_request *request, struct bytes text, void (*next)(struct api_request *request))
{
	struct key_check *check = arena_alloc(request->arena, sizeof *check);

	if (!check) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	check->request = request;
	check->next = next;
	check->find.auth = request->api->config.auth;
	check->find.store = tenant_store(request->tenant);
	check->find.loop = request_loop(request);
	check->find.text = text;
	check->find.now_s = clock_wall_us() / 1000000;
	check->find.done = on_key;
	check->find.context = check;
	auth_key_find(&check->find);
}

/* ---- what may it do? ---- */

static const struct {
	const char *action; /* of the route */
	enum auth_act_kind kind;
	const char *what;
} acts[] = {
	{ "record.list", AUTH_ACT_RECORD, "list" },
	{ "record.get", AUTH_ACT_RECORD, "view" },
	{ "record.create", AUTH_ACT_RECORD, "create" },
	{ "record.update", AUTH_ACT_RECORD, "update" },
	{ "record.delete", AUTH_ACT_RECORD, "delete" },
	{ "file.get", AUTH_ACT_RECORD, "view" },
	{ "plugin.call", AUTH_ACT_PLUGIN, "" },
	{ "settings.get", AUTH_ACT_READ, "settings" },
	{ "logs.list", AUTH_ACT_READ, "logs" },
	{ "collection.list", AUTH_ACT_READ, "collections" },
	{ "collection.get", AUTH_ACT_READ, "collections" },
};

/* Whether a filter or a list of sort keys leaves its collection: a path through a relation, or
 * another collection by name. A json field's members look the same and are refused with them. */
static bool leaves_collection(struct bytes text)
{
	char quote = '\0';

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (quote) {
			if (c == '\\')
				i++;
			else if (c == quote)
				quote = '\0';
			continue;
		}
		bool is_path = c == '.' && i > 0 && i + 1 < text.n &&
			       !isdigit((unsigned char)text.p[i + 1]);
		bool is_other =
			c == '@' && text.n - i >= 11 && memcmp(text.p + i, "@collection", 11) == 0;
		if (is_path || is_other)
			return true;
		if (c == '"' || c == '\'')
			quote = c;
	}
	return false;
}

/* Options of a list whose value names no field, or only what is shown of the record itself. */
static bool is_harmless(struct bytes name)
{
	static const char *const names[] = { "page", "perPage", "fields", "skipTotal", "cursor" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (bytes_eq_string(name, names[i]))
			return true;
	return false;
}

/* A superuser's key that is held to some collections must not read others by way of them. */
static bool is_inside(struct api_request *request)
{
	static const struct auth_act all = { AUTH_ACT_RECORD, { "*", 1 }, { "view", 4 } };
	struct text_url_query query;
	struct bytes name, value;
	enum text_url_result result;

	if (request->identity.kind != AUTH_SUPERUSER ||
		auth_scope_allows(bytes_of(request->key->scopes), &all))
		return true;
	text_url_query_init(&query, http_query(request->http), QUERY_PAIRS_MAX);
	while ((result = text_url_query_next(&query, request->arena, &name, &value)) == TEXT_URL_OK)
		if (bytes_eq_string(name, "expand")
				? value.n > 0
				: !is_harmless(name) &&
					  (leaves_collection(value) || leaves_collection(name)))
			return false;
	return result == TEXT_URL_END;
}

bool keys_allow(struct api_request *request)
{
	struct bytes scopes = bytes_of(request->key->scopes);
	struct auth_act act = { .kind = AUTH_ACT_OTHER };
	char name[RECORD_NAME_BYTES] = "";

	if (auth_scope_is_all(scopes))
		return true;
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		if (strcmp(acts[i].action, request->match.route->action) == 0)
			act = (struct auth_act){ acts[i].kind, bytes_of(acts[i].what),
				bytes_of(acts[i].what) };
	if (act.kind == AUTH_ACT_RECORD) {
		records_collection_name(request, name);
		act.object = bytes_of(name);
	} else if (act.kind == AUTH_ACT_PLUGIN) {
		act.object = request_param(request, 0);
	}
	if (auth_scope_allows(scopes, &act) && (act.kind != AUTH_ACT_RECORD || is_inside(request)))
		return true;
	request->reason = BYTES("not in the key's scopes");
	request_refuse_with(request, API_FORBIDDEN, "The API key's scopes do not allow this.",
		(struct bytes){ 0 });
	return false;
}

/* ---- made, listed, revoked ---- */

struct key_call {
	struct auth_key_call key;
	struct api_request *request;
	struct tenant_use use; /* of an operator's request */
	bool is_using;
	struct bytes_buf scopes;
	struct record_find_auth account;
};

static void end(struct key_call *call)
{
	bytes_buf_fini(&call->scopes);
	bytes_buf_fini(&call->key.answer);
	if (call->is_using)
		tenant_use_end(&call->use);
	call->is_using = false;
}

static void refuse_field(
	struct key_call *call, const char *field, const char *code, const char *message)
{
	struct api_request *request = call->request;

	end(call);
	request_refuse_with(request, API_VALIDATION, "Failed to create the API key.",
		request_field_error(request, field, code, message));
}

/* {"key":"tnk_...", and what the list shows}. */
static void answer_created(struct key_call *call)
{
	struct api_request *request = call->request;
	struct text_json_writer json;
	struct bytes_buf body;
	struct bytes shown = bytes_buf_view(&call->key.answer);

	bytes_buf_init(&body, shown.n + 256);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("key"));
	text_json_write_string(&json, bytes_of(call->key.text));
	/* The rest of the object, behind its opening brace. */
	(void)bytes_buf_append_byte(&body, ',');
	(void)bytes_buf_append(&body, (struct bytes){ shown.p + 1, shown.n - 1 });
	explicit_bzero(call->key.text, sizeof call->key.text);
	request->object = arena_printf(request->arena, "key %s", call->key.new_id);
	end(call);
	request_json_buf(request, 200, &body);
}

static void on_key_done(struct auth_key_call *key)
{
	struct key_call *call = key->context;
	struct api_request *request = call->request;
	struct err err = key->err;

	if (key->outcome == STORE_OK && key->act == AUTH_KEY_CREATE) {
		answer_created(call);
		return;
	}
	if (key->outcome == STORE_OK && key->act == AUTH_KEY_LIST) {
		request_json_buf(request, 200, &key->answer);
		end(call);
		return;
	}
	enum store_outcome outcome = key->outcome;
	bool is_create = key->act == AUTH_KEY_CREATE;
	end(call);
	if (outcome == STORE_OK)
		request_no_content(request);
	else if (outcome == STORE_REFUSED && is_create)
		request_refuse_with(request, API_CONFLICT, "There are 1,000 keys already.",
			(struct bytes){ 0 });
	else if (outcome == STORE_REFUSED)
		request_refuse(request, API_NOT_FOUND);
	else if (outcome == STORE_BUSY)
		request_refuse_later(request, API_BUSY, NULL, 1);
	else
		request_fault(request, &err);
}

static struct key_call *new_call(struct api_request *request, enum auth_key_act act)
{
	struct key_call *call = arena_alloc(request->arena, sizeof *call);

	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return NULL;
	}
	call->request = request;
	call->key.act = act;
	call->key.loop = request_loop(request);
	call->key.done = on_key_done;
	call->key.context = call;
	call->key.now_s = clock_wall_us() / 1000000;
	bytes_buf_init(&call->scopes, AUTH_SCOPES_TEXT_MAX - 1);
	return call;
}

/* The scopes of the body, checked, as we keep them. False having answered. */
static bool take_scopes(struct key_call *call, struct bytes body)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct text_json_writer json;
	struct bytes list, scope;
	size_t n = 0;
	bool is_good = text_json_find(body, BYTES("/scopes"), &list) == TEXT_JSON_FOUND;

	text_json_writer_init(&json, &call->scopes);
	text_json_begin_array(&json);
	text_json_reader_init(&reader, is_good ? list : BYTES("[]"));
	is_good = is_good && text_json_next(&reader, &token) == TEXT_JSON_ARRAY;
	while (is_good && text_json_next(&reader, &token) == TEXT_JSON_STRING) {
		is_good = text_json_text(&token, call->request->arena, &scope) &&
			  auth_scope_is_valid(scope) && ++n <= AUTH_SCOPES_MAX;
		text_json_write_string(&json, scope);
	}
	text_json_end_array(&json);
	if (is_good && n > 0 && token.type == TEXT_JSON_ARRAY_END && !call->scopes.failed) {
		call->key.scopes = bytes_buf_view(&call->scopes);
		return true;
	}
	refuse_field(call, "scopes", "validation_invalid_scopes",
		"A list of scopes: all, records:COLLECTION:ACTIONS, plugins:ID, read:settings, "
		"read:logs, read:collections.");
	return false;
}

static bool take_expiry(struct key_call *call, struct bytes body)
{
	uint64_t days = 0;
	struct bytes value;

	if (text_json_find(body, BYTES("/expiresInDays"), &value) != TEXT_JSON_FOUND)
		return true;
	if (bytes_parse_u64(value, EXPIRES_MAX_DAYS, &days)) {
		call->key.expires_s = days ? call->key.now_s + (int64_t)days * 86400 : 0;
		return true;
	}
	refuse_field(call, "expiresInDays", "validation_invalid_value",
		"A whole number of days, at most 3650; 0 for a key that does not expire.");
	return false;
}

static void on_owner(struct record_find_auth *find)
{
	struct key_call *call = find->context;

	explicit_bzero(find->token_key, sizeof find->token_key);
	explicit_bzero(find->password_hash, sizeof find->password_hash);
	if (find->result != RECORD_FOUND) {
		refuse_field(call, "recordId", "validation_missing_rel_records",
			"There is no such account.");
		return;
	}
	call->key.collection_id = bytes_of(find->collection_id);
	call->key.record_id = bytes_of(find->record_id);
	auth_key_run(&call->key);
}

static void create(struct key_call *call, struct record_book *book)
{
	struct api_request *request = call->request;
	struct bytes body = http_body(request->http);

	call->key.name = request_member(request, body, "/name");
	struct bytes collection = request_member(request, body, "/collection");
	struct bytes record = request_member(request, body, "/recordId");
	if (call->key.name.n == 0 || call->key.name.n > AUTH_KEY_NAME_MAX) {
		refuse_field(call, "name", "validation_required",
			"A name of at most 100 bytes is needed.");
		return;
	}
	if (!take_scopes(call, body) || !take_expiry(call, body))
		return;
	if (collection.n == 0 && record.n == 0) {
		auth_key_run(&call->key);
		return;
	}
	call->account = (struct record_find_auth){ .book = book,
		.loop = request_loop(request),
		.collection = collection,
		.id = record,
		.done = on_owner,
		.context = call };
	record_find_auth(&call->account);
}

/* A key cannot make or take away keys, whatever its scopes: it would outlive its revocation. */
static bool is_person(struct api_request *request)
{
	if (!request->key)
		return true;
	request_refuse_with(
		request, API_FORBIDDEN, "API keys are managed by people.", (struct bytes){ 0 });
	return false;
}

void keys_create(void *context)
{
	struct api_request *request = context;
	struct bytes body;
	struct key_call *call = is_person(request) ? new_call(request, AUTH_KEY_CREATE) : NULL;

	if (!call || !request_body_json(request, &body))
		return;
	call->key.store = tenant_store(request->tenant);
	create(call, request->book);
}

void keys_list(void *context)
{
	struct api_request *request = context;
	struct key_call *call = is_person(request) ? new_call(request, AUTH_KEY_LIST) : NULL;

	if (!call)
		return;
	call->key.store = tenant_store(request->tenant);
	auth_key_run(&call->key);
}

void keys_revoke(void *context)
{
	struct api_request *request = context;
	struct key_call *call = is_person(request) ? new_call(request, AUTH_KEY_REVOKE) : NULL;

	if (!call)
		return;
	request->object = request_param(request, 0);
	call->key.id = request_param(request, 0);
	call->key.store = tenant_store(request->tenant);
	auth_key_run(&call->key);
}

/* ---- the same from the operator's command line ---- */

static void on_open(struct tenant_use *use, bool is_open)
{
	struct key_call *call = (struct key_call *)((char *)use - offsetof(struct key_call, use));

	if (!is_open) {
		request_not_open(call->request, &use->err);
		return;
	}
	call->is_using = true;
	call->key.store = tenant_store(use->tenant);
	create(call, ((struct api_house *)tenant_hung(use->tenant))->book);
}

void keys_create_for(void *context)
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
	struct key_call *call = new_call(request, AUTH_KEY_CREATE);
	if (!call || !request_body_json(request, &body))
		return;
	call->use.loop = request_loop(request);
	call->use.done = on_open;
	tenant_use_begin(tenant, &call->use);
}
