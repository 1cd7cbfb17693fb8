/* What lets the page in: sessions, the secrets that outlive a process, wrong tries, and where what
 * is listened on. */
#include "gateway/listeners.h"
#include "gateway/secret.h"
#include "gateway/session.h"
#include "gateway/tries.h"

#include "base/mem.h"
#include "temp_dir.h"

#include <sys/stat.h>

enum { NOW_S = 1700000000 };

static struct err err;
static struct sessions sessions;
static struct auth auth;
static struct auth_key keys[2] = {
	{ .name = "a", .scopes = 1 << SCOPE_READ, .hash = "1" },
	{ .name = "b.C", .scopes = SCOPES_ALL, .hash = "2" },
};

static int setup(void **state)
{
	(void)state;
	ended_init(&sessions.ended);
	auth = (struct auth){ .required = true, .file = "", .keys = { keys, 2 } };
	return secret_make(&sessions.secret, &err) != ERR_OK;
}

static struct slice begin(struct buf *out, const struct auth_key *key)
{
	buf_init(out, SESSION_TEXT_MAX + 1);
	assert_ok(session_begin(&sessions, key, NOW_S, out, &err));
	return buf_slice(out);
}

static bool is_known(struct slice text, int64_t now_s)
{
	struct session session;

	return session_parse(&sessions, &auth, text, now_s, &session);
}

static void test_is_its_keys_until_it_ends(void **state)
{
	struct session first, second;
	struct buf a, b;

	(void)state;
	assert_true(session_parse(&sessions, &auth, begin(&a, &keys[0]), NOW_S, &first));
	assert_true(session_parse(&sessions, &auth, begin(&b, &keys[1]), NOW_S, &second));
	assert_ptr_equal(first.key, &keys[0]);
	assert_ptr_equal(second.key, &keys[1]);
	assert_true(first.id != second.id);
	assert_true(is_known(buf_slice(&a), NOW_S + SESSION_LIFE_S - 1));
	assert_false(is_known(buf_slice(&a), NOW_S + SESSION_LIFE_S));
	assert_false(is_known(buf_slice(&a), NOW_S - 1)); /* the clock was set back */
	ended_add(&sessions.ended, first.id, first.until_s);
	assert_false(is_known(buf_slice(&a), NOW_S));
	assert_true(is_known(buf_slice(&b), NOW_S));
	buf_release(&a);
	buf_release(&b);
}

static void test_no_ended_one_is_forgotten(void **state)
{
	struct ended *ended = &sessions.ended, again;
	enum { FIRST = 10, ROOM = ENDED_MAX, LATE = 5 };
	struct temp_dir dir;
	struct stat st;
	char path[256];

	(void)state;
	temp_dir_make(&dir);
	assert_ok(ended_load(ended, dir.path, &err));
	assert_true(ended_is_kept(ended));
	for (unsigned i = 0; i < ROOM + LATE; i++)
		ended_add(ended, FIRST + i, NOW_S + 1 + i);
	assert_false(ended_is_kept(ended));
	assert_ok(ended_keep(ended, dir.path, NOW_S, &err));
	assert_true(ended_is_kept(ended));
	(void)snprintf(path, sizeof(path), "%s/" ENDED_NAME, dir.path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	ended_init(&again);
	assert_ok(ended_load(&again, dir.path, &err));
	for (unsigned i = 0; i < ROOM + LATE; i++)
		assert_true(ended_has(&again, FIRST + i, NOW_S + 1 + i));
	assert_true(ended_has(&again, 1, NOW_S + LATE)); /* as old as what gave way */
	assert_false(ended_has(&again, 1, NOW_S + LATE + 1));
	/* What another one wrote meanwhile stays, what has ended by itself goes. */
	ended_add(&again, 1, NOW_S + ROOM + LATE + 1);
	assert_ok(ended_keep(&again, dir.path, NOW_S, &err));
	assert_ok(ended_keep(ended, dir.path, NOW_S + ROOM + LATE, &err));
	assert_true(ended_has(ended, 1, NOW_S + ROOM + LATE + 1));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 34);
	ended_release(&again);
	temp_dir_remove(&dir);
}

static void test_a_damaged_list_is_told(void **state)
{
	static const char *const texts[] = {
		"mine\n",
		"000000000000000a 0000000065aaaaaa",
		"000000000000000a_0000000065aaaaaa\n",
		"000000000000000a ffffffffffffffff\n",
		"000000000000000g 0000000065aaaaaa\n",
	};
	struct temp_dir dir;
	char path[256];

	(void)state;
	temp_dir_make(&dir);
	(void)snprintf(path, sizeof(path), "%s/" ENDED_NAME, dir.path);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		assert_true(fputs(texts[i], file) >= 0 && fclose(file) == 0);
		assert_int_equal(ended_load(&sessions.ended, dir.path, &err), ERR_CORRUPT);
		assert_non_null(strstr(err.msg, ENDED_NAME));
	}
	temp_dir_remove(&dir);
}

static void test_the_longest_name_fits(void **state)
{
	struct auth_key long_key = { .scopes = 1 << SCOPE_POST };
	struct buf text;

	(void)state;
	memset(long_key.name, 'x', AUTH_NAME_MAX);
	auth.keys = (struct auth_keys){ &long_key, 1 };
	(void)begin(&text, &long_key);
	assert_int_equal(text.len, SESSION_TEXT_MAX);
	assert_false(buf_full(&text));
	assert_true(is_known(buf_slice(&text), NOW_S));
	buf_release(&text);
}

static void test_nothing_else_is_one(void **state)
{
	struct buf text;

	(void)state;
	(void)begin(&text, &keys[0]);
	for (size_t i = 0; i < text.len; i++) {
		char was = text.ptr[i];

		for (int bit = 0; bit < 8; bit++) {
			text.ptr[i] = (char)(was ^ 1 << bit);
			/* "A" is the same digit as "a", but not what was signed. */
			assert_false(is_known(buf_slice(&text), NOW_S));
		}
		text.ptr[i] = was;
		assert_false(is_known(slice_of(text.ptr, i), NOW_S));
	}
	assert_true(is_known(buf_slice(&text), NOW_S));
	buf_add_char(&text, '0');
	assert_false(is_known(buf_slice(&text), NOW_S));
	assert_false(is_known(slice_of(NULL, 0), NOW_S));
	text.len--;
	sessions.secret.text[0] ^= 1;
	assert_false(is_known(buf_slice(&text), NOW_S));
	buf_release(&text);
}

static void test_is_void_without_its_key(void **state)
{
	struct auth_key other = keys[0];
	struct buf text;

	(void)state;
	(void)begin(&text, &keys[0]);
	auth.keys = (struct auth_keys){ &keys[1], 1 };
	assert_false(is_known(buf_slice(&text), NOW_S));
	other.hash[0]++;
	auth.keys = (struct auth_keys){ &other, 1 };
	assert_false(is_known(buf_slice(&text), NOW_S));
	other.hash[0]--;
	assert_true(is_known(buf_slice(&text), NOW_S));
	buf_release(&text);
}

static bool is_among(const char *before, struct slice text, const char *after)
{
	struct session session;
	struct buf cookies;
	bool found;

	buf_init(&cookies, 4096);
	buf_addf(&cookies, "%s%.*s%s", before, SLICE_ARG(text), after);
	found = session_of_cookies(&sessions, &auth, buf_slice(&cookies), NOW_S, &session);
	buf_release(&cookies);
	return found;
}

static void test_is_found_among_cookies(void **state)
{
	struct buf text;
	struct slice one;

	(void)state;
	one = begin(&text, &keys[0]);
	assert_true(is_among("pinpipe_session=", one, ""));
	assert_true(is_among("a=b; pinpipe_session=", one, "; c=d"));
	assert_true(is_among(";;pinpipe_session=x;  pinpipe_session=", one, " "));
	assert_false(is_among("pinpipe_session", one, ""));
	assert_false(is_among("pinpipe_session= ", one, ""));
	assert_false(is_among("xpinpipe_session=", one, ""));
	assert_false(is_among("pinpipe_session=\"", one, "\""));
	assert_false(is_among("p=1;pinpipe_session=;pinpipe_session=;pinpipe_session=;"
			      "pinpipe_session=;pinpipe_session=",
			      one, ""));
	buf_release(&text);
}

static void test_secrets_outlive_their_process(void **state)
{
	struct temp_dir dir;
	struct secret first, again, other;
	char path[128];
	struct stat st;

	(void)state;
	temp_dir_make(&dir);
	assert_ok(secret_load(dir.path, "x", &first, &err));
	assert_ok(secret_load(dir.path, "x", &again, &err));
	assert_ok(secret_load(dir.path, "y", &other, &err));
	assert_string_equal(first.text, again.text);
	assert_string_not_equal(first.text, other.text);
	assert_int_equal(strlen(first.text), SECRET_CHARS);
	(void)snprintf(path, sizeof(path), "%s/x", dir.path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(secret_load(dir.path, "x", &again, &err), ERR_DENIED);
	assert_non_null(strstr(err.msg, path));
	assert_int_equal(chmod(path, 0600), 0);
	for (off_t len = 0; len < SECRET_CHARS + 1; len += SECRET_CHARS / 2) {
		assert_int_equal(truncate(path, SECRET_CHARS - len), 0);
		assert_int_equal(secret_load(dir.path, "x", &again, &err), ERR_CORRUPT);
	}
	(void)snprintf(path, sizeof(path), "%s/none", dir.path);
	assert_int_equal(secret_load(path, "x", &again, &err), ERR_ABSENT);
	temp_dir_remove(&dir);
}

static void test_wrong_tries_are_slow_to_come_again(void **state)
{
	static struct tries tries;
	struct http_peer_key one = http_peer_key_of_text(slice_str("192.0.2.1"));
	struct http_peer_key other = http_peer_key_of_text(slice_str("192.0.2.2"));

	(void)state;
	for (int i = 0; i < TRIES_BURST; i++)
		assert_true(tries_take(&tries, one, 1000));
	assert_false(tries_take(&tries, one, 1000));
	assert_true(tries_take(&tries, other, 1000));
	assert_false(tries_take(&tries, one, 1000 + TRIES_EVERY_MS - 1));
	assert_true(tries_take(&tries, one, 1000 + TRIES_EVERY_MS));
	assert_false(tries_take(&tries, one, 1000 + TRIES_EVERY_MS));
	tries_give_back(&tries, one);
	assert_true(tries_take(&tries, one, 1000 + TRIES_EVERY_MS));
	for (int i = 0; i < TRIES_BURST; i++)
		assert_true(tries_take(&tries, one, (int64_t)2 * TRIES_BURST * TRIES_EVERY_MS));
	assert_false(tries_take(&tries, one, (int64_t)2 * TRIES_BURST * TRIES_EVERY_MS));
}

static void test_more_addresses(void **state)
{
	static const struct {
		const char *more;
		unsigned count;
		const char *last;
		unsigned faces;
	} good[] = {
		{ "", 1, "first:1", FACES_ALL },
		{ " ; ;", 1, "first:1", FACES_ALL },
		{ "a:1", 2, "a:1", FACES_ALL },
		{ "a:1 kafka", 2, "a:1", 1 << FACE_KAFKA },
		{ "a:1 kafka;[::1]:2 page,ops ,kinesis;", 3, "[::1]:2",
		  FACES_ALL & ~(1 << FACE_KAFKA) },
		{ "a;b;c;d;e;f;g", 8, "g", FACES_ALL },
	};
	static const char *const bad[][2] = {
		{ "a:1 http", "gateway.listen_also: a:1: there is no face \"http\"" },
		{ "a:1; b:2 page,Kafka", "gateway.listen_also: b:2: there is no face \"Kafka\"" },
		{ "a;b;c;d;e;f;g;h", "gateway.listen_also: 7 addresses are the most" },
	};
	struct listeners listeners;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(listeners_init(&listeners, "first:1", good[i].more, &err));
		assert_int_equal(listeners.count, good[i].count);
		assert_string_equal(listeners.addresses[good[i].count - 1], good[i].last);
		assert_int_equal(listeners.faces[good[i].count - 1], good[i].faces);
		assert_null(listeners.addresses[good[i].count]);
		listeners_release(&listeners);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(listeners_init(&listeners, "first:1", bad[i][0], &err), ERR_USAGE);
		if (strncmp(err.msg, bad[i][1], strlen(bad[i][1])) != 0)
			fail_msg("%s: %s", bad[i][0], err.msg);
		listeners_release(&listeners);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_is_its_keys_until_it_ends, setup),
		cmocka_unit_test_setup(test_no_ended_one_is_forgotten, setup),
		cmocka_unit_test_setup(test_a_damaged_list_is_told, setup),
		cmocka_unit_test_setup(test_the_longest_name_fits, setup),
		cmocka_unit_test_setup(test_nothing_else_is_one, setup),
		cmocka_unit_test_setup(test_is_void_without_its_key, setup),
		cmocka_unit_test_setup(test_is_found_among_cookies, setup),
		cmocka_unit_test(test_secrets_outlive_their_process),
		cmocka_unit_test(test_wrong_tries_are_slow_to_come_again),
		cmocka_unit_test(test_more_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
