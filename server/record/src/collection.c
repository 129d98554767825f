/*
 * collection.c - collections listed, made, changed and dropped over the API
 *
 * A change runs alone on the writer: the tables are altered, the new snapshot is read inside the
 * same transaction, the rules are tried on it, and only after the COMMIT does it take the old one's
 * place, before any later write runs.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "change.h"

#define ID_MAX 31 /* characters of a collection's id, as token claims hold it */

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

static const char *const rule_names[RULES] = { "listRule", "viewRule", "createRule", "updateRule",
	"deleteRule" };

/* Superusers only. NULL: answered. */
static struct record_work *begin(
	struct record_call *call, void (*start)(struct record_call *call), bool needs_collection)
{
	struct record_work *work =
		needs_collection ? work_new_with_collection(call, start) : work_new(call, start);
	if (!work || work_is_superuser(work))
		return work;
	work_answer(work, 403, "Only superusers can perform this action.");
	return NULL;
}

/* ---- reading ---- */

static uint64_t number_query(
	const struct record_work *work, const char *name, uint64_t fallback, uint64_t max)
{
	uint64_t number;
	if (!bytes_parse_u64(work_query(work, name), max, &number) || number == 0)
		return fallback;
	return number;
}

void record_collection_list(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_list, false);
	if (!work)
		return;
	const struct record_schema *schema = work->schema;
	uint64_t page = number_query(work, "page", 1, 1000000);
	uint64_t per_page = number_query(work, "perPage", 30, RECORD_PER_PAGE_MAX);
	uint64_t n_pages = (schema->n_collections + per_page - 1) / per_page;
	struct text_json_writer writer;
	text_json_writer_init(&writer, &call->answer);
	text_json_begin_object(&writer);
	text_json_write_key(&writer, BYTES("page"));
	text_json_write_uint64(&writer, page);
	text_json_write_key(&writer, BYTES("perPage"));
	text_json_write_uint64(&writer, per_page);
	text_json_write_key(&writer, BYTES("totalItems"));
	text_json_write_uint64(&writer, schema->n_collections);
	text_json_write_key(&writer, BYTES("totalPages"));
	text_json_write_uint64(&writer, n_pages);
	text_json_write_key(&writer, BYTES("items"));
	text_json_begin_array(&writer);
	for (uint64_t i = (page - 1) * per_page; i < page * per_page && i < schema->n_collections;
		i++)
		collection_write(&writer, &schema->collections[i]);
	text_json_end_array(&writer);
	text_json_end_object(&writer);
	work_answer(work, 200, "");
}

void record_collection_get(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_get, true);
	if (!work)
		return;
	struct text_json_writer writer;
	text_json_writer_init(&writer, &call->answer);
	collection_write(&writer, work->collection);
	work_answer(work, 200, "");
}

/* ---- the body of a change ---- */

static bool parse_field_list(struct record_work *work, struct change *change, struct bytes json)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct arena *arena = work->call->arena;
	text_json_reader_init(&reader, json);
	change->has_fields = true;
	change->n_fields = 0;
	change->fields = arena_alloc(arena, FIELDS_MAX * sizeof(*change->fields));
	if (!change->fields || text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_OBJECT) {
		const char *code, *message;
		struct record_field *field = &change->fields[change->n_fields];
		struct bytes object = text_json_skip(&reader, &token);
		if (change->n_fields == FIELDS_MAX) {
			problems_add(&work->problems, BYTES("fields"), "validation_length_too_long",
				"At most %d fields are allowed.", FIELDS_MAX);
			return true;
		}
		bool is_good = field_parse(object, arena, field, &code, &message);
		field_fini(field); /* a pattern's automaton is the snapshot's to make */
		if (!is_good) {
			problems_add(&work->problems, BYTES("fields"), code, "Field %zu (%.*s): %s",
				change->n_fields, (int)field->name.n,
				field->name.p ? field->name.p : "", message);
			return true;
		}
		field->is_system = false; /* nobody but us makes system fields */
		field->is_primary = false;
		change->n_fields++;
	}
	return token.type == TEXT_JSON_ARRAY_END;
}

static bool parse_rule(struct record_work *work, struct change_rule *rule, struct bytes json)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	*rule = (struct change_rule){ .is_set = true, .is_null = token.type == TEXT_JSON_NULL };
	return rule->is_null || text_json_text(&token, work->call->arena, &rule->text);
}

static bool parse_text(struct record_work *work, struct bytes json, struct bytes *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	return text_json_text(&token, work->call->arena, ret);
}

static bool take_member(struct record_work *work, struct change *change,
	const struct text_json_token *key, struct bytes json)
{
	struct bytes type;
	for (int i = 0; i < RULES; i++)
		if (text_json_is(key, bytes_of(rule_names[i])))
			return parse_rule(work, &change->rules[i], json);
	if (text_json_is(key, BYTES("name")))
		return change->has_name = parse_text(work, json, &change->name);
	/* A collection may bring its id, so that others can name it before it is there. */
	if (text_json_is(key, BYTES("id")) && !work->collection)
		return parse_text(work, json, &change->id);
	if (text_json_is(key, BYTES("fields")))
		return parse_field_list(work, change, json);
	if (text_json_is(key, BYTES("indexes"))) {
		change->has_indexes = true;
		return bytes_list_parse(json, work->call->arena, &change->indexes);
	}
	if (text_json_is(key, BYTES("type"))) {
		if (!parse_text(work, json, &type))
			return false;
		bool is_auth = bytes_eq_string(type, "auth");
		bool is_change = work->collection && is_auth != work->collection->is_auth;
		if (!is_auth && !bytes_eq_string(type, "base"))
			problems_add(&work->problems, BYTES("type"), "validation_in_invalid",
				"Must be base or auth.");
		else if (is_change)
			problems_add(&work->problems, BYTES("type"),
				"validation_collection_type_change",
				"Collection type cannot be changed.");
		else
			change->is_auth = is_auth;
		change->has_type = true;
	}
	return true;
}

static bool parse_change(struct record_work *work, struct change *change)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, work->call->body);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		struct text_json_token key = token;
		struct bytes json = text_json_skip(&reader, &token);
		if (!take_member(work, change, &key, json))
			return false;
	}
	return token.type == TEXT_JSON_OBJECT_END;
}

/* ---- is the change a good one? ---- */

static void check_id(struct record_work *work, const struct change *change)
{
	if (work->collection)
		return;
	for (size_t i = 0; i < change->id.n; i++)
		if (!isalnum((unsigned char)change->id.p[i]) && change->id.p[i] != '_') {
			problems_add(&work->problems, BYTES("id"), "validation_match_invalid",
				"An id has letters, digits and '_' only.");
			return;
		}
	if (change->id.n > ID_MAX)
		problems_add(&work->problems, BYTES("id"), "validation_max_text_constraint",
			"Must be no more than %d character(s).", ID_MAX);
	else if (schema_find(work->schema, change->id))
		problems_add(&work->problems, BYTES("id"), "validation_not_unique",
			"The model id is invalid or already exists.");
}

static void check_name(struct record_work *work, const struct change *change)
{
	const struct record_collection *other = schema_find(work->schema, change->name);
	const struct record_collection *old = work->collection;
	if (old && bytes_eq(old->name, change->name))
		return;
	if (old && old->is_system)
		problems_add(&work->problems, BYTES("name"),
			"validation_collection_system_name_change",
			"System collection name cannot be changed.");
	else if (!change->name.n)
		problems_add(&work->problems, BYTES("name"), "validation_required",
			"Missing required value.");
	else if (!name_is_valid(change->name) || memmem(change->name.p, change->name.n, "_via_", 5))
		problems_add(&work->problems, BYTES("name"), "validation_match_invalid",
			"A name starts with a letter and has letters, digits and '_' only.");
	else if (other && other != old)
		problems_add(&work->problems, BYTES("name"), "validation_collection_name_exists",
			"Collection name must be unique (case insensitive).");
}

static const struct record_field *old_field(
	const struct record_collection *old, struct bytes id, struct bytes name)
{
	for (size_t i = 0; old && i < old->n_fields && id.n; i++)
		if (bytes_eq(old->fields[i].id, id))
			return &old->fields[i];
	return old && !id.n ? collection_field(old, name) : NULL;
}

static bool is_system_name(const struct change *change, struct bytes name)
{
	static const char *const names[] = { "password", "tokenKey", "email", "emailVisibility",
		"verified" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && change->is_auth; i++)
		if (bytes_eq_string(name, names[i]))
			return true;
	return bytes_eq_string(name, "id");
}

/* A field keeps its id; a system field keeps everything but its looks. */
static bool settle_field(
	struct record_work *work, struct change *change, struct record_field *field)
{
	const struct record_field *was = old_field(work->collection, field->id, field->name);
	if (was && was->is_system) {
		if (!bytes_eq(was->name, field->name))
			problems_add(&work->problems, BYTES("fields"),
				"validation_system_field_change",
				"System fields cannot be deleted or renamed.");
		bool is_presentable = field->is_presentable;
		*field = *was;
		field->regex = NULL; /* the old snapshot's */
		field->is_presentable = is_presentable;
		return true;
	}
	if (was && was->type != field->type)
		problems_add(&work->problems, BYTES("fields"), "validation_field_type_change",
			"%.*s: Field type cannot be changed.", (int)field->name.n, field->name.p);
	if (was && was->type == FIELD_RELATION && field->type == FIELD_RELATION &&
		!bytes_eq(was->collection_id, field->collection_id))
		problems_add(&work->problems, BYTES("fields"), "validation_field_relation_change",
			"%.*s: The relation collection cannot be changed.", (int)field->name.n,
			field->name.p);
	if (field->type == FIELD_PASSWORD)
		problems_add(&work->problems, BYTES("fields"), "validation_invalid_field",
			"Only auth collections have a password, and only one.");
	if (was) {
		field->id = was->id;
		return true;
	}
	if (!field->id.n || field->id.n > 100) {
		char id[ID_RECORD_BYTES + 1];
		id_record(loop_ids(work->call->loop), id);
		char *copy = arena_copy(work->call->arena, bytes_of(id));
		field->id = (struct bytes){ copy, ID_RECORD_BYTES };
		return copy;
	}
	(void)change;
	return true;
}

static bool settle_fields(struct record_work *work, struct change *change)
{
	struct record_field *fields = change->fields;
	const struct record_collection *old = work->collection;
	size_t n = 0;
	for (size_t i = 0; i < change->n_fields; i++) {
		/* A new collection's system fields are ours to write. */
		if (!old && is_system_name(change, fields[i].name))
			continue;
		fields[n] = fields[i];
		if (!settle_field(work, change, &fields[n++]))
			return false;
	}
	change->n_fields = n;
	for (size_t i = 0; old && i < old->n_fields; i++) {
		bool is_kept = false;
		for (size_t f = 0; f < n; f++)
			is_kept |= bytes_eq(fields[f].id, old->fields[i].id);
		if (!is_kept && old->fields[i].is_system) {
			problems_add(&work->problems, BYTES("fields"),
				"validation_system_field_change",
				"System fields cannot be deleted or renamed.");
			return true;
		}
	}
	return true;
}

static void check_duplicates(struct record_work *work, const struct change *change)
{
	for (size_t i = 0; i < change->n_fields; i++)
		for (size_t j = 0; j < i; j++)
			if (bytes_eq_nocase(change->fields[i].name, change->fields[j].name) ||
				bytes_eq(change->fields[i].id, change->fields[j].id)) {
				problems_add(&work->problems, BYTES("fields"),
					"validation_duplicated_field_name",
					"Duplicated field %.*s.", (int)change->fields[i].name.n,
					change->fields[i].name.p);
				return;
			}
}

static bool is_index_taken(
	const struct record_work *work, const struct change *change, size_t n, struct bytes name)
{
	char needle[NAME_MAX_BYTES + 16];
	int length = snprintf(needle, sizeof(needle), "INDEX \"%.*s\" ON", (int)name.n, name.p);
	for (size_t i = 0; i < n; i++)
		if (memmem(change->indexes.items[i].p, change->indexes.items[i].n, needle,
			    (size_t)length))
			return true;
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *other = &work->schema->collections[c];
		for (size_t i = 0; other != work->collection && i < other->indexes.n; i++)
			if (memmem(other->indexes.items[i].p, other->indexes.items[i].n, needle,
				    (size_t)length))
				return true;
	}
	return false;
}

static void settle_indexes(struct record_work *work, struct change *change)
{
	if (change->indexes.n > INDEXES_MAX) {
		problems_add(&work->problems, BYTES("indexes"), "validation_length_too_long",
			"At most %d indexes are allowed.", INDEXES_MAX);
		return;
	}
	for (size_t i = 0; i < change->indexes.n; i++) {
		struct bytes name;
		struct bytes *text = &change->indexes.items[i];
		if (!index_parse(*text, change, work->call->arena, text, &name)) {
			problems_add(&work->problems, BYTES("indexes"),
				"validation_invalid_index_expression",
				"Index %zu is not a CREATE INDEX that is supported here.", i);
			return;
		}
		if (is_index_taken(work, change, i, name)) {
			problems_add(&work->problems, BYTES("indexes"),
				"validation_existing_index_name",
				"The index name is already used: %.*s.", (int)name.n, name.p);
			return;
		}
	}
}

/* What the request did not say stays as it is. */
static bool inherit(struct record_work *work, struct change *change)
{
	const struct record_collection *old = work->collection;
	struct arena *arena = work->call->arena;
	for (int i = 0; i < RULES; i++) {
		if (!change->rules[i].is_set)
			change->rules[i] = (struct change_rule){ .is_null = !old ||
									    old->rules[i].is_null,
				.text = old ? old->rules[i].text : (struct bytes){ NULL, 0 } };
		else if (old && old->is_system &&
			 (old->rules[i].is_null != change->rules[i].is_null ||
				 !bytes_eq(old->rules[i].text, change->rules[i].text)))
			problems_add(&work->problems, bytes_of(rule_names[i]),
				"validation_collection_system_rule_change",
				"System collection API rule cannot be changed.");
	}
	if (!old)
		return true;
	change->id = old->id;
	change->is_system = old->is_system;
	change->is_auth = old->is_auth;
	if (!change->has_name)
		change->name = old->name;
	if (!change->has_fields) {
		change->n_fields = old->n_fields;
		change->fields = arena_alloc(arena, old->n_fields * sizeof(*change->fields));
		if (!change->fields)
			return false;
		memcpy(change->fields, old->fields, old->n_fields * sizeof(*change->fields));
	}
	if (!change->has_indexes) {
		change->indexes.n = old->indexes.n;
		change->indexes.items =
			arena_alloc(arena, (old->indexes.n + 1) * sizeof(struct bytes));
		if (!change->indexes.items)
			return false;
		if (old->indexes.n)
			memcpy(change->indexes.items, old->indexes.items,
				old->indexes.n * sizeof(struct bytes));
	}
	return true;
}

/* ---- on the writer ---- */

/* The rules, and the relations' targets, as the new snapshot sees them. */
static bool check_result(struct record_work *work, const struct record_collection *collection)
{
	problems_init(&work->problems, &work->call->answer);
	for (int i = 0; i < RULES; i++) {
		const struct expr_node *tree;
		struct expr_sql sql;
		struct expr_error error;
		enum expr_result result =
			expr_parse(collection->rules[i].text, work->call->arena, &tree, &error);
		if (result == EXPR_OK)
			result = expr_compile(tree, &work->new_schema->rules.expr, collection,
				BYTES("t"), RULE_PARAM, work->call->arena, &sql, &error);
		if (result == EXPR_INVALID)
			problems_add(&work->problems, bytes_of(rule_names[i]),
				"validation_invalid_rule", "Invalid rule: %s (at byte %zu)",
				error.message, error.offset);
	}
	for (size_t i = 0; i < collection->n_fields; i++)
		if (collection->fields[i].type == FIELD_RELATION && !collection->fields[i].target) {
			problems_add(&work->problems, BYTES("fields"),
				"validation_field_relation_missing_collection",
				"The relation collection doesn't exist.");
			break;
		}
	return work->problems.n == 0;
}

static enum store_outcome run_change(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	const struct change *change = work->change;
	struct bytes_buf *out = &work->call->answer;
	schema_unref(work->new_schema); /* of a run before this one */
	work->new_schema = NULL;
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK && !change)
		outcome = collection_drop(conn, work->collection);
	else if (outcome == STORE_OK && work->collection)
		outcome = collection_alter(conn, work->collection, change, work_now(work));
	else if (outcome == STORE_OK)
		outcome = collection_insert(conn, change, work_now(work));
	if (outcome == STORE_OK)
		outcome = schema_bump(conn);
	if (outcome != STORE_OK)
		return outcome;
	if (schema_load(conn, &work->new_schema, &job->err) < 0)
		return STORE_FAULT;
	if (!change)
		return STORE_OK;
	const struct record_collection *result = schema_find(work->new_schema, change->id);
	if (!result || !check_result(work, result))
		return STORE_REFUSED;
	struct text_json_writer writer;
	bytes_buf_clear(out);
	text_json_writer_init(&writer, out);
	collection_write(&writer, result);
	return STORE_OK;
}

static void deliver_change(struct loop_message *message)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)message -
					       offsetof(struct record_work, password_done));
	const char *failed =
		work->collection ? "Failed to update collection." : "Failed to create collection.";
	if (work_answer_outcome(work))
		return;
	if (work->job.outcome == STORE_OK) {
		work_answer(work, work->change ? 200 : 204, "");
		return;
	}
	if (work->job.outcome == STORE_CONFLICT) {
		problems_init(&work->problems, &work->call->answer);
		problems_add(&work->problems, BYTES("indexes"), "validation_invalid_index",
			"The records that are there break a unique index.");
	}
	work_answer_problems(work, failed);
}

/* On the writer's thread, right after the COMMIT: the next write must find the new snapshot. */
static void done_change(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (job->outcome == STORE_OK)
		book_swap_schema(work->call->book, work->new_schema);
	else
		schema_unref(work->new_schema);
	work->new_schema = NULL;
	work->password_done.deliver = deliver_change;
	loop_post(work->call->loop, &work->password_done);
}

static void queue_change(struct record_work *work)
{
	work->job.run = run_change;
	work->job.done = done_change;
	work->job.loop = NULL;
	work->job.alone = true;
	work->job.deadline_ns = 0;
	store_write(work->call->book->store, &work->job);
}

/* ---- the calls ---- */

static void start_change(struct record_work *work)
{
	struct record_call *call = work->call;
	bool is_new = !work->collection;
	const char *failed =
		is_new ? "Failed to create collection." : "Failed to update collection.";
	struct change *change = arena_alloc(call->arena, sizeof(*change));
	if (!change) {
		work_answer(work, 503, "The server is short of memory.");
		return;
	}
	*change = (struct change){ .is_auth = work->collection && work->collection->is_auth };
	problems_init(&work->problems, &call->answer);
	if (!parse_change(work, change)) {
		bytes_buf_clear(&call->answer);
		work_answer(
			work, 400, "Failed to load the submitted data due to invalid formatting.");
		return;
	}
	if (!change->id.n) {
		char id[ID_RECORD_BYTES + 1];
		id_record(loop_ids(call->loop), id);
		change->id =
			(struct bytes){ arena_copy(call->arena, bytes_of(id)), ID_RECORD_BYTES };
	}
	bool is_done = change->id.p && inherit(work, change) && settle_fields(work, change) &&
		       change_add_system_fields(change, call->arena);
	if (is_done && !work->problems.n) {
		check_id(work, change);
		check_name(work, change);
		check_duplicates(work, change);
		settle_indexes(work, change);
		is_done = change_add_system_indexes(change, call->arena);
	}
	if (!is_done) {
		bytes_buf_clear(&call->answer);
		work_answer(work, 503, "The server is short of memory.");
	} else if (work->problems.n) {
		work_answer_problems(work, failed);
	} else {
		work->change = change;
		queue_change(work);
	}
}

void record_collection_create(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_create, false);
	if (work)
		start_change(work);
}

void record_collection_update(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_update, true);
	if (work)
		start_change(work);
}

void record_collection_delete(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_delete, true);
	if (!work)
		return;
	if (work->collection->is_system) {
		work_answer(work, 400, "You cannot delete system collections.");
		return;
	}
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *other = &work->schema->collections[c];
		for (size_t i = 0; i < other->n_fields; i++)
			if (other->fields[i].target == work->collection &&
				other != work->collection) {
				work_answer(work, 400,
					"Failed to delete collection due to existing dependency.");
				return;
			}
	}
	queue_change(work);
}
