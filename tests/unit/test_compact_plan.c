/* Which files become one next, and what a day of small commits costs by it. */
#include "base/mem.h"
#include "flow/compact_plan.h"
#include "testing.h"

enum { ROOM = 400000, KB = 1 << 10, MB = 1 << 20 };

static const struct compact_policy policy = { .target_bytes = 128 * MB };

/* The live files of a table, in the order they were added. */
struct files {
	uint64_t *sizes;
	size_t count;
	uint64_t written; /* by merges, in bytes */
	size_t merges;
	size_t most; /* files there were at once */
};

static struct files files_new(void)
{
	return (struct files){ .sizes = xcalloc(ROOM, sizeof(uint64_t)) };
}

static void add(struct files *files, uint64_t size)
{
	files->sizes[files->count++] = size;
	files->most = files->count > files->most ? files->count : files->most;
}

static void add_many(struct files *files, size_t count, uint64_t size)
{
	for (size_t i = 0; i < count; i++)
		add(files, size);
}

/* One merge, whose file has so much of the bytes that it was made of. */
static size_t merge(struct files *files, const struct compact_policy *by, double kept)
{
	static size_t chosen[COMPACT_FILES_MAX];
	size_t count = compact_plan(by, files->sizes, files->count, chosen);
	size_t to = 0, next = 0;
	uint64_t bytes = 0;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < files->count; i++) {
		if (next < count && chosen[next] == i) {
			bytes += files->sizes[i];
			next++;
		} else {
			files->sizes[to++] = files->sizes[i];
		}
	}
	assert_int_equal(next, count); /* ascending, and each once */
	assert_in_range(bytes, 0, by->target_bytes);
	files->count = to;
	files->written += (uint64_t)((double)bytes * kept);
	files->merges++;
	add(files, (uint64_t)((double)bytes * kept));
	return count;
}

static void test_a_day_of_small_commits(void **state)
{
	static const double kept[] = { 1, 0.8, 0.5 };
	const uint64_t commits = 345600, size = 20 * KB;

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kept); k++) {
		struct files files = files_new();
		double amplification;

		for (uint64_t i = 0; i < commits; i++) {
			add(&files, size);
			while (merge(&files, &policy, kept[k]))
				;
		}
		amplification = (double)files.written / (double)(commits * size);
		print_message("%.0f %% kept: %.2f times the bytes, %zu files in the end, %zu at "
			      "most, %zu merges\n",
			      kept[k] * 100, amplification, files.count, files.most, files.merges);
		assert_true(amplification < 4.5);
		assert_in_range(files.most, 1, 100);
		free(files.sizes);
	}
}

/* The original's emulator by itself: a post a second, and a file of a row that is mostly its
 * footer. */
static void test_a_night_of_single_rows(void **state)
{
	struct files files = files_new();

	(void)state;
	for (int i = 0; i < 30000; i++) {
		add(&files, 4500);
		while (merge(&files, &policy, 0.1))
			;
	}
	assert_in_range(files.most, 1, 40);
	assert_true((double)files.written / (30000 * 4500.0) < 1.5);
	free(files.sizes);
}

/* Nobody merged for a day: what is far behind is caught up with by few merges, each of a bounded
 * number of files. */
static void test_a_table_that_was_left_alone(void **state)
{
	struct files files = files_new();
	size_t count, most = 0;

	(void)state;
	add_many(&files, 345600, 20 * KB);
	while ((count = merge(&files, &policy, 1)) > 0)
		most = count > most ? count : most;
	assert_int_equal(most, COMPACT_FILES_MAX);
	assert_in_range(files.merges, 1, 450);
	assert_in_range(files.count, 1, 80);
	free(files.sizes);
}

static void test_few_files_are_left_alone(void **state)
{
	struct files files = files_new();

	(void)state;
	add_many(&files, 9, 20 * KB);
	add_many(&files, 8, 200 * KB);
	add_many(&files, 100, 64 * MB); /* half of the target: done */
	add_many(&files, 3, 300 * MB);
	assert_int_equal(merge(&files, &policy, 1), 0);
	add(&files, 20 * KB);
	assert_int_equal(merge(&files, &policy, 1), 10);
	free(files.sizes);
}

/* Nine of the next class go along with what makes the tenth. */
static void test_a_merge_that_makes_the_next_class_full(void **state)
{
	struct files files = files_new();

	(void)state;
	add_many(&files, 9, 200 * KB);
	add_many(&files, 10, 20 * KB);
	assert_int_equal(merge(&files, &policy, 1), 19);
	assert_int_equal(files.count, 1);
	free(files.sizes);
}

/* Two that are together as large as the target need not wait for eight more. */
static void test_large_files_become_one_sooner(void **state)
{
	struct files files = files_new();

	(void)state;
	add_many(&files, 2, 60 * MB);
	assert_int_equal(merge(&files, &policy, 1), 0);
	add(&files, 60 * MB);
	assert_int_equal(merge(&files, &policy, 1), 2);
	assert_int_equal(files.count, 2);
	free(files.sizes);
}

static void test_as_few_as_may_be(void **state)
{
	const struct compact_policy all = { .target_bytes = 128 * MB, .all = true };
	struct files files = files_new();

	(void)state;
	add(&files, 20 * KB);
	assert_int_equal(merge(&files, &all, 1), 0); /* one is one already */
	add_many(&files, 2, 3 * MB);
	add_many(&files, 7, 60 * MB);
	add(&files, 64 * MB);
	while (merge(&files, &all, 1))
		;
	assert_int_equal(files.count,
			 5); /* 120 MB three times, a rest, and the one that was done */
	free(files.sizes);
}

static void test_no_file(void **state)
{
	size_t chosen[COMPACT_FILES_MAX];

	(void)state;
	assert_int_equal(compact_plan(&policy, NULL, 0, chosen), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day_of_small_commits),
		cmocka_unit_test(test_a_night_of_single_rows),
		cmocka_unit_test(test_a_table_that_was_left_alone),
		cmocka_unit_test(test_few_files_are_left_alone),
		cmocka_unit_test(test_a_merge_that_makes_the_next_class_full),
		cmocka_unit_test(test_large_files_become_one_sooner),
		cmocka_unit_test(test_as_few_as_may_be),
		cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
