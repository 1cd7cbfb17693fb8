/* The threads that write: lanes keep their order and do not wait for each other. */
#include "backends/backends.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/sequence.h"
#include "flow/sink_writer.h"
#include "testing.h"

#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

enum {
	STORE_MAX = 16 << 20,
	LANES = SINK_WRITERS_FAR + 4,
	JOB_BYTES = 100,
	BYTES_MAX = 1000 * JOB_BYTES,
	FOR_EVER = 1 << 30,
	PATIENCE_MS = 20000,
};

/* --- a memory store that is away for some lanes -------------------------- */

/* Object n of a lane has the key "<'a' + lane>/<n>". */
static struct {
	const struct store_ops *real;
	struct store_ops ops;
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	enum err_code code;		/* of tries that fail */
	int away[LANES];		/* so many tries fail */
	int tries[LANES];
	int next[LANES];		/* the object that has to come */
	bool busy[LANES];
	bool wrong;			/* two of a lane at once, or one out of order */
	int at_hand, at_hand_most;
	int meeting;			/* no put ends before so many are at hand */
} lake;

static bool begin_put(int lane, int n)
{
	bool fails;

	(void)pthread_mutex_lock(&lake.lock);
	lake.wrong = lake.wrong || lake.busy[lane] || n != lake.next[lane];
	lake.busy[lane] = true;
	lake.tries[lane]++;
	if (++lake.at_hand > lake.at_hand_most)
		lake.at_hand_most = lake.at_hand;
	(void)pthread_cond_broadcast(&lake.changed);
	while (lake.at_hand_most < lake.meeting)
		(void)pthread_cond_wait(&lake.changed, &lake.lock);
	fails = lake.away[lane] > 0;
	lake.away[lane] -= fails;
	(void)pthread_mutex_unlock(&lake.lock);
	return !fails;
}

static void end_put(int lane, bool done)
{
	(void)pthread_mutex_lock(&lake.lock);
	lake.busy[lane] = false;
	lake.at_hand--;
	lake.next[lane] += done;
	(void)pthread_cond_broadcast(&lake.changed);
	(void)pthread_mutex_unlock(&lake.lock);
}

static enum err_code lake_put(struct store *store, const struct store_put *put, struct err *err)
{
	int lane = put->key[0] - 'a';
	enum err_code code;

	if (slice_starts(slice_str(put->key), "dlq/"))
		return lake.real->put(store, put, err);
	if (begin_put(lane, (int)strtol(put->key + 2, NULL, 10)))
		code = lake.real->put(store, put, err);
	else
		code = err_set(err, lake.code, "lane %d is away", lane);
	end_put(lane, code == ERR_OK);
	return code;
}

static void set_away(int lane, int tries)
{
	(void)pthread_mutex_lock(&lake.lock);
	lake.away[lane] = tries;
	(void)pthread_mutex_unlock(&lake.lock);
}

/* What `figure`, which is the lake's, is now. */
static int look(const int *figure)
{
	int now;

	(void)pthread_mutex_lock(&lake.lock);
	now = *figure;
	(void)pthread_mutex_unlock(&lake.lock);
	return now;
}

static bool lake_is_right(void)
{
	bool right;

	(void)pthread_mutex_lock(&lake.lock);
	right = !lake.wrong;
	(void)pthread_mutex_unlock(&lake.lock);
	return right;
}

static void wait_for(const int *figure, int least)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (look(figure) < least) {
		assert_true(clock_mono_ms() < end_ms);
		(void)usleep(1000);
	}
}

/* --- a writer ------------------------------------------------------------ */

struct fixture {
	struct store *store;
	struct sink_writer *writer;
	struct sink_lane lanes[LANES];
	int pushed[LANES];
	int done[LANES];
	int undone[LANES];
};

static void open_writer(struct fixture *f, size_t bytes_max)
{
	struct err err = { 0 };

	assert_ok(sink_writer_new(f->store, bytes_max, &f->writer, &err));
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->store = store_memory_new(STORE_MAX);
	memset(&lake, 0, sizeof(lake));
	(void)pthread_mutex_init(&lake.lock, NULL);
	(void)pthread_cond_init(&lake.changed, NULL);
	lake.code = ERR_BUSY;
	lake.real = f->store->ops;
	lake.ops = *f->store->ops;
	lake.ops.put = lake_put;
	f->store->ops = &lake.ops;
	for (int i = 0; i < LANES; i++)
		sink_lane_init(&f->lanes[i]);
	open_writer(f, BYTES_MAX);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sink_writer_free(f->writer);
	store_free(f->store);
	(void)pthread_cond_destroy(&lake.changed);
	(void)pthread_mutex_destroy(&lake.lock);
	free(f);
	return 0;
}

static struct sink_job *new_job(struct fixture *f, int lane)
{
	struct sink_job *job = xcalloc(1, sizeof(*job));

	job->lane = &f->lanes[lane];
	job->bytes = JOB_BYTES;
	buf_init(&job->key, STORE_KEY_MAX);
	buf_init(&job->body, JOB_BYTES);
	return job;
}

static void push(struct fixture *f, int lane)
{
	struct sink_job *job = new_job(f, lane);

	job->end = (uint64_t)f->pushed[lane];
	buf_addf(&job->key, "%c/%d", 'a' + lane, f->pushed[lane]++);
	buf_add_str(&job->body, buf_cstr(&job->key));
	sink_writer_push(f->writer, job);
}

static void push_letters(struct fixture *f, int lane)
{
	struct dlq_source source = { .stage = "sink",
				     .topic = { TOPIC_LOG, "t" },
				     .partition = lane };
	struct dlq_letter letter = { .reason = "x" };
	struct sink_job *job = new_job(f, lane);
	struct err err = { 0 };

	job->letters = dlq_batch_new(f->store, &source);
	letter.position = position_of_offset((uint64_t)f->pushed[lane]);
	assert_ok(dlq_batch_add(job->letters, &letter, &err));
	dlq_batch_range(job->letters, NULL, letter.position);
	sink_writer_push(f->writer, job);
}

/* Count what has ended; each lane's in order, and nothing of it after what was not put. */
static void take(struct fixture *f)
{
	for (struct sink_job *job = sink_writer_take(f->writer), *next; job; job = next) {
		int lane = (int)(job->lane - f->lanes);

		next = job->next;
		if (!job->letters)
			assert_int_equal(job->end, f->done[lane] + f->undone[lane]);
		assert_true(!job->done || f->undone[lane] == 0);
		*(job->done ? &f->done[lane] : &f->undone[lane]) += job->letters == NULL;
		assert_int_equal(job->key.len + job->body.len, 0);
		sink_job_free(job);
	}
}

static void finish(struct fixture *f, const struct sink_lane *lane)
{
	sink_writer_wait(f->writer, lane);
	take(f);
	assert_true(lake_is_right());
}

static enum err_code halted(struct fixture *f, int lane)
{
	return (enum err_code)atomic_load(&f->lanes[lane].halted);
}

/* --- order --------------------------------------------------------------- */

static void test_lanes_keep_their_order(void **state)
{
	enum { EACH = 50 };
	struct fixture *f = *state;

	for (int n = 0; n < EACH; n++)
		for (int lane = 0; lane < LANES; lane++)
			push(f, lane);
	finish(f, NULL);
	for (int lane = 0; lane < LANES; lane++)
		assert_int_equal(f->done[lane], EACH);
	assert_true(lake.at_hand_most <= SINK_WRITERS_FAR);
}

static void put_all_lanes(struct fixture *f, int threads)
{
	lake.meeting = threads;		/* with fewer of them this would not end */
	for (int lane = 0; lane < LANES; lane++)
		push(f, lane);
	finish(f, NULL);
	assert_int_equal(lake.at_hand_most, threads);
}

static void test_lanes_are_put_at_the_same_time(void **state)
{
	put_all_lanes(*state, SINK_WRITERS_FAR);
}

static bool can_all(struct store *store, enum store_ability ability)
{
	(void)store;
	(void)ability;
	return true;
}

/* A directory, whose objects are local files. */
static void test_fewer_of_them_where_the_store_is_near(void **state)
{
	struct fixture *f = *state;

	sink_writer_free(f->writer);
	lake.ops.can = can_all;
	open_writer(f, BYTES_MAX);
	put_all_lanes(f, SINK_WRITERS);
}

/* Of this process, as the kernel tells. */
static int count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}

static void test_as_many_threads_as_lanes_at_a_time(void **state)
{
	enum { PLACES = 3, EACH = 20 };
	struct fixture *f = *state;
	int before = count_threads();

	for (int n = 0; n < EACH; n++)
		for (int lane = 0; lane < PLACES; lane++)
			push(f, lane);
	finish(f, NULL);
	assert_true(count_threads() <= before + PLACES - 1);
	lake.meeting = PLACES; /* with fewer of them this would not end */
	lake.at_hand_most = 0;
	for (int lane = 0; lane < PLACES; lane++)
		push(f, lane);
	finish(f, NULL);
	assert_int_equal(count_threads(), before + PLACES - 1);
}

static void test_one_lane_never_has_two_at_hand(void **state)
{
	enum { JOBS = 100 };
	struct fixture *f = *state;

	for (int n = 0; n < JOBS; n++)
		push(f, 0);
	finish(f, NULL);
	assert_int_equal(f->done[0], JOBS);
	assert_int_equal(lake.at_hand_most, 1);
}

static void test_letters_of_several_lanes(void **state)
{
	struct fixture *f = *state;

	for (int n = 0; n < 20; n++)
		for (int lane = 0; lane < LANES; lane++) {
			push(f, lane);
			push_letters(f, lane);
		}
	finish(f, NULL);
	for (int lane = 0; lane < LANES; lane++) {
		assert_int_equal(f->done[lane], 20);
		assert_int_equal(halted(f, lane), ERR_OK);
	}
}

/* --- what fails ---------------------------------------------------------- */

static void test_what_fails_is_tried_again(void **state)
{
	struct fixture *f = *state;
	int64_t before = metric_get(METRIC_SINK_RETRIES);

	set_away(1, 3);
	for (int n = 0; n < 5; n++)
		push(f, 1);
	finish(f, NULL);
	assert_int_equal(f->done[1], 5);
	assert_int_equal(lake.tries[1], 8);
	assert_int_equal(metric_get(METRIC_SINK_RETRIES) - before, 3);
	assert_int_equal(f->lanes[1].retry.backoff.tries, 0);
}

/* Lanes that are away, more than there are threads, hold up nobody; one that comes back goes on. */
static void test_a_lane_that_is_away_holds_up_no_other(void **state)
{
	struct fixture *f = *state;

	for (int lane = 1; lane < LANES; lane++)
		set_away(lane, FOR_EVER);
	for (int n = 0; n < 20; n++)
		for (int lane = 0; lane < LANES; lane++)
			push(f, lane);
	finish(f, &f->lanes[0]);
	assert_int_equal(f->done[0], 20);
	set_away(2, 0);
	finish(f, &f->lanes[2]);
	assert_int_equal(f->done[2], 20);
	for (int lane = 1; lane < LANES; lane++) {
		assert_int_equal(halted(f, lane), ERR_OK);
		assert_int_equal(f->done[lane] + f->undone[lane], lane == 2 ? 20 : 0);
	}
}

static void test_what_can_never_be_put_halts_its_lane(void **state)
{
	struct fixture *f = *state;

	lake.code = ERR_SHAPE;
	for (int n = 0; n < 20; n++) {
		if (n == 10) {
			finish(f, NULL);
			set_away(1, 1);
		}
		for (int lane = 0; lane < 3; lane++)
			push(f, lane);
	}
	finish(f, NULL);
	assert_int_equal(f->done[0] + f->done[2], 40);
	assert_int_equal(f->done[1], 10);
	assert_int_equal(f->undone[1], 10);
	assert_int_equal(lake.tries[1], 11);
	assert_int_equal(halted(f, 1), ERR_SHAPE);
	assert_int_equal(halted(f, 2), ERR_OK);
}

/* --- the bound ----------------------------------------------------------- */

/* Lane 0 is away with `jobs`: that fills it, or all; others go on, and so does it in the end. */
static void fill_and_come_back(struct fixture *f, int jobs, unsigned of_all, unsigned of_lane)
{
	set_away(0, FOR_EVER);
	for (int n = 0; n < jobs; n++)
		push(f, 0);
	assert_int_equal(sink_writer_fill(f->writer, NULL), of_all);
	assert_int_equal(sink_writer_fill(f->writer, &f->lanes[0]), of_lane);
	assert_int_equal(sink_writer_fill(f->writer, &f->lanes[1]), 0);
	push(f, 1);
	finish(f, &f->lanes[1]);
	assert_int_equal(f->done[1], 1);
	set_away(0, 0);
	finish(f, NULL);
	assert_int_equal(f->done[0], jobs);
	assert_int_equal(sink_writer_fill(f->writer, NULL), 0);
}

static void test_so_many_jobs_fill_it(void **state)
{
	fill_and_come_back(*state, 256, 100, 51);
}

/* A push waits for nothing: whoever reads the log must go on being asked. */
static void test_so_many_bytes_fill_it(void **state)
{
	struct fixture *f = *state;

	sink_writer_free(f->writer);
	open_writer(f, 10 * JOB_BYTES);
	fill_and_come_back(f, 5, 50, 100);
}

/* --- another's, and given up ---------------------------------------------- */

static void test_what_is_taken_halts_its_lane_until_it_is_revived(void **state)
{
	const struct store_put another = { .key = "b/1", .body = slice_str("another's") };
	struct fixture *f = *state;
	struct err err = { 0 };

	assert_ok(lake.real->put(f->store, &another, &err));
	for (int n = 0; n < 3; n++)
		push(f, 1);
	finish(f, NULL);
	assert_int_equal(f->done[1], 1);
	assert_int_equal(f->undone[1], 2);
	assert_int_equal(halted(f, 1), ERR_EXISTS);
	sink_writer_revive(f->writer, &f->lanes[1]);
	f->done[1] = f->pushed[1];
	f->undone[1] = 0;
	lake.next[1] = f->pushed[1];
	push(f, 1);
	finish(f, NULL);
	assert_int_equal(f->done[1], 4);
	assert_int_equal(halted(f, 1), ERR_OK);
}

/* Marks are put before what they are about, and the object not without them. */
static void test_marks_go_first(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	uint64_t size;

	for (int n = 0; n < 2; n++) {
		struct sink_job *job = new_job(f, 1);

		job->end = (uint64_t)f->pushed[1];
		buf_addf(&job->key, "b/%d", f->pushed[1]++);
		buf_add_str(&job->body, "body");
		job->mark_count = 1;
		buf_init(&job->marks[0].key, 100);
		buf_init(&job->marks[0].text, 100);
		buf_addf(&job->marks[0].key, "dlq/mark%d", n);
		buf_add_str(&job->marks[0].text, "mark");
		if (n == 1)
			assert_ok(store_put(f->store, "dlq/mark1", slice_str("other"), STORE_CREATE,
					    &err));
		sink_writer_push(f->writer, job);
	}
	finish(f, NULL);
	assert_int_equal(f->done[1], 1);
	assert_int_equal(halted(f, 1), ERR_EXISTS);
	assert_ok(store_size(f->store, "dlq/mark0", &size, &err));
	assert_ok(store_size(f->store, "b/0", &size, &err));
	assert_int_equal(store_size(f->store, "b/1", &size, &err), ERR_ABSENT);
}

/* However far away the next try is. */
static void test_what_is_dropped_ends_at_once(void **state)
{
	struct fixture *f = *state;
	int64_t begin_ms = clock_mono_ms();

	set_away(1, FOR_EVER);
	f->lanes[1].retry.backoff.tries = 20;
	for (int n = 0; n < 3; n++)
		push(f, 1);
	wait_for(&lake.tries[1], 1);
	assert_true(sink_writer_is_busy(f->writer, &f->lanes[1]));
	sink_writer_drop(f->writer, &f->lanes[1]);
	finish(f, NULL);
	assert_true(clock_mono_ms() - begin_ms < 5000);
	assert_false(sink_writer_is_busy(f->writer, &f->lanes[1]));
	assert_int_equal(f->undone[1], 3);
	assert_in_range(lake.tries[1], 1, 2);	/* the one at hand may have been about to begin */
}

static void test_free_drops_what_waits(void **state)
{
	struct fixture *f = *state;

	for (int lane = 1; lane < LANES; lane++)
		set_away(lane, FOR_EVER);
	for (int n = 0; n < 10; n++)
		for (int lane = 0; lane < LANES; lane++)
			push(f, lane);
	wait_for(&lake.tries[LANES - 1], 1);
	sink_writer_free(f->writer);
	assert_int_equal(lake.at_hand, 0);
	open_writer(f, BYTES_MAX);
}

/* Lanes whose next try is far away notice a stop, and have a few seconds. */
static void test_a_stop_hurries_who_waits(void **state)
{
	struct fixture *f = *state;
	int64_t begin_ms;

	for (int lane = 0; lane < LANES; lane++) {
		f->lanes[lane].retry.backoff.tries = 20;
		set_away(lane, 5);
		push(f, lane);
		wait_for(&lake.tries[lane], 1);
	}
	begin_ms = clock_mono_ms();
	stop_request();
	finish(f, NULL);
	assert_true(clock_mono_ms() - begin_ms < 10000);	/* else five times up to 20 s */
	for (int lane = 0; lane < LANES; lane++)
		assert_int_equal(f->done[lane], 1);
}

/* … after which all that fails is given up, with what comes behind it; the rest goes on. */
static void test_a_stop_gives_up_in_the_end(void **state)
{
	enum { TRIES = 50, PACE_MS = 100 };
	struct fixture *f = *state;
	int64_t begin_ms = clock_mono_ms();

	assert_true(stop_requested());
	for (int lane = 1; lane < LANES; lane++)
		set_away(lane, FOR_EVER);
	for (int lane = 0; lane < LANES - 1; lane++) {
		push(f, lane);
		push(f, lane);
	}
	finish(f, NULL);
	assert_true(clock_mono_ms() - begin_ms >= (TRIES - 1) * PACE_MS);
	push(f, LANES - 1);		/* comes late */
	push(f, 0);
	finish(f, NULL);
	assert_int_equal(f->done[0], 3);
	for (int lane = 1; lane < LANES - 1; lane++) {
		assert_int_equal(halted(f, lane), ERR_STOPPED);
		assert_int_equal(f->undone[lane], 2);
		assert_in_range(lake.tries[lane], TRIES / 2, TRIES);
	}
	assert_int_equal(halted(f, LANES - 1), ERR_STOPPED);
	assert_int_equal(lake.tries[LANES - 1], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lanes_keep_their_order),
		TEST(test_lanes_are_put_at_the_same_time),
		TEST(test_fewer_of_them_where_the_store_is_near),
		TEST(test_as_many_threads_as_lanes_at_a_time),
		TEST(test_one_lane_never_has_two_at_hand),
		TEST(test_letters_of_several_lanes),
		TEST(test_what_fails_is_tried_again),
		TEST(test_a_lane_that_is_away_holds_up_no_other),
		TEST(test_what_can_never_be_put_halts_its_lane),
		TEST(test_so_many_jobs_fill_it),
		TEST(test_so_many_bytes_fill_it),
		TEST(test_what_is_taken_halts_its_lane_until_it_is_revived),
		TEST(test_marks_go_first),
		TEST(test_what_is_dropped_ends_at_once),
		TEST(test_free_drops_what_waits),
		TEST(test_a_stop_hurries_who_waits),
		TEST(test_a_stop_gives_up_in_the_end), /* last: a stop cannot be taken back */
	};

	trace_init(TRACE_ERROR, TRACE_TEXT, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
