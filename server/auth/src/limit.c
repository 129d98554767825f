/*
 * A token bucket per pair of address and identity, in a table of fixed size: neither a flood of
 * names nor one of addresses makes it grow.
 */
#include "internal.h"

#include "clock.h"
#include "hash.h"

#include <string.h>

static uint64_t pair_of(const struct auth *auth, struct bytes address, struct bytes identity)
{
	uint8_t digest[HASH_BYTES];
	uint64_t pair;
	struct hash hash;

	/* Keyed, so that nobody can choose an identity that shares another's slot. */
	hash_init(&hash);
	hash_add(&hash, auth->secret, sizeof auth->secret);
	hash_add(&hash, address.p, address.n);
	hash_add(&hash, "", 1);
	/* Accounts are found without regard to case, so all spellings share one bucket. */
	for (size_t i = 0; i < identity.n; i++) {
		char c = identity.p[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		hash_add(&hash, &c, 1);
	}
	hash_end(&hash, digest);
	memcpy(&pair, digest, sizeof pair);
	return pair;
}

bool auth_sign_in_is_allowed(
	struct auth *auth, struct bytes address, struct bytes identity, unsigned *ret_retry_s)
{
	uint64_t pair = pair_of(auth, address, identity), now_ns = clock_mono_ns();
	uint32_t most_milli = auth->config.sign_ins_per_min * 1000;
	bool is_allowed = false;

	pthread_mutex_lock(&auth->limit_lock);
	struct limit_slot *slot = &auth->limits[pair % LIMIT_SLOTS];
	if (slot->pair != pair)
		*slot = (struct limit_slot){
			.pair = pair, .at_ns = now_ns, .tries_left_milli = most_milli
		};
	/* A minute fills the bucket: most_milli / 60,000 ms. */
	uint64_t passed_ms = (now_ns - slot->at_ns) / CLOCK_NS_PER_MS;
	uint64_t gained_milli = passed_ms * most_milli / 60000;
	if (gained_milli > 0) {
		uint64_t left = slot->tries_left_milli + gained_milli;
		slot->tries_left_milli = left > most_milli ? most_milli : (uint32_t)left;
		slot->at_ns = now_ns;
	}
	if (slot->tries_left_milli >= 1000) {
		slot->tries_left_milli -= 1000;
		is_allowed = true;
	} else {
		*ret_retry_s = (1000 - slot->tries_left_milli) * 60 / most_milli + 1;
	}
	pthread_mutex_unlock(&auth->limit_lock);
	return is_allowed;
}
