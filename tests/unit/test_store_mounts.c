/* A file store of which some directories are mounts of their own. */
#include "store/store.h"
#include "scratch.h"
#include "testing.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(struct store *store, const char *key, const char *body)
{
	struct err err = { 0 };

	assert_ok(store_put(store, key, slice_str(body), STORE_CREATE, &err));
}

static void assert_object(struct store *store, const char *key, const char *expected)
{
	struct err err = { 0 };
	struct buf body;

	buf_init(&body, 1000);
	assert_ok(store_get(store, key, 0, UINT64_MAX, &body, &err));
	assert_string_equal(buf_cstr(&body), expected);
	buf_release(&body);
}

static bool add_key(void *user, const struct store_entry *entry)
{
	buf_addf(user, "%s ", entry->key);
	return true;
}

/* A directory of the file system that the store is on, mounted at another place in it, as a
 * container's volume is: st_dev is the same, and yet nothing can be moved from one to the other. */
static bool mount_at(const char *dir, const char *below, char target[200])
{
	static int volumes;
	char volume[200];

	(void)snprintf(volume, sizeof(volume), "%s/.tmp/volume-%d", dir, volumes++);
	(void)snprintf(target, 200, "%s/%s", dir, below);
	assert_true(mkdir(volume, 0700) == 0 && (mkdir(target, 0700) == 0 || errno == EEXIST));
	return mount(volume, target, NULL, MS_BIND, NULL) == 0;
}

/* Put, replaced, lost against another, and by file: all of it below `prefix`. */
static void check_puts(struct store *store, const char *dir, const char *prefix)
{
	struct err err = { 0 };
	char key[200];
	FILE *file;
	char path[200];

	(void)snprintf(key, sizeof(key), "%s/a/x.json", prefix);
	put(store, key, "1");
	assert_int_equal(store_put(store, key, slice_str("2"), STORE_CREATE, &err), ERR_EXISTS);
	assert_ok(store_put(store, key, slice_str("3"), STORE_REPLACE, &err));
	assert_object(store, key, "3");
	(void)snprintf(key, sizeof(key), "%s/b/x.parquet", prefix);
	(void)snprintf(path, sizeof(path), "%s/.tmp/local", dir);
	file = fopen(path, "w");
	assert_true(file && fputs("moved", file) >= 0 && fclose(file) == 0);
	assert_ok(store_put_file(store, key, path, &err));
	assert_object(store, key, "moved");
	assert_int_equal(access(path, F_OK), -1);
}

static void test_directories_that_are_mounts(void **state)
{
	char dir[SCRATCH_NAME_MAX], target[3][200];
	struct err err = { 0 };
	struct store *store;
	struct buf keys;

	(void)state;
	/* Where nobody else sees them. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_message("no mounts can be made here: %s\n", strerror(errno));
		skip();
	}
	scratch_dir(dir);
	assert_ok(store_file_new(dir, &store, &err));
	put(store, "x", "1");	/* .tmp is there now */
	assert_true(mount_at(dir, "topics", target[0]));
	check_puts(store, dir, "topics");
	assert_true(mount_at(dir, "tables", target[1]));
	check_puts(store, dir, "tables/t");
	assert_true(mount_at(dir, "tables/t", target[2]));	/* over what is there */
	check_puts(store, dir, "tables/t");
	buf_init(&keys, 1000);
	assert_ok(store_list(store, "t", "", add_key, &keys, &err));
	assert_string_equal(buf_cstr(&keys), "tables/t/a/x.json tables/t/b/x.parquet topics/a/x.json "
			    "topics/b/x.parquet ");
	buf_release(&keys);
	for (size_t i = 3; i-- > 0;)
		assert_int_equal(umount2(target[i], MNT_DETACH), 0);
	store_free(store);
	scratch_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directories_that_are_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
