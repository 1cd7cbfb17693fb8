#include "base/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>

static const struct row {
	const char *name;
	const char *type;
	const char *help;
} table[] = {
#define COUNTER "counter"
#define GAUGE "gauge"
#define X(id, name, type, help) [id] = { name, type, help },
	METRIC_TABLE(X)
#undef X
};

static atomic_int_fast64_t values[METRIC_COUNT];

void metric_add(enum metric metric, int64_t delta)
{
	atomic_fetch_add_explicit(&values[metric], delta, memory_order_relaxed);
}

void metric_set(enum metric metric, int64_t value)
{
	atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

int64_t metric_get(enum metric metric)
{
	return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

void metrics_put_text(struct buf *out)
{
	for (int i = 0; i < METRIC_COUNT; i++)
		buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n",
			 table[i].name, table[i].help, table[i].name, table[i].type,
			 table[i].name, metric_get((enum metric)i));
}
