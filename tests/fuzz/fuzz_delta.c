/*
 * Commits of a Delta log, told apart by NUL bytes, applied one after the other. Whatever they say,
 * the state keeps count of itself; a path that we write is read as the same.
 */
#include "delta/delta_schema.h"
#include "delta_check.h"

enum { COMMITS_MAX = 16 };	/* a row of NUL bytes would be thousands */

static struct delta_reader reader;
static struct buf text;

static void set_up(void)
{
	delta_reader_init(&reader);
	buf_init(&text, DELTA_PATH_TEXT_MAX);
}

static const struct delta_column wanted_columns[] = {
	{ "ind", DELTA_INTEGER }, { "added", DELTA_TIMESTAMP }, { "coordinates", DELTA_ARRAY_DOUBLE },
};
static const struct delta_schema wanted = { wanted_columns, ARRAY_LEN(wanted_columns) };

/* A schema that may get our columns has just those then. */
static void check_columns(const struct delta_metadata *metadata)
{
	struct delta_metadata merged = *metadata;
	struct delta_difference difference;
	struct err err = { 0 };
	struct buf schema;

	if (delta_schema_compare(metadata, &wanted, reader.line, &difference, &err) != ERR_OK) {
		FUZZ_MUST(err.msg[0]);
		return;
	}
	FUZZ_MUST((difference.change == DELTA_SAME) == !difference.says[0]);
	buf_init(&schema, 1 << 20);
	FUZZ_MUST(delta_schema_merge(&schema, metadata, &wanted, reader.line, &err) == ERR_OK);
	(void)buf_cstr(&schema);
	merged.schema = schema.ptr;
	FUZZ_MUST(delta_schema_compare(&merged, &wanted, reader.line, &difference, &err) == ERR_OK);
	FUZZ_MUST(difference.change == DELTA_SAME);
	buf_release(&schema);
}

/* Columns that are taken for the table's own are just those. */
static void check_own_columns(const struct delta_metadata *metadata)
{
	struct delta_difference difference;
	struct delta_schema own;
	struct err err = { 0 };

	if (delta_schema_read(metadata, reader.line, &own, &err) != ERR_OK) {
		FUZZ_MUST(err.msg[0]);
		return;
	}
	FUZZ_MUST(delta_schema_compare(metadata, &own, reader.line, &difference, &err) == ERR_OK);
	FUZZ_MUST(difference.change == DELTA_SAME);
	delta_schema_release(&own);
}

static void check_rules(const struct delta_state *state)
{
	struct err err = { 0 };

	if (!state->metadata || state->protocol.reader < 1)
		return;
	if (delta_check_readable(&state->protocol, state->metadata, &err) != ERR_OK)
		FUZZ_MUST(err.msg[0]);
	if (delta_check_writable(&state->protocol, state->metadata, reader.line, &err) != ERR_OK) {
		FUZZ_MUST(err.msg[0]);
		return;
	}
	check_columns(state->metadata);
	check_own_columns(state->metadata);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice rest = slice_of(data, len);
	struct delta_state state;
	int64_t version = 0;

	if (!reader.line)
		set_up();
	delta_state_init(&state, true);
	for (int i = 0; i < COMMITS_MAX && rest.len > 0; i++) {
		const char *end = memchr(rest.ptr, '\0', rest.len);
		struct slice commit = slice_of(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len);
		struct delta_actions actions;
		struct err err = { 0 };

		rest = slice_from(rest, commit.len + (end != NULL));
		if (delta_reader_parse(&reader, commit, &actions, &err) == ERR_OK) {
			delta_state_apply(&state, &actions, version++);
			delta_actions_release(&actions);
		} else {
			FUZZ_MUST(err.msg[0]);
		}
	}
	delta_state_close_gaps(&state);
	delta_check_state(&state, &text);
	check_rules(&state);
	delta_state_release(&state);
	return 0;
}
