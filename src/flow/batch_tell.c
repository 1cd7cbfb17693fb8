#include "flow/batch_tell.h"

#include "base/mem.h"
#include "base/registry.h"
#include "base/time.h"

static void note_landed(const struct registry_view *view, const char *topic,
			struct batch_told *told)
{
	bool alive;
	const struct registry_slot *sink = registry_keeper(view, SERIES_SINK, &alive);
	const struct series *row = registry_find_row(sink, SERIES_SINK, topic);

	if (!row)
		return;
	told->of = row - sink->rows + 1;
	told->base = series_get(row, SERIES_RECORDS) + series_get(row, SERIES_DEAD);
	told->complete_ms = series_get(row, SERIES_COMPLETE_MS);
}

enum err_code batch_tell_begin(struct batch_tell *tell, const struct models *models, const char *id,
			       int64_t period_ms, struct err *err)
{
	struct registry_view view;
	enum err_code code = ERR_OK;

	*tell = (struct batch_tell){
		.models = models,
		.tables = xcalloc(models->clean_count + 1, sizeof(*tell->tables)),
	};
	registry_view_here(&view);
	for (size_t i = 0; i < models->clean_count && code == ERR_OK; i++) {
		struct lake_table place;

		tell->tables[i].row = series_of(SERIES_BATCH_TABLE, models->clean[i].model.name);
		series_set(tell->tables[i].row, SERIES_PERIOD_MS, period_ms);
		code = lake_table_init(&place, &models->clean[i], TOPIC_LOG, id, err);
		if (code == ERR_OK)
			note_landed(&view, place.topic, &tell->tables[i]);
	}
	registry_view_close(&view);
	return code;
}

static void tell_table(const struct batch_told *told, const struct batch_table *table)
{
	series_add(told->row, SERIES_RECORDS, (int64_t)table->rows);
	series_add(told->row, SERIES_DEAD, (int64_t)table->dead);
	series_add(told->row, SERIES_COMMITS, (int64_t)table->commits);
	if (table->commits > 0)
		series_set(told->row, SERIES_LANDED_MS, clock_wall_ms());
	if (table->err.code != ERR_OK || table->waits)
		return;
	series_set(told->row, SERIES_OF, told->of);
	series_set(told->row, SERIES_BASE, told->base);
	series_raise(told->row, SERIES_COMPLETE_MS, told->complete_ms);
}

void batch_tell_end(struct batch_tell *tell, const struct batch_report *report)
{
	for (size_t i = 0; report && i < report->table_count; i++)
		for (size_t j = 0; j < tell->models->clean_count; j++)
			if (report->tables[i].name &&
			    strcmp(tell->models->clean[j].model.name, report->tables[i].name) == 0)
				tell_table(&tell->tables[j], &report->tables[i]);
	free(tell->tables);
	tell->tables = NULL;
}
