/*
 * read.c - one record, a page of records, and auth records for sign-in
 */
#include <stdio.h>
#include <string.h>

#include "work.h"

#define PER_PAGE_DEFAULT 30
#define PAGE_MAX         1000000000
/* What most answers fit into, so that the buffer need not grow by steps. */
#define GET_BYTES  1536
#define LIST_BYTES 16384

/* ---- one record ---- */

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

static enum store_outcome run_get(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct record_call *call = work->call;
	struct encoder encoder;
	bool found;
	bytes_buf_clear(&call->answer);
	bytes_buf_reserve(&call->answer, GET_BYTES);
	encoder_init(&encoder, work, conn);
	enum store_outcome outcome = encode_by_id(
		&encoder, work->collection, call->id, work->mask, work->expand, &found);
	if (outcome == STORE_OK && !found)
		return STORE_REFUSED;
	return outcome;
}

static void done_get(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK) {
		work_answer(work, 200, "");
		return;
	}
	work_note_rule(work, RULE_VIEW);
	work_answer(work, 404, "The requested resource wasn't found.");
}

static bool parse_shape(struct record_work *work)
{
	struct bytes expand = work_query(work, "expand");
	struct bytes fields = work_query(work, "fields");
	if ((!expand.n || expand_parse(work, expand, &work->expand)) &&
		(!fields.n || mask_parse(work, fields, &work->mask)))
		return true;
	work_answer(work, 503, "The server is short of memory.");
	return false;
}

void record_get(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_get);
	if (!work || work_answer_forbidden(work, RULE_VIEW))
		return;
	if (call->n_query && !parse_shape(work))
		return;
	work->job.run = run_get;
	work->job.done = done_get;
	/* A point read by primary key stays on this loop. */
	if (!work->expand && !work_rule(work, RULE_VIEW)->has_subquery) {
		enum store_outcome outcome =
			store_read_now(call->book->store, call->loop, &work->job);
		if (outcome == STORE_OK || outcome == STORE_REFUSED) {
			done_get(&work->job);
			return;
		}
		/* No connection yet, or not as quick as it should be: the executor has both. */
		work->job.deadline_ns = call->deadline_ns;
	}
	store_read(call->book->store, &work->job);
}

/* ---- a page of records ---- */

static int64_t number_query(
	const struct record_work *work, const char *name, int64_t fallback, int64_t max)
{
	uint64_t number;
	struct bytes text = work_query(work, name);
	if (!bytes_parse_u64(text, UINT64_MAX, &number) || number == 0)
		return fallback;
	return number > (uint64_t)max ? max : (int64_t)number;
}

static bool true_query(const struct record_work *work, const char *name)
{
	struct bytes text = work_query(work, name);
	return bytes_eq_string(text, "1") || bytes_eq_nocase(text, BYTES("true")) ||
	       bytes_eq_nocase(text, BYTES("t"));
}

static const struct expr_schema *names_of(const struct record_work *work)
{
	return work_is_superuser(work) ? &work->schema->rules.expr : &work->schema->clients.expr;
}

static void answer_bad_query(
	struct record_work *work, const char *parameter, const struct expr_error *error)
{
	problems_init(&work->problems, &work->call->answer);
	problems_add(&work->problems, bytes_of(parameter),
		parameter[0] == 'f' ? "validation_invalid_filter" : "validation_invalid_sort",
		"%s (at byte %zu)", error->message, error->offset);
	work_answer_problems(work, "Something went wrong while processing your request.");
}

static bool holds(struct bytes text, const char *needle)
{
	return text.n && memmem(text.p, text.n, needle, strlen(needle));
}

static bool compile_filter(struct record_work *work)
{
	struct bytes text = work_query(work, "filter");
	struct bytes sort = work_query(work, "sort");
	const struct expr_node *tree;
	struct expr_error error;
	if (!work_is_superuser(work) &&
		(holds(text, "@request.") || holds(text, "@collection.") ||
			holds(sort, "@request.") || holds(sort, "@collection."))) {
		work->call->refused_by = RECORD_BY_RULE;
		work_answer(work, 403,
			"Only superusers can filter by @collection and @request query params.");
		return false;
	}
	enum expr_result result = expr_parse(text, work->call->arena, &tree, &error);
	if (result == EXPR_OK)
		result = expr_compile(tree, names_of(work), work->collection, BYTES("t"),
			RULE_PARAM + (unsigned)work->rule->n_params, work->call->arena,
			&work->filter, &error);
	work->next_param = RULE_PARAM + (unsigned)(work->rule->n_params + work->filter.n_params);
	if (result == EXPR_INVALID)
		answer_bad_query(work, "filter", &error);
	else if (result == EXPR_NOMEM)
		work_answer(work, 503, "The server is short of memory.");
	return result == EXPR_OK;
}

/* "-created,+name,@random": one key. */
static enum expr_result compile_key(
	struct record_work *work, struct bytes key, struct bytes_buf *out, struct expr_error *error)
{
	struct expr_sql *sort = &work->sorts[work->n_sorts];
	bool is_descending = key.n && key.p[0] == '-';
	if (key.n && (key.p[0] == '-' || key.p[0] == '+')) {
		key.p++;
		key.n--;
	}
	if (bytes_eq_string(key, "@random")) {
		bytes_buf_append_string(out, "random()");
		return EXPR_OK;
	}
	if (bytes_eq_string(key, "@rowid")) {
		bytes_buf_append_string(out, is_descending ? "t.rowid DESC" : "t.rowid");
		return EXPR_OK;
	}
	enum expr_result result = expr_compile_path(key, names_of(work), work->collection,
		BYTES("t"), work->next_param, work->call->arena, sort, error);
	if (result != EXPR_OK)
		return result;
	work->n_sorts++;
	work->next_param += (unsigned)sort->n_params;
	bytes_buf_append(out, sort->sql);
	bytes_buf_append_string(out, is_descending ? " DESC" : "");
	return EXPR_OK;
}

static bool compile_sort(struct record_work *work, struct bytes_buf *out)
{
	struct bytes text = work_query(work, "sort");
	struct expr_error error = { 0 };
	enum expr_result result = EXPR_OK;
	for (unsigned n = 0; text.n && result == EXPR_OK; n++) {
		const char *comma = memchr(text.p, ',', text.n);
		struct bytes key = { text.p, comma ? (size_t)(comma - text.p) : text.n };
		text = comma ? (struct bytes){ comma + 1, text.n - key.n - 1 }
			     : (struct bytes){ NULL, 0 };
		while (key.n && key.p[0] == ' ') {
			key.p++;
			key.n--;
		}
		bytes_buf_append_string(out, n ? "," : " ORDER BY ");
		if (n == RECORD_SORT_KEYS_MAX) {
			bytes_to_string(BYTES("At most 8 sort keys are allowed."), error.message,
				sizeof(error.message));
			result = EXPR_INVALID;
		} else {
			result = compile_key(work, key, out, &error);
		}
	}
	if (result == EXPR_INVALID)
		answer_bad_query(work, "sort", &error);
	else if (result == EXPR_NOMEM)
		work_answer(work, 503, "The server is short of memory.");
	return result == EXPR_OK;
}

/* ?1 is the number of rows, ?2 how many to pass over. */
static bool compile_list(struct record_work *work)
{
	const struct record_collection *collection = work->collection;
	DEFER(bytes_buf_fini) struct bytes_buf sort;
	bytes_buf_init(&sort, 65536);
	if (!compile_filter(work) || !compile_sort(work, &sort))
		return false;
	struct arena *arena = work->call->arena;
	struct bytes from = arena_printf(arena, "FROM %.*s t WHERE (%.*s) AND (%.*s)",
		(int)collection->table.n, collection->table.p, (int)work->rule->sql.n,
		work->rule->sql.p, (int)work->filter.sql.n, work->filter.sql.p);
	/* Without conditions the count is one look at each page of an index. */
	if (bytes_eq_string(work->rule->sql, "1") && bytes_eq_string(work->filter.sql, "1"))
		from = arena_printf(
			arena, "FROM %.*s t", (int)collection->table.n, collection->table.p);
	if (from.p) {
		work->count_sql = arena_printf(arena, "SELECT count(*) %.*s", (int)from.n, from.p);
		work->sql = arena_printf(arena, "SELECT %.*s %.*s%.*s LIMIT ?1 OFFSET ?2",
			(int)collection->columns.n, collection->columns.p, (int)from.n, from.p,
			(int)sort.n, sort.n ? sort.p : "");
	}
	if (work->sql.p && work->count_sql.p && !sort.failed)
		return true;
	work_answer(work, 503, "The server is short of memory.");
	return false;
}

static enum store_outcome bind_list(struct record_work *work, struct store_stmt *stmt)
{
	bool is_bound = expr_bind(work->rule, &work->environment, stmt) &&
			expr_bind(&work->filter, &work->environment, stmt);
	for (unsigned i = 0; i < work->n_sorts && is_bound; i++)
		is_bound = expr_bind(&work->sorts[i], &work->environment, stmt);
	return is_bound ? STORE_OK : STORE_FAULT;
}

static enum store_outcome count_rows(
	struct record_work *work, struct store_conn *conn, int64_t *ret)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = store_prepare(conn, work->count_sql, &stmt);
	if (outcome == STORE_OK)
		outcome = bind_list(work, stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK)
		*ret = store_column_int64(stmt, 0);
	return outcome;
}

static enum store_outcome list_rows(struct record_work *work, struct store_conn *conn)
{
	struct bytes_buf *out = &work->call->answer;
	struct store_stmt *stmt;
	struct encoder encoder;
	encoder_init(&encoder, work, conn);
	enum store_outcome outcome = store_prepare(conn, work->sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_int64(stmt, 1, work->per_page);
	store_bind_int64(stmt, 2, (work->page - 1) * work->per_page);
	outcome = bind_list(work, stmt);
	for (bool is_first = true; outcome == STORE_OK; is_first = false) {
		bool has_row;
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row || out->failed)
			break;
		if (!is_first)
			bytes_buf_append_byte(out, ',');
		outcome = encode_row(&encoder, work->collection, stmt, work->mask, work->expand);
	}
	return outcome;
}

static enum store_outcome run_list(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct bytes_buf *out = &work->call->answer;
	int64_t n_items = -1, n_pages = -1;
	if (!work->skip_total) {
		enum store_outcome outcome = count_rows(work, conn, &n_items);
		if (outcome != STORE_OK)
			return outcome;
		n_pages = (n_items + work->per_page - 1) / work->per_page;
	}
	bytes_buf_clear(out);
	bytes_buf_reserve(out, LIST_BYTES);
	bytes_buf_appendf(out,
		"{\"page\":%lld,\"perPage\":%lld,\"totalItems\":%lld,\"totalPages\":%lld,"
		"\"items\":[",
		(long long)work->page, (long long)work->per_page, (long long)n_items,
		(long long)n_pages);
	enum store_outcome outcome = list_rows(work, conn);
	bytes_buf_append_string(out, "]}");
	return outcome;
}

static void done_list(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (!work_answer_outcome(work))
		work_answer(work, 200, "");
}

void record_list(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_list);
	if (!work || work_answer_forbidden(work, RULE_LIST))
		return;
	work->rule = work_rule(work, RULE_LIST);
	work->page = number_query(work, "page", 1, PAGE_MAX);
	work->per_page = number_query(work, "perPage", PER_PAGE_DEFAULT, RECORD_PER_PAGE_MAX);
	work->skip_total = true_query(work, "skipTotal");
	if (!parse_shape(work) || !compile_list(work))
		return;
	work->job.run = run_list;
	work->job.done = done_list;
	store_read(call->book->store, &work->job);
}

/* ---- for auth ---- */

static struct record_find_auth *find_of(struct store_job *job)
{
	return (struct record_find_auth *)(void *)((char *)job -
						   offsetof(struct record_find_auth, job));
}

#define SELECT_AUTH                                                                                \
	"SELECT \"id\",\"email\",\"_password_hash\",\"_token_key\",\"verified\" FROM %.*s "        \
	"WHERE \"%s\"=?1"

static enum store_outcome run_find(struct store_job *job, struct store_conn *conn)
{
	struct record_find_auth *find = find_of(job);
	const struct record_collection *collection = find->found;
	char sql[256];
	bool has_row;
	bool is_by_id = find->id.n > 0;
	/* The index of the addresses leaves out the empty ones: it serves only who says that he
	 * does not ask for these. */
	int n = snprintf(sql, sizeof(sql), SELECT_AUTH "%s", (int)collection->table.n,
		collection->table.p, is_by_id ? "id" : "email",
		is_by_id ? "" : " AND \"email\"!=''");
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, is_by_id ? find->id : find->identity);
	outcome = store_step(stmt, &has_row);
	if (outcome != STORE_OK)
		return outcome;
	if (!has_row)
		return STORE_REFUSED;
	bytes_to_string(store_column_text(stmt, 0), find->record_id, sizeof(find->record_id));
	bytes_to_string(store_column_text(stmt, 1), find->email, sizeof(find->email));
	bytes_to_string(
		store_column_text(stmt, 2), find->password_hash, sizeof(find->password_hash));
	bytes_to_string(store_column_text(stmt, 3), find->token_key, sizeof(find->token_key));
	find->is_verified = store_column_int64(stmt, 4) != 0;
	return STORE_OK;
}

static void done_find(struct store_job *job)
{
	struct record_find_auth *find = find_of(job);
	find->result = RECORD_FOUND;
	if (job->outcome == STORE_REFUSED)
		find->result = RECORD_NO_RECORD;
	else if (job->outcome != STORE_OK)
		find->result = RECORD_UNAVAILABLE;
	find->err = job->err;
	schema_unref(find->schema);
	find->schema = NULL;
	find->done(find);
}

void record_find_auth(struct record_find_auth *find)
{
	find->schema = book_schema(find->book);
	find->found = schema_find(find->schema, find->collection);
	find->record_id[0] = find->email[0] = find->password_hash[0] = find->token_key[0] = '\0';
	find->err = (struct err){ 0 };
	if (!find->found || !find->found->is_auth || (!find->id.n && !find->identity.n)) {
		find->result = find->found && find->found->is_auth ? RECORD_NO_RECORD
								   : RECORD_NO_COLLECTION;
		schema_unref(find->schema);
		find->schema = NULL;
		find->done(find);
		return;
	}
	find->is_superuser = find->found->is_superusers;
	bytes_to_string(find->found->id, find->collection_id, sizeof(find->collection_id));
	bytes_to_string(find->found->name, find->collection_name, sizeof(find->collection_name));
	find->job = (struct store_job){ .run = run_find, .done = done_find, .loop = find->loop };
	if (find->id.n) {
		enum store_outcome outcome =
			store_read_now(find->book->store, find->loop, &find->job);
		if (outcome == STORE_OK || outcome == STORE_REFUSED) {
			done_find(&find->job);
			return;
		}
	}
	find->job.deadline_ns = clock_mono_ns() + 2 * CLOCK_NS_PER_S;
	store_read(find->book->store, &find->job);
}
