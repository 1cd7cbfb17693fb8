/*
 * delta_checkpoint.c - checkpoints in the store, and when to write one.
 *
 * A checkpoint costs as much as the table has files and tombstones, so its
 * interval grows with them: a commit each FILES_A_COMMIT of them, at least the
 * interval of the options (or the table's own, delta.checkpointInterval). So its
 * share of a commit is the same whatever the table's size.
 *
 * Several processes write a table, and one of them, which has the time, is to
 * write its checkpoints: the others wait until they are a few times overdue, and
 * look first whether there is a newer one than they know.
 */
#include "base/failpoint.h"
#include "base/time.h"
#include "base/trace.h"
#include "delta/delta_parquet.h"
#include "delta/delta_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
	DUCK_BYTES_MAX = 512 << 20,
	FILES_A_COMMIT = 100,
	INTERVAL_MAX = 1 << 20,
	REST_COMMITS = 10,
	REST_SHARE = 5,
};

/* What `_last_checkpoint` says. */
struct delta_last {
	int64_t version; /* -1: nothing */
	int64_t parts;
	int64_t actions, adds; /* -1: not given */
};

static const char *last_key(const struct delta_table *table, struct buf *out)
{
	buf_clear(out);
	buf_addf(out, "%s/_delta_log/_last_checkpoint", table->root);
	return buf_cstr(out);
}

const char *delta_checkpoint_key(const struct delta_table *table, struct buf *out, int64_t version)
{
	buf_clear(out);
	buf_addf(out, "%s/_delta_log/%020" PRId64 ".checkpoint.parquet", table->root, version);
	return buf_cstr(out);
}

/*
 * The file is a hint that others write, too: whatever is wrong with it, the
 * listing of the log tells as well.
 */
static struct delta_last read_last(struct delta_table *table)
{
	struct delta_last last = { .version = -1, .actions = -1, .adds = -1 };
	const struct {
		const char *name;
		int64_t *number;
	} members[] = { { "version", &last.version },
			{ "parts", &last.parts },
			{ "size", &last.actions },
			{ "numOfAddFiles", &last.adds } };
	struct err ignored;
	struct json root;
	struct json value;
	struct buf key;

	buf_init(&key, STORE_KEY_MAX);
	buf_clear(&table->text);
	if (store_get(table->store, last_key(table, &key), 0, UINT64_MAX, &table->text, &ignored) ==
		    ERR_OK &&
	    json_parse(table->reader.line, buf_slice(&table->text), &root, &ignored) == ERR_OK &&
	    json_type(root) == JSON_OBJECT)
		for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
			if (json_member(root, members[i].name, &value))
				(void)json_get_i64(value, members[i].number);
	buf_release(&key);
	return last;
}

int64_t delta_checkpoint_last(struct delta_table *table) { return read_last(table).version; }

static enum err_code open_duck(struct delta_table *table, struct err *err)
{
	struct duck_options options = { .memory_bytes_max = DUCK_BYTES_MAX, .threads = 1 };

	return table->duck.db ? ERR_OK : duck_open(&options, &table->duck, err);
}

/* Part `part`, from 1 on, of `parts`. */
static const char *part_key(const struct delta_table *table, struct buf *out, int64_t version,
			    uint32_t part, uint32_t parts)
{
	if (parts == 0)
		return delta_checkpoint_key(table, out, version);
	buf_clear(out);
	buf_addf(out, "%s/_delta_log/%020" PRId64 ".checkpoint.%010" PRIu32 ".%010" PRIu32 ".parquet",
		 table->root, version, part, parts);
	return buf_cstr(out);
}

/* To be released, whatever comes of it. */
static enum err_code delta_checkpoint_get(struct delta_table *table, int64_t version,
					  uint32_t parts, struct delta_parquet *parquet,
					  struct err *err)
{
	struct buf key;
	enum err_code code = ERR_OK;

	buf_init(&key, STORE_KEY_MAX);
	for (uint32_t part = 1; code == ERR_OK && part <= (parts ? parts : 1); part++) {
		code = store_get(table->store, part_key(table, &key, version, part, parts), 0,
				 UINT64_MAX, &parquet->bytes, err);
		parquet->ends[parquet->parts++] = parquet->bytes.len;
	}
	if (code == ERR_ABSENT)
		err->code = code = ERR_CORRUPT;
	buf_release(&key);
	return code;
}

enum err_code delta_checkpoint_read(struct delta_table *table, int64_t version, uint32_t parts,
				    struct delta_actions *ret_actions, struct err *err)
{
	struct delta_parquet parquet = { 0 };
	enum err_code code;

	buf_init(&parquet.bytes, CHECKPOINT_BYTES_MAX);
	code = delta_checkpoint_get(table, version, parts, &parquet, err);
	if (code == ERR_OK)
		code = open_duck(table, err);
	if (code == ERR_OK)
		code = delta_parquet_read(&table->duck, &parquet, &table->reader, ret_actions, err);
	buf_release(&parquet.bytes);
	if (code != ERR_OK)
		(void)err_prefix(err, "checkpoint %" PRId64 " of table \"%s\"", version,
				 table->root);
	return code;
}

enum err_code delta_checkpoint_tombstones(struct delta_table *table, int64_t after_ms,
					  struct delta_actions *actions, struct err *err)
{
	const struct delta_state *state = &table->state;
	struct delta_parquet parquet = { 0 };
	enum err_code code;

	if (state->checkpoint < 0)
		return ERR_OK;
	buf_init(&parquet.bytes, CHECKPOINT_BYTES_MAX);
	code = delta_checkpoint_get(table, state->checkpoint, state->checkpoint_parts, &parquet,
				    err);
	if (code == ERR_OK)
		code = open_duck(table, err);
	if (code == ERR_OK)
		code = delta_parquet_tombstones(&table->duck, &parquet, after_ms, actions, err);
	buf_release(&parquet.bytes);
	return code;
}

/* A failpoint's errno as an error. */
static enum err_code delta_checkpoint_act(int sys, const char *name, struct err *err)
{
	if (sys == 0)
		return ERR_OK;
	errno = sys;
	return err_errno(err, "failpoint %s", name);
}

static bool see_any(void *user, const struct store_entry *entry)
{
	(void)entry;
	*(bool *)user = true;
	return false;
}

/* Is a checkpoint of this version there, of whatever kind? If that cannot be told, it may be. */
static bool checkpoint_there(struct delta_table *table, int64_t version)
{
	bool there = false;
	struct err ignored;
	struct buf key;

	buf_init(&key, STORE_KEY_MAX);
	buf_addf(&key, "%s/_delta_log/%020" PRId64 ".checkpoint.", table->root, version);
	if (store_list_some(table->store, buf_cstr(&key), "", 1, see_any, &there, &ignored) !=
	    ERR_OK)
		there = true;
	buf_release(&key);
	return there;
}

/* Never moved backwards, as far as one can without a lock: it is a hint. One that leads nowhere is
 * replaced, so that not every opening has to find that out. */
static enum err_code put_last(struct delta_table *table, uint64_t actions, size_t bytes,
			      struct err *err)
{
	const struct delta_state *state = &table->state;
	enum err_code code;
	struct buf key;
	struct buf text;
	int64_t last;

	last = delta_checkpoint_last(table);
	if (last >= state->version && checkpoint_there(table, last))
		return ERR_OK;
	buf_init(&key, STORE_KEY_MAX);
	buf_init(&text, 512);
	buf_addf(&text, "{\"version\":%" PRId64 ",\"size\":%" PRIu64 ",\"sizeInBytes\":%zu,"
		 "\"numOfAddFiles\":%zu}", state->version, actions, bytes, state->file_count);
	code = store_put(table->store, last_key(table, &key), buf_slice(&text), STORE_REPLACE, err);
	if (code == ERR_OK)
		code = delta_checkpoint_act(FAILPOINT("delta-last-checkpoint"),
					    "delta-last-checkpoint", err);
	buf_release(&key);
	buf_release(&text);
	return code;
}

/* Another writer's checkpoint of the same version has the same content. */
static enum err_code delta_checkpoint_put(struct delta_table *table, struct slice bytes,
					  struct err *err)
{
	struct buf key;
	enum err_code code;

	buf_init(&key, STORE_KEY_MAX);
	code = store_put(table->store, delta_checkpoint_key(table, &key, table->state.version),
			 bytes, STORE_CREATE, err);
	buf_release(&key);
	if (code != ERR_OK && code != ERR_EXISTS)
		return code;
	return delta_checkpoint_act(FAILPOINT("delta-checkpoint-written"),
				    "delta-checkpoint-written", err);
}

static enum err_code delta_checkpoint_make(struct delta_table *table, struct buf *out,
					   uint64_t *ret_actions, struct err *err)
{
	const struct delta_state *state = &table->state;
	struct delta_parquet base = { 0 };
	enum err_code code = ERR_OK;

	buf_init(&base.bytes, CHECKPOINT_BYTES_MAX);
	if (state->checkpoint >= 0)
		code = delta_checkpoint_get(table, state->checkpoint, state->checkpoint_parts,
					    &base, err);
	if (code == ERR_OK)
		code = open_duck(table, err);
	if (code == ERR_OK)
		code = delta_parquet_make(&table->duck, state, &base, clock_age_ms(), out,
					  ret_actions, err);
	buf_release(&base.bytes);
	return code;
}

static enum err_code write_checkpoint(struct delta_table *table, struct err *err)
{
	struct delta_state *state = &table->state;
	uint64_t actions = 0;
	struct buf bytes;
	enum err_code code;

	buf_init(&bytes, CHECKPOINT_BYTES_MAX);
	code = delta_checkpoint_make(table, &bytes, &actions, err);
	if (code != ERR_OK && state->checkpoint >= 0) {
		/* The one it is made from was cleaned up, or is none. */
		buf_clear(&bytes);
		code = delta_table_reload(table, err);
		if (code == ERR_OK)
			code = delta_checkpoint_make(table, &bytes, &actions, err);
	}
	if (code == ERR_OK)
		code = delta_checkpoint_put(table, buf_slice(&bytes), err);
	if (code == ERR_OK) {
		delta_state_checkpointed(state, state->version, 0);
		state->tombstones = actions - state->file_count - state->app_count - 2;
		code = put_last(table, actions, bytes.len, err);
	}
	buf_release(&bytes);
	return code;
}

/* Another process may have written one that this one knows nothing of. */
static void adopt_newer(struct delta_table *table)
{
	struct delta_last last = read_last(table);
	struct delta_state *state = &table->state;
	struct err ignored;
	struct buf key;
	uint64_t size;

	if (last.version <= state->checkpoint || last.version > state->version || last.parts != 0)
		return;
	buf_init(&key, STORE_KEY_MAX);
	if (store_size(table->store, delta_checkpoint_key(table, &key, last.version), &size,
		       &ignored) == ERR_OK) {
		delta_state_checkpointed(state, last.version, 0);
		if (last.actions >= last.adds && last.adds >= 0)
			state->tombstones = (uint64_t)(last.actions - last.adds);
	}
	buf_release(&key);
}

static int64_t checkpoint_interval(const struct delta_table *table)
{
	const struct delta_state *state = &table->state;
	const char *its = delta_setting(state->metadata, "delta.checkpointInterval");
	uint64_t entries = state->file_count + state->gone_count + state->tombstones;
	int64_t interval = (int64_t)(entries / FILES_A_COMMIT);
	int64_t least = its ? strtoll(its, NULL, 10) : 0;

	if (least < 1 || least > INTERVAL_MAX)
		least = table->checkpoint_interval;
	return interval > least ? interval : least;
}

static bool checkpoint_is_due(const struct delta_table *table, int64_t commits)
{
	const struct delta_state *state = &table->state;

	return table->checkpoints && state->version >= table->checkpoint_not_before &&
	       state->version - (state->checkpoint > 0 ? state->checkpoint : 0) >= commits;
}

/* Where `commits` have come since the newest one. */
static void checkpoint_after(struct delta_table *table, int64_t commits)
{
	struct err err = { 0 };

	if (!checkpoint_is_due(table, commits))
		return;
	adopt_newer(table);
	if (!checkpoint_is_due(table, commits) || write_checkpoint(table, &err) == ERR_OK)
		return;
	trace_warn("no checkpoint %" PRId64 " of table \"%s\": %s", table->state.version,
		   table->root, err.msg);
	table->checkpoint_not_before = table->state.version + table->checkpoint_interval;
}

void delta_checkpoint_if_due(struct delta_table *table, uint32_t times)
{
	checkpoint_after(table, checkpoint_interval(table) * times);
}

void delta_checkpoint_at_rest(struct delta_table *table)
{
	int64_t share = checkpoint_interval(table) / REST_SHARE;

	checkpoint_after(table, share > REST_COMMITS ? share : REST_COMMITS);
}
