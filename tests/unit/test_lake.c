/* The names of what lies in the lake. */
#include "backends/backends.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/mem.h"
#include "flow/census.h"
#include "flow/lake.h"
#include "flow/lake_text.h"
#include "flow/sink_foreign.h"
#include "flow/sink_recover.h"
#include "scratch.h"
#include "store/layer.h"
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

/* --- an object that another program puts again while it is read ------------------------ */

struct replacing {
	struct store_layer layer;
	const char *key;
	size_t at_get;	   /* before this one it is replaced; counted down */
	struct slice with; /* so many bytes */
};

static enum err_code replacing_get(struct store *store, const char *key, uint64_t from,
				   uint64_t len, struct buf *out, struct err *err)
{
	struct replacing *replacing = (struct replacing *)store;

	if (strcmp(key, replacing->key) == 0 && replacing->at_get > 0 && --replacing->at_get == 0)
		assert_int_equal(store_put(replacing->layer.inner, replacing->key, replacing->with,
					   STORE_REPLACE, err),
				 ERR_OK);
	return store_layer_get(store, key, from, len, out, err);
}

static void replacing_free(struct store *store)
{
	store_free(((struct replacing *)store)->layer.inner);
}

static const struct store_ops replacing_ops = {
	.name = "replacing",
	.layer = true,
	.put = store_layer_put,
	.get = replacing_get,
	.stat = store_layer_stat,
	.list = store_layer_list,
	.remove = store_layer_remove,
	.fetch = store_fetch_copy,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = replacing_free,
};

/* As many bytes; other lines. */
static void put_lines(struct buf *text, char of, size_t len, size_t bytes)
{
	buf_clear(text);
	while (text->len < bytes)
		buf_addf(text, "%0*d%c\n", (int)len - 2, 0, of);
}

static void test_a_text_is_of_one_object(void **state)
{
	static const char *const keys[] = { "t.json", "t.json.gz" };
	enum { BYTES = 6 * PIECE };
	struct buf old, new, body;
	struct err err = { 0 };

	(void)state;
	buf_init(&old, TEXT_MAX);
	buf_init(&new, TEXT_MAX);
	buf_init(&body, TEXT_MAX);
	put_lines(&old, 'a', 10, BYTES);
	put_lines(&new, 'b', 20, old.len);
	for (size_t key = 0; key < ARRAY_LEN(keys); key++)
		for (size_t at = 0; at < 4; at++) {
			struct replacing replacing = {
				.layer = { { &replacing_ops }, store_memory_new(TEXT_MAX) },
				.key = keys[key],
				.at_get = at,
			};
			struct store *store = &replacing.layer.base;
			struct lake_text_sum sum;
			uint64_t size;
			enum err_code code;

			put_text(replacing.layer.inner, &old);
			assert_ok(store_size(store, keys[key], &size, &err));
			buf_clear(&body);
			if (key == 1)
				gzip_pack(&body, buf_slice(&new), 0);
			replacing.with = key == 1 ? buf_slice(&body) : buf_slice(&new);
			lake_text_sum_init(&sum);
			code = lake_text_each_same(store, keys[key], size, PIECE,
						   lake_text_sum_take, &sum, &err);
			/* Of the packed one there is one get. */
			assert_int_equal(code, at == 0 || (key == 1 && at > 1) ? ERR_OK : ERR_BUSY);
			if (code == ERR_OK)
				assert_int_equal(sum.lines, old.len / 10);
			replacing_free(store);
		}
	buf_release(&old);
	buf_release(&new);
	buf_release(&body);
}

/* An object of another program, whose lines are counted in three ways. */
static enum err_code count_lines(struct store *store, int way, const char *key, uint64_t *ret_lines,
				 struct err *err)
{
	struct lake_partition where = { .topic = "t" };
	struct sink_foreign foreign;
	struct sink_place place;
	enum err_code code;
	uint64_t size;

	assert_int_equal(store_size(store, key, &size, err), ERR_OK);
	if (way == 0)
		return census_count_lines(store, key, size, ret_lines, err);
	code = way == 1 ? sink_foreign_find(store, where, &foreign, err)
			: sink_recover(store, where, &place, err);
	if (code != ERR_OK)
		return code;
	*ret_lines = way == 1 ? foreign.next : place.next;
	if (way == 1)
		buf_release(&foreign.last_lines);
	else
		sink_place_release(&place);
	return ERR_OK;
}

static void test_whoever_counts_anothers_lines(void **state)
{
	static const char *const keys[] = { "topics/t/partition=0/t+0+0000000000.json",
					    "topics/t/year=2026/month=01/t+0+0000000000.json",
					    "topics/t/partition=0/t+0+0000000000.json" };
	enum { BYTES = 9 << 20, MAX = 2 * BYTES };
	struct buf old, new;

	(void)state;
	buf_init(&old, MAX);
	buf_init(&new, MAX);
	put_lines(&old, 'a', 1000, BYTES);
	put_lines(&new, 'b', 500, old.len);
	for (int way = 0; way < (int)ARRAY_LEN(keys); way++)
		for (size_t at = 0; at <= 2; at += 2) {
			struct replacing replacing = {
				.layer = { { &replacing_ops }, store_memory_new(MAX) },
				.key = keys[way],
				.at_get = at,
				.with = buf_slice(&new),
			};
			struct store *store = &replacing.layer.base;
			struct err err = { 0 };
			uint64_t lines = 0;

			assert_ok(store_put(store, keys[way], buf_slice(&old), STORE_CREATE, &err));
			assert_int_equal(count_lines(store, way, keys[way], &lines, &err),
					 at ? ERR_BUSY : ERR_OK);
			assert_int_equal(lines, at ? 0 : old.len / 1000);
			replacing_free(store);
		}
	buf_release(&old);
	buf_release(&new);
}

static uint64_t goes_on_at(struct store *store)
{
	struct lake_partition where = { .topic = "t" };
	struct sink_place place;
	struct err err = { 0 };
	uint64_t next;

	assert_ok(sink_recover(store, where, &place, &err));
	next = place.next;
	sink_place_release(&place);
	return next;
}

/* A directory tells its last name, a service is searched; what comes behind may be no record's. */
static void test_the_last_object_is_found_in_any_store(void **state)
{
	static const struct {
		const char *name, *text;
		uint64_t next;
	} objects[] = {
		{ "0000000000.json", "1\n2\n", 2 },
		{ "0000000002.json", "3\n", 3 },
		{ "0000000003.json", "", 3 },
		{ "0000000003.keys.json", "1\n", 3 },
		{ "0000000009.json", "1\n", 10 },
		{ "note", "x", 10 },
		{ "9999999998.json", "1\n2\n", 10000000000 },
		{ "10000000000.json", "1\n", 10000000001 },
	};
	char dir[SCRATCH_NAME_MAX], key[STORE_KEY_MAX];
	struct err err = { 0 };
	struct store *stores[2] = { store_memory_new(1 << 20) };

	(void)state;
	scratch_dir(dir);
	assert_ok(store_file_new(dir, &stores[1], &err));
	for (size_t i = 0; i < ARRAY_LEN(objects); i++)
		for (size_t s = 0; s < ARRAY_LEN(stores); s++) {
			(void)snprintf(key, sizeof(key), "topics/t/partition=0/t+0+%s",
				       objects[i].name);
			assert_ok(store_put(stores[s], key, slice_str(objects[i].text),
					    STORE_CREATE, &err));
			assert_int_equal(goes_on_at(stores[s]), objects[i].next);
		}
	store_free(stores[0]);
	store_free(stores[1]);
	scratch_remove(dir);
}

static bool note_entry(void *user, const struct store_entry *entry)
{
	struct store_entry *to = user;

	to->size = entry->size;
	to->version = entry->version;
	return false;
}

/* In three parts; replaced before one of them, or twice. */
static void test_what_is_fetched_is_one_object(void **state)
{
	enum { BYTES = 17 << 20, MAX = 3 * BYTES };
	struct buf old, new;

	(void)state;
	buf_init(&old, MAX);
	buf_init(&new, MAX);
	put_lines(&old, 'a', 1000, BYTES);
	put_lines(&new, 'b', 1000, BYTES);
	for (size_t at = 0; at <= 3; at++) {
		struct replacing replacing = {
			.layer = { { &replacing_ops }, store_memory_new(MAX) },
			.key = "t.json",
			.at_get = at,
			.with = buf_slice(&new),
		};
		struct store *store = &replacing.layer.base;
		struct store_entry entry = { .key = "t.json" };
		struct store_fetched fetched;
		struct err err = { 0 };
		struct buf got;
		int sys = 0;

		assert_ok(store_put(store, "t.json", buf_slice(&old), STORE_CREATE, &err));
		assert_ok(store_list(store, "", "", note_entry, &entry, &err));
		assert_ok(store_fetch(store, &entry, &fetched, &err));
		buf_init(&got, MAX);
		assert_int_equal(fetched.size, old.len);
		assert_int_equal(
			file_read_at(fetched.fd, buf_room(&got, old.len), old.len, 0, &sys),
			old.len);
		buf_grew(&got, old.len);
		assert_true(slice_eq(buf_slice(&got), buf_slice(at ? &new : &old)));
		buf_release(&got);
		store_fetched_release(&fetched);
		replacing_free(store);
	}
	buf_release(&old);
	buf_release(&new);
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
		cmocka_unit_test(test_a_text_is_of_one_object),
		cmocka_unit_test(test_whoever_counts_anothers_lines),
		cmocka_unit_test(test_the_last_object_is_found_in_any_store),
		cmocka_unit_test(test_what_is_fetched_is_one_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
