/* store_copy.h - an object's bytes into a file, for store_fetch.c and store_cache.c. */
#ifndef STORE_STORE_COPY_H
#define STORE_STORE_COPY_H

#include "store/store.h"

/* All of one object, as fetch() gives it, into a file that is empty. */
MUST_USE enum err_code store_copy_to(struct store *store, const struct store_entry *entry, int fd,
				     uint64_t *ret_size, struct err *err);

#endif
