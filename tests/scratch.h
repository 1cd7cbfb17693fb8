/* scratch.h - a directory for one test, and its removal with all that is in it. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include "testing.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH_NAME_MAX = 64 };

static inline void scratch_dir(char name[SCRATCH_NAME_MAX])
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(name, SCRATCH_NAME_MAX, "%s/pinpipe.XXXXXX",
		       base && strlen(base) < 40 ? base : "/tmp");
	assert_non_null(mkdtemp(name));
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void scratch_remove(const char *name)
{
	assert_int_equal(nftw(name, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
