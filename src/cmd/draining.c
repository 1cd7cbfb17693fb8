#include "cmd/draining.h"

#include "base/time.h"
#include "cmd/progress.h"
#include "flow/lake.h"

#include <signal.h>
#include <stdio.h>

enum { LOOK_MS = 200, MORE_MAX = 64 };

static uint64_t left_in_topic(const struct draining *draining, struct topic_ref topic)
{
	struct topic_info info;
	uint64_t left = 0;
	struct err unused;

	if (broker_describe(draining->log, topic, &info, &unused) != ERR_OK)
		return 0;
	for (int32_t i = 0; i < info.partition_count; i++) {
		const struct partition_info *partition = &info.partitions[i];
		struct position next = partition->first;

		/* Of one who committed nothing it is all there is. */
		(void)!broker_committed(draining->log, draining->group, topic, partition->id, &next,
					&unused);
		if (partition->next_known && position_cmp(next, partition->next) < 0)
			left += partition_records_from(partition, next);
	}
	topic_info_release(&info);
	return left;
}

static uint64_t draining_left(const struct draining *draining)
{
	const struct models *models = draining->models;
	uint64_t left = 0;

	for (size_t i = 0; i < models->clean_count; i++) {
		struct lake_table table;
		struct err unused;

		if (lake_table_init(&table, &models->clean[i], draining->kind, draining->id,
				    &unused) == ERR_OK &&
		    lake_table_leads(&table))
			left += left_in_topic(draining, lake_table_topic(&table));
	}
	return left;
}

static void draining_show(const struct draining *draining, struct progress *progress, uint64_t *all)
{
	char count[PROGRESS_COUNT_MAX], more[MORE_MAX];
	uint64_t left = draining->log ? draining_left(draining) : 0;

	*all = left > *all ? left : *all;
	(void)snprintf(more, sizeof(more), "%s records left", progress_count(left, count));
	progress_draw(progress, *all ? 1 - (double)left / (double)*all : -1, *all ? more : "");
}

void draining_wait(const struct draining *draining, struct process *process, int64_t timeout_ms)
{
	struct progress progress = { .what = draining->what };
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	uint64_t all = 0;

	process_signal(process, SIGTERM);
	while (!process_wait(process, LOOK_MS) && clock_mono_ms() < until_ms)
		draining_show(draining, &progress, &all);
	progress_clear(&progress);
	process_stop(process, 0);
}
