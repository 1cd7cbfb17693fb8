/*
 * lake_search.h - the last of many names that are in the order of their offsets,
 * by few short listings: a store lists from any name on, but never backwards.
 *
 * A store that reads a directory as a whole anyway tells the last name itself. Else,
 * from a page of names the search leaps ahead, twice as far each time, until
 * nothing comes after where it is, and then halves what is between. Of n names
 * it looks at a few pages, and about log n of them.
 *
 * Threads: the caller's.
 */
#ifndef FLOW_LAKE_SEARCH_H
#define FLOW_LAKE_SEARCH_H

#include "store/store.h"

struct lake_search {
	struct store *store;
	const char *prefix;
	uint64_t most; /* no offset is beyond it */
	/* The name that those of offsets beyond `at` come after. Replaces what `key` holds. */
	void (*put_key)(void *user, struct buf *key, uint64_t at);
	/* Told each name that is met, in pieces of the order; the last one of all is among them,
	 * with all between the last one that has an offset and the end. False: it has no offset. */
	bool (*look)(void *user, const struct store_entry *entry, uint64_t *ret_at);
	void *user;
};

MUST_USE enum err_code lake_search_end(const struct lake_search *search, struct err *err);

#endif
