/*
 * shm.h - the only doors to memory that a hostile process writes at the same time
 *
 * Each word is read by one atomic load, so that the compiler cannot read it a second time after it
 * was checked; runs of bytes are copied to private memory, with a barrier behind the copy for the
 * same reason.
 */
#ifndef RING_SHM_H
#define RING_SHM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A word in shared memory. Pointers to it are the only typed pointers into the segment. */
struct shm_word {
	_Atomic uint32_t value;
};

static inline uint32_t shm_read_u32(struct shm_word *word)
{
	return atomic_load_explicit(&word->value, memory_order_seq_cst);
}

static inline void shm_write_u32(struct shm_word *word, uint32_t value)
{
	atomic_store_explicit(&word->value, value, memory_order_seq_cst);
}

static inline uint32_t shm_swap_u32(struct shm_word *word, uint32_t value)
{
	return atomic_exchange_explicit(&word->value, value, memory_order_seq_cst);
}

static inline void shm_read_bytes(void *to, const char *from, size_t n)
{
	memcpy(to, from, n);
	/* The copy must exist from here on: the compiler may not take a later read of it from the
	 * source. */
	__asm__ volatile("" : : "r"(to) : "memory");
}

static inline void shm_write_bytes(char *to, const void *from, size_t n)
{
	memcpy(to, from, n);
}

#endif
