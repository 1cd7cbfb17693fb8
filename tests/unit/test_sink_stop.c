/* A stop while the lake is away, or slow: the sink ends soon, and does not spin until then; and a
 * reader that is out of its group, which ends no sink. */
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"
#include "sink_testing.h"

#include <time.h>

enum { TRIES = 10, PUT_MS = 300, TURN_MS = 4 };

/* The fixture's broker and store, with calls in place of theirs; one sink at a time. */
static struct {
	struct broker_ops broker;
	struct store_ops store;
	const struct broker_ops *real_broker;
	const struct store_ops *real_store;
	int turns;  /* since the stop, or with records */
	int opened; /* readers */
} watched;

/* The stop comes between two turns, once places have failed so often that the next try is far. */
static enum err_code watched_next(struct broker_reader *reader, int64_t deadline_ms,
				  struct reader_event *ret_event, struct err *err)
{
	watched.turns += stop_requested();
	if (!stop_requested() && metric_get(METRIC_SINK_RETRIES) >= TRIES)
		stop_request();
	return watched.real_broker->reader_next(reader, deadline_ms, ret_event, err);
}

static enum err_code no_keys(struct store *store, const char *prefix, const char *after,
			     size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	(void)store;
	(void)prefix;
	(void)after;
	(void)wanted;
	(void)each;
	(void)user;
	return err_set(err, ERR_AUTH, "no keys");
}

/* As a service that takes its time whatever else ends. */
static enum err_code slow_put(struct store *store, const struct store_put *put, struct err *err)
{
	const struct timespec wait = { .tv_nsec = PUT_MS * 1000000 };

	(void)nanosleep(&wait, NULL);
	return watched.real_store->put(store, put, err);
}

static void watch(struct fixture *f)
{
	watched.turns = 0;
	watched.real_broker = f->broker->ops;
	watched.real_store = f->store->ops;
	watched.broker = *f->broker->ops;
	watched.store = *f->store->ops;
	watched.broker.reader_next = watched_next;
	f->broker->ops = &watched.broker;
	f->store->ops = &watched.store;
}

static void unwatch(struct fixture *f)
{
	f->broker->ops = watched.real_broker;
	f->store->ops = watched.real_store;
}

/* Once some records are at hand, the reader is out of its group. */
static enum err_code put_out_next(struct broker_reader *reader, int64_t deadline_ms,
				  struct reader_event *ret_event, struct err *err)
{
	enum err_code code;

	if (watched.opened == 1 && watched.turns == 1)
		return err_set(err, ERR_BUSY, "put out of the group");
	code = watched.real_broker->reader_next(reader, deadline_ms, ret_event, err);
	watched.turns += code == ERR_OK && ret_event->kind == READER_RECORDS;
	return code;
}

static enum err_code counted_open(struct broker *broker, const struct reader_options *options,
				  struct broker_reader **ret_reader, struct err *err)
{
	watched.opened++;
	return watched.real_broker->reader_open(broker, options, ret_reader, err);
}

static void test_a_sink_enters_its_group_anew(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 3);
	append_numbers(f, geo, 0, 3);
	watch(f);
	watched.broker.reader_next = put_out_next;
	watched.broker.reader_open = counted_open;
	run_ok(f);
	unwatch(f);
	assert_int_equal(watched.opened, 2);
	assert_int_equal(f->counts.objects, 2);
	assert_once(f->store, pin, 3);
	assert_once(f->store, geo, 3);
}

static void test_a_stop_waits_for_no_place(void **state)
{
	struct fixture *f = *state;

	append_numbers(f, pin, 0, 3);
	append_numbers(f, geo, 0, 3);
	watch(f);
	watched.store.list = no_keys;
	assert_int_equal(run(f), ERR_STOPPED);
	unwatch(f);
	assert_in_range(watched.turns, 0, 3);
}

/* The turns of a drain are as far apart as without a stop. */
static void test_a_stopped_drain_does_not_spin(void **state)
{
	struct fixture *f = *state;
	int64_t began_ms = clock_mono_ms();

	assert_true(stop_requested());
	append_numbers(f, pin, 0, 3);
	watch(f);
	watched.store.put = slow_put;
	run_ok(f);
	unwatch(f);
	assert_in_range(watched.turns, 1, 20 + (clock_mono_ms() - began_ms) / TURN_MS);
	assert_once(f->store, pin, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_sink_enters_its_group_anew), TEST(test_a_stop_waits_for_no_place),
		TEST(test_a_stopped_drain_does_not_spin), /* a stop cannot be taken back */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
