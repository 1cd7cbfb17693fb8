/* Progress by positions of any length: what is committed is what is read, whoever writes besides.
 */
#include "backends/backends.h"
#include "delta_fixture.h"

#define APP "pinpipe/stream/s/shardId-000000000000/u"

static const struct lineage one = { 0xfedcba9876543210, 0x8000000000000001 };
static const struct lineage other = { 0xfedcba9876543210, 2 };

static struct position position_of(const char *text)
{
	struct position position;

	assert_true(position_parse(slice_str(text), &position));
	return position;
}

static struct delta_progress at(const char *text, struct lineage lineage)
{
	return (struct delta_progress){ .any = true,
					.position = position_of(text),
					.lineage = lineage };
}

static struct delta_progress progress_of(const struct delta_table *table)
{
	struct delta_progress progress;
	struct err err = { 0 };

	assert_ok(delta_progress(table, APP, &progress, &err));
	return progress;
}

static enum err_code step(struct delta_table *table, struct delta_progress now,
			  struct delta_progress after, struct err *err)
{
	struct delta_step step = { APP, now, after };
	struct delta_commit commit = { .operation = "WRITE", .steps = &step, .step_count = 1 };
	int64_t version;

	return delta_commit(table, &commit, &version, err);
}

static void step_ok(struct delta_table *table, struct delta_progress now)
{
	struct err err = { 0 };

	assert_ok(step(table, now, progress_of(table), &err));
}

static void assert_at(const struct delta_table *table, const char *text, struct lineage lineage)
{
	struct delta_progress progress = progress_of(table);
	char is[POSITION_TEXT_MAX], wanted[POSITION_TEXT_MAX];

	assert_true(progress.any);
	(void)position_text(progress.position, is);
	(void)position_text(position_of(text), wanted);
	assert_string_equal(is, wanted);
	assert_true(delta_lineage_is(progress.lineage, lineage));
}

static int64_t txns_of(struct store *store, int64_t version)
{
	char *text = get_text(store, log_key(version, ".json"));
	int64_t count = 0;

	for (const char *found = text; (found = strstr(found, "{\"txn\"")) != NULL; found++)
		count++;
	free(text);
	return count;
}

/* The smallest, the largest that fits one number, the next, a service's, the largest of all. */
static const struct {
	const char *text;
	int64_t txns; /* of the position */
} positions[] = {
	{ "0", 1 },
	{ "1", 1 },
	{ "9223372036854775807", 1 },
	{ "9223372036854775808", 3 },
	{ "18446744073709551616", 3 },
	{ "49590338271490256608559692538361571095921575989136588898", 3 },
	{ "98079714615416886934934209737619787751599303819750539263", 3 }, /* 2^186 - 1 */
};

/* Each as the first that a table notes, and after all that are less; out of the log, and out of a
 * checkpoint. */
static void test_any_position(void **state)
{
	struct store *all = store_memory_new(64 << 20);
	struct delta_table *rising = open_table(all);

	(void)state;
	assert_false(progress_of(rising).any);
	for (size_t i = 0; i < ARRAY_LEN(positions); i++) {
		struct store *store = store_memory_new(64 << 20);
		struct delta_table *table = open_table(store);
		struct delta_table *again;

		step_ok(table, at(positions[i].text, one));
		assert_int_equal(txns_of(store, 1), positions[i].txns + 2);
		for (int n = 0; n < 12; n++) {
			again = open_table(store);
			assert_at(again, positions[i].text, one);
			delta_close(again);
			append_ok(table, "filler", n);
		}
		assert_true(has_key(store, log_key(10, ".checkpoint.parquet")));
		delta_close(table);
		for (int64_t version = 0; version < 10; version++)
			remove_key(store, log_key(version, ".json"));
		table = open_table(store);
		assert_at(table, positions[i].text, one);
		assert_false(delta_lineage_is(progress_of(table).lineage, other));
		delta_close(table);
		store_free(store);

		step_ok(rising, at(positions[i].text, i % 2 ? one : other));
		assert_at(rising, positions[i].text, i % 2 ? one : other);
	}
	delta_close(rising);
	store_free(all);
}

static void test_a_position_that_is_too_large(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *table = open_table(store);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(step(table,
			      at("98079714615416886934934209737619787751599303819750539264", one),
			      progress_of(table), &err),
			 ERR_LIMIT);
	assert_int_equal(delta_version(table), 0);
	delta_close(table);
	store_free(store);
}

/* What begins anew at small positions in an id that had large ones is read as what it is. */
static void test_small_after_large(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *table = open_table(store);

	(void)state;
	step_ok(table, at("9223372036854775808", one));
	step_ok(table, at("3", other));
	assert_at(table, "3", other);
	delta_close(table);
	table = open_table(store);
	assert_at(table, "3", other);
	delta_close(table);
	store_free(store);
}

/* ---- Others, and earlier versions of this program, write the same table ---- */

static void put_txns(struct store *store, int64_t version, const char *lines)
{
	put_text(store, log_key(version, ".json"), lines);
}

#define TXN(id, version, time) \
	"{\"txn\":{\"appId\":\"" APP id "\",\"version\":" version ",\"lastUpdated\":" time "}}\n"

static void test_a_plain_txn_is_a_position(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *table = open_table(store);
	struct err err = { 0 };

	(void)state;
	put_txns(store, 1, "{\"txn\":{\"appId\":\"" APP "\",\"version\":41}}\n");
	assert_ok(delta_refresh(table, &err));
	assert_at(table, "41", one);
	assert_true(delta_lineage_is(progress_of(table).lineage, other)); /* it has none */
	step_ok(table, at("49590338271490256608559692538361571095921575989136588898", one));
	assert_at(table, "49590338271490256608559692538361571095921575989136588898", one);
	delta_close(table);
	store_free(store);
}

/* Who knows no lineages leaves the one of an earlier position there. */
static void test_a_lineage_is_of_its_position(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *table = open_table(store);
	struct err err = { 0 };

	(void)state;
	step_ok(table, at("7", one));
	assert_false(delta_lineage_is(progress_of(table).lineage, other));
	put_txns(store, 2, TXN("", "9", "1"));
	assert_ok(delta_refresh(table, &err));
	assert_at(table, "9", other);
	step_ok(table, at("11", (struct lineage){ 0 }));
	assert_at(table, "11", other);
	delta_close(table);
	store_free(store);
}

static void assert_damage(const char *lines, bool before)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *table = open_table(store);
	struct delta_progress progress = { 0 };
	struct err err = { 0 };

	if (before)
		step_ok(table, at("9223372036854775808", one));
	put_txns(store, delta_version(table) + 1, lines);
	assert_ok(delta_refresh(table, &err));
	assert_int_equal(delta_progress(table, APP, &progress, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, ROOT));
	assert_non_null(strstr(err.msg, APP));
	assert_false(progress.any);
	assert_int_equal(
		step(table, at("9223372036854775809", one), at("9223372036854775808", one), &err),
		ERR_CORRUPT);
	delta_close(table);
	store_free(store);
}

static void test_parts_that_do_not_belong_together(void **state)
{
	(void)state;
	assert_damage(TXN("#0", "1", "5") TXN("#1", "2", "5"), false);
	assert_damage(TXN("#2", "1", "5"), false);
	assert_damage(TXN("", "1", "5") TXN("#0", "1", "5"), false);
	assert_damage(TXN("#0", "1", "5") TXN("#1", "2", "5") TXN("#2", "2", "6"), false);
	assert_damage(TXN("#0", "1", "5") TXN("#1", "4611686018427387904", "5") TXN("#2", "2", "5"),
		      false);
	assert_damage(TXN("#1", "1", "5"), true);
}

/* ---- Two writers ---- */

static const char *const sequences[] = {
	"49590338271490256608559692538361571095921575989136588898",
	"49590338271490256608559692538361571095921575989136588899",
	"49590338271490256608559692538361571095921575989136588900",
};

static void test_the_same_batch_by_two(void **state)
{
	for (int wide = 0; wide <= 1; wide++) {
		const char *two = wide ? sequences[1] : "2", *three = wide ? sequences[2] : "3";
		struct store *store = store_memory_new(64 << 20);
		struct delta_table *first = open_table(store);
		struct delta_table *second = open_table(store);
		struct delta_progress before;
		struct err err = { 0 };

		(void)state;
		step_ok(first, at(wide ? sequences[0] : "1", one));
		assert_ok(delta_refresh(second, &err));
		before = progress_of(second);
		step_ok(first, at(two, one));
		/* The very batch; a longer one; one of another history. */
		assert_int_equal(step(second, at(two, one), before, &err), ERR_EXISTS);
		assert_int_equal(step(second, at(three, one), before, &err), ERR_LOCKED);
		assert_int_equal(step(second, at(two, other), before, &err), ERR_LOCKED);
		assert_int_equal(step(second, at(three, one), at(two, other), &err), ERR_LOCKED);
		assert_int_equal(delta_version(second), 2);
		assert_ok(step(second, at(three, one), at(two, one), &err));
		/* A shorter one is there as well. */
		assert_int_equal(step(first, at(two, one), before, &err), ERR_EXISTS);
		assert_ok(delta_refresh(first, &err));
		assert_at(first, three, one);
		delta_close(first);
		delta_close(second);
		store_free(store);
	}
}

/* Of two shards one went on: the whole is neither there nor to be committed. */
static void test_steps_that_are_there_in_part(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *first = open_table(store);
	struct delta_table *second = open_table(store);
	struct delta_progress none = { 0 };
	struct delta_txn txn = { "marker", 0, -1 };
	struct delta_step steps[] = { { APP, at("5", one), none }, { "b", at("5", one), none } };
	struct delta_commit commit = {
		.operation = "WRITE", .txns = &txn, .txn_count = 1, .steps = steps, .step_count = 2
	};
	struct err err = { 0 };
	int64_t version;

	(void)state;
	step_ok(first, at("5", one));
	assert_int_equal(delta_commit(second, &commit, &version, &err), ERR_LOCKED);
	assert_int_equal(delta_version(second), 1);
	steps[0].after = at("5", one);
	steps[0].now = at("6", one);
	assert_ok(delta_commit(second, &commit, &version, &err));
	steps[0].after = none;
	assert_ok(delta_refresh(first, &err));
	assert_int_equal(delta_commit(first, &commit, &version, &err), ERR_EXISTS);
	delta_close(first);
	delta_close(second);
	store_free(store);
}

/* A replacement sets them as they are. */
static void test_a_replacement_has_steps(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *table = open_table(store);
	struct delta_step step = { APP, at(sequences[1], one), at("1", other) };
	struct delta_commit commit = { .operation = "WRITE", .steps = &step, .step_count = 1 };
	struct err err = { 0 };
	int64_t version;

	(void)state;
	assert_ok(delta_replace(table, &commit, 0, &version, &err));
	assert_at(table, sequences[1], one);
	delta_close(table);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_position),
		cmocka_unit_test(test_a_position_that_is_too_large),
		cmocka_unit_test(test_small_after_large),
		cmocka_unit_test(test_a_plain_txn_is_a_position),
		cmocka_unit_test(test_a_lineage_is_of_its_position),
		cmocka_unit_test(test_parts_that_do_not_belong_together),
		cmocka_unit_test(test_the_same_batch_by_two),
		cmocka_unit_test(test_steps_that_are_there_in_part),
		cmocka_unit_test(test_a_replacement_has_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
