/* A table's state through thousands of commits: what it holds, and what that costs. */
#include "base/mem.h"
#include "delta/delta_state.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILES = 2000, COMMITS = 5000, PATH_SIZE = 24 };

static const char *path_of(size_t n)
{
	static char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "part-%zu.parquet", n);
	return path;
}

static void apply(struct delta_state *state, size_t removed, size_t added, size_t count)
{
	struct delta_actions actions = { .data_change = true };

	if (removed != SIZE_MAX)
		delta_actions_new_remove(&actions)->path = xstrdup(path_of(removed));
	for (size_t n = added; n < added + count; n++) {
		struct delta_add *add = delta_actions_new_add(&actions);

		add->path = xstrdup(path_of(n));
		add->rows = n;
		add->size = 2 * n;
	}
	delta_state_apply(state, &actions, state->version + 1);
}

static void assert_file(const struct delta_state *state, size_t at, size_t n)
{
	size_t found = SIZE_MAX;

	assert_string_equal(state->files[at].add.path, path_of(n));
	assert_true(delta_map_get(&state->by_path, path_of(n), &found));
	assert_int_equal(found, at);
}

static size_t list_without(size_t *list, size_t count, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (list[i] != n)
			list[kept++] = list[i];
	return kept;
}

/* These files and no others, in this order. */
static void assert_files(const struct delta_state *state, size_t from, size_t to)
{
	uint64_t rows = 0;

	assert_int_equal(state->file_count, to - from);
	assert_int_equal(state->by_path.count, to - from);
	for (size_t n = from; n < to; n++) {
		assert_file(state, n - from, n);
		rows += n;
	}
	assert_int_equal(state->rows, rows);
	assert_int_equal(state->bytes, 2 * rows);
}

/* Each takes the oldest file away, behind which all others stand: to pass over all of them once a
 * commit would be ten million steps. */
static void test_each_file_is_moved_a_few_times_only(void **state)
{
	struct delta_state its;
	size_t steps = 0, before;

	(void)state;
	delta_state_init(&its, true);
	apply(&its, SIZE_MAX, 0, FILES);
	for (size_t i = 0; i < COMMITS; i++) {
		before = its.file_count;
		apply(&its, i, FILES + i, 1);
		if (its.file_count <= before)
			steps += before;
	}
	assert_in_range(steps, 1, 4 * (FILES + COMMITS));
	assert_int_equal(its.file_count - its.gap_count, FILES);
	delta_state_close_gaps(&its);
	assert_files(&its, COMMITS, COMMITS + FILES);
	assert_int_equal(its.gone_count, COMMITS);
	delta_state_release(&its);
}

/* The checkpoint's files and those since are told apart by their place. */
static void test_gaps_before_and_after_a_checkpoint(void **state)
{
	struct delta_state its;

	(void)state;
	delta_state_init(&its, true);
	apply(&its, SIZE_MAX, 0, 10);
	delta_state_checkpointed(&its, its.version, 0);
	assert_int_equal(its.new_from, 10);
	apply(&its, SIZE_MAX, 10, 10);
	for (size_t n = 0; n < 3; n++)
		apply(&its, n, 0, 0);
	delta_state_close_gaps(&its);
	assert_files(&its, 3, 20);
	assert_int_equal(its.new_from, 7);
	for (size_t n = 3; n < 12; n++)
		apply(&its, n, 0, 0);
	delta_state_close_gaps(&its);
	assert_files(&its, 12, 20);
	assert_int_equal(its.new_from, 0);
	delta_state_release(&its);
}

static void test_a_file_comes_once_more(void **state)
{
	struct delta_state its;

	(void)state;
	delta_state_init(&its, true);
	apply(&its, SIZE_MAX, 0, 5);
	apply(&its, SIZE_MAX, 0, 1); /* replaced: the last one now */
	apply(&its, 1, 1, 1);
	apply(&its, 2, 2, 1);
	apply(&its, 3, 3, 1);
	apply(&its, 4, 4, 1);
	delta_state_close_gaps(&its);
	assert_files(&its, 0, 5);
	assert_int_equal(its.gone_count, 5);
	assert_int_equal(its.gone[0].remove.deleted_ms, -1);
	delta_state_release(&its);
}

/* Commits of anything: what is live, and in which order, is as a list kept beside it has it. */
static void test_as_a_plain_list_has_it(void **state)
{
	enum { PATHS = 40, STEPS = 20000 };
	size_t live[PATHS], count = 0;
	struct delta_state its;
	uint32_t random = 7;

	(void)state;
	delta_state_init(&its, false);
	for (size_t i = 0; i < STEPS; i++) {
		size_t removed = (random = random * 1664525 + 1013904223) / 256 % PATHS;
		size_t added = (random = random * 1664525 + 1013904223) / 256 % PATHS;
		bool adds = random / 65536 % 2;

		apply(&its, removed, added, adds);
		count = list_without(live, count, removed);
		if (adds) {
			count = list_without(live, count, added);
			live[count++] = added;
		}
		if (i % 7 > 0)
			continue;
		delta_state_close_gaps(&its);
		assert_int_equal(its.file_count, count);
		for (size_t n = 0; n < count; n++)
			assert_file(&its, n, live[n]);
		delta_state_checkpointed(&its, its.version, 0);
		assert_int_equal(its.new_from, count);
	}
	delta_state_release(&its);
}

/* Keys enough to stand in each other's places, of which some go and come. */
static void test_keys_that_go(void **state)
{
	enum { KEYS = 500, STEPS = 50000 };
	static char keys[KEYS][PATH_SIZE];
	bool there[KEYS] = { false };
	struct delta_map map = { 0 };
	uint32_t random = 1;
	size_t count = 0, value = 0;

	(void)state;
	delta_map_remove(&map, "nothing");
	for (size_t k = 0; k < KEYS; k++)
		(void)snprintf(keys[k], PATH_SIZE, "%s", path_of(k));
	for (size_t i = 0; i < STEPS; i++) {
		size_t k = (random = random * 1664525 + 1013904223) / 256 % KEYS;

		if (there[k])
			delta_map_remove(&map, keys[k]);
		else
			delta_map_put(&map, keys[k], k);
		there[k] = !there[k];
		count = there[k] ? count + 1 : count - 1;
		assert_int_equal(map.count, count);
		for (k = i % 50; k < KEYS; k += 50) {
			assert_int_equal(delta_map_get(&map, keys[k], &value), there[k]);
			assert_true(!there[k] || value == k);
		}
	}
	delta_map_release(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_file_is_moved_a_few_times_only),
		cmocka_unit_test(test_gaps_before_and_after_a_checkpoint),
		cmocka_unit_test(test_a_file_comes_once_more),
		cmocka_unit_test(test_as_a_plain_list_has_it),
		cmocka_unit_test(test_keys_that_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
