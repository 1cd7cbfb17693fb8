/*
 * lock.h - "only one process does this here": an advisory lock on a file,
 * which ends with the process however it ends.
 *
 * Ownership: lock_release() closes the descriptor; the file stays.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/err.h"

/*
 * Takes `dir`/`name` (made if missing). ERR_LOCKED: another process has it; the message names
 * `what` runs there and its process id, which is kept in the file.
 */
MUST_USE enum err_code lock_take(const char *dir, const char *name, const char *what, int *ret_fd,
				 struct err *err);
void lock_release(int fd);	/* accepts -1 */

#endif
