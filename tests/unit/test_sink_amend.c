/*
 * Sinks that sleep in the middle of a group of objects, while the log loses records of it and
 * others give the group up, and that wake up and go on.
 */
#include "sink_hours.h"
#include "store/layer.h"

/* --- sinks -------------------------------------------------------------------- */

/* A store in front of one of whose puts its sink sleeps; or with which it ends. */
struct night {
	struct store_layer layer;
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

	if (++night->puts == night->sleep_at) {
		night->asleep = true;
		if (!night->dies)
			night->meanwhile(night);
	}
	if (night->dies && night->asleep)
		return err_set(err, ERR_LIMIT, "the end");
	return store_layer_put(store, put, err);
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
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = night_free,
};

enum layout { HOURS, HOURS_PACKED, SIDES };
enum { RECORDS = 9, MORE = 4 };

/* One sink sleeps; the second ends, or sleeps as well, while the third works. */
struct play {
	struct fixture *f;
	enum layout layout;
	int landed; /* before all of it, of which the log keeps nothing */
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

static void append_some(struct fixture *f, int from, int to)
{
	for (int n = from; n < to; n++)
		append_at(f, n, n % 3);
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
	for (int n = 0; n < OFFSETS_MAX; n++) {
		bool dead = lake->times[n] && !strcmp(buf_cstr(&lake->values[n]), "dead");
		char expected[32];

		(void)snprintf(expected, sizeof(expected), "{\"n\":%d}", n);
		if (n >= begin && (lake->times[n] != (n < RECORDS + MORE) || (dead && n >= gone) ||
				   (dead && play->seen[n]) ||
				   (lake->times[n] && !dead &&
				    strcmp(buf_cstr(&lake->values[n]), expected) != 0)))
			fail_msg(
				"offset %d is there %d times%s, layout %d, %d landed, first %d -%d,"
				" second %d%s -%d",
				n, lake->times[n], dead ? " (dead)" : "", play->layout,
				play->landed, play->first_at, play->first_gone, play->second_at,
				play->second_dies ? "x" : "", play->second_gone);
	}
	free_lake(lake);
}

/* False: the first one has not so many puts. */
static bool perform(struct play *play)
{
	struct night first = night_of(play, play->first_at);
	struct fixture *f = play->f;

	use_layout(&f->options, play->layout);
	append_some(f, 0, play->landed);
	run_ok(f);
	broker_memory_let_go(f->broker, pin, 0, (size_t)play->landed);
	append_some(f, play->landed, RECORDS);
	first.meanwhile = while_first_sleeps;
	assert_int_equal(run_in(play, &first.layer.base), ERR_OK);
	append_some(f, RECORDS, RECORDS + MORE);
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

/* Every put of both. */
static void play_all(const struct play *as)
{
	bool first_slept = true;

	for (int first_at = 1; first_slept; first_at++) {
		bool second_slept = true;

		for (int second_at = 1; second_slept && first_slept; second_at++) {
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
		bool on_disk;
	} ways[] = {
		{ HOURS, 2, 1, 0, false }, { HOURS, 2, 2, 1, true },
		{ HOURS, 2, 7, 0, false }, { HOURS, 0, 2, 1, false },
		{ SIDES, 2, 2, 1, false }, { HOURS_PACKED, 2, 2, 1, false },
	};
	struct play *play = xcalloc(1, sizeof(*play));

	play->second_dies = second_dies;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		play->layout = ways[i].layout;
		play->landed = ways[i].landed;
		play->first_gone = ways[i].first_gone;
		play->second_gone = ways[i].second_gone;
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
	struct play play = { .first_gone = 2, .second_at = -1 };
	struct night first;
	struct fixture *f = *state;
	struct buf text;

	play.f = f;
	use_hours(&f->options);
	f->options.flush_size = 100;
	append_some(f, 0, 6);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_second_sink_sleeps_as_well),
		TEST(test_a_second_sink_ends),
		TEST(test_an_amended_manifest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
