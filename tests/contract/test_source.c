/* The contract of source.h, run against every backend, and what is each backend's own. */
#include "source/source.h"

#include "base/json.h"
#include "base/mem.h"
#include "source/mysql_link.h"
#include "testing.h"

#include <sys/stat.h>
#include <unistd.h>

static const char *const file_names[] = { "pin.ndjson", "geo.ndjson", "user.ndjson" };

struct dir {
	char path[64];
};

static void dir_init(struct dir *dir)
{
	(void)snprintf(dir->path, sizeof(dir->path), "/tmp/pinpipe-source.XXXXXX");
	assert_non_null(mkdtemp(dir->path));
}

static void dir_path(const struct dir *dir, const char *name, char path[128])
{
	(void)snprintf(path, 128, "%s/%s", dir->path, name);
}

static void dir_release(struct dir *dir)
{
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(file_names); i++) {
		dir_path(dir, file_names[i], path);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(dir->path), 0);
}

static void put_file(const struct dir *dir, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	dir_path(dir, name, path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Rows 0, 1, 2 and 5; pin lacks row 1. */
static void put_files(const struct dir *dir)
{
	put_file(dir, "pin.ndjson", "{\"index\":5,\"title\":\"caf\\u00e9\"}\n"
				    " { \"index\" : 0, \"title\" : \"a b\" }\r\n{\"index\":2}");
	put_file(dir, "geo.ndjson", "{\"ind\":0}\n{\"ind\":1}\n{\"ind\":2}\n{\"ind\":5}\n");
	put_file(dir, "user.ndjson", "{\"ind\":0}\n{\"ind\":1}\n{\"ind\":2}\n{\"ind\":5}\n");
}

static int64_t key_of(struct json_parser *parser, struct slice row, const char *name)
{
	struct json root;
	struct json key;
	struct err err = { 0 };
	int64_t value = -1;

	assert_ok(json_parse(parser, row, &root, &err));
	assert_true(json_member(root, name, &key) && json_get_i64(key, &value));
	return value;
}

static void copy_post(struct buf *out, struct source *source, uint64_t k)
{
	struct source_post post;
	struct err err = { 0 };

	assert_ok(source_row(source, k, &post, &err));
	buf_clear(out);
	buf_add_slice(out, post.pin);
	buf_add_slice(out, post.geo);
	buf_add_slice(out, post.user);
	assert_false(buf_full(out));
}

/* The first posts and the last one of the source's own order. */
static uint64_t count_of(struct source *source)
{
	uint64_t count = 0;
	struct err err;

	assert_ok(source_count(source, &count, &err));
	return count;
}

static uint64_t posts_of(struct source *source)
{
	uint64_t posts = 0;
	struct err err;

	assert_ok(source_posts(source, &posts, &err));
	return posts;
}

static void check_own_order(struct json_parser *parser, struct source *source)
{
	uint64_t posts = posts_of(source);
	struct source_post post;
	struct err err = { 0 };
	uint64_t k = 0;

	for (uint64_t n = 0; n < posts; n = n < 9 || n == posts - 1 ? n + 1 : posts - 1) {
		assert_ok(source_post_at(source, n, &k, &post, &err));
		assert_true(post.pin.ptr || post.geo.ptr || post.user.ptr);
		if (post.pin.ptr)
			assert_int_equal(key_of(parser, post.pin, "index"), k);
		if (post.geo.ptr)
			assert_int_equal(key_of(parser, post.geo, "ind"), k);
		if (post.user.ptr)
			assert_int_equal(key_of(parser, post.user, "ind"), k);
	}
	assert_int_equal(source_post_at(source, posts, &k, &post, &err), ERR_ABSENT);
}

/* Rows `a` and `b` exist, row `absent` does not. */
static void check_contract(struct source *source, uint64_t a, uint64_t b, uint64_t absent)
{
	struct json_parser *parser = json_parser_new(1 << 20);
	struct source_post post;
	struct buf first;
	struct buf again;
	struct err err = { 0 };

	buf_init(&first, 1 << 20);
	buf_init(&again, 1 << 20);
	copy_post(&first, source, b);
	copy_post(&again, source, a);
	assert_false(slice_eq(buf_slice(&first), buf_slice(&again)));
	copy_post(&again, source, b);
	assert_true(slice_eq(buf_slice(&first), buf_slice(&again)));

	assert_ok(source_row(source, b, &post, &err));
	assert_int_equal(key_of(parser, post.pin, "index"), b);
	assert_int_equal(key_of(parser, post.geo, "ind"), b);
	assert_int_equal(key_of(parser, post.user, "ind"), b);

	assert_int_equal(source_row(source, absent, &post, &err), ERR_ABSENT);
	assert_int_equal(source_row(source, UINT64_MAX, &post, &err), ERR_ABSENT);
	assert_true(count_of(source) > a && count_of(source) > b);
	/* What is wanted, also of what is not there, changes no row. */
	assert_ok(source_want(source, SOURCE_BY_KEY, (uint64_t[]){ b, absent, b, UINT64_MAX }, 4,
			      &err));
	assert_ok(source_want(source, SOURCE_BY_PLACE, (uint64_t[]){ 0 }, 1, &err));
	assert_ok(source_want(source, SOURCE_BY_KEY, NULL, 0, &err));
	assert_true(source_ready(source, SOURCE_BY_KEY, b, 60000));
	assert_true(source_ready(source, SOURCE_BY_KEY, a, 0));	/* was not wanted */
	assert_ok(source_row(source, a, &post, &err));
	check_own_order(parser, source);
	buf_release(&first);
	buf_release(&again);
	json_parser_free(parser);
}

static void test_files_keep_the_contract(void **state)
{
	struct source *source = NULL;
	struct source_post post;
	struct err err = { 0 };
	struct dir dir;

	(void)state;
	dir_init(&dir);
	put_files(&dir);
	assert_ok(source_files_new(dir.path, &source, &err));
	check_contract(source, 0, 5, 1);
	assert_int_equal(count_of(source), 6);
	assert_int_equal(source_row(source, 1, &post, &err), ERR_ABSENT);
	assert_string_equal(err.msg, "pin.ndjson has no row with \"index\" 1");
	assert_ok(source_row(source, 0, &post, &err));
	assert_true(slice_is(post.pin, "{\"index\":0,\"title\":\"a b\"}"));	/* made compact */
	assert_ok(source_row(source, 5, &post, &err));
	assert_true(slice_is(post.pin, "{\"index\":5,\"title\":\"caf\\u00e9\"}"));
	source_free(source);
	dir_release(&dir);
}

/* As editors of some systems save them. */
static void test_files_with_a_byte_order_mark(void **state)
{
	struct source *source = NULL;
	struct source_post post;
	struct err err = { 0 };
	struct dir dir;

	(void)state;
	dir_init(&dir);
	put_files(&dir);
	put_file(&dir, "geo.ndjson", "\xef\xbb\xbf{\"ind\":0}\n{\"ind\":1}\n{\"ind\":2}\n{\"ind\":5}\n");
	assert_ok(source_files_new(dir.path, &source, &err));
	check_contract(source, 0, 5, 1);
	assert_ok(source_row(source, 0, &post, &err));
	assert_true(slice_is(post.geo, "{\"ind\":0}"));
	source_free(source);
	put_file(&dir, "geo.ndjson", "{\"ind\":0}\n\xef\xbb\xbf{\"ind\":1}\n");	/* elsewhere it is none */
	assert_int_equal(source_files_new(dir.path, &source, &err), ERR_SYNTAX);
	dir_release(&dir);
}

static void test_generated_keep_the_contract(void **state)
{
	struct source *source = source_generated_new(100, 3000000);

	(void)state;
	check_contract(source, 0, 2999999, 3000000);
	source_free(source);
}

/* The database of the server whose socket tests/run names; skips where there is none. */
static struct mysql_options mysql_there(void)
{
	const char *socket = getenv("PINPIPE_TEST_MYSQL");

	if (!socket) {
		print_message("skipped: no database in PINPIPE_TEST_MYSQL\n");
		skip();
	}
	return (struct mysql_options){
		.host = "", .socket = socket, .user = "root", .password = "",
		.database = "pinterest", .timeout_ms = 60000, .retry_ms = 60000,
	};
}

static void mysql_do(const struct mysql_options *options, const char *const *statements)
{
	struct mysql_link *link = NULL;
	struct err err = { 0 };

	assert_ok(mysql_link_open(options, &link, &err));
	for (; *statements; statements++)
		assert_ok(mysql_link_do(link, slice_str(*statements), &err));
	mysql_link_close(link);
}

/* Rows 0 to 1999, but no pin 1; keys or not. */
static void make_tables(const struct mysql_options *options, bool keys)
{
	static const char *const statements[] = {
		"DROP TABLE IF EXISTS pinterest_data, geolocation_data, user_data",
		"CREATE TABLE pinterest_data (`index` INT PRIMARY KEY) AS SELECT seq `index`, 'u' unique_id, "
		"concat('t', seq) title, '' description, '' poster_name, '' follower_count, '' tag_list, "
		"'' is_image_or_video, '' image_src, 1 downloaded, '' save_location, '' category "
		"FROM seq_0_to_1999 WHERE seq <> 1",
		"CREATE TABLE geolocation_data (ind INT PRIMARY KEY) AS SELECT seq ind, "
		"'2020-01-01' timestamp, 1.5e0 latitude, 2e0 longitude, 'c' country FROM seq_0_to_1999",
		"CREATE TABLE user_data (ind INT PRIMARY KEY) AS SELECT seq ind, 'a' first_name, "
		"'b' last_name, 20 age, '2016-01-01' date_joined FROM seq_0_to_1999",
		NULL,
	};
	static const char *const keyless[] = {
		"ALTER TABLE pinterest_data DROP PRIMARY KEY", "ALTER TABLE user_data DROP PRIMARY KEY", NULL,
	};

	mysql_do(options, statements);
	if (!keys)
		mysql_do(options, keyless);
}

/* What is wanted ahead of it, as a reader of 1500 rows would. */
static void check_windows(struct source *source)
{
	uint64_t wanted[SOURCE_WANT_MAX];
	struct source_post post;
	struct err err = { 0 };
	char pin[32];

	for (uint64_t k = 100; k < 1600; k++) {
		for (uint64_t i = 0; k % SOURCE_WANT_MAX == 0 && i < SOURCE_WANT_MAX; i++)
			wanted[i] = k + SOURCE_WANT_MAX + i;
		if (k % SOURCE_WANT_MAX == 0)
			assert_ok(source_want(source, SOURCE_BY_KEY, wanted, SOURCE_WANT_MAX,
					      &err));
		assert_true(source_ready(source, SOURCE_BY_KEY, k, 60000));
		assert_ok(source_row(source, k, &post, &err));
		(void)snprintf(pin, sizeof(pin), "{\"index\":%d,", (int)k);
		assert_true(slice_starts(post.pin, pin));
	}
}

static void check_mysql(bool keys)
{
	struct mysql_options options = mysql_there();
	struct source *source = NULL;
	struct source_post post;
	struct err err = { 0 };

	make_tables(&options, keys);
	assert_ok(source_mysql_new(&options, 1 << 24, &source, &err));
	check_contract(source, 0, 1999, 1);
	assert_int_equal(count_of(source), 2000);
	assert_int_equal(posts_of(source), 2000);
	assert_int_equal(source_row(source, 1, &post, &err), ERR_ABSENT);
	assert_string_equal(err.msg, "pinterest_data has no row with \"index\" 1");
	check_windows(source);
	source_free(source);
}

static void test_mysql_keeps_the_contract(void **state)
{
	(void)state;
	check_mysql(true);
}

static void test_mysql_without_keys_keeps_the_contract(void **state)
{
	(void)state;
	check_mysql(false);
}

/* While windows are filled, and more than are used. */
static void test_mysql_is_freed_at_any_time(void **state)
{
	struct mysql_options options = mysql_there();
	uint64_t wanted[SOURCE_WANT_MAX];
	struct err err = { 0 };

	(void)state;
	make_tables(&options, true);
	for (uint64_t n = 0; n < 20; n++) {
		struct source *source = NULL;

		assert_ok(source_mysql_new(&options, 1 << 24, &source, &err));
		for (uint64_t want = 0; want < n % 5; want++) {
			for (uint64_t i = 0; i < SOURCE_WANT_MAX; i++)
				wanted[i] = 97 * (n + want + i) % 2000;
			assert_ok(source_want(source, SOURCE_BY_KEY, wanted, SOURCE_WANT_MAX,
					      &err));
		}
		source_free(source);
	}
}

static void test_files_say_where_they_are_broken(void **state)
{
	static const struct {
		const char *file;
		const char *text;
		const char *message;	/* how it begins */
	} cases[] = {
		{ "geo.ndjson", "{\"ind\":0}\n{\"ind\":\n", "geo.ndjson, line 2: " },
		{ "geo.ndjson", "{\"ind\":0}\n\n{\"ind\":1}\n", "geo.ndjson, line 2: " },
		{ "pin.ndjson", "[1]\n", "pin.ndjson, line 1: a row must be a JSON object" },
		{ "pin.ndjson", "{\"ind\":1}\n", "pin.ndjson, line 1: column \"index\" is missing" },
		{ "user.ndjson", "{\"ind\":\"1\"}\n",
		  "user.ndjson, line 1: column \"ind\" must be an integer from 0 on" },
		{ "user.ndjson", "{\"ind\":-1}\n",
		  "user.ndjson, line 1: column \"ind\" must be an integer from 0 on" },
		{ "user.ndjson", "{\"ind\":3}\n{\"ind\":1}\n{\"ind\":3}\n",
		  "user.ndjson, line 3: \"ind\" 3 is on line 1 already" },
		{ "user.ndjson", "", "user.ndjson has no rows" },
	};
	struct dir dir;

	(void)state;
	dir_init(&dir);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct source *source = NULL;
		struct err err = { 0 };

		put_files(&dir);
		put_file(&dir, cases[i].file, cases[i].text);
		assert_int_not_equal(source_files_new(dir.path, &source, &err), ERR_OK);
		assert_null(source);
		if (!slice_starts(slice_str(err.msg), cases[i].message))
			fail_msg("case %zu says: %s", i, err.msg);
	}
	dir_release(&dir);
}

static void assert_post(struct source *source, uint64_t n, uint64_t key, const char *pin,
			const char *geo, const char *user)
{
	struct source_post post;
	struct err err = { 0 };
	uint64_t k = 0;

	assert_ok(source_post_at(source, n, &k, &post, &err));
	assert_int_equal(k, key);
	assert_true(pin ? slice_is(post.pin, pin) : !post.pin.ptr);
	assert_true(geo ? slice_is(post.geo, geo) : !post.geo.ptr);
	assert_true(user ? slice_is(post.user, user) : !post.user.ptr);
}

static void test_files_have_an_order_of_their_own(void **state)
{
	struct source *source = NULL;
	struct err err = { 0 };
	struct dir dir;

	(void)state;
	dir_init(&dir);
	put_file(&dir, "pin.ndjson", "{\"index\":900005}\n{\"index\":9223372036854775807}\n{\"index\":3}\n");
	put_file(&dir, "geo.ndjson", "{\"ind\":3}\n{\"ind\":7}\n{\"ind\":900005}\n{\"ind\":1}\n");
	put_file(&dir, "user.ndjson", "{\"ind\":900005}\n{\"ind\":2}\n{\"ind\":1}\n");
	assert_ok(source_files_new(dir.path, &source, &err));
	assert_int_equal(posts_of(source), 6);
	assert_post(source, 0, 900005, "{\"index\":900005}", "{\"ind\":900005}", "{\"ind\":900005}");
	assert_post(source, 1, INT64_MAX, "{\"index\":9223372036854775807}", NULL, NULL);
	assert_post(source, 2, 3, "{\"index\":3}", "{\"ind\":3}", NULL);
	assert_post(source, 3, 7, NULL, "{\"ind\":7}", NULL);
	assert_post(source, 4, 1, NULL, "{\"ind\":1}", "{\"ind\":1}");
	assert_post(source, 5, 2, NULL, NULL, "{\"ind\":2}");
	source_free(source);
	dir_release(&dir);
}

static void test_one_file_is_enough(void **state)
{
	struct source *source = NULL;
	struct source_post post;
	struct err err = { 0 };
	struct dir dir;

	(void)state;
	dir_init(&dir);
	put_file(&dir, "geo.ndjson", "{\"ind\":9}\n{\"ind\":4}\n");
	assert_ok(source_files_new(dir.path, &source, &err));
	assert_int_equal(posts_of(source), 2);
	assert_post(source, 0, 9, NULL, "{\"ind\":9}", NULL);
	assert_post(source, 1, 4, NULL, "{\"ind\":4}", NULL);
	assert_ok(source_row(source, 4, &post, &err));	/* whole, as far as this source goes */
	assert_null(post.pin.ptr);
	assert_true(slice_is(post.geo, "{\"ind\":4}"));
	assert_int_equal(source_row(source, 5, &post, &err), ERR_ABSENT);
	assert_string_equal(err.msg, "geo.ndjson has no row with \"ind\" 5");
	source_free(source);
	dir_release(&dir);
}

static void test_a_missing_file_is_named(void **state)
{
	struct source *source = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(source_files_new("/nonexistent", &source, &err), ERR_ABSENT);
	assert_non_null(strstr(err.msg, "/nonexistent/pin.ndjson"));
}

static void test_a_line_that_changed_is_refused(void **state)
{
	struct source *source = NULL;
	struct source_post post;
	struct err err = { 0 };
	struct dir dir;

	(void)state;
	dir_init(&dir);
	put_files(&dir);
	assert_ok(source_files_new(dir.path, &source, &err));
	put_file(&dir, "geo.ndjson", "{\"ind\":7}\n{\"ind\":1}\n{\"ind\":2}\n{\"ind\":5}\n");
	assert_int_equal(source_row(source, 0, &post, &err), ERR_CORRUPT);
	assert_string_equal(err.msg, "geo.ndjson, line 1: changed since it was first read");
	assert_ok(source_row(source, 2, &post, &err));
	source_free(source);
	dir_release(&dir);
}

static void test_seeds_make_other_rows(void **state)
{
	struct source *one = source_generated_new(1, 10);
	struct source *same = source_generated_new(1, 1000000);
	struct source *other = source_generated_new(2, 10);
	struct buf a;
	struct buf b;

	(void)state;
	buf_init(&a, 1 << 16);
	buf_init(&b, 1 << 16);
	copy_post(&a, one, 4);
	copy_post(&b, same, 4);
	assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
	copy_post(&b, other, 4);
	assert_false(slice_eq(buf_slice(&a), buf_slice(&b)));
	buf_release(&a);
	buf_release(&b);
	source_free(one);
	source_free(same);
	source_free(other);
}

/* What is counted of a source, to compare the made-up rows with the real ones. */
enum figure {
	NO_TITLE, NO_STORY, NO_TEXT, NO_USER, NO_TAGS, NO_IMAGE, NOT_DOWNLOADED, STORY, VIDEO,
	FOLLOWERS_PLAIN, FOLLOWERS_K, FOLLOWERS_M, CUT, TITLE_QUOTE, TEXT_QUOTE, TITLE_NEWLINE,
	NOT_ASCII, EMOJI, BLANK_AT_END, ALBANIA_TO_BULGARIA, AGE_20, AGE_OVER_40, JOINED_2015,
	JOINED_2017, POSTED_2020, FIGURES
};

struct figures {
	uint64_t rows;
	uint64_t bytes;			/* of pins */
	size_t least;
	size_t most;
	uint64_t count[FIGURES];
};

static struct slice text_of(struct json row, const char *name)
{
	struct json value;
	struct slice text = { 0 };

	assert_true(json_member(row, name, &value) && json_get_string(value, &text));
	return text;
}

static bool ends_in(struct slice text, const char *end)
{
	size_t len = strlen(end);

	return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

static bool has_byte_from(struct slice text, unsigned char least)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] >= least)
			return true;
	return false;
}

static bool has(struct slice text, char c)
{
	return text.len > 0 && memchr(text.ptr, c, text.len) != NULL;
}

static void count_followers(uint64_t *count, struct slice followers)
{
	count[FOLLOWERS_K] += ends_in(followers, "k");
	count[FOLLOWERS_M] += ends_in(followers, "M");
	count[FOLLOWERS_PLAIN] += followers.ptr[followers.len - 1] <= '9';
}

static void count_pin(struct figures *figures, struct slice text, struct json row)
{
	uint64_t *count = figures->count;
	struct slice title = text_of(row, "title");
	struct slice description = text_of(row, "description");
	struct slice poster = text_of(row, "poster_name");
	struct slice kind = text_of(row, "is_image_or_video");
	bool no_image = slice_is(text_of(row, "image_src"), "Image src error.");
	struct json value;
	int64_t downloaded = -1;

	assert_true(json_member(row, "downloaded", &value) && json_get_i64(value, &downloaded));
	assert_int_equal(downloaded, no_image ? 0 : 1);
	assert_true(slice_starts(text_of(row, "save_location"), "Local save in /data/"));
	figures->bytes += text.len;
	figures->least = text.len < figures->least ? text.len : figures->least;
	figures->most = text.len > figures->most ? text.len : figures->most;
	count[NO_TITLE] += slice_is(title, "No Title Data Available");
	count[NO_STORY] += slice_is(description, "No description available Story format");
	count[NO_TEXT] += slice_is(description, "No description available");
	count[NO_USER] += slice_is(poster, "User Info Error");
	count[NO_TAGS] += slice_is(text_of(row, "tag_list"), "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e");
	count[NO_IMAGE] += no_image;
	count[NOT_DOWNLOADED] += downloaded == 0;
	count[STORY] += slice_starts(kind, "multi-video");
	count[VIDEO] += slice_is(kind, "video");
	count[CUT] += ends_in(description, "\u2026\u00a0");
	count[TITLE_QUOTE] += has(title, '"');
	count[TEXT_QUOTE] += has(description, '"');
	count[TITLE_NEWLINE] += has(title, '\n');
	count[NOT_ASCII] += has_byte_from(text, 0x80);
	count[EMOJI] += has_byte_from(text, 0xf0);
	count[BLANK_AT_END] += ends_in(poster, " ") || slice_starts(poster, " ");
	count_followers(count, text_of(row, "follower_count"));
}

static void count_geo(uint64_t *count, struct json row)
{
	struct slice country = text_of(row, "country");
	struct slice posted = text_of(row, "timestamp");

	assert_int_equal(posted.len, 19);
	assert_true(memcmp(posted.ptr, "2017-10-19 15:13:42", 19) >= 0);
	assert_true(memcmp(posted.ptr, "2022-10-19 17:54:26", 19) <= 0);
	count[ALBANIA_TO_BULGARIA] += country.ptr[0] <= 'B';
	count[POSTED_2020] += slice_starts(posted, "2020");
}

static void count_user(uint64_t *count, struct json row)
{
	struct slice joined = text_of(row, "date_joined");
	struct json value;
	int64_t age = 0;

	assert_true(json_member(row, "age", &value) && json_get_i64(value, &age));
	assert_in_range(age, 20, 60);
	assert_true(memcmp(joined.ptr, "2015-10-21 03:17:47", 19) >= 0);
	assert_true(memcmp(joined.ptr, "2017-10-20 10:44:26", 19) <= 0);
	count[AGE_20] += age == 20;
	count[AGE_OVER_40] += age > 40;
	count[JOINED_2015] += slice_starts(joined, "2015");
	count[JOINED_2017] += slice_starts(joined, "2017");
}

static void count_rows(struct source *source, struct figures *figures)
{
	struct json_parser *parser = json_parser_new(1 << 20);
	struct source_post post;
	struct json row;
	struct err err = { 0 };

	*figures = (struct figures){ .least = SIZE_MAX };
	for (uint64_t k = 0; k < count_of(source); k++) {
		if (source_row(source, k, &post, &err) == ERR_ABSENT)
			continue;
		figures->rows++;
		assert_ok(json_parse(parser, post.pin, &row, &err));
		count_pin(figures, post.pin, row);
		assert_ok(json_parse(parser, post.geo, &row, &err));
		count_geo(figures->count, row);
		assert_ok(json_parse(parser, post.user, &row, &err));
		count_user(figures->count, row);
	}
	json_parser_free(parser);
}

static void test_made_up_rows_are_like_the_real(void **state)
{
	struct source *source = NULL;
	struct figures real;
	struct figures made;
	struct err err = { 0 };

	(void)state;
	if (access(TEST_SHARED "/data/pin.ndjson", R_OK) < 0) {
		print_message("skipped: no " TEST_SHARED "/data\n");
		skip();
	}
	assert_ok(source_files_new(TEST_SHARED "/data", &source, &err));
	count_rows(source, &real);
	source_free(source);
	source = source_generated_new(7, 11154);
	count_rows(source, &made);
	source_free(source);

	assert_in_range(made.least, real.least - 4, real.least + 60);
	assert_in_range(made.most, 850, real.most);
	assert_in_range(made.bytes / made.rows, real.bytes / real.rows - 15,
			real.bytes / real.rows + 15);
	for (int i = 0; i < FIGURES; i++) {
		double a = (double)real.count[i] / (double)real.rows;
		double b = (double)made.count[i] / (double)made.rows;

		/* a quarter of the real share, and what chance does to few rows */
		if (b > 1.25 * a + 0.003 || b < 0.75 * a - 0.003)
			fail_msg("figure %d: %.4f of the real rows, %.4f of those made up", i, a, b);
	}
}

static void test_categories_lie_where_the_real_ones_do(void **state)
{
	static const struct {
		uint64_t first;
		uint64_t last;
		const char *category;
	} ranges[] = {
		{ 1, 891, "art" }, { 896, 1637, "beauty" }, { 1643, 2635, "christmas" },
		{ 2637, 3466, "diy-and-crafts" }, { 3467, 4329, "education" },
		{ 4333, 5076, "event-planning" }, { 5079, 5862, "finance" },
		{ 5867, 6720, "home-decor" }, { 6725, 7569, "mens-fashion" },
		{ 7583, 8480, "quotes" }, { 8488, 9456, "tattoos" }, { 9458, 10311, "travel" },
		{ 10316, 11153, "vehicles" }, { 11154 + 1, 11154 + 891, "art" },
	};
	struct source *source = source_generated_new(100, 20000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		uint64_t step = ranges[i].last - ranges[i].first;

		for (uint64_t k = ranges[i].first; k <= ranges[i].last; k += step) {
			struct source_post post;
			struct err err = { 0 };
			char end[64];

			(void)snprintf(end, sizeof(end), "\"category\":\"%s\"}", ranges[i].category);
			assert_ok(source_row(source, k, &post, &err));
			assert_true(ends_in(post.pin, end));
		}
	}
	source_free(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_keep_the_contract),
		cmocka_unit_test(test_files_with_a_byte_order_mark),
		cmocka_unit_test(test_generated_keep_the_contract),
		cmocka_unit_test(test_mysql_keeps_the_contract),
		cmocka_unit_test(test_mysql_without_keys_keeps_the_contract),
		cmocka_unit_test(test_mysql_is_freed_at_any_time),
		cmocka_unit_test(test_files_say_where_they_are_broken),
		cmocka_unit_test(test_files_have_an_order_of_their_own),
		cmocka_unit_test(test_one_file_is_enough),
		cmocka_unit_test(test_a_missing_file_is_named),
		cmocka_unit_test(test_a_line_that_changed_is_refused),
		cmocka_unit_test(test_seeds_make_other_rows),
		cmocka_unit_test(test_made_up_rows_are_like_the_real),
		cmocka_unit_test(test_categories_lie_where_the_real_ones_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
