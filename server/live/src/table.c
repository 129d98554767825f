#include "table.h"

#include <stdlib.h>

#define BUCKETS_FIRST 16

uint64_t live_hash_more(uint64_t hash, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * 1099511628211u;
	return hash;
}

uint64_t live_hash(struct bytes text)
{
	return live_hash_more(14695981039346656037u, text.p, text.n);
}

static struct live_node **bucket_of(const struct live_table *table, uint64_t hash)
{
	return &table->buckets[(hash * (table->secret | 1)) >> 32 & (table->n_buckets - 1)];
}

static void put(struct live_table *table, struct live_node *node)
{
	struct live_node **bucket = bucket_of(table, node->hash);

	node->next = *bucket;
	*bucket = node;
}

static void grow(struct live_table *table)
{
	size_t n_buckets = table->n_buckets ? 2 * table->n_buckets : BUCKETS_FIRST;
	struct live_node **buckets = calloc(n_buckets, sizeof(struct live_node *));
	struct live_table old = *table;

	if (!buckets)
		return;
	table->buckets = buckets;
	table->n_buckets = n_buckets;
	for (size_t i = 0; i < old.n_buckets; i++)
		for (struct live_node *node = old.buckets[i], *next; node; node = next) {
			next = node->next;
			put(table, node);
		}
	free(old.buckets);
}

bool live_table_add(struct live_table *table, struct live_node *node, uint64_t hash)
{
	if (table->n >= table->n_buckets)
		grow(table);
	if (!table->n_buckets)
		return false;
	node->hash = hash;
	put(table, node);
	table->n++;
	return true;
}

void live_table_remove(struct live_table *table, struct live_node *node)
{
	if (!table->n_buckets)
		return;
	for (struct live_node **at = bucket_of(table, node->hash); *at; at = &(*at)->next)
		if (*at == node) {
			*at = node->next;
			table->n--;
			return;
		}
}

struct live_node *live_table_find(const struct live_table *table, uint64_t hash,
	bool (*is)(const struct live_node *node, const void *key), const void *key)
{
	struct live_node *node = table->n_buckets ? *bucket_of(table, hash) : NULL;

	while (node && (node->hash != hash || !is(node, key)))
		node = node->next;
	return node;
}

struct live_node *live_table_any(const struct live_table *table)
{
	for (size_t i = 0; table->n && i < table->n_buckets; i++)
		if (table->buckets[i])
			return table->buckets[i];
	return NULL;
}

void live_table_fini(struct live_table *table)
{
	free(table->buckets);
	*table = (struct live_table){ 0 };
}
