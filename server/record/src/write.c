/*
 * write.c - records created and changed
 *
 *   on the loop          body -> values -> checks ─▶ password lane ─▶ before-hook ─▶ writer's queue
 *   on the writer        version -> insert or merge -> rule -> attached checks -> answer's JSON
 *
 * What a client may not set is passed over and named in call->ignored, or refused when it asked for
 * that.
 */
#include <stdio.h>
#include <string.h>

#include "password.h"
#include "work.h"

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

/* ---- the body ---- */

/* Members that a whole record carries and that are nobody's to set. */
static bool is_silent(struct bytes name)
{
	static const char *const names[] = { "collectionId", "collectionName", "expand" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_eq_string(name, names[i]))
			return true;
	return false;
}

static void ignore(struct record_work *work, struct bytes name)
{
	struct bytes_buf *out = &work->call->ignored;
	if (work->call->is_strict && !is_silent(name)) {
		problems_add(&work->problems, name, "validation_unknown_field",
			"The field does not exist or cannot be set.");
		return;
	}
	/* A header's value: what is no name of ours is left out. */
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] >= 127 ||
			name.p[i] == ',')
			return;
	if (name.n > 64 || out->n + name.n + 1 > 2048)
		return;
	if (out->n)
		bytes_buf_append_byte(out, ',');
	bytes_buf_append(out, name);
}

/* What only a superuser may set in an auth record: else anybody could verify himself, or take
 * another address without proving that it is his. */
static bool is_guarded(const struct record_work *work, const struct record_field *field)
{
	if (work_is_superuser(work) || !work->collection->is_auth || !field->is_system)
		return false;
	bool is_update = work->call->id.n > 0;
	return bytes_eq_string(field->name, "verified") ||
	       (is_update && bytes_eq_string(field->name, "email"));
}

enum modifier { MODIFY_SET, MODIFY_APPEND, MODIFY_PREPEND, MODIFY_REMOVE };

/* "tags", "tags+", "+tags", "tags-". */
static const struct record_field *find_target(
	const struct record_collection *collection, struct bytes name, enum modifier *ret)
{
	const struct record_field *field = collection_field(collection, name);
	*ret = MODIFY_SET;
	if (field || name.n < 2)
		return field;
	char last = name.p[name.n - 1];
	if (name.p[0] == '+') {
		*ret = MODIFY_PREPEND;
		name = (struct bytes){ name.p + 1, name.n - 1 };
	} else if (last == '+' || last == '-') {
		*ret = last == '+' ? MODIFY_APPEND : MODIFY_REMOVE;
		name.n--;
	} else {
		return NULL;
	}
	field = collection_field(collection, name);
	bool is_number = field && field->type == FIELD_NUMBER && *ret != MODIFY_PREPEND;
	bool is_choice = field && (field->type == FIELD_SELECT || field->type == FIELD_RELATION);
	return is_number || is_choice ? field : NULL;
}

static bool modify(const struct record_field *field, enum modifier modifier,
	const struct value *change, struct arena *arena, struct value *value)
{
	if (modifier == MODIFY_SET) {
		*value = *change;
		return true;
	}
	value->is_set = true;
	if (field->type == FIELD_NUMBER) {
		value->number += modifier == MODIFY_REMOVE ? -change->number : change->number;
		return true;
	}
	struct value merged = { .is_set = true };
	size_t n_max = value->n_items + change->n_items;
	merged.items = arena_alloc(arena, (n_max + 1) * sizeof(struct bytes));
	if (!merged.items)
		return false;
	const struct value *first = modifier == MODIFY_PREPEND ? change : value;
	const struct value *second = modifier == MODIFY_PREPEND ? value : change;
	for (size_t i = 0; i < first->n_items + second->n_items; i++) {
		struct bytes item =
			i < first->n_items ? first->items[i] : second->items[i - first->n_items];
		bool is_out = modifier == MODIFY_REMOVE && i >= first->n_items;
		for (size_t c = 0; c < change->n_items && modifier == MODIFY_REMOVE; c++)
			is_out |= bytes_eq(change->items[c], item);
		for (size_t c = 0; c < merged.n_items; c++)
			is_out |= bytes_eq(merged.items[c], item);
		if (!is_out)
			merged.items[merged.n_items++] = item;
	}
	*value = merged;
	return value_set_items(field, value, arena);
}

static bool take_member(
	struct record_work *work, struct bytes name, struct bytes json, struct bytes *ret_confirm)
{
	struct arena *arena = work->call->arena;
	const struct record_collection *collection = work->collection;
	enum modifier modifier;
	const struct record_field *field = find_target(collection, name, &modifier);
	struct value value;
	static const struct record_field text_field = { .type = FIELD_TEXT };

	bool is_confirm = bytes_eq_string(name, "passwordConfirm");
	if (collection->is_auth && (is_confirm || bytes_eq_string(name, "oldPassword"))) {
		if (!value_parse(&text_field, json, arena, &value))
			return false;
		*(is_confirm ? ret_confirm : &work->old_password) = value.text;
		return true;
	}
	if (field && field->type == FIELD_PASSWORD) {
		if (!value_parse(&text_field, json, arena, &value))
			return false;
		work->password = value.text;
		work->has_password = value.text.n > 0;
		return true;
	}
	if (!field || field->is_secret || field->type == FIELD_AUTODATE ||
		(field->is_hidden && !work_is_superuser(work)) || is_guarded(work, field)) {
		ignore(work, name);
		return true;
	}
	if (field->is_primary && work->call->id.n) { /* an id never changes */
		if (value_parse(field, json, arena, &value) &&
			!bytes_eq(value.text, work->call->id))
			ignore(work, name);
		return true;
	}
	struct value *at = &work->values[field - collection->fields];
	return value_parse(field, json, arena, &value) &&
	       modify(field, modifier, &value, arena, at);
}

/* Applies the body to work->values. False when the arena is full or the body is no object: then
 * the call has been answered. */
static bool apply_body(struct record_work *work, struct bytes *ret_confirm)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes name;
	*ret_confirm = (struct bytes){ NULL, 0 };
	text_json_reader_init(&reader, work->call->body);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		struct text_json_token key = token;
		struct bytes json = text_json_skip(&reader, &token);
		if (!text_json_text(&key, work->call->arena, &name) ||
			!take_member(work, name, json, ret_confirm))
			return false;
	}
	return token.type == TEXT_JSON_OBJECT_END;
}

static const struct record_field *password_field(const struct record_collection *collection)
{
	return collection->is_auth ? collection_field(collection, BYTES("password")) : NULL;
}

static void check_password(struct record_work *work, struct bytes confirm, bool is_create)
{
	const struct record_field *field = password_field(work->collection);
	if (!field || (!work->has_password && !is_create))
		return;
	value_check_password(field, work->password, &work->problems);
	if (!work->has_password)
		return;
	if (!confirm.n)
		problems_add(&work->problems, BYTES("passwordConfirm"), "validation_required",
			"Missing required value.");
	else if (!bytes_eq(confirm, work->password))
		problems_add(&work->problems, BYTES("passwordConfirm"),
			"validation_values_mismatch", "Values don't match.");
	if (!is_create && !work_is_superuser(work) && !work->old_password.n)
		problems_add(&work->problems, BYTES("oldPassword"), "validation_required",
			"Missing required value.");
}

/* A fresh token key: every token that was signed over the last one is worth nothing now. */
static void draw_token_key(struct record_work *work)
{
	char random[24];
	id_random(loop_ids(work->call->loop), random, sizeof(random));
	bytes_hex((struct bytes){ random, sizeof(random) }, work->token_key);
	work->token_key[48] = '\0';
}

/* ---- the password lane ---- */

static void queue_write(struct record_work *work);

static void done_password(struct loop_message *message)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)message -
					       offsetof(struct record_work, password_done));
	if (work->is_password_wrong) {
		problems_add(&work->problems, BYTES("oldPassword"),
			"validation_invalid_old_password", "Missing or invalid old password.");
		work_answer_problems(work, "Failed to update record.");
	} else if (work->job.err.code != ERR_NONE) {
		work->job.outcome = STORE_FAULT;
		work_answer_outcome(work);
	} else {
		queue_write(work);
	}
}

static void run_password(struct executor_job *job)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)job -
					       offsetof(struct record_work, password_job));
	struct err *err = &work->job.err;
	bool is_right = true;
	*err = (struct err){ 0 };
	if (work->old_hash[0] &&
		password_check(bytes_of(work->old_hash), work->old_password, &is_right, err) == 0)
		work->is_password_wrong = !is_right;
	if (err->code == ERR_NONE && !work->is_password_wrong)
		password_hash(work->password, PASSWORD_COST, work->password_hash, err);
	work->password_done.deliver = done_password;
	loop_post(work->call->loop, &work->password_done);
}

static void start_password(struct record_work *work)
{
	work->password_job.run = run_password;
	if (executor_submit(work->call->book->executor, EXECUTOR_PASSWORD, &work->password_job) ==
		EXECUTOR_OK)
		return;
	work->job.outcome = STORE_BUSY;
	work_answer_outcome(work);
}

/* ---- on the writer ---- */

static enum store_outcome refuse(struct record_work *work, int status, const char *message)
{
	work->refused_status = status;
	work->refused_message = message;
	return STORE_REFUSED;
}

static enum store_outcome check_relation(struct record_work *work, struct store_conn *conn,
	const struct record_field *field, const struct value *value)
{
	struct record_call *call = work->call;
	const struct record_collection *target = field->target;
	for (size_t i = 0; i < value->n_items; i++) {
		struct store_stmt *stmt;
		bool has_row = false;
		char sql[128];
		if (target) {
			int n = snprintf(sql, sizeof(sql), "SELECT 1 FROM %.*s WHERE \"id\"=?1",
				(int)target->table.n, target->table.p);
			enum store_outcome outcome =
				store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
			if (outcome != STORE_OK)
				return outcome;
			store_bind_text(stmt, 1, value->items[i]);
			outcome = store_step(stmt, &has_row);
			if (outcome != STORE_OK)
				return outcome;
		}
		if (has_row)
			continue;
		if (!work->problems.n)
			problems_init(&work->problems, &call->answer);
		problems_add(&work->problems, field->name, "validation_missing_rel_records",
			"Failed to find all relation records with the provided ids.");
		return STORE_OK;
	}
	return STORE_OK;
}

static enum store_outcome check_relations(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		if (field->type != FIELD_RELATION || !work->values[i].is_set)
			continue;
		enum store_outcome outcome = check_relation(work, conn, field, &work->values[i]);
		if (outcome != STORE_OK)
			return outcome;
	}
	return work->problems.n ? refuse(work, 0, NULL) : STORE_OK;
}

static void bind_field(struct record_work *work, size_t i, struct store_stmt *stmt, int index)
{
	const struct record_field *field = &work->collection->fields[i];
	if (field->is_primary)
		store_bind_text(stmt, index, bytes_of(work->id));
	else if (field->type == FIELD_PASSWORD)
		store_bind_text(stmt, index, bytes_of(work->password_hash));
	else if (field->is_secret)
		store_bind_text(stmt, index, bytes_of(work->token_key));
	else
		value_bind(field, &work->values[i], stmt, index);
}

static enum store_outcome insert_row(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	struct store_stmt *stmt;
	bytes_buf_init(&sql, 65536);
	bytes_buf_appendf(&sql, "INSERT INTO %.*s(", (int)collection->table.n, collection->table.p);
	for (size_t i = 0; i < collection->n_fields; i++)
		bytes_buf_appendf(&sql, "%s%.*s", i ? "," : "", (int)collection->fields[i].column.n,
			collection->fields[i].column.p);
	bytes_buf_append_string(&sql, ")VALUES(");
	for (size_t i = 0; i < collection->n_fields; i++)
		bytes_buf_append_string(&sql, i ? ",?" : "?");
	bytes_buf_append_byte(&sql, ')');
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	for (size_t i = 0; i < collection->n_fields; i++)
		bind_field(work, i, stmt, (int)i + 1);
	return store_exec(stmt, NULL);
}

/* Whether the row of work->id meets the rule now. */
static enum store_outcome meets_rule(
	struct record_work *work, struct store_conn *conn, enum rule which, bool *ret)
{
	const struct expr_sql *rule = work_rule(work, which);
	const struct record_collection *collection = work->collection;
	struct store_stmt *stmt;
	*ret = true;
	if (bytes_eq_string(rule->sql, "1"))
		return STORE_OK;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, 512u << 10);
	bytes_buf_appendf(&sql, "SELECT 1 FROM %.*s t WHERE t.\"id\"=?1 AND (",
		(int)collection->table.n, collection->table.p);
	bytes_buf_append(&sql, rule->sql);
	bytes_buf_append_byte(&sql, ')');
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(work->id));
	if (!expr_bind(rule, &work->environment, stmt))
		return STORE_FAULT;
	return store_step(stmt, ret);
}

/* Copies what may be gone when the answer is written. */
static void note_refusal(struct record_work *work, const struct record_refusal *refusal)
{
	struct record_call *call = work->call;
	struct bytes message = refusal->message.n ? refusal->message : BYTES("Refused.");
	char *copy = arena_copy(call->arena, message);
	work->refused_status =
		refusal->status >= 400 && refusal->status < 500 ? refusal->status : 400;
	work->refused_message = copy ? copy : "Refused.";
	problems_init(&work->problems, &call->answer);
	if (refusal->field.n) {
		char code[64];
		bytes_to_string(refusal->code.n ? refusal->code : BYTES("validation_hook_refused"),
			code, sizeof(code));
		problems_add(
			&work->problems, refusal->field, code, "%.*s", (int)message.n, message.p);
	}
	problems_finish(&work->problems);
	work->has_refusal_data = true;
}

static enum store_outcome run_attached(struct record_work *work, struct store_conn *conn)
{
	const struct record_hooks *hooks = work->call->book->hooks;
	struct record_refusal refusal = { 0 };
	enum store_outcome outcome = STORE_FAULT;
	if (!work->has_attached)
		return STORE_OK;
	enum record_attached_result result =
		hooks->run_attached(hooks->context, work->hook.attached, conn, &refusal, &outcome);
	store_set_grant(conn, NULL);
	if (result == RECORD_ATTACHED_PASSED)
		return STORE_OK;
	if (result == RECORD_ATTACHED_FAULT)
		return outcome == STORE_OK ? STORE_FAULT : outcome;
	note_refusal(work, &refusal);
	return STORE_REFUSED;
}

/* The row as it is now, as the answer. */
static enum store_outcome encode_answer(struct record_work *work, struct store_conn *conn)
{
	struct encoder encoder;
	bool found;
	bytes_buf_clear(&work->call->answer);
	encoder_init(&encoder, work, conn);
	/* Who may write a record sees what he wrote, whatever the view rule says; relations that he
	 * asks to follow keep theirs. */
	const struct record_collection *collection = work->collection;
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn, collection->get_sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(work->id));
	outcome = store_step(stmt, &found);
	if (outcome != STORE_OK || !found)
		return outcome == STORE_OK ? refuse(work, 400, "The record is gone.") : outcome;
	return encode_row(&encoder, collection, stmt, work->mask, work->expand);
}

static enum store_outcome run_create(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	bool is_met;
	work->refused_status = 0;
	work->has_refusal_data = false;
	work->problems.n = 0;
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK)
		outcome = check_relations(work, conn);
	if (outcome == STORE_OK)
		outcome = insert_row(work, conn);
	if (outcome == STORE_OK)
		outcome = meets_rule(work, conn, RULE_CREATE, &is_met);
	if (outcome == STORE_OK && !is_met)
		outcome = refuse(work, 400, "Failed to create record.");
	if (outcome == STORE_OK)
		outcome = run_attached(work, conn);
	return outcome == STORE_OK ? encode_answer(work, conn) : outcome;
}

/* "products.sku, products.lang": a problem for each column of ours. */
static void note_conflict(struct record_work *work)
{
	struct bytes left = bytes_of(work->job.conflict_columns);
	problems_init(&work->problems, &work->call->answer);
	if (work->job.conflict != STORE_CONFLICT_UNIQUE)
		return;
	while (left.n) {
		const char *comma = memchr(left.p, ',', left.n);
		struct bytes part = { left.p, comma ? (size_t)(comma - left.p) : left.n };
		left = comma && left.n > part.n + 2
			       ? (struct bytes){ comma + 2, left.n - part.n - 2 }
			       : (struct bytes){ NULL, 0 };
		const char *dot = memchr(part.p, '.', part.n);
		if (!dot)
			continue;
		struct bytes name = { dot + 1, part.n - (size_t)(dot + 1 - part.p) };
		if (bytes_eq_string(name, "id"))
			problems_add(&work->problems, name, "validation_pk_invalid",
				"The record primary key is invalid or already exists.");
		else
			problems_add(&work->problems, name, "validation_not_unique",
				"Value must be unique.");
	}
}

static void done_write(struct store_job *job)
{
	struct record_work *work = work_of(job);
	bool is_create = work->call->id.n == 0;
	const char *message = is_create ? "Failed to create record." : "Failed to update record.";
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK) {
		work_answer(work, 200, "");
	} else if (job->outcome == STORE_CONFLICT) {
		note_conflict(work);
		work_answer_problems(work, message);
	} else if (work->refused_status) {
		if (!work->has_refusal_data)
			bytes_buf_clear(&work->call->answer);
		work_answer(work, work->refused_status, work->refused_message);
	} else {
		work_answer_problems(work, message);
	}
}

/* ---- hooks ---- */

static void queue_job(struct record_work *work)
{
	memset(&work->problems, 0, sizeof(work->problems));
	bytes_buf_clear(&work->call->answer);
	work->job.deadline_ns = 0; /* no interrupt in a shared batch */
	/* What a plugin attached is foreign SQL, and that may be interrupted. */
	work->job.alone = work->has_attached;
	store_write(work->call->book->store, &work->job);
}

static void done_hook(struct record_hook_call *hook)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)hook - offsetof(struct record_work, hook));
	work->has_attached = hook->attached && work->call->book->hooks->release_attached;
	bytes_buf_fini(&work->hook_record);
	if (!hook->is_refused) {
		queue_job(work);
		return;
	}
	note_refusal(work, &hook->refusal);
	work_answer(work, work->refused_status, work->refused_message);
}

/* The record as it would be stored. */
static void write_record(struct record_work *work, struct bytes_buf *out)
{
	const struct record_collection *collection = work->collection;
	struct text_json_writer writer;
	text_json_writer_init(&writer, out);
	text_json_begin_object(&writer);
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		const struct value *value = &work->values[i];
		if (field->is_secret)
			continue;
		text_json_write_key(&writer, field->name);
		if (field->is_primary)
			text_json_write_string(&writer, bytes_of(work->id));
		else if (field->type == FIELD_NUMBER)
			text_json_write_double(&writer, value->number);
		else if (field->type == FIELD_BOOL)
			text_json_write_bool(&writer, value->number != 0);
		else if (value->is_null)
			text_json_write_null(&writer);
		else if (field->is_list || field->type == FIELD_JSON)
			text_json_write_raw(&writer, value->text);
		else
			text_json_write_string(&writer, value->text);
	}
	text_json_end_object(&writer);
}

static bool ask_hooks(struct record_work *work, enum record_action action)
{
	struct record_call *call = work->call;
	struct record_book *book = call->book;
	const struct record_hooks *hooks = book->hooks;
	struct bytes name = work->collection->name;
	if (!hooks || !hooks->has_before(hooks->context, call->loop, book->tenant, name, action))
		return false;
	bytes_buf_init(&work->hook_record, RECORD_BODY_MAX);
	write_record(work, &work->hook_record);
	work->hook = (struct record_hook_call){ .book = book,
		.loop = call->loop,
		.action = action,
		.collection = name,
		.record = bytes_buf_view(&work->hook_record),
		.viewer = call->viewer,
		.depth = call->depth,
		.deadline_ns = call->deadline_ns,
		.done = done_hook };
	memcpy(work->hook.trace_id, call->trace_id, sizeof(call->trace_id));
	if (work->hook_record.failed)
		work_answer(work, 413, "The record is too large.");
	else if (call->depth >= RECORD_DEPTH_MAX)
		work_answer(work, 400, "Hooks call one another too deeply.");
	else
		hooks->before(hooks->context, &work->hook);
	return true;
}

static void queue_write(struct record_work *work)
{
	if (work->call->id.n || !ask_hooks(work, RECORD_CREATE))
		queue_job(work);
}

/* ---- create ---- */

static void set_autodates(struct record_work *work, bool is_create)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		if (field->type == FIELD_AUTODATE &&
			(is_create ? field->on_create || field->on_update : field->on_update))
			work->values[i] =
				(struct value){ .is_set = true, .text = bytes_of(work_now(work)) };
	}
}

static bool parse_shape(struct record_work *work)
{
	struct bytes expand = work_query(work, "expand");
	struct bytes fields = work_query(work, "fields");
	return (!expand.n || expand_parse(work, expand, &work->expand)) &&
	       (!fields.n || mask_parse(work, fields, &work->mask));
}

/* Makes work->values, all at their defaults for a create. False: the call has been answered. */
static bool begin_write(struct record_work *work, bool is_create)
{
	const struct record_collection *collection = work->collection;
	work->values =
		arena_alloc(work->call->arena, (collection->n_fields + 1) * sizeof(struct value));
	if (!work->values || !parse_shape(work)) {
		work_answer(work, 503, "The server is short of memory.");
		return false;
	}
	for (size_t i = 0; i < collection->n_fields && is_create; i++)
		value_default(&collection->fields[i], &work->values[i]);
	problems_init(&work->problems, &work->call->answer);
	return true;
}

/* The id that the client chose, or a fresh one. */
static void set_id(struct record_work *work)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		struct bytes text = work->values[i].text;
		if (!field->is_primary)
			continue;
		if (!text.n) {
			id_record(loop_ids(work->call->loop), work->id);
			work->values[i].text = bytes_of(work->id);
			return;
		}
		bool is_good = text.n == ID_RECORD_BYTES;
		for (size_t c = 0; c < text.n; c++)
			is_good &= (text.p[c] >= 'a' && text.p[c] <= 'z') ||
				   (text.p[c] >= '0' && text.p[c] <= '9');
		/* The length first, as PocketBase does. */
		if (!bytes_to_string(text, work->id, sizeof(work->id)) || !is_good)
			problems_add(&work->problems, field->name,
				text.n < ID_RECORD_BYTES   ? "validation_min_text_constraint"
				: text.n > ID_RECORD_BYTES ? "validation_max_text_constraint"
							   : "validation_invalid_format",
				"An id has 15 characters out of a-z and 0-9.");
		return;
	}
}

static void check_values(struct record_work *work)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; i < collection->n_fields; i++)
		if (work->values[i].is_set && !collection->fields[i].is_primary &&
			!collection->fields[i].is_secret)
			value_check(&collection->fields[i], &work->values[i], &work->problems);
}

void record_create(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_create);
	struct bytes confirm;
	if (!work || work_answer_forbidden(work, RULE_CREATE) || !begin_write(work, true))
		return;
	call->id = (struct bytes){ NULL, 0 }; /* which tells a create from an update */
	if (!apply_body(work, &confirm)) {
		bytes_buf_clear(&call->answer);
		work_answer(
			work, 400, "Failed to load the submitted data due to invalid formatting.");
		return;
	}
	set_id(work);
	set_autodates(work, true);
	check_values(work);
	check_password(work, confirm, true);
	if (work->problems.n) {
		work_answer_problems(work, "Failed to create record.");
		return;
	}
	work->job.run = run_create;
	work->job.done = done_write;
	if (work->collection->is_auth) {
		draw_token_key(work);
		start_password(work);
	} else {
		queue_write(work);
	}
}

/* ---- update ---- */

/* The row as it is, under the update rule, into work->values; what the body says goes over it. */
static enum store_outcome load_row(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	struct store_stmt *stmt;
	bool found;
	enum store_outcome outcome = store_prepare(conn, collection->get_sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->call->id);
	outcome = store_step(stmt, &found);
	if (outcome == STORE_OK && !found)
		return refuse(work, 404, "The requested resource wasn't found.");
	int column = 0;
	for (size_t i = 0; i < collection->n_out && outcome == STORE_OK; i++) {
		const struct record_field *field = collection->out[i].field;
		if (!field)
			continue;
		struct value *value = &work->values[field - collection->fields];
		if (!value_of_column(field, stmt, column++, work->call->arena, value))
			return STORE_FAULT;
		value->is_set = false; /* until the body says something */
	}
	return outcome;
}

static enum store_outcome update_row(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	struct store_stmt *stmt;
	int n = 1;
	bytes_buf_init(&sql, 65536);
	bytes_buf_appendf(&sql, "UPDATE %.*s SET ", (int)collection->table.n, collection->table.p);
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		bool is_set = field->is_secret ? work->has_password : work->values[i].is_set;
		if (is_set && !field->is_primary)
			bytes_buf_appendf(&sql, "%s%.*s=?%d", n > 1 ? "," : "",
				(int)field->column.n, field->column.p, n + 1);
		n += is_set && !field->is_primary;
	}
	bytes_buf_append_string(&sql, " WHERE \"id\"=?1");
	if (n == 1)
		return STORE_OK; /* nothing to change */
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(work->id));
	n = 1;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		bool is_set = field->is_secret ? work->has_password : work->values[i].is_set;
		if (is_set && !field->is_primary)
			bind_field(work, i, stmt, ++n);
	}
	return store_exec(stmt, NULL);
}

static enum store_outcome run_update(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct bytes confirm;
	bool is_met;
	work->refused_status = 0;
	work->has_refusal_data = false;
	bytes_buf_clear(&work->call->ignored);
	problems_init(&work->problems, &work->call->answer);
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK)
		outcome = meets_rule(work, conn, RULE_UPDATE, &is_met);
	if (outcome == STORE_OK && !is_met)
		return refuse(work, 404, "The requested resource wasn't found.");
	if (outcome == STORE_OK)
		outcome = load_row(work, conn);
	if (outcome != STORE_OK)
		return outcome;
	if (!apply_body(work, &confirm))
		return STORE_FAULT;
	set_autodates(work, false);
	check_values(work);
	check_password(work, confirm, false);
	if (work->problems.n)
		return refuse(work, 0, NULL);
	outcome = check_relations(work, conn);
	if (outcome == STORE_OK)
		outcome = update_row(work, conn);
	if (outcome == STORE_OK)
		outcome = run_attached(work, conn);
	return outcome == STORE_OK ? encode_answer(work, conn) : outcome;
}

/* The hash that the old password is checked against; for nobody but who may change the record, or
 * the answer would tell whether a guess was right. */
static enum store_outcome run_old_hash(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	const struct record_collection *collection = work->collection;
	struct store_stmt *stmt;
	bool is_met, found = false;
	char sql[160];
	enum store_outcome outcome = meets_rule(work, conn, RULE_UPDATE, &is_met);
	if (outcome != STORE_OK || !is_met)
		return outcome == STORE_OK ? STORE_REFUSED : outcome;
	int n = snprintf(sql, sizeof(sql), "SELECT \"_password_hash\" FROM %.*s WHERE \"id\"=?1",
		(int)collection->table.n, collection->table.p);
	outcome = store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(work->id));
	outcome = store_step(stmt, &found);
	if (outcome == STORE_OK && found)
		bytes_to_string(store_column_text(stmt, 0), work->old_hash, sizeof(work->old_hash));
	return outcome == STORE_OK && !found ? STORE_REFUSED : outcome;
}

static void done_old_hash(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (work_answer_outcome(work))
		return;
	if (job->outcome != STORE_OK) {
		bytes_buf_clear(&work->call->answer);
		work_answer(work, 404, "The requested resource wasn't found.");
		return;
	}
	work->job.run = run_update;
	work->job.done = done_write;
	start_password(work);
}

static void start_new_password(struct record_work *work)
{
	draw_token_key(work);
	if (work_is_superuser(work)) {
		start_password(work);
		return;
	}
	work->job.run = run_old_hash;
	work->job.done = done_old_hash;
	store_read(work->call->book->store, &work->job);
}

void record_update(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_update);
	struct bytes confirm;
	if (!work || work_answer_forbidden(work, RULE_UPDATE) || !begin_write(work, false))
		return;
	if (!call->id.n || call->id.n > ID_RECORD_BYTES) {
		bytes_buf_clear(&call->answer);
		work_answer(work, 404, "The requested resource wasn't found.");
		return;
	}
	bytes_to_string(call->id, work->id, sizeof(work->id));
	/* What the body changes is worked out on the writer, over the row as it is then; here it is
	 * only looked at for its form and a password. */
	if (!apply_body(work, &confirm)) {
		bytes_buf_clear(&call->answer);
		work_answer(
			work, 400, "Failed to load the submitted data due to invalid formatting.");
		return;
	}
	check_password(work, confirm, false);
	if (work->problems.n) {
		work_answer_problems(work, "Failed to update record.");
		return;
	}
	work->job.run = run_update;
	work->job.done = done_write;
	if (work->has_password && password_field(work->collection))
		start_new_password(work);
	else
		queue_write(work);
}
