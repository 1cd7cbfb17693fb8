/*
 * Commits of a Delta log, told apart by NUL bytes, applied one after the other. Whatever they say,
 * the state keeps count of itself; a path that we write is read as the same.
 */
#include "delta/delta_schema.h"
#include "delta/delta_state.h"
#include "fuzz.h"

enum { PATH_MAX_BYTES = 1 << 20 };

static struct delta_reader reader;
static struct buf text;

static void set_up(void)
{
	delta_reader_init(&reader);
	buf_init(&text, PATH_MAX_BYTES);
}

static void check_path(const char *path)
{
	struct err err = { 0 };
	char *again = NULL;

	buf_clear(&text);
	delta_put_path(&text, path);
	FUZZ_MUST(delta_path_decode(buf_slice(&text), &again, &err) == ERR_OK);
	FUZZ_MUST(strcmp(again, path) == 0);
	free(again);
}

static void check_state(const struct delta_state *state)
{
	uint64_t rows = 0, bytes = 0;

	for (size_t i = 0; i < state->file_count; i++) {
		rows += state->files[i].add.rows;
		bytes += state->files[i].add.size;
		check_path(state->files[i].add.path);
	}
	FUZZ_MUST(rows == state->rows && bytes == state->bytes);
	for (size_t i = 0; i < state->app_count; i++)
		FUZZ_MUST(delta_state_app_version(state, state->apps[i].id) ==
			  state->apps[i].version);
}

static void check_rules(const struct delta_state *state)
{
	struct err err = { 0 };

	if (!state->metadata || state->protocol.reader < 1)
		return;
	if (delta_check_readable(&state->protocol, state->metadata, &err) != ERR_OK)
		FUZZ_MUST(err.msg[0]);
	if (delta_check_writable(&state->protocol, state->metadata, NULL, reader.line, &err) !=
	    ERR_OK)
		FUZZ_MUST(err.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice rest = slice_of(data, len);
	struct delta_state state;
	int64_t version = 0;

	if (!reader.line)
		set_up();
	delta_state_init(&state, true);
	while (rest.len > 0) {
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
	check_state(&state);
	check_rules(&state);
	delta_state_release(&state);
	return 0;
}
