#include "seal.h"

#include <assert.h>
#include <string.h>

void seal_tree_init(struct seal_tree *tree)
{
	tree->n = 0;
}

static void join(const uint8_t *left, const uint8_t *right, uint8_t *out)
{
	static const uint8_t inner = 1;
	struct hash hash;

	hash_init(&hash);
	hash_add(&hash, &inner, 1);
	hash_add(&hash, left, HASH_BYTES);
	hash_add(&hash, right, HASH_BYTES);
	hash_end(&hash, out);
}

void seal_tree_add(struct seal_tree *tree, const uint8_t leaf[static HASH_BYTES])
{
	uint8_t node[HASH_BYTES];
	unsigned level = 0;

	memcpy(node, leaf, HASH_BYTES);
	for (uint64_t n = tree->n; n & 1; n >>= 1)
		join(tree->nodes[level++], node, node);
	memcpy(tree->nodes[level], node, HASH_BYTES);
	tree->n++;
}

void seal_tree_root(const struct seal_tree *tree, uint8_t out[static HASH_BYTES])
{
	bool is_first = true;

	memset(out, 0, HASH_BYTES);
	for (unsigned level = 0; level < 64 && tree->n >> level; level++) {
		if (!(tree->n >> level & 1))
			continue;
		if (is_first)
			memcpy(out, tree->nodes[level], HASH_BYTES);
		else
			join(tree->nodes[level], out, out);
		is_first = false;
	}
}

size_t seal_write(uint8_t *p, const struct seal *seal, const struct sign_key *key,
	uint8_t ret_hash[static HASH_BYTES])
{
	size_t n = SEAL_HEADER + (size_t)seal->n_lanes * SEAL_LANE;
	size_t length = n + SEAL_SIGNATURE;

	assert(length <= SEAL_MAX);
	put_u32(p + SEAL_AT_MAGIC, SEAL_MAGIC);
	put_u32(p + SEAL_AT_LENGTH, (uint32_t)length);
	put_u64(p + SEAL_AT_NUMBER, seal->number);
	put_u64(p + SEAL_AT_WALL, (uint64_t)seal->wall_us);
	put_u32(p + SEAL_AT_FLAGS, seal->flags);
	put_u32(p + SEAL_AT_N_LANES, seal->n_lanes);
	memcpy(p + SEAL_AT_PREVIOUS, seal->previous, HASH_BYTES);
	memcpy(p + SEAL_AT_ROOT, seal->root, HASH_BYTES);
	memcpy(p + SEAL_AT_KEY, key->public_key, SIGN_PUBLIC_BYTES);
	put_u64(p + SEAL_AT_RECORDS, seal->n_records);
	for (uint32_t i = 0; i < seal->n_lanes; i++) {
		const struct seal_lane *lane = &seal->lanes[i];
		uint8_t *at = p + SEAL_HEADER + (size_t)i * SEAL_LANE;
		put_u32(at + SEAL_LANE_AT_LANE, lane->lane);
		put_u32(at + SEAL_LANE_AT_LANE + 4, 0);
		put_u64(at + SEAL_LANE_AT_SEGMENT, lane->segment);
		put_u64(at + SEAL_LANE_AT_OFFSET, lane->offset);
		put_u64(at + SEAL_LANE_AT_COUNT, lane->count);
		memcpy(at + SEAL_LANE_AT_HEAD, lane->head, HASH_BYTES);
	}
	sign_make(key, (struct bytes){ (const char *)p, n }, p + n);
	hash_of((struct bytes){ (const char *)p, length }, ret_hash);
	return length;
}

size_t seal_read(const uint8_t *p, size_t n, struct seal *ret)
{
	if (n < SEAL_HEADER + SEAL_SIGNATURE || get_u32(p + SEAL_AT_MAGIC) != SEAL_MAGIC)
		return 0;
	uint32_t length = get_u32(p + SEAL_AT_LENGTH), n_lanes = get_u32(p + SEAL_AT_N_LANES);
	if (n_lanes > AUDIT_LANES_MAX + 1 || length > n ||
		length != SEAL_HEADER + n_lanes * SEAL_LANE + SEAL_SIGNATURE)
		return 0;

	ret->number = get_u64(p + SEAL_AT_NUMBER);
	ret->wall_us = (int64_t)get_u64(p + SEAL_AT_WALL);
	ret->flags = get_u32(p + SEAL_AT_FLAGS);
	ret->n_records = get_u64(p + SEAL_AT_RECORDS);
	memcpy(ret->previous, p + SEAL_AT_PREVIOUS, HASH_BYTES);
	memcpy(ret->root, p + SEAL_AT_ROOT, HASH_BYTES);
	ret->n_lanes = n_lanes;
	for (uint32_t i = 0; i < n_lanes; i++) {
		const uint8_t *at = p + SEAL_HEADER + (size_t)i * SEAL_LANE;
		struct seal_lane *lane = &ret->lanes[i];
		lane->lane = get_u32(at + SEAL_LANE_AT_LANE);
		lane->segment = get_u64(at + SEAL_LANE_AT_SEGMENT);
		lane->offset = get_u64(at + SEAL_LANE_AT_OFFSET);
		lane->count = get_u64(at + SEAL_LANE_AT_COUNT);
		memcpy(lane->head, at + SEAL_LANE_AT_HEAD, HASH_BYTES);
		if (lane->lane > AUDIT_LANES_MAX || lane->count == 0 ||
			(i > 0 && lane->lane <= lane[-1].lane))
			return 0;
	}
	return length;
}

bool seal_is_signed(
	const uint8_t *p, size_t length, const uint8_t public_key[static SIGN_PUBLIC_BYTES])
{
	size_t n = length - SEAL_SIGNATURE;

	return memcmp(p + SEAL_AT_KEY, public_key, SIGN_PUBLIC_BYTES) == 0 &&
	       sign_check(public_key, (struct bytes){ (const char *)p, n }, p + n);
}
