/*
 * stage.h - bytes on their way into a file, in whole blocks past the page
 * cache.
 *
 * What is written at once is put together here and goes out in one write. Where
 * the file system can (O_DIRECT) it goes from here to the device: the log, and
 * the objects of a lake, are written once and read by other processes, so pages
 * of them in this one's way would cost a copy, the memory, and a search for them
 * at every sync. Elsewhere the same writes go through the page cache.
 *
 * A write ends at the end of a block, filled up with zeros. The part of the
 * last block that is in use stays here and is written again, unchanged, with
 * what follows.
 *
 * FAILPOINT  stage-direct: as if the file system could not. (A power cut in a
 * test takes what is in the page cache only.)
 *
 * Threads: one.
 */
#ifndef BASE_STAGE_H
#define BASE_STAGE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { STAGE_BLOCK_BYTES = 4096, STAGE_BYTES = 512 * 1024 };

struct stage {
	unsigned char *bytes; /* STAGE_BYTES, at a block's boundary */
	size_t len;
	int fd;		  /* borrowed */
	const char *what; /* "a log segment", for messages */
	uint64_t offset;  /* in the file, of bytes[0]; a multiple of a block */
};

void stage_init(struct stage *stage);
void stage_release(struct stage *stage);
/* Goes on in another file, at `offset`, a multiple of a block. */
void stage_start(struct stage *stage, int fd, uint64_t offset, const char *what);
/* Adds the bytes; writes when there are many. After an error the file must not be used again. */
MUST_USE enum err_code stage_add(struct stage *stage, const void *bytes, size_t len,
				 struct err *err);
/* Writes all that was added. Durable it is after a sync of the file. */
MUST_USE enum err_code stage_flush(struct stage *stage, struct err *err);

/* Whether writes to the descriptor pass the page cache by, if the file system can do that. */
void direct_set(int fd, bool direct);
/* Writes all of it; through the page cache if it cannot be done past it. */
MUST_USE enum err_code direct_write(int fd, const void *bytes, size_t len, uint64_t offset,
				    const char *what, struct err *err);

#endif
