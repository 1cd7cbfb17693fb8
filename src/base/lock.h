/*
 * lock.h - "only one process does this here": an advisory lock on a file,
 * which ends with the process however it ends.
 *
 * Ownership: lock_release() closes the descriptor; the file stays.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/err.h"

#include <stdbool.h>

/*
 * Takes `dir`/`name` (made if missing). ERR_LOCKED: another process has it; the message names
 * `what` runs there and its process id, which is kept in the file.
 */
MUST_USE enum err_code lock_take(const char *dir, const char *name, const char *what, int *ret_fd,
				 struct err *err);
enum { LOCK_HOLDER_MAX = 32 };
/* Whether a process has it, and its id; of a file that is not there or may not be read: none. Makes
 * and takes nothing that lasts. */
bool lock_is_held(const char *dir, const char *name, char ret_holder[LOCK_HOLDER_MAX]);
/* Of a lock's file that is open: its holder says who it is, as far as the disk takes it; who does
 * not get it asks ("": it did not say). */
void lock_note_holder(int fd);
void lock_read_holder(int fd, char ret_holder[LOCK_HOLDER_MAX]);
void lock_release(int fd);	/* accepts -1 */

#endif
