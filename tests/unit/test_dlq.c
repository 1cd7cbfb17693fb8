/* Dead letters come back as they went in, each once; and only those that lost are removed. */
#include "backends/backends.h"
#include "base/mem.h"
#include "broker/sequence.h"
#include "flow/dlq.h"
#include "testing.h"

static const struct topic_ref topic = { TOPIC_LOG, "t" };

static struct dlq_letter letter(uint64_t offset, const char *value)
{
	return (struct dlq_letter){
		.position = position_of_offset(offset),
		.timestamp_ms = 1600000000000 + (int64_t)offset,
		.value = value ? slice_str(value) : slice_of(NULL, 0),
		.reason = "no \"JSON\"",
	};
}

static const char *table_of(const char *stage) { return strcmp(stage, "sink") ? "pin" : NULL; }

/* The letters of a stage and a partition. */
static struct dlq_source from(const char *stage, int32_t partition)
{
	return (struct dlq_source){
		.stage = stage, .table = table_of(stage), .topic = topic, .partition = partition
	};
}

static void set_range(struct dlq_batch *batch, int64_t after, uint64_t upto)
{
	struct position at = position_of_offset((uint64_t)after);

	dlq_batch_range(batch, after < 0 ? NULL : &at, position_of_offset(upto));
}

static struct dlq_batch *new_batch(struct store *store, const char *stage)
{
	struct dlq_source source = from(stage, 0);

	return dlq_batch_new(store, &source);
}

/* The end of the sink's letters beyond an offset; -1: there are none. */
static int64_t end_after(struct store *store, int32_t partition, int64_t after)
{
	struct dlq_source source = from("sink", partition);
	struct position at = position_of_offset((uint64_t)after), last;
	struct err err;
	bool any;

	assert_ok(dlq_end(store, &source, after < 0 ? NULL : &at, &any, &last, &err));
	return any ? (int64_t)position_ordinal(last) : -1;
}

/* Letters [first, first + count) as those of the range (after, upto]; the batch has written
 * them. */
static struct dlq_batch *write_range(struct store *store, const char *stage, int64_t after,
				     uint64_t upto, uint64_t first, uint64_t count,
				     const char *value)
{
	struct dlq_batch *batch = new_batch(store, stage);
	struct err err = { 0 };

	for (uint64_t i = count; i-- > 0;) {	/* from the last to the first: any order will do */
		struct dlq_letter one = letter(first + i, value);

		assert_ok(dlq_batch_add(batch, &one, &err));
	}
	set_range(batch, after, upto);
	assert_ok(dlq_batch_write(batch, &err));
	return batch;
}

static void write_letters(struct store *store, const char *stage, uint64_t first, uint64_t count)
{
	dlq_batch_free(write_range(store, stage, (int64_t)first - 1, first + count - 1, first,
				   count, "raw"));
}

static void settle(struct dlq_batch *batch)
{
	struct err err = { 0 };

	assert_ok(dlq_settle(batch, &err));
	dlq_batch_free(batch);
}

/* As programs before ranges wrote it: an object of one letter. */
static void write_old(struct store *store, const char *stage, uint64_t offset)
{
	const char *table = table_of(stage);
	struct err err = { 0 };
	struct buf key, body;

	buf_init(&key, 1000);
	buf_init(&body, 1000);
	buf_addf(&key, "dlq/t/partition=0/t+0+%010llu.ndjson", (unsigned long long)offset);
	buf_addf(&body,
		 "{\"topic\":\"t\",\"partition\":\"0\",\"offset\":\"%020llu\",\"stage\":\"%s\","
		 "%s%s%s\"reason\":\"no \\\"JSON\\\"\",\"timestamp_ms\":1,\"value\":\"YQ==\"}\n",
		 (unsigned long long)offset, stage, table ? "\"table\":\"" : "", table ? table : "",
		 table ? "\"," : "");
	assert_ok(store_put(store, buf_cstr(&key), buf_slice(&body), STORE_CREATE, &err));
	buf_release(&body);
	buf_release(&key);
}

static bool count_key(void *user, const struct store_entry *entry)
{
	(void)entry;
	(*(int *)user)++;
	return true;
}

static int objects_in(struct store *store)
{
	struct err err = { 0 };
	int count = 0;

	assert_ok(store_list(store, "dlq/", "", count_key, &count, &err));
	return count;
}

/* Appends "stage:offset " of a letter. */
static bool collect(void *user, const struct dlq_entry *entry)
{
	assert_true(entry->placed);
	buf_addf(user, "%.*s:", SLICE_ARG(entry->stage));
	if (entry->generation > 1)
		buf_addf(user, "g%u:", entry->generation);
	buf_addf(user, "%d", (int)position_ordinal(entry->position));
	if (position_cmp(entry->last_position, entry->position) != 0)
		buf_addf(user, "-%d", (int)position_ordinal(entry->last_position));
	buf_add_char(user, ' ');
	return true;
}

static void assert_letters(struct store *store, const char *of, const char *expected)
{
	struct err err = { 0 };
	struct buf got;

	buf_init(&got, 10000);
	assert_ok(dlq_list(store, of, collect, &got, &err));
	assert_string_equal(buf_cstr(&got), expected);
	buf_release(&got);
}

static void test_format(void **state)
{
	struct store *store = store_memory_new(1 << 20);
	struct dlq_batch *batch = new_batch(store, "sink");
	struct dlq_letter bytes = letter(5, "\xff{"), tombstone = letter(6, NULL);
	struct err err = { 0 };
	struct buf body;

	(void)state;
	buf_init(&body, 10000);
	assert_ok(dlq_batch_write(batch, &err));	/* nothing to write */
	set_range(batch, 4, 6);
	assert_ok(dlq_batch_add(batch, &tombstone, &err));
	assert_ok(dlq_batch_add(batch, &bytes, &err));
	assert_int_equal(dlq_batch_count(batch), 2);
	assert_ok(dlq_batch_write(batch, &err));
	assert_int_equal(dlq_batch_count(batch), 0);
	assert_ok(store_get(store,
			    "dlq/t/partition=0/00000000000000000004-00000000000000000006.ndjson", 0,
			    UINT64_MAX, &body, &err));
	assert_string_equal(buf_cstr(&body),
		"{\"topic\":\"t\",\"partition\":\"0\",\"offset\":\"00000000000000000005\","
		"\"stage\":\"sink\",\"reason\":\"no \\\"JSON\\\"\",\"timestamp_ms\":1600000000005,"
		"\"value\":\"/3s=\"}\n"
		"{\"topic\":\"t\",\"partition\":\"0\",\"offset\":\"00000000000000000006\","
		"\"stage\":\"sink\",\"reason\":\"no \\\"JSON\\\"\",\"timestamp_ms\":1600000000006,"
		"\"value\":null}\n");
	buf_release(&body);
	dlq_batch_free(batch);
	store_free(store);
}

struct seen {
	size_t count;
	bool null_value;
};

static bool look(void *user, const struct dlq_entry *entry)
{
	struct seen *seen = user;

	assert_true(slice_is(entry->topic, "t"));
	assert_true(slice_is(entry->partition, "0"));
	assert_true(slice_is(entry->reason, "no \"JSON\""));
	assert_true(entry->timestamp_ms > 1600000000000);
	if (entry->value.ptr)
		assert_memory_equal(entry->value.ptr, "a\xff\n", entry->value.len);
	else
		seen->null_value = true;
	seen->count++;
	return true;
}

static void test_values_come_back(void **state)
{
	static const char *const values[] = { "a\xff\n", "", NULL };
	struct store *store = store_memory_new(1 << 20);
	struct dlq_batch *batch = new_batch(store, "sink");
	struct seen seen = { 0 };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct dlq_letter one = letter(i + 1, values[i]);

		assert_ok(dlq_batch_add(batch, &one, &err));
	}
	set_range(batch, -1, 3);
	assert_ok(dlq_batch_write(batch, &err));
	assert_ok(dlq_list(store, "t", look, &seen, &err));
	assert_int_equal(seen.count, 3);
	assert_true(seen.null_value);
	dlq_batch_free(batch);
	store_free(store);
}

static void test_list_is_in_order(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	write_letters(store, "sink", 100, 2);
	write_letters(store, "batch", 3, 3);
	assert_letters(store, NULL, "batch:3 batch:4 batch:5 sink:100 sink:101 ");
	assert_letters(store, "t", "batch:3 batch:4 batch:5 sink:100 sink:101 ");
	assert_letters(store, "other", "");
	store_free(store);
}

/* A range of lost records is one letter. */
static void test_a_range_is_one_letter(void **state)
{
	struct store *store = store_memory_new(1 << 20);
	struct dlq_batch *batch = new_batch(store, "sink");
	struct dlq_letter lost = { .position = position_of_offset(5),
				   .last = position_of_offset(1004),
				   .reason = "damaged in the log" };
	struct err err = { 0 };
	struct buf body;

	(void)state;
	buf_init(&body, 10000);
	assert_ok(dlq_batch_add(batch, &lost, &err));
	set_range(batch, 4, 1004);
	assert_ok(dlq_batch_write(batch, &err));
	assert_ok(store_get(store,
			    "dlq/t/partition=0/00000000000000000004-00000000000000001004.ndjson", 0,
			    UINT64_MAX, &body, &err));
	assert_string_equal(
		buf_cstr(&body),
		"{\"topic\":\"t\",\"partition\":\"0\",\"offset\":\"00000000000000000005\","
		"\"last\":\"00000000000000001004\",\"stage\":\"sink\",\"reason\":\"damaged in the log\","
		"\"timestamp_ms\":0,\"value\":null}\n");
	assert_letters(store, "t", "sink:5-1004 ");
	assert_int_equal(end_after(store, 0, 4), 1004);
	buf_release(&body);
	dlq_batch_free(batch);
	store_free(store);
}

/* The letters of two generations, whose positions are the same, do not meet. */
static void test_generations_are_apart(void **state)
{
	struct dlq_source source = { .stage = "sink", .topic = topic, .generation = 2 };
	struct store *store = store_memory_new(1 << 20);
	struct dlq_batch *batch = dlq_batch_new(store, &source);
	struct dlq_letter one = letter(5, "raw");
	struct position last;
	struct err err = { 0 };
	bool any;

	(void)state;
	write_letters(store, "sink", 1, 9);
	assert_ok(dlq_end(store, &source, NULL, &any, &last, &err));
	assert_false(any);
	assert_ok(dlq_batch_add(batch, &one, &err));
	set_range(batch, 4, 5);
	assert_ok(dlq_batch_write(batch, &err));
	settle(batch);
	assert_ok(dlq_end(store, &source, NULL, &any, &last, &err));
	assert_true(any);
	assert_int_equal(position_ordinal(last), 5);
	assert_int_equal(end_after(store, 0, -1), 9);
	assert_letters(store, "t",
		       "sink:g2:5 sink:1 sink:2 sink:3 sink:4 sink:5 sink:6 sink:7 sink:8 sink:9 ");
	store_free(store);
}

/* Two workers cleaned from the same place, and cut differently: each letter is given once. */
static void test_doubles_are_given_once(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	dlq_batch_free(write_range(store, "batch", 9, 40, 10, 5, "raw")); /* 10 to 14 */
	dlq_batch_free(write_range(store, "batch", 9, 12, 10, 3, "raw"));
	dlq_batch_free(write_range(store, "batch", 12, 14, 13, 2, "raw"));
	dlq_batch_free(write_range(store, "batch", 40, 41, 41, 1, "raw"));
	dlq_batch_free(write_range(store, "sink", 41, 42, 42, 1, "raw")); /* of another stage */
	assert_int_equal(objects_in(store), 5);
	assert_letters(store, "t",
		       "batch:10 batch:11 batch:12 batch:13 batch:14 batch:41 sink:42 ");
	store_free(store);
}

/* What a program of before left when it died, and this one wrote once more. */
static void test_doubles_of_old_letters(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	write_old(store, "batch", 3);
	write_old(store, "batch", 10);
	dlq_batch_free(write_range(store, "batch", 9, 12, 10, 2, "raw"));
	assert_letters(store, "t", "batch:3 batch:10 batch:11 ");
	store_free(store);
}

static void test_letters_of_the_same_range_are_recognised(void **state)
{
	struct store *store = store_memory_new(1 << 20);
	struct dlq_batch *batch;
	struct err err = { 0 };

	(void)state;
	dlq_batch_free(write_range(store, "batch", 9, 40, 10, 5, "raw"));
	dlq_batch_free(write_range(store, "batch", 9, 40, 10, 5, "raw"));
	assert_int_equal(objects_in(store), 1);
	/* Settled after a commit that was tried twice. */
	batch = write_range(store, "batch", 9, 40, 10, 5, "raw");
	set_range(batch, 9, 40);
	assert_ok(dlq_batch_write(batch, &err));
	settle(batch);
	assert_int_equal(objects_in(store), 1);
	/* Another model finds others: they get a name of their own, and the first lose. */
	settle(write_range(store, "batch", 9, 40, 11, 3, "others"));
	assert_int_equal(objects_in(store), 1);
	assert_letters(store, "t", "batch:11 batch:12 batch:13 ");
	store_free(store);
}

static void test_only_what_lost_is_removed(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	dlq_batch_free(write_range(store, "batch", -1, 5, 1, 2, "raw"));   /* committed, … */
	dlq_batch_free(write_range(store, "batch", 5, 9, 6, 1, "raw"));	   /* … both */
	dlq_batch_free(write_range(store, "batch", 9, 99, 10, 1, "raw"));  /* lost */
	dlq_batch_free(write_range(store, "batch", 9, 12, 10, 2, "raw"));  /* lost */
	dlq_batch_free(write_range(store, "batch", 20, 24, 21, 1, "raw")); /* to come */
	dlq_batch_free(write_range(store, "sink", 12, 13, 13, 1, "raw"));  /* the sink's */
	settle(write_range(store, "batch", 9, 20, 10, 3, "raw"));
	assert_int_equal(objects_in(store), 5);
	assert_letters(store, "t",
		       "batch:1 batch:2 batch:6 batch:10 batch:11 batch:12 sink:13 batch:21 ");
	/* And where the winner has no letters at all. */
	settle(write_range(store, "batch", 20, 30, 0, 0, NULL));
	assert_letters(store, "t", "batch:1 batch:2 batch:6 batch:10 batch:11 batch:12 sink:13 ");
	/* What begins where nothing was. */
	dlq_batch_free(write_range(store, "batch", -1, 4, 4, 1, "raw"));
	settle(write_range(store, "batch", -1, 5, 1, 2, "raw"));
	assert_letters(store, "t", "batch:1 batch:2 batch:6 batch:10 batch:11 batch:12 sink:13 ");
	store_free(store);
}

static void test_old_letters_past_progress_lose(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	write_old(store, "batch", 9);
	write_old(store, "sink", 10);
	write_old(store, "batch", 11);
	write_old(store, "batch", 12);
	write_old(store, "sink", 13);
	settle(write_range(store, "batch", 9, 12, 12, 1, "raw"));
	assert_letters(store, "t", "batch:9 sink:10 sink:13 batch:12 ");
	assert_int_equal(objects_in(store), 4);
	store_free(store);
}

static enum err_code note_object(void *user, const struct dlq_object *object, struct err *err)
{
	char *keys = user;
	size_t len = strlen(keys);
	uint64_t from = 0;

	(void)err;
	assert_int_equal(object->partition, 0);
	assert_false(object->begins);
	assert_true(lake_offset(object->from, &from));
	(void)snprintf(keys + len, 100 - len, "%s %d, ", object->has_from ? "first" : "from",
		       (int)from);
	return ERR_OK;
}

static void test_all_of_a_table_are_found(void **state)
{
	char keys[100] = "";
	const struct clean_model model = { .model.name = "pin", .topic = "t" };
	struct store *store = store_memory_new(1 << 20);
	struct lake_table table;
	struct err err = { 0 };

	(void)state;
	assert_ok(lake_table_init(&table, &model, TOPIC_LOG, "id", &err));
	write_old(store, "batch", 1);
	write_old(store, "sink", 2);
	dlq_batch_free(write_range(store, "batch", 2, 9, 3, 2, "raw"));
	dlq_batch_free(write_range(store, "sink", 9, 10, 10, 1, "raw"));
	assert_ok(dlq_objects(store, &table, note_object, keys, &err));
	assert_string_equal(keys, "from 2, first 1, ");
	store_free(store);
}

static void test_the_end_of_a_stage(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	assert_int_equal(end_after(store, 0, 7), -1);
	write_old(store, "sink", 3);
	write_old(store, "sink", 8);
	write_old(store, "batch", 9);
	assert_int_equal(end_after(store, 0, -1), 8);
	assert_int_equal(end_after(store, 0, 7), 8);
	assert_int_equal(end_after(store, 0, 8), -1);
	write_letters(store, "sink", 10, 5);
	write_letters(store, "batch", 40, 5);
	assert_int_equal(end_after(store, 0, 9), 14);
	assert_int_equal(end_after(store, 0, 14), -1);
	assert_int_equal(end_after(store, 1, -1), -1);
	store_free(store);
}

/* The answer to a write was lost: writing again must neither fail nor write twice. */
static void test_write_again_after_a_lost_answer(void **state)
{
	struct store *store = store_faulty_new(store_memory_new(1 << 20), 1, ERR_UNKNOWN, true);
	struct dlq_batch *batch = new_batch(store, "sink");
	struct dlq_letter one = letter(5, "raw");
	struct err err = { 0 };

	(void)state;
	assert_ok(dlq_batch_add(batch, &one, &err));
	set_range(batch, 4, 5);
	assert_int_equal(dlq_batch_write(batch, &err), ERR_UNKNOWN);
	assert_ok(dlq_batch_write(batch, &err));
	assert_letters(store, "t", "sink:5 ");
	assert_int_equal(objects_in(store), 1);
	dlq_batch_free(batch);
	store_free(store);
}

/* More than an object holds, and than memory is to: several, cut in the same places whoever writes
 * them. */
static void test_a_range_has_several_objects(void **state)
{
	struct store *store = store_memory_new(256 << 20);
	char *large = xmalloc(9 << 20);
	struct err err = { 0 };

	(void)state;
	memset(large, 'x', 9 << 20);
	for (int round = 0; round < 2; round++) {
		struct dlq_batch *batch = new_batch(store, "sink");

		for (uint64_t i = 0; i < 8; i++) {
			struct dlq_letter one = letter(round ? i : 7 - i, NULL);

			one.value = slice_of(large, 9 << 20);
			assert_ok(dlq_batch_add(batch, &one, &err));
		}
		set_range(batch, -1, 7);
		assert_ok(dlq_batch_write(batch, &err));
		assert_int_equal(objects_in(store), 4);
		settle(batch);
		assert_int_equal(objects_in(store), 4);
	}
	assert_letters(store, "t", "sink:0 sink:1 sink:2 sink:3 sink:4 sink:5 sink:6 sink:7 ");
	free(large);
	store_free(store);
}

static void test_a_letter_has_a_limit(void **state)
{
	struct store *store = store_memory_new(1 << 20);
	struct dlq_batch *batch = new_batch(store, "sink");
	char *large = xmalloc(26 << 20);
	struct dlq_letter one = letter(0, NULL);
	struct err err = { 0 };

	(void)state;
	memset(large, 'x', 26 << 20);
	one.value = slice_of(large, 26 << 20);
	assert_int_equal(dlq_batch_add(batch, &one, &err), ERR_LIMIT);
	assert_int_equal(dlq_batch_count(batch), 0);
	free(large);
	dlq_batch_free(batch);
	store_free(store);
}

static void test_damaged_letters_are_reported(void **state)
{
	struct store *store = store_memory_new(1 << 20);
	struct err err = { 0 };
	struct buf got;

	(void)state;
	buf_init(&got, 1000);
	write_letters(store, "sink", 1, 1);
	assert_ok(store_put(store, "dlq/t/partition=0/t+0+0000000002.ndjson", slice_str("{}\n"),
			    STORE_CREATE, &err));
	assert_int_equal(dlq_list(store, "t", collect, &got, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "0000000002.ndjson"));
	buf_release(&got);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_values_come_back),
		cmocka_unit_test(test_list_is_in_order),
		cmocka_unit_test(test_a_range_is_one_letter),
		cmocka_unit_test(test_generations_are_apart),
		cmocka_unit_test(test_doubles_are_given_once),
		cmocka_unit_test(test_doubles_of_old_letters),
		cmocka_unit_test(test_letters_of_the_same_range_are_recognised),
		cmocka_unit_test(test_only_what_lost_is_removed),
		cmocka_unit_test(test_old_letters_past_progress_lose),
		cmocka_unit_test(test_all_of_a_table_are_found),
		cmocka_unit_test(test_the_end_of_a_stage),
		cmocka_unit_test(test_write_again_after_a_lost_answer),
		cmocka_unit_test(test_a_range_has_several_objects),
		cmocka_unit_test(test_a_letter_has_a_limit),
		cmocka_unit_test(test_damaged_letters_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
