#include "flow/compact.h"

#include "base/dir.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "delta/delta_merge.h"
#include "flow/compact_inside.h"
#include "flow/heal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	STATS_BYTES_MAX = 1 << 20,
	INTERRUPT_AGAIN_MS = 10,
	LOST_MAX = 20,
	DIR_MODE = 0700,
	TARGET_LEAST = 1 << 20, /* who has no memory for less needs more of it */
};

void compactor_init(struct compactor *compactor, const struct compact_options *options)
{
	*compactor = (struct compactor){ .options = *options, .spills.lock_fd = -1 };
}

/* Together with what it may spill into: another process removes what nobody holds. */
enum err_code compactor_open(struct compactor *compactor, struct err *err)
{
	char temp_dir[PATH_MAX];
	struct duck_options duck = {
		.memory_bytes_max = compactor->options.memory_bytes_max,
		.threads = compactor->options.threads,
		.temp_dir = compactor->spills.path,
	};
	enum err_code code;

	if (compactor->open)
		return ERR_OK;
	if (snprintf(temp_dir, sizeof(temp_dir), "%s/tmp", compactor->options.dir) >=
	    (int)sizeof(temp_dir))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long",
			       compactor->options.dir);
	code = dir_make(temp_dir, DIR_MODE, err);
	if (code != ERR_OK)
		return code;
	spills_open(temp_dir, "compact", &compactor->spills);
	code = delta_merge_open(&duck, &compactor->duck, err);
	if (code == ERR_OK)
		compactor->open = true;
	else
		spills_close(&compactor->spills);
	return code;
}

void compactor_rest(struct compactor *compactor)
{
	if (!compactor->open)
		return;
	duck_close(&compactor->duck);
	spills_close(&compactor->spills);
	compactor->open = false;
}

void compactor_release(struct compactor *compactor) { compactor_rest(compactor); }

/* ---- A stop while DuckDB works ---- */

/* A statement that begins after one was interrupted is to be interrupted, too: so until the end. */
static void *merge_watch_run(void *arg)
{
	struct merge_watch *watch = arg;
	struct pollfd fds[] = {
		{ .fd = watch->end_fd, .events = POLLIN },
		{ .fd = stop_fd(), .events = POLLIN },
	};

	for (;;) {
		bool stopped = stop_requested();

		(void)poll(fds, stopped ? 1 : 2, stopped ? INTERRUPT_AGAIN_MS : -1);
		if (fds[0].revents)
			return NULL;
		if (stop_requested())
			duck_interrupt(watch->duck);
	}
}

enum err_code merge_watch_begin(struct merge_watch *watch, struct duck *duck, struct err *err)
{
	*watch = (struct merge_watch){ .duck = duck, .end_fd = eventfd(0, EFD_CLOEXEC) };
	if (watch->end_fd < 0)
		return err_errno(err, "could not make an event descriptor");
	errno = pthread_create(&watch->thread, NULL, merge_watch_run, watch);
	if (errno == 0)
		return ERR_OK;
	(void)close(watch->end_fd);
	return err_errno(err, "could not start a thread");
}

void merge_watch_end(struct merge_watch *watch)
{
	(void)eventfd_write(watch->end_fd, 1);
	(void)pthread_join(watch->thread, NULL);
	(void)close(watch->end_fd);
}

/* ---- One merge ---- */

struct merging *merging_new(struct compactor *compactor, struct delta_table *table,
			    const char *root)
{
	struct merging *merging = xcalloc(1, sizeof(*merging));

	merging->compactor = compactor;
	merging->table = table;
	merging->root = root;
	buf_init(&merging->stats, STATS_BYTES_MAX);
	return merging;
}

void merging_take(struct merging *merging, size_t place)
{
	const struct delta_add *file = delta_file(merging->table, place);

	merging->removes[merging->count] = xstrdup(file->path);
	merging->rows[merging->count++] = file->rows;
}

static void merging_plan(struct merging *merging, const struct compact_policy *policy)
{
	size_t count = delta_file_count(merging->table), chosen;
	uint64_t *sizes = xcalloc(count + 1, sizeof(*sizes));

	for (size_t i = 0; i < count; i++)
		sizes[i] = delta_file(merging->table, i)->size;
	chosen = compact_plan(policy, sizes, count, merging->places);
	free(sizes);
	for (size_t i = 0; i < chosen; i++)
		merging_take(merging, merging->places[i]);
}

static enum err_code merging_name(struct merging *merging, struct err *err)
{
	struct buf name;

	buf_init(&name, COMPACT_NAME_MAX);
	delta_new_file_name(&name);
	(void)snprintf(merging->path, sizeof(merging->path), "%s", buf_cstr(&name));
	(void)snprintf(merging->key, sizeof(merging->key), "%s/%s", merging->root, buf_cstr(&name));
	buf_release(&name);
	if (snprintf(merging->temp_path, sizeof(merging->temp_path), "%s/%s",
		     merging->compactor->spills.path,
		     merging->path) >= (int)sizeof(merging->temp_path))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long",
			       merging->compactor->spills.path);
	return ERR_OK;
}

enum err_code merging_open(struct merging *merging, struct err *err)
{
	enum err_code code = delta_own_schema(merging->table, &merging->schema, err);

	if (code == ERR_OK)
		code = compactor_open(merging->compactor, err);
	if (code == ERR_OK)
		code = merging_name(merging, err);
	return code;
}

static enum err_code merging_open_files(struct merging *merging, struct err *err)
{
	struct compactor *compactor = merging->compactor;
	enum err_code code = merging_open(merging, err);

	if (code == ERR_OK)
		code = table_files_open_some(compactor->options.store, merging->root,
					     merging->table, merging->places, merging->count,
					     &merging->files, err);
	if (code == ERR_OK && FAILPOINT("compact-opened"))
		code = err_set(err, ERR_IO, "injected fault");
	return code;
}

/* Where it is the disk: that has room again some time, and then files are to be large. */
static bool merging_could_not_spill(const struct err *failure)
{
	return strstr(failure->msg, "failed to offload") != NULL;
}

static enum err_code merging_merge(struct merging *merging, struct err *err)
{
	struct delta_merge merge = {
		.schema = &merging->schema,
		.files = merging->files.list,
		.rows = merging->rows,
		.count = merging->count,
		.path = merging->temp_path,
	};
	struct merge_watch watch;
	enum err_code code = merge_watch_begin(&watch, &merging->compactor->duck, err);

	if (code != ERR_OK)
		return code;
	code = delta_merge_files(&merging->compactor->duck, &merge, &merging->stats,
				 &merging->add.rows, &merging->add.size, err);
	merging->lacks_memory = code == ERR_LIMIT && !merging_could_not_spill(err);
	merge_watch_end(&watch);
	if (code == ERR_OK && FAILPOINT("compact-merged"))
		code = err_set(err, ERR_IO, "injected fault");
	return code;
}

enum err_code merging_put(struct merging *merging, struct err *err)
{
	enum err_code code;

	if (merging->add.rows == 0)
		return ERR_OK;
	merging->add.made_ms = clock_boot_ms();
	code = store_put_file(merging->compactor->options.store, merging->key, merging->temp_path,
			      err);
	merging->add.path = merging->path;
	merging->add.modified_ms = clock_wall_ms();
	merging->add.stats = (char *)(uintptr_t)buf_cstr(&merging->stats);
	if (code == ERR_OK && FAILPOINT("compact-put"))
		code = err_set(err, ERR_IO, "injected fault");
	return code;
}

enum err_code merging_commit(struct merging *merging, struct err *err)
{
	struct delta_rewrite rewrite = {
		.schema = &merging->schema,
		.adds = &merging->add,
		.add_count = merging->add.rows > 0,
		.removes = (const char *const *)merging->removes,
		.remove_count = merging->count,
		.heals = merging->heals,
		.needs = merging->needs,
		.need_count = merging->need_count,
	};
	int64_t version;
	enum err_code code = delta_rewrite(merging->table, &rewrite, &version, err);

	/* The file that was put is left to a clean-up, which knows that no version names it. */
	if (code == ERR_EXPIRED)
		err->code = code = ERR_BUSY;
	if (code == ERR_BUSY)
		metric_add(METRIC_COMPACT_LOST, 1);
	if (code == ERR_OK && FAILPOINT("compact-committed"))
		code = err_set(err, ERR_IO, "injected fault");
	return code;
}

static void merging_tell(const struct merging *merging, struct compact_step *ret_step)
{
	struct compact_step step = {
		.files_in = merging->count,
		.files_out = merging->add.rows > 0,
		.bytes_out = merging->add.rows > 0 ? merging->add.size : 0,
	};

	for (size_t i = 0; i < merging->count; i++)
		step.bytes_in += merging->files.list[i].size;
	metric_add(METRIC_COMPACTIONS, 1);
	metric_add(METRIC_COMPACT_FILES_IN, (int64_t)step.files_in);
	metric_add(METRIC_COMPACT_FILES_OUT, (int64_t)step.files_out);
	metric_add(METRIC_COMPACT_BYTES_IN, (int64_t)step.bytes_in);
	metric_add(METRIC_COMPACT_BYTES_OUT, (int64_t)step.bytes_out);
	*ret_step = step;
}

void merging_free(struct merging *merging)
{
	if (merging->temp_path[0] != '\0')
		(void)unlink(merging->temp_path);
	for (size_t i = 0; i < merging->count; i++)
		free(merging->removes[i]);
	table_files_close(&merging->files);
	delta_schema_release(&merging->schema);
	buf_release(&merging->stats);
	free(merging);
}

static enum err_code merging_run(struct merging *merging, struct err *err)
{
	enum err_code code = merging_open_files(merging, err);

	if (code == ERR_OK)
		code = merging_merge(merging, err);
	if (code == ERR_OK)
		code = merging_put(merging, err);
	if (code == ERR_OK)
		code = merging_commit(merging, err);
	return code;
}

/* DuckDB spills what it sorts, but what it takes at the least grows with the rows' width. False: it
 * is not enough for the smallest merge either. */
static bool merging_takes_less(const struct merging *merging, struct compact_policy *policy,
			       const struct err *failure)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < merging->files.count; i++)
		bytes += merging->files.list[i].size;
	if (bytes > policy->target_bytes)
		bytes = policy->target_bytes;
	if (bytes < TARGET_LEAST)
		return false;
	policy->target_bytes = bytes / 2;
	trace_warn("table \"%s\": maintain.memory is too little to make one file of %zu, its files"
		   " are made as large as %" PRIu64 " KiB at most from here on: %s",
		   merging->root, merging->count, policy->target_bytes >> 10, failure->msg);
	return true;
}

static enum err_code compactor_try(struct compactor *compactor, struct compact_policy *policy,
				   struct delta_table *table, const char *root,
				   struct compact_step *ret_step, bool *ret_again, struct err *err)
{
	struct merging *merging = merging_new(compactor, table, root);
	enum err_code code = ERR_OK;

	*ret_step = (struct compact_step){ 0 };
	*ret_again = false;
	merging_plan(merging, policy);
	if (merging->count > 0)
		code = merging_run(merging, err);
	if (code == ERR_OK && merging->count > 0)
		merging_tell(merging, ret_step);
	if (merging->lacks_memory)
		*ret_again = merging_takes_less(merging, policy, err);
	merging_free(merging);
	return code;
}

enum err_code compactor_step(struct compactor *compactor, struct compact_policy *policy,
			     struct delta_table *table, const char *root,
			     struct compact_step *ret_step, struct err *err)
{
	enum err_code code;
	bool again;

	do
		code = compactor_try(compactor, policy, table, root, ret_step, &again, err);
	while (again);
	return code;
}

/* ---- All of a table ---- */

static void compact_measure(const struct delta_table *table, uint64_t *ret_files,
			    uint64_t *ret_bytes)
{
	*ret_files = delta_file_count(table);
	*ret_bytes = 0;
	for (size_t i = 0; i < delta_file_count(table); i++)
		*ret_bytes += delta_file(table, i)->size;
}

/* Before anything is merged. */
static enum err_code compact_heal(struct compactor *compactor, struct delta_table *table,
				  const char *root, uint64_t *commits, struct err *err)
{
	struct heal_step step = { .done = true };
	int lost = 0;

	while (step.done && !stop_requested()) {
		enum err_code code = heal_step(compactor, table, root, lost > 1, &step, err);

		if (code == ERR_BUSY && lost++ < LOST_MAX)
			continue;
		if (code != ERR_OK)
			return code;
		*commits += step.done;
	}
	return ERR_OK;
}

static enum err_code compact_all(struct compactor *compactor, struct delta_table *table,
				 const char *root, uint64_t *commits, struct err *err)
{
	struct compact_policy policy = compactor->options.policy;
	struct compact_step step = { .files_in = 1 };
	enum err_code code = ERR_OK;
	int lost = 0;

	while (step.files_in > 0 && !stop_requested()) {
		code = compactor_step(compactor, &policy, table, root, &step, err);
		if (code == ERR_BUSY && lost++ < LOST_MAX)
			continue;
		if (code != ERR_OK)
			return code;
		*commits += step.files_in > 0;
	}
	return stop_requested() ? err_set(err, ERR_STOPPED, "interrupted") : ERR_OK;
}

enum err_code compactor_run(struct compactor *compactor, const char *root, const char *name,
			    struct compact_report *ret_report, struct err *err)
{
	struct delta_options options = { .checkpoints = true,
					 .name = name,
					 .look_back = INT64_MAX };
	struct compact_report report = { .there = true };
	struct delta_table *table = NULL;
	enum err_code code = delta_open(compactor->options.store, root, &options, &table, err);

	if (code == ERR_ABSENT) {
		*ret_report = (struct compact_report){ 0 };
		return ERR_OK;
	}
	if (code != ERR_OK)
		return code;
	compact_measure(table, &report.files_before, &report.bytes_before);
	code = compact_heal(compactor, table, root, &report.commits, err);
	if (code == ERR_OK)
		code = compact_all(compactor, table, root, &report.commits, err);
	compact_measure(table, &report.files_after, &report.bytes_after);
	delta_close(table);
	if (code == ERR_OK)
		*ret_report = report;
	return code;
}
