/* The batch path beside a sink that is still writing. */
#include "flow/batch.h"
#include "base/mem.h"
#include "scratch.h"
#include "testing.h"

#include <sys/stat.h>

enum { PATH_LEN_MAX = 200 };

/* A store whose first listing of the pins' objects began before one of them was put. */
struct racing {
	struct store base;
	struct store *inner;
	const char *missed;		/* NULL: seen by now */
	bool (*each)(void *user, const struct store_entry *entry);
	void *user;
};

static struct store *inner(struct store *store) { return ((struct racing *)store)->inner; }

static enum err_code put(struct store *store, const char *key, struct slice body,
			 enum store_mode mode, struct err *err)
{
	return store_put(inner(store), key, body, mode, err);
}

static enum err_code put_file(struct store *store, const char *key, const char *path,
			      struct err *err)
{
	return store_put_file(inner(store), key, path, err);
}

static enum err_code get(struct store *store, const char *key, uint64_t from, uint64_t len,
			 struct buf *out, struct err *err)
{
	return store_get(inner(store), key, from, len, out, err);
}

static enum err_code size(struct store *store, const char *key, uint64_t *ret_size, struct err *err)
{
	return store_size(inner(store), key, ret_size, err);
}

static bool each_but_missed(void *user, const struct store_entry *entry)
{
	struct racing *racing = user;

	return strcmp(entry->key, racing->missed) == 0 || racing->each(racing->user, entry);
}

static enum err_code list(struct store *store, const char *prefix, const char *after,
			  bool (*each)(void *user, const struct store_entry *entry), void *user,
			  struct err *err)
{
	struct racing *racing = (struct racing *)store;
	bool misses = racing->missed && strstr(prefix, "partition=0/") &&
		      slice_starts(slice_str(racing->missed), prefix);
	enum err_code code;

	racing->each = each;
	racing->user = user;
	code = store_list(racing->inner, prefix, after, misses ? each_but_missed : each,
			  misses ? racing : user, err);
	if (misses)
		racing->missed = NULL;
	return code;
}

static enum err_code remove_key(struct store *store, const char *key, struct err *err)
{
	return store_remove(inner(store), key, err);
}

static void locate(struct store *store, const char *key, struct buf *out)
{
	store_locate(inner(store), key, out);
}

static void free_store(struct store *store)
{
	store_free(inner(store));
}

static const struct store_ops racing_ops = {
	.name = "racing", .put = put, .put_file = put_file, .get = get, .size = size,
	.list = list, .remove = remove_key, .locate = locate, .free = free_store,
};

#define OBJECT(start) "topics/id.pin/partition=0/id.pin+0+000000000" start ".json"

static void put_pins(struct store *store)
{
	static const char *const keys[] = { OBJECT("0"), OBJECT("1"), OBJECT("2") };
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		char pin[32];

		(void)snprintf(pin, sizeof(pin), "{\"index\":%zu}\n", i);
		assert_ok(store_put(store, keys[i], slice_str(pin), STORE_CREATE, &err));
	}
}

static void test_an_object_put_while_the_listing_runs_leaves_no_hole(void **state)
{
	struct racing store = { .base.ops = &racing_ops, .missed = OBJECT("1") };
	struct engine_options engine = { .memory_bytes_max = 256 << 20, .threads = 2 };
	struct batch_options options = { .store = &store.base, .id = "id" };
	struct batch_report report;
	char dir[SCRATCH_NAME_MAX], path[PATH_LEN_MAX];
	struct models models;
	struct err err;

	(void)state;
	scratch_dir(dir);
	(void)snprintf(path, sizeof(path), "%s/tmp", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/lake", dir);
	assert_ok(store_file_new(path, &store.inner, &err));
	put_pins(&store.base);
	assert_ok(models_load(TEST_MODELS, &models, &err));
	assert_ok(engine_duckdb_new(&engine, &options.engine, &err));
	options.models = &models;
	options.dir = dir;
	assert_ok(batch_run(&options, &report, &err));
	assert_null(store.missed);
	assert_int_equal(report.tables[LAKE_PIN].objects, 3);
	assert_int_equal(report.tables[LAKE_PIN].rows, 3);
	batch_report_release(&report);
	engine_free(options.engine);
	models_free(&models);
	store_free(&store.base);
	scratch_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_object_put_while_the_listing_runs_leaves_no_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
