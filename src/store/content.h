/*
 * content.h - what an object of a directory is made of, on its way into its file.
 */
#ifndef STORE_CONTENT_H
#define STORE_CONTENT_H

#include "store/store.h"

struct content {
	struct slice body;
	int fd;			     /* >= 0: this file's bytes instead */
	struct store_source *source; /* or what comes from here */
	const struct store_words *words;
};

/*
 * All of the bytes, into an empty file. Large ones go past the page cache (stage.h): a sink writes
 * more than a memory holds, and who reads it later is another process. False with errno.
 */
MUST_USE bool content_write(const struct content *content, int fd);

#endif
