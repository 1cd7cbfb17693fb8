/*
 * beside.h - the program's own files, by where the program itself is: in the
 * checkout that it was built in, or in an installation, which may be moved as a
 * whole.
 *
 * Threads: any.
 */
#ifndef BASE_BESIDE_H
#define BASE_BESIDE_H

#include "base/err.h"

#include <limits.h>

/* The directory of the program that runs. */
MUST_USE enum err_code beside_dir(char ret_dir[PATH_MAX], struct err *err);
/*
 * Of `paths`, which begin at that directory and end with NULL, the first that
 * is there and may be read, without the way back out of where the program is:
 * people read it. ERR_ABSENT: none.
 */
MUST_USE enum err_code beside_find(const char *const *paths, char ret_path[PATH_MAX],
				   struct err *err);

#endif
