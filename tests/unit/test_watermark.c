/* The page of the watermark after a power cut: each of its sectors may be of another time. */
#include "broker/local/watermark.h"
#include "base/err.h"
#include "temp_dir.h"

#include <fcntl.h>

enum { SECTOR = 512, SECTORS = 8, PARTITIONS = 100, LOG_ID = 77 };

struct fixture {
	struct temp_dir dir;
	int dir_fd;
	int fd;				/* the file */
	struct watermark watermark;	/* the writer's */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	assert_non_null(f);
	temp_dir_make(&f->dir);
	f->dir_fd = open(f->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	assert_ok(watermark_open(f->dir_fd, WATERMARK_WRITE, LOG_ID, &f->watermark, &err));
	f->fd = openat(f->dir_fd, "watermark", O_RDWR | O_CLOEXEC);
	assert_true(f->fd >= 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	watermark_close(&f->watermark);
	(void)close(f->fd);
	(void)close(f->dir_fd);
	temp_dir_remove(&f->dir);
	free(f);
	return 0;
}

static uint64_t uid_of(int partition) { return 0x9e3779b97f4a7c15 * (uint64_t)(partition + 1); }

/* A commit group of the partitions from `first` on: each of them ends at `next` now. */
static void tell(struct fixture *f, uint64_t address, int first, int count, uint64_t next)
{
	watermark_ends_change(&f->watermark, address);
	for (int i = first; i < first + count; i++)
		watermark_set_end(&f->watermark, uid_of(i), i, next);
	watermark_publish(&f->watermark, address);
}

static void read_page(const struct fixture *f, char page[SECTORS * SECTOR])
{
	assert_int_equal(pread(f->fd, page, SECTORS * SECTOR, 0), SECTORS * SECTOR);
}

static void expect_ends(const struct fixture *f, uint64_t address, uint64_t first, uint64_t others)
{
	struct ends ends;

	assert_true(watermark_ends(&f->watermark, address, &ends));
	for (int i = 0; i < PARTITIONS; i++)
		assert_int_equal(ends_next(&ends, uid_of(i), i),
				 i < PARTITIONS / 2 ? first : others);
}

static void test_ends_are_of_the_watermark(void **state)
{
	struct fixture *f = *state;
	struct ends ends;

	assert_false(watermark_ends(&f->watermark, 0, &ends));
	tell(f, 8192, 0, PARTITIONS, 1);
	expect_ends(f, 8192, 1, 1);
	tell(f, 9000, 0, PARTITIONS / 2, 7);
	expect_ends(f, 9000, 7, 1);
	watermark_ends_begin(&f->watermark);
	assert_false(watermark_ends(&f->watermark, 0, &ends));
	for (int i = 0; i < PARTITIONS; i++)
		watermark_set_end(&f->watermark, uid_of(i), i, 9);
	watermark_ends_done(&f->watermark);
	expect_ends(f, 9000, 9, 9);
}

/* All of the page is old, then any choice of its sectors is new: the ends are those of one time, or
 * they are not known. Else a reader takes a partition for empty that has records, and a recovery
 * gives their offsets out again. */
static void test_a_page_of_several_times(void **state)
{
	struct fixture *f = *state;
	char old[SECTORS * SECTOR], new[SECTORS * SECTOR];
	int known = 0;

	tell(f, 8192, 0, PARTITIONS / 2, 1);
	read_page(f, old);
	tell(f, 9000, 0, PARTITIONS, 2);
	read_page(f, new);
	for (int choice = 0; choice < 1 << SECTORS; choice++) {
		struct ends ends;

		for (int s = 0; s < SECTORS; s++) {
			const char *page = choice >> s & 1 ? new : old;

			assert_int_equal(pwrite(f->fd, page + s * SECTOR, SECTOR, s * SECTOR),
					 SECTOR);
		}
		if (watermark_ends(&f->watermark, 0, &ends)) {
			bool is_new = ends.watermark == 9000;

			known++;
			expect_ends(f, ends.watermark, is_new ? 2 : 1, is_new ? 2 : 0);
		}
		if (watermark_ends_or_more(&f->watermark, 8192, &ends))
			for (int i = 0; i < PARTITIONS / 2; i++)
				assert_true(ends_next(&ends, uid_of(i), i) >= 1);
		if (watermark_ends_or_more(&f->watermark, 9000, &ends))
			for (int i = 0; i < PARTITIONS; i++)
				assert_int_equal(ends_next(&ends, uid_of(i), i), 2);
	}
	assert_int_equal(known, 2);	/* all old, all new */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ends_are_of_the_watermark, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_page_of_several_times, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
