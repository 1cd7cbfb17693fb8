/* Raw objects that go by age: which of them, what is left of them, and wherever it is cut off. */
#include "aging_store.h"
#include "base/time.h"
#include "delta/delta.h"
#include "flow/batch_find.h"
#include "flow/group.h"
#include "flow/raw_kept.h"
#include "flow/retain.h"
#include "testing.h"

#include <inttypes.h>
#include <stdio.h>

static const struct lake_partition where = { .topic = "id.pin", .generation = 1 };

struct fixture {
	struct store *store;
	struct models models;
	struct lake_table table;
};

static void put(struct store *store, const char *key, const char *text)
{
	struct err err;

	assert_ok(store_put(store, key, slice_str(text), STORE_CREATE, &err));
}

/* The table has all up to `done`, and stands in the object that begins at `held`. */
static void commit_progress(const struct fixture *f, int64_t done, int64_t held)
{
	const struct delta_options options = { .create = &f->table.model->schema };
	char path[] = "a.parquet", stats[] = "{\"numRecords\":1}";
	struct delta_table *delta = NULL;
	struct err err = { 0 };
	struct batch_ids ids;
	int64_t version;

	assert_ok(delta_open(f->store, f->table.root, &options, &delta, &err));
	batch_ids_init(&ids, &where);
	const struct delta_txn txns[] = {
		{ ids.progress, done, delta_txn_version(delta, ids.progress) },
		{ ids.start, held, delta_txn_version(delta, ids.start) },
	};
	const struct delta_add add = { .path = path, .size = 9, .rows = 1, .stats = stats };
	const struct delta_commit commit = { .operation = "WRITE",
					     .adds = &add,
					     .add_count = 1,
					     .txns = txns,
					     .txn_count = ARRAY_LEN(txns) };

	assert_ok(delta_commit(delta, &commit, &version, &err));
	delta_close(delta);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = { 0 };

	f->store = aging_new();
	assert_ok(models_load(TEST_MODELS, &f->models, &err));
	assert_ok(
		lake_table_init(&f->table, models_clean(&f->models, "pin"), TOPIC_LOG, "id", &err));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	models_free(&f->models);
	store_free(f->store);
	free(f);
	return 0;
}

/* Each object is older than a millisecond by then. */
static enum err_code retain(const struct fixture *f, bool dry_run, struct retain_report *report,
			    struct err *err)
{
	const struct retain_options options = { .store = f->store,
						.models = &f->models,
						.id = "id",
						.keep = { .raw_ms = 1 },
						.dry_run = dry_run };
	int64_t since_ms = clock_wall_ms();

	while (clock_wall_ms() - since_ms < 3)
		clock_sleep_ms(1);
	return retain_topic(&options, &f->table, report, err);
}

/* --- what is there -------------------------------------------------------------- */

static bool note_key(void *user, const struct store_entry *entry)
{
	buf_addf(user, "%s\n", strrchr(entry->key, '/') + 1);
	return true;
}

static void assert_keys(const struct fixture *f, const char *prefix, const char *wanted)
{
	struct buf keys;
	struct err err;

	buf_init(&keys, 1 << 20);
	assert_ok(store_list(f->store, prefix, "", note_key, &keys, &err));
	assert_string_equal(buf_cstr(&keys), wanted);
	buf_release(&keys);
}

static void assert_kept(const struct fixture *f, uint64_t wanted)
{
	uint64_t from;
	struct err err;

	assert_ok(raw_kept_find(f->store, where, &from, &err));
	assert_int_equal(from, wanted);
}

/* --- plain objects ---------------------------------------------------------------- */

#define NEARLY UINT64_C(9999999990)
#define OBJECTS "topics/id.pin/partition=0/"
#define MANIFESTS "manifests/id.pin/partition=0/"

/* Objects of five, around where offsets get an eleventh digit, each with a manifest. */
static void put_plain(const struct fixture *f)
{
	for (uint64_t start = NEARLY; start <= NEARLY + 20; start += 5) {
		char key[200];
		struct buf object;

		buf_init(&object, STORE_KEY_MAX + 1);
		lake_object_key(&object, where, start);
		put(f->store, buf_cstr(&object), "1\n2\n3\n4\n5\n");
		buf_release(&object);
		(void)snprintf(key, sizeof(key), MANIFESTS "%020" PRIu64 "+00c0ffee.json", start);
		put(f->store, key, "{}");
	}
	put(f->store, OBJECTS "id.pin+0+0000000007.json", ""); /* a bar */
	put(f->store, OBJECTS "notes.txt", "somebody else's\n");
}

static void assert_plain_left(const struct fixture *f)
{
	assert_kept(f, NEARLY + 20);
	assert_keys(f, OBJECTS, "id.pin+0+0000000007.json\nid.pin+0+10000000010.json\nnotes.txt\n");
	assert_keys(f, MANIFESTS,
		    "00000000010000000010+00c0ffee.json\nkept+00000000010000000010.json\n");
}

static void test_offsets_that_grow_longer(void **state)
{
	const struct fixture *f = *state;
	struct retain_report report = { 0 };
	struct err err = { 0 };

	put_plain(f);
	assert_int_equal(retain(f, false, &report, &err), ERR_ABSENT);
	commit_progress(f, (int64_t)NEARLY + 12, (int64_t)NEARLY + 10);
	assert_ok(retain(f, true, &report, &err));
	assert_int_equal(report.raw.removed, 4);
	assert_kept(f, 0);
	report = (struct retain_report){ 0 };
	assert_ok(retain(f, false, &report, &err));
	assert_int_equal(report.raw.removed, 4); /* two objects, two manifests */
	assert_kept(f, NEARLY + 10);
	commit_progress(f, (int64_t)NEARLY + 24, (int64_t)NEARLY + 20);
	assert_ok(retain(f, false, &report, &err));
	assert_plain_left(f);
}

static void test_each_removal_fails(void **state)
{
	const struct fixture *f = *state;
	struct err err = { 0 };
	enum err_code code = ERR_OK;
	int failed = 0;

	put_plain(f);
	commit_progress(f, (int64_t)NEARLY + 24, (int64_t)NEARLY + 20);
	do {
		struct retain_report report = { 0 };

		aging(f->store)->fail_at = 2;
		code = retain(f, false, &report, &err);
		failed += code != ERR_OK;
		assert_kept(f, NEARLY + 20);
	} while (code != ERR_OK && failed < 20);
	aging(f->store)->fail_at = 0;
	assert_ok(code);
	assert_true(failed > 0);
	assert_plain_left(f);
}

/* One that stands in an object before the newest, or says nothing of an object. */
static void test_the_object_that_a_table_stands_in_stays(void **state)
{
	const struct fixture *f = *state;
	struct retain_report report = { 0 };
	struct err err = { 0 };

	put_plain(f);
	commit_progress(f, (int64_t)NEARLY + 4, (int64_t)NEARLY);
	assert_ok(retain(f, false, &report, &err));
	assert_int_equal(report.raw.removed, 0);
	assert_kept(f, 0);
}

/* --- groups ------------------------------------------------------------------------- */

static void put_group(const struct fixture *f, uint64_t first, uint32_t number, const char *names)
{
	struct group group = {
		.first = first, .end = first, .number = number, .amended = number > 1
	};
	struct buf key, text;
	char object[200];

	for (size_t i = 0; names[i]; i++) {
		size_t at;

		(void)snprintf(object, sizeof(object),
			       "topics/id.pin/hour=%c/id.pin+0+%010" PRIu64 ".json", names[i],
			       first + i);
		at = group_add_object(&group, object, first + i);
		group_add_line(&group, at, first + i);
		group.objects[at].bytes = 2;
		if (number < 2 || i + 1 == strlen(names))
			put(f->store, object, "1\n");
	}
	buf_init(&key, STORE_KEY_MAX + 1);
	buf_init(&text, 1 << 16);
	group_write(&group, where, &key, &text);
	put(f->store, buf_cstr(&key), buf_cstr(&text));
	buf_release(&key);
	buf_release(&text);
	group_release(&group);
}

static void put_groups(const struct fixture *f)
{
	put(f->store, OBJECTS "id.pin+0+0000000000.json", "0\n");
	put(f->store, MANIFESTS "group+00000000000000000000.json",
	    "{\"after\":null,\"plain\":true}");
	put_group(f, 10, 0, "ab");
	put_group(f, 20, 0, "ab");
	put_group(f, 20, 2, "ac");
	put_group(f, 30, 0, "c");
	put_group(f, 40, 0, "cd");
}

static void assert_groups_left(const struct fixture *f)
{
	assert_kept(f, 40);
	assert_keys(f, "topics/", "id.pin+0+0000000040.json\nid.pin+0+0000000041.json\n");
	assert_keys(f, MANIFESTS,
		    "group+00000000000000000000.json\ngroup+00000000000000000010.json\n"
		    "group+00000000000000000040.json\nkept+00000000000000000040.json\n");
}

static void test_groups_go_with_all_their_numbers_and_the_first_is_remembered(void **state)
{
	const struct fixture *f = *state;
	struct retain_report report = { 0 };
	struct err err = { 0 };

	put_groups(f);
	commit_progress(f, 25, 20);
	assert_ok(retain(f, false, &report, &err));
	assert_int_equal(report.raw.removed, 3); /* the plain one, those of the first group */
	assert_kept(f, 20);
	commit_progress(f, 41, 40);
	assert_ok(retain(f, false, &report, &err));
	assert_groups_left(f);
	report = (struct retain_report){ 0 };
	assert_ok(retain(f, false, &report, &err));
	assert_int_equal(report.raw.removed, 0);
}

static void test_each_removal_of_groups_fails(void **state)
{
	const struct fixture *f = *state;
	struct err err = { 0 };
	enum err_code code = ERR_OK;
	int failed = 0;

	put_groups(f);
	commit_progress(f, 41, 40);
	do {
		struct retain_report report = { 0 };

		aging(f->store)->fail_at = failed % 6 + 1;
		code = retain(f, false, &report, &err);
		failed += code != ERR_OK;
	} while (code != ERR_OK && failed < 50);
	aging(f->store)->fail_at = 0;
	assert_ok(retain(f, false, &(struct retain_report){ 0 }, &err));
	assert_groups_left(f);
}

/* --- marks ---------------------------------------------------------------------------- */

static void test_the_highest_mark_counts(void **state)
{
	const struct fixture *f = *state;
	struct err err = { 0 };

	put(f->store, MANIFESTS "kept+5.json", "{}");
	put(f->store, MANIFESTS "kept+00000000000000000009.json.gz", "");
	assert_kept(f, 0);
	assert_ok(raw_kept_put(f->store, where, 7, &err));
	assert_ok(raw_kept_put(f->store, where, 6, &err));
	assert_kept(f, 7);
	assert_ok(raw_kept_put(f->store, where, 12, &err));
	assert_kept(f, 12);
	assert_keys(f, MANIFESTS "kept+0000000000000000001", "kept+00000000000000000012.json\n");
	assert_keys(f, MANIFESTS "kept+0000000000000000000", "kept+00000000000000000009.json.gz\n");
}

static void test_marks_of_letters(void **state)
{
	const struct fixture *f = *state;
	struct letters_mark mark = { .topic = slice_str("id.pin"),
				     .partition = slice_str("0"),
				     .generation = 2,
				     .table = slice_str("pin"),
				     .upto = lake_position(41) };
	struct letters_kept kept = { 0 };
	struct position upto;
	struct err err = { 0 };

	assert_ok(letters_kept_put(f->store, &kept, &mark, &err));
	put(f->store, "dlq/id.pin/kept/0+2+5", "");
	assert_ok(letters_kept_find(f->store, "id.pin", &kept, &err));
	assert_int_equal(kept.count, 1);
	assert_true(letters_kept_upto(&kept, slice_str("0"), 2, NULL, &upto));
	assert_int_equal(position_cmp(upto, lake_position(41)), 0);
	assert_false(letters_kept_upto(&kept, slice_str("0"), 1, NULL, &upto));
	assert_false(letters_kept_upto(&kept, slice_str("0"), 2, "geo", &upto));
	mark.upto = lake_position(50);
	assert_ok(letters_kept_put(f->store, &kept, &mark, &err));
	letters_kept_release(&kept);
	assert_keys(f, "dlq/", "0+2+00000000000000000050+pin\n0+2+5\n");
	assert_true(letters_kept_is_mark("dlq/id.pin/kept/0+2+00000000000000000050+pin"));
	assert_false(letters_kept_is_mark("dlq/id.pin/partition=0/none-5.ndjson"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_offsets_that_grow_longer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_removal_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_object_that_a_table_stands_in_stays, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_groups_go_with_all_their_numbers_and_the_first_is_remembered, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_each_removal_of_groups_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_highest_mark_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_marks_of_letters, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
