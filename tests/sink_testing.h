/*
 * sink_testing.h - a pipeline of a log in memory, a sink and a lake in memory, and
 * what the lake has then.
 */
#ifndef TESTS_SINK_TESTING_H
#define TESTS_SINK_TESTING_H

#include "backends/backends.h"
#include "base/mem.h"
#include "broker/sequence.h"
#include "broker_testing.h"
#include "flow/dlq.h"
#include "flow/group.h"
#include "flow/sink.h"
#include "flow/sink_recover.h"
#include "scratch.h"
#include "tables.h"

static const struct topic_ref pin = { TOPIC_LOG, "u.pin" };
static const struct topic_ref geo = { TOPIC_LOG, "u.geo" };

enum { STORE_MAX = 64 << 20, OFFSETS_MAX = 4096 };

/* --- a pipeline -------------------------------------------------------- */

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	struct ended ended;
	struct broker *broker;
	struct store *store;
	struct sink_options options;
	struct sink_counts counts;
	struct err err;
	enum err_code code;		/* what run() gave */
};

/* As of models with the id "u". */
static const struct clean_model clean[TABLES];
static const struct lake_table tables[TABLES] = {
	[GEO] = { .model = &clean[GEO], .kind = TOPIC_LOG, .topic = "u.geo" },
	[PIN] = { .model = &clean[PIN], .kind = TOPIC_LOG, .topic = "u.pin" },
	[USER] = { .model = &clean[USER], .kind = TOPIC_LOG, .topic = "u.user" },
};

static inline int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = { 0 };

	f->ended = (struct ended)ENDED_INIT;
	scratch_dir(f->dir);
	f->broker = broker_memory_new(STORE_MAX, ended_done, &f->ended);
	f->store = store_memory_new(STORE_MAX);
	assert_ok(create_topic(f->broker, pin, 1, &err));
	assert_ok(create_topic(f->broker, geo, 1, &err));
	f->options = (struct sink_options){
		.dir = f->dir,
		.tables = tables,
		.table_count = TABLES,
		.broker = f->broker,
		.store = f->store,
		.flush_size = 3,
		.flush_bytes = 1 << 20,
		.flush_age_ms = 60000,
		.until_end = true,
	};
	*state = f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	sink_counts_release(&f->counts);
	store_free(f->store);
	broker_free(f->broker);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* Another store in place of the fixture's. */
static inline void use_store(struct fixture *f, struct store *store)
{
	store_free(f->store);
	f->store = store;
	f->options.store = store;
}

static inline void append_slice(struct fixture *f, struct topic_ref topic, struct slice value)
{
	struct append_record record = { .value = value, .partition = 0 };
	struct append_outcome outcome = { 0 };
	struct err err = { 0 };

	assert_ok(append_and_wait(f->broker, &f->ended, topic, &record, 1, &outcome, &err));
	assert_int_equal(outcome.code, ERR_OK);
}

static inline void append(struct fixture *f, struct topic_ref topic, const char *value)
{
	append_slice(f, topic, value ? slice_str(value) : slice_of(NULL, 0));
}

/* Records {"n":from} … up to {"n":to-1}. */
static inline void append_numbers(struct fixture *f, struct topic_ref topic, int from, int to)
{
	for (int i = from; i < to; i++) {
		char value[32];

		(void)snprintf(value, sizeof(value), "{\"n\":%d}", i);
		append(f, topic, value);
	}
}

static inline enum err_code run(struct fixture *f)
{
	sink_counts_release(&f->counts);	/* of the run before */
	return f->code = sink_run(&f->options, &f->counts, &f->err);
}

static inline void run_ok(struct fixture *f)
{
	if (run(f) != ERR_OK)
		fail_msg("sink_run: %s", f->err.msg);
}

static inline void assert_object(struct store *store, const char *key, const char *expected)
{
	struct err err = { 0 };
	struct buf body;

	buf_init(&body, STORE_MAX);
	assert_ok(store_get(store, key, 0, UINT64_MAX, &body, &err));
	assert_string_equal(buf_cstr(&body), expected);
	buf_release(&body);
}

/* What the lake has of a topic: for each offset its value, and how often it is there. */
struct lake {
	struct store *store;
	const char *topic;
	struct buf values[OFFSETS_MAX];
	int times[OFFSETS_MAX];
	size_t objects;
};

static inline void see(struct lake *lake, uint64_t offset, struct slice value)
{
	assert_true(offset < OFFSETS_MAX);
	lake->times[offset]++;
	buf_init(&lake->values[offset], 1000);
	buf_add_slice(&lake->values[offset], value);
}

/* The lines of an object; each has the next offset that `cursor` gives. */
static inline void see_lines(struct lake *lake, struct slice rest, const struct manifest *manifest)
{
	struct manifest_cursor cursor = manifest_begin(manifest);

	lake->objects++;
	while (rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);

		assert_non_null(end);
		see(lake, manifest_next(&cursor), slice_of(rest.ptr, (size_t)(end - rest.ptr)));
		rest = slice_from(rest, (size_t)(end - rest.ptr) + 1);
	}
}

static inline bool see_object(void *user, const struct store_entry *entry)
{
	struct lake *lake = user;
	struct lake_partition where = { .topic = lake->topic };
	struct lake_file_name name;
	struct manifests manifests;
	struct manifest manifest;
	struct err err = { 0 };
	struct buf body;
	uint64_t until;

	assert_true(lake_file_parse(entry->key, &name));
	where.id = name.partition;
	where.generation = name.generation;
	assert_ok(group_find_first(lake->store, where, &until, &err));
	if (!name.plain || name.side.ptr || name.start >= until)
		return true; /* a group tells of it, or it bars the way */
	assert_ok(manifests_load(lake->store, where, -1, &manifests, &err));
	buf_init(&body, STORE_MAX);
	assert_ok(group_get_text(lake->store, entry->key, &body, &err));
	assert_ok(manifests_find(&manifests, lake->store, name.start, buf_slice(&body), &manifest,
				 &err));
	see_lines(lake, buf_slice(&body), &manifest);
	manifest_release(&manifest);
	manifests_release(&manifests);
	buf_release(&body);
	return true;
}

/* All objects that a manifest names that counts. */
static inline bool see_group(void *user, const struct store_entry *entry)
{
	struct lake *lake = user;
	struct lake_object_name name;
	struct slice rest;
	struct group group;
	struct err err = { 0 };
	struct buf body;
	uint64_t first;
	uint32_t number;

	if (!lake_manifest_parse(entry->key, &name, &rest) ||
	    !group_parse_name(rest, &first, &number))
		return true;
	assert_ok(
		group_load(lake->store,
			   (struct lake_partition){ lake->topic, name.partition, name.generation },
			   first, 0, &group, &err));
	if (group.number != number)
		group_release(&group); /* another one took its place */
	buf_init(&body, STORE_MAX);
	for (size_t i = 0; i < group.object_count; i++) {
		struct manifest manifest;

		buf_clear(&body);
		assert_ok(group_get(lake->store, &group, i, &body, &err));
		group_manifest(&group, i, &manifest);
		see_lines(lake, buf_slice(&body), &manifest);
		manifest_release(&manifest);
	}
	buf_release(&body);
	group_release(&group);
	return true;
}

static inline bool see_letter(void *user, const struct dlq_entry *entry)
{
	struct position first, last;

	assert_true(position_parse(entry->offset, &first));
	assert_true(position_parse(entry->last, &last));
	for (uint64_t i = position_ordinal(first); i <= position_ordinal(last); i++)
		see(user, i, slice_str("dead"));
	return true;
}

/* All that the lake has of a topic; free_lake(). */
static inline struct lake *see_lake(struct store *store, struct topic_ref topic)
{
	struct lake *lake = xcalloc(1, sizeof(*lake));
	struct err err = { 0 };
	char prefix[64];

	lake->store = store;
	lake->topic = topic.name;
	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", topic.name);
	assert_ok(store_list(store, prefix, "", see_object, lake, &err));
	(void)snprintf(prefix, sizeof(prefix), "manifests/%s/", topic.name);
	assert_ok(store_list(store, prefix, "", see_group, lake, &err));
	assert_ok(dlq_list(store, topic.name, see_letter, lake, &err));
	return lake;
}

static inline void free_lake(struct lake *lake)
{
	for (size_t i = 0; i < OFFSETS_MAX; i++)
		buf_release(&lake->values[i]);
	free(lake);
}

/* Every offset below `count` is in the lake once, {"n":offset} unless it is dead, nothing else is. */
static inline size_t assert_once(struct store *store, struct topic_ref topic, uint64_t count)
{
	struct lake *lake = see_lake(store, topic);
	size_t objects = lake->objects;

	for (uint64_t i = 0; i < OFFSETS_MAX; i++) {
		char expected[32];

		assert_int_equal(lake->times[i], i < count);
		if (i >= count)
			continue;
		(void)snprintf(expected, sizeof(expected), "{\"n\":%d}", (int)i);
		if (strcmp(buf_cstr(&lake->values[i]), "dead") != 0)
			assert_string_equal(buf_cstr(&lake->values[i]), expected);
	}
	free_lake(lake);
	return objects;
}

#endif
