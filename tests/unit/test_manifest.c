/* Manifests: which offsets the lines of an object have. */
#include "backends/backends.h"
#include "base/mem.h"
#include "flow/manifest.h"
#include "testing.h"

static const struct lake_partition where = { .topic = "t", .id = 1 };

static struct manifest manifest_of(const uint64_t *offsets, size_t count)
{
	struct manifest manifest = { 0 };

	for (size_t i = 0; i < count; i++)
		manifest_add(&manifest, offsets[i]);
	return manifest;
}

static void put(struct store *store, const char *key, const char *text)
{
	struct err err;

	assert_ok(store_put(store, key, slice_str(text), STORE_CREATE, &err));
}

static void put_manifest(struct store *store, const struct manifest *manifest, const char *object)
{
	struct buf key, text;

	buf_init(&key, 1000);
	buf_init(&text, 10000);
	manifest_write(manifest, where, slice_str(object), &key, &text);
	put(store, buf_cstr(&key), buf_cstr(&text));
	buf_release(&key);
	buf_release(&text);
}

/* The offsets that the object's lines have by what lies in the store. */
static void assert_offsets(struct store *store, uint64_t start, const char *object,
			   const uint64_t *offsets, size_t count, uint64_t from)
{
	struct manifests manifests;
	struct manifest_cursor cursor;
	struct manifest manifest;
	struct err err = { 0 };

	assert_ok(manifests_load(store, where, (int64_t)start - 1, &manifests, &err));
	assert_ok(manifests_find(&manifests, store, start, slice_str(object), &manifest, &err));
	assert_int_equal(manifest_count_lines(slice_str(object)), count);
	assert_int_equal(manifest_from(&manifest), from);
	cursor = manifest_begin(&manifest);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(manifest_next(&cursor), offsets[i]);
		assert_int_equal(manifest_offset(&manifest, i), offsets[i]);
	}
	manifest_release(&manifest);
	manifests_release(&manifests);
}

static void test_its_text_is_the_format(void **state)
{
	static const uint64_t offsets[] = { 7, 8, 11 };
	struct manifest manifest = manifest_of(offsets, ARRAY_LEN(offsets));
	struct buf key, text;

	(void)state;
	buf_init(&key, 1000);
	buf_init(&text, 1000);
	assert_true(manifest_is_needed(&manifest));
	manifest_write(&manifest, where, slice_str("123456789"), &key, &text);
	assert_string_equal(buf_cstr(&key),
			    "manifests/t/partition=1/00000000000000000007+e3069283.json");
	assert_string_equal(buf_cstr(&text),
			    "{\"key\":\"topics/t/partition=1/t+1+0000000007.json\",\"after\":null,"
			    "\"runs\":[[\"00000000000000000007\",2],[\"00000000000000000011\",1]]}\n");
	manifest.has_after = true;
	manifest.after = 4;
	manifest_write(&manifest, (struct lake_partition){ "t", 1, 3 }, slice_str("123456789"),
		       &key, &text);
	assert_string_equal(buf_cstr(&key), "manifests/t/generation=3/partition=1/"
			    "00000000000000000007+e3069283.json");
	assert_string_equal(buf_cstr(&text),
			    "{\"key\":\"topics/t/generation=3/partition=1/t+1+0000000007.json\","
			    "\"after\":\"00000000000000000004\","
			    "\"runs\":[[\"00000000000000000007\",2],[\"00000000000000000011\",1]]}\n");
	manifest_release(&manifest);
	buf_release(&key);
	buf_release(&text);
}

static void test_only_gaps_need_one(void **state)
{
	static const uint64_t offsets[] = { 7, 8, 9 };
	struct manifest manifest = manifest_of(offsets, ARRAY_LEN(offsets));

	(void)state;
	assert_false(manifest_is_needed(&manifest));
	manifest.has_after = true;
	assert_true(manifest_is_needed(&manifest));
	manifest_clear(&manifest);
	assert_false(manifest_is_needed(&manifest));
	manifest_add(&manifest, 3);
	manifest_add(&manifest, 5);
	assert_int_equal(manifest.start, 3);
	assert_true(manifest_is_needed(&manifest));
	manifest_release(&manifest);
}

static void test_an_object_finds_its_own(void **state)
{
	static const uint64_t gaps[] = { 5, 7, 8 }, shorter[] = { 5, 7 }, dense[] = { 5, 6 };
	struct store *store = store_memory_new(1 << 20);
	struct manifest three = manifest_of(gaps, 3);
	struct manifest two = manifest_of(shorter, 2);

	(void)state;
	three.has_after = true;
	three.after = 2;
	put(store, "manifests/t/partition=10/00000000000000000005+00000000.json", "another's");
	put(store, "manifests/t/partition=1/lineage+x.json", "not one");
	assert_offsets(store, 5, "a\nb\n", dense, 2, 5);
	put_manifest(store, &three, "a\nb\nc\n");
	put_manifest(store, &two, "a\nb\n");
	assert_offsets(store, 5, "a\nb\nc\n", gaps, 3, 3);
	assert_offsets(store, 5, "a\nb\n", shorter, 2, 5);
	assert_offsets(store, 5, "a\nB\n", dense, 2, 5); /* of neither */
	manifest_release(&three);
	manifest_release(&two);
	store_free(store);
}

static void test_they_are_found_by_start(void **state)
{
	struct store *store = store_memory_new(1 << 20);
	struct manifests manifests;
	struct err err = { 0 };

	(void)state;
	for (uint64_t start = 10; start < 20; start += 2) {
		const uint64_t offsets[] = { start, start + 5000000000 };
		struct manifest manifest = manifest_of(offsets, 2);

		put_manifest(store, &manifest, "a\nb\n");
		assert_offsets(store, start, "a\nb\n", offsets, 2, start);
		manifest_release(&manifest);
	}
	assert_ok(manifests_load(store, where, 14, &manifests, &err));
	assert_int_equal(manifests.count, 2);
	for (uint64_t start = 9; start < 21; start++)
		assert_int_equal(manifests_may_have(&manifests, start), start == 16 || start == 18);
	manifests_release(&manifests);
	store_free(store);
}

static void test_what_does_not_fit_is_corrupt(void **state)
{
	static const char *const texts[] = {
		"", "[]", "{\"after\":null,\"runs\":[]}", "{\"runs\":[[\"00000000000000000005\",1]]}",
		"{\"after\":null,\"runs\":[[\"00000000000000000006\",1]]}",
		"{\"after\":null,\"runs\":[[\"5\",1]]}",
		"{\"after\":null,\"runs\":[[\"00000000000000000005\",2]]}",
		"{\"after\":null,\"runs\":[[\"00000000000000000005\",0]]}",
		"{\"after\":null,\"runs\":[[\"00000000000000000005\",-1]]}",
		"{\"after\":null,\"runs\":[[\"00000000000000000005\",1,1]]}",
		"{\"after\":null,\"runs\":[[\"00000000000000000005\"]]}",
		"{\"after\":null,\"runs\":[[\"00000000000000000005\",1],[\"00000000000000000005\",1]]}",
		"{\"after\":\"00000000000000000005\",\"runs\":[[\"00000000000000000005\",1]]}",
		"{\"after\":\"99999999999999999999\",\"runs\":[[\"00000000000000000005\",1]]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct store *store = store_memory_new(1 << 20);
		struct manifests manifests;
		struct manifest manifest;
		struct err err = { 0 };

		put(store, "manifests/t/partition=1/00000000000000000005+e3069283.json", texts[i]);
		assert_ok(manifests_load(store, where, -1, &manifests, &err));
		assert_int_equal(manifests_find(&manifests, store, 5, slice_str("123456789"),
						&manifest, &err), ERR_CORRUPT);
		manifests_release(&manifests);
		store_free(store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_its_text_is_the_format),
		cmocka_unit_test(test_only_gaps_need_one),
		cmocka_unit_test(test_an_object_finds_its_own),
		cmocka_unit_test(test_they_are_found_by_start),
		cmocka_unit_test(test_what_does_not_fit_is_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
