/*
 * dir.h - directories that are made where they are missing.
 */
#ifndef BASE_DIR_H
#define BASE_DIR_H

#include "base/err.h"

#include <sys/types.h>

/*
 * Makes `path` and what is missing above it. On return a power cut takes away none of what was
 * made. The last one's entry is synced even if it was there: who made it may have died before.
 */
MUST_USE enum err_code dir_make(const char *path, mode_t mode, struct err *err);

#endif
