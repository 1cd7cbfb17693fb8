/* What the sink's layouts are made of: folders by time, times of records, gzip, properties. */
#include "base/gzip.h"
#include "base/mem.h"
#include "base/properties.h"
#include "flow/event_time.h"
#include "flow/path_format.h"
#include "testing.h"

#include <time.h>

#define HOUR_MS INT64_C(3600000)

static void set_zone(const char *name)
{
	assert_int_equal(setenv("TZ", name, 1), 0);
	tzset();
}

static void assert_path(const char *pattern, int64_t duration_ms, int64_t utc_ms,
			const char *expected)
{
	struct path_clock clock = { 0 };
	struct path_format format;
	char path[LAKE_PATH_MAX];
	struct err err = { 0 };

	assert_ok(path_format_init(&format, pattern, duration_ms, &err));
	path_format_put(&format, path_bucket(&format, &clock, utc_ms), path);
	assert_string_equal(path, expected);
}

static void test_paths(void **state)
{
	(void)state;
	set_zone("UTC0");
	/* 2022-03-01T13:47:05.678Z */
	assert_path("'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH", HOUR_MS, 1646142425678,
		    "year=2022/month=03/day=01/hour=13");
	assert_path("/'d'=yyyy-MM-dd/", 24 * HOUR_MS, 1646142425678, "d=2022-03-01");
	assert_path("YY/M/d/D/H-m-s", 1000, 1646142425678, "22/3/1/60/13-47-5");
	assert_path("'it''s'/HH-mm", 6 * HOUR_MS, 1646142425678, "it's/12-00");
	assert_path("yyyy/MM/dd/HH", HOUR_MS, -1, "1969/12/31/23");
	set_zone("Europe/Berlin");
	assert_path("yyyy/MM/dd/HH", HOUR_MS, 1646142425678, "2022/03/01/14");
	assert_path("yyyy/MM/dd", 24 * HOUR_MS, 1656626400000, "2022/07/01"); /* midnight there */
	assert_path("HH", HOUR_MS, 1648342799999, "01"); /* before the hour that is left out … */
	assert_path("HH", HOUR_MS, 1648342800000, "03"); /* … and after it */
	set_zone("UTC0");
}

static void assert_wait(int64_t utc_s, int minutes, int expected)
{
	struct path_clock clock = { 0 };

	assert_int_equal(path_clock_wait(&clock, utc_s * 1000, minutes * 60000L),
			 expected * 60000L);
}

/* The marks are the clock's on the wall, also on days of 23 and of 25 hours. */
static void test_marks_of_the_clock(void **state)
{
	enum { DAY = 24 * 60, SPRING = 1648335600, AUTUMN = 1667080800 }; /* midnights there */

	(void)state;
	set_zone("Europe/Berlin");
	assert_wait(SPRING - 1800, DAY, 30);
	assert_wait(SPRING + 1800, DAY, 23 * 60 - 30);
	assert_wait(SPRING + 1800, 60, 30);
	assert_wait(SPRING + 6000, 60, 20); /* 01:40; the mark at 02:00 is one at 03:00 */
	assert_wait(SPRING + 6000, 90, 20); /* 03:00 comes after 01:30 */
	assert_wait(SPRING + 6000, 7 * 60, 260);
	assert_wait(SPRING + 23 * 3600 - 60, DAY, 1);
	assert_wait(AUTUMN - 1800, DAY, 30);
	assert_wait(AUTUMN + 1800, DAY, 25 * 60 - 30);
	assert_wait(AUTUMN + 10200, 60, 10);		 /* 02:50 for the first time */
	assert_wait(AUTUMN + 13800, 60, 10);		 /* … and again */
	assert_wait(AUTUMN + 24 * 3600 + 1800, DAY, 30); /* the last hour of the day */
	set_zone("UTC0");
	assert_wait(SPRING + 1800, DAY, 30);
}

static void refuse(const char *pattern, int64_t duration_ms)
{
	struct path_format format;
	struct err err = { 0 };

	assert_int_equal(path_format_init(&format, pattern, duration_ms, &err), ERR_USAGE);
}

static void test_patterns_that_are_none(void **state)
{
	(void)state;
	refuse("'year'=xxxx", HOUR_MS);
	refuse("MMM", HOUR_MS);
	refuse("year=YYYY", HOUR_MS);
	refuse("'year", HOUR_MS);
	refuse("YYYY//MM", HOUR_MS);
	refuse("'..'/YYYY", HOUR_MS);
	refuse("'partition='YYYY", HOUR_MS);
	refuse("/", HOUR_MS);
	refuse("YYYY", 0);
}

static void assert_time(const char *text, int64_t expected)
{
	int64_t ms = 0;

	assert_true(event_time_parse(slice_str(text), &ms));
	assert_int_equal(ms, expected);
}

static void test_times(void **state)
{
	static const char *const none[] = { "",
					    "-",
					    "2022-13-01",
					    "2022-03-01T",
					    "soon",
					    "2022-03-01T25:00",
					    "2022-03-01T12:00:00Zx",
					    "12345678901234567890" };
	int64_t ms;

	(void)state;
	assert_time("1646142425678", 1646142425678);
	assert_time("-5", -5);
	assert_time("2022-03-01T13:47:05.678Z", 1646142425678);
	assert_time("2022-03-01 13:47:05.678123", 1646142425678);
	assert_time("2022-03-01T13:47:05.678999999Z", 1646142425678);
	assert_time("2022-03-01T14:47:05.678+01:00", 1646142425678);
	assert_time("2022-03-01T08:17:05.678-0530", 1646142425678);
	assert_time("2022-03-01T13:47Z", 1646142420000);
	assert_time("2022-03-01", 1646092800000);
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_false(event_time_parse(slice_str(none[i]), &ms));
}

/* --- gzip ------------------------------------------------------------------------ */

static void test_gzip(void **state)
{
	struct buf text, packed, again;
	struct err err = { 0 };

	(void)state;
	buf_init(&text, 8 << 20);
	buf_init(&packed, 8 << 20);
	buf_init(&again, 8 << 20);
	for (int i = 0; i < 200000; i++)
		buf_addf(&text, "%d\n", i * 7919 % 1000003);
	gzip_pack(&packed, buf_slice(&text), -1);
	assert_true(gzip_is(buf_slice(&packed)));
	assert_true(packed.len < text.len);
	assert_ok(gzip_unpack(&again, buf_slice(&packed), &err));
	assert_true(slice_eq(buf_slice(&again), buf_slice(&text)));
	/* Two members, as those who append make them. */
	buf_clear(&again);
	gzip_pack(&packed, slice_str("more"), 9);
	assert_ok(gzip_unpack(&again, buf_slice(&packed), &err));
	assert_int_equal(again.len, text.len + 4);
	for (size_t cut = 0; cut < packed.len; cut += packed.len / 7 + 1) {
		buf_clear(&again);
		assert_int_equal(gzip_unpack(&again, slice_of(packed.ptr, cut), &err), ERR_CORRUPT);
	}
	buf_clear(&again);
	assert_int_equal(gzip_unpack(&again, buf_slice(&text), &err), ERR_CORRUPT);
	again.max = 1000;
	buf_clear(&again);
	assert_int_equal(gzip_unpack(&again, buf_slice(&packed), &err), ERR_LIMIT);
	buf_release(&again);
	buf_release(&packed);
	buf_release(&text);
}

static void add_text(void *user, struct slice text)
{
	assert_in_range(text.len, 1, 256 << 10); /* never much of it at once */
	buf_add_slice(user, text);
}

/* `step` bytes at a time; how that ends. */
static enum err_code unpack_pieces(struct slice packed, size_t step, struct buf *out)
{
	struct gzip_reader *reader = gzip_reader_new();
	enum err_code code = ERR_OK;
	struct err err = { 0 };

	buf_clear(out);
	for (size_t at = 0; at < packed.len && code == ERR_OK; at += step)
		code = gzip_reader_feed(
			reader,
			slice_of(packed.ptr + at, packed.len - at < step ? packed.len - at : step),
			add_text, out, &err);
	if (code == ERR_OK)
		code = gzip_reader_end(reader, &err);
	gzip_reader_free(reader);
	return code;
}

static void test_gzip_in_pieces(void **state)
{
	static const size_t steps[] = { 1, 7, 4096, SIZE_MAX / 2 };
	struct buf text, packed, again;

	(void)state;
	buf_init(&text, 8 << 20);
	buf_init(&packed, 8 << 20);
	buf_init(&again, 8 << 20);
	while (text.len < 3 << 20) /* packs to a thousandth */
		buf_add_str(&text, "{\"n\":1}\n");
	gzip_pack(&packed, buf_slice(&text), -1);
	gzip_pack(&packed, slice_str("more"), -1);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		assert_int_equal(unpack_pieces(buf_slice(&packed), steps[i], &again), ERR_OK);
		assert_int_equal(again.len, text.len + 4);
		assert_memory_equal(again.ptr, text.ptr, text.len);
		assert_int_equal(
			unpack_pieces(slice_of(packed.ptr, packed.len - 1), steps[i], &again),
			ERR_CORRUPT);
		assert_int_equal(unpack_pieces(slice_str("{\"n\":1}\n"), steps[i], &again),
				 ERR_CORRUPT);
	}
	buf_release(&again);
	buf_release(&packed);
	buf_release(&text);
}

/* --- properties ------------------------------------------------------------------ */

static enum err_code put_setting(void *user, size_t line, const char *name, const char *value,
				 struct err *err)
{
	(void)err;
	buf_addf(user, "%zu[%s][%s]", line, name, value);
	return ERR_OK;
}

static void assert_properties(const char *text, const char *expected)
{
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 10000);
	assert_ok(properties_read(slice_str(text), put_setting, &out, &err));
	assert_string_equal(buf_cstr(&out), expected);
	buf_release(&out);
}

static void test_properties(void **state)
{
	struct err err = { 0 };
	struct buf out;

	(void)state;
	assert_properties("", "");
	assert_properties("# x=1\n! y\n\n  a = b \nc:d\ne f\ng", "4[a][b ]5[c][d]6[e][f]7[g][]");
	assert_properties("a=b\\\n   c\nd=e\r\nf=g\rh=i", "1[a][bc]3[d][e]4[f][g]5[h][i]");
	assert_properties("a\\ b\\=c=d\\te\\u00e4\\\\", "1[a b=c][d\te\xc3\xa4\\]");
	assert_properties("path.format='year'=YYYY/'month'=MM",
			  "1[path.format]['year'=YYYY/'month'=MM]");
	assert_properties("a==b", "1[a][=b]");
	buf_init(&out, 1000);
	assert_int_equal(properties_read(slice_str("a=\\u12"), put_setting, &out, &err),
			 ERR_SYNTAX);
	assert_int_equal(properties_read(slice_str("=a"), put_setting, &out, &err), ERR_SYNTAX);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_patterns_that_are_none),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_marks_of_the_clock),
		cmocka_unit_test(test_gzip_in_pieces),
		cmocka_unit_test(test_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
