#include "metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTOGRAM_SLOTS (METRICS_BUCKETS + 2) /* count and sum behind the buckets */
#define FAMILIES        128

/* One histogram for each eight series is what a server has; what passes it becomes "other". */
#define SLOTS_PER_SERIES 16

struct series {
	uint32_t family, slot;
	char values[METRICS_LABELS][METRICS_LABEL_BYTES + 1];
};

struct metrics {
	unsigned n_shards;
	uint32_t max_series, max_slots;   /* for ordinary series */
	uint32_t room_series, room_slots; /* with one "other" for each family on top */
	_Atomic uint32_t n_series,
		n_families; /* what is below these is complete and never changes */
	const struct metrics_family *families[FAMILIES];
	struct series *series;
	_Atomic uint64_t
		*shards[METRICS_SHARDS]; /* n slots each; the first HISTOGRAM_SLOTS are nobody's */
	pthread_mutex_t lock;            /* for making series */
	uint32_t n_slots, n_others, n_other_slots;
	uint32_t *index; /* open addressing: number of a series + 1, or 0 */
	uint32_t index_mask;
};

int metrics_new(unsigned n_shards, uint32_t max_series, struct metrics **ret, struct err *err)
{
	if (n_shards == 0 || n_shards > METRICS_SHARDS || max_series == 0 || max_series > 1u << 20)
		return ERR_SET(
			err, ERR_INVALID, "metrics: %u shards, %u series", n_shards, max_series);

	DEFER(metrics_free) struct metrics *m = calloc(1, sizeof *m);
	if (!m)
		return ERR_SET(err, ERR_NOMEM, "no memory for metrics");
	pthread_mutex_init(&m->lock, NULL);
	m->n_shards = n_shards;
	m->max_series = max_series;
	m->room_series = max_series + FAMILIES;
	m->max_slots = HISTOGRAM_SLOTS + max_series * SLOTS_PER_SERIES;
	m->room_slots = m->max_slots + FAMILIES * HISTOGRAM_SLOTS;
	m->n_slots = HISTOGRAM_SLOTS;
	uint32_t n_index = 1;
	while (n_index < 2 * m->room_series)
		n_index *= 2;
	m->index_mask = n_index - 1;
	/* Large blocks, of which the kernel gives only the pages that are touched. */
	m->index = calloc(n_index, sizeof *m->index);
	m->series = calloc(m->room_series, sizeof *m->series);
	if (!m->index || !m->series)
		return ERR_SET(err, ERR_NOMEM, "no memory for %u series", max_series);
	for (unsigned i = 0; i < n_shards; i++) {
		m->shards[i] = calloc(m->room_slots, sizeof *m->shards[i]);
		if (!m->shards[i])
			return ERR_SET(err, ERR_NOMEM, "no memory for shard %u", i);
	}
	*ret = m;
	m = NULL; /* handed over */
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (unsigned i = 0; i < metrics->n_shards; i++)
		free(metrics->shards[i]);
	free(metrics->series);
	free(metrics->index);
	pthread_mutex_destroy(&metrics->lock);
	free(metrics);
}

static size_t n_labels(const struct metrics_family *family)
{
	size_t n = 0;

	while (n < METRICS_LABELS && family->labels[n])
		n++;
	return n;
}

/* The number of family among those known, added when it is new; FAMILIES when there are too many.
 */
static uint32_t family_number(struct metrics *m, const struct metrics_family *family)
{
	uint32_t n = atomic_load_explicit(&m->n_families, memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++)
		if (m->families[i] == family)
			return i;
	if (n == FAMILIES)
		return FAMILIES;
	m->families[n] = family;
	atomic_store_explicit(&m->n_families, n + 1, memory_order_release);
	return n;
}

static uint32_t hash_series(const struct series *key)
{
	uint64_t hash = 0xcbf29ce484222325u ^ key->family;

	for (size_t i = 0; i < METRICS_LABELS; i++)
		for (const char *p = key->values[i];; p++) {
			hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
			if (!*p)
				break;
		}
	return (uint32_t)(hash ^ hash >> 32);
}

static bool is_same(const struct series *a, const struct series *b)
{
	if (a->family != b->family)
		return false;
	for (size_t i = 0; i < METRICS_LABELS; i++)
		if (strcmp(a->values[i], b->values[i]) != 0)
			return false;
	return true;
}

/* The series like key, made when it is new and there is room: for an ordinary one what max_series
 * and max_slots leave, for an "other" one what was kept for those. Slot 0 when there is none. */
static uint32_t find_or_add(struct metrics *m, const struct series *key, bool is_other)
{
	uint32_t at = hash_series(key) & m->index_mask;

	for (; m->index[at]; at = (at + 1) & m->index_mask)
		if (is_same(&m->series[m->index[at] - 1], key))
			return m->series[m->index[at] - 1].slot;

	uint32_t n = atomic_load_explicit(&m->n_series, memory_order_relaxed);
	bool is_histogram = m->families[key->family]->type == METRICS_HISTOGRAM;
	uint32_t wanted = is_histogram ? HISTOGRAM_SLOTS : 1;
	/* A family has at most one "other", so the room that was kept for those always suffices. */
	if (!is_other && (n - m->n_others >= m->max_series ||
				 m->n_slots - m->n_other_slots + wanted > m->max_slots))
		return 0;
	assert(n < m->room_series && m->n_slots + wanted <= m->room_slots);
	m->series[n] = *key;
	m->series[n].slot = m->n_slots;
	m->n_slots += wanted;
	m->n_others += is_other;
	m->n_other_slots += is_other ? wanted : 0;
	m->index[at] = n + 1;
	atomic_store_explicit(&m->n_series, n + 1, memory_order_release);
	return m->series[n].slot;
}

struct metrics_series metrics_series(
	struct metrics *metrics, const struct metrics_family *family, const struct bytes values[])
{
	struct series key = { 0 };
	size_t n = n_labels(family);

	for (size_t i = 0; i < n; i++)
		bytes_to_string(values[i], key.values[i], sizeof key.values[i]);
	pthread_mutex_lock(&metrics->lock);
	key.family = family_number(metrics, family);
	uint32_t slot = 0;
	if (key.family < FAMILIES) {
		slot = find_or_add(metrics, &key, false);
		if (slot == 0) {
			for (size_t i = 0; i < n; i++)
				strcpy(key.values[i], "other");
			slot = find_or_add(metrics, &key, true);
		}
	}
	pthread_mutex_unlock(&metrics->lock);
	return (struct metrics_series){ slot };
}

static _Atomic uint64_t *slot_of(struct metrics *m, unsigned shard, struct metrics_series series)
{
	assert(shard < m->n_shards && series.slot < m->room_slots);
	return &m->shards[shard][series.slot];
}

/* This thread is the slot's only writer, so nothing can come between load and store. */
static void bump(_Atomic uint64_t *slot, uint64_t n)
{
	atomic_store_explicit(
		slot, atomic_load_explicit(slot, memory_order_relaxed) + n, memory_order_relaxed);
}

void metrics_add(struct metrics *metrics, unsigned shard, struct metrics_series series, uint64_t n)
{
	bump(slot_of(metrics, shard, series), n);
}

void metrics_set(
	struct metrics *metrics, unsigned shard, struct metrics_series series, int64_t value)
{
	atomic_store_explicit(
		slot_of(metrics, shard, series), (uint64_t)value, memory_order_relaxed);
}

void metrics_change(
	struct metrics *metrics, unsigned shard, struct metrics_series series, int64_t delta)
{
	bump(slot_of(metrics, shard, series), (uint64_t)delta);
}

static unsigned bucket_of(uint64_t ns)
{
	if (ns < 1ull << METRICS_BUCKET_FIRST)
		return 0;
	unsigned octave = 63 - (unsigned)__builtin_clzll(ns);
	unsigned bucket = (octave - METRICS_BUCKET_FIRST) * 4 + (unsigned)(ns >> (octave - 2) & 3);
	return bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS - 1;
}

void metrics_observe(
	struct metrics *metrics, unsigned shard, struct metrics_series series, uint64_t duration_ns)
{
	_Atomic uint64_t *slots = slot_of(metrics, shard, series);

	assert(series.slot + HISTOGRAM_SLOTS <= metrics->room_slots);
	bump(&slots[bucket_of(duration_ns)], 1);
	bump(&slots[METRICS_BUCKETS], 1);
	bump(&slots[METRICS_BUCKETS + 1], duration_ns);
}

static uint64_t sum_slot(const struct metrics *m, uint32_t slot)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < m->n_shards; i++)
		sum += atomic_load_explicit(&m->shards[i][slot], memory_order_relaxed);
	return sum;
}

/* What type the series at slot is, for callers that hold only its number. */
static const struct series *series_at(const struct metrics *m, uint32_t slot)
{
	uint32_t low = 0, high = atomic_load_explicit(&m->n_series, memory_order_acquire);

	/* Slots are given in the order of the series, so they are sorted. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (m->series[middle].slot == slot)
			return &m->series[middle];
		if (m->series[middle].slot < slot)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

uint64_t metrics_value(const struct metrics *metrics, struct metrics_series series)
{
	const struct series *s = series_at(metrics, series.slot);

	if (!s)
		return 0;
	bool is_histogram = metrics->families[s->family]->type == METRICS_HISTOGRAM;
	return sum_slot(metrics, series.slot + (is_histogram ? METRICS_BUCKETS : 0));
}

void metrics_histogram(
	const struct metrics *metrics, struct metrics_series series, struct metrics_histogram *ret)
{
	const struct series *s = series_at(metrics, series.slot);

	memset(ret, 0, sizeof *ret);
	if (!s || metrics->families[s->family]->type != METRICS_HISTOGRAM)
		return;
	for (uint32_t i = 0; i < METRICS_BUCKETS; i++) {
		ret->buckets[i] = sum_slot(metrics, s->slot + i);
		/* Not the count's own slot: a reader must see a total that its buckets add up to.
		 */
		ret->count += ret->buckets[i];
	}
	ret->sum_ns = sum_slot(metrics, s->slot + METRICS_BUCKETS + 1);
}

void metrics_histogram_subtract(
	struct metrics_histogram *after, const struct metrics_histogram *before)
{
	for (size_t i = 0; i < METRICS_BUCKETS; i++)
		after->buckets[i] -= before->buckets[i];
	after->count -= before->count;
	after->sum_ns -= before->sum_ns;
}

static uint64_t bucket_begin_ns(unsigned bucket)
{
	if (bucket == 0)
		return 0;
	return (4ull + bucket % 4) << (METRICS_BUCKET_FIRST - 2 + bucket / 4);
}

uint64_t metrics_quantile_ns(const struct metrics_histogram *histogram, double q)
{
	if (histogram->count == 0)
		return 0;
	double rank = q * (double)histogram->count;
	uint64_t below = 0;
	unsigned bucket = 0;

	while (bucket < METRICS_BUCKETS - 1 &&
		(histogram->buckets[bucket] == 0 ||
			(double)(below + histogram->buckets[bucket]) < rank))
		below += histogram->buckets[bucket++];
	uint64_t begin = bucket_begin_ns(bucket);
	if (bucket == METRICS_BUCKETS - 1 || histogram->buckets[bucket] == 0)
		return begin; /* the open one has no end to interpolate to */
	double part = (rank - (double)below) / (double)histogram->buckets[bucket];
	uint64_t width = bucket_begin_ns(bucket + 1) - begin;
	return begin + (uint64_t)(part < 0 ? 0 : part * (double)width);
}

/* The label value with the three escapes that the text format has. */
static void put_label_value(struct bytes_buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			bytes_buf_append_byte(out, '\\');
		if (*value == '\n')
			bytes_buf_append_string(out, "\\n");
		else
			bytes_buf_append_byte(out, *value);
	}
}

/* name_suffix{label="value",...,le="..."} and a space; le may be NULL. */
static void put_name(struct bytes_buf *out, const struct metrics_family *family,
	const struct series *s, const char *suffix, const char *le)
{
	char separator = '{';

	bytes_buf_append_string(out, family->name);
	bytes_buf_append_string(out, suffix);
	for (size_t i = 0; i < n_labels(family); i++) {
		bytes_buf_append_byte(out, separator);
		bytes_buf_append_string(out, family->labels[i]);
		bytes_buf_append_string(out, "=\"");
		put_label_value(out, s->values[i]);
		bytes_buf_append_byte(out, '"');
		separator = ',';
	}
	if (le) {
		bytes_buf_appendf(out, "%cle=\"%s\"", separator, le);
		separator = ',';
	}
	bytes_buf_append_string(out, separator == ',' ? "} " : " ");
}

/* One bucket for each octave from 16 us to 34 s is what a dashboard can use. */
static void put_histogram(struct bytes_buf *out, const struct metrics *m, const struct series *s)
{
	const struct metrics_family *family = m->families[s->family];
	struct metrics_histogram histogram;
	uint64_t n = 0;
	unsigned bucket = 0;

	metrics_histogram(m, (struct metrics_series){ s->slot }, &histogram);
	for (unsigned octave = 14; octave <= 35; octave++) {
		char le[32];
		for (; bucket < (octave - METRICS_BUCKET_FIRST) * 4; bucket++)
			n += histogram.buckets[bucket];
		(void)snprintf(le, sizeof le, "%.9g", (double)(1ull << octave) / 1e9);
		put_name(out, family, s, "_bucket", le);
		bytes_buf_appendf(out, "%llu\n", (unsigned long long)n);
	}
	put_name(out, family, s, "_bucket", "+Inf");
	bytes_buf_appendf(out, "%llu\n", (unsigned long long)histogram.count);
	put_name(out, family, s, "_sum", NULL);
	bytes_buf_appendf(out, "%.9g\n", (double)histogram.sum_ns / 1e9);
	put_name(out, family, s, "_count", NULL);
	bytes_buf_appendf(out, "%llu\n", (unsigned long long)histogram.count);
}

bool metrics_expose(const struct metrics *metrics, struct bytes_buf *out)
{
	static const char *const types[] = { [METRICS_COUNTER] = "counter",
		[METRICS_GAUGE] = "gauge",
		[METRICS_HISTOGRAM] = "histogram" };
	uint32_t n_families = atomic_load_explicit(&metrics->n_families, memory_order_acquire);
	uint32_t n_series = atomic_load_explicit(&metrics->n_series, memory_order_acquire);

	for (uint32_t f = 0; f < n_families; f++) {
		const struct metrics_family *family = metrics->families[f];
		bytes_buf_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help,
			family->name, types[family->type]);
		for (uint32_t i = 0; i < n_series; i++) {
			const struct series *s = &metrics->series[i];
			if (s->family != f)
				continue;
			if (family->type == METRICS_HISTOGRAM) {
				put_histogram(out, metrics, s);
				continue;
			}
			uint64_t value = sum_slot(metrics, s->slot);
			put_name(out, family, s, "", NULL);
			if (family->type == METRICS_GAUGE)
				bytes_buf_appendf(out, "%lld\n", (long long)value);
			else
				bytes_buf_appendf(out, "%llu\n", (unsigned long long)value);
		}
	}
	return !out->failed;
}
