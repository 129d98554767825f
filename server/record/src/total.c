/*
 * total.c - totals that are still true
 *
 * Counting the rows of a list is most of what a list costs, and between two writes the same count
 * gives the same number. A total is kept together with the state of the database that it was
 * counted in (store_state), and is used only by a read that sees that very state: never one that is
 * out of date, not even by a commit that nobody has been told of yet.
 */
#include <pthread.h>
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
			ret->is_usable =
				add_param(&hash, &conditions[i]->params[p], environment);
	hash_end(&hash, ret->digest);
}

static struct total *slot_of(struct record_book *book, const struct total_key *key)
{
	uint32_t at;
	memcpy(&at, key->digest, sizeof(at));
	return &book->totals[at % TOTALS_MAX];
}

bool total_find(struct record_book *book, struct store_conn *conn, const struct total_key *key,
	int64_t *ret)
{
	uint64_t state;
	bool is_found = false;
	if (!key->is_usable || !store_state(conn, &state))
		return false;
	struct total *total = slot_of(book, key);
	pthread_mutex_lock(&book->totals_lock);
	if (total->is_set && total->state == state &&
		memcmp(total->digest, key->digest, sizeof(total->digest)) == 0) {
		*ret = total->total;
		is_found = true;
	}
	pthread_mutex_unlock(&book->totals_lock);
	return is_found;
}

void total_keep(
	struct record_book *book, struct store_conn *conn, const struct total_key *key, int64_t number)
{
	uint64_t state;
	if (!key->is_usable || !store_state(conn, &state))
		return;
	struct total *total = slot_of(book, key);
	pthread_mutex_lock(&book->totals_lock);
	*total = (struct total){ .is_set = true, .state = state, .total = number };
	memcpy(total->digest, key->digest, sizeof(total->digest));
	pthread_mutex_unlock(&book->totals_lock);
}
