/*
 * sink_hours.h - records of certain hours for a sink that puts them into folders of time, and what
 * it made of them.
 */
#ifndef TESTS_SINK_HOURS_H
#define TESTS_SINK_HOURS_H

#include "sink_testing.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_BEGIN INT64_C(1646092800000) /* 2022-03-01T00:00:00Z */

static inline void use_hours(struct sink_options *options)
{
	struct err err = { 0 };

	assert_ok(path_format_init(&options->path, "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH",
				   HOUR_MS, &err));
	options->time.kind = EVENT_TIME_RECORD;
}

static inline void append_record(struct fixture *f, struct append_record record)
{
	struct append_outcome outcome = { 0 };
	struct err err = { 0 };

	assert_ok(append_and_wait(f->broker, &f->ended, pin, &record, 1, &outcome, &err));
	assert_int_equal(outcome.code, ERR_OK);
}

/* {"n":n}, of that hour of the day. */
static inline void append_at(struct fixture *f, int n, int hour)
{
	char value[32];

	(void)snprintf(value, sizeof(value), "{\"n\":%d}", n);
	append_record(f, (struct append_record){ .value = slice_str(value),
						 .timestamp_ms = DAY_BEGIN + hour * HOUR_MS + n });
}

/* Numbers 0 … count - 1, in an order of hours that is the same each time. */
static inline void append_mixed(struct fixture *f, int from, int to)
{
	for (int n = from; n < to; n++)
		append_at(f, n, n * 7 % 24);
}

struct found {
	const char *part;
	size_t count;
};

static inline bool count_with(void *user, const struct store_entry *entry)
{
	struct found *found = user;

	found->count += strstr(entry->key, found->part) != NULL;
	return true;
}

static inline size_t count_keys(struct store *store, const char *prefix, const char *part)
{
	struct found found = { .part = part };
	struct err err = { 0 };

	assert_ok(store_list(store, prefix, "", count_with, &found, &err));
	return found.count;
}

static inline void get(struct store *store, const char *key, struct buf *text)
{
	struct err err = { 0 };

	buf_init(text, STORE_MAX);
	assert_ok(store_get(store, key, 0, UINT64_MAX, text, &err));
}

static inline void put(struct store *store, const char *key, struct slice text)
{
	struct err err = { 0 };

	assert_ok(store_put(store, key, text, STORE_CREATE, &err));
}

#endif
