/*
 * fetched.h - local files as what store_fetch() gives, for tests of the engine.
 */
#ifndef TESTS_FETCHED_H
#define TESTS_FETCHED_H

#include "base/mem.h"
#include "store/store.h"
#include "testing.h"

#include <fcntl.h>

/* An array for an engine_table, which the engine takes. */
static inline struct store_fetched *fetched_of(const char *const *paths, size_t count)
{
	struct store_fetched *list = xcalloc(count, sizeof(*list));

	for (size_t i = 0; i < count; i++) {
		list[i].fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		assert_true(list[i].fd >= 0);
		list[i].path = xstrdup(paths[i]);
	}
	return list;
}

#endif
