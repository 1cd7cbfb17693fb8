/*
 * Sinks that sleep in the middle of a group of objects, while the log loses records of it and
 * others give the group up, and that wake up and go on.
 */
#include "base/stop.h"
#include "sink_hours.h"
#include "store/layer.h"

#include <pthread.h>

/* --- sinks -------------------------------------------------------------------- */

/* A store in front of one of whose puts its sink sleeps, all of its threads; or with which it
 * ends. */
struct night {
	struct store_layer layer;
	pthread_mutex_t lock;
	int puts;
	int sleep_at; /* the put */
	bool dies;
	bool asleep;
	void (*meanwhile)(struct night *night);
	struct play *play;
};

static enum err_code night_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct night *night = (struct night *)store;
	bool ended;

	(void)pthread_mutex_lock(&night->lock);
	if (++night->puts == night->sleep_at) {
		night->asleep = true;
		if (!night->dies)
			night->meanwhile(night);
	}
	ended = night->dies && night->asleep;
	(void)pthread_mutex_unlock(&night->lock);
	return ended ? err_set(err, ERR_LIMIT, "the end") : store_layer_put(store, put, err);
}

/* The caller's storage, and its store. */
static void night_free(struct store *store) { (void)store; }

static const struct store_ops night_ops = {
	.name = "night",
	.layer = true,
	.put = night_put,
	.get = store_layer_get,
	.stat = store_layer_stat,
	.list = store_layer_list,
	.remove = store_layer_remove,
	.fetch = store_layer_fetch,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = night_free,
};

enum layout { HOURS, HOURS_PACKED, SIDES };
enum { RECORDS = 9, MORE = 4, NONE_BAD = 1000 };

/* One sink sleeps; the second ends, or sleeps as well, while the third works. */
struct play {
	struct fixture *f;
	enum layout layout;
	int landed; /* before all of it, of which the log keeps nothing */
	int bad;    /* this record and each fourth one after it is no JSON */
	bool on_disk;
	int first_at, second_at;
	bool second_dies;
	int first_gone, second_gone; /* records, that the log loses then */
	struct night second;
	bool seen[OFFSETS_MAX]; /* by a reader, in objects of a group that was whole */
	bool both_slept;
};

static void use_layout(struct sink_options *options, enum layout layout)
{
	if (layout != SIDES)
		use_hours(options);
	options->gzip = layout == HOURS_PACKED;
	options->keys = layout == SIDES;
	options->flush_size = 100;
}

static struct night night_of(struct play *play, int sleep_at)
{
	return (struct night){ .layer = { { &night_ops }, play->f->store },
			       .lock = PTHREAD_MUTEX_INITIALIZER,
			       .sleep_at = sleep_at,
			       .play = play };
}

static enum err_code run_in(struct play *play, struct store *store)
{
	struct sink_options options = play->f->options;
	struct sink_counts counts;
	char dir[SCRATCH_NAME_MAX];
	struct err err = { 0 };
	enum err_code code;

	scratch_dir(dir);
	options.dir = dir;
	options.store = store;
	code = sink_run(&options, &counts, &err);
	sink_counts_release(&counts);
	scratch_remove(dir);
	return code;
}

/* --- a reader ------------------------------------------------------------------ */

static bool is_whole(struct store *store, const struct group *group)
{
	bool whole = true;
	struct buf text;
	struct err err;

	buf_init(&text, STORE_MAX);
	for (size_t i = 0; i < group->object_count; i++) {
		buf_clear(&text);
		whole = whole && group_get(store, group, i, &text, &err) == ERR_OK;
	}
	buf_release(&text);
	return whole;
}

/* A reader that listed the manifests at any time may have any of them at hand. */
static bool read_manifest(void *user, const struct store_entry *entry)
{
	struct play *play = user;
	struct store *store = play->f->store;
	struct lake_object_name name;
	struct slice rest;
	struct group group;
	struct err err;
	uint64_t offset;
	uint32_t number;

	if (!lake_manifest_parse(entry->key, &name, &rest) ||
	    !group_parse_name(rest, &offset, &number))
		return true;
	assert_ok(group_load(store, (struct lake_partition){ pin.name, 0, 0 }, offset, number,
			     &group, &err));
	for (size_t i = 0; i < group.run_count && is_whole(store, &group); i++) {
		for (uint32_t k = 0; k < group.runs[i].count; k++)
			play->seen[offset + k] |= group.runs[i].object >= 0;
		offset += group.runs[i].count;
	}
	group_release(&group);
	return true;
}

static void read_all(struct play *play)
{
	struct err err;

	assert_ok(store_list(play->f->store, "manifests/u.pin/", "", read_manifest, play, &err));
}

/* --- what happens while they sleep ------------------------------------------------- */

static void while_second_sleeps(struct night *night)
{
	struct play *play = night->play;

	play->both_slept = true;
	read_all(play);
	broker_memory_let_go(play->f->broker, pin, 0, (size_t)play->second_gone);
	assert_int_equal(run_in(play, play->f->store), ERR_OK);
	read_all(play);
}

static void while_first_sleeps(struct night *night)
{
	struct play *play = night->play;

	read_all(play);
	broker_memory_let_go(play->f->broker, pin, 0, (size_t)play->first_gone);
	play->second = night_of(play, play->second_at);
	play->second.dies = play->second_dies;
	play->second.meanwhile = while_second_sleeps;
	(void)run_in(play, &play->second.layer.base);
	if (play->second_dies && play->second.asleep)
		while_second_sleeps(night);
	read_all(play);
}

/* --- the end ----------------------------------------------------------------------- */

static bool is_bad(const struct play *play, int n)
{
	return n >= play->bad && (n - play->bad) % 4 == 0;
}

static void append_some(const struct play *play, int from, int to)
{
	for (int n = from; n < to; n++)
		if (is_bad(play, n))
			append_record(play->f, (struct append_record){ .value = slice_str("{"),
								       .timestamp_ms = DAY_BEGIN });
		else
			append_at(play->f, n, n % 3);
}

/* What `dead` may mean of an offset, and what its line is. */
static bool is_right(const struct play *play, struct lake *lake, int n)
{
	const int gone = play->landed + play->first_gone + play->second_gone;
	bool dead = lake->times[n] && !strcmp(buf_cstr(&lake->values[n]), "dead");
	char expected[32];

	(void)snprintf(expected, sizeof(expected), "{\"n\":%d}", n);
	if (lake->times[n] != (n < RECORDS + MORE))
		return false;
	if (lake->times[n] == 0)
		return true;
	if (dead)
		return !play->seen[n] && (n < gone || is_bad(play, n));
	return strcmp(buf_cstr(&lake->values[n]), expected) == 0;
}

/* Every record is there once; what a reader may have taken is no letter. */
static void assert_end(const struct play *play)
{
	const int gone = play->landed + play->first_gone + play->second_gone;
	struct lake *lake = see_lake(play->f->store, pin);
	int begin = 0;

	while (lake->times[begin] == 0) /* what no sink had told when it went */
		begin++;
	if (begin > (play->landed ? 0 : gone))
		fail_msg("it begins at %d", begin);
	for (int n = begin; n < OFFSETS_MAX; n++)
		if (!is_right(play, lake, n))
			fail_msg("offset %d is there %d times, layout %d, %d landed, bad from %d,"
				 " first %d -%d, second %d%s -%d",
				 n, lake->times[n], play->layout, play->landed, play->bad,
				 play->first_at, play->first_gone, play->second_at,
				 play->second_dies ? "x" : "", play->second_gone);
	free_lake(lake);
}

/* False: the first one has not so many puts. */
static bool perform(struct play *play)
{
	struct night first = night_of(play, play->first_at);
	struct fixture *f = play->f;

	use_layout(&f->options, play->layout);
	append_some(play, 0, play->landed);
	run_ok(f);
	broker_memory_let_go(f->broker, pin, 0, (size_t)play->landed);
	append_some(play, play->landed, RECORDS);
	first.meanwhile = while_first_sleeps;
	assert_int_equal(run_in(play, &first.layer.base), ERR_OK);
	append_some(play, RECORDS, RECORDS + MORE);
	read_all(play);
	run_ok(f);
	read_all(play);
	assert_end(play);
	return first.asleep;
}

/* In memory or, as most lakes are, on a directory. */
static bool perform_in(struct play *play)
{
	char dir[SCRATCH_NAME_MAX];
	struct store *store;
	void *inner = NULL;
	struct err err;
	bool slept;

	assert_int_equal(set_up(&inner), 0);
	play->f = inner;
	scratch_dir(dir);
	if (play->on_disk) {
		assert_ok(store_file_new(dir, &store, &err));
		use_store(play->f, store);
	}
	slept = perform(play);
	(void)tear_down(&inner);
	scratch_remove(dir);
	return slept;
}

/* Of the pairs every other one, as on a chessboard; what a race detector looks for is not in which
 * puts they were. */
#ifdef __SANITIZE_THREAD__
enum { NEXT_PAIR = 11 };
#else
enum { NEXT_PAIR = 2 };
#endif

/* Every put of both. */
static void play_all(const struct play *as)
{
	bool first_slept = true;

	for (int first_at = 1; first_slept; first_at++) {
		bool second_slept = true;

		for (int second_at = 1 + first_at % NEXT_PAIR; second_slept && first_slept;
		     second_at += NEXT_PAIR) {
			struct play *play = xcalloc(1, sizeof(*play));

			*play = *as;
			play->first_at = first_at;
			play->second_at = second_at;
			first_slept = perform_in(play);
			second_slept = play->both_slept;
			free(play);
		}
	}
}

/* In several ways that the log may lose records in between. */
static void play_layouts(bool second_dies)
{
	static const struct {
		enum layout layout;
		int landed;
		int first_gone, second_gone;
		int bad;
		bool on_disk;
	} ways[] = {
		{ HOURS, 2, 1, 0, NONE_BAD, false }, { HOURS, 2, 2, 1, NONE_BAD, true },
		{ HOURS, 2, 7, 0, NONE_BAD, false }, { HOURS, 0, 2, 1, NONE_BAD, false },
		{ SIDES, 2, 2, 1, NONE_BAD, false }, { HOURS_PACKED, 2, 2, 1, NONE_BAD, false },
		{ HOURS, 2, 2, 1, 2, false },	     { HOURS, 2, 2, 2, 3, false },
		{ HOURS, 0, 2, 1, 0, false },	     { SIDES, 2, 1, 2, 2, false },
	};
	struct play *play = xcalloc(1, sizeof(*play));

	play->second_dies = second_dies;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		play->layout = ways[i].layout;
		play->landed = ways[i].landed;
		play->first_gone = ways[i].first_gone;
		play->second_gone = ways[i].second_gone;
		play->bad = ways[i].bad;
		play->on_disk = ways[i].on_disk;
		play_all(play);
	}
	free(play);
}

static void test_a_second_sink_sleeps_as_well(void **state)
{
	(void)state;
	play_layouts(false);
}

static void test_a_second_sink_ends(void **state)
{
	(void)state;
	play_layouts(true);
}

/* What is amended, and how it is told. */
static void test_an_amended_manifest(void **state)
{
	struct play play = { .first_gone = 2, .second_at = -1, .bad = NONE_BAD };
	struct night first;
	struct fixture *f = *state;
	struct buf text;

	play.f = f;
	use_hours(&f->options);
	f->options.flush_size = 100;
	append_some(&play, 0, 6);
	first = night_of(&play, 5); /* two names, the manifest, the first object */
	first.meanwhile = while_first_sleeps;
	assert_int_equal(run_in(&play, &first.layer.base), ERR_OK);
	get(f->store, "manifests/u.pin/partition=0/group+00000000000000000000_2.json", &text);
	assert_non_null(strstr(buf_cstr(&text), "\"amended\":true"));
	assert_non_null(strstr(buf_cstr(&text), "u.pin+0+0000000004.2.json"));
	buf_release(&text);
	assert_object(f->store,
		      "topics/u.pin/year=2022/month=03/day=01/hour=01/u.pin+0+0000000004.2.json",
		      "{\"n\":4}\n");
	assert_object(f->store,
		      "topics/u.pin/year=2022/month=03/day=01/hour=01/u.pin+0+0000000001.json", "");
}

/* --- sinks that part at a letter ------------------------------------------------------ */

/* Two sinks, of which one sleeps before a put while the other, with other options, works. */
struct parting {
	struct fixture *f;
	struct sink_options first, second;
	int landed; /* by the second one, before all of it */
};

static void while_it_parts(struct night *night)
{
	struct fixture *f = night->play->f;

	assert_int_equal(run_in(night->play, f->store), ERR_OK);
}

/* False: the first one has not so many puts. */
static bool part_at(struct parting *parting, int sleep_at)
{
	struct fixture *f = parting->f;
	struct play play = { .f = f };
	struct night first = night_of(&play, sleep_at);
	struct sink_options first_options = parting->first;
	char dir[SCRATCH_NAME_MAX];
	struct sink_counts counts;
	struct err err = { 0 };

	first.meanwhile = while_it_parts;
	f->options = parting->second;
	f->options.store = f->store;
	f->options.broker = f->broker;
	f->options.dir = f->dir;
	scratch_dir(dir);
	first_options.store = &first.layer.base;
	first_options.broker = f->broker;
	first_options.dir = dir;
	assert_ok(sink_run(&first_options, &counts, &err));
	sink_counts_release(&counts);
	scratch_remove(dir);
	run_ok(f);
	return first.asleep;
}

static void append_timed(struct fixture *f, int n, bool timed)
{
	char value[64];

	(void)snprintf(value, sizeof(value),
		       timed ? "{\"n\":%d,\"at\":\"2022-03-01T00:00:00Z\"}" : "{\"n\":%d}", n);
	append(f, pin, value);
}

/* Record 2 has no value, 4 no time, and 6 is no JSON. */
static void append_doubtful(struct fixture *f, int from, int to)
{
	for (int n = from; n < to; n++)
		if (n == 2 || n == 6)
			append(f, pin, n == 2 ? NULL : "{");
		else
			append_timed(f, n, n != 4);
}

static void assert_parted(struct fixture *f, int count, int sleep_at, bool swapped)
{
	struct lake *lake = see_lake(f->store, pin);

	for (int n = 0; n < OFFSETS_MAX; n++)
		if (n == 2 ? lake->times[n] > 1 : lake->times[n] != (n < count))
			fail_msg("offset %d is there %d times, asleep at put %d%s", n,
				 lake->times[n], sleep_at, swapped ? ", swapped" : "");
	free_lake(lake);
}

/* One ignores what the other has a letter for, or has a line of it. */
static void test_sinks_that_part_at_a_letter(void **state)
{
	(void)state;
	for (int way = 0; way < 4; way++) {
		bool slept = true;

		for (int at = 1; slept; at++) {
			void *inner = NULL;
			struct parting parting = { 0 };
			struct sink_options strict, lax;

			assert_int_equal(set_up(&inner), 0);
			parting.f = inner;
			lax = parting.f->options;
			lax.flush_size = 100;
			lax.gzip = true;
			lax.nulls = SINK_NULLS_IGNORE;
			strict = lax;
			strict.nulls = SINK_NULLS_LETTER;
			use_hours(&strict);
			strict.time =
				(struct event_time){ .kind = EVENT_TIME_FIELD, .field = "at" };
			parting.first = way & 1 ? lax : strict;
			parting.second = way & 1 ? strict : lax;
			if (way & 2) { /* there are groups already */
				append_doubtful(parting.f, 0, 2);
				parting.f->options = lax;
				run_ok(parting.f);
			}
			append_doubtful(parting.f, way & 2 ? 2 : 0, 9);
			slept = part_at(&parting, at);
			assert_parted(parting.f, 9, at, way & 1);
			(void)tear_down(&inner);
		}
	}
}

static void assert_lines_from(struct fixture *f, int from, int to)
{
	struct lake *lake = see_lake(f->store, pin);

	for (int n = 0; n < OFFSETS_MAX; n++)
		assert_int_equal(lake->times[n], n >= from && n < to);
	free_lake(lake);
}

/* The first object of letters is put, and nothing after it. */
static struct {
	struct store_ops ops;
	const struct store_ops *real;
	bool ended;
} ending;

static enum err_code ending_put(struct store *store, const struct store_put *put, struct err *err)
{
	if (ending.ended)
		return err_set(err, ERR_LIMIT, "the end");
	ending.ended = strncmp(put->key, "dlq/", 4) == 0;
	return ending.real->put(store, put, err);
}

/* Their name tells that all are there. */
static void test_letters_of_more_than_an_object_takes(void **state)
{
	enum { LEN = 13 << 20 };
	char *value = xmalloc(LEN);

	(void)state;
	memset(value, '{', LEN);
	for (int grouped = 0; grouped < 2; grouped++) {
		void *inner = NULL;
		struct fixture *f;

		assert_int_equal(set_up(&inner), 0);
		f = inner;
		f->options.gzip = grouped;
		for (int n = 0; n < 3; n++)
			append_slice(f, pin, slice_of(value, LEN));
		ending.real = f->store->ops;
		ending.ops = *f->store->ops;
		ending.ops.put = ending_put;
		ending.ended = false;
		f->store->ops = &ending.ops;
		(void)run(f);
		f->store->ops = ending.real;
		assert_true(ending.ended);
		append_numbers(f, pin, 3, 5);
		run_ok(f);
		assert_lines_from(f, 0, 5);
		(void)tear_down(&inner);
	}
	free(value);
}

/* --- lakes of older programs ------------------------------------------------------------ */

/* The manifest that says "plain" had the name of the first line. */
static void test_a_plain_manifest_behind_the_beginning(void **state)
{
	static const char *const says[] = {
		"{\"after\":null,\"plain\":true}",
		"{\"after\":\"00000000000000000002\",\"plain\":true}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(says) * 2; i++) {
		void *inner = NULL;
		struct fixture *f;

		assert_int_equal(set_up(&inner), 0);
		f = inner;
		append_mixed(f, 0, 3);
		broker_memory_let_go(f->broker, pin, 0, 3);
		put(f->store, "manifests/u.pin/partition=0/group+00000000000000000003.json",
		    slice_str(says[i / 2]));
		append_mixed(f, 3, i % 2 ? 4 : 9);
		if (i % 2)
			append(f, pin, "{");
		use_hours(&f->options);
		f->options.flush_size = 100;
		for (int runs = 0; runs < 3; runs++)
			run_ok(f);
		append_mixed(f, i % 2 ? 5 : 9, 12);
		run_ok(f);
		assert_lines_from(f, 3, 12);
		(void)tear_down(&inner);
	}
}

/* --- groups of many objects ------------------------------------------------------------- */

enum { MANY = 60 };

/* Bars that are being put, of which none but the first ends before there were two at hand. */
static struct {
	struct store_ops ops;
	const struct store_ops *real;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int bars, at_hand, most;
	bool stops; /* a stop is asked for while the first one is put */
} barring;

static void begin_bar(void)
{
	(void)pthread_mutex_lock(&barring.lock);
	barring.at_hand++;
	if (barring.at_hand > barring.most)
		barring.most = barring.at_hand;
	(void)pthread_cond_broadcast(&barring.changed);
	if (barring.bars++ == 0 && barring.stops)
		stop_request();
	while (barring.bars > 1 && barring.most < 2)
		(void)pthread_cond_wait(&barring.changed, &barring.lock);
	(void)pthread_mutex_unlock(&barring.lock);
}

static enum err_code barring_put(struct store *store, const struct store_put *put, struct err *err)
{
	bool is_bar = put->body.len == 0 && strncmp(put->key, "topics/", 7) == 0;
	enum err_code code;

	if (is_bar)
		begin_bar();
	code = barring.real->put(store, put, err);
	(void)pthread_mutex_lock(&barring.lock);
	barring.at_hand -= is_bar;
	(void)pthread_mutex_unlock(&barring.lock);
	return code;
}

/* A sink that ended behind a manifest, of whose records the log has none any more. */
static void give_many_up(struct fixture *f, bool stops)
{
	struct play play = { .f = f };
	struct night first = night_of(&play, 4); /* two names, and the manifest */

	use_hours(&f->options);
	f->options.flush_size = 1000;
	for (int n = 0; n < MANY; n++)
		append_at(f, n, n);
	first.dies = true;
	(void)run_in(&play, &first.layer.base);
	broker_memory_let_go(f->broker, pin, 0, MANY);
	append_at(f, MANY, 0);
	barring.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	barring.changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	barring.bars = barring.at_hand = barring.most = 0;
	barring.stops = stops;
	barring.real = f->store->ops;
	barring.ops = *f->store->ops;
	barring.ops.put = barring_put;
	f->store->ops = &barring.ops;
	(void)run(f);
	f->store->ops = barring.real;
}

static void test_bars_are_several_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct lake *lake;

	give_many_up(f, false); /* one after the other would never end */
	assert_int_equal(f->code, ERR_OK);
	assert_int_equal(barring.bars, MANY);
	lake = see_lake(f->store, pin);
	for (int n = 0; n <= MANY; n++)
		assert_int_equal(lake->times[n], 1);
	free_lake(lake);
}

static void test_a_stop_ends_giving_up(void **state)
{
	struct fixture *f = *state;

	give_many_up(f, true);
	assert_int_equal(f->code, ERR_STOPPED);
	assert_int_equal(barring.bars, 1);
}

/* --- what a start costs ----------------------------------------------------------------- */

static struct {
	const struct store_ops *real;
	const char *part; /* of a key */
	size_t gets;
} reading;

static enum err_code reading_get(struct store *store, const char *key, uint64_t from, uint64_t len,
				 struct buf *out, struct err *err)
{
	reading.gets += strstr(key, reading.part) != NULL;
	return reading.real->get(store, key, from, len, out, err);
}

/* The last object is read once, for its sum and its last line. */
static void test_a_start_reads_the_last_object_once(void **state)
{
	struct fixture *f = *state;
	struct store_ops ops = *f->store->ops;
	struct sink_place place;
	struct err err = { 0 };

	use_hours(&f->options);
	f->options.flush_size = 100;
	append_mixed(f, 0, 3);
	run_ok(f);
	reading.real = f->store->ops;
	reading.part = "u.pin+0+0000000002.json";
	ops.get = reading_get;
	f->store->ops = &ops;
	assert_ok(
		sink_recover(f->store, (struct lake_partition){ .topic = "u.pin" }, &place, &err));
	f->store->ops = reading.real;
	assert_int_equal(place.next, 3);
	assert_true(place.has_line);
	assert_string_equal(buf_cstr(&place.last_line), "{\"n\":2}");
	assert_int_equal(reading.gets, 1);
	sink_place_release(&place);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_second_sink_sleeps_as_well),
		TEST(test_a_second_sink_ends),
		TEST(test_an_amended_manifest),
		TEST(test_sinks_that_part_at_a_letter),
		TEST(test_letters_of_more_than_an_object_takes),
		TEST(test_a_plain_manifest_behind_the_beginning),
		TEST(test_a_start_reads_the_last_object_once),
		TEST(test_bars_are_several_at_a_time),
		TEST(test_a_stop_ends_giving_up), /* stops, for good */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
