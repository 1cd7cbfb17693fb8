/*
 * histogram.h - times, counted in buckets of fixed bounds: eight to each doubling, so that a
 * quantile is at most an eighth too high. Microseconds, up to twelve days; what is longer counts
 * as that.
 *
 * Threads: any; updates are relaxed atomics.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum { HISTOGRAM_PARTS = 8, HISTOGRAM_POWER_MAX = 39, HISTOGRAM_BUCKETS = 304 };

struct histogram {
	_Atomic int64_t sum_us;
	_Atomic int64_t buckets[HISTOGRAM_BUCKETS];
};

/* A copy, of one moment or of what was counted between two. */
struct histogram_counts {
	int64_t sum_us;
	int64_t count;
	int64_t buckets[HISTOGRAM_BUCKETS];
};

/* Its bucket is the last that begins at or below it. */
static inline unsigned histogram_bucket(int64_t us)
{
	uint64_t value = us > 0 ? (uint64_t)us : 0;
	unsigned power;

	if (value < HISTOGRAM_PARTS)
		return (unsigned)value;
	power = 63 - (unsigned)__builtin_clzll(value);
	if (power > HISTOGRAM_POWER_MAX)
		return HISTOGRAM_BUCKETS - 1;
	return (power - 2) * HISTOGRAM_PARTS + (unsigned)(value >> (power - 3)) % HISTOGRAM_PARTS;
}

/* Where the bucket begins. */
static inline int64_t histogram_bound(unsigned bucket)
{
	unsigned power = bucket / HISTOGRAM_PARTS + 2;

	if (bucket < HISTOGRAM_PARTS)
		return bucket;
	return (int64_t)(HISTOGRAM_PARTS + bucket % HISTOGRAM_PARTS) << (power - 3);
}

static inline void histogram_add(struct histogram *histogram, int64_t us)
{
	atomic_fetch_add_explicit(&histogram->buckets[histogram_bucket(us)], 1,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->sum_us, us > 0 ? us : 0, memory_order_relaxed);
}

/* Adds what it has (`sign` 1), or takes that away (-1). */
static inline void histogram_sum(struct histogram_counts *counts, const struct histogram *histogram,
				 int sign)
{
	counts->sum_us += sign * atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		int64_t n = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);

		counts->buckets[i] += sign * n;
		counts->count += sign * n;
	}
}

/* The time that a share of `per_mille` were no longer than; -1: there were none. */
static inline int64_t histogram_quantile(const struct histogram_counts *counts, int per_mille)
{
	int64_t wanted = (counts->count * per_mille + 999) / 1000;
	int64_t seen = 0;

	if (counts->count <= 0)
		return -1;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += counts->buckets[i];
		if (seen >= wanted)
			return histogram_bound(i + 1) - 1;
	}
	return histogram_bound(HISTOGRAM_BUCKETS - 1);
}

#endif
