/* Keys with names and scopes: what a file of them may say, who is found, and how it changes. */
#include "gateway/auth.h"

#include "base/mem.h"
#include "temp_dir.h"

#include <openssl/sha.h>
#include <utime.h>

static struct err err;

/* "NAME SCOPES HASH" of a key. */
static void put_line(char *text, size_t room, const char *name, const char *scopes, const char *key)
{
	unsigned char hash[AUTH_HASH_BYTES];
	size_t len = strlen(text);

	(void)SHA256((const unsigned char *)key, strlen(key), hash);
	len += (size_t)snprintf(text + len, room - len, "%s %s ", name, scopes);
	for (size_t i = 0; i < sizeof(hash); i++)
		len += (size_t)snprintf(text + len, room - len, "%02x", hash[i]);
	(void)snprintf(text + len, room - len, "\n");
}

static const char *write_keys(const struct temp_dir *dir, const char *text)
{
	static char path[128];
	static time_t second;
	struct utimbuf times;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/keys", dir->path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	times.actime = times.modtime = ++second; /* of another time than the last, for sure */
	assert_int_equal(utime(path, &times), 0);
	return path;
}

static unsigned scopes_of(const struct auth *auth, const char *key)
{
	const struct auth_key *found = auth_find(auth, slice_str(key));

	return found ? found->scopes : 0;
}

static void test_no_key_is_asked_for(void **state)
{
	struct auth auth;

	(void)state;
	assert_ok(auth_init(&auth, "", "", &err));
	assert_false(auth.required);
	assert_null(auth_find(&auth, slice_str("x")));
	auth_set_token(&auth, "page.token", slice_str("secret"));
	assert_false(auth.required);
	assert_int_equal(scopes_of(&auth, "secret"), SCOPES_ALL);
	assert_int_equal(scopes_of(&auth, "secre"), 0);
	assert_string_equal(auth_named(&auth, slice_str("page.token"))->name, "page.token");
	auth_release(&auth);
}

static void test_the_one_of_the_options_may_all(void **state)
{
	struct auth auth;

	(void)state;
	assert_ok(auth_init(&auth,
			    "2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B", "",
			    &err));
	assert_true(auth.required);
	assert_int_equal(scopes_of(&auth, "secret"), SCOPES_ALL);
	assert_null(auth_find(&auth, slice_str("secreT")));
	assert_null(auth_find(&auth, slice_str("")));
	assert_null(auth_find(&auth, slice_of(NULL, 0)));
	auth_release(&auth);
	assert_int_equal(auth_init(&auth, "2bb8", "", &err), ERR_USAGE);
	auth_release(&auth);
}

static void test_each_finds_its_own(void **state)
{
	struct auth_keys keys;
	struct auth auth = { .file = "" };
	char *text = xcalloc(1, 200 * AUTH_KEYS_MAX);
	char name[32];

	(void)state;
	for (int i = 0; i < AUTH_KEYS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "k%d", i);
		put_line(text, 200 * AUTH_KEYS_MAX, name, i % 2 ? "post" : "read,admin", name);
	}
	assert_ok(auth_keys_parse(slice_str(text), "f", NULL, &keys, &err));
	assert_int_equal(keys.count, AUTH_KEYS_MAX);
	auth.keys = keys;
	for (int i = 0; i < AUTH_KEYS_MAX; i++) {
		const struct auth_key *found;

		(void)snprintf(name, sizeof(name), "k%d", i);
		found = auth_find(&auth, slice_str(name));
		assert_non_null(found);
		assert_string_equal(found->name, name);
		assert_int_equal(found->scopes,
				 i % 2 ? 1 << SCOPE_POST : 1 << SCOPE_READ | 1 << SCOPE_ADMIN);
		assert_ptr_equal(auth_named(&auth, slice_str(name)), found);
	}
	assert_null(auth_find(&auth, slice_str("k1000")));
	auth_keys_release(&keys);
	put_line(text, 200 * AUTH_KEYS_MAX, "one-more", "post", "one-more");
	assert_int_equal(auth_keys_parse(slice_str(text), "f", NULL, &keys, &err), ERR_USAGE);
	assert_string_equal(err.msg, "f:1001: more than 1000 keys");
	free(text);
}

#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define OTHER "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"

static void test_what_a_line_may_be(void **state)
{
	static const char *const good[] = {
		"",
		"\n \n# nothing\n\t# here\n",
		"a post " HASH,
		"  a\tpost,read,admin \t" HASH "  # of the loader\r\n",
		"a.B_9-z read,read " HASH "\n# b\nb post " OTHER "\n",
	};
	static const char *const bad[][2] = {
		{ "a post", "f:1: a key is three words" },
		{ "a post " HASH " more", "f:1: a key is three words" },
		{ "\n\na " HASH " post\n", "f:3: a scope is post, read or admin, not \"9f86d081" },
		{ "a Post " HASH, "f:1: a scope is post, read or admin, not \"Post\"" },
		{ "a post,,read " HASH, "f:1: a scope is post, read or admin, not \"\"" },
		{ "a , " HASH, "f:1: a scope" },
		{ "a post 9f86", "f:1: the hash of the key has 4 characters" },
		{ "a post " HASH "0", "f:1: the hash of the key has 65 characters" },
		{ "a post g" HASH, "f:1: the hash" },
		{ "a/b post " HASH, "f:1: the name of the key holds the byte 0x2f" },
		{ "\xc3\xa4 post " HASH, "f:1: the name of the key holds the byte 0xc3" },
		{ "12345678901234567890123456789012345678901234567890123456789012345 post " HASH,
		  "f:1: the name of the key is longer than 64" },
		{ "a post " HASH "\nb read " HASH "\n", "f:2: the key is that of line 1, too" },
		{ "a post " HASH "\n\na read " OTHER "\n", "f:3: the name is that of line 1, too" },
	};
	struct auth_keys keys;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(auth_keys_parse(slice_str(good[i]), "f", NULL, &keys, &err));
		assert_int_equal(keys.count, i < 2 ? 0 : i < 4 ? 1 : 2);
		auth_keys_release(&keys);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(auth_keys_parse(slice_str(bad[i][0]), "f", NULL, &keys, &err),
				 ERR_USAGE);
		if (strncmp(err.msg, bad[i][1], strlen(bad[i][1])) != 0)
			fail_msg("%s: %s", bad[i][0], err.msg);
	}
}

static void test_beside_the_one_of_the_options(void **state)
{
	struct temp_dir dir;
	struct auth auth;

	(void)state;
	temp_dir_make(&dir);
	assert_int_equal(auth_init(&auth, HASH, write_keys(&dir, "a post " HASH "\n"), &err),
			 ERR_USAGE);
	assert_non_null(strstr(err.msg, ":1: the key is that of gateway.api_key_sha256, too"));
	auth_release(&auth);
	assert_ok(auth_init(&auth, HASH, write_keys(&dir, "a post " OTHER "\n"), &err));
	assert_int_equal(auth.keys.count, 2);
	assert_int_equal(scopes_of(&auth, "test"), SCOPES_ALL);
	auth_release(&auth);
	temp_dir_remove(&dir);
}

static void test_a_change_is_seen_and_a_broken_one_told(void **state)
{
	char text[512] = "";
	struct temp_dir dir;
	struct auth auth;
	const char *file;

	(void)state;
	temp_dir_make(&dir);
	put_line(text, sizeof(text), "a", "post", "old");
	file = write_keys(&dir, text);
	assert_ok(auth_init(&auth, "", file, &err));
	assert_int_equal(scopes_of(&auth, "old"), 1 << SCOPE_POST);
	put_line(text, sizeof(text), "b", "read", "new");
	(void)write_keys(&dir, text);
	auth_refresh(&auth, 0);
	assert_int_equal(scopes_of(&auth, "new"), 1 << SCOPE_READ);

	(void)write_keys(&dir, "a post\n");
	auth_refresh(&auth, 500); /* not looked at yet */
	auth_refresh(&auth, 1000);
	assert_int_equal(scopes_of(&auth, "old"), 1 << SCOPE_POST);
	assert_int_equal(remove(file), 0);
	auth_refresh(&auth, 2000);
	assert_int_equal(scopes_of(&auth, "old"), 1 << SCOPE_POST);

	(void)write_keys(&dir, strchr(text, '\n') + 1);
	auth_refresh(&auth, 2999);
	assert_int_equal(scopes_of(&auth, "old"), 1 << SCOPE_POST);
	auth_refresh(&auth, 3000);
	assert_int_equal(scopes_of(&auth, "old"), 0);
	assert_int_equal(scopes_of(&auth, "new"), 1 << SCOPE_READ);

	(void)write_keys(&dir, "# nobody\n");
	auth_refresh(&auth, 4000);
	assert_true(auth.required);
	assert_null(auth_find(&auth, slice_str("new")));
	auth_release(&auth);
	temp_dir_remove(&dir);
}

static void test_a_file_that_is_none(void **state)
{
	static const char *const files[] = { "/nonexistent", "/dev/null", "/" };
	struct auth auth;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		assert_int_equal(auth_init(&auth, "", files[i], &err), ERR_USAGE);
		assert_non_null(strstr(err.msg, files[i]));
		auth_release(&auth);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_key_is_asked_for),
		cmocka_unit_test(test_the_one_of_the_options_may_all),
		cmocka_unit_test(test_each_finds_its_own),
		cmocka_unit_test(test_what_a_line_may_be),
		cmocka_unit_test(test_beside_the_one_of_the_options),
		cmocka_unit_test(test_a_change_is_seen_and_a_broken_one_told),
		cmocka_unit_test(test_a_file_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
