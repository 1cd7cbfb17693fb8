/* The table of options is sound, and each layer's value is read as its type says. */
#include "base/config_private.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "testing.h"

#include <string.h>

static const enum option every_option[] = {
#define X(id, key, flag, type, value, allowed, help) OPT_##id,
#include "base/config_options.h"
#undef X
	OPTION_COUNT,
};

/* The words of a line, in place; returns how many. */
static int split(char *line, char **words)
{
	int count = 0;

	for (char *rest = line, *word; (word = strsep(&rest, " "));)
		words[count++] = word;
	return count;
}

/* Words with | between them: one is enough, where there is one backend; a range is none. */
static bool is_choice(const char *allowed)
{
	return *allowed && !strstr(allowed, "..");
}

static void test_table_is_sound(void **state)
{
	struct config *config = config_new();	/* ends the program if a default is not allowed */

	(void)state;
	for (int i = 0; i < OPTION_COUNT; i++) {
		enum option option = (enum option)i;
		const char *key = option_key(option), *flag = option_flag(option);
		const char *dot = strchr(key, '.');
		char section[32] = "";

		assert_true(*key || *flag);
		assert_true(strlen(key) + sizeof("PINPIPE_") <= OPTION_ENV_MAX);
		assert_true(option_help(option)[strlen(option_help(option)) - 1] != '.');
		if (*flag)
			assert_string_equal(option_flag(option_of_flag(slice_str(flag))), flag);
		assert_int_equal(*key ? option_of_key(key) : option, option);
		assert_true(option_type(option) != CONFIG_SECRET || !*flag);
		if (option_type(option) == CONFIG_CHOICE)
			assert_true(is_choice(option_allowed(option)));
		else
			assert_null(strchr(option_allowed(option), '|'));
		if (dot) {
			memcpy(section, key, (size_t)(dot - key));
			if (!option_is_section(section))
				fail_msg("the section of \"%s\" is missing in option.c", key);
		}
	}
	config_free(config);
}

static void expect(enum option option, const char *text, int64_t want)
{
	struct err err = { 0 };
	int64_t number = -1;

	assert_ok(option_parse(option, text, &number, &err));
	assert_int_equal(number, want);
}

static void refuse(enum option option, const char *text)
{
	struct err err = { 0 };
	int64_t number = -1;

	if (option_parse(option, text, &number, &err) != ERR_USAGE)
		fail_msg("\"%s\" was taken for %s", text, option_key(option));
	assert_int_equal(number, -1);
	assert_non_null(strstr(err.msg, "is not"));
}

static void test_values_have_units_and_ranges(void **state)
{
	(void)state;
	expect(OPT_FLUSH_BYTES, "4096", 4096);
	expect(OPT_FLUSH_BYTES, "64KiB", 65536);
	expect(OPT_ENGINE_MEMORY, "2GiB", 2LL << 30);
	expect(OPT_FLUSH_AGE, "250ms", 250);
	expect(OPT_FLUSH_AGE, "10", 10000);
	expect(OPT_RETENTION, "7d", 7 * 86400000LL);
	expect(OPT_RETENTION, "0", 0);
	expect(OPT_SEED, "9223372036854775807", INT64_MAX);
	expect(OPT_INSECURE, "Yes", 1);
	expect(OPT_INSECURE, "off", 0);
	refuse(OPT_FLUSH_BYTES, "64kb");
	refuse(OPT_FLUSH_BYTES, "64 KiB");
	refuse(OPT_FLUSH_BYTES, "1023");
	refuse(OPT_FLUSH_BYTES, "2GiB");
	refuse(OPT_FLUSH_AGE, "10KiB");
	refuse(OPT_SEED, "9223372036854775808");
	refuse(OPT_RETENTION_BYTES, "9223372036854775807KiB");
	refuse(OPT_PARTITIONS, "0");
	refuse(OPT_PARTITIONS, "-1");
	refuse(OPT_PARTITIONS, "1.5");
	refuse(OPT_PARTITIONS, "");
	refuse(OPT_PARTITIONS, "KiB");
	refuse(OPT_INSECURE, "2");
	refuse(OPT_VERBOSE, "");
	refuse(OPT_VERBOSE, "inf");
	refuse(OPT_VERBOSE, "error|warn");
}

static void test_layers_win_in_their_order_whatever_comes_first(void **state)
{
	struct config *config = config_new();
	struct err err = { 0 };
	char flags[] = "one --dir flag -- --two", variables[] = "PINPIPE_DIR=env PINPIPE_ID=env HOME=/x";
	char *words[8], *environment[8] = { NULL };
	int count = split(flags, words);

	(void)state;
	(void)split(variables, environment);
	assert_false(config_is_set(config, OPT_DIR));
	assert_ok(config_load_flags(config, every_option, &count, words, &err));
	assert_ok(config_load_env(config, environment, &err));
	assert_string_equal(config_text(config, OPT_DIR), "flag");
	assert_string_equal(config_place(config, OPT_DIR), "--dir");
	assert_string_equal(config_text(config, OPT_ID), "env");
	assert_int_equal(config_origin(config, OPT_ID), CONFIG_FROM_ENV);
	assert_int_equal(count, 2);
	assert_string_equal(words[0], "one");
	assert_string_equal(words[1], "--two");
	config_free(config);
}

static void test_texts_outlive_a_change(void **state)
{
	struct config *config = config_new();
	const char *before = config_text(config, OPT_DIR);

	(void)state;
	config_set_text(config, OPT_DIR, "elsewhere");
	config_set_text(config, OPT_POSTS, "12");
	assert_string_equal(before, "pinpipe-data");
	assert_string_equal(config_text(config, OPT_DIR), "elsewhere");
	assert_int_equal(config_int(config, OPT_POSTS), 12);
	config_free(config);
}

static void refuse_flags(const char *text, const char *says)
{
	static const enum option accepts[] = { OPT_POSTS, OPTION_COUNT };
	struct config *config = config_new();
	struct err err = { 0 };
	char line[64], *words[8];
	int count;

	(void)snprintf(line, sizeof(line), "%s", text);
	count = split(line, words);
	assert_int_equal(config_load_flags(config, accepts, &count, words, &err), ERR_USAGE);
	assert_string_equal(err.msg, says);
	config_free(config);
}

static void test_flags_of_another_command_are_refused(void **state)
{
	(void)state;
	refuse_flags("--listen x", "this command takes no option \"--listen\"");
	refuse_flags("--api-key x", "unknown option \"--api-key\"");
	refuse_flags("--psots 3", "unknown option \"--psots\", did you mean \"--posts\"?");
	refuse_flags("--po 3", "unknown option \"--po\", did you mean \"--posts\"?");
	refuse_flags("--posts", "option \"--posts\" wants a value");
	refuse_flags("-v", "unknown option \"-v\": options begin with two dashes");
}

/* Of two options with one flag it is the one that the command takes. */
static void test_a_flag_is_what_the_command_takes_by_it(void **state)
{
	const enum option of_cat[] = { OPT_START, OPTION_COUNT };
	const enum option of_sql[] = { OPT_FROM, OPTION_COUNT };
	char *at[] = { (char[]){ "--from" }, (char[]){ "-10" } };
	char *tables[] = { (char[]){ "--from=stream" } };
	struct config *config = config_new();
	struct err err = { 0 };
	int two = 2, one = 1;

	(void)state;
	assert_ok(config_load_flags(config, of_cat, &two, at, &err));
	assert_string_equal(config_text(config, OPT_START), "-10");
	assert_ok(config_load_flags(config, of_sql, &one, tables, &err));
	assert_string_equal(config_text(config, OPT_FROM), "stream");
	assert_string_equal(config_text(config, OPT_START), "-10");
	config_free(config);
}

static void test_distance_counts_typing_mistakes(void **state)
{
	char longest[200];

	(void)state;
	assert_int_equal(word_distance("", ""), 0);
	assert_int_equal(word_distance("", "abc"), 3);
	assert_int_equal(word_distance("gateway", "gatway"), 1);
	assert_int_equal(word_distance("format", "fromat"), 1);
	assert_int_equal(word_distance("kitten", "sitting"), 3);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(word_distance(longest, "x"), 63);
}

/* As `run` and `up` pass on to their children what flags have set. */
static void test_a_variable_sets_what_it_is_named_for(void **state)
{
	static const char *const names[] = { "bootstrap.servers", "ssl.key-file", "a_b.c",
					     "maxResultSize" };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct config *config = config_new();
		const struct config_setting *settings;
		char *environment[2] = { 0 };
		struct buf variable;
		size_t count;

		buf_init(&variable, 200);
		option_group_put_env(&variable, OPTION_GROUP_KAFKA, names[i]);
		buf_add_str(&variable, "=x");
		environment[0] = xstrdup(buf_cstr(&variable));
		assert_ok(config_load_env(config, environment, &err));
		settings = config_settings(config, OPTION_GROUP_KAFKA, &count);
		assert_int_equal(count, 1);
		assert_string_equal(settings->name, names[i]);
		free(environment[0]);
		buf_release(&variable);
		config_free(config);
	}
}

/* What a backend sees of its group: one setting a name, in order, of the highest layer. */
static void test_settings_of_a_group(void **state)
{
	static const struct { const char *name, *text; enum config_origin origin; } set[] = {
		{ "b", "file", CONFIG_FROM_FILE }, { "a.b", "flag", CONFIG_FROM_FLAG },
		{ "a.b", "env", CONFIG_FROM_ENV }, { "b", "env", CONFIG_FROM_ENV },
		{ "a.b", "later flag", CONFIG_FROM_FLAG }, { "A", "", CONFIG_FROM_FILE },
	};
	static const char *const expected[][2] = { { "A", "" }, { "a.b", "later flag" }, { "b", "env" } };
	struct config *config = config_new();
	const struct config_setting *settings;
	struct err err;
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		assert_ok(config_set_in_group(config, OPTION_GROUP_SPARK, slice_str(set[i].name),
					      slice_str(set[i].text), set[i].origin, "here", &err));
	settings = config_settings(config, OPTION_GROUP_SPARK, &count);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(settings[i].name, expected[i][0]);
		assert_string_equal(settings[i].text, expected[i][1]);
	}
	(void)config_settings(config, OPTION_GROUP_KAFKA, &count);
	assert_int_equal(count, 0);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_sound),
		cmocka_unit_test(test_settings_of_a_group),
		cmocka_unit_test(test_a_variable_sets_what_it_is_named_for),
		cmocka_unit_test(test_values_have_units_and_ranges),
		cmocka_unit_test(test_layers_win_in_their_order_whatever_comes_first),
		cmocka_unit_test(test_texts_outlive_a_change),
		cmocka_unit_test(test_flags_of_another_command_are_refused),
		cmocka_unit_test(test_a_flag_is_what_the_command_takes_by_it),
		cmocka_unit_test(test_distance_counts_typing_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
