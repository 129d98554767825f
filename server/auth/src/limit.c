/*
 * limit.c - token buckets, each as the one time at which it will be full
 *
 *   full_ns   <= now: full          a token costs  duration / max_requests
 *              > now + duration - cost: empty
 */
#include "internal.h"

#include "clock.h"
#include "hash.h"

#include <assert.h>
#include <string.h>

static uint64_t key_of(const struct auth *auth, const struct bytes *parts, size_t n_parts)
{
	uint8_t digest[HASH_BYTES];
	uint64_t key;
	struct hash hash;

	/* Keyed, so that nobody can choose a name that shares another's bucket. */
	hash_init(&hash);
	hash_add(&hash, auth->secret, sizeof auth->secret);
	for (size_t part = 0; part < n_parts; part++) {
		char lower[64];
		size_t n = 0;
		/* Accounts are found without regard to case, so all spellings share one bucket. */
		for (size_t i = 0; i < parts[part].n; i++) {
			char c = parts[part].p[i];
			lower[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
			if (n == sizeof lower) {
				hash_add(&hash, lower, n);
				n = 0;
			}
		}
		lower[n++] = '\0';
		hash_add(&hash, lower, n);
	}
	hash_end(&hash, digest);
	memcpy(&key, digest, sizeof key);
	return key ? key : 1;
}

/* The bucket's slot; one that was another's is full. Locked. */
static struct limit_slot *slot_of(struct limit_shard *shard, uint64_t key)
{
	struct limit_slot *set =
		&shard->slots[(key >> 8) % (LIMIT_SLOTS / LIMIT_WAYS) * LIMIT_WAYS];
	struct limit_slot *oldest = set;

	for (size_t i = 0; i < LIMIT_WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].full_ns < oldest->full_ns)
			oldest = &set[i];
	}
	*oldest = (struct limit_slot){ .key = key };
	return oldest;
}

static uint32_t seconds_up(uint64_t ns)
{
	return (uint32_t)((ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
}

struct auth_limit_verdict auth_limit_take(
	struct auth *auth, struct auth_rate rate, const struct bytes *parts, size_t n_parts)
{
	assert(rate.max_requests > 0 && rate.duration_s > 0);
	uint64_t now_ns = clock_mono_ns(), key = key_of(auth, parts, n_parts);
	uint64_t duration_ns = rate.duration_s * CLOCK_NS_PER_S;
	uint64_t cost_ns = duration_ns / rate.max_requests;
	struct limit_shard *shard = &auth->limits[key % LIMIT_SHARDS];
	struct auth_limit_verdict verdict = { .limit = rate.max_requests };

	pthread_mutex_lock(&shard->lock);
	struct limit_slot *slot = slot_of(shard, key);
	uint64_t full_ns = slot->full_ns > now_ns ? slot->full_ns : now_ns;
	/* A rule that was made shorter must not be waited for as long as it was. */
	if (full_ns > now_ns + duration_ns)
		full_ns = now_ns + duration_ns;
	verdict.is_allowed = full_ns + cost_ns <= now_ns + duration_ns;
	if (verdict.is_allowed)
		full_ns += cost_ns;
	slot->full_ns = full_ns;
	pthread_mutex_unlock(&shard->lock);

	verdict.remaining = (uint32_t)((now_ns + duration_ns - full_ns) / cost_ns);
	verdict.reset_s = seconds_up(full_ns - now_ns);
	if (!verdict.is_allowed)
		verdict.retry_s = seconds_up(full_ns + cost_ns - now_ns - duration_ns);
	return verdict;
}

bool auth_sign_in_is_allowed(
	struct auth *auth, struct bytes address, struct bytes identity, unsigned *ret_retry_s)
{
	const struct auth_rate rate = { auth->config.sign_ins_per_min, 60 };
	const struct bytes parts[] = { BYTES("operator"), address, identity };
	struct auth_limit_verdict verdict = auth_limit_take(auth, rate, parts, 3);

	*ret_retry_s = verdict.retry_s;
	return verdict.is_allowed;
}
