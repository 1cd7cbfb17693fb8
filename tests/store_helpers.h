/*
 * store_helpers.h - what tests of stores put and look for.
 */
#ifndef TESTS_STORE_HELPERS_H
#define TESTS_STORE_HELPERS_H

#include "store/store.h"
#include "testing.h"

static inline void put(struct store *store, const char *key, const char *body)
{
	struct err err = { 0 };

	assert_ok(store_put(store, key, slice_str(body), STORE_CREATE, &err));
}

static inline void assert_object(struct store *store, const char *key, const char *body)
{
	struct err err = { 0 };
	uint64_t size = 0;
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_ok(store_get(store, key, 0, UINT64_MAX, &out, &err));
	assert_string_equal(buf_cstr(&out), body);
	assert_ok(store_size(store, key, &size, &err));
	assert_int_equal(size, strlen(body));
	buf_release(&out);
}

/* An object of which nothing else is known. */
#define BY_KEY(name) (&(struct store_entry){ .key = (name) })

static inline bool take_entry(void *user, const struct store_entry *entry)
{
	struct store_entry *ret = user;
	const char *key = ret->key;

	*ret = *entry;
	ret->key = key;
	return true;
}

/* The object as it is listed. */
static inline struct store_entry listed(struct store *store, const char *key)
{
	struct store_entry entry = { .key = key };
	struct err err = { 0 };

	assert_ok(store_list(store, key, "", take_entry, &entry, &err));
	return entry;
}

struct keys {
	struct buf text;	/* each key and a newline */
	size_t count;
	size_t count_max;	/* 0: all */
};

static inline bool add_key(void *user, const struct store_entry *entry)
{
	struct keys *keys = user;

	buf_addf(&keys->text, "%s\n", entry->key);
	return ++keys->count != keys->count_max;
}

static inline void assert_list(struct store *store, const char *prefix, const char *after,
			size_t count_max, const char *expected)
{
	struct keys keys = { .count_max = count_max };
	struct err err = { 0 };

	buf_init(&keys.text, 1 << 20);
	assert_ok(store_list(store, prefix, after, add_key, &keys, &err));
	assert_string_equal(buf_cstr(&keys.text), expected);
	buf_release(&keys.text);
}

static inline void assert_level(struct store *store, const char *folder, const char *expected)
{
	struct keys keys = { 0 };
	struct err err = { 0 };

	buf_init(&keys.text, 1 << 20);
	assert_ok(store_level(store, folder, add_key, &keys, &err));
	assert_string_equal(buf_cstr(&keys.text), expected);
	buf_release(&keys.text);
}

#endif
