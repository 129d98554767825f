/*
 * table.h - a hash table whose nodes lie inside what they find
 *
 * Threads: none inside. Memory: the table owns its buckets, nodes are their owners'. An add that
 * cannot grow the buckets makes chains longer and fails only when there are none at all.
 */
#ifndef LIVE_TABLE_H
#define LIVE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

struct live_node {
	struct live_node *next;
	uint64_t hash;
};

struct live_table {
	struct live_node **buckets;
	size_t n_buckets; /* a power of two, or 0 */
	size_t n;
	uint64_t secret; /* odd, random: what clients choose must not gather in one bucket */
};

/* FNV-1a, Fowler/Noll/Vo, 64 bits. */
uint64_t live_hash(struct bytes text);
/* Of several values as one. */
uint64_t live_hash_more(uint64_t hash, const void *data, size_t n);

bool live_table_add(struct live_table *table, struct live_node *node, uint64_t hash);
/* Harmless when it is not in it. */
void live_table_remove(struct live_table *table, struct live_node *node);
struct live_node *live_table_find(const struct live_table *table, uint64_t hash,
	bool (*is)(const struct live_node *node, const void *key), const void *key);
/* Any one of them, NULL when it is empty. */
struct live_node *live_table_any(const struct live_table *table);
void live_table_fini(struct live_table *table);

#endif
