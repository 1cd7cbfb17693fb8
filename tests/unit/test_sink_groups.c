/* The sink with time buckets, gzip, keys and headers: objects that land together. */
#include "base/gzip.h"
#include "base/stop.h"
#include "base/time.h"
#include "sink_hours.h"

#include <pthread.h>
#include <unistd.h>

/* --- what lies where --------------------------------------------------------- */

static void test_objects_lie_by_time(void **state)
{
	struct fixture *f = *state;
	struct buf text;

	use_hours(&f->options);
	append_at(f, 0, 0);
	append_at(f, 1, 5);
	append_at(f, 2, 0);
	append_at(f, 3, 23);
	run_ok(f);
	assert_object(f->store,
		      "topics/u.pin/year=2022/month=03/day=01/hour=00/"
		      "u.pin+0+0000000000.json",
		      "{\"n\":0}\n{\"n\":2}\n");
	assert_object(f->store,
		      "topics/u.pin/year=2022/month=03/day=01/hour=05/"
		      "u.pin+0+0000000001.json",
		      "{\"n\":1}\n");
	assert_object(f->store,
		      "topics/u.pin/year=2022/month=03/day=01/hour=23/"
		      "u.pin+0+0000000003.json",
		      "{\"n\":3}\n");
	get(f->store, "manifests/u.pin/partition=0/group+00000000000000000000.json", &text);
	assert_string_equal(
		buf_cstr(&text),
		"{\"after\":null,\"sides\":[],\"objects\":["
		"{\"key\":\"topics/u.pin/year=2022/month=03/day=01/hour=00/u.pin+0+0000000000.json\","
		"\"lines\":2,\"bytes\":16,\"crc\":\"a34fd836\"},"
		"{\"key\":\"topics/u.pin/year=2022/month=03/day=01/hour=05/u.pin+0+0000000001.json\","
		"\"lines\":1,\"bytes\":8,\"crc\":\"d53bd354\"},"
		"{\"key\":\"topics/u.pin/year=2022/month=03/day=01/hour=23/u.pin+0+0000000003.json\","
		"\"lines\":1,\"bytes\":8,\"crc\":\"9a548159\"}],"
		"\"runs\":[0,1,1,1,0,1,2,1]}\n");
	buf_release(&text);
	assert_int_equal(assert_once(f->store, pin, 4), 3);
	assert_int_equal(count_keys(f->store, "topics/u.pin/partition=", ""), 0);
}

/* However records are mixed, there are at most twice the objects that the same ones in order make.
 */
static void test_mixed_times_make_few_objects(void **state)
{
	enum { RECORDS = 3000 };
	struct err err = { 0 };
	size_t sorted, mixed, skewed;
	struct fixture *f = *state;

	f->options.flush_size = 50;
	use_hours(&f->options);
	for (int n = 0; n < RECORDS; n++)
		append_at(f, n, n / 125);
	run_ok(f);
	sorted = assert_once(f->store, pin, RECORDS);
	use_store(f, store_memory_new(STORE_MAX));
	broker_free(f->broker);
	f->options.broker = f->broker = broker_memory_new(STORE_MAX, ended_done, &f->ended);
	assert_ok(create_topic(f->broker, pin, 1, &err));
	append_mixed(f, 0, RECORDS);
	run_ok(f);
	mixed = assert_once(f->store, pin, RECORDS);
	assert_true(mixed <= 2 * sorted);
	use_store(f, store_memory_new(STORE_MAX));
	broker_free(f->broker);
	f->options.broker = f->broker = broker_memory_new(STORE_MAX, ended_done, &f->ended);
	assert_ok(create_topic(f->broker, pin, 1, &err));
	for (int n = 0; n < RECORDS; n++)
		append_at(f, n, n % 40 ? 0 : n % 24); /* nearly all of one hour */
	run_ok(f);
	skewed = assert_once(f->store, pin, RECORDS);
	assert_true(skewed <= 2 * sorted);
}

static void test_gzip_keys_and_headers(void **state)
{
	static const struct record_header headers[] = { { { "a", 1 }, { "1", 1 } },
							{ { "b", 1 }, { NULL, 0 } },
							{ { "c", 1 }, { "\xff", 1 } } };
	struct fixture *f = *state;
	struct buf packed, text;
	struct err err = { 0 };

	f->options.gzip = f->options.keys = f->options.headers = true;
	append_record(f, (struct append_record){ .value = slice_str("{\"n\":0}"),
						 .key = slice_str("k\"1"),
						 .headers = headers,
						 .header_count = ARRAY_LEN(headers) });
	append_record(f, (struct append_record){ .value = slice_str("{\"n\":1}") });
	append_record(f, (struct append_record){ .value = slice_str("{\"n\":2}"),
						 .key = slice_str("\xff\xfe") });
	run_ok(f);
	buf_init(&text, STORE_MAX);
	get(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json.gz", &packed);
	assert_true(gzip_is(buf_slice(&packed)));
	assert_ok(gzip_unpack(&text, buf_slice(&packed), &err));
	assert_string_equal(buf_cstr(&text), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
	buf_clear(&text);
	assert_ok(group_get_text(
		f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.keys.json.gz", &text, &err));
	assert_string_equal(buf_cstr(&text), "\"k\\\"1\"\nnull\n{\"base64\":\"//4=\"}\n");
	buf_clear(&text);
	assert_ok(group_get_text(f->store,
				 "topics/u.pin/partition=0/u.pin+0+0000000000.headers.json.gz",
				 &text, &err));
	assert_string_equal(buf_cstr(&text),
			    "[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":null},"
			    "{\"key\":\"c\",\"base64\":\"/w==\"}]\n[]\n[]\n");
	buf_release(&packed);
	buf_release(&text);
	assert_int_equal(assert_once(f->store, pin, 3), 1);
}

static void test_records_without_a_value(void **state)
{
	struct fixture *f = *state;
	struct lake *lake;

	f->options.nulls = SINK_NULLS_IGNORE;
	use_hours(&f->options);
	append_at(f, 0, 1);
	append(f, pin, NULL);
	append_at(f, 2, 1);
	append(f, pin, NULL);
	run_ok(f);
	append_at(f, 4, 1);
	run_ok(f);
	lake = see_lake(f->store, pin);
	assert_int_equal(lake->objects, 2);
	for (int n = 0; n < 5; n++)
		assert_int_equal(lake->times[n], n % 2 == 0);
	free_lake(lake);
	f->options.nulls = SINK_NULLS_FAIL;
	append(f, pin, NULL);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_int_equal(f->counts.halted, 1);
}

static void test_times_of_a_field(void **state)
{
	struct fixture *f = *state;

	use_hours(&f->options);
	f->options.time = (struct event_time){ EVENT_TIME_FIELD, "at.ms" };
	append(f, pin, "{\"at\":{\"ms\":1646096400000}}");
	append(f, pin, "{\"at\":{\"ms\":\"2022-03-01T03:00:00+01:00\"}}");
	append(f, pin, "{\"at\":null}");
	run_ok(f);
	assert_int_equal(count_keys(f->store, "topics/", "/hour=01/u.pin+0+0000000000.json"), 1);
	assert_int_equal(count_keys(f->store, "topics/", "/hour=02/u.pin+0+0000000001.json"), 1);
	assert_int_equal(f->counts.dead[PIN], 1);
}

/* --- when ---------------------------------------------------------------------- */

/* The newest time moves on by the interval, whatever comes late in between. */
static void test_rotation_by_the_records_times(void **state)
{
	struct fixture *f = *state;

	f->options.flush_size = 1000;
	f->options.time.kind = EVENT_TIME_RECORD;
	f->options.rotate_interval_ms = 2 * HOUR_MS;
	append_at(f, 0, 4);
	append_at(f, 1, 0);
	append_at(f, 2, 5);
	append_at(f, 3, 6);
	append_at(f, 4, 3);
	append_at(f, 5, 7);
	append_at(f, 6, 8);
	run_ok(f);
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
		      "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000003.json",
		      "{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n");
	assert_int_equal(assert_once(f->store, pin, 7), 3);
}

static void await_objects(struct fixture *f, size_t count)
{
	int64_t end_ms = clock_mono_ms() + 20000;

	while (count_keys(f->store, "topics/u.pin/", ".json") < count && clock_mono_ms() < end_ms)
		(void)usleep(2000);
}

/* One record, and when that has landed three at once. */
static void *stop_when_landed(void *user)
{
	struct fixture *f = user;
	struct append_record records[3];
	struct append_outcome outcomes[3] = { 0 };
	struct err err = { 0 };

	await_objects(f, 1);
	for (size_t i = 0; i < ARRAY_LEN(records); i++)
		records[i] = (struct append_record){ .value = slice_str("{\"n\":0}"),
						     .timestamp_ms = DAY_BEGIN + 4 * HOUR_MS };
	assert_ok(append_and_wait(f->broker, &f->ended, pin, records, ARRAY_LEN(records), outcomes,
				  &err));
	await_objects(f, 2);
	stop_request();
	return NULL;
}

/* A quiet topic lands: no record has to come; and what comes then is not an object each. */
static void test_rotation_by_the_clock(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	int64_t start_ms = clock_mono_ms();

	f->options.flush_size = 1000;
	f->options.flush_age_ms = 24 * HOUR_MS;
	f->options.rotate_schedule_ms = 50;
	f->options.until_end = false;
	use_hours(&f->options);
	append_at(f, 0, 4);
	assert_int_equal(pthread_create(&thread, NULL, stop_when_landed, f), 0);
	run_ok(f);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(clock_mono_ms() - start_ms < 20000);
	assert_int_equal(count_keys(f->store, "topics/u.pin/", ".json"), 2);
}

/* --- what other programs see --------------------------------------------------------- */

struct seen {
	struct store *store;
	int times[OFFSETS_MAX];
};

static bool see_any(void *user, const struct store_entry *entry)
{
	struct seen *seen = user;
	struct lake_file_name name;
	struct err err = { 0 };
	struct buf text;

	assert_true(lake_file_parse(entry->key, &name));
	if (name.side.ptr)
		return true;
	buf_init(&text, STORE_MAX);
	assert_ok(group_get_text(seen->store, entry->key, &text, &err));
	for (const char *at = buf_cstr(&text); *at; at = strchr(at, '\n') + 1) {
		int n = -1;

		assert_int_equal(sscanf(at, "{\"n\":%d}", &n), 1);
		assert_in_range(n, 0, OFFSETS_MAX - 1);
		seen->times[n]++;
	}
	buf_release(&text);
	return true;
}

/* Whoever lists the folder, and knows of no manifest, finds each record once, too. */
static void assert_seen_once(struct fixture *f, int count)
{
	struct seen *seen = xcalloc(1, sizeof(*seen));
	struct err err = { 0 };

	seen->store = f->store;
	assert_ok(store_list(f->store, "topics/u.pin/", "", see_any, seen, &err));
	for (int n = 0; n < OFFSETS_MAX; n++)
		assert_int_equal(seen->times[n], n < count);
	free(seen);
	(void)assert_once(f->store, pin, (uint64_t)count);
}

/* --- crashes and other sinks ------------------------------------------------------ */

/* A store that ends with its nth put, before it or after it; or at which another sink lands all.
 * Bars are put by several threads. */
static struct {
	const struct store_ops *real;
	struct store_ops ops;
	pthread_mutex_t lock;
	int puts;
	int fail_at;
	bool after;
	bool inside;
	struct sink_options other;
} fault = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Which put this is; 0: one of the other sink, while that works. */
static int fault_count(void)
{
	int number;

	(void)pthread_mutex_lock(&fault.lock);
	number = fault.inside ? 0 : ++fault.puts;
	if (number == fault.fail_at && fault.other.dir)
		fault.inside = true;
	(void)pthread_mutex_unlock(&fault.lock);
	return number;
}

static void land_all_by_another(struct err *err)
{
	struct sink_counts counts;

	if (sink_run(&fault.other, &counts, err) != ERR_OK)
		fail_msg("the other sink: %s", err->msg);
	sink_counts_release(&counts);
	(void)pthread_mutex_lock(&fault.lock);
	fault.inside = false;
	(void)pthread_mutex_unlock(&fault.lock);
}

static enum err_code fault_put(struct store *store, const struct store_put *put, struct err *err)
{
	int number = fault_count();

	if (number >= fault.fail_at && !fault.other.dir) {
		if (fault.after && number == fault.fail_at)
			(void)fault.real->put(store, put, err);
		return err_set(err, ERR_LIMIT, "the end");
	}
	if (number == fault.fail_at)
		land_all_by_another(err);
	return fault.real->put(store, put, err);
}

static void begin_fault(struct fixture *f, int fail_at, bool after)
{
	fault.real = f->store->ops;
	fault.ops = *f->store->ops;
	fault.ops.put = fault_put;
	fault.puts = 0;
	fault.fail_at = fail_at;
	fault.after = after;
	fault.other = (struct sink_options){ 0 };
	f->store->ops = &fault.ops;
}

static void end_fault(struct fixture *f) { f->store->ops = fault.real; }

/* What a race detector looks for is not in which put failed: it sees some of them. */
#ifdef __SANITIZE_THREAD__
enum { LAYOUTS = 4, NEXT_PUT = 7 };
#else
enum { LAYOUTS = 4, NEXT_PUT = 1 };
#endif

static void use_layout(struct sink_options *options, int layout)
{
	memset(&options->path, 0, sizeof(options->path));
	options->gzip = options->keys = options->headers = false;
	options->flush_size = 3;
	if (layout == 1)
		options->gzip = true;
	if (layout >= 2)
		use_hours(options);
	if (layout == 3) {
		options->path.duration_ms = 4 * HOUR_MS;
		options->gzip = options->keys = true;
		options->flush_size = 2;
	}
}

/* What a manifest says does not change, whoever makes it whole, with whatever options. */
static void test_whoever_comes_next_makes_a_group_whole(void **state)
{
	enum { RECORDS = 12 };

	(void)state;
	for (int pair = 0; pair < LAYOUTS * LAYOUTS * 4; pair++) {
		int first = pair / 4 / LAYOUTS, second = pair / 4 % LAYOUTS;
		bool ended = false;

		for (int at = 1; !ended; at += NEXT_PUT) {
			void *inner = NULL;
			struct fixture *f;

			assert_int_equal(set_up(&inner), 0);
			f = inner;
			append_mixed(f, 0, RECORDS / 2);
			if (pair & 2)	/* of the plain layout, which others follow then */
				run_ok(f);
			append_mixed(f, RECORDS / 2, RECORDS);
			use_layout(&f->options, first);
			begin_fault(f, at, pair & 1);
			ended = run(f) == ERR_OK;
			end_fault(f);
			append_mixed(f, RECORDS, RECORDS + 5);
			use_layout(&f->options, second);
			run_ok(f);
			assert_seen_once(f, RECORDS + 5);
			(void)tear_down(&inner);
		}
	}
}

/* Another sink, with other options, lands everything just before a put. */
static void test_sinks_of_different_layouts(void **state)
{
	enum { RECORDS = 14 };

	(void)state;
	for (int pair = 0; pair < LAYOUTS * LAYOUTS * 2; pair++) {
		bool ended = false;

		for (int at = 1; !ended; at += NEXT_PUT) {
			char dir[SCRATCH_NAME_MAX];
			void *inner = NULL;
			struct fixture *f;

			assert_int_equal(set_up(&inner), 0);
			f = inner;
			scratch_dir(dir);
			append_mixed(f, 0, RECORDS / 2);
			if (pair & 1)
				run_ok(f);
			append_mixed(f, RECORDS / 2, RECORDS);
			use_layout(&f->options, pair / 2 / LAYOUTS);
			begin_fault(f, at, false);
			fault.other = f->options;
			fault.other.dir = dir;
			use_layout(&fault.other, pair / 2 % LAYOUTS);
			run_ok(f);
			ended = fault.puts < at;
			end_fault(f);
			append_mixed(f, RECORDS, RECORDS + 5);
			run_ok(f);
			assert_seen_once(f, RECORDS + 5);
			scratch_remove(dir);
			(void)tear_down(&inner);
		}
	}
}

static void *run_racer(void *user)
{
	struct sink_options *options = user;
	struct sink_counts counts;
	struct err err = { 0 };

	if (sink_run(options, &counts, &err) != ERR_OK)
		fail_msg("sink_run: %s", err.msg);
	sink_counts_release(&counts);
	return NULL;
}

static void test_sinks_at_once(void **state)
{
	enum { RECORDS = 400 };
	struct fixture *f = *state;
	struct sink_options options[LAYOUTS];
	char dirs[LAYOUTS][SCRATCH_NAME_MAX];
	pthread_t threads[LAYOUTS];

	append_mixed(f, 0, RECORDS);
	for (int i = 0; i < LAYOUTS; i++) {
		options[i] = f->options;
		scratch_dir(dirs[i]);
		options[i].dir = dirs[i];
		use_layout(&options[i], i);
		assert_int_equal(pthread_create(&threads[i], NULL, run_racer, &options[i]), 0);
	}
	for (int i = 0; i < LAYOUTS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		scratch_remove(dirs[i]);
	}
	assert_seen_once(f, RECORDS);
}

/* Every offset up to `count` is there once, from the first one on that the sink ever met; those
 * below `gone` may be dead. */
static void assert_amended(struct fixture *f, int count, int gone)
{
	struct lake *lake = see_lake(f->store, pin);
	int first = 0;

	while (lake->times[first] == 0)
		first++;
	assert_true(first <= gone);
	for (int n = 0; n < count + 1; n++) {
		bool dead = lake->times[n] && !strcmp(buf_cstr(&lake->values[n]), "dead");

		assert_int_equal(lake->times[n], n >= first && n < count);
		assert_true(!dead || n < gone);
	}
	free_lake(lake);
}

/* What a manifest promised and the log has let go of since is told by letters, and the rest of the
 * group lands: nothing waits for a person while the log lets go of more. */
static void test_a_group_whose_records_are_lost(void **state)
{
	enum { RECORDS = 9, MORE = 6 };

	(void)state;
	for (int at = 3; at < 16; at++) {
		for (int gone = 1; gone <= RECORDS + 2; gone += 2) {
			void *inner = NULL;
			struct fixture *f;

			assert_int_equal(set_up(&inner), 0);
			f = inner;
			use_layout(&f->options, 3 - at % 2);
			f->options.flush_size = 100;
			append_mixed(f, 0, RECORDS);
			begin_fault(f, at, false);
			(void)run(f);
			end_fault(f);
			append_mixed(f, RECORDS, RECORDS + MORE);
			broker_memory_let_go(f->broker, pin, 0, (size_t)gone);
			begin_fault(f, 1 + gone % 4, gone % 3);
			(void)run(f);
			end_fault(f);
			broker_memory_let_go(f->broker, pin, 0, 1);
			use_layout(&f->options, at % LAYOUTS);
			run_ok(f);
			assert_amended(f, RECORDS + MORE, gone + 1);
			append_mixed(f, RECORDS + MORE, RECORDS + 2 * MORE);
			run_ok(f);
			assert_amended(f, RECORDS + 2 * MORE, gone + 1);
			(void)tear_down(&inner);
		}
	}
}

/* Without the log having said that it lost something, it is another log. */
static void test_a_group_of_another_log_halts(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	use_hours(&f->options);
	append_mixed(f, 0, 6);
	begin_fault(f, 5, false);
	assert_int_equal(run(f), ERR_CORRUPT);
	end_fault(f);
	broker_free(f->broker);
	f->options.broker = f->broker = broker_memory_new(STORE_MAX, ended_done, &f->ended);
	assert_ok(create_topic(f->broker, pin, 1, &err));
	f->options.new_history = false;
	append_mixed(f, 3, 20);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_int_equal(f->counts.halted, 1);
}

/* --- a bucket that another program wrote ---------------------------------------------- */

static void test_after_confluents_own_objects(void **state)
{
	struct fixture *f = *state;
	struct buf packed;

	append_numbers(f, pin, 0, 9);
	put(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
	    slice_str("{\"n\":0}\n{\"n\":1}\n"));
	buf_init(&packed, 1000);
	gzip_pack(&packed, slice_str("{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n"), -1);
	put(f->store, "topics/u.pin/partition=0/u.pin+0+0000000002.json.gz", buf_slice(&packed));
	put(f->store, "topics/u.pin/partition=0/u.pin+0+0000000002.keys.json", slice_str("1\n2\n"));
	run_ok(f);
	buf_release(&packed);
	assert_object(f->store, "topics/u.pin/partition=0/u.pin+0+0000000005.json",
		      "{\"n\":5}\n{\"n\":6}\n{\"n\":7}\n");
	assert_once(f->store, pin, 9);
}

/* The connector writes a value in its own way; another value is another log's. */
static void test_values_that_another_program_wrote(void **state)
{
	static const struct {
		const char *line;
		bool same;
	} cases[] = {
		{ "{\"b\":[1,{\"c\":null}],\"a\":1.10,\"n\":\"\\u00e4\"}\n", true },
		{ "{\"a\":1.1,\"n\":\"\xc3\xa4\",\"b\":[1.0,{\"c\":null}]}\n", true },
		{ "{\"a\":1.1,\"n\":\"\xc3\xa4\",\"b\":[1,{\"c\":false}]}\n", false },
		{ "{\"a\":1.1,\"n\":\"\xc3\xa4\",\"b\":[{\"c\":null},1]}\n", false },
		{ "{\"a\":1.1,\"n\":\"\xc3\xa4\"}\n", false },
		{ "{\"a\":1.1,\"n\":\"\xc3\xa4\",\"b\":[1,{\"c\":null}],\"d\":0}\n", false },
		{ "{\"a\":\"1.1\",\"n\":\"\xc3\xa4\",\"b\":[1,{\"c\":null}]}\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		void *inner = NULL;
		struct fixture *f;

		assert_int_equal(set_up(&inner), 0);
		f = inner;
		append(f, pin, "{\"a\":0, \"a\":1.1,\"b\":[1, {\"c\":null}], \"n\":\"\xc3\xa4\"}");
		append(f, pin, "1");
		put(f->store, "topics/u.pin/partition=0/u.pin+0+0000000000.json",
		    slice_str(cases[i].line));
		assert_int_equal(run(f), cases[i].same ? ERR_OK : ERR_CORRUPT);
		(void)tear_down(&inner);
	}
}

/* Buckets that were filled side by side: all of their lines together tell the end. */
static void test_after_confluents_folders_of_times(void **state)
{
	enum { FAULTS = 5 };
	static const char *const keys[] = {
		"topics/u.pin/year=2022/hour=00/u.pin+0+0000000000.json",
		"topics/u.pin/year=2022/hour=01/u.pin+0+0000000001.json",
		"topics/u.pin/year=2022/hour=02/u.pin+0+0000000002.json",
	};
	static const char *const texts[] = { "{\"n\":0}\n{\"n\":5}\n{\"n\":6}\n", "{\"n\":1}\n",
					     "{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n" };

	(void)state;
	/* And the first run may end at any of its first puts. */
	for (int i = 0; i < 4 * FAULTS; i++) {
		int layout = i % 4;
		void *inner = NULL;
		struct fixture *f;
		struct lake *lake;

		assert_int_equal(set_up(&inner), 0);
		f = inner;
		for (size_t k = 0; k < ARRAY_LEN(keys); k++)
			put(f->store, keys[k], slice_str(texts[k]));
		put(f->store, "topics/u.pin/year=2022/hour=02/u.pin+7+0000000002.json",
		    slice_str("1\n2\n"));
		/* The newest folder has nothing of this partition. */
		put(f->store, "topics/u.pin/year=2022/hour=03/u.pin+7+0000000004.json",
		    slice_str("1\n"));
		append_mixed(f, 0, 12);
		use_layout(&f->options, layout);
		begin_fault(f, i / 4, false);
		(void)run(f);
		end_fault(f);
		run_ok(f);
		run_ok(f);
		append_mixed(f, 12, 20);
		run_ok(f);
		lake = see_lake(f->store, pin);
		for (int n = 0; n < 20; n++)
			assert_int_equal(lake->times[n], n >= 7);
		free_lake(lake);
		(void)tear_down(&inner);
	}
}

/* A log that numbers more than records: that is seen, and nothing lands twice. */
static void test_folders_of_times_that_end_elsewhere(void **state)
{
	struct fixture *f = *state;

	put(f->store, "topics/u.pin/hour=00/u.pin+0+0000000000.json", slice_str("{\"n\":0}\n"));
	put(f->store, "topics/u.pin/hour=01/u.pin+0+0000000001.json",
	    slice_str("{\"n\":1}\n{\"n\":4}\n"));
	append_numbers(f, pin, 0, 2);
	broker_memory_skip(f->broker, pin, 0, 1, GAP_COMPACTED);
	append_numbers(f, pin, 3, 6);
	use_hours(&f->options);
	assert_int_equal(run(f), ERR_CORRUPT);
	assert_int_equal(f->counts.halted, 1);
}

/* --- what is no group's manifest ----------------------------------------------------- */

static void test_manifests_that_are_none(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"{\"after\":null}",
		"{\"after\":null,\"plain\":false}",
		"{\"after\":\"00000000000000000003\",\"plain\":true}",
	/* Another topic's, another partition's, a side's, and no object's name. */
#define WITH(key, lines, runs) \
	"{\"after\":null,\"sides\":[],\"objects\":[{\"key\":\"" key "\",\"lines\":" lines \
	",\"bytes\":8,\"crc\":\"00000000\"}],\"runs\":[" runs "]}"
		WITH("topics/u/h=1/u+0+0000000003.json", "1", "0,1"),
		WITH("topics/t/h=1/t+1+0000000003.json", "1", "0,1"),
		WITH("topics/t/h=1/t+0+0000000003.keys.json", "1", "0,1"),
		WITH("tables/t/x", "1", "0,1"),
		/* Lines that are not those of its runs, and runs that are none. */
		WITH("topics/t/h=1/t+0+0000000003.json", "2", "0,1"),
		WITH("topics/t/h=1/t+0+0000000003.json", "0", "0,0"),
		WITH("topics/t/h=1/t+0+0000000003.json", "1", "1,1"),
		WITH("topics/t/h=1/t+0+0000000003.json", "1", "-1,1,0,1"),
		WITH("topics/t/h=1/t+0+0000000003.json", "1", "0,1,-1,1"),
		WITH("topics/t/h=1/t+0+0000000003.json", "1", "-5,1,0,1"),
		/* One that was not amended has lost nothing. */
		WITH("topics/t/h=1/t+0+0000000003.json", "1", "0,1,-2,1"),
		WITH("topics/t/h=1/t+0+0000000003.01.json", "1", "0,1"),
		WITH("topics/t/h=1/t+0+0000000003.json", "1", "0,1,0"),
		WITH("topics/t/h=1/t+0+0000000003.json", "1", "0,1e1"),
		WITH("topics/t/h=1/t+0+0000000003.json", "1", "0,99999999999"),
		/* One that begins elsewhere than its name says. */
		WITH("topics/t/h=1/t+0+0000000004.json", "1", "0,1"),
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct lake_partition where = { .topic = "t" };
		struct group group;
		struct err err = { 0 };
		struct buf key;

		buf_init(&key, STORE_KEY_MAX);
		group_key(&key, where, 3, 1);
		assert_ok(store_put(f->store, buf_cstr(&key), slice_str(texts[i]), STORE_REPLACE,
				    &err));
		if (group_load(f->store, where, 3, 1, &group, &err) != ERR_CORRUPT)
			fail_msg("%s", texts[i]);
		buf_release(&key);
	}
}

/* --- where it goes on, by few listings ------------------------------------------------- */

static struct {
	const struct store_ops *real;
	size_t lists;
} counting;

static enum err_code counting_list(struct store *store, const char *prefix, const char *after,
				   size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	counting.lists++;
	return counting.real->list(store, prefix, after, wanted, each, user, err);
}

static size_t lists_to_recover(struct store *store, uint64_t next)
{
	struct store_ops ops = *store->ops;
	struct sink_place place;
	struct err err = { 0 };

	counting.real = store->ops;
	counting.lists = 0;
	ops.list = counting_list;
	store->ops = &ops;
	assert_ok(sink_recover(store, (struct lake_partition){ .topic = "t" }, &place, &err));
	store->ops = counting.real;
	assert_int_equal(place.next, next);
	sink_place_release(&place);
	return counting.lists;
}

static void test_the_end_is_found_by_few_listings(void **state)
{
	struct fixture *f = *state;
	char key[100];

	for (int i = 0; i < 5000; i++) {
		(void)snprintf(key, sizeof(key), "topics/t/partition=0/t+0+%010d.json", i * 3);
		put(f->store, key, slice_str("1\n2\n3\n"));
	}
	assert_true(lists_to_recover(f->store, 15000) < 40);
	put(f->store, "topics/t/partition=0/t+0+0000015000.json", slice_str(""));
	assert_true(lists_to_recover(f->store, 15000) < 40);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_objects_lie_by_time),
		TEST(test_mixed_times_make_few_objects),
		TEST(test_gzip_keys_and_headers),
		TEST(test_records_without_a_value),
		TEST(test_times_of_a_field),
		TEST(test_rotation_by_the_records_times),
		TEST(test_whoever_comes_next_makes_a_group_whole),
		TEST(test_sinks_of_different_layouts),
		TEST(test_sinks_at_once),
		TEST(test_a_group_whose_records_are_lost),
		TEST(test_a_group_of_another_log_halts),
		TEST(test_after_confluents_own_objects),
		TEST(test_values_that_another_program_wrote),
		TEST(test_after_confluents_folders_of_times),
		TEST(test_folders_of_times_that_end_elsewhere),
		TEST(test_manifests_that_are_none),
		TEST(test_the_end_is_found_by_few_listings),
		TEST(test_rotation_by_the_clock), /* stops, for good */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
