/*
 * top.c - the total of a list and its first rows in one pass
 *
 * Without an index that gives the order, every matching row has to be looked at anyway: once to
 * count and once to sort, if SQL is asked twice, and the sort would carry whole rows along. Here a
 * statement names rowid and sort keys alone, the rows are counted as the database meets them
 * (store_each), and a heap keeps the first few, its worst on top. Most rows cost one comparison
 * with that.
 *
 * Equal rows stay in the order in which they came, as in SQLite's own sorter.
 */
#include <stdlib.h>
#include <string.h>

#include "list.h"

struct entry {
	int64_t rowid, order; /* order: when it came */
	struct key_value keys[RECORD_SORT_KEYS_MAX];
	char *text; /* of the keys, one behind the other */
	size_t n_room;
};

struct top {
	const struct sort *sort;
	struct entry *entries;
	uint32_t *heap; /* indexes of entries */
	size_t n, max;
	size_t n_text; /* bytes that the entries' texts have room for */
	int64_t total;
	struct entry candidate; /* the row that is looked at */
};

void top_free(struct top *top)
{
	if (!top)
		return;
	for (size_t i = 0; top->entries && i < top->n; i++)
		free(top->entries[i].text);
	free(top->entries);
	free(top->heap);
	free(top);
}

static int compare(const struct top *top, const struct entry *a, const struct entry *b)
{
	for (size_t i = 0; i < top->sort->n_keys; i++) {
		int order = key_value_compare(&a->keys[i], &b->keys[i]);
		if (order)
			return top->sort->keys[i].is_descending ? -order : order;
	}
	return (a->order > b->order) - (a->order < b->order);
}

/* The one on top has a new value, or the last one has gone up there: lets it sink. */
static void sift_down(struct top *top, size_t n)
{
	uint32_t moving = top->heap[0];
	size_t at = 0, child;
	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n && compare(top, &top->entries[top->heap[child + 1]],
					     &top->entries[top->heap[child]]) > 0)
			child++;
		if (compare(top, &top->entries[moving], &top->entries[top->heap[child]]) >= 0)
			break;
		top->heap[at] = top->heap[child];
		at = child;
	}
	top->heap[at] = moving;
}

static void sift_up(struct top *top, size_t at)
{
	uint32_t moving = top->heap[at];
	while (at > 0) {
		size_t parent = (at - 1) / 2;
		if (compare(top, &top->entries[moving], &top->entries[top->heap[parent]]) <= 0)
			break;
		top->heap[at] = top->heap[parent];
		at = parent;
	}
	top->heap[at] = moving;
}

/* Makes the candidate, whose texts are the statement's, the entry's own. */
static enum top_result keep(struct top *top, struct entry *entry, const struct entry *candidate)
{
	size_t n = 0;
	for (size_t i = 0; i < top->sort->n_keys; i++)
		n += candidate->keys[i].text.n;
	char *text = entry->text;
	size_t n_room = entry->n_room;
	if (n > n_room) {
		if (n - n_room > TOP_BYTES_MAX - top->n_text)
			return TOP_TOO_LARGE;
		text = realloc(entry->text, n);
		if (!text)
			return TOP_TOO_LARGE;
		top->n_text += n - n_room;
		n_room = n;
	}
	*entry = *candidate;
	entry->text = text;
	entry->n_room = n_room;
	for (size_t i = 0; i < top->sort->n_keys; i++) {
		struct bytes *value = &entry->keys[i].text;
		if (value->n == 0)
			continue; /* there may be no room at all */
		memcpy(text, value->p, value->n);
		value->p = text;
		text += value->n;
	}
	return TOP_DONE;
}

static void read_value(const struct store_row *row, int i, struct key_value *ret)
{
	ret->type = store_row_type(row, i);
	ret->text = (struct bytes){ NULL, 0 };
	if (ret->type == STORE_INT64)
		ret->integer = store_row_int64(row, i);
	else if (ret->type == STORE_DOUBLE)
		ret->real = store_row_double(row, i);
	else if (ret->type != STORE_NULL)
		ret->text = store_row_text(row, i);
}

/* Whether the row comes behind the worst that is kept: most do, and most by their first key. A row
 * that is equal came later. */
static bool is_behind(const struct top *top, const struct store_row *row, struct entry *candidate)
{
	const struct entry *worst = &top->entries[top->heap[0]];
	for (size_t i = 0; i < top->sort->n_keys; i++) {
		read_value(row, 1 + (int)i, &candidate->keys[i]);
		int order = key_value_compare(&candidate->keys[i], &worst->keys[i]);
		if (order)
			return top->sort->keys[i].is_descending ? order < 0 : order > 0;
	}
	return true;
}

static bool take_row(void *context, const struct store_row *row)
{
	struct top *top = context;
	struct entry *candidate = &top->candidate;
	candidate->order = top->total++;
	if (top->n == top->max && (!top->max || is_behind(top, row, candidate)))
		return true;
	for (size_t i = 0; i < top->sort->n_keys; i++)
		read_value(row, 1 + (int)i, &candidate->keys[i]);
	candidate->rowid = store_row_int64(row, 0);
	if (top->n == top->max) {
		enum top_result result = keep(top, &top->entries[top->heap[0]], candidate);
		sift_down(top, top->n);
		return result == TOP_DONE;
	}
	enum top_result result = keep(top, &top->entries[top->n], candidate);
	top->heap[top->n] = (uint32_t)top->n;
	sift_up(top, top->n++);
	return result == TOP_DONE;
}

/* The heap becomes the list in order: the worst goes to the end, again and again. */
static void sort_heap(struct top *top)
{
	for (size_t n = top->n; n > 1; n--) {
		uint32_t worst = top->heap[0];
		top->heap[0] = top->heap[n - 1];
		sift_down(top, n - 1);
		top->heap[n - 1] = worst;
	}
}

enum top_result top_run(struct store_stmt *stmt, const struct sort *sort, size_t n_rows,
	struct top **ret, enum store_outcome *ret_outcome)
{
	DEFER(top_free) struct top *top = calloc(1, sizeof(*top));
	if (!top)
		return TOP_TOO_LARGE;
	*top = (struct top){ .sort = sort, .max = n_rows };
	top->entries = calloc(n_rows + 1, sizeof(struct entry));
	top->heap = calloc(n_rows + 1, sizeof(top->heap[0]));
	if (!top->entries || !top->heap)
		return TOP_TOO_LARGE;
	bool is_whole;
	*ret_outcome = store_each(stmt, take_row, top, &is_whole);
	if (*ret_outcome != STORE_OK)
		return TOP_FAILED;
	if (!is_whole)
		return TOP_TOO_LARGE;
	sort_heap(top);
	*ret = top;
	top = NULL; /* handed over */
	return TOP_DONE;
}

int64_t top_total(const struct top *top)
{
	return top->total;
}

size_t top_n(const struct top *top)
{
	return top->n;
}

int64_t top_rowid(const struct top *top, size_t i)
{
	return top->entries[top->heap[i]].rowid;
}
