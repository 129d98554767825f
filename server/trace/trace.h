/*
 * trace.h - one id through everything that a request causes
 *
 * W3C trace context: a request that arrives with a traceparent goes on with its trace id, others
 * begin a trace. A span is one piece of work in it: begun, ended, handed to a sink. Without a sink
 * a span costs two clock reads.
 *
 * Threads: none inside; a sink is called on the thread that ends the span. Memory: the caller's.
 */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "id.h"

struct trace_context {
	uint8_t trace_id[ID_TRACE_BYTES];
	uint8_t span_id[ID_SPAN_BYTES];
	bool is_sampled;
};

#define TRACE_HEADER_BYTES 56 /* a traceparent with its terminator */

/* Parses a traceparent header. False, and *ret untouched, when it is not one: another form, a
 * version of ff, upper-case digits, or an id of zeros. A version after 00 may have more behind it.
 */
bool trace_parse(struct bytes header, struct trace_context *ret);
void trace_format(const struct trace_context *context, char out[static TRACE_HEADER_BYTES]);

/* A new trace, sampled. */
struct trace_context trace_root(struct id_source *ids);
/* The same trace with a span id of its own. */
struct trace_context trace_child(struct id_source *ids, const struct trace_context *parent);

struct trace_span {
	struct trace_context context;
	uint8_t parent_id[ID_SPAN_BYTES]; /* all zero: the root of the trace */
	const char *name;                 /* static: "plugin.call" */
	int64_t started_wall_us;
	uint64_t started_ns, duration_ns;
	bool has_failed;
};

/* Takes ended spans; copies what it keeps. */
struct trace_sink {
	void (*take)(struct trace_sink *sink, const struct trace_span *span);
};

/* Begins a span below parent; NULL: at the root of a new trace. */
void trace_begin(struct trace_span *span, struct id_source *ids, const struct trace_context *parent,
	const char *name);
/* Ends it and hands it to sink, which may be NULL, when its trace is sampled. */
void trace_end(struct trace_span *span, bool has_failed, struct trace_sink *sink);

#endif
