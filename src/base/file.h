/*
 * file.h - whole files, and whole reads and writes at a place of one.
 *
 * Names are those of a directory that is open. `what` is what messages call the
 * file: "the list of topics".
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"

/* As many of the `len` bytes as the file has and the device gives; *ret_errno: what keeps it from
 * giving the next one, which has come three times in turn, or 0. */
size_t file_read_at(int fd, void *to, size_t len, uint64_t offset, int *ret_errno);
MUST_USE enum err_code file_write_at(int fd, const void *bytes, size_t len, uint64_t offset,
				     const char *what, struct err *err);

/* Appends all of it. ERR_ABSENT; ERR_LIMIT: it is longer than `into` may become. */
MUST_USE enum err_code file_read(int dir_fd, const char *name, struct buf *into, const char *what,
				 struct err *err);
/* A file of these bytes, and only its owner's; one that is there is emptied first. */
MUST_USE enum err_code file_write(int dir_fd, const char *name, struct slice bytes, bool sync,
				  const char *what, struct err *err);
/* The file has these bytes or those of before, never a part: they are written under the name
 * `fresh`, synced if that is wanted, and named. The name lasts once its directory is synced. */
MUST_USE enum err_code file_replace(int dir_fd, const char *name, const char *fresh,
				    struct slice bytes, bool sync, const char *what,
				    struct err *err);

#endif
