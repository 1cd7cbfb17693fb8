/* The streaming path over a broker in memory and a store on disk:
 * every record once, whatever fails. */
#include "stream_fixture.h"

#include "base/mem.h"
#include "base/stop.h"
#include "broker/sequence.h"

static void assert_all_there(const char *dir, uint64_t posts)
{
	struct store *store = open_store(dir);
	uint64_t rows[TABLES], dead;

	count(store, rows, &dead);
	assert_int_equal(rows[PIN], posts - posts / 10);
	assert_int_equal(rows[GEO], posts);
	assert_int_equal(rows[USER], posts - 1);
	assert_int_equal(dead, posts / 10 + 1);
	store_free(store);
}

static void test_records_become_rows_once(void **state)
{
	struct stream_counts counts = { 0 };
	struct temp_dir temp;
	const char *dir = temp.path;
	struct store *store;
	struct posting posting;
	struct err err;

	(void)state;
	make_dir(&temp);
	store = open_store(dir);
	begin(&posting);
	post_some(&posting, 40);
	assert_ok(run_stream(dir, &posting, store, &counts, &err));
	assert_int_equal(counts.rows[PIN], 36);
	assert_int_equal(counts.dead[PIN], 4);
	assert_int_equal(counts.dead[USER], 1);
	assert_int_equal(counts.unreadable[USER], 39);
	assert_all_there(dir, 40);

	assert_ok(run_stream(dir, &posting, store, &counts, &err));
	assert_int_equal(counts.rows[PIN] + counts.commits, 0);
	assert_all_there(dir, 40);
	store_free(store);
	stream_counts_release(&counts);
	temp_dir_remove(&temp);
	end(&posting);
}

/* The k-th call of the store fails, for every k: the next run makes it whole. */
static void fail_every_call(enum err_code code, bool after)
{
	struct posting posting;
	struct err err;

	begin(&posting);
	post_some(&posting, 10);
	for (int k = 1; ; k++) {
		struct stream_counts counts = { 0 };
		struct temp_dir temp;
		const char *dir = temp.path;
		struct store *store;
		enum err_code first;

		make_dir(&temp);
		store = store_faulty_new(open_store(dir), k, code, after);
		first = run_stream(dir, &posting, store, &counts, &err);
		assert_int_equal(first, ERR_OK); /* it may pass, so it was tried again */
		stream_counts_release(&counts);
		counts = (struct stream_counts){ 0 };
		store_free(store);
		store = open_store(dir);
		assert_ok(run_stream(dir, &posting, store, &counts, &err));
		store_free(store);
		assert_all_there(dir, 10);
		stream_counts_release(&counts);
		temp_dir_remove(&temp);
		if (first == ERR_OK && counts.commits == 0 && k > 60)
			break;	/* the fault came after the last call */
		assert_true(k < 400);
	}
	end(&posting);
}

static void test_any_store_call_may_fail(void **state)
{
	(void)state;
	fail_every_call(ERR_IO, false);
}

static void test_any_store_answer_may_get_lost(void **state)
{
	(void)state;
	fail_every_call(ERR_UNKNOWN, true);
}

/* One pin, as the shard's next record, into the table. */
static void commit_one(struct stream_table *table, struct posting *posting, const char *value)
{
	struct record record = { .value = slice_str(value),
				 .position = next_position(posting->broker, table) };

	post_to(posting, table->place.topic, 0, "k", value);
	add(table, &record, (struct lineage){ 0 });
	flush(table);
}

static enum start_kind start_kind(struct stream_table *table)
{
	return stream_shard_start(stream_table_shard(table, 0)).kind;
}

/* What was committed of the second stream of that name is found again by the next process. */
static void test_a_stream_may_be_made_anew(void **state)
{
	struct stream_table_options options;
	struct stream_table table;
	struct posting posting;
	struct temp_dir temp;
	struct err err;

	(void)state;
	open_pins(&table, &options, &temp, &posting);
	commit_one(&table, &posting, "{\"index\":1,\"title\":\"first\"}");
	assert_ok(broker_remove(posting.broker, stream_table_topic(&table), &err));
	assert_ok(create_topic(posting.broker, stream_table_topic(&table), SHARDS, &err));
	assign(&table, posting.broker);
	assert_int_equal(start_kind(&table), START_FIRST);
	commit_one(&table, &posting, "{\"index\":2,\"title\":\"second\"}");
	stream_table_close(&table);

	assert_ok(stream_table_open(&table, &options, &err));
	assign(&table, posting.broker);
	assert_int_equal(start_kind(&table), START_AFTER);
	close_pins(&table, &options, &temp, &posting);
}

/* The first stream of that name is gone, its dead letters are not. */
static void test_letters_outlive_their_stream(void **state)
{
	struct stream_table_options options;
	struct stream_table table;
	struct posting posting;
	struct temp_dir temp;
	uint64_t dead = 0;
	struct err err;

	(void)state;
	open_pins(&table, &options, &temp, &posting);
	commit_one(&table, &posting, "[\"no pin\"]");
	assert_ok(broker_remove(posting.broker, stream_table_topic(&table), &err));
	assert_ok(create_topic(posting.broker, stream_table_topic(&table), SHARDS, &err));
	assign(&table, posting.broker);
	assert_ok(dlq_list(options.store, NULL, count_letter, &dead, &err));
	assert_int_equal(dead, 1);
	close_pins(&table, &options, &temp, &posting);
}

enum { AHEAD = 5 };

/* The table gets a record that comes so many after the shard's next, and that the log does not
 * have. */
static void commit_ahead(struct stream_table *table, struct broker *broker, uint64_t ahead)
{
	struct position next = next_position(broker, table);
	struct record record = {
		.position = position_with_ordinal(next, position_ordinal(next) + ahead),
	};

	add(table, &record, (struct lineage){ 0 });
	flush(table);
}

static void *post_late(void *arg)
{
	struct posting *posting = arg;

	for (int i = 0; i < AHEAD; i++)
		post_to(posting, "streaming-u-pin", 0, "k", "{\"index\":1}");
	return NULL;
}

/* A log that lacks what the table has: its writer finds the rest within seconds. */
static void test_a_log_that_catches_up(void **state)
{
	struct stream_table_options options;
	struct stream_counts counts = { 0 };
	struct stream_table table;
	struct posting posting;
	struct temp_dir temp;
	pthread_t writer;
	struct err err;

	(void)state;
	open_pins(&table, &options, &temp, &posting);
	commit_ahead(&table, posting.broker, AHEAD - 1);
	assert_int_equal(pthread_create(&writer, NULL, post_late, &posting), 0);
	assert_ok(run_stream(temp.path, &posting, options.store, &counts, &err));
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_int_equal(counts.refused, 0);
	stream_counts_release(&counts);
	close_pins(&table, &options, &temp, &posting);
}

/* Or it is left out, and the others go on. */
static void test_a_log_behind_the_table(void **state)
{
	struct stream_table_options options;
	struct stream_counts counts = { 0 };
	struct stream_table table;
	struct posting posting;
	struct temp_dir temp;
	struct err err;

	(void)state;
	open_pins(&table, &options, &temp, &posting);
	commit_ahead(&table, posting.broker, 0);
	post(&posting, "streaming-u-geo", "k", "{\"ind\":1,\"country\":\"Peru\"}");
	stop_request(); /* it does not wait then */
	assert_ok(run_stream(temp.path, &posting, options.store, &counts, &err));
	assert_int_equal(counts.refused, 1);
	assert_int_equal(counts.rows[GEO], 1);
	stream_counts_release(&counts);
	close_pins(&table, &options, &temp, &posting);
}

/* However long the range is, one letter tells of it; what was never a record is not told. */
static void test_a_gap_is_told_once(void **state)
{
	static const enum gap_reason reasons[] = { GAP_NONE,	  GAP_COMPACTED, GAP_ABORTED,
						   GAP_RETENTION, GAP_DAMAGED,	 GAP_REMOVED };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		struct reader_event gap = { .kind = READER_GAP, .gap = reasons[i] };
		struct stream_table_options options;
		struct stream_table table;
		struct posting posting;
		struct temp_dir temp;
		uint64_t dead = 0;
		bool again;
		struct err err;

		open_pins(&table, &options, &temp, &posting);
		gap.first = next_position(posting.broker, &table);
		gap.last = position_with_ordinal(gap.first, 150000);
		assert_ok(stream_table_gap(&table, stream_table_shard(&table, 0), &gap, &again,
					   &err));
		assert_false(again);
		flush(&table);
		assert_int_equal(table.commits, gap_is_loss(reasons[i]));
		assert_ok(dlq_list(options.store, NULL, count_letter, &dead, &err));
		assert_int_equal(dead, gap_is_loss(reasons[i]));
		close_pins(&table, &options, &temp, &posting);
	}
}

/* ---- Two of one table ---- */

/* Of the other one: records or a loss, [from, to] after the first position, and a commit. */
struct turn {
	bool loss;
	uint64_t from, to;
};

static struct {
	const struct store_ops *real;
	struct store_ops ops;
	struct stream_table *other; /* NULL: it has had its turns */
	struct position first;
	const struct turn *turns; /* up to one that ends at 0 */
} duel;

static struct position duel_at(uint64_t k)
{
	return position_with_ordinal(duel.first, position_ordinal(duel.first) + k);
}

static enum err_code lose(struct stream_table *table, uint64_t from, uint64_t to, struct err *err)
{
	struct reader_event gap = { .kind = READER_GAP,
				    .gap = GAP_RETENTION,
				    .first = duel_at(from),
				    .last = duel_at(to) };
	bool again;

	return stream_table_gap(table, stream_table_shard(table, 0), &gap, &again, err);
}

static void take_turn(struct stream_table *table, const struct turn *turn)
{
	struct record record = { .value = slice_str("{\"index\":1}") };
	struct err err;

	if (turn->loss)
		assert_ok(lose(table, turn->from, turn->to, &err));
	for (uint64_t k = turn->from; !turn->loss && k <= turn->to; k++) {
		record.position = duel_at(k);
		add(table, &record, (struct lineage){ 1, 2 });
	}
	flush(table);
}

static enum err_code duel_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct stream_table *other = duel.other;

	if (other && strstr(put->key, "/_delta_log/")) {
		duel.other = NULL;
		for (const struct turn *turn = duel.turns; turn->to > 0; turn++)
			take_turn(other, turn);
	}
	return duel.real->put(store, put, err);
}

/* The other one has its turns between the letter and the commit (else: before the letter) of one
 * that has lost [1, 5]; returns how many letters there are in the end. */
static uint64_t letters_after(const struct turn *turns, bool at_commit)
{
	static const struct turn before = { false, 0, 0 }; /* after which it looks for none */
	struct stream_table_options options;
	struct stream_table table, other = { 0 };
	struct posting posting;
	struct temp_dir temp;
	uint64_t dead = 0;
	enum err_code code;
	struct err err;

	open_pins(&table, &options, &temp, &posting);
	assert_ok(stream_table_open(&other, &options, &err));
	assign(&other, posting.broker);
	duel.first = next_position(posting.broker, &table);
	take_turn(&other, &before);
	assert_ok(delta_refresh(table.delta, &err));
	assign(&table, posting.broker);
	duel.real = options.store->ops;
	duel.ops = *duel.real;
	duel.ops.put = duel_put;
	duel.turns = turns;
	assert_ok(lose(&table, 1, 5, &err));
	if (!at_commit)
		for (const struct turn *turn = duel.turns; turn->to > 0; turn++)
			take_turn(&other, turn);
	duel.other = at_commit ? &other : NULL;
	options.store->ops = &duel.ops;
	code = stream_table_flush(&table, &err);
	options.store->ops = duel.real;
	assert_null(duel.other);
	if (code == ERR_LOCKED) {
		assert_ok(delta_refresh(table.delta, &err));
		assert_ok(stream_table_drop(&table, &err));
	} else {
		assert_int_equal(code, ERR_OK);
	}
	assert_false(stream_table_waits(&table));
	assert_ok(dlq_list(options.store, NULL, count_letter, &dead, &err));
	stream_table_release(&other);
	close_pins(&table, &options, &temp, &posting);
	return dead;
}

/* A letter of a loss that was none goes; one that the other one relies on stays. */
static void test_who_is_slower_takes_its_letters_back(void **state)
{
	static const struct turn less[] = { { false, 1, 3 }, { 0 } };
	static const struct turn more[] = { { false, 1, 9 }, { 0 } };
	static const struct turn twice[] = { { false, 1, 3 }, { false, 4, 5 }, { 0 } };
	static const struct turn alike[] = { { true, 1, 5 }, { 0 } };
	static const struct turn alike_and_on[] = { { true, 1, 5 }, { false, 6, 8 }, { 0 } };
	static const struct turn lost_less[] = { { true, 1, 3 }, { false, 4, 8 }, { 0 } };

	(void)state;
	for (int at_commit = 0; at_commit < 2; at_commit++) {
		assert_int_equal(letters_after(less, at_commit), 0);
		assert_int_equal(letters_after(more, at_commit), 0);
		assert_int_equal(letters_after(twice, at_commit), 0);
		assert_int_equal(letters_after(alike, at_commit), 1);
		assert_int_equal(letters_after(alike_and_on, at_commit), 1);
		assert_int_equal(letters_after(lost_less, at_commit), 1);
	}
}

/* Nor is a loss told by who knows that another one is further. */
static void test_a_loss_is_told_by_who_is_up_to_date(void **state)
{
	static const struct turn turn = { false, 0, 2 };
	struct stream_table_options options;
	struct stream_table table, other = { 0 };
	struct posting posting;
	struct temp_dir temp;
	struct err err;

	(void)state;
	open_pins(&table, &options, &temp, &posting);
	assert_ok(stream_table_open(&other, &options, &err));
	assign(&other, posting.broker);
	duel.first = next_position(posting.broker, &table);
	take_turn(&other, &turn);
	assert_int_equal(lose(&table, 0, 1, &err), ERR_LOCKED);
	assert_ok(stream_table_drop(&table, &err));
	assert_ok(lose(&table, 0, 1, &err));
	assert_false(stream_table_waits(&table));
	assert_ok(lose(&table, 3, 4, &err));
	assert_true(stream_table_waits(&table));
	stream_table_release(&other);
	close_pins(&table, &options, &temp, &posting);
}

/* One row, and so many large letters that they become two objects, of which any may fail. */
static void test_letters_of_two_objects_may_fail(void **state)
{
	enum { LETTERS = 40, VALUE_BYTES = 800 << 10, CALLS = 4 };
	char *value = calloc(1, VALUE_BYTES);
	struct record record = { .value = slice_of(value, VALUE_BYTES) };
	struct record pin = { .value = slice_str("{\"index\":1}") };

	(void)state;
	assert_non_null(value);
	memset(value, '"', VALUE_BYTES);
	for (int k = 1; k <= CALLS; k++) {
		uint64_t dead = 0;
		struct stream_table_options options;
		struct stream_table table;
		struct posting posting;
		struct dlq_source source;
		struct store *faulty;
		struct temp_dir temp;
		struct err err;

		open_pins(&table, &options, &temp, &posting);
		source = (struct dlq_source){ .stage = "stream",
					      .table = "pin",
					      .topic = stream_table_topic(&table) };
		faulty = store_faulty_new(open_store(temp.path), k, ERR_BUSY, false);
		table.store = faulty;
		dlq_batch_free(stream_table_shard(&table, 0)->batch.letters);
		stream_table_shard(&table, 0)->batch.letters = dlq_batch_new(faulty, &source);
		record.position = next_position(posting.broker, &table);
		for (uint64_t i = 0; i < LETTERS; i++) {
			add(&table, &record, (struct lineage){ 0 });
			record.position = position_with_ordinal(
				record.position, position_ordinal(record.position) + 1);
		}
		pin.position = record.position;
		add(&table, &pin, (struct lineage){ 0 });
		if (stream_table_flush(&table, &err) != ERR_OK)
			flush(&table);
		assert_int_equal(delta_rows(table.delta), 1);
		assert_ok(dlq_list(options.store, NULL, count_letter, &dead, &err));
		assert_int_equal(dead, LETTERS);
		store_free(faulty);
		table.store = options.store;
		close_pins(&table, &options, &temp, &posting);
	}
	free(value);
}

static enum err_code put_no_commit(struct store *store, const struct store_put *put,
				   struct err *err)
{
	if (strstr(put->key, "/_delta_log/"))
		return err_set(err, ERR_BUSY, "the lake is away");
	return duel.real->put(store, put, err);
}

/* The lake was away between the file and its commit, for so long that a clean-up took the file. */
static void test_a_file_that_was_cleaned_up(void **state)
{
	struct record pin = { .value = slice_str("{\"index\":1}") };
	struct record bad = { .value = slice_str("[") };
	struct stream_table_options options;
	struct stream_table table;
	struct posting posting;
	struct temp_dir temp;
	uint64_t dead = 0, size;
	char key[STORE_KEY_MAX];
	struct err err;

	(void)state;
	open_pins(&table, &options, &temp, &posting);
	pin.position = next_position(posting.broker, &table);
	bad.position = position_with_ordinal(pin.position, position_ordinal(pin.position) + 1);
	add(&table, &pin, (struct lineage){ 0 });
	add(&table, &bad, (struct lineage){ 0 });
	duel.real = options.store->ops;
	duel.ops = *duel.real;
	duel.ops.put = put_no_commit;
	options.store->ops = &duel.ops;
	assert_int_equal(stream_table_flush(&table, &err), ERR_BUSY);
	options.store->ops = duel.real;
	(void)snprintf(key, sizeof(key), "%s/%s", table.place.root, table.flush.add.path);
	assert_ok(store_remove(options.store, key, &err));
	table.flush.add.made_ms -= INT64_C(7) * 24 * 3600000;
	flush(&table);
	assert_int_equal(delta_rows(table.delta), 1);
	(void)snprintf(key, sizeof(key), "%s/%s", table.place.root,
		       delta_file(table.delta, 0)->path);
	assert_ok(store_size(options.store, key, &size, &err));
	assert_ok(dlq_list(options.store, NULL, count_letter, &dead, &err));
	assert_int_equal(dead, 1);
	close_pins(&table, &options, &temp, &posting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_that_was_cleaned_up),
		cmocka_unit_test(test_records_become_rows_once),
		cmocka_unit_test(test_a_stream_may_be_made_anew),
		cmocka_unit_test(test_letters_outlive_their_stream),
		cmocka_unit_test(test_a_gap_is_told_once),
		cmocka_unit_test(test_who_is_slower_takes_its_letters_back),
		cmocka_unit_test(test_a_loss_is_told_by_who_is_up_to_date),
		cmocka_unit_test(test_letters_of_two_objects_may_fail),
		cmocka_unit_test(test_any_store_call_may_fail),
		cmocka_unit_test(test_any_store_answer_may_get_lost),
		cmocka_unit_test(test_a_log_that_catches_up),
		cmocka_unit_test(test_a_log_behind_the_table), /* the last: it asks to stop */
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
