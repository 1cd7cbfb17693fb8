#include "base/registry.h"

#include <inttypes.h>
#include <string.h>

enum { LE_FIRST = 7, LE_LAST = 36 }; /* powers of two that have a line: 128 µs to 19 h */

enum row_type { COUNTER, EACH, GAUGE, TOTAL, NUMBER, TIME, FOUND };
static const char *const type_names[] = {
	"counter", "counter", "gauge", "counter", "gauge", "gauge", "gauge"
};

static const struct metric_row {
	const char *name;
	enum row_type type;
	const char *help;
} metric_rows[] = {
#define X(id, name, type, help) [id] = { name, type, help },
	METRIC_TABLE(X)
#undef X
};

static const struct histogram_row {
	const char *name;
	const char *help;
} histogram_rows[] = {
#define X(id, name, help) [id] = { name, help },
	HISTOGRAM_TABLE(X)
#undef X
};

static const struct series_row {
	unsigned kinds;
	int value;
	const char *name;
	enum row_type type;
	const char *help;
} series_rows[] = {
#define X(kinds, value, name, type, help) { kinds, (int)(value), name, type, help },
	SERIES_TABLE(X)
#undef X
};

static const char *const kind_labels[] = {
#define X(id, labels, role) [id] = labels,
	SERIES_KIND_TABLE(X)
#undef X
};

bool metric_is_gauge(enum metric metric) { return metric_rows[metric].type == GAUGE; }

/* Of a name, without the label that may follow. */
static void metrics_put_head(struct buf *out, const char *name, enum row_type type,
			     const char *help)
{
	int len = (int)strcspn(name, "{");

	buf_addf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, name, help, len, name,
		 type_names[type]);
}

/* --- counters and gauges ---------------------------------------------------------- */

/* The first process of each role; it speaks for the others of it. */
static bool is_first_of_role(const struct registry_view *view, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strncmp(view->list[i].slot->role, view->list[at].slot->role,
			    REGISTRY_ROLE_MAX) == 0)
			return false;
	return true;
}

static void put_each(const struct registry_view *view, struct buf *out, enum metric metric)
{
	for (size_t i = 0; i < view->count; i++) {
		const char *role = view->list[i].slot->role;

		if (is_first_of_role(view, i))
			buf_addf(out, "%s{process=\"%.*s\"} %" PRId64 "\n",
				 metric_rows[metric].name, REGISTRY_ROLE_MAX, role,
				 registry_total(view, metric, role));
	}
}

static void put_metric(const struct registry_view *view, struct buf *out, enum metric metric)
{
	const struct metric_row *row = &metric_rows[metric];

	if (*row->help)
		metrics_put_head(out, row->name, row->type, row->help);
	if (row->type == EACH)
		put_each(view, out, metric);
	else
		buf_addf(out, "%s %" PRId64 "\n", row->name, registry_total(view, metric, NULL));
}

static void put_histogram(const struct registry_view *view, struct buf *out, enum histogram_id id)
{
	const struct histogram_row *row = &histogram_rows[id];
	struct histogram_counts counts;
	int64_t below = 0;
	unsigned bucket = 0;

	registry_times(view, id, &counts);
	buf_addf(out, "# HELP %s %s\n# TYPE %s histogram\n", row->name, row->help, row->name);
	for (int power = LE_FIRST; power <= LE_LAST; power++) {
		int64_t bound = (int64_t)1 << power;

		for (; bucket < HISTOGRAM_BUCKETS && histogram_bound(bucket) < bound; bucket++)
			below += counts.buckets[bucket];
		buf_addf(out, "%s_bucket{le=\"%" PRId64 ".%06" PRId64 "\"} %" PRId64 "\n",
			 row->name, bound / 1000000, bound % 1000000, below);
	}
	buf_addf(out, "%s_bucket{le=\"+Inf\"} %" PRId64 "\n", row->name, counts.count);
	buf_addf(out, "%s_sum %" PRId64 ".%06" PRId64 "\n%s_count %" PRId64 "\n", row->name,
		 counts.sum_us / 1000000, counts.sum_us % 1000000, row->name, counts.count);
}

/* --- rows by name ------------------------------------------------------------------- */

static void put_label(struct buf *out, const char *text)
{
	for (size_t i = 0; i < SERIES_NAME_MAX - 1 && text[i]; i++) {
		if (text[i] == '\n') {
			buf_add_str(out, "\\n");
			continue;
		}
		if (text[i] == '"' || text[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, text[i]);
	}
}

static void put_series(const struct registry_view *view, struct buf *out,
		       const struct series_row *row, enum series_kind kind)
{
	bool alive;
	const struct registry_slot *slot = registry_keeper(view, kind, &alive);
	const struct series *series = NULL;

	while (slot && (series = registry_next_row(slot, kind, series)) != NULL) {
		int64_t value = row->type == NUMBER
					? registry_lag(view, kind, series)
					: series_get(series, (enum series_value)row->value);

		if ((row->type == NUMBER && value < 0) || (row->type == TIME && value == 0))
			continue;
		buf_addf(out, "%s{%s=\"", row->name, kind_labels[kind]);
		put_label(out, series->name);
		if (row->type == TIME)
			buf_addf(out, "\"} %" PRId64 ".%03" PRId64 "\n", value / 1000,
				 value % 1000);
		else
			buf_addf(out, "\"} %" PRId64 "\n", value);
	}
}

/* --- processes ------------------------------------------------------------------------ */

static void put_processes(const struct registry_view *view, struct buf *out, const char *name,
			  enum row_type type, const char *help,
			  int64_t (*of)(const struct registry_process *process))
{
	metrics_put_head(out, name, type, help);
	for (size_t i = 0; i < view->count; i++) {
		const char *role = view->list[i].slot->role;

		if (*role && is_first_of_role(view, i))
			buf_addf(out, "%s{process=\"%.*s\"} %" PRId64 "\n", name, REGISTRY_ROLE_MAX,
				 role, of(registry_find(view, role)));
	}
}

static int64_t is_up(const struct registry_process *process) { return process->alive; }

static int64_t began_s(const struct registry_process *process)
{
	return atomic_load(&process->slot->began_ms) / 1000;
}

static int64_t starts(const struct registry_process *process)
{
	return atomic_load(&process->slot->starts);
}

static int64_t kills(const struct registry_process *process)
{
	bool now = !process->alive && atomic_load(&process->slot->ended_ms) == 0;

	return atomic_load(&process->slot->kills) + now;
}

static int64_t is_unwell(const struct registry_process *process)
{
	char text[REGISTRY_TEXT_MAX];

	registry_text(process->slot, REGISTRY_UNWELL, text);
	return process->alive && *text;
}

void metrics_put_text(const struct registry_view *view, struct buf *out)
{
	for (int i = 0; i < METRIC_COUNT; i++)
		put_metric(view, out, (enum metric)i);
	for (int i = 0; i < HISTOGRAM_COUNT; i++)
		put_histogram(view, out, (enum histogram_id)i);
	for (size_t i = 0; i < sizeof(series_rows) / sizeof(series_rows[0]); i++) {
		metrics_put_head(out, series_rows[i].name, series_rows[i].type,
				 series_rows[i].help);
		for (int kind = 0; kind < SERIES_KINDS; kind++)
			if (series_rows[i].kinds & KIND(kind))
				put_series(view, out, &series_rows[i], (enum series_kind)kind);
	}
#define X(name, type, of, help) put_processes(view, out, name, type, help, of);
	PROCESS_TABLE(X)
#undef X
}
