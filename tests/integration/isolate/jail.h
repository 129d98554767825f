/*
 * jail.h - what the test and its stand-in for the worker share: one page, and what to do inside
 */
#ifndef JAIL_H
#define JAIL_H

#include <stdint.h>

#define JAIL_SEGMENT_BYTES 65536

enum jail_act {
	JAIL_WAIT,    /* sleep until killed */
	JAIL_CALL,    /* load the plugin, call it, leave its answer in the segment, exit 0 */
	JAIL_SYSCALL, /* make system call number, with zeros */
	JAIL_INT80,   /* getpid by way of the 32-bit door */
	JAIL_LOOP,
	JAIL_HOG, /* touch memory until death */
	JAIL_SEGV,
	JAIL_ABORT,
	JAIL_LIST /* fill answer with the descriptors that are open, as a string */
};

struct jail_segment {
	uint32_t act;
	int32_t number;
	uint64_t ready_ns; /* set before READY is written to the first eventfd */
	char answer[4096];
};

#endif
