/* The names of what lies in the lake. */
#include "backends/backends.h"
#include "base/gzip.h"
#include "base/mem.h"
#include "flow/lake.h"
#include "flow/lake_text.h"
#include "testing.h"

#define TOPIC "0e3bbd435bfb.pin"

static struct lake_partition at(const char *topic, int32_t partition)
{
	return (struct lake_partition){ .topic = topic, .id = partition };
}

static void test_keys_follow_the_layout(void **state)
{
	struct buf key;

	(void)state;
	buf_init(&key, 1000);
	lake_object_key(&key, at(TOPIC, 0), 42);
	assert_string_equal(buf_cstr(&key),
			    "topics/" TOPIC "/partition=0/" TOPIC "+0+0000000042.json");
	lake_object_key(&key, at("t", 12), 12345678901);
	assert_string_equal(buf_cstr(&key), "topics/t/partition=12/t+12+12345678901.json");
	lake_object_key(&key, (struct lake_partition){ "t", 3, 1 }, 7);
	assert_string_equal(buf_cstr(&key), "topics/t/partition=3/t+3+0000000007.json");
	lake_object_key(&key, (struct lake_partition){ "t", 3, 2 }, 7);
	assert_string_equal(buf_cstr(&key), "topics/t/generation=2/partition=3/t+3+0000000007.json");
	buf_release(&key);
}

static void test_names_of_both_paths(void **state)
{
	const struct clean_model clicks = { .model.name = "clicks",
					    .topic = "{id}.clicks",
					    .stream = "all-of-{id}" };
	struct lake_table table;
	struct err err;
	char long_id[200];

	(void)state;
	assert_ok(lake_table_init(&table, &clicks, TOPIC_LOG, "124df56aef51", &err));
	assert_string_equal(table.topic, "124df56aef51.clicks");
	assert_string_equal(table.root, "tables/124df56aef51_clicks_clean");
	assert_ok(lake_table_init(&table, &clicks, TOPIC_STREAM, "x", &err));
	assert_string_equal(table.topic, "all-of-x");
	assert_string_equal(table.root, "tables/x_clicks_table");
	memset(long_id, 'i', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	assert_int_equal(lake_table_init(&table, &clicks, TOPIC_STREAM, long_id, &err), ERR_USAGE);
}

static void test_keys_are_read_back(void **state)
{
	static const uint64_t starts[] = { 0, 42, 9999999999, 10000000000, 1234567890123456789 };
	struct buf key;

	(void)state;
	buf_init(&key, 1000);
	for (size_t i = 0; i < ARRAY_LEN(starts) * 2; i++) {
		struct lake_partition where = { TOPIC, 7, i % 2 ? 9999 : 1 };
		struct lake_object_name name;

		lake_object_key(&key, where, starts[i / 2]);
		assert_true(lake_object_parse(buf_cstr(&key), &name));
		assert_true(slice_is(name.topic, TOPIC));
		assert_int_equal(name.partition, 7);
		assert_int_equal(name.generation, where.generation);
		assert_int_equal(name.start, starts[i / 2]);
	}
	buf_release(&key);
}

static void test_what_is_no_object(void **state)
{
	static const char *const keys[] = {
		"", "topics", "topics/t", "topics/t/partition=0/", "tables/t/partition=0/t+0+0000000000.json",
		"topics/t/partition=0/u+0+0000000000.json", "topics/t/partition=0/t+1+0000000000.json",
		"topics/t/partition=0/t+0+000000000.json", "topics/t/partition=0/t+0+00000000000.json",
		"topics/t/partition=0/t+0+0000000000.json.gz", "topics/t/partition=0/t+0+0000000000.jso",
		"topics/t/partition=0/t+0+000000000x.json", "topics/t/partition=00/t+00+0000000000.json",
		"topics/t/partition=-1/t+-1+0000000000.json", "topics/t/partition=0/t+0+.json",
		"topics/t/partition=0/x/t+0+0000000000.json",
		"topics/t/partition=99999999999/t+99999999999+0000000000.json",
		"topics/t/generation=1/partition=0/t+0+0000000000.json",
		"topics/t/generation=02/partition=0/t+0+0000000000.json",
		"topics/t/generation=/partition=0/t+0+0000000000.json",
		"topics/t/generation=10000/partition=0/t+0+0000000000.json",
		"topics/t/generation=2x/partition=0/t+0+0000000000.json",
	};
	struct lake_object_name name;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_false(lake_object_parse(keys[i], &name));
}

static void test_offsets_and_positions(void **state)
{
	static const uint64_t offsets[] = { 0, 9, 10, 4294967296, INT64_MAX };
	struct position sequence;
	uint64_t offset;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
		char text[POSITION_TEXT_MAX], expected[POSITION_TEXT_MAX];

		(void)position_text(lake_position(offsets[i]), text);
		(void)snprintf(expected, sizeof(expected), "%020llu", (unsigned long long)offsets[i]);
		assert_string_equal(text, expected);
		assert_true(lake_offset(lake_position(offsets[i]), &offset));
		assert_int_equal(offset, offsets[i]);
	}
	assert_false(lake_offset(lake_position((uint64_t)INT64_MAX + 1), &offset));
	assert_false(lake_offset(lake_position(UINT64_MAX), &offset));
	assert_true(position_parse(slice_str("49683561428459134281932517430285"), &sequence));
	assert_false(lake_offset(sequence, &offset));
}

static bool note_start(void *user, const struct lake_entry *entry)
{
	buf_addf(user, "%llu ", (unsigned long long)entry->start);
	return entry->size != 3;
}

static void assert_listed(struct store *store, int64_t after, const char *expected)
{
	struct err err;
	struct buf starts;

	buf_init(&starts, 1000);
	assert_ok(lake_list_objects(store, at("t", 1), after, note_start, &starts, &err));
	assert_string_equal(buf_cstr(&starts), expected);
	buf_release(&starts);
}

/* Keys of different lengths are not in the order of the numbers in them. */
static void test_objects_are_listed_by_offset(void **state)
{
	static const uint64_t starts[] = { 7,	       9,	    1000000000,	  9000000000,
					   9000000001, 10000000000, 90000000000, 100000000000 };
	struct store *store = store_memory_new(1 << 20);
	struct buf key;
	struct err err;

	(void)state;
	buf_init(&key, 1000);
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		lake_object_key(&key, at("t", 1), starts[i]);
		assert_ok(store_put(store, buf_cstr(&key), slice_str("7\n"), STORE_CREATE, &err));
	}
	lake_object_key(&key, at("t", 10), 8); /* another partition */
	assert_ok(store_put(store, buf_cstr(&key), slice_str("7\n"), STORE_CREATE, &err));
	assert_listed(store, -1, "7 9 1000000000 9000000000 9000000001 10000000000 90000000000 "
				 "100000000000 ");
	assert_listed(store, 9000000000, "9000000001 10000000000 90000000000 100000000000 ");
	assert_listed(store, 50000000000, "90000000000 100000000000 ");
	assert_listed(store, 100000000000, "");
	for (int i = 0; i < 2; i++) { /* until it is enough, among both */
		lake_object_key(&key, at("t", 1), i ? 11 : 20000000000);
		assert_ok(store_put(store, buf_cstr(&key), slice_str("77\n"), STORE_CREATE, &err));
		assert_listed(store, i ? 9 : 9000000001, i ? "11 " : "10000000000 20000000000 ");
	}
	buf_release(&key);
	store_free(store);
}

/* --- texts that go by ------------------------------------------------------------ */

enum { TEXT_MAX = 4 << 20, PIECE = 4096, WANT = 10000 };

/* Under "t.json" and, packed, under "t.json.gz". */
static void put_text(struct store *store, const struct buf *text)
{
	struct buf packed;
	struct err err;

	buf_init(&packed, TEXT_MAX);
	gzip_pack(&packed, buf_slice(text), -1);
	assert_ok(store_put(store, "t.json", buf_slice(text), STORE_REPLACE, &err));
	assert_ok(store_put(store, "t.json.gz", buf_slice(&packed), STORE_REPLACE, &err));
	buf_release(&packed);
}

static void assert_tail(struct store *store, const char *key, const struct buf *text, size_t want)
{
	struct lake_text_tail tail;
	struct err err;
	size_t len;

	lake_text_tail_init(&tail, want);
	assert_ok(lake_text_each(store, key, PIECE, lake_text_tail_take, &tail, &err));
	assert_int_equal(tail.sum.bytes, text->len);
	len = tail.text.len;
	assert_in_range(len, want < text->len ? want : text->len, text->len);
	assert_memory_equal(tail.text.ptr, text->ptr + text->len - len, len);
	assert_true(len == text->len || text->ptr[text->len - len - 1] == '\n');
	assert_non_null(memchr(tail.text.ptr, '\n', len));
	lake_text_tail_release(&tail);
}

/* Lines of 1 to 200 bytes, or of one that is longer than all that is kept otherwise. */
static void test_the_end_of_a_text_that_went_by(void **state)
{
	struct store *store = store_memory_new(TEXT_MAX);
	struct buf text;

	(void)state;
	buf_init(&text, TEXT_MAX);
	for (int i = 0; i < 20; i++) {
		for (int line = 0; line < 50 * i * i; line++)
			buf_addf(&text, "%0*d\n", 1 + line % 199, line);
		if (i % 3 == 2)
			buf_addf(&text, "%0*d\n", 300000, i);
		if (text.len == 0)
			continue;
		put_text(store, &text);
		assert_tail(store, "t.json", &text, 0);
		assert_tail(store, "t.json.gz", &text, 0);
		assert_tail(store, "t.json", &text, WANT);
		assert_tail(store, "t.json.gz", &text, WANT);
		buf_clear(&text);
	}
	buf_release(&text);
	store_free(store);
}

static void test_what_is_no_text(void **state)
{
	struct store *store = store_memory_new(TEXT_MAX);
	struct lake_text_sum sum;
	struct buf packed;
	struct err err;

	(void)state;
	lake_text_sum_init(&sum);
	assert_int_equal(lake_text_each(store, "no.json", PIECE, lake_text_sum_take, &sum, &err),
			 ERR_ABSENT);
	assert_ok(store_put(store, "empty.json.gz", slice_str(""), STORE_CREATE, &err));
	assert_ok(lake_text_each(store, "empty.json.gz", PIECE, lake_text_sum_take, &sum, &err));
	assert_int_equal(sum.bytes, 0);
	assert_int_equal(sum.last, '\n');
	buf_init(&packed, TEXT_MAX);
	gzip_pack(&packed, slice_str("a\nb\n"), -1);
	packed.len--;
	assert_ok(store_put(store, "cut.json.gz", buf_slice(&packed), STORE_CREATE, &err));
	assert_int_equal(
		lake_text_each(store, "cut.json.gz", PIECE, lake_text_sum_take, &sum, &err),
		ERR_CORRUPT);
	assert_string_equal(err.msg, "object \"cut.json.gz\": the gzip file is cut");
	buf_release(&packed);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_follow_the_layout),
		cmocka_unit_test(test_names_of_both_paths),
		cmocka_unit_test(test_keys_are_read_back),
		cmocka_unit_test(test_what_is_no_object),
		cmocka_unit_test(test_offsets_and_positions),
		cmocka_unit_test(test_objects_are_listed_by_offset),
		cmocka_unit_test(test_the_end_of_a_text_that_went_by),
		cmocka_unit_test(test_what_is_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
