/* Whether a person should look, and at what. */
#include "flow/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INODES_SHARE = 100 };

PRINTF(2, 3) static void add_reason(struct status *status, const char *fmt, ...)
{
	va_list args;

	if (status->reason_count == STATUS_REASONS_MAX)
		return;
	va_start(args, fmt);
	(void)vsnprintf(status->reasons[status->reason_count++], STATUS_REASON_MAX, fmt, args);
	va_end(args);
}

static void judge_process(struct status *status, const struct status_process *process)
{
	if (process->state == STATUS_FAILED)
		add_reason(status, "%s ended with status %" PRId64 "; up starts it again",
			   process->role, series_get(process->service, SERVICE_STATUS));
	else if (process->state == STATUS_STARTS)
		add_reason(status, "%s is being started", process->role);
	else if (process->state == STATUS_KILLED)
		add_reason(status, "%s was killed, and nobody has started it again", process->role);
	if (*process->unwell)
		add_reason(status, "%s does not get on: %s", process->role, process->unwell);
}

static void judge_processes(struct status *status, const char *dir)
{
	bool any = false;

	for (size_t i = 0; i < status->process_count; i++)
		any |= status->processes[i].state == STATUS_RUNS;
	if (!any) {
		add_reason(status, "nothing runs on \"%s\"", dir);
		return;
	}
	for (size_t i = 0; i < status->process_count; i++)
		judge_process(status, &status->processes[i]);
}

static void judge_work(struct status *status)
{
	int64_t halted = registry_total(&status->view, METRIC_SINK_HALTED, NULL);
	int64_t refused = registry_total(&status->view, METRIC_STREAM_REFUSED, NULL);
	int64_t exit_status = status->batch.totals.last_status;

	if (halted > 0)
		add_reason(status, "the sink has given up %" PRId64 " partition%s", halted,
			   halted == 1 ? "" : "s");
	if (refused > 0)
		add_reason(status, "the stream has left out %" PRId64 " table%s", refused,
			   refused == 1 ? "" : "s");
	if (exit_status > 0)
		add_reason(status,
			   "the last batch ended with status %" PRId64 " (pinpipe runs says why)",
			   exit_status);
}

static void judge_checked(struct status *status)
{
	static const char *const where[STATUS_PARTS] = { "in the log", "on the batch path",
							 "on the streaming path" };

	for (int part = 0; part < STATUS_PARTS; part++) {
		int64_t faults = status->checked.faults[part];

		if (faults > 0)
			add_reason(status, "pinpipe check found %" PRId64 " fault%s %s", faults,
				   faults == 1 ? "" : "s", where[part]);
	}
}

static void judge_row(struct status *status, struct status_row *row, int64_t behind_ms)
{
	const char *what = row->kind == SERIES_SINK	      ? "the lake's part of topic"
			   : row->kind == SERIES_STREAM_TABLE ? "the stream's table"
							      : "batch's table";

	if (row->lag == 0 || row->late_ms < 0 || row->allowed_ms == 0 ||
	    row->late_ms <= row->allowed_ms + behind_ms)
		return;
	row->behind = true;
	if (row->lag > 0)
		add_reason(status, "%s %s is %" PRId64 " record%s and %" PRId64 " s behind", what,
			   row->name, row->lag, row->lag == 1 ? "" : "s", row->late_ms / 1000);
	else
		add_reason(status, "%s %s is %" PRId64 " s behind", what, row->name,
			   row->late_ms / 1000);
}

static void judge_disk(struct status *status, int64_t reserve_bytes)
{
	const struct disk_room *disk = &status->disk;

	if (!status->disk_known || reserve_bytes == 0)
		return;
	status->disk_low = disk->free_bytes < (uint64_t)reserve_bytes ||
			   (disk->inodes > 0 && disk->free_inodes < disk->inodes / INODES_SHARE);
	if (disk->free_bytes < (uint64_t)reserve_bytes)
		add_reason(status,
			   "the disk has %" PRIu64 " bytes left, less than its reserve of %" PRId64,
			   disk->free_bytes, reserve_bytes);
	if (disk->inodes > 0 && disk->free_inodes < disk->inodes / INODES_SHARE)
		add_reason(status, "the disk has %" PRIu64 " inodes left", disk->free_inodes);
}

void status_judge(struct status *status, const struct status_options *options)
{
	judge_processes(status, options->dir);
	judge_work(status);
	judge_checked(status);
	for (size_t i = 0; i < status->row_count; i++)
		judge_row(status, &status->rows[i], options->behind_ms);
	judge_disk(status, options->reserve_bytes);
}
