/*
 * What is made of a lake that is far away: its objects are asked for many at a time, and once.
 * Calls of the store in these tests do not end before so many of them are at hand: a loop
 * that waits for each would wait for ever.
 */
#include "backends/backends.h"
#include "base/mem.h"
#include "delta_fixture.h"
#include "engine/engine.h"
#include "flow/batch.h"
#include "flow/check.h"
#include "flow/dlq.h"
#include "scratch.h"
#include "store/layer.h"
#include "store_helpers.h"

#include <pthread.h>
#include <sys/stat.h>

enum { OBJECTS = 10, PATH_LEN_MAX = 200 };

/* --- a store whose calls meet ---------------------------------------------------- */

struct meeting {
	struct store_layer layer;
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	const char *puts;		/* which calls: … */
	const char *gets;		/* … of keys that begin like this; NULL: none */
	int wanted;
	int at_hand;
	int most;
	int calls;			/* of them all */
};

static struct meeting *meeting(struct store *store) { return (struct meeting *)store; }

static void meet(struct store *store, const char *prefix, const char *key)
{
	struct meeting *all = meeting(store);

	if (!prefix || !slice_starts(slice_str(key), prefix))
		return;
	(void)pthread_mutex_lock(&all->lock);
	all->calls++;
	if (++all->at_hand > all->most)
		all->most = all->at_hand;
	(void)pthread_cond_broadcast(&all->changed);
	while (all->most < all->wanted)
		(void)pthread_cond_wait(&all->changed, &all->lock);
	all->at_hand--;
	(void)pthread_mutex_unlock(&all->lock);
}

static enum err_code meeting_put(struct store *store, const struct store_put *put, struct err *err)
{
	meet(store, meeting(store)->puts, put->key);
	return store_layer_put(store, put, err);
}

static enum err_code meeting_get(struct store *store, const char *key, uint64_t from, uint64_t len,
				 struct buf *out, struct err *err)
{
	meet(store, meeting(store)->gets, key);
	return store_layer_get(store, key, from, len, out, err);
}

static bool meeting_can(struct store *store, enum store_ability ability)
{
	return ability != STORE_CAN_FETCH_FREE && store_layer_can(store, ability);
}

static const struct store_ops meeting_ops = {
	.name = "meeting",
	.layer = true,
	.put = meeting_put,
	.get = meeting_get,
	.stat = store_layer_stat,
	.list = store_layer_list,
	.remove = store_layer_remove,
	.fetch = store_fetch_copy,
	.fetch_dir = store_layer_fetch_dir,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.can = meeting_can,
	.free = store_layer_free,
};

static struct store *meeting_new(struct store *inner)
{
	struct meeting *all = xcalloc(1, sizeof(*all));

	all->layer = (struct store_layer){ { &meeting_ops }, inner };
	(void)pthread_mutex_init(&all->lock, NULL);
	(void)pthread_cond_init(&all->changed, NULL);
	return &all->layer.base;
}

/* From here on; every call of them met as many others. */
static void expect(struct store *store, const char *puts, const char *gets, int wanted)
{
	struct meeting *all = meeting(store);

	all->puts = puts;
	all->gets = gets;
	all->wanted = wanted;
	all->most = all->calls = 0;
}

/* --- tables, letters -------------------------------------------------------------------- */

static void test_a_log_is_read_many_commits_at_a_time(void **state)
{
	enum { COMMITS = 20 };
	struct delta_options options = { .create = &fixture_schema };
	struct store *store = meeting_new(store_memory_new(1 << 20));
	struct delta_table *table = NULL;
	struct err err = { 0 };

	(void)state;
	assert_ok(delta_open(store, ROOT, &options, &table, &err));
	for (int n = 0; n < COMMITS; n++)
		append_ok(table, "app", n);
	delta_close(table);
	expect(store, NULL, ROOT "/_delta_log/0", COMMITS);
	assert_ok(delta_open(store, ROOT, &options, &table, &err));
	assert_int_equal(delta_version(table), COMMITS);
	/* Nothing is asked behind the end. */
	assert_int_equal(meeting(store)->calls, COMMITS + 1);
	delta_close(table);
	store_free(store);
}

static bool count_letter(void *user, const struct dlq_entry *entry)
{
	(void)entry;
	++*(int *)user;
	return true;
}

static void test_letters_are_read_many_objects_at_a_time(void **state)
{
	struct store *store = meeting_new(store_memory_new(1 << 20));
	struct dlq_source source = { .stage = "sink", .topic = { TOPIC_LOG, "t" } };
	struct err err = { 0 };
	int letters = 0;

	(void)state;
	for (uint64_t i = 0; i < OBJECTS; i++) {
		struct dlq_batch *batch = dlq_batch_new(store, &source);
		struct position before = lake_position(i), at = lake_position(i + 1);
		struct dlq_letter letter = { .position = at, .reason = "x" };

		assert_ok(dlq_batch_add(batch, &letter, &err));
		dlq_batch_range(batch, &before, at);
		assert_ok(dlq_batch_write(batch, &err));
		dlq_batch_free(batch);
	}
	expect(store, NULL, "dlq/t/", OBJECTS);
	assert_ok(dlq_list(store, "t", count_letter, &letters, &err));
	assert_int_equal(letters, OBJECTS);
	store_free(store);
}

/* --- a lake ------------------------------------------------------------------------------ */

struct fixture {
	struct store *store;		/* the meeting, */
	struct store *cache;		/* and what is kept of it */
	struct batch_options options;
	struct models models;
	char dir[SCRATCH_NAME_MAX];
};

static void put_users(struct store *store, int bad)
{
	for (int i = 0; i < OBJECTS; i++) {
		char key[100], body[200];

		(void)snprintf(key, sizeof(key),
			       "topics/id.user/partition=0/id.user+0+%010d.json", 2 * i);
		(void)snprintf(body, sizeof(body), "{\"ind\":%d,\"age\":\"30\"}\n"
			       "{\"ind\":%d,\"age\":\"%s\"}\n", 2 * i, 2 * i + 1,
			       2 * i + 1 == bad ? "x" : "30");
		put(store, key, body);
	}
}

static FILE *open_file(const char *dir, const char *name, const char *mode)
{
	char path[PATH_LEN_MAX];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, mode);
	assert_non_null(file);
	return file;
}

static void make_dir(const char *dir, const char *name)
{
	char path[PATH_LEN_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* Only the model of users, and that an age has to be a number. */
static void make_strict(struct fixture *f)
{
	static const char loose[] = "as_int(age)", strict[] = "CAST(age AS INTEGER)";
	FILE *from = open_file(TEST_MODELS, "clean/user.sql", "re"), *to;
	char text[16384] = "", path[PATH_LEN_MAX], *at;
	struct err err;

	make_dir(f->dir, "models");
	make_dir(f->dir, "models/clean");
	make_dir(f->dir, "models/analyses");
	to = open_file(f->dir, "models/clean/user.sql", "we");
	assert_in_range(fread(text, 1, sizeof(text) - 1, from), 1, sizeof(text) - 2);
	at = strstr(text, loose);
	assert_non_null(at);
	assert_true(fprintf(to, "%.*s%s%s", (int)(at - text), text, strict, at + strlen(loose)) > 0);
	assert_int_equal(fclose(from) + fclose(to), 0);
	models_free(&f->models);
	(void)snprintf(path, sizeof(path), "%s/models", f->dir);
	assert_ok(models_load(path, &f->models, &err));
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	const char *dirs[] = { f->dir };
	struct engine_options engine = { .memory_bytes_max = 256 << 20, .threads = 2,
					 .dirs = dirs, .dir_count = 1 };
	char path[PATH_LEN_MAX];
	struct err err;

	scratch_dir(f->dir);
	make_dir(f->dir, "tmp");
	(void)snprintf(path, sizeof(path), "%s/cache", f->dir);
	f->store = meeting_new(store_memory_new(16 << 20));
	assert_ok(store_cache_new(f->store, path, "far", 16 << 20, &f->cache, &err));
	assert_ok(models_load(TEST_MODELS, &f->models, &err));
	f->options = (struct batch_options){ .store = f->cache, .models = &f->models, .id = "id",
					     .dir = f->dir };
	assert_ok(engine_duckdb_new(&engine, &f->options.engine, &err));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	engine_free(f->options.engine);
	models_free(&f->models);
	store_free(f->cache);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* Users are the last of the tables. */
static void run_batch(struct fixture *f, uint64_t rows)
{
	struct batch_report report;
	struct err err = { 0 };

	assert_ok(batch_run(&f->options, &report, &err));
	assert_int_equal(report.tables_failed, 0);
	assert_int_equal(report.tables[report.table_count - 1].rows, rows);
	batch_report_release(&report);
}

static void test_a_batch_gets_many_objects_at_a_time(void **state)
{
	struct fixture *f = *state;

	put_users(f->cache, -1);
	expect(f->store, NULL, "topics/id.user/", OBJECTS);
	run_batch(f, 2 * OBJECTS);
	assert_int_equal(meeting(f->store)->calls, OBJECTS);
}

/* The one record that makes the SQL fail is looked for in all objects, again and again. */
static void test_what_is_looked_at_again_is_not_got_again(void **state)
{
	struct fixture *f = *state;

	make_strict(f);
	put_users(f->cache, 7);
	expect(f->store, NULL, "topics/id.user/", 0);
	run_batch(f, 2 * OBJECTS - 1);
	assert_int_equal(meeting(f->store)->calls, OBJECTS);
}

static void test_answers_are_put_at_the_same_time(void **state)
{
	struct fixture *f = *state;

	put_users(f->cache, -1);
	expect(f->store, "results/m", NULL, 8);		/* "median_…", "most_…": three each */
	run_batch(f, 2 * OBJECTS);
}

static void say_fault(void *user, const char *what)
{
	(void)user;
	fail_msg("%s", what);
}

static void test_check_reads_many_objects_at_a_time(void **state)
{
	struct fixture *f = *state;
	const struct duck_options duck_options = { .memory_bytes_max = 64 << 20, .threads = 1 };
	struct duck duck = { 0 };
	struct check_options options = { .store = f->cache, .duck = &duck, .models = &f->models,
					 .id = "id", .fault = say_fault,
					 .broker = broker_memory_new(1 << 20, NULL, NULL) };
	struct check_topic topic = { TOPIC_LOG, "id.user" };
	const struct check_topics topics = { &topic, 1 };
	struct check_counts counts;
	struct err err = { 0 };

	put_users(f->cache, -1);
	assert_ok(duck_open(&duck_options, &duck, &err));
	expect(f->store, NULL, "topics/id.user/", OBJECTS);
	assert_ok(check_all_topics(&options, &topics, &counts, &err));
	assert_int_equal(counts.lines, 2 * OBJECTS);
	duck_close(&duck);
	broker_free(options.broker);
}

#define ON_LAKE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_log_is_read_many_commits_at_a_time),
		cmocka_unit_test(test_letters_are_read_many_objects_at_a_time),
		ON_LAKE(test_a_batch_gets_many_objects_at_a_time),
		ON_LAKE(test_what_is_looked_at_again_is_not_got_again),
		ON_LAKE(test_answers_are_put_at_the_same_time),
		ON_LAKE(test_check_reads_many_objects_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
