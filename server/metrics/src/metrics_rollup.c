#include "metrics_rollup.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct column {
	char key[METRICS_ROLLUP_KEY_BYTES];
	struct metrics_series series;
	enum metrics_type type;
	double q;
	uint64_t before;                           /* of a counter */
	struct metrics_histogram *before_of_times; /* of a histogram */
	double samples[METRICS_ROLLUP_SECONDS];    /* at n_ticks % METRICS_ROLLUP_SECONDS comes the
						      next */
};

struct metrics_rollup {
	struct metrics *metrics;
	pthread_mutex_t lock;
	uint64_t n_ticks;
	int64_t last_s;
	uint32_t n_columns, max_columns;
	struct column *columns[];
};

int metrics_rollup_new(
	struct metrics *metrics, uint32_t max_columns, struct metrics_rollup **ret, struct err *err)
{
	struct metrics_rollup *rollup =
		calloc(1, sizeof *rollup + max_columns * sizeof rollup->columns[0]);

	if (!rollup)
		return ERR_SET(err, ERR_NOMEM, "no memory for a rollup");
	rollup->metrics = metrics;
	rollup->max_columns = max_columns;
	pthread_mutex_init(&rollup->lock, NULL);
	*ret = rollup;
	return 0;
}

static void column_free(struct column *column)
{
	if (!column)
		return;
	free(column->before_of_times);
	free(column);
}

DEFER_DEFINE(struct column *, column_free)

void metrics_rollup_free(struct metrics_rollup *rollup)
{
	if (!rollup)
		return;
	for (uint32_t i = 0; i < rollup->n_columns; i++)
		column_free(rollup->columns[i]);
	pthread_mutex_destroy(&rollup->lock);
	free(rollup);
}

static uint32_t find_column(const struct metrics_rollup *rollup, struct bytes key)
{
	uint32_t i = 0;

	while (i < rollup->n_columns && !bytes_eq_string(key, rollup->columns[i]->key))
		i++;
	return i;
}

/* Under the lock. */
static bool add_column(struct metrics_rollup *rollup, struct bytes key, enum metrics_type type,
	struct metrics_series series, double q)
{
	if (find_column(rollup, key) < rollup->n_columns)
		return true;
	if (rollup->n_columns == rollup->max_columns)
		return false;
	DEFER(column_free) struct column *column = calloc(1, sizeof *column);
	if (!column || !bytes_to_string(key, column->key, sizeof column->key))
		return false;
	column->series = series;
	column->type = type;
	column->q = q;
	if (type == METRICS_COUNTER)
		column->before = metrics_value(rollup->metrics, series);
	if (type == METRICS_HISTOGRAM) {
		column->before_of_times = malloc(sizeof *column->before_of_times);
		if (!column->before_of_times)
			return false;
		metrics_histogram(rollup->metrics, series, column->before_of_times);
	}
	rollup->columns[rollup->n_columns++] = column;
	column = NULL; /* handed over */
	return true;
}

bool metrics_rollup_follow(struct metrics_rollup *rollup, struct bytes key, enum metrics_type type,
	struct metrics_series series)
{
	pthread_mutex_lock(&rollup->lock);
	bool is_there = type != METRICS_HISTOGRAM && add_column(rollup, key, type, series, 0);
	pthread_mutex_unlock(&rollup->lock);
	return is_there;
}

bool metrics_rollup_follow_quantile(
	struct metrics_rollup *rollup, struct bytes key, struct metrics_series series, double q)
{
	pthread_mutex_lock(&rollup->lock);
	bool is_there = add_column(rollup, key, METRICS_HISTOGRAM, series, q);
	pthread_mutex_unlock(&rollup->lock);
	return is_there;
}

void metrics_rollup_forget(struct metrics_rollup *rollup, struct bytes key)
{
	pthread_mutex_lock(&rollup->lock);
	uint32_t i = find_column(rollup, key);
	if (i < rollup->n_columns) {
		column_free(rollup->columns[i]);
		rollup->columns[i] = rollup->columns[--rollup->n_columns];
	}
	pthread_mutex_unlock(&rollup->lock);
}

static double take_sample(const struct metrics *metrics, struct column *column)
{
	if (column->type == METRICS_HISTOGRAM) {
		struct metrics_histogram now, grown;
		metrics_histogram(metrics, column->series, &now);
		grown = now;
		metrics_histogram_subtract(&grown, column->before_of_times);
		*column->before_of_times = now;
		return (double)metrics_quantile_ns(&grown, column->q) / 1e6;
	}
	uint64_t now = metrics_value(metrics, column->series);
	if (column->type == METRICS_GAUGE)
		return (double)(int64_t)now;
	uint64_t grown = now - column->before;
	column->before = now;
	return (double)grown;
}

void metrics_rollup_tick(struct metrics_rollup *rollup, int64_t wall_s)
{
	pthread_mutex_lock(&rollup->lock);
	/* Seconds in which nobody called: a pause of the machine, or a step of its clock. */
	int64_t n_missed = rollup->n_ticks > 0 ? wall_s - rollup->last_s - 1 : 0;
	if (n_missed < 0)
		n_missed = 0;
	if (n_missed > METRICS_ROLLUP_SECONDS)
		n_missed = METRICS_ROLLUP_SECONDS;
	for (int64_t i = 0; i <= n_missed; i++, rollup->n_ticks++)
		for (uint32_t c = 0; c < rollup->n_columns; c++) {
			struct column *column = rollup->columns[c];
			column->samples[rollup->n_ticks % METRICS_ROLLUP_SECONDS] =
				i == n_missed ? take_sample(rollup->metrics, column) : 0;
		}
	rollup->last_s = wall_s;
	pthread_mutex_unlock(&rollup->lock);
}

/* How many samples there are after since_s. Under the lock. */
static uint64_t n_since(const struct metrics_rollup *rollup, int64_t since_s)
{
	uint64_t n =
		rollup->n_ticks < METRICS_ROLLUP_SECONDS ? rollup->n_ticks : METRICS_ROLLUP_SECONDS;

	if (since_s >= rollup->last_s)
		return 0;
	uint64_t asked = (uint64_t)rollup->last_s - (uint64_t)since_s;
	return asked < n ? asked : n;
}

static void tell(const struct metrics_rollup *rollup, const struct column *column, uint64_t n,
	void (*each)(void *user, struct bytes key, const double *samples, size_t n, int64_t last_s),
	void *user)
{
	double samples[METRICS_ROLLUP_SECONDS];

	for (uint64_t i = 0; i < n; i++)
		samples[i] = column->samples[(rollup->n_ticks - n + i) % METRICS_ROLLUP_SECONDS];
	each(user, bytes_of(column->key), samples, (size_t)n, rollup->last_s);
}

void metrics_rollup_read(struct metrics_rollup *rollup, int64_t since_s,
	void (*each)(void *user, struct bytes key, const double *samples, size_t n, int64_t last_s),
	void *user)
{
	pthread_mutex_lock(&rollup->lock);
	for (uint32_t c = 0; c < rollup->n_columns; c++)
		tell(rollup, rollup->columns[c], n_since(rollup, since_s), each, user);
	pthread_mutex_unlock(&rollup->lock);
}

bool metrics_rollup_read_one(struct metrics_rollup *rollup, struct bytes key, int64_t since_s,
	void (*each)(void *user, struct bytes key, const double *samples, size_t n, int64_t last_s),
	void *user)
{
	pthread_mutex_lock(&rollup->lock);
	uint32_t at = find_column(rollup, key);
	bool is_there = at < rollup->n_columns;
	if (is_there)
		tell(rollup, rollup->columns[at], n_since(rollup, since_s), each, user);
	pthread_mutex_unlock(&rollup->lock);
	return is_there;
}
