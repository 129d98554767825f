/*
 * log.h - one line for each thing worth knowing, for machines and for people
 *
 * A line is a JSON object when standard error is a file, a pipe or a journal, and readable text
 * when it is a terminal:
 *
 *   {"time":"2026-11-23 14:24:25.123Z","level":"warn","source":"pool","message":"worker exited",
 *    "trace":"4bf9...","plugin":"order-rules","signal":11}
 *
 * A line has at most LOG_LINE_BYTES and is one write(2), so that lines of several threads, and of
 * several writers of one pipe, never mix. Nothing here waits: when the other end of standard error
 * is full, the line is dropped and counted.
 *
 * What a source repeats is limited: each line takes a token out of the source's bucket, a line that
 * finds none is dropped, and the next line that finds one carries "dropped", the number of those
 * before it. Text from outside may hold any bytes: they are escaped, never sent on to the terminal.
 *
 * Threads: all functions from any thread.
 * Memory:  the line is built on the stack; nothing is allocated.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"
#include "id.h"

/* At most PIPE_BUF, so that a write to a pipe is one piece. */
#define LOG_LINE_BYTES 4096

enum log_level {
	LOG_DEBUG, /* what a developer follows */
	LOG_INFO,  /* what an operator expects: started, deployed, stopped */
	LOG_WARN,  /* what goes on with less: a worker crashed, an upstream is down */
	LOG_ERROR  /* what somebody has to look at: a fault of ours */
};

/* Who writes, and how much it may: a burst of that many lines, and then so many each second. It
 * lives in its owner's struct; a line of a NULL source is never dropped for its rate. */
struct log_source {
	const char *name; /* static, or as long as the source */
	uint32_t lines_per_second, burst_lines;
	/* private, zero at first */
	_Atomic uint64_t next_ns; /* when the bucket is full again, on the monotonic clock */
	_Atomic uint64_t n_dropped;
};

/* A source with the usual limit: 20 lines a second, bursts of 100. */
#define LOG_SOURCE(source_name)                                                                    \
	((struct log_source){ .name = (source_name), .lines_per_second = 20, .burst_lines = 100 })

enum log_kind {
	LOG_KIND_END,
	LOG_KIND_TEXT,
	LOG_KIND_INT,
	LOG_KIND_UINT,
	LOG_KIND_DOUBLE,
	LOG_KIND_BOOL,
	LOG_KIND_FAULT
};

/* One key and value of a line; made by the functions below. */
struct log_field {
	const char *key; /* static */
	enum log_kind kind;
	union {
		struct bytes text;
		int64_t integer;
		uint64_t number;
		double real;
		bool truth;
		const struct err *fault;
	} as;
};

/* The fields of a line: LOG_FIELDS(log_text("tenant", name), log_int("status", 200)). */
#define LOG_FIELDS(...) ((const struct log_field[]){ __VA_ARGS__, { 0 } })

static inline struct log_field log_text(const char *key, struct bytes text)
{
	return (struct log_field){ key, LOG_KIND_TEXT, { .text = text } };
}
static inline struct log_field log_string(const char *key, const char *string)
{
	return (struct log_field){ key, LOG_KIND_TEXT, { .text = bytes_of(string) } };
}
static inline struct log_field log_int(const char *key, int64_t integer)
{
	return (struct log_field){ key, LOG_KIND_INT, { .integer = integer } };
}
static inline struct log_field log_uint(const char *key, uint64_t number)
{
	return (struct log_field){ key, LOG_KIND_UINT, { .number = number } };
}
static inline struct log_field log_double(const char *key, double real)
{
	return (struct log_field){ key, LOG_KIND_DOUBLE, { .real = real } };
}
static inline struct log_field log_bool(const char *key, bool truth)
{
	return (struct log_field){ key, LOG_KIND_BOOL, { .truth = truth } };
}
/* A fault as "fault": code and message, "at": file and line, "errno" when there is one. */
static inline struct log_field log_fault(const struct err *fault)
{
	return (struct log_field){ "fault", LOG_KIND_FAULT, { .fault = fault } };
}

/* Sets the least level that is written. The one piece of global state here that changes while
 * threads run; any thread may. LOG_INFO at first. */
void log_set_level(enum log_level level);
/* Parses "debug", "info", "warn" or "error". False when name is none of them. */
bool log_parse_level(struct bytes name, enum log_level *ret);
/* True when a line of this level would be written: for callers whose fields are costly to make. */
bool log_is_on(enum log_level level);

enum log_format {
	LOG_FORMAT_AUTO, /* text when the descriptor is a terminal, else JSON */
	LOG_FORMAT_JSON,
	LOG_FORMAT_TEXT
};

/* Where lines go: standard error and LOG_FORMAT_AUTO until this is called. Before other threads
 * start, or in tests. */
void log_set_output(int fd, enum log_format format);

/* Writes one line. trace_id is 16 bytes or NULL; fields is LOG_FIELDS(...) or NULL. errno is kept.
 */
void log_write(enum log_level level, struct log_source *source,
	const uint8_t trace_id[ID_TRACE_BYTES], const char *message,
	const struct log_field *fields);

/* Lines that were dropped, by rate or because the descriptor was full, since the process began. */
uint64_t log_dropped(void);

#endif
