/*
 * delta_vacuum.c - data files that no version needs any more.
 *
 * The listing comes first and the table is read after it: what a commit has
 * named by then stays, and what none has is too old to be committed still
 * (delta_add.made_ms). It is read again before each RUN of them.
 *
 * Who has looked at its file's age, and is stopped before its put, could name it when it is gone. A
 * version that came after that look has the put's place, and where the table has stood still for so
 * long that there is none, an empty one is written first: the put loses, and the age is looked at
 * again. A version that by its time is yet to come shows nothing: a clock was wrong when it came.
 */
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/time.h"
#include "delta/delta_retention.h"
#include "delta/delta_sweep.h"
#include "delta/delta_table.h"

#include <errno.h>
#include <inttypes.h>

enum {
	RUN = 1000,
	CANDIDATES_MAX = 1 << 20,
	TIME_STEP_MS = 1000, /* of services, which tell when an object was put */
};

struct vacuum {
	struct delta_table *table;
	const struct delta_clean_options *options;
	size_t root_len;   /* with its slash */
	int64_t before_ms; /* older files may go */
	int64_t looked_ms; /* no older one was looked at by its writer later than this */
	int64_t wrong_ms;  /* later is no time that a clock could tell now */
	bool fenced;	   /* none can be committed any more */
	bool waits;	   /* nor can that be had now */
	struct delta_sweep sweep;
	struct delta_actions removed; /* removes of which the files stay … */
	struct delta_map tombstones;  /* … by path: it only grows … */
	bool any;		      /* … and is of what the table had … */
	int64_t version, checkpoint;  /* … then */
	struct delta_cleaned *cleaned;
};

/* A data file of the table: nobody else's, by its name. */
static bool is_data_file(const char *path)
{
	size_t len = strlen(path);

	for (const char *name = path; name; name = strchr(name, '/')) {
		name += *name == '/';
		if (*name == '_' || *name == '.')
			return false;
	}
	return len > strlen(".parquet") && strcmp(path + len - strlen(".parquet"), ".parquet") == 0;
}

static bool see_file(void *user, const struct store_entry *entry)
{
	struct vacuum *vacuum = user;

	if (!is_data_file(entry->key + vacuum->root_len))
		return true;
	vacuum->cleaned->kept++;
	vacuum->cleaned->kept_bytes += entry->size;
	if (entry->modified_ms > 0 && entry->modified_ms < vacuum->before_ms)
		delta_sweep_add(&vacuum->sweep, entry->key, entry->size);
	return vacuum->sweep.count < CANDIDATES_MAX;
}

static enum err_code list_files(struct vacuum *vacuum, struct err *err)
{
	struct buf prefix;
	enum err_code code;

	buf_init(&prefix, STORE_KEY_MAX);
	buf_addf(&prefix, "%s/", vacuum->table->root);
	vacuum->root_len = prefix.len;
	code = store_list(vacuum->table->store, buf_cstr(&prefix), "", see_file, vacuum, err);
	buf_release(&prefix);
	return code;
}

/* Those of the checkpoint that the state rests on, and of what came after it. Of thousands of runs
 * hardly one finds anything but the last few commits new. */
static enum err_code find_tombstones(struct vacuum *vacuum, struct err *err)
{
	const struct delta_state *state = &vacuum->table->state;
	struct delta_actions *removed = &vacuum->removed;
	size_t known = removed->remove_count;
	enum err_code code = ERR_OK;

	if (!vacuum->any || vacuum->checkpoint != state->checkpoint)
		code = delta_checkpoint_tombstones(vacuum->table, vacuum->before_ms, removed, err);
	for (size_t i = state->gone_count; i > 0 && code == ERR_OK; i--) {
		const struct delta_gone *gone = &state->gone[i - 1];

		if (vacuum->any && gone->version <= vacuum->version)
			break;
		if (gone->remove.deleted_ms > vacuum->before_ms)
			delta_actions_new_remove(removed)->path = xstrdup(gone->remove.path);
	}
	for (size_t i = known; i < removed->remove_count; i++)
		delta_map_put(&vacuum->tombstones, removed->removes[i].path, i);
	if (code != ERR_OK)
		return code;
	vacuum->any = true;
	vacuum->version = state->version;
	vacuum->checkpoint = state->checkpoint;
	return ERR_OK;
}

static enum err_code read_table(struct vacuum *vacuum, struct err *err)
{
	enum err_code code = delta_table_follow(vacuum->table, err);

	if (code == ERR_OK)
		code = find_tombstones(vacuum, err);
	if (code != ERR_CORRUPT)
		return code;
	/* Its checkpoint was cleaned up: there is a newer one. */
	code = delta_table_reload(vacuum->table, err);
	return code == ERR_OK ? find_tombstones(vacuum, err) : code;
}

/* What a version needs, stays. */
static void spare(struct vacuum *vacuum, size_t from, size_t to)
{
	const struct delta_state *state = &vacuum->table->state;
	size_t at;

	for (size_t i = from; i < to; i++) {
		struct delta_sweep_item *item = &vacuum->sweep.items[i];
		const char *path = item->key ? item->key + vacuum->root_len : "";

		if (delta_map_get(&state->by_path, path, &at) ||
		    delta_map_get(&vacuum->tombstones, path, &at)) {
			free(item->key);
			item->key = NULL;
		}
	}
}

/* ---- The put of who was stopped ---- */

/* *ret_needed: the last version may be older than that look. */
static enum err_code fence_look(struct delta_table *table, const void *user, bool *ret_needed,
				struct err *err)
{
	const struct vacuum *vacuum = user;
	struct store_stat stat = { 0 };
	enum err_code code = delta_table_check_writable(table, err);
	struct buf key;

	if (code != ERR_OK)
		return code;
	buf_init(&key, STORE_KEY_MAX);
	code = store_stat(table->store, delta_table_commit_key(table, &key, table->state.version),
			  &stat, err);
	buf_release(&key);
	if (code != ERR_OK && code != ERR_ABSENT) /* the log was cleaned up to its end */
		return code;
	*ret_needed = stat.modified_ms <= vacuum->looked_ms || stat.modified_ms > vacuum->wrong_ms;
	return ERR_OK;
}

static enum err_code fence_put(struct delta_table *table, const void *user, struct buf *out,
			       struct err *err)
{
	(void)table;
	(void)user;
	(void)out;
	(void)err;
	return ERR_OK;
}

/* A rebuild is begun on the last version, and a further one would void it. */
static enum err_code vacuum_fence(struct vacuum *vacuum, struct err *err)
{
	const struct delta_amendment fence = {
		.operation = "VACUUM START", .look = fence_look, .put = fence_put, .user = vacuum
	};

	if (vacuum->options->spare_from_ms)
		return fence_look(vacuum->table, vacuum, &vacuum->waits, err);
	return delta_table_amend(vacuum->table, &fence, err);
}

static bool vacuum_any(const struct vacuum *vacuum, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (vacuum->sweep.items[i].key)
			return true;
	return false;
}

/* Of these those that go. */
static enum err_code vacuum_choose(struct vacuum *vacuum, size_t from, size_t to, struct err *err)
{
	enum err_code code = read_table(vacuum, err);

	if (code != ERR_OK)
		return code;
	spare(vacuum, from, to);
	if (vacuum->fenced || vacuum->options->dry_run || !vacuum_any(vacuum, from, to))
		return ERR_OK;
	code = vacuum_fence(vacuum, err);
	vacuum->fenced = code == ERR_OK && !vacuum->waits;
	if (vacuum->fenced)
		code = read_table(vacuum, err);
	if (vacuum->fenced && code == ERR_OK)
		spare(vacuum, from, to);
	return code;
}

static enum err_code vacuum_run(struct vacuum *vacuum, struct err *err)
{
	struct delta_cleaned *cleaned = vacuum->cleaned;
	struct delta_cleaned gone = { 0 };
	size_t count;
	enum err_code code = list_files(vacuum, err);
	int sys = code == ERR_OK ? FAILPOINT("vacuum-listed") : 0;

	if (sys != 0) {
		errno = sys;
		return err_errno(err, "failpoint vacuum-listed");
	}
	count = vacuum->sweep.count;
	for (size_t from = 0; from < count && code == ERR_OK && !gone.unfinished; from += RUN) {
		size_t to = count - from < RUN ? count : from + RUN;

		code = vacuum_choose(vacuum, from, to, err);
		if (code != ERR_OK || vacuum->waits)
			break;
		code = delta_sweep_run(&vacuum->sweep, from, to, &gone, err);
	}
	cleaned->removed += gone.removed;
	cleaned->removed_bytes += gone.removed_bytes;
	cleaned->kept -= gone.removed;
	cleaned->kept_bytes -= gone.removed_bytes;
	cleaned->unfinished |= gone.unfinished;
	return code;
}

/* Files and log that are kept for less could be needed by who is at work now. */
static enum err_code find_age(struct delta_table *table, int64_t *ret_ms, struct err *err)
{
	struct delta_retention retention;
	enum err_code code = delta_retention(table, &retention, err);

	if (code != ERR_OK)
		return code;
	if (retention.files_ms < DELTA_KEEP_MIN_MS)
		return err_set(err, ERR_UNSUPPORTED,
			       "table \"%s\" keeps files for %" PRId64 " ms: for less "
			       "than a minute nothing can be cleaned up safely",
			       table->root, retention.files_ms);
	*ret_ms = retention.files_ms;
	return ERR_OK;
}

enum err_code delta_clean_files(struct delta_table *table,
				const struct delta_clean_options *options,
				struct delta_cleaned *cleaned, struct err *err)
{
	struct vacuum vacuum = {
		.table = table,
		.options = options,
		.cleaned = cleaned,
		.sweep = { .store = table->store,
			   .options = options,
			   .began_ms = clock_mono_ms(),
			   .failpoint = "vacuum-removed" },
	};
	struct err failure = { 0 };
	int64_t age_ms = 0;
	enum err_code code = delta_table_follow(table, &failure);

	/* What one does not know may need what seems to be needed by nothing. */
	if (code == ERR_OK)
		code = delta_table_check_writable(table, &failure);
	if (code == ERR_OK)
		code = find_age(table, &age_ms, &failure);
	if (code == ERR_OK) {
		int64_t now_ms = clock_age_ms();

		vacuum.before_ms = now_ms - age_ms;
		vacuum.wrong_ms = now_ms + age_ms / DELTA_AGE_SHARE;
		if (options->spare_from_ms && options->spare_from_ms < vacuum.before_ms)
			vacuum.before_ms = options->spare_from_ms;
		vacuum.looked_ms = vacuum.before_ms + age_ms / DELTA_AGE_SHARE + TIME_STEP_MS;
		code = vacuum_run(&vacuum, &failure);
	}
	delta_sweep_release(&vacuum.sweep);
	delta_actions_release(&vacuum.removed);
	delta_map_release(&vacuum.tombstones);
	if (code != ERR_OK)
		*err = failure;
	return code;
}
