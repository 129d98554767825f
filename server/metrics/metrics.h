/*
 * metrics.h - count, measure, expose
 *
 * A family is a metric with a name, a help text, a type and the names of its labels; a series is a
 * family with one set of label values. Both are made once, off the hot path. What remains there is
 * a store into the thread's own shard:
 *
 *              series  requests{class="2xx"}   latency (histogram)
 *     shard 0  [ 4711                        ][ bucket bucket ... sum count ]   written by loop 0
 * only shard 1  [ 4699                        ][ ...                         ]   written by loop 1
 * only reading  sum over shards
 *
 * Every shard has one writer, so adding is a plain load and store (relaxed atomics, for the
 * readers) and never a locked instruction. The number of series is bounded: what would pass it is
 * counted in its family's series with the label values "other", never dropped.
 *
 * Threads: metrics_add, _set and _observe from the shard's own thread only; all else from any
 * thread. Memory:  the registry owns all of it; shards and series are plain numbers.
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"

#define METRICS_LABELS      3  /* labels of a family at most */
#define METRICS_LABEL_BYTES 63 /* of a label's value; longer ones are cut */
#define METRICS_SHARDS      32 /* threads that may write, at most */

enum metrics_type {
	METRICS_COUNTER,  /* only goes up */
	METRICS_GAUGE,    /* goes up and down; the sum over the shards is the value */
	METRICS_HISTOGRAM /* of durations in ns; exposed in seconds, as the name should end */
};

struct metrics_family {
	const char *name; /* static: "tenon_requests_total" */
	const char *help; /* static: one sentence */
	enum metrics_type type;
	const char *labels[METRICS_LABELS]; /* static; NULL behind the last */
};

struct metrics;

/* A series; {0} counts nothing, so that what has no series yet may still be added to. */
struct metrics_series {
	uint32_t slot;
};

/* A registry for n_shards writing threads and at most max_series series. Returns 0, or -1
 * (ERR_NOMEM, ERR_INVALID). */
int metrics_new(unsigned n_shards, uint32_t max_series, struct metrics **ret, struct err *err);
/* After all writing threads have ended. Takes NULL. */
void metrics_free(struct metrics *metrics);

/* Finds or makes the series of family, a static struct, with these label values (as many as it has
 * labels). Never fails: beyond the bound it is the family's "other" series, and beyond even that
 * {0}. Takes a lock: keep the result. */
struct metrics_series metrics_series(
	struct metrics *metrics, const struct metrics_family *family, const struct bytes values[]);

/* shard is the writer's number, 0 to n_shards-1. */
void metrics_add(struct metrics *metrics, unsigned shard, struct metrics_series series, uint64_t n);
/* A gauge's part of this shard: set, or change by delta. */
void metrics_set(
	struct metrics *metrics, unsigned shard, struct metrics_series series, int64_t value);
void metrics_change(
	struct metrics *metrics, unsigned shard, struct metrics_series series, int64_t delta);
/* Notes one duration in a histogram. */
void metrics_observe(struct metrics *metrics, unsigned shard, struct metrics_series series,
	uint64_t duration_ns);

/* The value over all shards: of a counter, of a gauge (as int64_t), of a histogram its count. */
uint64_t metrics_value(const struct metrics *metrics, struct metrics_series series);

/* Buckets are four to an octave: bucket b begins at 2^(METRICS_BUCKET_FIRST + b/4) * (1 +
 * (b%4)/4.0) ns, the first one at 0, the last one (above 171 s) is open. So what is read from them
 * is off by less than 25 %, and by less than 10 % on average since it is interpolated. */
#define METRICS_BUCKET_FIRST 10
#define METRICS_BUCKETS      110

struct metrics_histogram {
	uint64_t buckets[METRICS_BUCKETS];
	uint64_t count, sum_ns;
};

/* A histogram over all shards. */
void metrics_histogram(
	const struct metrics *metrics, struct metrics_series series, struct metrics_histogram *ret);
/* after - before, bucket by bucket: what happened in between. */
void metrics_histogram_subtract(
	struct metrics_histogram *after, const struct metrics_histogram *before);
/* The duration that a part q (0 to 1) of the observations does not pass; 0 when there are none. */
uint64_t metrics_quantile_ns(const struct metrics_histogram *histogram, double q);

/* Appends all series in the Prometheus text format 0.0.4. False when out is full. */
bool metrics_expose(const struct metrics *metrics, struct bytes_buf *out);

DEFER_DEFINE(struct metrics *, metrics_free)

#endif
