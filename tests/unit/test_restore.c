/* A log made of objects that landed together: keys, headers, what lacks, what is taken away. */
#include "backends/backends.h"
#include "base/crc32c.h"
#include "broker/sequence.h"
#include "flow/census.h"
#include "flow/group.h"
#include "flow/history.h"
#include "flow/restore_inside.h"
#include "log_testing.h"
#include "store/layer.h"

static const struct lake_partition where = { .topic = "pin", .id = 0 };

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	struct ended ended;
	struct store *store;
	struct group group;
	struct restore_options options;
};

static int make_fixture(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->ended = (struct ended)ENDED_INIT;
	scratch_dir(f->dir);
	f->store = store_memory_new(1 << 24);
	f->options = (struct restore_options){ .store = f->store, .dir = f->dir, .partitions = 1,
					       .shards = 1 };
	*state = f;
	return 0;
}

static int free_fixture(void **state)
{
	struct fixture *f = *state;

	group_release(&f->group);
	store_free(f->store);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static void put(struct fixture *f, const char *key, const char *text)
{
	struct err err;

	assert_ok(store_put(f->store, key, slice_str(text), STORE_CREATE, &err));
}

static bool is_there(struct fixture *f, const char *key)
{
	uint64_t size;
	struct err err;

	return store_size(f->store, key, &size, &err) == ERR_OK;
}

#define PATH(name) "topics/pin/day=" name "/pin+0+000000000"

/* One more object of the group, with its text, and a file for each side that is given. */
static void add_object(struct fixture *f, const char *key, uint64_t start, const char *text,
		       const char *keys, const char *headers, bool there)
{
	const char *sides[GROUP_SIDES] = { keys, headers };
	size_t at = group_add_object(&f->group, key, start);
	struct group_object *object = &f->group.objects[at];
	struct buf side;

	object->bytes = strlen(text);
	object->crc = crc32c(0, text, strlen(text));
	buf_init(&side, 1000);
	for (int i = 0; i < GROUP_SIDES; i++) {
		if (!sides[i])
			continue;
		f->group.sides[i] = true;
		object->side_crc[i] = crc32c(0, sides[i], strlen(sides[i]));
		group_side_key(&side, key, (enum group_side)i);
		if (there)
			put(f, buf_cstr(&side), sides[i]);
	}
	buf_release(&side);
	if (there)
		put(f, key, text);
}

static void put_group(struct fixture *f)
{
	struct buf key, text;

	buf_init(&key, 1000);
	buf_init(&text, 1 << 20);
	group_write(&f->group, where, &key, &text);
	put(f, buf_cstr(&key), buf_cstr(&text));
	buf_release(&key);
	buf_release(&text);
	group_clear(&f->group);
}

static void put_slice(char *text, size_t size, struct slice bytes)
{
	size_t at = strlen(text);

	(void)snprintf(text + at, size - at, bytes.ptr ? "%.*s" : "null", SLICE_ARG(bytes));
}

/* "3:value(key)[name=value,…] 4-5!damaged …" */
static void read_log(struct fixture *f, char *text, size_t size)
{
	struct reader_start start = { .kind = START_FIRST };
	struct broker_reader *reader;
	struct broker *broker;
	struct err err;

	assert_true(log_is_sound(f->dir, false));
	assert_ok(log_open(f->dir, false, &f->ended, &broker, &err));
	reader = reader_at(broker, log_topic, 0, start);
	text[0] = '\0';
	for (;;) {
		struct reader_event event;
		size_t at;

		assert_ok(reader_next(reader, clock_mono_ms(), &event, &err));
		if (event.kind == READER_CAUGHT_UP)
			break;
		at = strlen(text);
		if (event.kind == READER_GAP)
			(void)snprintf(text + at, size - at, "%d-%d!%s ",
				       (int)position_ordinal(event.first),
				       (int)position_ordinal(event.last),
				       gap_reason_text(event.gap));
		for (size_t i = 0; event.kind == READER_RECORDS && i < event.count; i++) {
			const struct record *record = &event.records[i];

			at = strlen(text);
			(void)snprintf(text + at, size - at, "%d:",
				       (int)position_ordinal(record->position));
			put_slice(text, size, record->value);
			put_slice(text, size, slice_str("("));
			put_slice(text, size, record->key);
			put_slice(text, size, slice_str(")"));
			for (size_t k = 0; k < record->header_count; k++) {
				put_slice(text, size, slice_str("["));
				put_slice(text, size, record->headers[k].name);
				put_slice(text, size, slice_str("="));
				put_slice(text, size, record->headers[k].value);
				put_slice(text, size, slice_str("]"));
			}
			put_slice(text, size, slice_str(" "));
		}
	}
	reader_close(reader);
	broker_free(broker);
}

static void assert_log(struct fixture *f, const char *expected)
{
	char text[2000];

	read_log(f, text, sizeof(text));
	assert_string_equal(text, expected);
}

static struct restored_topic run(struct fixture *f, bool went_on)
{
	struct restore_report report;
	struct restored_topic topic = { 0 };
	struct err err;

	assert_ok(restore_run(&f->options, &report, &err));
	assert_int_equal(report.went_on, went_on);
	if (!went_on) {
		assert_int_equal(report.count, 1);
		topic = report.topics[0];
	}
	restore_report_release(&report);
	return topic;
}

static void test_keys_and_headers(void **state)
{
	struct fixture *f = *state;
	struct restored_topic topic;

	put(f, "topics/pin/partition=0/pin+0+0000000000.json", "\"a\"\n\"b\"\n");
	f->group.first = 3;
	f->group.has_after = true;
	f->group.after = 1;
	add_object(f, PATH("1") "3.json", 3, "1\n2\n3\n", "\"k\"\nnull\n{\"base64\":\"/w==\"}\n",
		   "[]\n[{\"key\":\"h\",\"value\":\"v\"},{\"key\":\"\",\"value\":null}]\n"
		   "[{\"key\":\"b\",\"base64\":\"YQ==\"}]\n", true);
	add_object(f, PATH("2") "5.json", 5, "4\n", "\"\"\n", "[]\n", true);
	group_add_line(&f->group, 0, 3);
	group_add_line(&f->group, 0, 4);
	group_add_line(&f->group, 1, 5);
	group_add_line(&f->group, 0, 8);
	put_group(f);
	put(f, "topics/pin/day=1/pin+0+0000000009.json", "\"of no group\"\n");
	put(f, "topics/pin/partition=0/pin+0+0000000009.json", "\"too late to be plain\"\n");
	topic = run(f, false);
	assert_int_equal(topic.records, 6);
	assert_int_equal(topic.missing, 0);
	assert_log(f, "0:\"a\"(null) 1:\"b\"(null) 2-2!none 3:1(k) 4:2(null)[h=v][=null] 5:4() "
		      "6-7!none 8:3(\xff)[b=a] ");
}

/* What is held while objects are read: a packed one's whole text, and all of a group. */
static void test_what_is_held_is_counted_by_its_text(void **state)
{
	struct fixture *f = *state;
	struct restore_plan plan = { 0 };
	struct err err;

	f->group.first = 0;
	add_object(f, PATH("1") "0.json", 0, "1\n3\n", NULL, NULL, true);
	add_object(f, PATH("2") "1.json", 1, "2\n", NULL, NULL, true);
	group_add_line(&f->group, 0, 0);
	group_add_line(&f->group, 1, 1);
	group_add_line(&f->group, 0, 2);
	put_group(f);
	put(f, PATH("3") "2.json.gz", "packed");
	assert_ok(restore_plan(f->store, &plan, &err));
	assert_int_equal(plan.topics[0]->parts[0]->source_count, 1);
	assert_int_equal(plan.topics[0]->parts[0]->sources[0].size, 4 + 2 + 128 * 6);
	restore_plan_release(&plan);
}

static void test_an_object_of_a_group_is_gone(void **state)
{
	struct fixture *f = *state;
	struct restored_topic topic;

	f->group.first = 0;
	add_object(f, PATH("1") "0.json", 0, "1\n3\n", NULL, NULL, false);
	add_object(f, PATH("2") "1.json", 1, "2\n", NULL, NULL, true);
	group_add_line(&f->group, 0, 0);
	group_add_line(&f->group, 1, 1);
	group_add_line(&f->group, 0, 2);
	put_group(f);
	topic = run(f, false);
	assert_int_equal(topic.records, 1);
	assert_int_equal(topic.missing, 1);
	assert_log(f, "0-0!retention 1:2(null) 2-2!damaged ");
}

/* The log had lost all that the last group was to have: letters tell which. */
static void test_a_last_group_of_no_objects(void **state)
{
	struct fixture *f = *state;

	f->group.first = 0;
	add_object(f, PATH("0") "0.json", 0, "0\n", NULL, NULL, true);
	group_add_line(&f->group, 0, 0);
	put_group(f);
	f->group.first = 1;
	f->group.end = 1;
	f->group.amended = true;
	group_pass(&f->group, 4);
	put_group(f);
	assert_int_equal(run(f, false).records, 1);
	assert_log(f, "0:0(null) 1-3!damaged ");
}

static void put_unfinished(struct fixture *f)
{
	f->group.first = 0;
	add_object(f, PATH("0") "0.json", 0, "0\n", "\"k\"\n", NULL, true);
	group_add_line(&f->group, 0, 0);
	put_group(f);
	f->group.first = 1;
	add_object(f, PATH("1") "1.json", 1, "1\n3\n", "\"k\"\n\"l\"\n", NULL, true);
	add_object(f, PATH("2") "2.json", 2, "2\n", "\"m\"\n", NULL, false);
	group_add_line(&f->group, 0, 1);
	group_add_line(&f->group, 1, 2);
	group_add_line(&f->group, 0, 3);
	put_group(f);
}

static void test_a_group_that_is_not_whole(void **state)
{
	struct fixture *f = *state;
	struct restore_report report;
	struct err err;

	put_unfinished(f);
	assert_int_equal(restore_run(&f->options, &report, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "manifests/pin/partition=0/group+"));
	f->options.dry_run = true;
	assert_ok(restore_run(&f->options, &report, &err));
	assert_int_equal(report.unfinished, 1);
	restore_report_release(&report);
	assert_true(is_there(f, PATH("1") "1.json"));
	f->options.dry_run = false;
	f->options.drop_unfinished = true;
	assert_int_equal(run(f, false).records, 3);
	assert_log(f, "0:0(k) 1:1(k) 2-2!damaged 3:3(l) ");
	assert_false(is_there(f, PATH("1") "1.json") || is_there(f, PATH("1") "1.keys.json") ||
		     is_there(f, "manifests/pin/partition=0/group+00000000000000000001.json"));
	assert_true(is_there(f, PATH("0") "0.json") && is_there(f, PATH("0") "0.keys.json"));
	assert_int_equal(restore_run(&f->options, &report, &err), ERR_EXISTS);
}

/* The log is there, and what was to go is not gone yet: the next restore ends it. */
static void test_what_was_left_to_be_taken_away(void **state)
{
	struct fixture *f = *state;
	struct store *inner = f->store;
	struct restore_report report;
	struct err err;
	int at = 1;

	put_unfinished(f);
	f->options.drop_unfinished = true;
	for (;; at++) {
		struct store *faulty = store_faulty_new(inner, at, ERR_IO, false);
		enum err_code code;
		char path[SCRATCH_NAME_MAX + 32];

		f->options.store = faulty;
		code = restore_run(&f->options, &report, &err);
		if (code == ERR_OK)
			restore_report_release(&report);
		(void)snprintf(path, sizeof(path), "%s/log/restore.drop", f->dir);
		if (code != ERR_OK && access(path, F_OK) == 0) {
			f->options.store = f->store = faulty;
			break;
		}
		assert_int_not_equal(code, ERR_OK);
		free(faulty);	/* and not what is within */
	}
	(void)run(f, true);
	assert_false(is_there(f, PATH("1") "1.json") || is_there(f, PATH("1") "1.keys.json") ||
		     is_there(f, "manifests/pin/partition=0/group+00000000000000000001.json"));
	assert_log(f, "0:0(k) 1:1(k) 2-2!damaged 3:3(l) ");
}

static void test_sides_that_do_not_fit(void **state)
{
	struct fixture *f = *state;
	struct restore_report report;
	struct err err;

	f->group.first = 0;
	add_object(f, PATH("1") "0.json", 0, "1\n2\n", "\"k\"\n", NULL, true);
	group_add_line(&f->group, 0, 0);
	group_add_line(&f->group, 0, 1);
	put_group(f);
	assert_int_equal(restore_run(&f->options, &report, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "day=1"));
}

/* --- beside a sink and a batch ------------------------------------------------------ */

enum { ROUNDS_FIRST = 3, ROUNDS_MAX = 40, ROUND = 3, SEEDS = 200 };

/* A store in which the pipeline goes on before each listing and between its entries. */
struct busy {
	struct store_layer layer;
	unsigned seed;
	int rounds;
	store_each_fn *each;
	void *user;
};

static void busy_put(struct busy *busy, const char *key, const char *text)
{
	struct err err;

	assert_ok(store_put(busy->layer.inner, key, slice_str(text), STORE_CREATE, &err));
}

static void busy_put_table(struct busy *busy, int version)
{
	char key[200], text[500];

	(void)snprintf(key, sizeof(key), "tables/t/_delta_log/%020d.json", version);
	if (version == 0)
		(void)snprintf(text, sizeof(text), "%s",
			       "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
			       "{\"metaData\":{\"id\":\"t\",\"format\":{\"provider\":\"parquet\","
			       "\"options\":{}},\"schemaString\":\"{\\\"type\\\":\\\"struct\\\","
			       "\\\"fields\\\":[]}\",\"partitionColumns\":[],"
			       "\"configuration\":{}}}\n");
	else
		(void)snprintf(text, sizeof(text),
			       "{\"txn\":{\"appId\":\"pinpipe/batch/pin/0\",\"version\":%d}}\n",
			       version * ROUND - 1);
	busy_put(busy, key, text);
}

/* An object, a letter, an object with its manifest and the lineage of its record, a commit. */
static void busy_round(struct busy *busy)
{
	int at = busy->rounds++ * ROUND;
	struct lineage lineage = { 1, (uint64_t)busy->rounds };
	char name[200], line[300];
	struct buf key, text;

	(void)snprintf(name, sizeof(name), "topics/pin/partition=0/pin+0+%010d.json", at);
	busy_put(busy, name, "1\n");
	(void)snprintf(name, sizeof(name), "dlq/pin/partition=0/%020d-%020d.ndjson", at, at + 1);
	(void)snprintf(
		line, sizeof(line),
		"{\"topic\":\"pin\",\"partition\":\"0\",\"offset\":\"%020d\",\"stage\":\"sink\","
		"\"reason\":\"bad\",\"timestamp_ms\":0,\"value\":\"MQ==\"}\n",
		at + 1);
	busy_put(busy, name, line);
	buf_init(&key, 1000);
	buf_init(&text, 1000);
	lineage_write(&key, &text, where, (uint64_t)at + 2, lineage);
	busy_put(busy, buf_cstr(&key), buf_cstr(&text));
	(void)snprintf(name, sizeof(name), "manifests/pin/partition=0/%020d+%08x.json", at + 2,
		       crc32c(0, "3\n", 2));
	(void)snprintf(line, sizeof(line),
		       "{\"key\":\"topics/pin/partition=0/pin+0+%010d.json\","
		       "\"after\":null,\"runs\":[[\"%020d\",1]]}\n",
		       at + 2, at + 2);
	busy_put(busy, name, line);
	(void)snprintf(name, sizeof(name), "topics/pin/partition=0/pin+0+%010d.json", at + 2);
	busy_put(busy, name, "3\n");
	busy_put_table(busy, busy->rounds);
	buf_release(&key);
	buf_release(&text);
}

static void busy_go_on(struct busy *busy)
{
	for (int n = rand_r(&busy->seed) % 3; n > 0 && busy->rounds < ROUNDS_MAX; n--)
		busy_round(busy);
}

static bool busy_each(void *user, const struct store_entry *entry)
{
	struct busy *busy = user;
	bool more = busy->each(busy->user, entry);

	if (rand_r(&busy->seed) % 8 == 0)
		busy_go_on(busy);
	return more;
}

static enum err_code busy_list(struct store *store, const char *prefix, const char *after,
			       size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	struct busy *busy = (struct busy *)store;

	busy_go_on(busy);
	busy->each = each;
	busy->user = user;
	return store_layer_list(store, prefix, after, wanted, busy_each, busy, err);
}

static void busy_free(struct store *store) { (void)store; }

static const struct store_ops busy_ops = {
	.name = "busy",
	.layer = true,
	.put = store_layer_put,
	.get = store_layer_get,
	.stat = store_layer_stat,
	.list = busy_list,
	.remove = store_layer_remove,
	.fetch = store_layer_fetch,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = busy_free,
};

/* What came since it was listed is left out, whoever tells of it, and is no loss. */
static void test_what_comes_meanwhile_is_not_lost(void **state)
{
	int more = 0;

	(void)state;
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct store *inner = store_memory_new(1 << 20);
		struct busy busy = { .layer = { .base = { &busy_ops }, .inner = inner },
				     .seed = seed };
		struct restore_plan plan = { 0 };
		struct restore_reader *reader;
		struct restore_item item;
		uint64_t next = 0;
		struct err err;
		bool any;

		busy_put_table(&busy, 0);
		while (busy.rounds < ROUNDS_FIRST)
			busy_round(&busy);
		assert_ok(restore_plan(&busy.layer.base, &plan, &err));
		assert_int_equal(plan.count, 1);
		assert_ok(restore_reader_new(inner, plan.topics[0]->parts[0], &reader, &err));
		for (;;) {
			assert_ok(restore_reader_next(reader, &item, &any, &err));
			if (!any)
				break;
			if (item.gap || item.offset != next)
				fail_msg("seed %u: %d to %d are lost", seed, (int)next,
					 (int)item.next - 1);
			next = item.next;
		}
		assert_in_range(next, ROUNDS_FIRST * ROUND, (uint64_t)busy.rounds * ROUND);
		more += next < (uint64_t)busy.rounds * ROUND;
		restore_reader_free(reader);
		restore_plan_release(&plan);
		store_free(inner);
	}
	assert_in_range(more, SEEDS / 2, SEEDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, free_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_keys_and_headers),
		TEST(test_what_is_held_is_counted_by_its_text),
		TEST(test_an_object_of_a_group_is_gone),
		TEST(test_a_last_group_of_no_objects),
		TEST(test_a_group_that_is_not_whole),
		TEST(test_what_was_left_to_be_taken_away),
		TEST(test_sides_that_do_not_fit),
		cmocka_unit_test(test_what_comes_meanwhile_is_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
