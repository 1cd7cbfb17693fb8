#include "flow/status.h"

#include "base/mem.h"
#include "base/time.h"

#include <string.h>

/* --- processes --------------------------------------------------------------------- */

/* In this order; others behind them. */
static const char *const roles[] = { "up", "gateway", "sink", "stream", "batch", "maintain" };

const struct status_process *status_process(const struct status *status, const char *role)
{
	for (size_t i = 0; i < status->process_count; i++)
		if (strcmp(status->processes[i].role, role) == 0)
			return &status->processes[i];
	return NULL;
}

static enum status_state state_of(const struct status_process *process, bool alive)
{
	bool is_job = process->service && strcmp(process->role, "batch") == 0;

	if (alive)
		return STATUS_RUNS;
	if (is_job)
		return STATUS_WAITS;
	if (process->service)
		return process->due_ms > 0 ? STATUS_FAILED : STATUS_STARTS;
	return process->slot && atomic_load(&process->slot->ended_ms) == 0 ? STATUS_KILLED
									   : STATUS_ENDED;
}

/* Of the `up` that runs; one before it may have had others. */
static const struct series *service_of(const struct status *status, const char *role)
{
	const struct registry_process *up = registry_find(&status->view, "up");
	const struct series *row = NULL;

	if (up && up->alive)
		row = registry_find_row(up->slot, SERIES_SERVICE, role);
	return row && series_get(row, SERVICE_SINCE_MS) >= atomic_load(&up->slot->began_ms) ? row
											    : NULL;
}

static void take_process(struct status *status, const char *role)
{
	const struct registry_process *found = registry_find(&status->view, role);
	struct status_process *process = &status->processes[status->process_count];

	*process = (struct status_process){ .role = role,
					    .restarts = -1,
					    .service = service_of(status, role) };
	if (!found && !process->service)
		return;
	status->process_count++;
	process->slot = found ? found->slot : NULL;
	if (process->service) {
		process->restarts = series_get(process->service, SERVICE_ENDS) -
				    series_get(process->service, SERIES_BASE);
		process->due_ms = series_get(process->service, SERVICE_DUE_MS);
	}
	process->state = state_of(process, found && found->alive);
	if (!found || !found->alive)
		return;
	registry_text(found->slot, REGISTRY_DOING, process->doing);
	registry_text(found->slot, REGISTRY_UNWELL, process->unwell);
	registry_text(found->slot, REGISTRY_PLACE, process->place);
}

static void take_processes(struct status *status)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		take_process(status, roles[i]);
	for (size_t i = 0; i < status->view.count; i++) {
		const char *role = status->view.list[i].slot->role;

		if (strcmp(role, "check") == 0) /* it only left what it found */
			continue;
		if (status->process_count < STATUS_PROCESSES_MAX && *role &&
		    !status_process(status, role))
			take_process(status, role);
	}
}

/* --- rows ----------------------------------------------------------------------------- */

static int64_t posted_to(const struct status *status, const char *topic)
{
	bool alive;
	const struct registry_slot *gateway = registry_keeper(&status->view, SERIES_TOPIC, &alive);
	const struct series *row = registry_find_row(gateway, SERIES_TOPIC, topic);

	return row ? series_get(row, SERIES_RECORDS) : -1;
}

/* Batch cannot have what the sink has not landed. */
static int64_t allowed_ms(const struct status *status, enum series_kind kind,
			  const struct series *row)
{
	int64_t period_ms = series_get(row, SERIES_PERIOD_MS), of = series_get(row, SERIES_OF);
	const struct registry_slot *sink;
	bool alive;

	if (period_ms == 0 || kind != SERIES_BATCH_TABLE)
		return 2 * period_ms;
	sink = registry_keeper(&status->view, SERIES_SINK, &alive);
	if (sink && of > 0 && of <= REGISTRY_ROWS_MAX)
		period_ms += series_get(&sink->rows[of - 1], SERIES_PERIOD_MS);
	return 2 * period_ms;
}

static void take_row(struct status *status, const struct registry_slot *slot, enum series_kind kind,
		     const struct series *row)
{
	struct status_row *taken = &status->rows[status->row_count++];
	int64_t complete_ms = series_get(row, SERIES_COMPLETE_MS);
	int64_t lag = registry_lag(&status->view, kind, row);

	if (complete_ms == 0 && lag > 0)
		complete_ms = atomic_load(&slot->began_ms); /* it never was since then, at least */
	*taken = (struct status_row){
		.kind = kind,
		.name = row->name,
		.posted = kind == SERIES_SINK ? posted_to(status, row->name) : -1,
		.records = series_get(row, SERIES_RECORDS),
		.dead = series_get(row, SERIES_DEAD),
		.lag = lag,
		.late_ms = complete_ms > 0 ? status->now_ms - complete_ms : -1,
		.landed_ms = series_get(row, SERIES_LANDED_MS),
		.allowed_ms = allowed_ms(status, kind, row),
	};
	if (taken->lag == 0 || (complete_ms > 0 && taken->late_ms < 0))
		taken->late_ms = 0;
	if (kind != SERIES_TOPIC && kind != SERIES_STREAM)
		return;
	taken->posted = taken->records;
	taken->records = taken->dead = taken->lag = taken->late_ms = -1;
}

/* A topic that the sink has is told with it. */
static bool is_told_elsewhere(const struct status *status, enum series_kind kind, const char *name)
{
	bool alive;

	return kind == SERIES_TOPIC &&
	       registry_find_row(registry_keeper(&status->view, SERIES_SINK, &alive), SERIES_SINK,
				 name);
}

static void take_rows(struct status *status)
{
	static const enum series_kind kinds[] = { SERIES_SINK, SERIES_TOPIC, SERIES_STREAM,
						  SERIES_BATCH_TABLE, SERIES_STREAM_TABLE };

	status->rows = xcalloc(STATUS_ROWS_MAX, sizeof(*status->rows));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		bool alive;
		const struct registry_slot *slot = registry_keeper(&status->view, kinds[i], &alive);
		const struct series *row = NULL;

		while (slot && (row = registry_next_row(slot, kinds[i], row)) != NULL)
			if (!is_told_elsewhere(status, kinds[i], row->name))
				take_row(status, slot, kinds[i], row);
	}
}

static const char *status_stream_of(const struct lake_table *tables, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(tables[i].model->model.name, name) == 0)
			return tables[i].topic;
	return NULL;
}

void status_ask_log(struct status *status, const struct lag_of *of, const struct lake_table *tables,
		    size_t table_count)
{
	enum series_kind kind = of->kind == TOPIC_LOG ? SERIES_SINK : SERIES_STREAM_TABLE;
	struct group_info info = { 0 };
	struct err ignored;
	enum err_code code = broker_describe_group(of->broker, of->group, &info, &ignored);

	if (code != ERR_OK && code != ERR_ABSENT) /* that one has committed nothing yet */
		return;
	for (size_t i = 0; i < status->row_count; i++) {
		struct status_row *row = &status->rows[i];
		const char *topic = of->kind == TOPIC_LOG
					    ? row->name
					    : status_stream_of(tables, table_count, row->name);

		if (row->kind != kind || row->lag >= 0 || !topic ||
		    lag_ask(of, &info, topic, &row->lag, &ignored) != ERR_OK)
			continue;
		if (row->lag == 0)
			row->late_ms = 0;
	}
	group_info_release(&info);
}

/* --- what was checked ------------------------------------------------------------------- */

static const char *const part_names[STATUS_PARTS] = { "log", "batch", "stream" };

static void take_checked(struct status *status)
{
	bool alive;
	const struct registry_slot *slot =
		registry_keeper(&status->view, SERIES_CHECKED, &alive);

	for (int part = 0; slot && part < STATUS_PARTS; part++) {
		const struct series *row =
			registry_find_row(slot, SERIES_CHECKED, part_names[part]);

		if (!row)
			return;
		status->checked.faults[part] = series_get(row, SERIES_DEAD);
		status->checked.at_ms = series_get(row, SERIES_LANDED_MS);
	}
}

void status_note_checked(const char *dir, const int64_t faults[STATUS_PARTS])
{
	struct registry_view view;
	struct err ignored;

	if (registry_view_open(dir, &view, &ignored) != ERR_OK)
		return;
	registry_view_close(&view);
	if (!registry_may_join(dir))
		return;
	registry_join(dir, "check");
	for (int part = 0; part < STATUS_PARTS; part++) {
		struct series *row = series_of(SERIES_CHECKED, part_names[part]);

		series_set(row, SERIES_DEAD, faults[part]);
		series_set(row, SERIES_LANDED_MS, clock_wall_ms());
	}
	registry_leave();
}

/* --- all of it -------------------------------------------------------------------------- */

void status_take(const struct status_options *options, struct status *ret_status)
{
	struct err ignored;

	*ret_status = (struct status){ .now_ms = clock_wall_ms() };
	if (registry_view_open(options->dir, &ret_status->view, &ignored) != ERR_OK)
		ret_status->view = (struct registry_view){ .count = 0 };
	take_processes(ret_status);
	take_rows(ret_status);
	take_checked(ret_status);
	run_ledger_read(options->dir, &ret_status->batch);
	ret_status->disk_known = disk_room(options->dir, &ret_status->disk);
}

void status_release(struct status *status)
{
	registry_view_close(&status->view);
	buf_release(&status->batch.untold);
	free(status->rows);
	status->rows = NULL;
}
