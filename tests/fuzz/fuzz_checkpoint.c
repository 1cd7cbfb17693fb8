/*
 * A Delta table with checkpoints: what lies in _delta_log is opened, or refused with a reason. The
 * state keeps count of itself, and `_last_checkpoint` is a hint: without it the table is the same.
 * DuckDB, which reads a checkpoint's Parquet, is fake_duck.h: what is tried is what our code makes
 * of rows, not whether DuckDB reads files.
 *
 *	input	files, one after the other: a byte for the kind, one for the version (which a
 *		hint has not), and the content: up to a NUL byte; of a checkpoint two bytes of
 *		length and so many bytes
 */
#include "backends/backends.h"
#include "base/trace.h"
#include "delta/delta_table.h"
#include "delta_check.h"

#include <inttypes.h>

enum { STORE_BYTES_MAX = 1 << 20, FILES_MAX = 16, VERSIONS = 24 };

enum kind { KIND_COMMIT, KIND_COMMIT_TOO, KIND_CHECKPOINT, KIND_HINT, KIND_COUNT };

#define LOG "t/_delta_log/"

static const struct delta_column columns[] = { { "a", DELTA_LONG }, { "b", DELTA_STRING } };
static const struct delta_schema schema = { columns, ARRAY_LEN(columns) };
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
	put_version(name, sizeof(name), version, kind < 248 ? ".checkpoint.parquet"
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

static void check_hint(struct store *store, const struct seen *with)
{
	struct delta_options reader = { 0 };
	struct err err = { 0 };
	struct seen without;

	FUZZ_MUST(store_remove(store, LOG "_last_checkpoint", &err) == ERR_OK);
	without = open_table(store, &reader);
	FUZZ_MUST((without.code == ERR_OK) == (with->code == ERR_OK));
	FUZZ_MUST(without.version == with->version && without.files == with->files &&
		  without.apps == with->apps && without.rows == with->rows &&
		  without.bytes == with->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice input = slice_of(data, len);
	struct delta_options reader = { 0 }, writer = { .create = &schema };
	struct store *store = store_memory_new(STORE_BYTES_MAX);
	bool write = fuzz_take(&input) & 1;
	struct seen seen;

	if (text.max == 0) {
		trace_init(TRACE_ERROR, "fuzz");	/* a checkpoint that is passed over is a warning */
		buf_init(&text, DELTA_PATH_TEXT_MAX);
	}
	for (int i = 0; i < FILES_MAX && input.len > 0; i++)
		put_file(store, &input);
	seen = open_table(store, &reader);
	check_hint(store, &seen);
	if (write)	/* the table is made, or it is one that may be written, or not */
		(void)open_table(store, &writer);
	store_free(store);
	return 0;
}
