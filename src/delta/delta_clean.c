/*
 * delta_clean.c - the old end of a table's log.
 *
 *	0 1 2 … 9 [10] 11 … [20] … [90] … [100] … 107
 *	└─ goes ─┘  │       └thinned out─┘   │
 *	    the newest that is            `_last_checkpoint`
 *	    as old as the log is kept
 *
 * A reader begins at a checkpoint and needs no version before it. Which one it
 * takes it has found in a listing just before: so a checkpoint only goes once a
 * newer one has been there for a while.
 */
#include "delta/delta_clean.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "delta/delta_sweep.h"
#include "delta/delta_table.h"

#include <errno.h>
#include <inttypes.h>

enum { THIN_TO = 10 }; /* checkpoints in the time that the log is kept, about */

struct log_file {
	char *key;
	int64_t version;
	int64_t modified_ms;
	uint64_t size;
	uint32_t parts;
	enum delta_log_kind kind;
};

/* A whole checkpoint: files [from, to) are of its version. */
struct log_checkpoint {
	int64_t version;
	int64_t modified_ms; /* the latest of its files and its commit */
	uint32_t parts;
	size_t from, to;
};

struct log_clean {
	struct delta_table *table;
	size_t prefix_len;
	struct log_file *files; /* in the order of their names, so of their versions */
	size_t count, room;
	struct log_checkpoint *checkpoints;
	size_t checkpoint_count;
	int64_t now_ms;
	int64_t keep_ms;
	int64_t last; /* which `_last_checkpoint` names */
	struct delta_sweep sweep;
};

static bool see_log_file(void *user, const struct store_entry *entry)
{
	struct log_clean *clean = user;
	struct log_file file = { .size = entry->size, .modified_ms = entry->modified_ms };

	file.kind = delta_log_name(entry->key + clean->prefix_len, &file.version, &file.parts);
	if (file.kind == DELTA_LOG_NOTHING)
		return true;
	if (clean->count == clean->room) {
		clean->room = clean->room * 2 + 64;
		clean->files = xreallocarray(clean->files, clean->room, sizeof(*clean->files));
	}
	file.key = xstrdup(entry->key);
	clean->files[clean->count++] = file;
	return true;
}

static enum err_code list_files_of_log(struct log_clean *clean, struct err *err)
{
	struct buf prefix;
	enum err_code code;

	buf_init(&prefix, STORE_KEY_MAX);
	buf_addf(&prefix, "%s/_delta_log/", clean->table->root);
	clean->prefix_len = prefix.len;
	code = store_list(clean->table->store, buf_cstr(&prefix), "", see_log_file, clean, err);
	buf_release(&prefix);
	return code;
}

/* The checkpoint of one version, of a file or of parts that are all there. */
static bool whole_checkpoint(const struct log_clean *clean, size_t from, size_t to,
			     struct log_checkpoint *ret)
{
	struct log_checkpoint found = { clean->files[from].version, 0, 0, from, to };
	uint32_t there = 0;
	bool one = false;

	for (size_t i = from; i < to; i++) {
		const struct log_file *file = &clean->files[i];

		if (file->modified_ms <= 0)
			return false;
		if (file->modified_ms > found.modified_ms)
			found.modified_ms = file->modified_ms;
		if (file->kind != DELTA_LOG_CHECKPOINT)
			continue;
		one |= file->parts == 0;
		if (file->parts > 0 && file->parts != found.parts) {
			found.parts = file->parts;
			there = 0;
		}
		there += file->parts > 0;
	}
	if (one)
		found.parts = 0;
	*ret = found;
	return one || (found.parts > 0 && there == found.parts);
}

static void find_checkpoints(struct log_clean *clean)
{
	for (size_t from = 0, to; from < clean->count; from = to) {
		struct log_checkpoint found;

		for (to = from;
		     to < clean->count && clean->files[to].version == clean->files[from].version;
		     to++)
			;
		if (!whole_checkpoint(clean, from, to, &found))
			continue;
		clean->checkpoints = xreallocarray(clean->checkpoints, clean->checkpoint_count + 1,
						   sizeof(*clean->checkpoints));
		clean->checkpoints[clean->checkpoint_count++] = found;
	}
}

/* That all of a table rests on is to be one that can be read. */
static bool is_sound(struct log_clean *clean, const struct log_checkpoint *checkpoint)
{
	struct delta_actions actions = { 0 };
	struct err err;
	enum err_code code = delta_checkpoint_read(clean->table, checkpoint->version,
						   checkpoint->parts, &actions, &err);

	delta_actions_release(&actions);
	if (code != ERR_OK)
		trace_warn("the log of table \"%s\" is not cleaned up to there: %s",
			   clean->table->root, err.msg);
	return code == ERR_OK;
}

/* The newest that is old enough; checkpoint_count: there is none. */
static size_t find_base(struct log_clean *clean)
{
	size_t at = clean->checkpoint_count;

	while (at > 0) {
		const struct log_checkpoint *checkpoint = &clean->checkpoints[--at];

		if (checkpoint->version <= clean->last &&
		    clean->now_ms - checkpoint->modified_ms >= clean->keep_ms)
			return at;
	}
	return clean->checkpoint_count;
}

static void add_old_end(struct log_clean *clean, const struct log_checkpoint *base)
{
	for (size_t i = 0; i < clean->count && clean->files[i].version < base->version; i++)
		delta_sweep_add(&clean->sweep, clean->files[i].key, clean->files[i].size);
}

static void add_checkpoint(struct log_clean *clean, const struct log_checkpoint *checkpoint)
{
	for (size_t i = checkpoint->from; i < checkpoint->to; i++)
		if (clean->files[i].kind == DELTA_LOG_CHECKPOINT)
			delta_sweep_add(&clean->sweep, clean->files[i].key, clean->files[i].size);
}

/* From the checkpoint `at`, which stays. */
static void add_thinned(struct log_clean *clean, size_t at)
{
	int64_t step_ms = clean->keep_ms / THIN_TO;
	int64_t wait_ms = step_ms > DELTA_KEEP_MIN_MS ? step_ms : DELTA_KEEP_MIN_MS;
	int64_t kept_ms = clean->checkpoints[at].modified_ms;

	for (size_t i = at + 1; i + 1 < clean->checkpoint_count; i++) {
		const struct log_checkpoint *checkpoint = &clean->checkpoints[i];

		if (clean->now_ms - clean->checkpoints[i + 1].modified_ms < wait_ms)
			break;
		if (checkpoint->version != clean->last &&
		    checkpoint->modified_ms - kept_ms < step_ms)
			add_checkpoint(clean, checkpoint);
		else
			kept_ms = checkpoint->modified_ms;
	}
}

static enum err_code clean_run(struct log_clean *clean, struct delta_cleaned *cleaned,
			       struct err *err)
{
	struct delta_cleaned gone = { 0 };
	enum err_code code = list_files_of_log(clean, err);
	size_t base;

	if (code != ERR_OK)
		return code;
	find_checkpoints(clean);
	base = find_base(clean);
	if (base < clean->checkpoint_count &&
	    clean->files->version < clean->checkpoints[base].version &&
	    is_sound(clean, &clean->checkpoints[base]))
		add_old_end(clean, &clean->checkpoints[base]);
	if (clean->checkpoint_count > 0)
		add_thinned(clean, base < clean->checkpoint_count ? base : 0);
	code = delta_sweep_run(&clean->sweep, 0, clean->sweep.count, &gone, err);
	for (size_t i = 0; i < clean->count; i++)
		cleaned->kept_bytes += clean->files[i].size;
	cleaned->kept += clean->count - gone.removed;
	cleaned->kept_bytes -= gone.removed_bytes;
	cleaned->removed += gone.removed;
	cleaned->removed_bytes += gone.removed_bytes;
	cleaned->unfinished |= gone.unfinished;
	return code;
}

static enum err_code clean_begin(struct log_clean *clean, bool *ret_wanted, struct err *err)
{
	struct delta_retention retention;
	enum err_code code = delta_retention(clean->table, &retention, err);

	if (code != ERR_OK)
		return code;
	if (retention.log_ms < DELTA_KEEP_MIN_MS)
		return err_set(err, ERR_UNSUPPORTED,
			       "table \"%s\" keeps its log for %" PRId64 " ms: a "
			       "writer could lose a commit where it is cleaned up within a minute",
			       clean->table->root, retention.log_ms);
	clean->now_ms = clock_age_ms();
	clean->keep_ms = retention.log_ms;
	clean->last = delta_checkpoint_last(clean->table);
	*ret_wanted = !retention.keeps_log;
	return ERR_OK;
}

static void clean_release(struct log_clean *clean)
{
	delta_sweep_release(&clean->sweep);
	for (size_t i = 0; i < clean->count; i++)
		free(clean->files[i].key);
	free(clean->files);
	free(clean->checkpoints);
}

enum err_code delta_clean_log(struct delta_table *table, const struct delta_clean_options *options,
			      struct delta_cleaned *cleaned, struct err *err)
{
	struct log_clean clean = {
		.table = table,
		.sweep = { .store = table->store,
			   .options = options,
			   .ordered = true,
			   .began_ms = clock_mono_ms(),
			   .failpoint = "clean-log-removed" },
	};
	struct err failure = { 0 };
	bool wanted = false;
	enum err_code code = delta_table_follow(table, &failure);

	/* What one does not know may need what seems to be needed by nothing. */
	if (code == ERR_OK)
		code = delta_table_check_writable(table, &failure);
	if (code == ERR_OK)
		code = clean_begin(&clean, &wanted, &failure);
	if (code == ERR_OK && wanted)
		code = clean_run(&clean, cleaned, &failure);
	clean_release(&clean);
	if (code != ERR_OK)
		*err = failure;
	return code;
}
