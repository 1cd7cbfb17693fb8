#include "base/metrics.h"

#include "base/registry_inside.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t rows_lock = PTHREAD_MUTEX_INITIALIZER;

void metric_add(enum metric metric, int64_t delta)
{
	atomic_fetch_add_explicit(&registry_slot_here()->values[metric], delta,
				  memory_order_relaxed);
}

void metric_set(enum metric metric, int64_t value)
{
	atomic_store_explicit(&registry_slot_here()->values[metric], value, memory_order_relaxed);
}

int64_t metric_get(enum metric metric)
{
	return atomic_load_explicit(&registry_slot_here()->values[metric], memory_order_relaxed);
}

void histogram_note(enum histogram_id id, int64_t us)
{
	histogram_add(&registry_slot_here()->histograms[id], us);
}

/* --- rows ------------------------------------------------------------------------- */

static void row_begin(struct series *row, enum series_kind kind, const char *name)
{
	(void)snprintf(row->name, sizeof(row->name), "%s", name);
	atomic_store(&row->values[SERIES_LAG], -1);
	atomic_store_explicit(&row->kind, (uint32_t)kind + 1, memory_order_release);
}

/* With the lock. The first rows are those of "other". */
static struct series *row_find(struct registry_slot *slot, enum series_kind kind, const char *name)
{
	struct series *other = &slot->rows[kind];
	unsigned names = 0;

	for (size_t i = SERIES_KINDS; i < REGISTRY_ROWS_MAX; i++) {
		struct series *row = &slot->rows[i];

		if (row->kind == 0 && names < SERIES_NAMES_MAX) {
			row_begin(row, kind, name);
			return row;
		}
		if (row->kind != (uint32_t)kind + 1)
			continue;
		if (strncmp(row->name, name, sizeof(row->name) - 1) == 0)
			return row;
		names++;
	}
	if (other->kind == 0)
		row_begin(other, kind, "other");
	return other;
}

struct series *series_of(enum series_kind kind, const char *name)
{
	struct series *row;

	(void)pthread_mutex_lock(&rows_lock);
	row = row_find(registry_mine(), kind, name);
	(void)pthread_mutex_unlock(&rows_lock);
	return row;
}

void series_add(struct series *series, enum series_value value, int64_t delta)
{
	atomic_fetch_add_explicit(&series->values[value], delta, memory_order_relaxed);
}

void series_set(struct series *series, enum series_value value, int64_t to)
{
	atomic_store_explicit(&series->values[value], to, memory_order_relaxed);
}

int64_t series_get(const struct series *series, enum series_value value)
{
	return atomic_load_explicit(&series->values[value], memory_order_relaxed);
}

void series_raise(struct series *series, enum series_value value, int64_t to)
{
	if (to > series_get(series, value))
		series_set(series, value, to);
}
