/* The models' headers, and what the functions of a model make of a text. */
#include "base/mem.h"
#include "engine/model.h"
#include "engine/read.h"
#include "scratch.h"
#include "testing.h"

#include <sys/stat.h>

enum { TEXT_MAX = 512 };

static void write_model(const char *dir, const char *name, const char *text)
{
	char path[TEXT_MAX];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* A directory of one clean model and one analysis, of which one text is given. */
static enum err_code load(const char *clean, const char *analysis, struct models *ret_models,
			  struct err *err)
{
	char dir[SCRATCH_NAME_MAX];
	char path[TEXT_MAX];
	enum err_code code;

	scratch_dir(dir);
	(void)snprintf(path, sizeof(path), "%s/clean", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_model(
		path, "pin.sql",
		clean ? clean
		      : "-- title: P\n-- key: i AS ind\n-- fields: i\n-- columns: ind int\nSELECT 1");
	(void)snprintf(path, sizeof(path), "%s/analyses", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_model(path, "a.sql", analysis ? analysis : "-- title: A\nSELECT 1");
	write_model(path, ".hidden.sql", "no model");
	write_model(path, "notes.txt", "no model");
	code = models_load(dir, ret_models, err);
	scratch_remove(dir);
	return code;
}

static void test_an_analysis(void **state)
{
	struct models models;
	struct err err = { 0 };

	(void)state;
	assert_ok(load(NULL, "-- title: T: x\n-- description: one\n--   two\n--\n-- chart: line\n\n"
		       "SELECT 1 -- why\n;\n", &models, &err));
	assert_int_equal(models.analysis_count, 1);
	assert_string_equal(models.analyses[0].model.name, "a");
	assert_string_equal(models.analyses[0].model.title, "T: x");
	assert_string_equal(models.analyses[0].description, "one two");
	assert_string_equal(chart_name(models.analyses[0].chart), "line");
	assert_string_equal(models.analyses[0].model.sql, "SELECT 1 -- why");
	assert_int_equal(models.analyses[0].model.line, 7);
	assert_ptr_equal(models_analysis(&models, "a"), &models.analyses[0]);
	assert_null(models_analysis(&models, "b"));
	models_free(&models);
}

static void test_a_clean_model(void **state)
{
	struct models models;
	struct err err = { 0 };
	const struct clean_model *pin;

	(void)state;
	assert_ok(load("-- title: P\n-- key: index AS ind\n-- fields: index\n--   a  b\n"
		       "-- columns: ind int, c array<double>,\n--   t timestamp\nSELECT 1",
		       NULL, &models, &err));
	pin = models_clean(&models, "pin");
	assert_non_null(pin);
	assert_int_equal(pin->field_count, 3);
	assert_string_equal(pin->fields[2].name, "b");
	assert_int_equal(pin->schema.count, 5);
	assert_int_equal(pin->schema.columns[1].type, DELTA_ARRAY_DOUBLE);
	assert_string_equal(pin->schema.columns[4].name, "_offset");
	models_free(&models);
}

static void test_broken_headers(void **state)
{
	static const struct { const char *clean, *analysis, *said;
	} cases[] = {
		{ NULL, "-- title: T\n-- x\nSELECT 1", "a.sql:2: " },
		{ NULL, "-- title: T\n-- colour: red\nSELECT 1", "a.sql:2: no such header line" },
		{ NULL, "-- title: T\n-- title: T\nSELECT 1",
		  "a.sql:2: \"title\" was given before" },
		{ NULL, "--   T\nSELECT 1", "a.sql:1: the header goes on" },
		{ NULL, "SELECT 1", "a.sql:1: the header lacks \"-- title" },
		{ NULL, "-- title: T\n\n", "there is no SQL" },
		{ NULL, "", "there is no SQL" },
		{ NULL, "-- title: T\n-- chart: pie\nSELECT 1", "a.sql:2: chart \"pie\"" },
		{ "-- title: P\nSELECT 1", NULL, "pin.sql:1: the header lacks \"-- fields" },
		{ "-- title: P\n-- key: i\n-- fields: j\n-- columns: ind int\nSELECT 1", NULL,
		  "pin.sql:2: the key \"i\" is none of the fields" },
		{ "-- title: P\n-- key: i\n-- fields: i\n-- columns: ind\nSELECT 1", NULL,
		  "pin.sql:4: column \"ind\" has no type" },
		{ "-- title: P\n-- key: i\n-- fields: i\n-- columns: ind int\nSELECT 1", NULL,
		  "pin.sql:2: the key \"i\" is none of the columns" },
		{ "-- title: P\n-- key: i AS d\n-- fields: i\n-- columns: d double\nSELECT 1", NULL,
		  "pin.sql:2: the key's column \"d\" has to be" },
		{ "-- title: P\n-- fields: \"US Gross\"\n-- columns: a int\nSELECT 1", NULL,
		  "pin.sql:2: field \"US Gross\" wants a name" },
		{ "-- title: P\n-- fields: \"US Gross AS x\n-- columns: a int\nSELECT 1", NULL,
		  "pin.sql:2: a quote is not closed" },
		{ "-- title: P\n-- fields: a b AS A\n-- columns: a int\nSELECT 1", NULL,
		  "pin.sql:2: field \"b\" is named twice" },
		{ "-- title: P\n-- fields: a\n-- columns: a int, A string\nSELECT 1", NULL,
		  "pin.sql:3: column \"A\" is named twice" },
		{ "-- title: P\n-- fields: a\n-- columns: _offset int\nSELECT 1", NULL,
		  "pin.sql:3: column \"_offset\": names that begin with _" },
		{ "-- title: P\n-- fields: a\n-- columns: a int\n-- topic: a/b\nSELECT 1", NULL,
		  "pin.sql:4: topic \"a/b\"" },
		{ "-- title: P\n-- fields: a\n-- columns: a int\n-- stream: {id} x\nSELECT 1", NULL,
		  "pin.sql:4: stream \"{id} x\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct models models;
		struct err err = { 0 };

		assert_int_equal(load(cases[i].clean, cases[i].analysis, &models, &err), ERR_USAGE);
		if (!strstr(err.msg, cases[i].said))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, cases[i].said);
	}
}

/* A byte order mark, names that SQL does not take, no key, names of one's own. */
static void test_a_table_of_ones_own(void **state)
{
	const struct clean_model *model;
	struct models models;
	struct err err = { 0 };
	struct buf name;

	(void)state;
	assert_ok(load("\xEF\xBB\xBF-- title: P\n-- fields: id \"US \"\"Gross\"\"\" AS us_gross\n"
		       "-- columns: id long, us_gross double\n-- topic: all.{id}\nSELECT 1",
		       NULL, &models, &err));
	model = models_clean(&models, "pin");
	assert_null(model->key);
	assert_int_equal(model->field_count, 2);
	assert_string_equal(model->fields[1].name, "US \"Gross\"");
	assert_string_equal(model->fields[1].alias, "us_gross");
	buf_init(&name, 100);
	clean_name(&name, model->topic, "x");
	assert_string_equal(buf_cstr(&name), "all.x");
	clean_name(&name, model->stream, "x");
	assert_string_equal(buf_cstr(&name), "streaming-x-pin");
	buf_release(&name);
	models_free(&models);
}

static void test_the_models_of_the_pipeline(void **state)
{
	struct models models;
	struct err err = { 0 };

	(void)state;
	assert_ok(models_load(TEST_MODELS, &models, &err));
	assert_int_equal(models.clean_count, 3);
	assert_int_equal(models.analysis_count, 8);
	models_free(&models);
	assert_int_equal(models_load("/nowhere", &models, &err), ERR_ABSENT);
}

static void test_doubles_are_those_of_the_c_library(void **state)
{
	static const char *const texts[] = {
		"0", "-0.0405555", "179.908", "1e22", "1e23", "9007199254740993", "123456789012345678901",
		"0.1234567890123456789", "5e-324", "1.7976931348623157e308", "2.2250738585072011e-308",
		"-89.97870000000000000", "1e-22", "1e-23", "4503599627370497.5",
	};
	double value;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_true(read_double(slice_str(texts[i]), &value));
		if (value != strtod(texts[i], NULL))
			fail_msg("%s became %.17g", texts[i], value);
	}
	for (const char *text = "1e309\0.5\0005.\0+-1\0nan\0inf\0001_0\0 1\0001 \0e5\0001e\000--1\0";
	     *text; text += strlen(text) + 1)
		if (read_double(slice_str(text), &value))
			fail_msg("\"%s\" was read as %g", text, value);
	assert_false(read_double(slice_of("", 0), &value));
}

static void test_integers_at_their_ends(void **state)
{
	int64_t count;
	int32_t value;

	(void)state;
	assert_true(read_int(slice_str("-2147483648"), &value) && value == INT32_MIN);
	assert_true(read_int(slice_str("2147483647.000"), &value) && value == INT32_MAX);
	assert_false(read_int(slice_str("2147483648"), &value));
	assert_true(read_int(slice_str("0e99"), &value) && value == 0);
	assert_true(read_int(slice_str("1.5e+1"), &value) && value == 15);
	for (const char *text = "0e999\0001200e-2\0000e-1\000000000000000000000007\0007.0000000000000000000\0";
	     *text; text += strlen(text) + 1)
		if (read_int(slice_str(text), &value))
			fail_msg("\"%s\" was read as %d", text, value);
	assert_true(read_long(slice_str("9223372036854775807"), &count) && count == INT64_MAX);
	assert_true(read_long(slice_str("-9223372036854775808.000"), &count) && count == INT64_MIN);
	assert_true(read_long(slice_str("92233720368547758.07e2"), &count) && count == INT64_MAX);
	assert_false(read_long(slice_str("9223372036854775808"), &count));
	assert_true(read_count(slice_str("9223372036854775.807k"), &count) && count == INT64_MAX);
	assert_false(read_count(slice_str("9223372036854775.808k"), &count));
	assert_false(read_count(slice_str("999999999999999999M"), &count));
	assert_false(read_count(slice_str("1234567890123456789"), &count));
}

static void test_timestamps_over_the_centuries(void **state)
{
	int64_t us;

	(void)state;
	assert_true(read_timestamp(slice_str("1970-01-01 00:00:00"), &us) && us == 0);
	assert_true(read_timestamp(slice_str("0001-01-01 00:00:00"), &us) &&
		    us == INT64_C(-62135596800000000));
	assert_true(read_timestamp(slice_str("9999-12-31 23:59:59"), &us) &&
		    us == INT64_C(253402300799000000));
	assert_true(read_timestamp(slice_str("2000-03-01 00:00:00"), &us) &&
		    us == INT64_C(951868800000000));
	assert_true(read_timestamp(slice_str("1970-01-01 18:00:00+18:00"), &us) && us == 0);
	assert_false(read_timestamp(slice_str("1970-01-01 18:00:00+18:01"), &us));
	assert_false(read_timestamp(slice_str("1970-01-01 05:00:00+05:"), &us));
	assert_false(read_timestamp(slice_str("1900-02-29 00:00:00"), &us));
	assert_false(read_timestamp(slice_str("0000-01-01 00:00:00"), &us));
	assert_false(read_timestamp(slice_str(""), &us));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_analysis),
		cmocka_unit_test(test_a_clean_model),
		cmocka_unit_test(test_broken_headers),
		cmocka_unit_test(test_a_table_of_ones_own),
		cmocka_unit_test(test_the_models_of_the_pipeline),
		cmocka_unit_test(test_doubles_are_those_of_the_c_library),
		cmocka_unit_test(test_integers_at_their_ends),
		cmocka_unit_test(test_timestamps_over_the_centuries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
