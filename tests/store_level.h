/* store_level.h - the contract of level(), mark() and last(), for each backend
 * (contract/test_store.c). */
#ifndef TESTS_STORE_LEVEL_H
#define TESTS_STORE_LEVEL_H

#include "store_helpers.h"

#include <stdio.h>

/* Folders and objects of one level, in byte order of what is given of them. */
static inline void check_level(struct store *store)
{
	static const char *const objects[] = {
		"t/a-b", "t/a/1", "t/a/2/3", "t/a0", "t/b/x/y", "u"
	};

	for (size_t i = 0; i < ARRAY_LEN(objects); i++)
		put(store, objects[i], "x");
	assert_level(store, "", "t/\nu\n");
	assert_level(store, "t/", "t/a-b\nt/a/\nt/a0\nt/b/\n");
	assert_level(store, "t/a/", "t/a/1\nt/a/2/\n");
	assert_level(store, "t/c/", "");
	assert_level(store, "../", "");
}

static inline bool take_first(void *user, const struct store_entry *entry)
{
	(void)snprintf(user, STORE_KEY_MAX + 1, "%s/%llu", entry->key,
		       (unsigned long long)entry->size);
	return false;
}

static inline void check_level_until_it_is_enough(struct store *store)
{
	char first[STORE_KEY_MAX + 32];
	struct err err;

	put(store, "v/a", "xyz");
	put(store, "v/b/1", "x");
	put(store, "w/b/1", "x");
	assert_ok(store_level(store, "v/", take_first, first, &err));
	assert_string_equal(first, "v/a/3");
	assert_ok(store_level(store, "w/", take_first, first, &err));
	assert_string_equal(first, "w/b//0");
}

/* That is the same where nothing came, and another one where something did, or not known. */
static inline void check_mark(struct store *store)
{
	struct store_mark before, after;

	put(store, "t/a", "x");
	before = store_mark(store, "t/");
	assert_true(before.mark == 0); /* changes of one moment look like one */
	assert_true(store_mark(store, "no/").mark == 0);
	if (before.bytes == 0)
		return;
	do
		before = store_mark(store, "t/");
	while (before.mark == 0);
	assert_true(store_mark(store, "t/").mark == before.mark);
	put(store, "t/b", "x");
	after = store_mark(store, "t/");
	assert_true(after.mark != before.mark);
}

/* The last of all keys, or that they have to be listed. */
static inline void assert_last(struct store *store, const char *prefix, const char *expected)
{
	char key[STORE_KEY_MAX + 1] = "";

	if (store_last(store, prefix, key))
		assert_string_equal(key, expected);
	else
		assert_string_equal(key, "");
}

static inline void check_last(struct store *store)
{
	static const char *const objects[] = { "m/group+2", "m/group+10", "m/lineage+1",
					       "n/a/1",	    "n/a/2",	  "n/a0" };

	for (size_t i = 0; i < ARRAY_LEN(objects); i++)
		put(store, objects[i], "x");
	assert_last(store, "m/", "m/lineage+1");
	assert_last(store, "m/group+", "m/group+2");
	assert_last(store, "m/group+1", "m/group+10");
	assert_last(store, "n/", "n/a0");
	assert_last(store, "n/a/", "n/a/2");
	assert_last(store, "", ""); /* it lies deeper */
	assert_last(store, "no/such/", "");
	assert_last(store, "m/z", "");
}

#endif
