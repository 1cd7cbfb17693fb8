/* store_races.h - the contract of many calls at once, for each backend (contract/test_store.c). */
#ifndef TESTS_STORE_RACES_H
#define TESTS_STORE_RACES_H

#include "store_helpers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { RACERS = 4, RACE_KEYS = 40 };

struct race {
	struct store *store;
	atomic_int wins;
	atomic_int others; /* neither won nor found it taken */
};

static inline void *race(void *user)
{
	struct race *all = user;
	struct err err = { 0 };

	for (int i = 0; i < RACE_KEYS; i++) {
		char key[32];
		enum err_code code;

		(void)snprintf(key, sizeof(key), "d%d/k%d", i % 3, i);
		code = store_put(all->store, key, slice_str(key), STORE_CREATE, &err);
		if (code == ERR_OK)
			atomic_fetch_add(&all->wins, 1);
		else if (code != ERR_EXISTS)
			atomic_fetch_add(&all->others, 1);
	}
	return NULL;
}

/* Of several creators one wins. */
static inline void check_creators(struct store *store)
{
	struct race all = { .store = store };
	pthread_t threads[RACERS];

	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &all), 0);
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(all.wins, RACE_KEYS);
	assert_int_equal(all.others, 0);
	assert_object(all.store, "d0/k0", "d0/k0");
}

/* Replaces an object by turns with all 'a' and all 'b', until told to stop. */
struct flipper {
	struct store *store;
	atomic_bool stop;
};

static inline void *flip(void *user)
{
	struct flipper *flipper = user;
	char body[20000];
	struct err err = { 0 };

	for (int i = 0; !atomic_load(&flipper->stop); i++) {
		memset(body, i % 2 ? 'b' : 'a', sizeof(body));
		if (store_put(flipper->store, "flip", slice_of(body, i % 2 ? sizeof(body) : 9),
			      STORE_REPLACE, &err) != ERR_OK)
			return user;
	}
	return NULL;
}

/* A reader sees all or nothing. */
static inline void check_reader(struct store *store)
{
	struct flipper flipper = { .store = store };
	struct err err = { 0 };
	pthread_t thread;
	void *failed;
	struct buf out;

	buf_init(&out, 30000);
	put(flipper.store, "flip", "aaaaaaaaa");
	assert_int_equal(pthread_create(&thread, NULL, flip, &flipper), 0);
	for (int i = 0; i < 500; i++) {
		buf_clear(&out);
		assert_ok(store_get(flipper.store, "flip", 0, UINT64_MAX, &out, &err));
		assert_int_equal(out.len, out.ptr[0] == 'a' ? 9 : 20000);
		assert_int_equal(out.ptr[0], out.ptr[out.len - 1]);
	}
	atomic_store(&flipper.stop, true);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	buf_release(&out);
}

#endif
