/* delta_fixture.h - tables of two columns in a memory store, for the tests of src/delta. */
#ifndef TESTS_DELTA_FIXTURE_H
#define TESTS_DELTA_FIXTURE_H

#include "base/mem.h"
#include "delta/delta.h"
#include "testing.h"

#include <inttypes.h>
#include <string.h>

#define ROOT "tables/t"

static const struct delta_column fixture_columns[] = {
	{ "ind", DELTA_INTEGER }, { "coordinates", DELTA_ARRAY_DOUBLE },
};
static const struct delta_schema fixture_schema = { fixture_columns, ARRAY_LEN(fixture_columns) };

static inline struct delta_table *open_table(struct store *store)
{
	struct delta_options options = { .create = &fixture_schema, .checkpoints = true };
	struct delta_table *table = NULL;
	struct err err = { 0 };

	assert_ok(delta_open(store, ROOT, &options, &table, &err));
	return table;
}

static inline enum err_code try_to_read(struct store *store, struct err *err)
{
	struct delta_options options = { 0 };
	struct delta_table *table = NULL;
	enum err_code code = delta_open(store, ROOT, &options, &table, err);

	delta_close(table);
	return code;
}

static inline enum err_code try_to_write(struct store *store, struct err *err)
{
	struct delta_options options = { .create = &fixture_schema };
	struct delta_table *table = NULL;
	enum err_code code = delta_open(store, ROOT, &options, &table, err);

	delta_close(table);
	return code;
}

/* Commit one file "<app>-<n>.parquet" of n + 1 rows as txn <app>, n. */
static inline enum err_code append(struct delta_table *table, const char *app, int64_t n,
				   int64_t *ret_version, struct err *err)
{
	char path[80];
	char stats[80];
	struct delta_add add = { .path = path, .size = 1000 + (uint64_t)n,
				 .modified_ms = 1600000000000, .rows = (uint64_t)n + 1,
				 .stats = stats };
	struct delta_txn txn = { app, n, delta_txn_version(table, app) };
	struct delta_commit commit = { .operation = "WRITE", .adds = &add, .add_count = 1,
				       .txns = &txn, .txn_count = 1 };

	(void)snprintf(path, sizeof(path), "%s-%" PRId64 ".parquet", app, n);
	(void)snprintf(stats, sizeof(stats), "{\"numRecords\":%" PRId64 "}", n + 1);
	return delta_commit(table, &commit, ret_version, err);
}

static inline void append_ok(struct delta_table *table, const char *app, int64_t n)
{
	struct err err = { 0 };
	int64_t version = 0;

	assert_ok(append(table, app, n, &version, &err));
	assert_int_equal(version, delta_version(table));
}

static inline const char *log_key(int64_t version, const char *suffix)
{
	static char key[200];

	(void)snprintf(key, sizeof(key), ROOT "/_delta_log/%020" PRId64 "%s", version, suffix);
	return key;
}

static inline void put_text(struct store *store, const char *key, const char *text)
{
	struct err err = { 0 };

	assert_ok(store_put(store, key, slice_str(text), STORE_REPLACE, &err));
}

/* The text of an object; freed by the caller. */
static inline char *get_text(struct store *store, const char *key)
{
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 1 << 24);
	assert_ok(store_get(store, key, 0, UINT64_MAX, &out, &err));
	(void)buf_cstr(&out);
	return out.ptr;
}

static inline void remove_key(struct store *store, const char *key)
{
	struct err err = { 0 };

	assert_ok(store_remove(store, key, &err));
}

static inline bool has_key(struct store *store, const char *key)
{
	struct err err = { 0 };
	uint64_t size;

	return store_size(store, key, &size, &err) == ERR_OK;
}

#endif
