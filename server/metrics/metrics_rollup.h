/*
 * metrics_rollup.h - the last fifteen minutes, second by second, for the console's charts
 *
 * A rollup follows some series as columns and keeps, for each second, how much a counter grew, what
 * a gauge was, or a quantile of what a histogram saw in that second:
 *
 *     second      ... 41  42  43  (now)
 *     req.2xx         90  88  91       counter
 *     latency.p99     2.1 2.0 2.4      quantile 0.99, in ms
 *
 * Columns may be added while it runs (a plugin was deployed); the seconds before are 0.
 *
 * Threads: metrics_rollup_tick from one thread; all else from any (a lock inside, held for less
 * than a millisecond).
 * Memory:  a rollup owns its columns and their names; the series stay with their registry.
 */
#ifndef METRICS_METRICS_ROLLUP_H
#define METRICS_METRICS_ROLLUP_H

#include "metrics.h"

#define METRICS_ROLLUP_SECONDS   900
#define METRICS_ROLLUP_KEY_BYTES 96

struct metrics_rollup;

/* A rollup of at most max_columns columns (7.2 KB each). Returns 0, or -1 (ERR_NOMEM). */
int metrics_rollup_new(struct metrics *metrics, uint32_t max_columns, struct metrics_rollup **ret,
	struct err *err);
void metrics_rollup_free(struct metrics_rollup *rollup);

/* Follows a counter or gauge under key, for example "plugin.shop.order-rules.calls". A key that is
 * there already keeps its column. False when there is no room for another column. */
bool metrics_rollup_follow(struct metrics_rollup *rollup, struct bytes key, enum metrics_type type,
	struct metrics_series series);
/* Follows quantile q of a histogram, in milliseconds. */
bool metrics_rollup_follow_quantile(
	struct metrics_rollup *rollup, struct bytes key, struct metrics_series series, double q);
/* Forgets a column. */
void metrics_rollup_forget(struct metrics_rollup *rollup, struct bytes key);

/* Takes the sample of one second; wall_s is the second that ended. Call it once a second; seconds
 * that were left out are filled with 0 (a counter's growth falls into the latest). */
void metrics_rollup_tick(struct metrics_rollup *rollup, int64_t wall_s);

/* Calls each for every column with the samples of the seconds after since_s, oldest first; the last
 * one is second last_s. Samples are valid during the call only. */
void metrics_rollup_read(struct metrics_rollup *rollup, int64_t since_s,
	void (*each)(void *user, struct bytes key, const double *samples, size_t n, int64_t last_s),
	void *user);

/* The same for the column of this key alone. False when there is none. */
bool metrics_rollup_read_one(struct metrics_rollup *rollup, struct bytes key, int64_t since_s,
	void (*each)(void *user, struct bytes key, const double *samples, size_t n, int64_t last_s),
	void *user);

DEFER_DEFINE(struct metrics_rollup *, metrics_rollup_free)

#endif
