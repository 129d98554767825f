/*
 * system.c - what every tenant has from the start: _superusers, users, and their fields
 */
#include <string.h>

#include "change.h"
#include "files.h"
#include "migrate.h"

struct system_field {
	const char *name, *json;
};

static const struct system_field id_field[] = {
	{ "id", "{\"id\":\"text_id\",\"name\":\"id\",\"type\":\"text\",\"system\":true,"
		"\"required\":true,\"primaryKey\":true,\"min\":15,\"max\":15,"
		"\"pattern\":\"^[a-z0-9]+$\",\"autogeneratePattern\":\"[a-z0-9]{15}\"}" },
};

static const struct system_field auth_fields[] = {
	{ "password", "{\"id\":\"password_password\",\"name\":\"password\",\"type\":\"password\","
		      "\"system\":true,\"hidden\":true,\"required\":true,\"min\":8}" },
	{ "tokenKey", "{\"id\":\"text_tokenKey\",\"name\":\"tokenKey\",\"type\":\"text\","
		      "\"system\":true,\"hidden\":true,\"required\":true,\"min\":30,\"max\":60,"
		      "\"autogeneratePattern\":\"[a-zA-Z0-9]{50}\"}" },
	{ "email", "{\"id\":\"email_email\",\"name\":\"email\",\"type\":\"email\","
		   "\"system\":true,\"required\":true}" },
	{ "emailVisibility", "{\"id\":\"bool_emailVisibility\",\"name\":\"emailVisibility\","
			     "\"type\":\"bool\",\"system\":true}" },
	{ "verified", "{\"id\":\"bool_verified\",\"name\":\"verified\",\"type\":\"bool\","
		      "\"system\":true}" },
};

static const struct system_field date_fields[] = {
	{ "created", "{\"id\":\"autodate_created\",\"name\":\"created\",\"type\":\"autodate\","
		     "\"onCreate\":true}" },
	{ "updated", "{\"id\":\"autodate_updated\",\"name\":\"updated\",\"type\":\"autodate\","
		     "\"onCreate\":true,\"onUpdate\":true}" },
};

static const struct system_field user_fields[] = {
	{ "name", "{\"id\":\"text_name\",\"name\":\"name\",\"type\":\"text\",\"max\":255}" },
};

/* What links an account to one at a provider; nothing writes it yet, but clients may ask. */
static const struct system_field external_fields[] = {
	{ "collectionRef", "{\"id\":\"text_collectionRef\",\"name\":\"collectionRef\",\"type\":"
			   "\"text\",\"system\":true,\"required\":true}" },
	{ "recordRef", "{\"id\":\"text_recordRef\",\"name\":\"recordRef\",\"type\":\"text\","
		       "\"system\":true,\"required\":true}" },
	{ "provider", "{\"id\":\"text_provider\",\"name\":\"provider\",\"type\":\"text\","
		      "\"system\":true,\"required\":true}" },
	{ "providerId", "{\"id\":\"text_providerId\",\"name\":\"providerId\",\"type\":\"text\","
			"\"system\":true,\"required\":true}" },
};

#define N(list) (sizeof(list) / sizeof((list)[0]))

static bool has_field(const struct change *change, const char *name)
{
	for (size_t i = 0; i < change->n_fields; i++)
		if (bytes_eq_string(change->fields[i].name, name))
			return true;
	return false;
}

/* Adds those that are missing, at the place at. */
static bool add_fields(struct change *change, size_t *at, const struct system_field *list, size_t n,
	struct arena *arena)
{
	struct record_field *fields =
		arena_alloc(arena, (change->n_fields + n + 1) * sizeof(*fields));
	if (!fields)
		return false;
	if (change->n_fields)
		memcpy(fields, change->fields, change->n_fields * sizeof(*fields));
	change->fields = fields;
	for (size_t i = 0; i < n; i++) {
		const char *option;
		struct record_field field;
		if (has_field(change, list[i].name))
			continue;
		if (field_parse(bytes_of(list[i].json), arena, &field, &option) != FIELD_OK)
			return false;
		/* A pattern's automaton is the snapshot's to make. */
		field_fini(&field);
		memmove(fields + *at + 1, fields + *at, (change->n_fields - *at) * sizeof(*fields));
		fields[(*at)++] = field;
		change->n_fields++;
	}
	return true;
}

bool change_add_system_fields(struct change *change, struct arena *arena)
{
	size_t at = 0;
	return add_fields(change, &at, id_field, N(id_field), arena) &&
	       (!change->is_auth || add_fields(change, &at, auth_fields, N(auth_fields), arena));
}

bool change_add_system_indexes(struct change *change, struct arena *arena)
{
	if (!change->is_auth)
		return true;
	struct bytes_list *list = &change->indexes;
	struct bytes *items = arena_alloc(arena, (list->n + 2) * sizeof(*items));
	if (!items)
		return false;
	if (list->n)
		memcpy(items, list->items, list->n * sizeof(*items));
	list->items = items;
	/* What tells an index from others, and the index. Ids are fit for names. */
	const struct bytes wanted[2][2] = {
		{ BYTES("(\"_token_key\")"),
			arena_printf(arena,
				"CREATE UNIQUE INDEX \"idx_tokenKey_%.*s\" ON \"%.*s\" "
				"(\"_token_key\")",
				(int)change->id.n, change->id.p, (int)change->name.n,
				change->name.p) },
		{ BYTES("(\"email\")"),
			arena_printf(arena,
				"CREATE UNIQUE INDEX \"idx_email_%.*s\" ON \"%.*s\" "
				"(\"email\") WHERE \"email\" != ''",
				(int)change->id.n, change->id.p, (int)change->name.n,
				change->name.p) },
	};
	for (size_t w = 0; w < 2; w++) {
		bool is_there = false;
		for (size_t i = 0; i < list->n; i++)
			is_there |= bytes_starts_with(items[i], BYTES("CREATE UNIQUE")) &&
				    memmem(items[i].p, items[i].n, wanted[w][0].p, wanted[w][0].n);
		if (!wanted[w][1].p)
			return false;
		if (!is_there)
			items[list->n++] = wanted[w][1];
	}
	return true;
}

static struct change_rule rule(const char *text)
{
	return (struct change_rule){ .is_set = true, .is_null = !text, .text = bytes_of(text) };
}

bool change_add_date_fields(struct change *change, struct arena *arena)
{
	size_t at = change->n_fields;
	return add_fields(change, &at, date_fields, N(date_fields), arena);
}

static enum store_outcome insert_system(
	struct store_conn *conn, struct arena *arena, const char *now, bool is_superusers)
{
	static const char own[] = "id = @request.auth.id";
	struct change change = { .is_auth = true, .is_system = is_superusers };
	change.id = is_superusers ? BYTES("pbc_3142635823") : BYTES("_pb_users_auth_");
	change.name = is_superusers ? BYTES("_superusers") : BYTES("users");
	for (int i = 0; i < RULES; i++)
		change.rules[i] = rule(is_superusers ? NULL : own);
	if (!is_superusers)
		change.rules[RULE_CREATE] = rule("");
	if (!change_add_system_fields(&change, arena))
		return STORE_FAULT;
	size_t at = change.n_fields;
	if ((!is_superusers && !add_fields(&change, &at, user_fields, N(user_fields), arena)) ||
		!change_add_date_fields(&change, arena) ||
		!change_add_system_indexes(&change, arena))
		return STORE_FAULT;
	size_t index;
	enum store_outcome outcome = collection_insert(conn, &change, now);
	return outcome == STORE_OK ? collection_index(conn, &change, &index) : outcome;
}

/* As PocketBase has it: shown to the account that it is about. */
static enum store_outcome insert_external(
	struct store_conn *conn, struct arena *arena, const char *now)
{
	static const char own[] = "@request.auth.id != '' && recordRef = @request.auth.id && "
				  "collectionRef = @request.auth.collectionId";
	struct change change = {
		.id = BYTES("pbc_2281828961"), .name = BYTES("_externalAuths"), .is_system = true
	};
	for (int i = 0; i < RULES; i++)
		change.rules[i] = rule(i == RULE_CREATE || i == RULE_UPDATE ? NULL : own);
	if (!change_add_system_fields(&change, arena))
		return STORE_FAULT;
	size_t at = change.n_fields;
	if (!add_fields(&change, &at, external_fields, N(external_fields), arena) ||
		!add_fields(&change, &at, date_fields, N(date_fields), arena))
		return STORE_FAULT;
	return collection_insert(conn, &change, now);
}

/* What is missing of the collections that every tenant has. */
static int make_system(struct store_conn *conn, bool has_users, struct err *err)
{
	struct arena *arena = NULL;
	char now[CLOCK_TEXT_BYTES];
	clock_format(clock_wall_us(), now);
	if (arena_new(1u << 20, &arena, err) < 0)
		return -1;
	enum store_outcome outcome = store_run_script(conn, BYTES("BEGIN IMMEDIATE"));
	if (outcome == STORE_OK && !has_users)
		outcome = insert_system(conn, arena, now, true);
	if (outcome == STORE_OK && !has_users)
		outcome = insert_system(conn, arena, now, false);
	if (outcome == STORE_OK)
		outcome = insert_external(conn, arena, now);
	if (outcome == STORE_OK)
		outcome = schema_bump(conn);
	if (outcome == STORE_OK)
		outcome = store_run_script(conn, BYTES("COMMIT"));
	arena_free(arena);
	if (outcome == STORE_OK)
		return 0;
	ERR_SET(err, ERR_STATE, "cannot make the system collections: %s", store_message(conn));
	store_run_script(conn, BYTES("ROLLBACK"));
	return -1;
}

int record_on_open(struct store_conn *conn, void *boot, struct err *err)
{
	struct record_boot *ret = boot;
	if (migrate_apply(conn, migrate_tenant(), err) < 0)
		return -1;
	DEFER(schema_unref) struct record_schema *schema = NULL;
	if (schema_load(conn, &schema, err) < 0)
		return -1;
	/* users is made once, with _superusers: who drops it does not get it back. */
	bool has_users = schema_find(schema, BYTES("_superusers")) != NULL;
	if (!has_users || !schema_find(schema, BYTES("_externalAuths"))) {
		if (make_system(conn, has_users, err) < 0)
			return -1;
		schema_unref(schema);
		schema = NULL;
		if (schema_load(conn, &schema, err) < 0)
			return -1;
	}
	if (ret->files && files_on_open(conn, ret->files, err) < 0)
		return -1;
	ret->schema = schema;
	schema = NULL; /* handed over */
	return 0;
}
