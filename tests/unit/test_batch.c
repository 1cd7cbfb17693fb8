/* The batch path beside a sink that is still writing. */
#include "flow/batch.h"
#include "racing_store.h"
#include "scratch.h"
#include "tables.h"

#include <sys/stat.h>

enum { PATH_LEN_MAX = 200 };

static void test_an_object_put_while_the_listing_runs_leaves_no_hole(void **state)
{
	struct racing store = { .layer.base.ops = &racing_ops, .missed = RACING_PIN("1"),
				.listing = "topics/id.pin/partition=0/" };
	char dir[SCRATCH_NAME_MAX], path[PATH_LEN_MAX];
	const char *dirs[] = { dir };
	struct engine_options engine = { .memory_bytes_max = 256 << 20, .threads = 2,
					 .dirs = dirs, .dir_count = 1 };
	struct batch_options options = { .store = &store.layer.base, .id = "id" };
	struct batch_report report;
	struct models models;
	struct err err;

	(void)state;
	scratch_dir(dir);
	(void)snprintf(path, sizeof(path), "%s/tmp", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/lake", dir);
	assert_ok(store_file_new(path, &store.layer.inner, &err));
	racing_put_pins(&store.layer.base);
	assert_ok(models_load(TEST_MODELS, &models, &err));
	assert_ok(engine_duckdb_new(&engine, &options.engine, &err));
	options.models = &models;
	options.dir = dir;
	assert_ok(batch_run(&options, &report, &err));
	assert_null(store.missed);
	assert_int_equal(report.tables[PIN].objects, 3);
	assert_int_equal(report.tables[PIN].rows, 3);
	batch_report_release(&report);
	engine_free(options.engine);
	models_free(&models);
	store_free(&store.layer.base);
	scratch_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_object_put_while_the_listing_runs_leaves_no_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
