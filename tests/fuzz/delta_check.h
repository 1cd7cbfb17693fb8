/* delta_check.h - what holds for every state of a Delta table, whatever led to it. */
#ifndef TESTS_FUZZ_DELTA_CHECK_H
#define TESTS_FUZZ_DELTA_CHECK_H

#include "delta/delta_state.h"
#include "fuzz.h"

enum { DELTA_PATH_TEXT_MAX = 1 << 20 };

/* A path that we write is read as the same. */
static inline void delta_check_path(struct buf *text, const char *path)
{
	struct err err = { 0 };
	char *again = NULL;

	buf_clear(text);
	delta_put_path(text, path);
	FUZZ_MUST(delta_path_decode(buf_slice(text), &again, &err) == ERR_OK);
	FUZZ_MUST(strcmp(again, path) == 0);
	free(again);
}

/* The state has kept count of itself. `text` is room to write in. */
static inline void delta_check_state(const struct delta_state *state, struct buf *text)
{
	uint64_t rows = 0, bytes = 0;

	for (size_t i = 0; i < state->file_count; i++) {
		rows += state->files[i].add.rows;
		bytes += state->files[i].add.size;
		delta_check_path(text, state->files[i].add.path);
	}
	FUZZ_MUST(rows == state->rows && bytes == state->bytes);
	for (size_t i = 0; i < state->app_count; i++)
		FUZZ_MUST(delta_state_app_version(state, state->apps[i].id) ==
			  state->apps[i].version);
}

#endif
