/* The batch path beside a sink that is still writing. */
#include "base/gzip.h"
#include "base/crc32c.h"
#include "delta/delta.h"
#include "flow/batch.h"
#include "flow/dlq.h"
#include "flow/group.h"
#include "racing_store.h"
#include "scratch.h"
#include "tables.h"

#include <sys/stat.h>

enum { PATH_LEN_MAX = 200 };

/* A batch of a lake in a directory, through a store that has its moods. */
struct fixture {
	struct racing store;
	struct batch_options options;
	struct models models;
	char dir[SCRATCH_NAME_MAX];
};

static void fixture_open(struct fixture *fixture)
{
	char path[PATH_LEN_MAX];
	const char *dirs[] = { fixture->dir };
	struct engine_options engine = { .memory_bytes_max = 256 << 20, .threads = 2,
					 .dirs = dirs, .dir_count = 1 };
	struct err err;

	*fixture = (struct fixture){ .store = { .layer.base.ops = &racing_ops } };
	fixture->options = (struct batch_options){ .store = &fixture->store.layer.base,
						   .models = &fixture->models,
						   .id = "id", .dir = fixture->dir };
	scratch_dir(fixture->dir);
	(void)snprintf(path, sizeof(path), "%s/tmp", fixture->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/lake", fixture->dir);
	assert_ok(store_file_new(path, &fixture->store.layer.inner, &err));
	racing_put_pins(&fixture->store.layer.base);
	assert_ok(models_load(TEST_MODELS, &fixture->models, &err));
	assert_ok(engine_duckdb_new(&engine, &fixture->options.engine, &err));
}

static void fixture_close(struct fixture *fixture)
{
	engine_free(fixture->options.engine);
	models_free(&fixture->models);
	store_free(&fixture->store.layer.base);
	scratch_remove(fixture->dir);
}

static void test_an_object_put_while_the_listing_runs_leaves_no_hole(void **state)
{
	struct fixture fixture;
	struct batch_report report;
	struct err err;

	(void)state;
	fixture_open(&fixture);
	fixture.store.missed = RACING_PIN("1");
	fixture.store.listing = "topics/id.pin/partition=0/";
	assert_ok(batch_run(&fixture.options, &report, &err));
	assert_null(fixture.store.missed);
	assert_int_equal(report.tables[PIN].objects, 3);
	assert_int_equal(report.tables[PIN].rows, 3);
	batch_report_release(&report);
	fixture_close(&fixture);
}

static uint64_t pins(const struct fixture *fixture)
{
	const struct delta_options look = { 0 };
	struct delta_table *table;
	struct err err;
	uint64_t rows;

	assert_ok(delta_open(fixture->options.store, "tables/id_pin_clean", &look, &table, &err));
	rows = delta_rows(table);
	delta_close(table);
	return rows;
}

/* Its partition ends before it; another one, and the other tables, go on; then it goes on, too. */
static void test_an_object_that_is_listed_and_not_there_ends_its_partition(void **state)
{
	static const char other[] = "topics/id.pin/partition=1/id.pin+1+0000000000.json";
	static const char geo[] = "topics/id.geo/partition=0/id.geo+0+0000000000.json";
	struct fixture fixture;
	struct batch_report report;
	struct err err;

	(void)state;
	fixture_open(&fixture);
	assert_ok(store_put(fixture.options.store, other, slice_str("{\"index\":7}\n"), STORE_CREATE,
			    &err));
	assert_ok(store_put(fixture.options.store, geo, slice_str("{\"ind\":7}\n"), STORE_CREATE,
			    &err));
	fixture.store.gone = RACING_PIN("1");
	assert_ok(batch_run(&fixture.options, &report, &err));
	assert_int_equal(report.tables_failed, 1);
	assert_int_equal(report.tables[PIN].err.code, ERR_ABSENT);
	assert_int_equal(report.tables[GEO].rows, 1);
	assert_int_equal(pins(&fixture), 2);
	batch_report_release(&report);
	fixture.store.gone = NULL;
	assert_ok(batch_run(&fixture.options, &report, &err));
	assert_int_equal(report.tables_failed, 0);
	assert_int_equal(report.tables[PIN].rows, 2);
	assert_int_equal(pins(&fixture), 4);
	batch_report_release(&report);
	fixture_close(&fixture);
}

/* The rows are in the table: that letters of a batch that died stay fails nothing. */
static void test_letters_that_cannot_be_removed_fail_no_commit(void **state)
{
	static const char stuck[] =
		"dlq/id.pin/partition=0/none-00000000000000000001+pin.ndjson";
	struct fixture fixture;
	struct batch_report report;
	struct err err;

	(void)state;
	fixture_open(&fixture);
	assert_ok(store_put(fixture.options.store, stuck, slice_str(""), STORE_CREATE, &err));
	fixture.store.stuck = stuck;
	assert_ok(batch_run(&fixture.options, &report, &err));
	assert_int_equal(report.tables_failed, 0);
	assert_int_equal(report.tables[PIN].rows, 3);
	assert_int_equal(pins(&fixture), 3);
	batch_report_release(&report);
	assert_ok(store_remove(fixture.store.layer.inner, stuck, &err));
	fixture_close(&fixture);
}

/* A commit's worth is of text: objects that Confluent's connector has packed count by more than the
 * little that they are stored as; and what the run tells is what it has read. */
static void test_packed_objects_count_by_their_text(void **state)
{
	enum { OBJECTS = 4, LINES = 2000 };
	struct fixture fixture;
	struct batch_report report;
	struct buf text, packed, key;
	struct err err;

	(void)state;
	fixture_open(&fixture);
	buf_init(&text, 1 << 20);
	buf_init(&packed, 1 << 20);
	buf_init(&key, STORE_KEY_MAX + 1);
	for (int i = 0; i < LINES; i++)
		buf_add_str(&text, "{\"ind\":7}\n");
	gzip_pack(&packed, buf_slice(&text), -1);
	for (int i = 0; i < OBJECTS; i++) {
		buf_clear(&key);
		buf_addf(&key, "topics/id.geo/partition=0/id.geo+0+%010d.json.gz", i * LINES);
		assert_ok(store_put(fixture.options.store, buf_cstr(&key), buf_slice(&packed),
				    STORE_CREATE, &err));
	}
	fixture.options.bytes_max = OBJECTS * packed.len;
	assert_ok(batch_run(&fixture.options, &report, &err));
	assert_int_equal(report.tables[GEO].rows, OBJECTS * LINES);
	assert_int_equal(report.tables[GEO].commits, OBJECTS);
	assert_int_equal(report.tables[GEO].bytes, OBJECTS * text.len);
	batch_report_release(&report);
	buf_release(&key);
	buf_release(&packed);
	buf_release(&text);
	fixture_close(&fixture);
}

/* --- beside a sink whose objects land in groups --------------------------------------- */

static const struct lake_partition pin_0 = { .topic = "id.pin" };

static void hour_key(char *key, size_t size, int first, int object)
{
	(void)snprintf(key, size, "topics/id.pin/hour=%d/id.pin+0+%010d.json", object, first);
}

static void put_pin(const struct fixture *fixture, int n, int object)
{
	char key[100], text[32];
	struct err err;

	hour_key(key, sizeof(key), n, object);
	(void)snprintf(text, sizeof(text), "{\"index\":%d}\n", n);
	assert_ok(store_put(fixture->options.store, key, slice_str(text), STORE_CREATE, &err));
}

/* The manifest of pins [first, end), each an object by itself. */
static void put_group(const struct fixture *fixture, int first, int end)
{
	struct group group = { .first = (uint64_t)first,
			       .end = (uint64_t)first,
			       .has_after = first > 0,
			       .after = (uint64_t)first - 1 };
	struct buf key, text;
	struct err err;

	for (int n = first; n < end; n++) {
		char name[100], line[32];
		size_t at;

		hour_key(name, sizeof(name), n, n - first);
		at = group_add_object(&group, name, (uint64_t)n);
		group_add_line(&group, at, (uint64_t)n);
		group.objects[at].bytes =
			(uint64_t)snprintf(line, sizeof(line), "{\"index\":%d}\n", n);
		group.objects[at].crc = crc32c(0, line, strlen(line));
	}
	buf_init(&key, STORE_KEY_MAX);
	buf_init(&text, 1 << 20);
	group_write(&group, pin_0, &key, &text);
	assert_ok(store_put(fixture->options.store, buf_cstr(&key), buf_slice(&text), STORE_CREATE,
			    &err));
	buf_release(&key);
	buf_release(&text);
	group_release(&group);
}

static void assert_batch(struct fixture *fixture, uint64_t failed, uint64_t total)
{
	struct batch_report report;
	struct err err;

	assert_ok(batch_run(&fixture->options, &report, &err));
	assert_int_equal(report.tables_failed, failed);
	assert_int_equal(pins(fixture), total);
	batch_report_release(&report);
}

/* What is not there yet is no fault; nor what is being given up. Behind it, both are. */
static void test_a_group_that_is_on_its_way(void **state)
{
	(void)state;
	for (int barred = 0; barred < 2; barred++) {
		struct fixture fixture;
		char key[100];
		struct err err;

		fixture_open(&fixture);
		put_group(&fixture, 3, 5);
		put_pin(&fixture, 3, 0);
		hour_key(key, sizeof(key), 4, 1);
		if (barred)
			assert_ok(group_bar(fixture.options.store, key, &err));
		assert_batch(&fixture, 0, 3);
		assert_batch(&fixture, 0, 3);
		put_group(&fixture, 5, 6);
		put_pin(&fixture, 5, 0);
		assert_batch(&fixture, 1, 3);
		if (barred)
			assert_ok(store_remove(fixture.options.store, key, &err));
		put_pin(&fixture, 4, 1);
		assert_batch(&fixture, 0, 6);
		fixture_close(&fixture);
	}
}

/* Others are not kept waiting by it, though it be as much as a commit takes. */
static void test_a_group_that_is_on_its_way_keeps_nobody_waiting(void **state)
{
	static const char other[] = "topics/id.pin/partition=1/id.pin+1+0000000000.json";
	struct fixture fixture;
	struct err err;

	(void)state;
	fixture_open(&fixture);
	fixture.options.bytes_max = 10;
	put_group(&fixture, 3, 5);
	put_pin(&fixture, 3, 0);
	assert_ok(store_put(fixture.options.store, other, slice_str("{\"index\":7}\n"),
			    STORE_CREATE, &err));
	assert_batch(&fixture, 0, 4);
	fixture_close(&fixture);
}

static bool count_letter(void *user, const struct dlq_entry *entry)
{
	(void)entry;
	++*(int *)user;
	return true;
}

/* Its progress ended in the middle of a group, whoever put it there. */
static void test_a_group_that_begins_before_the_next_offset(void **state)
{
	(void)state;
	for (int more = 0; more < 2; more++) {
		struct fixture fixture;
		int letters = 0;
		struct err err;

		fixture_open(&fixture);
		assert_batch(&fixture, 0, 3); /* plain ones, up to 2 */
		put_group(&fixture, 1, 5);
		for (int n = 1; n < 5; n++)
			put_pin(&fixture, n, n - 1);
		if (more) {
			put_group(&fixture, 5, 6);
			put_pin(&fixture, 5, 0);
		}
		assert_batch(&fixture, 0, more ? 6 : 5);
		assert_batch(&fixture, 0, more ? 6 : 5);
		assert_ok(dlq_list(fixture.options.store, "id.pin", count_letter, &letters, &err));
		assert_int_equal(letters, 0);
		fixture_close(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_object_put_while_the_listing_runs_leaves_no_hole),
		cmocka_unit_test(test_an_object_that_is_listed_and_not_there_ends_its_partition),
		cmocka_unit_test(test_letters_that_cannot_be_removed_fail_no_commit),
		cmocka_unit_test(test_packed_objects_count_by_their_text),
		cmocka_unit_test(test_a_group_that_is_on_its_way),
		cmocka_unit_test(test_a_group_that_is_on_its_way_keeps_nobody_waiting),
		cmocka_unit_test(test_a_group_that_begins_before_the_next_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
