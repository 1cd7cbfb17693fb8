/*
 * delta_checkpoint.c - checkpoints in the store, and when to write one.
 *
 * A checkpoint costs as much as the table has files, so its interval grows with
 * them: a hundredth of the files, at least the interval of the options and at
 * most ten times that. So its share of a commit stays level up to ten thousand
 * files, and a reader never replays more than a hundred commits.
 */
#include "base/failpoint.h"
#include "base/time.h"
#include "base/trace.h"
#include "delta/delta_parquet.h"
#include "delta/delta_table.h"

#include <errno.h>
#include <inttypes.h>

enum { DUCK_BYTES_MAX = 512 << 20, FILES_A_COMMIT = 100, INTERVAL_TIMES_MAX = 10 };

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
int64_t delta_checkpoint_last(struct delta_table *table)
{
	int64_t version = -1;
	struct err ignored;
	struct json root;
	struct json value;
	struct buf key;

	buf_init(&key, STORE_KEY_MAX);
	buf_clear(&table->text);
	if (store_get(table->store, last_key(table, &key), 0, UINT64_MAX, &table->text,
		      &ignored) == ERR_OK &&
	    json_parse(table->reader.line, buf_slice(&table->text), &root, &ignored) == ERR_OK &&
	    json_type(root) == JSON_OBJECT && json_member(root, "version", &value))
		(void)json_get_i64(value, &version);
	buf_release(&key);
	return version;
}

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
		code = delta_parquet_make(&table->duck, state, &base, clock_wall_ms(), out,
					  ret_actions, err);
	buf_release(&base.bytes);
	return code;
}

static enum err_code write_checkpoint(struct delta_table *table, struct err *err)
{
	uint64_t actions = 0;
	struct buf bytes;
	enum err_code code;

	buf_init(&bytes, CHECKPOINT_BYTES_MAX);
	code = delta_checkpoint_make(table, &bytes, &actions, err);
	if (code == ERR_OK)
		code = delta_checkpoint_put(table, buf_slice(&bytes), err);
	if (code == ERR_OK) {
		delta_state_checkpointed(&table->state, 0);
		code = put_last(table, actions, bytes.len, err);
	}
	buf_release(&bytes);
	return code;
}

static bool delta_checkpoint_due(const struct delta_table *table)
{
	const struct delta_state *state = &table->state;
	int64_t least = table->checkpoint_interval;
	int64_t interval = (int64_t)state->file_count / FILES_A_COMMIT;

	if (interval < least)
		interval = least;
	if (interval > least * INTERVAL_TIMES_MAX)
		interval = least * INTERVAL_TIMES_MAX;
	return table->checkpoints && state->version >= table->checkpoint_not_before &&
		state->version - (state->checkpoint > 0 ? state->checkpoint : 0) >= interval;
}

void delta_checkpoint_if_due(struct delta_table *table)
{
	struct err err = { 0 };

	if (!delta_checkpoint_due(table) || write_checkpoint(table, &err) == ERR_OK)
		return;
	trace_warn("no checkpoint %" PRId64 " of table \"%s\": %s", table->state.version,
		   table->root, err.msg);
	table->checkpoint_not_before = table->state.version + table->checkpoint_interval;
}
