/*
 * sandbox_wire.h - what the core and the spawner say to each other, and the hand-over of
 * descriptors
 *
 * One SOCK_SEQPACKET: one send is one message, whole or not at all. Both ends are programs of one
 * build, so messages are plain structs; the version check catches a half-finished upgrade. A worker
 * never holds this socket.
 *
 *   core     START id, limits   + descriptors: plugin, segment, stdio, eventfds
 *   core     KILL id
 *   spawner  HELLO version, report
 *   spawner  STARTED id, pid    + descriptor: pidfd
 *   spawner  EXITED id, how, usage
 *   spawner  FAILED id, errno, detail
 *
 * Threads: one per end. Memory: the caller's.
 */
#ifndef SANDBOX_WIRE_H
#define SANDBOX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "sandbox.h"
#include "sandbox_report.h"

#define SANDBOX_WIRE_VERSION 1u
/* The spawner's end of the socket. */
#define SANDBOX_WIRE_FD 3
/* plugin, segment, stdio and the eventfds, in this order */
#define SANDBOX_WIRE_FDS (3 + SANDBOX_EVENTFDS_MAX)

enum sandbox_wire_kind {
	SANDBOX_WIRE_START = 1,
	SANDBOX_WIRE_KILL,
	SANDBOX_WIRE_HELLO,
	SANDBOX_WIRE_STARTED,
	SANDBOX_WIRE_EXITED,
	SANDBOX_WIRE_FAILED
};

struct sandbox_wire_start {
	uint32_t n_eventfds, cpu_s, cpu_percent;
	uint32_t is_selftest;
	uint64_t memory_bytes, address_space_bytes;
};

struct sandbox_wire_exited {
	uint32_t was_killed; /* status is a signal, else an exit status */
	int32_t status;
	int32_t syscall_nr; /* -1: not known */
	uint32_t is_out_of_memory;
	uint64_t max_rss_bytes, user_us, system_us;
};

struct sandbox_wire {
	uint32_t version, kind;
	uint64_t id;
	union {
		struct sandbox_wire_start start;
		struct sandbox_report hello;
		struct {
			int32_t pid;
		} started;
		struct sandbox_wire_exited exited;
		struct {
			int32_t os_errno;
			char detail[128];
		} failed;
	};
};

/* Sends one message with n_fds descriptors, which stay the caller's. flags as sendmsg
 * (MSG_DONTWAIT). Returns 0, or -1 with *err set (ERR_IO; its os_errno is EAGAIN when the socket is
 * full). */
int sandbox_wire_send(int socket, const struct sandbox_wire *message, const int *fds, size_t n_fds,
	int flags, struct err *err);

enum sandbox_wire_result {
	SANDBOX_WIRE_MESSAGE,
	SANDBOX_WIRE_NONE,  /* MSG_DONTWAIT, and nothing waits */
	SANDBOX_WIRE_CLOSED /* the other end is gone, or broke the protocol */
};

/* Receives one message and its descriptors, which become the caller's, all close-on-exec. fds has
 * room for SANDBOX_WIRE_FDS; *ret_n_fds is 0 unless the result is SANDBOX_WIRE_MESSAGE. */
enum sandbox_wire_result sandbox_wire_receive(int socket, int flags, struct sandbox_wire *ret,
	int fds[static SANDBOX_WIRE_FDS], size_t *ret_n_fds);

#endif
