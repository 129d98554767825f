/*
 * auth_options.c - read, checked, kept, told
 *
 * A table says where each option stands in the collection's JSON. The same JSON is what is kept, so
 * that there is one reader; what it does not say is as by default.
 */
#include "auth_options.h"

#include <stdio.h>
#include <string.h>

#include "auth_texts.h"

#define STORED_MAX     (256u << 10)
#define DAY_S          86400
#define LIFETIME_MIN_S 10
#define LIFETIME_MAX_S 94670856 /* three years */
#define IDENTITY_MAX   10
#define SUBJECT_MAX    255
#define LETTER_MAX     5000 /* characters, as PocketBase has it, counted in bytes */

enum option_kind { OPTION_BOOL, OPTION_LIFETIME, OPTION_SUBJECT, OPTION_HTML, OPTION_NAMES };

struct option {
	const char *group, *middle, *name; /* "authAlert", "emailTemplate", "subject" */
	enum option_kind kind;
	size_t offset;
};

#define AT(member) offsetof(struct auth_options, member)
#define LETTER_AT(letter, part)                                                                    \
	(offsetof(struct auth_options, letters) + (letter) * sizeof(struct record_template) +      \
		offsetof(struct record_template, part))
#define LIFETIME_AT(token) (offsetof(struct auth_options, lifetime_s) + (token) * sizeof(int64_t))

/* In order of group: they are written so. */
static const struct option options[] = {
	{ "authAlert", NULL, "enabled", OPTION_BOOL, AT(has_alert) },
	{ "authAlert", "emailTemplate", "subject", OPTION_SUBJECT,
		LETTER_AT(RECORD_LETTER_ALERT, subject) },
	{ "authAlert", "emailTemplate", "body", OPTION_HTML, LETTER_AT(RECORD_LETTER_ALERT, html) },
	{ "authToken", NULL, "duration", OPTION_LIFETIME, LIFETIME_AT(RECORD_TOKEN_AUTH) },
	{ "confirmEmailChangeTemplate", NULL, "subject", OPTION_SUBJECT,
		LETTER_AT(RECORD_LETTER_EMAIL_CHANGE, subject) },
	{ "confirmEmailChangeTemplate", NULL, "body", OPTION_HTML,
		LETTER_AT(RECORD_LETTER_EMAIL_CHANGE, html) },
	{ "emailChangeToken", NULL, "duration", OPTION_LIFETIME,
		LIFETIME_AT(RECORD_TOKEN_EMAIL_CHANGE) },
	{ "fileToken", NULL, "duration", OPTION_LIFETIME, LIFETIME_AT(RECORD_TOKEN_FILE) },
	{ "passwordAuth", NULL, "enabled", OPTION_BOOL, AT(has_password) },
	{ "passwordAuth", NULL, "identityFields", OPTION_NAMES, AT(identity_fields) },
	{ "passwordResetToken", NULL, "duration", OPTION_LIFETIME,
		LIFETIME_AT(RECORD_TOKEN_RESET) },
	{ "resetPasswordTemplate", NULL, "subject", OPTION_SUBJECT,
		LETTER_AT(RECORD_LETTER_RESET, subject) },
	{ "resetPasswordTemplate", NULL, "body", OPTION_HTML,
		LETTER_AT(RECORD_LETTER_RESET, html) },
	{ "verificationTemplate", NULL, "subject", OPTION_SUBJECT,
		LETTER_AT(RECORD_LETTER_VERIFICATION, subject) },
	{ "verificationTemplate", NULL, "body", OPTION_HTML,
		LETTER_AT(RECORD_LETTER_VERIFICATION, html) },
	{ "verificationToken", NULL, "duration", OPTION_LIFETIME,
		LIFETIME_AT(RECORD_TOKEN_VERIFICATION) },
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* What is not there yet, as it looks while it is off. */
static const struct {
	const char *group, *json;
} absent[] = {
	{ "mfa", "{\"enabled\":false,\"duration\":1800,\"rule\":\"\"}" },
	{ "oauth2", "{\"enabled\":false,\"mappedFields\":{\"avatarURL\":\"\",\"id\":\"\",\"name\":"
		    "\"\",\"username\":\"\"},\"providers\":[]}" },
	{ "otp", "{\"enabled\":false,\"duration\":180,\"length\":8,\"emailTemplate\":{\"subject\":"
		 "\"\",\"body\":\"\"}}" },
};

static void set_defaults(struct auth_options *ret, bool is_superusers)
{
	static const struct bytes email[] = { { "email", 5 } };
	*ret = (struct auth_options){ .has_password = true,
		.identity_fields = { (struct bytes *)(uintptr_t)email, 1 },
		.lifetime_s = { [RECORD_TOKEN_AUTH] = is_superusers ? DAY_S : 7 * DAY_S,
			[RECORD_TOKEN_FILE] = 180,
			[RECORD_TOKEN_VERIFICATION] = 3 * DAY_S,
			[RECORD_TOKEN_RESET] = 1800,
			[RECORD_TOKEN_EMAIL_CHANGE] = 1800 },
		.auth_rule = { .is_set = true },
		.manage_rule = { .is_set = true, .is_null = true } };
	memcpy(ret->letters, auth_texts, sizeof(ret->letters));
}

/* ---- reading ---- */

/* The value of an option in a collection's JSON; false when nothing is said. */
static bool find_option(struct bytes json, const struct option *option, struct bytes *ret)
{
	char pointer[96];
	(void)snprintf(pointer, sizeof(pointer), "/%s%s%s/%s", option->group,
		option->middle ? "/" : "", option->middle ? option->middle : "", option->name);
	return text_json_find(json, bytes_of(pointer), ret) == TEXT_JSON_FOUND;
}

/* The value into its place, copied. False when it is of another kind or the arena is full. */
static bool take_option(const struct option *option, struct bytes json, struct arena *arena,
	struct auth_options *into)
{
	struct text_json_reader reader;
	struct text_json_token token;
	void *at = (char *)into + option->offset;
	struct bytes text;
	if (option->kind == OPTION_NAMES)
		return bytes_list_parse(json, arena, at);
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	switch (option->kind) {
	case OPTION_BOOL:
		return text_json_bool(&token, at);
	case OPTION_LIFETIME:
		return text_json_int64(&token, at);
	default:
		if (token.type != TEXT_JSON_STRING || !text_json_text(&token, arena, &text))
			return false;
		*(struct bytes *)at = (struct bytes){ arena_copy(arena, text), text.n };
		return ((struct bytes *)at)->p;
	}
}

static bool take_rule(
	struct bytes json, const char *pointer, struct arena *arena, struct change_rule *rule)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes value, text;
	if (text_json_find(json, bytes_of(pointer), &value) != TEXT_JSON_FOUND)
		return true;
	text_json_reader_init(&reader, value);
	text_json_next(&reader, &token);
	*rule = (struct change_rule){ .is_set = true, .is_null = token.type == TEXT_JSON_NULL };
	if (rule->is_null)
		return true;
	if (token.type != TEXT_JSON_STRING || !text_json_text(&token, arena, &text))
		return false;
	rule->text = (struct bytes){ arena_copy(arena, text), text.n };
	return rule->text.p;
}

/* ---- checking ---- */

/* {"authToken":{"duration":{"code":..,"message":..}}}; one is enough for an answer. */
/* One is told at a time: they stand in objects that are written whole. */
static void add_flaw(struct change *change, const struct option *option, const char *code,
	const char *message, struct arena *arena)
{
	struct bytes place = arena_printf(arena, "%s%s%s", option->middle ? option->middle : "",
		option->middle ? "/" : "", option->name);
	if (place.p && !change->flaws.n)
		flaws_add(&change->flaws, option->group, -1, place.p, code, "%s", message);
}

/* Fields that serve as identity keep doing so under their new names. */
static bool rename_identity(
	const struct change *change, struct auth_options *all, struct arena *arena)
{
	const struct bytes_list *old = &all->identity_fields;
	struct bytes *items = arena_alloc(arena, (old->n + 1) * sizeof(*items));
	for (size_t i = 0; items && i < old->n; i++) {
		const struct record_field *was = collection_field(change->old, old->items[i]);
		items[i] = old->items[i];
		for (size_t f = 0; was && f < change->n_fields; f++)
			if (bytes_eq(change->fields[f].id, was->id))
				items[i] = change->fields[f].name;
	}
	all->identity_fields.items = items;
	return items;
}

/* True when the field has an index of its own that is unique, or is the id. */
static bool is_unique(const struct change *change, const struct record_field *field)
{
	static const char *const endings[] = { ")", " COLLATE NOCASE)" };
	char needle[NAME_MAX_BYTES + 32];
	if (field->is_primary)
		return true;
	/* Index texts are our own wording: CREATE UNIQUE INDEX "n" ON "t" ("column"...) */
	for (size_t e = 0; e < 2; e++) {
		int n = snprintf(needle, sizeof(needle), "(%.*s%s", (int)field->column.n,
			field->column.p, endings[e]);
		for (size_t i = 0; i < change->indexes.n; i++) {
			struct bytes text = change->indexes.items[i];
			if (bytes_starts_with(text, BYTES("CREATE UNIQUE")) &&
				memmem(text.p, text.n, needle, (size_t)n))
				return true;
		}
	}
	return false;
}

static const char *check_names(const struct change *change, const struct bytes_list *names,
	bool has_password, const char **ret_message)
{
	*ret_message = "Cannot be blank.";
	if (names->n == 0)
		return has_password ? "validation_required" : NULL;
	*ret_message = "At most 10 fields are allowed.";
	if (names->n > IDENTITY_MAX)
		return "validation_length_too_long";
	for (size_t i = 0; i < names->n; i++) {
		const struct record_field *field = NULL;
		for (size_t f = 0; f < change->n_fields && !field; f++)
			if (bytes_eq(change->fields[f].name, names->items[i]))
				field = &change->fields[f];
		*ret_message = "There is no such field, or none that can identify an account.";
		if (!field || field->is_secret || field->is_hidden ||
			(field->type != FIELD_TEXT && field->type != FIELD_EMAIL &&
				field->type != FIELD_URL))
			return "validation_missing_field";
		*ret_message = "The field doesn't have a UNIQUE constraint.";
		if (!is_unique(change, field))
			return "validation_missing_unique_constraint";
	}
	return NULL;
}

/* NULL when the option may stand so. */
static const char *check_option(const struct change *change, const struct auth_options *all,
	const struct option *option, const char **ret_message)
{
	const void *at = (const char *)all + option->offset;
	switch (option->kind) {
	case OPTION_BOOL:
		return NULL;
	case OPTION_LIFETIME:
		*ret_message = "Must be between 10 and 94670856 seconds.";
		if (*(const int64_t *)at < LIFETIME_MIN_S)
			return "validation_min_greater_equal_than_required";
		return *(const int64_t *)at > LIFETIME_MAX_S
			       ? "validation_max_less_equal_than_required"
			       : NULL;
	case OPTION_SUBJECT:
	case OPTION_HTML:
		*ret_message = "Cannot be blank.";
		if (((const struct bytes *)at)->n == 0)
			return "validation_required";
		*ret_message = "It is too long.";
		return ((const struct bytes *)at)->n >
				       (option->kind == OPTION_HTML ? LETTER_MAX : SUBJECT_MAX)
			       ? "validation_length_out_of_range"
			       : NULL;
	case OPTION_NAMES:
		return check_names(change, at, all->has_password, ret_message);
	}
	return NULL;
}

static void check_absent(struct change *change, struct arena *arena)
{
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		struct option option = { absent[i].group, NULL, "enabled", OPTION_BOOL, 0 };
		struct bytes value;
		if (find_option(change->body, &option, &value) && bytes_eq(value, BYTES("true")))
			add_flaw(change, &option, "validation_not_supported",
				"This version cannot do that yet.", arena);
	}
}

static void check_rules(struct change *change, const struct auth_options *all)
{
	const struct record_collection *old = change->old;
	const struct change_rule *rules[2] = { &all->auth_rule, &all->manage_rule };
	static const char *const names[2] = { "authRule", "manageRule" };
	/* "" would let anybody take over any account. */
	if (!all->manage_rule.is_null && all->manage_rule.text.n == 0)
		flaws_add(&change->flaws, "manageRule", -1, NULL,
			"validation_nil_or_not_empty_required", "Cannot be blank.");
	for (int i = 0; i < 2; i++) {
		const struct record_rule *was = old ? &old->rules[RULE_AUTH + i] : NULL;
		if (was && old->is_system &&
			(was->is_null != rules[i]->is_null || !bytes_eq(was->text, rules[i]->text)))
			flaws_add(&change->flaws, names[i], -1, NULL,
				"validation_collection_system_rule_change",
				"System collection API rule cannot be changed.");
	}
}

bool auth_options_settle(struct record_work *work, struct change *change)
{
	struct arena *arena = work->arena;
	struct bytes value;
	if (!change->is_auth)
		return true;
	struct auth_options *all = arena_alloc(arena, sizeof(*all));
	if (!all)
		return false;
	if (change->old && change->old->auth)
		*all = *change->old->auth;
	else
		set_defaults(all, false);
	if (change->old && !rename_identity(change, all, arena))
		return false;
	change->auth = all;
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const char *message = "Invalid value.";
		const char *code = NULL;
		if (find_option(change->body, &options[i], &value) &&
			!take_option(&options[i], value, arena, all))
			code = "validation_invalid_value";
		else
			code = check_option(change, all, &options[i], &message);
		if (code)
			add_flaw(change, &options[i], code, message, arena);
	}
	if (!take_rule(change->body, "/authRule", arena, &all->auth_rule) ||
		!take_rule(change->body, "/manageRule", arena, &all->manage_rule))
		flaws_add(&change->flaws, "authRule", -1, NULL, "validation_invalid_value",
			"A rule is a text or null.");
	check_absent(change, arena);
	check_rules(change, all);
	return true;
}

/* ---- telling and keeping ---- */

static void write_option(struct text_json_writer *writer, const struct option *option,
	const struct auth_options *all)
{
	const void *at = (const char *)all + option->offset;
	const struct bytes_list *names = at;
	text_json_write_key(writer, bytes_of(option->name));
	switch (option->kind) {
	case OPTION_BOOL:
		text_json_write_bool(writer, *(const bool *)at);
		return;
	case OPTION_LIFETIME:
		text_json_write_int64(writer, *(const int64_t *)at);
		return;
	case OPTION_SUBJECT:
	case OPTION_HTML:
		text_json_write_string(writer, *(const struct bytes *)at);
		return;
	case OPTION_NAMES:
		text_json_begin_array(writer);
		for (size_t i = 0; i < names->n; i++)
			text_json_write_string(writer, names->items[i]);
		text_json_end_array(writer);
		return;
	}
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void write_options(struct text_json_writer *writer, const struct auth_options *all)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *option = &options[i];
		const struct option *before = i ? &options[i - 1] : NULL;
		const struct option *after = i + 1 < N_OPTIONS ? &options[i + 1] : NULL;
		bool is_first = !before || !is_same(before->group, option->group);
		bool is_last = !after || !is_same(after->group, option->group);
		if (is_first) {
			text_json_write_key(writer, bytes_of(option->group));
			text_json_begin_object(writer);
		}
		if (option->middle && (is_first || !is_same(before->middle, option->middle))) {
			text_json_write_key(writer, bytes_of(option->middle));
			text_json_begin_object(writer);
		}
		write_option(writer, option, all);
		if (option->middle && (is_last || !is_same(after->middle, option->middle)))
			text_json_end_object(writer);
		if (is_last)
			text_json_end_object(writer);
	}
}

static void write_rule(
	struct text_json_writer *writer, const char *key, bool is_null, struct bytes text)
{
	text_json_write_key(writer, bytes_of(key));
	if (is_null)
		text_json_write_null(writer);
	else
		text_json_write_string(writer, text);
}

void auth_options_write(struct text_json_writer *writer, const struct record_collection *collection)
{
	const struct record_rule *rules = collection->rules;
	write_rule(writer, "authRule", rules[RULE_AUTH].is_null, rules[RULE_AUTH].text);
	write_rule(writer, "manageRule", rules[RULE_MANAGE].is_null, rules[RULE_MANAGE].text);
	write_options(writer, collection->auth);
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		text_json_write_key(writer, bytes_of(absent[i].group));
		text_json_write_raw(writer, bytes_of(absent[i].json));
	}
}

enum store_outcome auth_options_save(struct store_conn *conn, const struct change *change)
{
	DEFER(bytes_buf_fini) struct bytes_buf json;
	struct text_json_writer writer;
	struct store_stmt *stmt;
	bytes_buf_init(&json, STORED_MAX);
	if (!change->auth)
		return STORE_OK;
	text_json_writer_init(&writer, &json);
	text_json_begin_object(&writer);
	write_rule(
		&writer, "authRule", change->auth->auth_rule.is_null, change->auth->auth_rule.text);
	write_rule(&writer, "manageRule", change->auth->manage_rule.is_null,
		change->auth->manage_rule.text);
	write_options(&writer, change->auth);
	text_json_end_object(&writer);
	enum store_outcome outcome = store_prepare(conn,
		BYTES("INSERT INTO _auth_options(collection_id, options) VALUES(?1, ?2) "
		      "ON CONFLICT(collection_id) DO UPDATE SET options=excluded.options"),
		&stmt);
	if (outcome != STORE_OK || json.failed)
		return outcome == STORE_OK ? STORE_FAULT : outcome;
	store_bind_text(stmt, 1, change->id);
	store_bind_text(stmt, 2, bytes_buf_view(&json));
	return store_exec(stmt, NULL);
}

enum store_outcome auth_options_drop(struct store_conn *conn, struct bytes collection_id)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(
		conn, BYTES("DELETE FROM _auth_options WHERE collection_id=?1"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, collection_id);
	return store_exec(stmt, NULL);
}

/* What is kept was checked when it came; what this version reads otherwise is as by default. */
static bool load_one(struct store_stmt *stmt, bool has_row, struct arena *arena,
	struct record_collection *collection)
{
	struct auth_options *all = arena_alloc(arena, sizeof(*all));
	struct bytes json, value;
	if (!all)
		return false;
	set_defaults(all, collection->is_superusers);
	if (has_row) {
		json = store_column_text(stmt, 0);
		for (size_t i = 0; i < N_OPTIONS; i++)
			if (find_option(json, &options[i], &value) &&
				!take_option(&options[i], value, arena, all))
				return false;
		if (!take_rule(json, "/authRule", arena, &all->auth_rule) ||
			!take_rule(json, "/manageRule", arena, &all->manage_rule))
			return false;
	}
	collection->auth = all;
	collection->rules[RULE_AUTH].is_null = all->auth_rule.is_null;
	collection->rules[RULE_AUTH].text = all->auth_rule.text;
	collection->rules[RULE_MANAGE].is_null = all->manage_rule.is_null;
	collection->rules[RULE_MANAGE].text = all->manage_rule.text;
	return true;
}

int auth_options_load(struct store_conn *conn, struct record_schema *schema, struct err *err)
{
	for (size_t c = 0; c < schema->n_collections; c++) {
		struct record_collection *collection = &schema->collections[c];
		struct store_stmt *stmt;
		bool has_row = false;
		if (!collection->is_auth)
			continue;
		if (store_prepare(conn,
			    BYTES("SELECT options FROM _auth_options WHERE collection_id=?1"),
			    &stmt) != STORE_OK)
			return ERR_SET(err, ERR_STATE, "cannot read sign-in options: %s",
				store_message(conn));
		store_bind_text(stmt, 1, collection->id);
		if (store_step(stmt, &has_row) != STORE_OK)
			return ERR_SET(err, ERR_STATE, "cannot read sign-in options: %s",
				store_message(conn));
		if (!load_one(stmt, has_row, schema->arena, collection))
			return ERR_SET(err, ERR_CORRUPT,
				"the stored sign-in options of %.60s are unreadable",
				collection->name.p);
	}
	return 0;
}
