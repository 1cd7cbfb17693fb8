/*
 * aging_table.h - a table in an aging store, for the tests of what goes by age.
 *
 * setup() and teardown() make and free the store of one test.
 */
#ifndef TESTS_AGING_TABLE_H
#define TESTS_AGING_TABLE_H

#include "aging_store.h"
#include "delta_fixture.h"

enum { HOUR_MS = 3600000, AGED_MS = 10 * HOUR_MS };

static struct store *store;

static int setup(void **state)
{
	(void)state;
	store = aging_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	return 0;
}

static struct delta_table *open_kept(int64_t files_ms, int64_t log_ms)
{
	struct delta_options options = { .create = &fixture_schema,
					 .checkpoints = true,
					 .keep_files_ms = files_ms,
					 .keep_log_ms = log_ms };
	struct delta_table *table = NULL;
	struct err err = { 0 };

	assert_ok(delta_open(store, ROOT, &options, &table, &err));
	return table;
}

/* A table of so many versions beyond its first, all of it old. */
static void fill(int64_t commits)
{
	struct delta_table *table = open_kept(HOUR_MS, HOUR_MS);

	while (delta_version(table) < commits)
		append_ok(table, "app", delta_version(table));
	delta_close(table);
	aging(store)->age_ms = AGED_MS;
	aging(store)->below = commits + 1;
}

#endif
