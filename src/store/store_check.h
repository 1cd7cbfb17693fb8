/*
 * store_check.h - what may be put: keys and words. store.c asks it; a backend
 * need not. And words as text, for backends that keep text.
 */
#ifndef STORE_STORE_CHECK_H
#define STORE_STORE_CHECK_H

#include "store/store.h"

/* ERR_SHAPE unless the key and the words are allowed. */
MUST_USE enum err_code store_check_put(const struct store_put *put, struct err *err);

/* "name=value\n" each. */
void store_words_put(struct buf *out, const struct store_words *words);
/* ERR_CORRUPT: it is no such text. */
MUST_USE enum err_code store_words_parse(struct slice text, struct store_words *ret_words,
					 struct err *err);

#endif
