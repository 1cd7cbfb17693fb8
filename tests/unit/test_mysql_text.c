/* Values of a MySQL row as JSON: what Python prints of the same texts. */
#include "source/mysql_text.h"

#include "base/mem.h"
#include "testing.h"

static void test_values_are_printed_as_python_does(void **state)
{
	static const struct {
		enum mysql_form form;
		const char *text;
		const char *printed;
	} cases[] = {
		{ MYSQL_FORM_INT, "0", "0" },
		{ MYSQL_FORM_INT, "-7", "-7" },
		{ MYSQL_FORM_INT, "00042", "42" },
		{ MYSQL_FORM_INT, "0000", "0" },
		{ MYSQL_FORM_INT, "18446744073709551615", "18446744073709551615" },
		{ MYSQL_FORM_DOUBLE, "52", "52.0" },
		{ MYSQL_FORM_DOUBLE, "-52", "-52.0" },
		{ MYSQL_FORM_DOUBLE, "0", "0.0" },
		{ MYSQL_FORM_DOUBLE, "-0", "-0.0" },
		{ MYSQL_FORM_DOUBLE, "0.5", "0.5" },
		{ MYSQL_FORM_DOUBLE, "-88.0974", "-88.0974" },
		{ MYSQL_FORM_DOUBLE, "52.100", "52.1" },
		{ MYSQL_FORM_DOUBLE, "0.0001", "0.0001" },
		{ MYSQL_FORM_DOUBLE, "0.00012345", "0.00012345" },
		{ MYSQL_FORM_DOUBLE, "0.00001", "1e-05" },
		{ MYSQL_FORM_DOUBLE, "-0.0000123", "-1.23e-05" },
		{ MYSQL_FORM_DOUBLE, "1e15", "1000000000000000.0" },
		{ MYSQL_FORM_DOUBLE, "1.5e15", "1500000000000000.0" },
		{ MYSQL_FORM_DOUBLE, "1e16", "1e+16" },
		{ MYSQL_FORM_DOUBLE, "1.25e16", "1.25e+16" },
		{ MYSQL_FORM_DOUBLE, "1e20", "1e+20" },
		{ MYSQL_FORM_DOUBLE, "1.7976931348623157e308", "1.7976931348623157e+308" },
		{ MYSQL_FORM_DOUBLE, "5e-324", "5e-324" },
		{ MYSQL_FORM_DOUBLE, "123456789012345.6", "123456789012345.6" },
		{ MYSQL_FORM_DOUBLE, "9007199254740993", "9007199254740992.0" },
		{ MYSQL_FORM_DECIMAL, "12.50", "\"12.50\"" },
		{ MYSQL_FORM_DECIMAL, "-0.000001", "\"-0.000001\"" },
		{ MYSQL_FORM_DECIMAL, "0.0000001", "\"1E-7\"" },
		{ MYSQL_FORM_DECIMAL, "-0.00000012", "\"-1.2E-7\"" },
		{ MYSQL_FORM_DECIMAL, "0.0000000", "\"0E-7\"" },
		{ MYSQL_FORM_DECIMAL, "0.00", "\"0.00\"" },
		{ MYSQL_FORM_TIME, "2020-08-28 03:52:47", "\"2020-08-28 03:52:47\"" },
		{ MYSQL_FORM_TIME, "2020-08-28 03:52:47.120000", "\"2020-08-28 03:52:47.120000\"" },
		{ MYSQL_FORM_TIME, "2020-08-28 03:52:47.1", "\"2020-08-28 03:52:47.100000\"" },
		{ MYSQL_FORM_TIME, "2020-08-28 03:52:47.000", "\"2020-08-28 03:52:47\"" },
		{ MYSQL_FORM_TIME, "0000-00-00 00:00:00.000", "\"0000-00-00 00:00:00.000\"" },
		{ MYSQL_FORM_TIME, "2020-00-10 00:00:00.5", "\"2020-00-10 00:00:00.5\"" },
		{ MYSQL_FORM_TEXT, "", "\"\"" },
		{ MYSQL_FORM_TEXT, "a\"\\\n\xf0\x9f\x98\x80", "\"a\\\"\\\\\\n\xf0\x9f\x98\x80\"" },
		{ MYSQL_FORM_TEXT, "\xff", "\"\xef\xbf\xbd\"" },
		{ MYSQL_FORM_TEXT, NULL, "null" },
		{ MYSQL_FORM_DOUBLE, NULL, "null" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = cases[i].text;

		buf_clear(&out);
		mysql_text_put(&out, cases[i].form, text ? slice_str(text) : (struct slice){ 0 });
		assert_string_equal(buf_cstr(&out), cases[i].printed);
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_are_printed_as_python_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
