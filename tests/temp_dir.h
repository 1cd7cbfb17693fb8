/*
 * temp_dir.h - a directory for one test, removed with all that is in it. In
 * memory where there is such a place: what a unit test syncs need not survive.
 */
#ifndef TESTS_TEMP_DIR_H
#define TESTS_TEMP_DIR_H

#include "testing.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct temp_dir {
	char path[64];
};

static inline void temp_dir_make(struct temp_dir *dir)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	(void)snprintf(dir->path, sizeof(dir->path), "%s/pinpipe-test.XXXXXX", base);
	assert_non_null(mkdtemp(dir->path));
}

static inline int temp_dir_unlink(const char *path, const struct stat *st, int type,
				  struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void temp_dir_remove(struct temp_dir *dir)
{
	(void)nftw(dir->path, temp_dir_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
