/*
 * internal.h - what the files of the module share
 */
#ifndef AUTH_INTERNAL_H
#define AUTH_INTERNAL_H

#include "auth.h"
#include "auth_limit.h"

#include <pthread.h>

#define SECRET_BYTES 32

#define LIMIT_SHARDS 64
#define LIMIT_SLOTS  256 /* of a shard, in sets of LIMIT_WAYS */
#define LIMIT_WAYS   4

struct limit_slot {
	uint64_t key;     /* keyed hash of what is limited; 0: never used */
	uint64_t full_ns; /* when the bucket will be full again */
};

struct limit_shard {
	pthread_mutex_t lock;
	struct limit_slot slots[LIMIT_SLOTS];
};

struct auth {
	struct auth_config config;
	uint8_t secret[SECRET_BYTES];
	struct limit_shard limits[LIMIT_SHARDS];
};

#endif
