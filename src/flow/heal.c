#include "flow/heal.h"

#include "base/mem.h"
#include "base/metrics.h"
#include "base/trace.h"
#include "delta/delta_doubled.h"
#include "flow/compact_inside.h"

#include <inttypes.h>

struct healing {
	struct merging *merging; /* the files that go */
	struct delta_doubled doubled;
	size_t *places; /* of those that may hold doubled rows, the largest first */
	uint64_t *rows;
	char **paths;
	size_t count;
	struct delta_doubled_file *found;
	uint64_t differing;
	uint64_t surplus; /* of the files that go */
	bool all;	  /* those are all that have any */
	bool can;	  /* the table has a lineage */
	const char **needs;
	size_t need_count;
};

/* By size, then by name: of any two files the same one is first, whoever looks. */
static int heal_compare(const void *a, const void *b, void *user)
{
	const struct delta_add *left = delta_file(user, *(const size_t *)a);
	const struct delta_add *right = delta_file(user, *(const size_t *)b);

	if (left->size != right->size)
		return left->size > right->size ? -1 : 1;
	return strcmp(left->path, right->path);
}

static void healing_plan(struct healing *healing)
{
	struct delta_table *table = healing->merging->table;
	size_t count = delta_file_count(table);

	healing->places = xcalloc(count + 1, sizeof(*healing->places));
	for (size_t i = 0; i < count; i++)
		if (delta_file_version(table, i) > healing->doubled.since)
			healing->places[healing->count++] = i;
	qsort_r(healing->places, healing->count, sizeof(*healing->places), heal_compare, table);
	healing->rows = xcalloc(healing->count + 1, sizeof(*healing->rows));
	healing->paths = xcalloc(healing->count + 1, sizeof(*healing->paths));
	healing->found = xcalloc(healing->count + 1, sizeof(*healing->found));
	healing->needs = xcalloc(healing->count + 1, sizeof(*healing->needs));
	for (size_t i = 0; i < healing->count; i++) {
		const struct delta_add *file = delta_file(table, healing->places[i]);

		healing->rows[i] = file->rows;
		healing->paths[i] = xstrdup(file->path);
	}
}

static struct delta_merge healing_files(const struct healing *healing)
{
	return (struct delta_merge){ .schema = &healing->merging->schema,
				     .files = healing->merging->files.list,
				     .rows = healing->rows,
				     .count = healing->count,
				     .path = healing->merging->temp_path };
}

static enum err_code healing_open(struct healing *healing, struct err *err)
{
	struct merging *merging = healing->merging;
	enum err_code code = merging_open(merging, err);

	healing->can = code == ERR_OK && delta_doubled_can(&merging->schema);
	if (healing->can)
		code = table_files_open_some(merging->compactor->options.store, merging->root,
					     merging->table, healing->places, healing->count,
					     &merging->files, err);
	return code;
}

/* Those that go, as many as one commit takes; all others with such rows have to stay. */
static void healing_take(struct healing *healing)
{
	healing->all = true;
	for (size_t i = 0; i < healing->count; i++) {
		struct delta_doubled_file *file = &healing->found[i];

		if (file->surplus > 0 && healing->merging->count < COMPACT_FILES_MAX) {
			merging_take(healing->merging, healing->places[i]);
			healing->surplus += file->surplus;
			continue;
		}
		if (file->surplus > 0)
			healing->all = false;
		file->surplus = 0;
		if (file->holds)
			healing->needs[healing->need_count++] = healing->paths[i];
	}
	healing->merging->needs = healing->needs;
	healing->merging->need_count = healing->need_count;
}

static enum err_code healing_write(struct healing *healing, struct err *err)
{
	struct merging *merging = healing->merging;
	struct delta_merge files = healing_files(healing);
	struct duck *duck = &merging->compactor->duck;
	enum err_code code =
		delta_doubled_find(duck, &files, healing->found, &healing->differing, err);

	if (code == ERR_OK)
		healing_take(healing);
	if (code == ERR_OK && merging->count > 0)
		code = delta_doubled_drop(duck, &files, healing->found, &merging->stats,
					  &merging->add.rows, &merging->add.size, err);
	return code;
}

static enum err_code healing_watched(struct healing *healing, struct err *err)
{
	struct merge_watch watch;
	enum err_code code = merge_watch_begin(&watch, &healing->merging->compactor->duck, err);

	if (code != ERR_OK)
		return code;
	code = healing_write(healing, err);
	merge_watch_end(&watch);
	return code;
}

static void healing_tell(const struct healing *healing, struct heal_step *ret_step)
{
	const struct merging *merging = healing->merging;
	struct heal_step step = { .done = merging->count > 0,
				  .rows = healing->surplus,
				  .differing = healing->differing };

	if (!healing->can)
		trace_error(
			"table \"%s\": an OPTIMIZE of another program may have doubled rows, which "
			"without \"_partition\" and \"_offset\" cannot be told",
			merging->root);
	if (step.rows > 0)
		trace_warn("table \"%s\": rows that an OPTIMIZE of another program had doubled, "
			   "and that are there once again: %" PRIu64,
			   merging->root, step.rows);
	if (step.differing > 0)
		trace_error(
			"table \"%s\": rows that an OPTIMIZE of another program has doubled, and "
			"that stay, as they are not equal any more: %" PRIu64
			"; `pinpipe check` tells of them",
			merging->root, step.differing);
	metric_add(METRIC_HEALED, (int64_t)step.rows);
	metric_add(METRIC_HEAL_LEFT, (int64_t)step.differing);
	*ret_step = step;
}

static enum err_code healing_run(struct healing *healing, struct heal_step *ret_step,
				 struct err *err)
{
	struct merging *merging = healing->merging;
	enum err_code code = healing_open(healing, err);

	if (code == ERR_OK && healing->can)
		code = healing_watched(healing, err);
	if (code == ERR_OK && merging->count > 0)
		code = merging_put(merging, err);
	if (code == ERR_OK && merging->count > 0)
		code = merging_commit(merging, err);
	if (code != ERR_OK)
		return code;
	if (healing->all || !healing->can)
		delta_doubled_settle(merging->table, healing->doubled.at);
	healing_tell(healing, ret_step);
	return ERR_OK;
}

static void healing_free(struct healing *healing)
{
	for (size_t i = 0; i < healing->count; i++)
		free(healing->paths[i]);
	merging_free(healing->merging);
	free(healing->places);
	free(healing->rows);
	free(healing->paths);
	free(healing->found);
	free(healing->needs);
}

enum err_code heal_step(struct compactor *compactor, struct delta_table *table, const char *root,
			bool bars, struct heal_step *ret_step, struct err *err)
{
	struct healing healing = { 0 };
	enum err_code code = ERR_OK;

	*ret_step = (struct heal_step){ 0 };
	if (delta_doubled(table).at < 0)
		return ERR_OK;
	if (bars)
		code = delta_bar(table, err);
	if (code != ERR_OK)
		return code;
	healing.doubled = delta_doubled(table);
	healing.merging = merging_new(compactor, table, root);
	healing.merging->heals = true;
	healing_plan(&healing);
	if (healing.count == 0)
		delta_doubled_settle(table, healing.doubled.at);
	else
		code = healing_run(&healing, ret_step, err);
	healing_free(&healing);
	return code;
}
