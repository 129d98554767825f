/*
 * internal.h - what the files of the module share
 */
#ifndef AUTH_INTERNAL_H
#define AUTH_INTERNAL_H

#include "auth.h"

#include <pthread.h>

#define SECRET_BYTES 32

/* Tries per minute for one pair of address and identity. A slot forgets when another pair takes it,
 * which lets a few tries more, never fewer, through. */
#define LIMIT_SLOTS 4096

struct limit_slot {
	uint64_t pair; /* keyed hash of address and identity */
	uint64_t at_ns;
	uint32_t tries_left_milli; /* thousandths of a try */
};

struct auth {
	struct auth_config config;
	uint8_t secret[SECRET_BYTES];
	pthread_mutex_t limit_lock;
	struct limit_slot limits[LIMIT_SLOTS];
};

#endif
