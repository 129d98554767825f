/*
 * seal.h - Merkle roots, and seals as bytes
 */
#ifndef AUDIT_SEAL_H
#define AUDIT_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit.h"
#include "format.h"
#include "hash.h"
#include "sign.h"

/* The root over a growing row of leaves, as RFC 6962 shapes the tree: one node is kept for each bit
 * that is set in the number of leaves. A leaf is a record's hash as it is; inner nodes are hashed
 * with a 1 in front, and no record has the 65 bytes that an inner node has. */
struct seal_tree {
	uint64_t n;
	uint8_t nodes[64][HASH_BYTES];
};

void seal_tree_init(struct seal_tree *tree);
void seal_tree_add(struct seal_tree *tree, const uint8_t leaf[static HASH_BYTES]);
/* The root of what was added; zeros when nothing was. Leaves the tree as it is. */
void seal_tree_root(const struct seal_tree *tree, uint8_t out[static HASH_BYTES]);

/* How far one lane is sealed: its last sealed record. */
struct seal_lane {
	uint32_t lane;
	uint64_t segment;
	uint64_t offset; /* the end of that record in the segment */
	uint64_t count;  /* its seq; 0 when nothing of the lane is sealed */
	uint8_t head[HASH_BYTES];
};

struct seal {
	uint64_t number;
	int64_t wall_us;
	uint32_t flags;
	uint64_t n_records;
	uint8_t previous[HASH_BYTES];
	uint8_t root[HASH_BYTES];
	uint32_t n_lanes;
	struct seal_lane lanes[AUDIT_LANES_MAX + 1];
};

/* Writes the seal, signed, to p, which has room for SEAL_MAX bytes. Returns its length and its
 * hash. */
size_t seal_write(uint8_t *p, const struct seal *seal, const struct sign_key *key,
	uint8_t ret_hash[static HASH_BYTES]);

/* Takes the n bytes that start with a seal apart. Returns its length, or 0 when they do not start
 * with a well-formed one. Checks neither key nor signature. */
size_t seal_read(const uint8_t *p, size_t n, struct seal *ret);

/* Whether the seal of length bytes at p was signed with this public key. */
bool seal_is_signed(
	const uint8_t *p, size_t length, const uint8_t public_key[static SIGN_PUBLIC_BYTES]);

#endif
