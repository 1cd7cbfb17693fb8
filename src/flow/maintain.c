#include "flow/maintain.h"

#include "base/lock.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/heal.h"
#include "flow/retry.h"
#include "flow/staging.h"
#include "flow/vacuum.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	NICE = 10,
	IOPRIO_IDLE = 3 << 13, /* the class, where the kernel's number has it */
	WAIT_MAX_MS = 10000,
	PAID_WAIT_MAX_MS = 60000,
	REST_AFTER_MS = 30000, /* without a merge DuckDB's memory is given back */
	FAILED_FIRST_MS = 1000,
	FAILED_MAX_MS = 300000,
	CHECKPOINT_COMMITS = 50,
	CHECKPOINT_REST_MS = 5000,
	LOOK_BACK_COMMITS = 1000,
	GIVE_WAY_MS = 600000,
	GIVE_WAY_FILES = 200,
	HEALS_LOST_MAX = 2,
	CLEAN_SHARE = 10, /* of the time that files are kept */
	CLEAN_LEAST_MS = 10000,
	CLEAN_MOST_MS = 600000,
	CLEAN_TURN_MS = 5000, /* of files, and of the log; then the tables have their turn */
	CLEAN_LEAVES = 3,     /* times as long as it took to the merges that there are */
	REBUILD_MOST_MS = 86400000,
};

struct maintain_table {
	const char *name; /* its model's */
	struct lake_table place;
	struct delta_table *delta; /* NULL: not there yet, or it failed */
	struct compact_policy policy;
	int64_t version;	   /* at the last look that found work done; -1: none */
	int64_t wait_ms;	   /* between looks, as it is now */
	int64_t look_ms;	   /* when the next one is due; monotonic clock, as those below */
	int64_t changed_ms;	   /* when it had a new version last */
	int64_t clean_ms;	   /* when the next clean-up is due */
	int64_t others_ms;	   /* when another program optimized it last, by its commit */
	int64_t merge_ms;	   /* when it may be merged by us, */
	size_t merge_files;	   /* or when it has so many files */
	int heals_lost;		   /* in a row, to other writers */
	bool refused;		   /* that it may not be cleaned up is told */
	struct retry retry;
};

/* What is made of one topic, or stream. */
struct maintain_topic {
	struct lake_table place; /* of the first table */
	int64_t due_ms;		 /* monotonic clock */
	struct retry retry;
};

struct maintain {
	const struct maintain_options *options;
	struct maintain_table *tables;
	size_t table_count;
	struct maintain_topic *topics; /* none: all is kept for ever */
	size_t topic_count;
	struct compactor compactor;
	int64_t merged_ms; /* when there was a merge last; monotonic clock */
	struct maintain_counts counts;
};

/* ---- The chores of a table ---- */

static enum err_code maintain_heal(struct maintain *maintain, struct maintain_table *table,
				   bool *ret_again, struct err *err)
{
	struct heal_step step;
	enum err_code code = heal_step(&maintain->compactor, table->delta, table->place.root,
				       table->heals_lost >= HEALS_LOST_MAX, &step, err);

	table->heals_lost = code == ERR_BUSY ? table->heals_lost + 1 : 0;
	if (code == ERR_BUSY) {
		trace_debug("%s; it is planned anew", err->msg);
		maintain->counts.conflicts++;
		*ret_again = true;
		return ERR_OK;
	}
	if (code != ERR_OK || !step.done)
		return code;
	maintain->merged_ms = clock_mono_ms();
	maintain->counts.commits++;
	*ret_again = true;
	return ERR_OK;
}

/* Who optimizes from a schedule is not overtaken a second time, unless many files have come since.
 */
static bool maintain_gives_way(struct maintain_table *table)
{
	int64_t others_ms = delta_others_optimized_ms(table->delta), now_ms = clock_mono_ms();
	int64_t ago_ms = clock_wall_ms() - others_ms;
	size_t files = delta_file_count(table->delta);

	if (others_ms != table->others_ms && ago_ms < GIVE_WAY_MS) {
		table->merge_ms = now_ms + GIVE_WAY_MS - (ago_ms > 0 ? ago_ms : 0);
		table->merge_files = files + GIVE_WAY_FILES;
	}
	table->others_ms = others_ms;
	return now_ms < table->merge_ms && files < table->merge_files;
}

static enum err_code maintain_compact(struct maintain *maintain, struct maintain_table *table,
				      bool *ret_again, struct err *err)
{
	struct maintain_counts *counts = &maintain->counts;
	struct compact_step step;
	enum err_code code;

	/* Rows that are doubled would be merged as they are. */
	if (maintain_gives_way(table) || delta_doubled(table->delta).at >= 0)
		return ERR_OK;
	code = compactor_step(&maintain->compactor, &table->policy, table->delta, table->place.root,
			      &step, err);
	if (code == ERR_BUSY) {
		trace_debug("%s; it is planned anew", err->msg);
		counts->conflicts++;
		*ret_again = true;
		return ERR_OK;
	}
	if (code != ERR_OK || step.files_in == 0)
		return code;
	maintain->merged_ms = clock_mono_ms();
	counts->commits++;
	counts->files_in += step.files_in;
	counts->files_out += step.files_out;
	counts->bytes_in += step.bytes_in;
	counts->bytes_out += step.bytes_out;
	*ret_again = true;
	return ERR_OK;
}

static enum err_code maintain_checkpoint(struct maintain *maintain, struct maintain_table *table,
					 bool *ret_again, struct err *err)
{
	(void)maintain;
	(void)ret_again;
	(void)err;
	delta_checkpoint_if_due(table->delta, 1);
	return ERR_OK;
}

/* What is done for a table that has a new version, in this order. *ret_again: there may be more to
 * do at once, after the other tables had their turn. */
static const struct maintain_chore {
	const char *name;
	enum err_code (*run)(struct maintain *maintain, struct maintain_table *table,
			     bool *ret_again, struct err *err);
} maintain_chores[] = {
	{ "healing", maintain_heal },
	{ "compaction", maintain_compact },
	{ "checkpoint", maintain_checkpoint },
};

static enum err_code maintain_do_chores(struct maintain *maintain, struct maintain_table *table,
					bool *ret_again, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(maintain_chores); i++)
		if (maintain_chores[i].run(maintain, table, ret_again, err) != ERR_OK)
			return err_prefix(err, "%s", maintain_chores[i].name);
	return ERR_OK;
}

/* ---- What goes with time ---- */

static int64_t maintain_clean_every(int64_t kept_ms)
{
	int64_t every_ms = kept_ms / CLEAN_SHARE;

	if (every_ms < CLEAN_LEAST_MS)
		return CLEAN_LEAST_MS;
	return every_ms < CLEAN_MOST_MS ? every_ms : CLEAN_MOST_MS;
}

/* A table that says of itself that it must not be cleaned up is merged all the same. */
static enum err_code maintain_vacuum(struct maintain *maintain, struct maintain_table *table,
				     bool *ret_unfinished, struct err *err)
{
	struct vacuum_options options = {
		.store = maintain->options->compact.store,
		.keep = maintain->options->keep[table->place.kind],
		.most_ms = CLEAN_TURN_MS,
	};
	struct vacuum_report report = { 0 };
	enum err_code code = vacuum_table(&options, &table->place, table->delta, &report, err);

	maintain->counts.removed += report.files.removed + report.log.removed;
	maintain->counts.removed_bytes += report.files.removed_bytes + report.log.removed_bytes;
	*ret_unfinished = report.files.unfinished || report.log.unfinished;
	if (code != ERR_UNSUPPORTED)
		return code;
	if (!table->refused)
		trace_warn("%s", err->msg);
	table->refused = true;
	return ERR_OK;
}

/* *again: there is more to do at once: merges, which come first then, or afterwards files to take
 * away. */
static enum err_code maintain_clean(struct maintain *maintain, struct maintain_table *table,
				    bool changed, bool *again, struct err *err)
{
	struct delta_retention retention = { .files_ms = CLEAN_MOST_MS, .log_ms = CLEAN_MOST_MS };
	int64_t now_ms = clock_mono_ms(), every_ms, longest_ms;
	bool unfinished = false;
	struct err ignored;
	enum err_code code;

	(void)!delta_retention(table->delta, &retention, &ignored);
	every_ms = maintain_clean_every(retention.files_ms);
	longest_ms = retention.files_ms > retention.log_ms ? retention.files_ms : retention.log_ms;
	if (changed)
		table->changed_ms = now_ms;
	if (now_ms < table->clean_ms || now_ms - table->changed_ms > longest_ms + 2 * every_ms)
		return ERR_OK;
	code = maintain_vacuum(maintain, table, &unfinished, err);
	if (unfinished && *again)
		every_ms = (clock_mono_ms() - now_ms) * CLEAN_LEAVES;
	else if (unfinished)
		every_ms = 0;
	*again |= unfinished;
	table->clean_ms = clock_mono_ms() + every_ms;
	return code == ERR_OK ? ERR_OK : err_prefix(err, "clean-up");
}

static void maintain_retain(struct maintain *maintain, struct maintain_topic *topic)
{
	const struct maintain_options *options = maintain->options;
	struct retain_options retain = { .store = options->compact.store,
					 .models = options->models,
					 .id = options->id,
					 .keep = options->retain };
	int64_t raw_ms = retain.keep.raw_ms, letters_ms = retain.keep.letters_ms;
	struct retain_report report = { 0 };
	struct err err;
	enum err_code code = retain_topic(&retain, &topic->place, &report, &err);

	maintain->counts.removed += report.raw.removed + report.letters.removed;
	maintain->counts.removed_bytes += report.raw.removed_bytes + report.letters.removed_bytes;
	if (letters_ms > 0 && (raw_ms == 0 || letters_ms < raw_ms))
		raw_ms = letters_ms;
	topic->due_ms = clock_mono_ms() + maintain_clean_every(raw_ms);
	if (code == ERR_OK || code == ERR_ABSENT) {
		retry_passed(&topic->retry);
	} else if (code != ERR_STOPPED) {
		(void)retry_failed(&topic->retry, topic->place.topic, &err);
		topic->due_ms = topic->retry.due_ms;
	}
}

/* ---- Looking ---- */

static enum err_code maintain_open(struct maintain *maintain, struct maintain_table *table,
				   struct err *err)
{
	uint32_t commits = maintain->options->keep[table->place.kind].checkpoint_commits;
	struct delta_options options = {
		.name = table->name,
		.checkpoints = true,
		.look_back = maintain->options->paid ? 0 : LOOK_BACK_COMMITS,
		.checkpoint_interval = commits ? commits : CHECKPOINT_COMMITS
	};

	if (table->delta)
		return delta_refresh(table->delta, err);
	table->version = -1;
	return delta_open(maintain->options->compact.store, table->place.root, &options,
			  &table->delta, err);
}

/* While nothing comes a look costs half as much each time. */
static void maintain_wait(const struct maintain *maintain, struct maintain_table *table,
			  bool changed)
{
	int64_t every_ms = maintain->options->every_ms;
	int64_t most_ms = maintain->options->paid ? PAID_WAIT_MAX_MS : WAIT_MAX_MS;

	table->wait_ms = changed || table->wait_ms == 0 ? every_ms : table->wait_ms * 2;
	if (table->wait_ms > most_ms)
		table->wait_ms = every_ms > most_ms ? every_ms : most_ms;
	table->look_ms = clock_mono_ms() + table->wait_ms;
}

static enum err_code maintain_find_rebuild(const struct maintain *maintain,
					   const struct maintain_table *table, bool *ret_rebuilt,
					   struct err *err)
{
	int64_t since_ms = 0;
	enum err_code code = staging_oldest(maintain->options->compact.store, table->place.root,
					    table->delta, &since_ms, err);

	*ret_rebuilt = since_ms != 0 && clock_age_ms() - since_ms < REBUILD_MOST_MS;
	return code;
}

static enum err_code maintain_look(struct maintain *maintain, struct maintain_table *table,
				   struct err *err)
{
	bool again = false, changed, rebuilt = false;
	struct err failure;
	int64_t seen;
	enum err_code code = maintain_open(maintain, table, err), cleaned;

	if (code == ERR_ABSENT && !table->delta) {
		maintain_wait(maintain, table, false);
		return ERR_OK;
	}
	if (code != ERR_OK)
		return code;
	changed = delta_version(table->delta) != table->version;
	if (changed)
		code = maintain_find_rebuild(maintain, table, &rebuilt, err);
	if (code != ERR_OK)
		return code;
	if (rebuilt) {
		maintain_wait(maintain, table, true);
		return ERR_OK;
	}
	if (changed)
		code = maintain_do_chores(maintain, table, &again, err);
	/* What follows may read on: the next look is for that. */
	seen = delta_version(table->delta);
	if (!changed && clock_mono_ms() - table->changed_ms > CHECKPOINT_REST_MS)
		delta_checkpoint_at_rest(table->delta);
	/* What cannot be merged is not to fill the disk as well. */
	cleaned = maintain_clean(maintain, table, changed, &again, &failure);
	if (code == ERR_OK && cleaned != ERR_OK)
		*err = failure;
	if (code != ERR_OK || cleaned != ERR_OK)
		return err->code;
	table->version = again ? -1 : seen;
	maintain_wait(maintain, table, changed);
	if (again)
		table->look_ms = 0;
	return ERR_OK;
}

/* After an error nothing that is known of the table need be true. */
static void maintain_failed(struct maintain_table *table, const struct err *err)
{
	(void)retry_failed(&table->retry, table->place.root, err);
	delta_close(table->delta);
	table->delta = NULL;
	table->wait_ms = 0;
	table->look_ms = table->retry.due_ms;
}

static void maintain_turn(struct maintain *maintain)
{
	for (size_t i = 0; i < maintain->table_count && !stop_requested(); i++) {
		struct maintain_table *table = &maintain->tables[i];
		struct err err = { 0 };

		if (table->look_ms > clock_mono_ms())
			continue;
		if (maintain_look(maintain, table, &err) == ERR_OK)
			retry_passed(&table->retry);
		else if (err.code != ERR_STOPPED)
			maintain_failed(table, &err);
	}
	for (size_t i = 0; i < maintain->topic_count && !stop_requested(); i++)
		if (maintain->topics[i].due_ms <= clock_mono_ms())
			maintain_retain(maintain, &maintain->topics[i]);
}

/* ---- The loop ---- */

static void maintain_sleep(struct maintain *maintain)
{
	int64_t now_ms = clock_mono_ms(), due_ms = INT64_MAX;

	for (size_t i = 0; i < maintain->table_count; i++)
		if (maintain->tables[i].look_ms < due_ms)
			due_ms = maintain->tables[i].look_ms;
	for (size_t i = 0; i < maintain->topic_count; i++)
		if (maintain->topics[i].due_ms < due_ms)
			due_ms = maintain->topics[i].due_ms;
	if (maintain->compactor.open && now_ms - maintain->merged_ms > REST_AFTER_MS)
		compactor_rest(&maintain->compactor);
	if (due_ms > now_ms)
		clock_sleep_ms(due_ms - now_ms);
}

/* Whoever takes or asks comes first. Where the kernel does not allow it, it goes on as it is. */
static void maintain_stand_back(void)
{
	enum { WHO_PROCESS = 1 };

	(void)setpriority(PRIO_PROCESS, 0, NICE);
	(void)syscall(SYS_ioprio_set, WHO_PROCESS, 0, IOPRIO_IDLE);
}

static void maintain_begin_topics(struct maintain *maintain)
{
	const struct retain_keep *keep = &maintain->options->retain;

	maintain->topics = xcalloc(maintain->table_count + 1, sizeof(*maintain->topics));
	for (size_t i = 0; i < maintain->table_count; i++) {
		const struct lake_table *place = &maintain->tables[i].place;

		if (!lake_table_leads(place) ||
		    (keep->letters_ms == 0 && (keep->raw_ms == 0 || place->kind != TOPIC_LOG)))
			continue;
		maintain->topics[maintain->topic_count++] = (struct maintain_topic){
			.place = *place, .retry.backoff = maintain->tables[i].retry.backoff
		};
	}
}

/* The tables of both paths. */
static enum err_code maintain_begin(struct maintain *maintain, struct err *err)
{
	static const enum topic_kind kinds[] = { TOPIC_LOG, TOPIC_STREAM };
	const struct models *models = maintain->options->models;

	maintain->tables =
		xcalloc(models->clean_count * ARRAY_LEN(kinds) + 1, sizeof(*maintain->tables));
	for (size_t i = 0; i < models->clean_count * ARRAY_LEN(kinds); i++) {
		struct maintain_table *table = &maintain->tables[i];
		enum err_code code =
			lake_table_init(&table->place, &models->clean[i / ARRAY_LEN(kinds)],
					kinds[i % ARRAY_LEN(kinds)], maintain->options->id, err);

		if (code != ERR_OK)
			return code;
		table->name = models->clean[i / ARRAY_LEN(kinds)].model.name;
		table->policy = maintain->options->compact.policy;
		table->version = -1;
		table->retry.backoff =
			(struct backoff){ .first_ms = FAILED_FIRST_MS, .max_ms = FAILED_MAX_MS };
		maintain->table_count++;
	}
	maintain_begin_topics(maintain);
	return ERR_OK;
}

static void maintain_release(struct maintain *maintain)
{
	for (size_t i = 0; i < maintain->table_count; i++)
		delta_close(maintain->tables[i].delta);
	free(maintain->tables);
	free(maintain->topics);
	compactor_release(&maintain->compactor);
}

enum err_code maintain_run(const struct maintain_options *options,
			   struct maintain_counts *ret_counts, struct err *err)
{
	struct maintain maintain = { .options = options };
	int lock_fd = -1;
	enum err_code code =
		lock_take(options->compact.dir, "maintain.lock", "maintain", &lock_fd, err);

	if (code != ERR_OK)
		return code;
	maintain_stand_back();
	compactor_init(&maintain.compactor, &options->compact);
	code = maintain_begin(&maintain, err);
	while (code == ERR_OK && !stop_requested()) {
		maintain_turn(&maintain);
		maintain_sleep(&maintain);
	}
	if (code == ERR_OK)
		*ret_counts = maintain.counts;
	maintain_release(&maintain);
	lock_release(lock_fd);
	return code;
}
