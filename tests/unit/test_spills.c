/* Directories of engines: those of the living stay, in whichever container they live. */
#include "engine/spills.h"
#include "scratch.h"
#include "testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_the_living_keep_theirs(void **state)
{
	char dir[SCRATCH_NAME_MAX], other[200], spilled[250];
	struct spills first = { 0 }, second = { 0 };
	int fd;

	(void)state;
	scratch_dir(dir);
	/* Of a process whose number is nobody's here. */
	(void)snprintf(other, sizeof(other), "%s/duckdb-%d-0", dir, 0x7ffffffe);
	(void)snprintf(spilled, sizeof(spilled), "%s/duckdb_temp_storage-0.tmp", other);
	assert_int_equal(mkdir(other, 0700), 0);
	fd = open(other, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(close(open(spilled, O_CREAT | O_WRONLY, 0600)), 0);
	spills_open(dir, "duckdb", &first);
	spills_open(dir, "duckdb", &second);
	assert_string_not_equal(first.path, second.path);
	assert_int_equal(access(first.path, W_OK), 0);
	assert_int_equal(access(spilled, F_OK), 0);
	assert_int_equal(close(fd), 0);		/* it has been killed */
	spills_close(&second);
	spills_open(dir, "duckdb", &second);
	assert_int_equal(access(other, F_OK), -1);
	assert_int_equal(access(first.path, W_OK), 0);
	spills_close(&first);
	spills_close(&second);
	assert_int_equal(access(first.path, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);	/* nothing is left */
}

static void test_where_none_can_be_made(void **state)
{
	struct spills spills = { 0 };

	(void)state;
	spills_close(&spills);
	spills_open("/proc/self", "duckdb", &spills);
	assert_int_equal(spills.lock_fd, -1);
	assert_true(spills.path[0]);
	spills_close(&spills);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_living_keep_theirs),
		cmocka_unit_test(test_where_none_can_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
