/*
 * total.c - totals that are still true
 *
 * Counting the rows of a list is most of what a list costs, and between two writes the same count
 * gives the same number. A total is kept together with the state of the database that it was
 * counted in (store_state), and is used only by a read that sees that very state: never one that is
 * out of date, not even by a commit that nobody has been told of yet.
 *
 * With it, once asked for, go marks: the rowid of every so-manieth row, so that a page far into a
 * long list is not reached by counting the rows before it each time.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"

/* What else a condition depends on besides the request's own words and the database. */
static bool add_param(struct hash *hash, const struct expr_param *param,
	const struct expr_environment *environment)
{
	struct bytes value = { NULL, 0 };
	uint64_t head[4] = { (uint64_t)param->source, param->is_pattern, 0, 0 };
	switch (param->source) {
	case EXPR_LITERAL:
		value = param->name;
		break;
	case EXPR_LITERAL_NUMBER:
		value = (struct bytes){ (const char *)&param->number, sizeof(param->number) };
		break;
	case EXPR_AUTH_ID:
		value = environment->auth_id;
		break;
	case EXPR_AUTH_COLLECTION_ID:
		value = environment->auth_collection_id;
		break;
	case EXPR_AUTH_COLLECTION_NAME:
		value = environment->auth_collection_name;
		break;
	default:
		return false;
	}
	head[2] = value.n;
	hash_add(hash, head, sizeof(head));
	if (value.n)
		hash_add(hash, value.p, value.n);
	return true;
}

void total_key(struct total_key *ret, const struct record_schema *schema, struct bytes sql,
	const struct expr_sql *const *conditions, size_t n,
	const struct expr_environment *environment)
{
	struct hash hash;
	hash_init(&hash);
	hash_add(&hash, &schema->version, sizeof(schema->version));
	hash_add(&hash, sql.p, sql.n);
	ret->is_usable = true;
	for (size_t i = 0; i < n; i++)
		for (size_t p = 0; p < conditions[i]->n_params && ret->is_usable; p++)
			ret->is_usable = add_param(&hash, &conditions[i]->params[p], environment);
	hash_end(&hash, ret->digest);
}

static struct total *slot_of(struct record_book *book, const struct total_key *key)
{
	uint32_t at;
	memcpy(&at, key->digest, sizeof(at));
	return &book->totals[at % TOTALS_MAX];
}

/* The slot if it is of this key and this state, locked; else NULL. */
static struct total *lock_total(
	struct record_book *book, struct store_conn *conn, const struct total_key *key)
{
	uint64_t state;
	if (!key->is_usable || !store_state(conn, &state))
		return NULL;
	struct total *total = slot_of(book, key);
	pthread_mutex_lock(&book->totals_lock);
	if (total->is_set && total->state == state &&
		memcmp(total->digest, key->digest, sizeof(total->digest)) == 0)
		return total;
	pthread_mutex_unlock(&book->totals_lock);
	return NULL;
}

bool total_find(struct record_book *book, struct store_conn *conn, const struct total_key *key,
	int64_t *ret)
{
	struct total *total = lock_total(book, conn, key);
	if (!total)
		return false;
	*ret = total->total;
	pthread_mutex_unlock(&book->totals_lock);
	return true;
}

void total_keep(struct record_book *book, struct store_conn *conn, const struct total_key *key,
	int64_t number)
{
	uint64_t state;
	if (!key->is_usable || !store_state(conn, &state))
		return;
	struct total *total = slot_of(book, key);
	pthread_mutex_lock(&book->totals_lock);
	free(total->marks);
	*total = (struct total){ .is_set = true, .state = state, .total = number };
	memcpy(total->digest, key->digest, sizeof(total->digest));
	pthread_mutex_unlock(&book->totals_lock);
}

/* ---- marks ---- */

bool total_marks_init(struct total_marks *marks, int64_t total)
{
	*marks = (struct total_marks){ .gap = total / MARKS_MAX + 1 };
	if (marks->gap < MARK_GAP)
		marks->gap = MARK_GAP;
	marks->max = (size_t)(total / marks->gap) + 1;
	marks->rowids = calloc(marks->max, sizeof(marks->rowids[0]));
	return marks->rowids;
}

void total_marks_add(struct total_marks *marks, int64_t rowid)
{
	if (++marks->n_rows % marks->gap == 0 && marks->n < marks->max)
		marks->rowids[marks->n++] = rowid;
}

void total_keep_marks(struct record_book *book, struct store_conn *conn,
	const struct total_key *key, struct total_marks *marks)
{
	struct total *total = lock_total(book, conn, key);
	if (!total) {
		free(marks->rowids);
	} else {
		free(total->marks);
		total->marks = marks->rowids;
		total->n_marks = marks->n;
		total->gap = marks->gap;
		pthread_mutex_unlock(&book->totals_lock);
	}
	*marks = (struct total_marks){ 0 };
}

bool total_find_mark(struct record_book *book, struct store_conn *conn, const struct total_key *key,
	int64_t skip, int64_t *ret_rowid, int64_t *ret_skip)
{
	struct total *total = lock_total(book, conn, key);
	bool is_found = false;
	if (!total)
		return false;
	if (total->marks) {
		size_t i = (size_t)(skip / total->gap);
		if (i > total->n_marks)
			i = total->n_marks;
		is_found = i > 0;
		if (is_found) {
			*ret_rowid = total->marks[i - 1];
			*ret_skip = skip - (int64_t)i * total->gap;
		}
	}
	pthread_mutex_unlock(&book->totals_lock);
	return is_found;
}

void totals_fini(struct record_book *book)
{
	for (size_t i = 0; i < TOTALS_MAX; i++)
		free(book->totals[i].marks);
}
