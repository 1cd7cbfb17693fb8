/* The streaming path over what a service does: sparse positions, an unknown end, gaps, splits,
 * merges, revocations, another history, a lake that is away. Whatever it is, every record is there
 * once. */
#include "stream_fixture.h"

#include "base/mem.h"
#include "base/time.h"

#include <stdatomic.h>

static const struct topic_ref pins = { TOPIC_STREAM, "streaming-u-pin" };

static void post_pins(struct posting *posting, int32_t shard, int count)
{
	for (int i = 0; i < count; i++)
		post_to(posting, pins.name, shard, "k", "{\"index\":1}");
}

/* Runs once more than needed: what is there is not taken again. */
static void run_twice(const char *dir, struct posting *posting, struct stream_counts *ret_counts)
{
	struct stream_counts again = { 0 };
	struct store *store = open_store(dir);
	struct err err;

	assert_ok(run_stream(dir, posting, store, ret_counts, &err));
	assert_ok(run_stream(dir, posting, store, &again, &err));
	assert_int_equal(again.commits, 0);
	stream_counts_release(&again);
	store_free(store);
}

static uint64_t pin_rows(const char *dir, uint64_t *ret_dead)
{
	struct store *store = open_store(dir);
	uint64_t rows[TABLES];

	count(store, rows, ret_dead);
	store_free(store);
	return rows[PIN];
}

static void test_sparse_and_without_a_known_end(void **state)
{
	(void)state;
	for (uint64_t spread = 1; spread <= 1000; spread *= 10) {
		struct stream_counts counts = { 0 };
		struct posting posting;
		struct temp_dir temp;
		uint64_t dead;

		make_dir(&temp);
		begin_with(&posting,
			   (struct memory_options){ .spread = spread, .end_unknown = spread > 1 });
		post_some(&posting, 40);
		run_twice(temp.path, &posting, &counts);
		assert_int_equal(pin_rows(temp.path, &dead), 36);
		assert_int_equal(dead, 5);
		post_some(&posting, 10);
		run_twice(temp.path, &posting, &counts);
		assert_int_equal(pin_rows(temp.path, &dead), 45);
		stream_counts_release(&counts);
		temp_dir_remove(&temp);
		end(&posting);
	}
}

/* Gaps of every reason, one after the other, at the beginning, amid and at the end. */
static void test_gaps(void **state)
{
	struct stream_counts counts = { 0 };
	struct posting posting;
	struct temp_dir temp;
	uint64_t dead;

	(void)state;
	make_dir(&temp);
	begin(&posting);
	for (int reason = GAP_NONE; reason <= GAP_REMOVED; reason++) {
		broker_memory_skip(posting.broker, pins, 0, 5, (enum gap_reason)reason);
		if (reason % 2)
			post_pins(&posting, 0, 3);
	}
	run_twice(temp.path, &posting, &counts);
	assert_int_equal(pin_rows(temp.path, &dead), 9);
	assert_int_equal(dead, 3);
	stream_counts_release(&counts);
	temp_dir_remove(&temp);
	end(&posting);
}

/* What the table has is let go of, with what it has not: only that is lost. */
static void test_let_go_of_past_the_table(void **state)
{
	struct stream_counts counts = { 0 };
	struct posting posting;
	struct temp_dir temp;
	uint64_t dead;

	(void)state;
	make_dir(&temp);
	begin(&posting);
	post_pins(&posting, 0, 5);
	run_twice(temp.path, &posting, &counts);
	post_pins(&posting, 0, 5);
	broker_memory_let_go(posting.broker, pins, 0, 5);
	run_twice(temp.path, &posting, &counts);
	assert_int_equal(pin_rows(temp.path, &dead), 10);
	assert_int_equal(dead, 0);
	post_pins(&posting, 0, 5);
	broker_memory_let_go(posting.broker, pins, 0, 8);
	run_twice(temp.path, &posting, &counts);
	assert_int_equal(pin_rows(temp.path, &dead), 12);
	assert_int_equal(dead, 1);
	stream_counts_release(&counts);
	temp_dir_remove(&temp);
	end(&posting);
}

/* ---- Shards come and go ---- */

/* The first commit that has something of this shard. */
static int64_t first_commit_of(struct store *store, int32_t shard)
{
	char text[PARTITION_TEXT_MAX], key[200], needle[PARTITION_TEXT_MAX + 2];
	struct err err;
	struct buf log;

	(void)partition_text(TOPIC_STREAM, shard, text);
	(void)snprintf(needle, sizeof(needle), "/%s/", text);
	for (int64_t version = 0;; version++) {
		bool found;

		(void)snprintf(key, sizeof(key), "tables/u_pin_table/_delta_log/%020d.json",
			       (int)version);
		buf_init(&log, 16 << 20);
		if (store_get(store, key, 0, UINT64_MAX, &log, &err) != ERR_OK) {
			buf_release(&log);
			return -1;
		}
		found = strstr(buf_cstr(&log), needle) != NULL;
		buf_release(&log);
		if (found)
			return version;
	}
}

/* Children begin once all of their parents is in the table. */
static void test_children_come_after_their_parents(void **state)
{
	struct stream_counts counts = { 0 };
	struct posting posting;
	struct store *store;
	struct temp_dir temp;
	int64_t parent, child, grandchild;
	uint64_t dead;

	(void)state;
	make_dir(&temp);
	begin_with(&posting, (struct memory_options){ .end_unknown = true });
	post_pins(&posting, 0, 10);
	post_pins(&posting, 1, 10);
	broker_memory_split(posting.broker, pins, 0); /* 2 and 3 */
	post_pins(&posting, 2, 10);
	post_pins(&posting, 3, 10);
	broker_memory_merge(posting.broker, pins, 2, 3); /* 4 */
	post_pins(&posting, 4, 10);
	run_twice(temp.path, &posting, &counts);
	assert_int_equal(pin_rows(temp.path, &dead), 50);
	store = open_store(temp.path);
	parent = first_commit_of(store, 0);
	child = first_commit_of(store, 2);
	grandchild = first_commit_of(store, 4);
	assert_true(parent > 0 && child > parent && grandchild > child);
	store_free(store);
	stream_counts_release(&counts);
	temp_dir_remove(&temp);
	end(&posting);
}

/* More shards over time than a stream may have at once: each is split once it has a record. */
static void test_thousands_of_shards_over_time(void **state)
{
	enum { SPLITS = 600 };
	struct stream_counts counts = { 0 };
	struct posting posting;
	struct temp_dir temp;
	uint64_t dead;

	(void)state;
	make_dir(&temp);
	begin(&posting);
	for (int32_t shard = 0; shard < SPLITS; shard++) {
		post_pins(&posting, shard, 1);
		broker_memory_split(posting.broker, pins, shard);
	}
	run_twice(temp.path, &posting, &counts);
	assert_int_equal(pin_rows(temp.path, &dead), SPLITS);
	stream_counts_release(&counts);
	temp_dir_remove(&temp);
	end(&posting);
}

struct revoking {
	struct posting *posting;
	bool lost;
	atomic_bool ended;
};

static void *revoke_often(void *arg)
{
	struct revoking *revoking = arg;

	for (int i = 0; i < 200 && !revoking->ended; i++) {
		post_pins(revoking->posting, i % SHARDS, 1);
		broker_memory_revoke(revoking->posting->broker, pins, i % SHARDS, revoking->lost);
		clock_sleep_ms(1);
	}
	return NULL;
}

/* Shards are taken from the stream, and come back, while it reads. */
static void test_revocations(void **state)
{
	(void)state;
	for (int lost = 0; lost <= 1; lost++) {
		struct stream_counts counts = { 0 };
		struct revoking revoking = { .lost = lost };
		struct posting posting;
		struct store *store;
		struct temp_dir temp;
		pthread_t thread;
		uint64_t dead;
		struct err err;
		unsigned before;

		make_dir(&temp);
		begin(&posting);
		store = open_store(temp.path);
		revoking.posting = &posting;
		post_pins(&posting, 0, 100);
		assert_int_equal(pthread_create(&thread, NULL, revoke_often, &revoking), 0);
		for (int i = 0; i < 3; i++)
			assert_ok(run_stream(temp.path, &posting, store, &counts, &err));
		revoking.ended = true;
		assert_int_equal(pthread_join(thread, NULL), 0);
		before = posting.ended;
		assert_ok(run_stream(temp.path, &posting, store, &counts, &err));
		assert_int_equal(pin_rows(temp.path, &dead), before);
		store_free(store);
		stream_counts_release(&counts);
		temp_dir_remove(&temp);
		end(&posting);
	}
}

/* A stream that cannot be read stops alone, and its table has no row less or more afterwards. */
static void test_one_shard_fails(void **state)
{
	struct stream_counts counts = { 0 };
	struct posting posting;
	struct temp_dir temp;
	struct store *store;
	uint64_t dead;
	struct err err;

	(void)state;
	make_dir(&temp);
	store = open_store(temp.path);
	begin(&posting);
	post_some(&posting, 10);
	broker_memory_fail(posting.broker, pins, 1, ERR_CORRUPT);
	assert_ok(run_stream(temp.path, &posting, store, &counts, &err));
	assert_int_equal(counts.refused, 1);
	assert_int_equal(counts.rows[GEO], 10);
	broker_memory_fail(posting.broker, pins, 1, ERR_OK);
	assert_ok(run_stream(temp.path, &posting, store, &counts, &err));
	assert_int_equal(counts.refused, 0);
	assert_int_equal(counts.rows[GEO], 0);
	assert_int_equal(pin_rows(temp.path, &dead), 9);
	assert_int_equal(dead, 2);
	store_free(store);
	stream_counts_release(&counts);
	temp_dir_remove(&temp);
	end(&posting);
}

/* ---- Histories ---- */

/* The table's last record is of another history than what the log has in its place. */
static void test_another_history(void **state)
{
	const struct lineage one = { 1, 2 }, other = { 1, 3 };
	struct record records[] = { { .value = slice_str("{\"index\":1}") },
				    { .value = slice_str("{\"index\":2}") } };
	struct reader_event event = {
		.kind = READER_RECORDS, .records = records, .count = 2, .lineage = other
	};
	struct stream_table_options options;
	struct stream_table table;
	struct stream_shard *shard;
	struct posting posting;
	struct temp_dir temp;
	struct err err;

	(void)state;
	open_pins(&table, &options, &temp, &posting);
	records[0].position = next_position(posting.broker, &table);
	post_pins(&posting, 0, 1);
	records[1].position = next_position(posting.broker, &table);
	post_pins(&posting, 0, 1);
	add(&table, &records[0], one);
	flush(&table);
	assign(&table, posting.broker);
	shard = stream_table_shard(&table, 0);
	assert_int_equal(stream_shard_start(shard).kind, START_AT);
	assert_int_equal(stream_table_add(&table, shard, &event, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "another history"));
	assert_int_equal(table.batch.count, 0);
	/* A record after it is of another writer's life, and nothing is wrong with that. */
	add(&table, &records[0], one);
	assert_int_equal(stream_shard_start(shard).kind, START_AFTER);
	assert_ok(stream_table_add(&table, shard, &event, &err));
	assert_int_equal(table.batch.count, 1);
	flush(&table);
	assert_int_equal(delta_rows(table.delta), 2);
	close_pins(&table, &options, &temp, &posting);
}

/* Told to go on, the table takes all of the new history, in a generation of its own. */
static void test_the_next_generation(void **state)
{
	const struct lineage one = { 1, 2 }, other = { 1, 3 };
	struct record record = { .value = slice_str("{\"index\":1}") };
	struct stream_table_options options;
	struct stream_table table;
	struct stream_shard *shard;
	struct topic_info info;
	struct posting posting;
	struct temp_dir temp;
	struct err err;

	(void)state;
	open_pins(&table, &options, &temp, &posting);
	record.position = next_position(posting.broker, &table);
	post_pins(&posting, 0, 1);
	add(&table, &record, one);
	flush(&table);
	assign(&table, posting.broker);
	info = describe(posting.broker, &table);
	shard = stream_table_shard(&table, 0);
	assert_ok(stream_table_go_on(&table, &info, shard, &err));
	topic_info_release(&info);
	assert_int_equal(stream_shard_start(shard).kind, START_FIRST);
	add(&table, &record, other);
	flush(&table);
	assert_int_equal(delta_rows(table.delta), 2);
	assert_string_equal(shard->batch.prefix, "g0002-");
	stream_table_close(&table); /* and another process finds it there */
	assert_ok(stream_table_open(&table, &options, &err));
	assign(&table, posting.broker);
	shard = stream_table_shard(&table, 0);
	assert_int_equal(shard->generation, 2);
	assert_int_equal(stream_shard_start(shard).kind, START_AT);
	add(&table, &record, other);
	assert_int_equal(table.batch.count, 0);
	close_pins(&table, &options, &temp, &posting);
}

/* ---- A lake that is away ---- */

/* Listings of the table of pins, or only data files for it, fail in a store of block_pins(). */
static const struct store_ops *store_ops;
static struct store_ops blocked_ops;
static bool blocks_lists;
static atomic_int blocked; /* so many of them */
static enum err_code blocked_code;

static enum err_code blocked_list(struct store *store, const char *prefix, const char *after,
				  size_t wanted,
				  bool (*each)(void *user, const struct store_entry *entry),
				  void *user, struct err *err)
{
	if (strstr(prefix, "u_pin_table") && blocks_lists && blocked > 0 && blocked-- > 0)
		return err_set(err, blocked_code, "it is away");
	return store_ops->list(store, prefix, after, wanted, each, user, err);
}

static enum err_code blocked_put(struct store *store, const struct store_put *put, struct err *err)
{
	if (strstr(put->key, "u_pin_table/part-") && blocked > 0 && blocked-- > 0)
		return err_set(err, blocked_code, "it is away");
	return store_ops->put(store, put, err);
}

static void block_pins(struct store *store, enum err_code code, bool lists, int times)
{
	store_ops = store->ops;
	blocked_ops = *store->ops;
	blocked_ops.list = blocked_list;
	blocked_ops.put = blocked_put;
	store->ops = &blocked_ops;
	blocked_code = code;
	blocks_lists = lists;
	blocked = times;
}

static struct stream_options options_of(const char *dir, struct posting *posting,
					struct store *store)
{
	return (struct stream_options){
		.dir = dir,
		.id = "u",
		.broker = posting->broker,
		.store = store,
		.engine = engine,
		.models = &models,
		.rows_max = 1000,
		.bytes_max = 1 << 20,
		.age_ms = 10,
		.until_end = true,
		.patience_ms = 300,
	};
}

/* One table that cannot be had keeps no other from its rows, and a run that is to end gives it up.
 */
static void test_one_table_is_away(void **state)
{
	static const enum err_code codes[] = { ERR_IO, ERR_ABSENT, ERR_DENIED, ERR_SPACE,
					       ERR_BUSY };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct stream_counts counts = { 0 };
		struct stream_options options;
		struct posting posting;
		struct temp_dir temp;
		struct store *store;
		uint64_t dead;
		struct err err;

		make_dir(&temp);
		store = open_store(temp.path);
		begin(&posting);
		post_some(&posting, 10);
		block_pins(store, codes[i], true, INT_MAX);
		options = options_of(temp.path, &posting, store);
		assert_int_equal(stream_run(&options, &counts, &err), ERR_BUSY);
		assert_int_equal(err_exit(err.code), 75);
		assert_non_null(strstr(err.msg, "u_pin_table"));
		blocked = 0;
		assert_ok(run_stream(temp.path, &posting, store, &counts, &err));
		assert_int_equal(counts.rows[GEO], 0); /* they were there already */
		assert_int_equal(counts.rows[PIN], 9);
		assert_int_equal(pin_rows(temp.path, &dead), 9);
		assert_int_equal(dead, 2);
		store_free(store);
		stream_counts_release(&counts);
		temp_dir_remove(&temp);
		end(&posting);
	}
}

/* And it comes back while the stream runs, and has all that there was before. */
static void test_one_table_comes_back(void **state)
{
	struct stream_counts counts = { 0 };
	struct stream_options options;
	struct posting posting;
	struct temp_dir temp;
	struct store *store;
	struct err err;

	(void)state;
	make_dir(&temp);
	store = open_store(temp.path);
	begin(&posting);
	post_some(&posting, 10);
	block_pins(store, ERR_IO, true, 3);
	options = options_of(temp.path, &posting, store);
	options.patience_ms = 60000;
	assert_ok(stream_run(&options, &counts, &err));
	assert_int_equal(blocked, 0);
	assert_int_equal(counts.rows[PIN], 9);
	assert_int_equal(counts.rows[GEO], 10);
	store_free(store);
	stream_counts_release(&counts);
	temp_dir_remove(&temp);
	end(&posting);
}

/* ---- What the log is to keep ---- */

static const struct broker_ops *group_ops;
static bool group_is_known;
static int tables_looked_at;

static enum err_code note_group(struct broker *broker, const struct reader_options *options,
				struct broker_reader **ret_reader, struct err *err)
{
	group_is_known |= options->group && strcmp(options->group, "stream") == 0;
	return group_ops->reader_open(broker, options, ret_reader, err);
}

/* This may take as long as the lake is away, and the log lets go of records meanwhile. */
static enum err_code look_for_group(struct store *store, const char *prefix, const char *after,
				    size_t wanted, store_each_fn *each, void *user,
				    struct err *err)
{
	tables_looked_at += strncmp(prefix, "tables/", strlen("tables/")) == 0;
	assert_true(group_is_known);
	return store_ops->list(store, prefix, after, wanted, each, user, err);
}

static void test_the_log_knows_the_group_before_the_lake_is_asked(void **state)
{
	struct stream_counts counts = { 0 };
	struct broker_ops noting;
	struct posting posting;
	struct temp_dir temp;
	struct store *store;
	struct err err;

	(void)state;
	make_dir(&temp);
	store = open_store(temp.path);
	begin(&posting);
	group_ops = posting.broker->ops;
	noting = *group_ops;
	noting.reader_open = note_group;
	posting.broker->ops = &noting;
	store_ops = store->ops;
	blocked_ops = *store_ops;
	blocked_ops.list = look_for_group;
	store->ops = &blocked_ops;
	post_some(&posting, 3);
	assert_ok(run_stream(temp.path, &posting, store, &counts, &err));
	assert_true(tables_looked_at > 0);
	assert_int_equal(counts.rows[PIN], 3);
	store_free(store);
	stream_counts_release(&counts);
	temp_dir_remove(&temp);
	end(&posting);
}

/* While the table is held its shards are taken: they are given up, not kept until it comes back. */
static void *revoke_held(void *arg)
{
	struct revoking *revoking = arg;

	while (blocked > INT_MAX - 2)	/* it was tried again */
		clock_sleep_ms(1);
	for (int32_t shard = 0; shard < SHARDS; shard++)
		broker_memory_revoke(revoking->posting->broker, pins, shard, revoking->lost);
	for (int left = blocked; blocked == left;)
		clock_sleep_ms(1);
	post_pins(revoking->posting, 0, 1);
	blocked = 0;
	return NULL;
}

static void test_revoked_while_the_lake_is_away(void **state)
{
	(void)state;
	for (int lost = 0; lost <= 1; lost++) {
		struct stream_counts counts = { 0 };
		struct revoking revoking = { .lost = lost };
		struct stream_options options;
		struct posting posting;
		struct temp_dir temp;
		struct store *store;
		pthread_t thread;
		uint64_t dead;
		struct err err;

		make_dir(&temp);
		store = open_store(temp.path);
		begin_with(&posting, (struct memory_options){ .end_unknown = true });
		revoking.posting = &posting;
		post_some(&posting, 20);
		block_pins(store, ERR_IO, false, INT_MAX);
		options = options_of(temp.path, &posting, store);
		options.patience_ms = 60000;
		assert_int_equal(pthread_create(&thread, NULL, revoke_held, &revoking), 0);
		assert_ok(stream_run(&options, &counts, &err));
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(counts.refused, 0);
		assert_int_equal(pin_rows(temp.path, &dead), 19);
		assert_int_equal(dead, 3);
		store_free(store);
		stream_counts_release(&counts);
		temp_dir_remove(&temp);
		end(&posting);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse_and_without_a_known_end),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_let_go_of_past_the_table),
		cmocka_unit_test(test_children_come_after_their_parents),
		cmocka_unit_test(test_thousands_of_shards_over_time),
		cmocka_unit_test(test_revocations),
		cmocka_unit_test(test_one_shard_fails),
		cmocka_unit_test(test_another_history),
		cmocka_unit_test(test_the_next_generation),
		cmocka_unit_test(test_one_table_is_away),
		cmocka_unit_test(test_one_table_comes_back),
		cmocka_unit_test(test_the_log_knows_the_group_before_the_lake_is_asked),
		cmocka_unit_test(test_revoked_while_the_lake_is_away),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
