/* Dead letters come back as they went in, and only a stage's own are forgotten. */
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

/* The letters of a stage and a partition. */
static struct dlq_source from(const char *stage, int32_t partition)
{
	return (struct dlq_source){ .stage = stage, .topic = topic, .partition = partition };
}

static struct dlq_batch *new_batch(struct store *store, const char *stage)
{
	struct dlq_source source = from(stage, 0);

	return dlq_batch_new(store, &source);
}

static void forget_after(struct store *store, const char *stage, int32_t partition, int64_t ordinal)
{
	struct dlq_source source = from(stage, partition);
	struct err err;

	assert_ok(dlq_forget_after(store, &source, ordinal, &err));
}

static uint64_t end_of(struct store *store, int32_t partition, uint64_t at)
{
	struct dlq_source source = from("sink", partition);
	struct err err;
	uint64_t end;

	assert_ok(dlq_end(store, &source, at, &end, &err));
	return end;
}

static void write_letters(struct store *store, const char *stage, uint64_t first, uint64_t count)
{
	struct dlq_batch *batch = new_batch(store, stage);
	struct err err = { 0 };

	for (uint64_t i = count; i-- > 0;) {	/* from the last to the first: any order will do */
		struct dlq_letter one = letter(first + i, "raw");

		assert_ok(dlq_batch_add(batch, &one, &err));
	}
	assert_ok(dlq_batch_write(batch, &err));
	dlq_batch_free(batch);
}

/* Appends "stage:offset " of a letter. */
static bool collect(void *user, const struct dlq_entry *entry)
{
	struct position position;

	assert_true(position_parse(entry->offset, &position));
	buf_addf(user, "%.*s:%d ", SLICE_ARG(entry->stage), (int)position_ordinal(position));
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
	assert_ok(dlq_batch_add(batch, &tombstone, &err));
	assert_ok(dlq_batch_add(batch, &bytes, &err));
	assert_int_equal(dlq_batch_count(batch), 2);
	assert_ok(dlq_batch_write(batch, &err));
	assert_int_equal(dlq_batch_count(batch), 0);
	assert_ok(store_get(store, "dlq/t/partition=0/t+0+0000000005.ndjson", 0, UINT64_MAX, &body,
			    &err));
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

static void test_forget_only_own_and_later(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	write_letters(store, "batch", 1, 2);
	write_letters(store, "sink", 10, 1);
	write_letters(store, "batch", 20, 2);
	write_letters(store, "batch", 30, 1);
	forget_after(store, "batch", 1, -1); /* another partition */
	forget_after(store, "batch", 0, 30);
	assert_letters(store, "t", "batch:1 batch:2 sink:10 batch:20 batch:21 batch:30 ");
	forget_after(store, "batch", 0, 5);
	assert_letters(store, "t", "batch:1 batch:2 sink:10 ");
	forget_after(store, "batch", 0, -1);
	assert_letters(store, "t", "sink:10 ");
	store_free(store);
}

static void test_forget_knows_the_first_ordinal(void **state)
{
	struct store *store = store_memory_new(1 << 20);

	(void)state;
	write_letters(store, "batch", 0, 1);
	forget_after(store, "batch", 0, 0);
	assert_letters(store, "t", "batch:0 ");
	forget_after(store, "batch", 0, -1);
	assert_letters(store, "t", "");
	store_free(store);
}

static void test_the_end_of_a_stage(void **state)
{
	struct store *store = store_memory_new(1 << 20);
	uint64_t end = 0;

	(void)state;
	end = end_of(store, 0, 7);
	assert_int_equal(end, 7);
	write_letters(store, "sink", 10, 5);
	write_letters(store, "batch", 40, 5);
	end = end_of(store, 0, 10);
	assert_int_equal(end, 15);
	end = end_of(store, 0, 15);
	assert_int_equal(end, 15);
	end = end_of(store, 1, 0);
	assert_int_equal(end, 0);
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
	assert_int_equal(dlq_batch_write(batch, &err), ERR_UNKNOWN);
	assert_ok(dlq_batch_write(batch, &err));
	assert_letters(store, "t", "sink:5 ");
	one.timestamp_ms++;
	assert_ok(dlq_batch_add(batch, &one, &err));
	assert_int_equal(dlq_batch_write(batch, &err), ERR_EXISTS);
	dlq_batch_free(batch);
	store_free(store);
}

static void test_a_batch_has_a_limit(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct dlq_batch *batch = new_batch(store, "sink");
	char *large = xmalloc(9 << 20);
	struct dlq_letter one = letter(0, NULL);
	struct err err = { 0 };

	(void)state;
	memset(large, 'x', 9 << 20);
	one.value = slice_of(large, 9 << 20);
	assert_ok(dlq_batch_add(batch, &one, &err));
	one.position = position_of_offset(1);
	assert_ok(dlq_batch_add(batch, &one, &err));
	one.position = position_of_offset(2);
	assert_int_equal(dlq_batch_add(batch, &one, &err), ERR_LIMIT);
	assert_ok(dlq_batch_write(batch, &err));
	assert_ok(dlq_batch_add(batch, &one, &err));
	assert_ok(dlq_batch_write(batch, &err));
	assert_letters(store, "t", "sink:0 sink:1 sink:2 ");
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
		cmocka_unit_test(test_forget_only_own_and_later),
		cmocka_unit_test(test_forget_knows_the_first_ordinal),
		cmocka_unit_test(test_the_end_of_a_stage),
		cmocka_unit_test(test_write_again_after_a_lost_answer),
		cmocka_unit_test(test_a_batch_has_a_limit),
		cmocka_unit_test(test_damaged_letters_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
