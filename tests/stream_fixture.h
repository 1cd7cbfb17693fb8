/* stream_fixture.h - streams of the three tables in a broker in memory, for the tests of
 * src/flow/stream*.c. */
#ifndef TESTS_STREAM_FIXTURE_H
#define TESTS_STREAM_FIXTURE_H

#include "backends/backends.h"
#include "base/buf.h"
#include "broker_testing.h"
#include "delta/delta.h"
#include "flow/dlq.h"
#include "flow/stream.h"
#include "flow/stream_table.h"
#include "tables.h"
#include "temp_dir.h"
#include "testing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { STREAMS_BYTES = 16 << 20, MEMORY_BYTES = 256 << 20, SHARDS = 2 };

static struct engine *engine;
static struct temp_dir engine_dir;
static const char *const everywhere[] = { "/" }; /* each test has a directory of its own */
static struct models models;

/* Appends one record after the other and waits for each. */
struct posting {
	struct broker *broker;
	pthread_mutex_t lock;
	pthread_cond_t done;
	unsigned ended;
};

static inline void on_done(void *user, struct append *chain)
{
	struct posting *posting = user;

	(void)pthread_mutex_lock(&posting->lock);
	for (; chain; chain = chain->next) {
		assert_int_equal(chain->outcomes[0].code, ERR_OK);
		posting->ended++;
	}
	(void)pthread_cond_signal(&posting->done);
	(void)pthread_mutex_unlock(&posting->lock);
}

static inline void post_to(struct posting *posting, const char *stream, int32_t shard,
			   const char *key, const char *value)
{
	struct append_record record = { .key = slice_str(key), .partition = shard };
	struct append_outcome outcome;
	struct append append = {
		.topic = { TOPIC_STREAM, stream },
		.records = &record,
		.count = 1,
		.outcomes = &outcome,
	};
	unsigned before = posting->ended;
	struct err err;

	if (value)
		record.value = slice_str(value);
	assert_ok(broker_append(posting->broker, &append, &err));
	(void)pthread_mutex_lock(&posting->lock);
	while (posting->ended == before)
		(void)pthread_cond_wait(&posting->done, &posting->lock);
	(void)pthread_mutex_unlock(&posting->lock);
}

static inline void post(struct posting *posting, const char *stream, const char *key,
			const char *value)
{
	post_to(posting, stream, PARTITION_ANY, key, value);
}

static inline void begin_with(struct posting *posting, struct memory_options options)
{
	static const char *const streams[] = { "streaming-u-pin", "streaming-u-geo",
					       "streaming-u-user" };
	struct err err;

	(void)pthread_mutex_init(&posting->lock, NULL);
	(void)pthread_cond_init(&posting->done, NULL);
	posting->ended = 0;
	options.bytes_max = STREAMS_BYTES;
	options.done = on_done;
	options.done_user = posting;
	posting->broker = broker_memory_open(&options);
	for (size_t i = 0; i < TABLES; i++)
		assert_ok(create_topic(posting->broker,
				       (struct topic_ref){ TOPIC_STREAM, streams[i] }, SHARDS,
				       &err));
}

static inline void begin(struct posting *posting)
{
	begin_with(posting, (struct memory_options){ 0 });
}

static inline void end(struct posting *posting)
{
	broker_free(posting->broker);
	(void)pthread_mutex_destroy(&posting->lock);
	(void)pthread_cond_destroy(&posting->done);
}

/* `count` pins, every tenth of them something else, and a geo and a user for each. */
static inline void post_some(struct posting *posting, int count)
{
	char key[32], value[128];

	for (int i = 0; i < count; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		(void)snprintf(value, sizeof(value),
			       i % 10 == 9
				       ? "[%d]"
				       : "{\"index\":%d,\"title\":\"t\",\"follower_count\":\"4k\"}",
			       i);
		post(posting, "streaming-u-pin", key, value);
		(void)snprintf(value, sizeof(value), "{\"ind\":%d,\"country\":\"Peru\"}", i);
		post(posting, "streaming-u-geo", key, value);
		(void)snprintf(value, sizeof(value), "{\"ind\":%d,\"age\":\"old\"}", i);
		post(posting, "streaming-u-user", key, i == 3 ? NULL : value);
	}
}

static inline struct store *open_store(const char *dir)
{
	struct store *store;
	char url[300];
	struct err err;

	(void)snprintf(url, sizeof(url), "file:%s/lake", dir);
	assert_ok(store_open(url, NULL, &store, &err));
	return store;
}

static inline enum err_code run_stream(const char *dir, struct posting *posting,
				       struct store *store, struct stream_counts *ret_counts,
				       struct err *err)
{
	struct stream_options options = {
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
	};

	stream_counts_release(ret_counts); /* of the run before */
	*ret_counts = (struct stream_counts){ 0 };
	return stream_run(&options, ret_counts, err);
}

static inline void make_dir(struct temp_dir *dir)
{
	char tmp[300];

	temp_dir_make(dir);
	(void)snprintf(tmp, sizeof(tmp), "%s/tmp", dir->path);
	assert_int_equal(mkdir(tmp, 0700), 0);
}

static inline bool count_letter(void *user, const struct dlq_entry *entry)
{
	(void)entry;
	++*(uint64_t *)user;
	return true;
}

/* Rows by the tables' own log, and dead letters of all streams. */
static inline void count(struct store *store, uint64_t rows[TABLES], uint64_t *ret_dead)
{
	struct err err;

	*ret_dead = 0;
	for (int i = 0; i < TABLES; i++) {
		struct delta_options options = { 0 };
		struct delta_table *table;
		struct lake_table place;

		assert_ok(lake_table_init(&place, &models.clean[i], TOPIC_STREAM, "u", &err));
		assert_ok(delta_open(store, place.root, &options, &table, &err));
		rows[i] = delta_rows(table);
		delta_close(table);
	}
	assert_ok(dlq_list(store, NULL, count_letter, ret_dead, &err));
}

static inline struct topic_info describe(struct broker *broker, const struct stream_table *table)
{
	struct topic_info info;
	struct err err;

	assert_ok(broker_describe(broker, stream_table_topic(table), &info, &err));
	return info;
}

static inline struct position next_position(struct broker *broker, const struct stream_table *table)
{
	struct topic_info info = describe(broker, table);
	struct position next = info.partitions[0].next;

	topic_info_release(&info);
	return next;
}

static inline void assign(struct stream_table *table, struct broker *broker)
{
	struct topic_info info = describe(broker, table);
	struct err err;

	assert_ok(stream_table_assign(table, &info, 0, &err));
	topic_info_release(&info);
}

static inline void flush(struct stream_table *table)
{
	struct err err;

	assert_ok(stream_table_flush(table, &err));
}

/* As the log gives it. */
static inline void add(struct stream_table *table, const struct record *record,
		       struct lineage lineage)
{
	struct reader_event event = {
		.kind = READER_RECORDS, .records = record, .count = 1, .lineage = lineage
	};
	struct err err;

	assert_ok(stream_table_add(table, stream_table_shard(table, 0), &event, &err));
}

/* The table of pins of a fresh directory, one shard of it assigned. */
static inline void open_pins(struct stream_table *table, struct stream_table_options *options,
			     struct temp_dir *temp, struct posting *posting)
{
	struct err err;

	make_dir(temp);
	begin(posting);
	*table = (struct stream_table){ 0 };
	*options = (struct stream_table_options){
		.store = open_store(temp->path),
		.engine = engine,
		.dir = temp->path,
		.bytes_max = 64 << 20,
	};
	assert_ok(lake_table_init(&options->place, &models.clean[PIN], TOPIC_STREAM, "u", &err));
	assert_ok(stream_table_open(table, options, &err));
	assign(table, posting->broker);
}

static inline void close_pins(struct stream_table *table, struct stream_table_options *options,
			      struct temp_dir *temp, struct posting *posting)
{
	stream_table_release(table);
	store_free(options->store);
	temp_dir_remove(temp);
	end(posting);
}

static inline int set_up(void **state)
{
	struct engine_options options = {
		.memory_bytes_max = MEMORY_BYTES,
		.threads = 2,
		.temp_dir = engine_dir.path,
		.dirs = everywhere,
		.dir_count = 1,
	};
	struct err err = { 0 };

	(void)state;
	temp_dir_make(&engine_dir);
	if (models_load(TEST_MODELS, &models, &err) != ERR_OK ||
	    engine_duckdb_new(&options, &engine, &err) != ERR_OK) {
		print_error("%s\n", err.msg);
		return -1;
	}
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	engine_free(engine);
	models_free(&models);
	temp_dir_remove(&engine_dir);
	return 0;
}

#endif
