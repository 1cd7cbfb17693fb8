#include "cmd/status_text.h"

#include "base/json.h"
#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { AGE_MAX = 32, NAME_COLUMNS = 27, P50 = 500, P99 = 990, P999 = 999 };

static const char *const state_names[] = {
	[STATUS_RUNS] = "runs",	    [STATUS_WAITS] = "waits", [STATUS_STARTS] = "starts",
	[STATUS_FAILED] = "failed", [STATUS_ENDED] = "ended", [STATUS_KILLED] = "killed",
};

static const struct time_row {
	const char *label, *key;
	enum histogram_id id;
} times[] = {
	{ "acks", "ack", HISTOGRAM_ACK },
	{ "log commits", "log_commit", HISTOGRAM_COMMIT },
	{ "log syncs", "log_sync", HISTOGRAM_SYNC },
	{ "lake puts", "store_put", HISTOGRAM_PUT },
	{ "stream commits", "stream_commit", HISTOGRAM_FLUSH },
	{ "age of stream rows", "stream_row_age", HISTOGRAM_ROW_AGE },
};

static const struct rate_row {
	const char *label, *key;
	enum metric metric;
} rates[] = {
	{ "requests", "requests", METRIC_REQUESTS_2XX },
	{ "4xx", "requests_4xx", METRIC_REQUESTS_4XX },
	{ "5xx", "requests_5xx", METRIC_REQUESTS_5XX },
	{ "kept", "records", METRIC_RECORDS },
	{ "landed", "landed", METRIC_SINK_RECORDS },
	{ "stream rows", "stream_rows", METRIC_STREAM_ROWS },
};

enum { TIMES = sizeof(times) / sizeof(times[0]), RATES = sizeof(rates) / sizeof(rates[0]) };

static double status_rate(const struct status *status, enum metric metric)
{
	int64_t ms, counted = registry_recent(&status->view, metric, &ms);

	return ms > 0 ? (double)counted * 1000 / (double)ms : 0;
}

/* --- for a person --------------------------------------------------------------------- */

/* "3.2s", "41m", "5h12m", "9d": six characters, so that all of it fits into eighty. */
static const char *shown_age(char out[AGE_MAX], int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 0)
		(void)snprintf(out, AGE_MAX, "-");
	else if (s < 10)
		(void)snprintf(out, AGE_MAX, "%.1fs", (double)ms / 1000);
	else if (s < 120)
		(void)snprintf(out, AGE_MAX, "%" PRId64 "s", s);
	else if (s < 7200)
		(void)snprintf(out, AGE_MAX, "%" PRId64 "m", s / 60);
	else if (s < 172800)
		(void)snprintf(out, AGE_MAX, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
	else
		(void)snprintf(out, AGE_MAX, "%" PRId64 "d", s / 86400);
	return out;
}

static const char *shown_count(char out[AGE_MAX], int64_t n)
{
	if (n < 0)
		(void)snprintf(out, AGE_MAX, "-");
	else
		(void)snprintf(out, AGE_MAX, "%" PRId64, n);
	return out;
}

static void status_put_verdict(struct buf *out, const struct status *status, const char *dir)
{
	buf_addf(out, "pinpipe on \"%s\": %s\n", dir, status->reason_count ? "unwell" : "fine");
	for (size_t i = 0; i < status->reason_count; i++)
		buf_addf(out, "  ! %s\n", status->reasons[i]);
}

/* Where it is to be found: the first that says what it works on speaks for all. */
static void status_put_places(struct buf *out, const struct status *status)
{
	for (size_t i = 0; i < status->process_count; i++)
		if (*status->processes[i].place) {
			buf_addf(out, "%s\n", status->processes[i].place);
			return;
		}
}

static void status_put_what(struct buf *out, const struct status *status,
			    const struct status_process *process)
{
	const struct run_totals *totals = &status->batch.totals;
	char text[AGE_MAX];

	if (process->due_ms > 0)
		buf_addf(out, "next in %s; ",
			 shown_age(text, process->due_ms > status->now_ms
						 ? process->due_ms - status->now_ms
						 : 0));
	if (!*process->doing && strcmp(process->role, "batch") == 0 && totals->last_status >= 0)
		buf_addf(out, "last: %s ago, status %" PRId64 ", %.1f s",
			 shown_age(text, status->now_ms - totals->last_end_ms), totals->last_status,
			 (double)totals->last_ms / 1000);
	buf_add_str(out, process->doing);
}

static void status_put_processes(struct buf *out, const struct status *status)
{
	buf_addf(out, "\n%-9s %-6s %6s %8s  %s\n", "process", "is", "for", "restarts", "does");
	for (size_t i = 0; i < status->process_count; i++) {
		const struct status_process *process = &status->processes[i];
		int64_t lasts_ms = -1;
		char lasts[AGE_MAX], restarts[AGE_MAX];

		if (process->slot && process->state == STATUS_RUNS)
			lasts_ms = status->now_ms - atomic_load(&process->slot->began_ms);
		else if (process->slot && atomic_load(&process->slot->ended_ms) > 0)
			lasts_ms = status->now_ms - atomic_load(&process->slot->ended_ms);
		buf_addf(out, "%-9s %-6s %6s %8s  ", process->role, state_names[process->state],
			 shown_age(lasts, lasts_ms), shown_count(restarts, process->restarts));
		status_put_what(out, status, process);
		buf_add_char(out, '\n');
	}
}

static void status_put_rates(struct buf *out, const struct status *status)
{
	int64_t ms;
	char text[AGE_MAX];

	(void)registry_recent(&status->view, METRIC_RECORDS, &ms);
	if (ms == 0)
		return;
	buf_addf(out, "\neach second, over the last %s:\n ", shown_age(text, ms));
	for (size_t i = 0; i < RATES; i++)
		buf_addf(out, "%s%s %.1f", i ? ", " : " ", rates[i].label,
			 status_rate(status, rates[i].metric));
	buf_addf(out, "\n%-20s %10s %10s %10s %10s\n", "ms", "p50", "p99", "p99.9", "count");
	for (size_t i = 0; i < TIMES; i++) {
		struct histogram_counts counts;

		registry_recent_times(&status->view, times[i].id, &counts);
		if (counts.count <= 0)
			continue;
		buf_addf(out, "%-20s %10.1f %10.1f %10.1f %10" PRId64 "\n", times[i].label,
			 (double)histogram_quantile(&counts, P50) / 1000,
			 (double)histogram_quantile(&counts, P99) / 1000,
			 (double)histogram_quantile(&counts, P999) / 1000, counts.count);
	}
}

static void status_put_rows(struct buf *out, const struct status *status)
{
	if (status->row_count > 0)
		buf_addf(out, "\n%-27s %-6s %7s %7s %7s %6s %6s %6s\n", "topic, stream or table",
			 "in", "posted", "there", "letters", "lacks", "late", "landed");
	for (size_t i = 0; i < status->row_count; i++) {
		static const char *const in[] = {
			[SERIES_TOPIC] = "log",		[SERIES_STREAM] = "log",
			[SERIES_SINK] = "lake",		[SERIES_STREAM_TABLE] = "stream",
			[SERIES_BATCH_TABLE] = "batch",
		};
		const struct status_row *row = &status->rows[i];
		bool is_long = strlen(row->name) > NAME_COLUMNS;
		char text[6][AGE_MAX];

		if (is_long) /* whole, in a line of its own */
			buf_addf(out, "%s\n", row->name);
		buf_addf(out, "%-27s %-6s %7s %7s %7s %6s %6s %6s\n", is_long ? "" : row->name,
			 in[row->kind], shown_count(text[0], row->posted),
			 shown_count(text[1], row->records), shown_count(text[2], row->dead),
			 shown_count(text[3], row->lag), shown_age(text[4], row->late_ms),
			 shown_age(text[5], row->landed_ms ? status->now_ms - row->landed_ms : -1));
	}
}

static void status_put_checked(struct buf *out, const struct status *status)
{
	const struct status_checked *checked = &status->checked;
	int64_t faults = 0;
	char text[AGE_MAX];

	for (int part = 0; part < STATUS_PARTS; part++)
		faults += checked->faults[part];
	if (checked->at_ms > 0)
		buf_addf(out, "\nchecked %s ago: %" PRId64 " faults\n",
			 shown_age(text, status->now_ms - checked->at_ms), faults);
}

static void status_put_disk(struct buf *out, const struct status *status)
{
	const struct disk_room *disk = &status->disk;

	if (!status->disk_known || disk->bytes == 0)
		return;
	buf_addf(out, "\ndisk: %.1f of %.1f GiB free", (double)disk->free_bytes / (1 << 30),
		 (double)disk->bytes / (1 << 30));
	if (disk->inodes > 0)
		buf_addf(out, ", %.0f %% of its inodes",
			 100.0 * (double)disk->free_inodes / (double)disk->inodes);
	buf_addf(out, "; the log has %.1f MiB\n",
		 (double)registry_total(&status->view, METRIC_LOG_BYTES, NULL) / (1 << 20));
}

void status_put_text(struct buf *out, const struct status *status, const char *dir)
{
	status_put_verdict(out, status, dir);
	status_put_places(out, status);
	if (status->process_count > 0)
		status_put_processes(out, status);
	status_put_rates(out, status);
	status_put_rows(out, status);
	status_put_checked(out, status);
	status_put_disk(out, status);
}

/* --- for a program ------------------------------------------------------------------------ */

static void status_put_key(struct buf *out, const char *key) { buf_addf(out, ",\"%s\":", key); }

static void status_put_number(struct buf *out, const char *key, int64_t value)
{
	status_put_key(out, key);
	if (value < 0)
		buf_add_str(out, "null");
	else
		buf_add_i64(out, value);
}

static void status_put_double(struct buf *out, const char *key, double value)
{
	status_put_key(out, key);
	json_put_double(out, value);
}

static void status_put_word(struct buf *out, const char *key, const char *text)
{
	status_put_key(out, key);
	json_put_string(out, slice_str(text));
}

static void status_put_time(struct buf *out, const char *key, int64_t wall_ms)
{
	status_put_key(out, key);
	if (wall_ms <= 0) {
		buf_add_str(out, "null");
		return;
	}
	buf_add_char(out, '"');
	time_put_iso(out, wall_ms);
	buf_add_char(out, '"');
}

static void status_put_json_process(struct buf *out, const struct status_process *process)
{
	buf_addf(out, "{\"process\":\"%s\",\"state\":\"%s\"", process->role,
		 state_names[process->state]);
	status_put_number(out, "pid", process->slot ? atomic_load(&process->slot->pid) : -1);
	status_put_time(out, "began", process->slot ? atomic_load(&process->slot->began_ms) : 0);
	status_put_time(out, "ended", process->slot ? atomic_load(&process->slot->ended_ms) : 0);
	status_put_number(out, "restarts", process->restarts);
	status_put_number(out, "kills", process->slot ? atomic_load(&process->slot->kills) : -1);
	status_put_time(out, "due", process->due_ms);
	status_put_word(out, "doing", process->doing);
	status_put_word(out, "unwell", process->unwell);
	status_put_word(out, "place", process->place);
	buf_add_char(out, '}');
}

static void status_put_json_row(struct buf *out, const struct status_row *row)
{
	static const char *const kinds[] = {
		[SERIES_TOPIC] = "topic",
		[SERIES_STREAM] = "stream",
		[SERIES_SINK] = "topic",
		[SERIES_STREAM_TABLE] = "stream table",
		[SERIES_BATCH_TABLE] = "batch table",
	};

	buf_addf(out, "{\"kind\":\"%s\"", kinds[row->kind]);
	status_put_word(out, "name", row->name);
	status_put_number(out, "posted", row->posted);
	status_put_number(out, "records", row->records);
	status_put_number(out, "letters", row->dead);
	status_put_number(out, "lag", row->lag);
	status_put_key(out, "late_seconds");
	if (row->late_ms < 0)
		buf_add_str(out, "null");
	else
		json_put_double(out, (double)row->late_ms / 1000);
	status_put_time(out, "landed", row->landed_ms);
	buf_addf(out, ",\"behind\":%s}", row->behind ? "true" : "false");
}

static void status_put_json_checked(struct buf *out, const struct status *status)
{
	static const char *const keys[STATUS_PARTS] = { "log", "batch", "stream" };

	if (status->checked.at_ms == 0)
		return;
	buf_add_str(out, ",\"checked\":{\"faults\":{");
	for (int part = 0; part < STATUS_PARTS; part++)
		buf_addf(out, "%s\"%s\":%" PRId64, part ? "," : "", keys[part],
			 status->checked.faults[part]);
	buf_add_char(out, '}');
	status_put_time(out, "at", status->checked.at_ms);
	buf_add_char(out, '}');
}

static void status_put_json_times(struct buf *out, const struct status *status)
{
	for (size_t i = 0; i < TIMES; i++) {
		struct histogram_counts counts;

		registry_recent_times(&status->view, times[i].id, &counts);
		buf_addf(out, ",\"%s_us\":{\"count\":%" PRId64, times[i].key, counts.count);
		status_put_number(out, "p50", histogram_quantile(&counts, P50));
		status_put_number(out, "p99", histogram_quantile(&counts, P99));
		status_put_number(out, "p99_9", histogram_quantile(&counts, P999));
		buf_add_char(out, '}');
	}
}

static void status_put_json_batch(struct buf *out, const struct status *status)
{
	const struct run_totals *totals = &status->batch.totals;
	bool running = *status->batch.running && !status->batch.killed;

	buf_addf(out, ",\"batch\":{\"running\":%s", running ? "true" : "false");
	status_put_number(out, "last_exit", totals->last_status);
	status_put_time(out, "last_end", totals->last_end_ms);
	status_put_double(out, "last_seconds", (double)totals->last_ms / 1000);
	buf_add_char(out, '}');
}

static void status_put_json_disk(struct buf *out, const struct status *status)
{
	if (!status->disk_known)
		return;
	buf_addf(out, ",\"disk\":{\"free_bytes\":%" PRIu64, status->disk.free_bytes);
	status_put_number(out, "bytes", (int64_t)status->disk.bytes);
	status_put_number(out, "free_inodes", (int64_t)status->disk.free_inodes);
	status_put_number(out, "inodes", (int64_t)status->disk.inodes);
	buf_addf(out, ",\"low\":%s}", status->disk_low ? "true" : "false");
}

void status_put_json(struct buf *out, const struct status *status, const char *dir)
{
	int64_t ms;

	buf_addf(out, "{\"fine\":%s", status->reason_count ? "false" : "true");
	status_put_word(out, "dir", dir);
	status_put_time(out, "at", status->now_ms);
	buf_add_str(out, ",\"reasons\":[");
	for (size_t i = 0; i < status->reason_count; i++) {
		buf_add_str(out, i ? "," : "");
		json_put_string(out, slice_str(status->reasons[i]));
	}
	buf_add_str(out, "],\"processes\":[");
	for (size_t i = 0; i < status->process_count; i++) {
		buf_add_str(out, i ? "," : "");
		status_put_json_process(out, &status->processes[i]);
	}
	buf_add_str(out, "],\"rows\":[");
	for (size_t i = 0; i < status->row_count; i++) {
		buf_add_str(out, i ? "," : "");
		status_put_json_row(out, &status->rows[i]);
	}
	(void)registry_recent(&status->view, METRIC_RECORDS, &ms);
	buf_add_str(out, "],\"a_second\":{\"over_seconds\":");
	json_put_double(out, (double)ms / 1000);
	for (size_t i = 0; i < RATES; i++)
		status_put_double(out, rates[i].key, status_rate(status, rates[i].metric));
	buf_add_char(out, '}');
	status_put_json_times(out, status);
	status_put_json_batch(out, status);
	status_put_json_checked(out, status);
	status_put_json_disk(out, status);
	buf_add_str(out, "}\n");
}
