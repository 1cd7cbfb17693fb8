/*
 * A Delta table with checkpoints: what lies in _delta_log is opened, or refused with a reason. The
 * state keeps count of itself, and `_last_checkpoint` is a hint: without it the table is the same.
 * An older version is the one that was asked for, or no younger than the time that was; what is
 * told of its commits is told in their order. A clean-up of the log, where all of it is old, leaves
 * the table as it is.
 * DuckDB, which reads a checkpoint's Parquet, is fake_duck.h: what is tried is what our code makes
 * of rows, not whether DuckDB reads files.
 *
 *	input	a byte: whether the table is written (its lowest bit), and the older version that
 *		is asked for; then files, one after the other
 *	file	a byte for the kind, one for the version (which a hint has not), and the content:
 *		up to a NUL byte; of a checkpoint two bytes of length and so many bytes
 */
#include "aging_store.h"
#include "base/trace.h"
#include "delta/delta_clean.h"
#include "delta/delta_history.h"
#include "delta/delta_retention.h"
#include "delta/delta_table.h"
#include "delta_check.h"

#include <inttypes.h>

enum { FILES_MAX = 16, VERSIONS = 24, EVENTS_MAX = 8, HOUR_MS = 3600000 };

enum kind { KIND_COMMIT, KIND_COMMIT_TOO, KIND_CHECKPOINT, KIND_HINT, KIND_COUNT };

#define LOG "t/_delta_log/"

static const struct delta_column columns[] = { { "a", DELTA_LONG }, { "b", DELTA_STRING } };
static const struct delta_schema schema = { columns, ARRAY_LEN(columns) };
static const int64_t age_ms = INT64_C(40) * 24 * HOUR_MS; /* more than a log is kept for */
static struct buf text;

/* What an open table is. */
struct seen {
	enum err_code code;
	int64_t version;
	size_t files;
	size_t apps;
	uint64_t rows;
	uint64_t bytes;
};

/* One that is taken for near, of which no thread reads ahead: an input does the same each time. */
static bool near_can(struct store *store, enum store_ability ability)
{
	return ability == STORE_CAN_FETCH_FREE || store_layer_can(store, ability);
}

static struct store *near_new(void)
{
	static struct store_ops near_ops;
	struct store *store = aging_new();

	near_ops = aging_ops;
	near_ops.can = near_can;
	store->ops = &near_ops;
	aging(store)->age_ms = age_ms;
	aging(store)->below = VERSIONS;
	return store;
}

static void put(struct store *store, const char *key, struct slice bytes)
{
	struct err err = { 0 };

	FUZZ_MUST(store_put(store, key, bytes, STORE_REPLACE, &err) == ERR_OK);
}

static struct slice take(struct slice *input, size_t len)
{
	struct slice taken = slice_of(input->ptr, len < input->len ? len : input->len);

	*input = slice_from(*input, taken.len);
	return taken;
}

static struct slice take_text(struct slice *input)
{
	const char *end = memchr(input->ptr, '\0', input->len);
	struct slice taken = take(input, end ? (size_t)(end - input->ptr) : input->len);

	(void)fuzz_take(input);
	return taken;
}

/* Mostly one of few; some are the largest that a name can hold. */
static void put_version(char *name, size_t size, uint8_t how, const char *rest)
{
	static const char *const large[] = {
		"09223372036854775807", "09999999999999999999", "00999999999999999999",
		"10000000000000000000",
	};

	if (how < 256 - ARRAY_LEN(large))
		(void)snprintf(name, size, LOG "%020d%s", how % VERSIONS, rest);
	else
		(void)snprintf(name, size, LOG "%s%s", large[255 - how], rest);
}

static void put_checkpoint(struct store *store, struct slice *input, uint8_t kind)
{
	uint8_t version = fuzz_take(input);
	size_t len = fuzz_take(input);
	char name[128];

	len |= (size_t)fuzz_take(input) << 8;
	put_version(name, sizeof(name), version,
		    kind < 248 ? ".checkpoint.parquet"
			       : ".checkpoint.0000000001.0000000002.parquet");
	put(store, name, take(input, len));
}

static void put_file(struct store *store, struct slice *input)
{
	uint8_t kind = fuzz_take(input);
	char name[128];

	switch ((enum kind)(kind % KIND_COUNT)) {
	case KIND_CHECKPOINT:
		put_checkpoint(store, input, kind);
		break;
	case KIND_HINT:
		put(store, LOG "_last_checkpoint", take_text(input));
		break;
	default:
		put_version(name, sizeof(name), fuzz_take(input), ".json");
		put(store, name, take_text(input));
	}
}

/* How long it keeps things is a time, or it is said why none. */
static void check_retention(const struct delta_table *table)
{
	struct delta_retention retention;
	struct err err = { 0 };
	int64_t files_ms = delta_retention_files_ms(table->state.metadata);

	if (delta_retention(table, &retention, &err) != ERR_OK)
		FUZZ_MUST(err.msg[0]);
	else
		FUZZ_MUST(retention.files_ms == files_ms && files_ms >= 0 && retention.log_ms >= 0);
}

static struct seen open_table(struct store *store, const struct delta_options *options)
{
	struct delta_table *table = NULL;
	struct err err = { 0 };
	struct seen seen = { .code = delta_open(store, "t", options, &table, &err) };

	if (seen.code != ERR_OK) {
		FUZZ_MUST(err.msg[0] && err.code == seen.code);
		return seen;
	}
	delta_check_state(&table->state, &text);
	check_retention(table);
	seen.version = delta_version(table);
	seen.files = delta_file_count(table);
	seen.apps = table->state.app_count;
	seen.rows = delta_rows(table);
	seen.bytes = table->state.bytes;
	FUZZ_MUST(seen.version >= 0 && table->state.checkpoint <= seen.version);
	FUZZ_MUST(delta_refresh(table, &err) == ERR_OK && delta_version(table) == seen.version);
	delta_close(table);
	return seen;
}

static bool seen_same(const struct seen *seen, const struct seen *other)
{
	return (seen->code == ERR_OK) == (other->code == ERR_OK) &&
	       seen->version == other->version && seen->files == other->files &&
	       seen->apps == other->apps && seen->rows == other->rows &&
	       seen->bytes == other->bytes;
}

static void check_hint(struct store *store, const struct seen *with)
{
	struct delta_options reader = { 0 };
	struct err err = { 0 };
	struct seen without;

	FUZZ_MUST(store_remove(store, LOG "_last_checkpoint", &err) == ERR_OK);
	without = open_table(store, &reader);
	FUZZ_MUST(seen_same(with, &without));
}

static void check_version(struct store *store, int64_t version, const struct seen *newest)
{
	struct delta_options reader = { .at = { DELTA_AT_VERSION, version } };
	struct seen seen = open_table(store, &reader);

	FUZZ_MUST(seen.code != ERR_OK || seen.version == version);
	if (newest->code == ERR_OK && version == newest->version)
		FUZZ_MUST(seen_same(&seen, newest));
}

static int64_t time_of(struct store *store, int64_t version)
{
	struct delta_options reader = { 0 };
	struct delta_table *table = delta_table_new(store, "t", &reader);
	struct err err;
	int64_t time_ms = 0;

	if (delta_table_time_of(table, version, &time_ms, &err) != ERR_OK)
		FUZZ_MUST(time_ms == 0 && err.msg[0]);
	delta_close(table);
	return time_ms;
}

static void check_time(struct store *store, int64_t version)
{
	struct delta_options reader = { .at = { DELTA_AT_TIME, time_of(store, version) } };
	struct seen seen = open_table(store, &reader);

	if (seen.code == ERR_OK)
		FUZZ_MUST(time_of(store, seen.version) <= reader.at.value);
}

static void check_history(struct store *store)
{
	struct delta_event *events = NULL;
	size_t count = 0;
	struct err err = { 0 };

	if (delta_history(store, "t", EVENTS_MAX, &events, &count, &err) != ERR_OK)
		FUZZ_MUST(err.msg[0] && !events);
	FUZZ_MUST(count <= EVENTS_MAX);
	for (size_t i = 0; events && i + 1 < count; i++)
		FUZZ_MUST(events[i].version == events[i + 1].version + 1);
	free(events);
}

/* As who writes a checkpoint does; without it no clean-up begins. */
static void put_hint(struct store *store, int64_t checkpoint)
{
	char hint[64];

	(void)snprintf(hint, sizeof(hint), "{\"version\":%" PRId64 ",\"size\":1}", checkpoint);
	put(store, LOG "_last_checkpoint", slice_str(hint));
}

static void clean(struct store *store)
{
	const struct delta_clean_options all = { 0 };
	struct delta_options options = { 0 };
	struct delta_cleaned cleaned = { 0 };
	struct delta_table *table = NULL;
	struct err err = { 0 };

	if (delta_open(store, "t", &options, &table, &err) != ERR_OK)
		return;
	if (table->state.checkpoint >= 0)
		put_hint(store, table->state.checkpoint);
	if (delta_clean_log(table, &all, &cleaned, &err) != ERR_OK)
		FUZZ_MUST(err.msg[0]);
	delta_close(table);
}

/* Then the table is made, or it is one that may be written, or not. */
static void check_writing(struct store *store)
{
	struct delta_options reader = { 0 }, writer = { .create = &schema,
							.keep_files_ms = HOUR_MS,
							.keep_log_ms = HOUR_MS };
	struct seen before, after;

	(void)open_table(store, &writer);
	before = open_table(store, &reader);
	clean(store);
	after = open_table(store, &reader);
	FUZZ_MUST(seen_same(&before, &after));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice input = slice_of(data, len);
	struct delta_options reader = { 0 };
	struct store *store = near_new();
	uint8_t how = fuzz_take(&input);
	int64_t version = (how >> 1) % VERSIONS;
	struct seen seen;

	if (text.max == 0) {
		trace_init(TRACE_ERROR, TRACE_TEXT,
			   "fuzz"); /* a checkpoint that is passed over is a warning */
		buf_init(&text, DELTA_PATH_TEXT_MAX);
	}
	for (int i = 0; i < FILES_MAX && input.len > 0; i++)
		put_file(store, &input);
	seen = open_table(store, &reader);
	check_version(store, version, &seen);
	check_time(store, version);
	check_history(store);
	check_hint(store, &seen);
	if (seen.code == ERR_OK)
		check_version(store, seen.version, &seen);
	if (how & 1)
		check_writing(store);
	store_free(store);
	return 0;
}
