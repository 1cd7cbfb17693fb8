/* Many writers, lost answers and failing stores: every batch is in the table once. */
#include "backends/backends.h"
#include "base/metrics.h"
#include "delta/delta_table.h"
#include "delta_fixture.h"
#include "store/layer.h"

#include <pthread.h>

enum { COMMITS = 12, WRITERS = 3 };

/* ---- Several writers ---- */

struct writer {
	struct store *store;
	char app[8];
	enum err_code code;
};

static void *write_all(void *arg)
{
	struct writer *writer = arg;
	struct delta_options options = { .create = &fixture_schema, .checkpoints = true };
	struct delta_table *table = NULL;
	struct err err = { 0 };
	int64_t version;

	writer->code = delta_open(writer->store, ROOT, &options, &table, &err);
	for (int64_t n = 0; n < COMMITS && writer->code == ERR_OK; n++)
		writer->code = append(table, writer->app, n, &version, &err);
	delta_close(table);
	return NULL;
}

static void test_writers_that_create_and_commit_at_once(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	struct delta_table *table;

	(void)state;
	for (size_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .store = store };
		(void)snprintf(writers[i].app, sizeof(writers[i].app), "w%zu", i);
		assert_int_equal(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
	}
	for (size_t i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(writers[i].code, ERR_OK);
	}
	table = open_table(store);
	assert_int_equal(delta_version(table), WRITERS * COMMITS);
	assert_int_equal(delta_file_count(table), WRITERS * COMMITS);
	assert_int_equal(delta_rows(table), WRITERS * COMMITS * (COMMITS + 1) / 2);
	for (size_t i = 0; i < WRITERS; i++)
		assert_int_equal(delta_txn_version(table, writers[i].app), COMMITS - 1);
	delta_close(table);
	store_free(store);
}

/* Two instances of one job: whoever comes second learns that the batch is in the table. */
static void test_the_same_batch_by_two(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *first = open_table(store);
	struct delta_table *second = open_table(store);
	struct err err = { 0 };
	int64_t version;

	(void)state;
	append_ok(first, "app", 0);
	append_ok(first, "app", 1);
	assert_int_equal(append(second, "app", 1, &version, &err), ERR_EXISTS);
	assert_int_equal(delta_version(second), 2);
	append_ok(second, "app", 2);
	assert_int_equal(append(first, "app", 2, &version, &err), ERR_EXISTS);
	delta_close(first);
	delta_close(second);
	store_free(store);
}

/* Two instances of one job whose batches overlap: what one has committed of it, the other must not
 * commit again; nor may it take that for its whole batch. */
static void test_a_batch_that_is_there_in_part(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *first = open_table(store);
	struct delta_table *second = open_table(store);
	struct delta_txn txns[] = { { "a", 5, 3 }, { "b", 5, -1 } };
	struct delta_commit commit = { .operation = "WRITE", .txns = txns, .txn_count = 2 };
	struct err err = { 0 };
	int64_t version;

	(void)state;
	append_ok(first, "a", 1);
	assert_ok(delta_refresh(second, &err));
	append_ok(first, "a", 3);
	assert_int_equal(append(second, "a", 5, &version, &err), ERR_LOCKED);
	append_ok(first, "a", 5);
	assert_int_equal(delta_commit(second, &commit, &version, &err), ERR_LOCKED);
	assert_int_equal(delta_version(second), 3);
	delta_close(first);
	delta_close(second);
	store_free(store);
}

static void test_a_loser_sees_what_the_winner_changed(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *table = open_table(store);
	struct err err = { 0 };
	int64_t version;

	(void)state;
	put_text(store, log_key(1, ".json"),
		 "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"x\"]}}\n");
	assert_int_equal(append(table, "app", 0, &version, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "writer version 7"));
	assert_false(has_key(store, log_key(2, ".json")));
	delta_close(table);
	store_free(store);
}

static void refuse_removed(struct store *store, struct delta_table *table)
{
	struct err err = { 0 };
	int64_t version;

	remove_key(store, log_key(0, ".json"));
	remove_key(store, log_key(1, ".json"));
	table->present_until_ms = 0;	/* it is time to look */
	assert_int_equal(append(table, "app", 1, &version, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "removed"));
	assert_false(has_key(store, log_key(2, ".json")));
}

static bool can_all(struct store *store, enum store_ability ability)
{
	(void)store;
	(void)ability;
	return true;
}

/* In a directory each commit looks, and in a bucket one in a while. */
static void test_a_table_removed_under_its_writer(void **state)
{
	(void)state;
	for (int near = 0; near < 2; near++) {
		struct store *store = store_memory_new(64 << 20);
		struct store_ops ops = *store->ops;
		int64_t looks = metric_get(METRIC_STORE_STATS);
		struct delta_table *table;

		if (near)
			ops.can = can_all;
		store->ops = &ops;
		table = open_table(store);
		append_ok(table, "app", 0);
		assert_int_equal(metric_get(METRIC_STORE_STATS), looks + near);
		refuse_removed(store, table);
		delta_close(table);
		store_free(store);
	}
}

/* A commit is the put of its version, whose data file is there already. */
static void test_a_commit_is_one_request(void **state)
{
	struct store *store = store_memory_new(64 << 20);
	struct delta_table *table = open_table(store);
	int64_t puts, others;

	(void)state;
	append_ok(table, "app", 0);
	puts = metric_get(METRIC_STORE_PUTS);
	others = metric_get(METRIC_STORE_STATS) + metric_get(METRIC_STORE_GETS) +
		 metric_get(METRIC_STORE_LISTS);
	for (int n = 1; n < 9; n++)	/* the tenth writes a checkpoint */
		append_ok(table, "app", n);
	assert_int_equal(metric_get(METRIC_STORE_PUTS), puts + 8);
	assert_int_equal(metric_get(METRIC_STORE_STATS) + metric_get(METRIC_STORE_GETS) +
			 metric_get(METRIC_STORE_LISTS), others);
	delta_close(table);
	store_free(store);
}

/* ---- Answers that are lost ---- */

/* A store whose put number `late_at` says that its outcome is unknown, and takes place only after
 * the next `delay` calls. */
struct store_late {
	struct store_layer layer;
	int late_at;
	int delay;
	char key[200];
	struct buf body;
};

static struct store_late *late(struct store *store) { return (struct store_late *)store; }

static void let_in(struct store *store)
{
	struct err err = { 0 };

	if (!late(store)->key[0] || late(store)->delay-- > 0)
		return;
	(void)!store_put(late(store)->layer.inner, late(store)->key, buf_slice(&late(store)->body),
			 STORE_CREATE, &err);
	late(store)->key[0] = '\0';
}

static enum err_code late_put(struct store *store, const struct store_put *put, struct err *err)
{
	let_in(store);
	if (put->path || put->mode != STORE_CREATE || --late(store)->late_at != 0)
		return store_layer_put(store, put, err);
	(void)snprintf(late(store)->key, sizeof(late(store)->key), "%s", put->key);
	buf_add_slice(&late(store)->body, put->body);
	return err_set(err, ERR_UNKNOWN, "no answer");
}

static enum err_code late_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			      struct buf *out, struct err *err)
{
	let_in(store);
	return store_layer_get(store, key, from, len, out, err);
}

static void late_free(struct store *store)
{
	store_free(late(store)->layer.inner);
	buf_release(&late(store)->body);
}

static const struct store_ops late_ops = {
	.name = "late",
	.layer = true,
	.put = late_put,
	.get = late_get,
	.stat = store_layer_stat,
	.list = store_layer_list,
	.remove = store_layer_remove,
	.fetch = store_layer_fetch,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = late_free,
};

static void assert_each_once(struct store *store, int64_t commits)
{
	struct delta_table *table = open_table(store);

	assert_int_equal(delta_version(table), commits);
	assert_int_equal(delta_file_count(table), commits);
	assert_int_equal(delta_rows(table), commits * (commits + 1) / 2);
	assert_int_equal(delta_txn_version(table, "app"), commits - 1);
	delta_close(table);
}

static void test_a_put_that_comes_through_late(void **state)
{
	(void)state;
	for (int put = 1; put <= 3; put++) {
		for (int delay = 0; delay < 4; delay++) {
			struct store_late store = { .layer.base = { &late_ops }, .late_at = put,
						    .delay = delay };
			struct delta_table *table;

			store.layer.inner = store_memory_new(64 << 20);
			buf_init(&store.body, 1 << 20);
			table = open_table(&store.layer.base);
			for (int64_t n = 0; n < 3; n++)
				append_ok(table, "app", n);
			delta_close(table);
			store.delay = 0;
			assert_each_once(&store.layer.base, 3);
			store_free(&store.layer.base);
		}
	}
}

/* ---- The Nth call fails, for every N ---- */

/* Open if needed and commit until n is in the table. True: no call failed on the way. */
static bool insist(struct store *store, bool checkpoints, struct delta_table **table, int64_t n)
{
	struct delta_options options = { .create = &fixture_schema, .checkpoints = checkpoints,
					 .checkpoint_interval = 2 };
	bool smooth = true;

	for (int tries = 0; tries < 4; tries++) {
		struct err err = { 0 };
		int64_t version = 0;
		enum err_code code = ERR_OK;

		if (!*table)
			code = delta_open(store, ROOT, &options, table, &err);
		if (code == ERR_OK)
			code = append(*table, "app", n, &version, &err);
		if (code == ERR_OK || code == ERR_EXISTS)
			return smooth && code == ERR_OK;
		smooth = false;
		if (code == ERR_UNKNOWN) {
			delta_close(*table);
			*table = NULL;
		}
	}
	fail_msg("commit %d never came through", (int)n);
	return false;
}

/* Of 14 calls, or 21 with checkpoints. */
static void fail_every_call(enum err_code code, bool after, bool checkpoints)
{
	bool smooth = false;

	for (int fail_at = 1; fail_at < 25; fail_at++) {
		struct store *store = store_faulty_new(store_memory_new(64 << 20), fail_at, code,
						       after);
		struct delta_table *table = NULL;
		struct err err;

		smooth = true;
		for (int64_t n = 0; n < 5; n++)
			smooth &= insist(store, checkpoints, &table, n);
		delta_close(table);
		(void)!try_to_read(store, &err);	/* a fault that is left over hits here */
		(void)!try_to_read(store, &err);
		assert_each_once(store, 5);
		store_free(store);
	}
	assert_true(smooth);	/* so the last run had more than enough calls */
}

static void test_calls_fail(void **state)
{
	(void)state;
	fail_every_call(ERR_IO, false, false);
	fail_every_call(ERR_BUSY, false, false);
	fail_every_call(ERR_SPACE, false, true);
}

static void test_calls_lose_their_answer(void **state)
{
	(void)state;
	fail_every_call(ERR_UNKNOWN, true, false);
	fail_every_call(ERR_UNKNOWN, false, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writers_that_create_and_commit_at_once),
		cmocka_unit_test(test_the_same_batch_by_two),
		cmocka_unit_test(test_a_batch_that_is_there_in_part),
		cmocka_unit_test(test_a_loser_sees_what_the_winner_changed),
		cmocka_unit_test(test_a_table_removed_under_its_writer),
		cmocka_unit_test(test_a_commit_is_one_request),
		cmocka_unit_test(test_a_put_that_comes_through_late),
		cmocka_unit_test(test_calls_fail),
		cmocka_unit_test(test_calls_lose_their_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
