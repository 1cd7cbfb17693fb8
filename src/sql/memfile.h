/*
 * memfile.h - a file that exists in memory only, under a path that libraries
 * of this process can open (memfd_create(2)).
 *
 * Ownership: memfile_close() frees it.
 */
#ifndef SQL_MEMFILE_H
#define SQL_MEMFILE_H

#include "base/buf.h"
#include "base/err.h"

struct memfile {
	int fd;
	char path[32];		/* "/proc/self/fd/<n>" */
};

MUST_USE enum err_code memfile_open(struct memfile *ret_file, struct err *err);
void memfile_close(struct memfile *file);
/* Append bytes to the file. */
MUST_USE enum err_code memfile_write(struct memfile *file, struct slice bytes, struct err *err);
/* Append the whole file to `out`. ERR_LIMIT: it does not fit. */
MUST_USE enum err_code memfile_read(struct memfile *file, struct buf *out, struct err *err);

#endif
