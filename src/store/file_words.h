/*
 * file_words.h - the words of an object (store.h) as an extended attribute of its file.
 */
#ifndef STORE_FILE_WORDS_H
#define STORE_FILE_WORDS_H

#include "store/store.h"

/* Whether the file system of `fd` has attributes; the others need not be called where it has none.
 */
bool file_words_can(int fd);
/* None take one away, which the file may have of a put that failed. False with errno. */
MUST_USE bool file_words_set(int fd, const struct store_words *words);
MUST_USE enum err_code file_words_get(int fd, const char *key, struct store_words *ret_words,
				      struct err *err);

#endif
