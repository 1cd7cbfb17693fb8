#include "flow/schedule.h"

static int64_t schedule_next(struct schedule *schedule, int64_t after_ms)
{
	if (schedule->every_ms > 0)
		return after_ms + schedule->every_ms;
	return cron_next(&schedule->cron, &schedule->zone, after_ms / 1000) * 1000;
}

/* A last run of the future was one of another clock. */
void schedule_begin(struct schedule *schedule, int64_t last_ms, int64_t now_ms)
{
	bool known = last_ms >= 0 && last_ms <= now_ms;

	schedule->began_ms = now_ms;
	schedule->due_ms = known || schedule->every_ms == 0 ?
		schedule_next(schedule, known ? last_ms : now_ms) : now_ms;
}

bool schedule_is_due(struct schedule *schedule, int64_t now_ms)
{
	if (now_ms < schedule->began_ms - SCHEDULE_BACK_MS)
		schedule_run(schedule, now_ms);
	return now_ms >= schedule->due_ms;
}

void schedule_run(struct schedule *schedule, int64_t now_ms)
{
	schedule->began_ms = now_ms;
	schedule->due_ms = schedule_next(schedule, now_ms);
}
