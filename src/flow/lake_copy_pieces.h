/*
 * lake_copy_pieces.h - an object that is copied without being in memory: piece by piece,
 * of each of which the hash is kept, so that what is read back has something to be compared with.
 *
 * Ownership: stores and the key are borrowed. Threads: one.
 */
#ifndef FLOW_LAKE_COPY_PIECES_H
#define FLOW_LAKE_COPY_PIECES_H

#include "store/store.h"

enum { COPY_PIECE_BYTES = 8 << 20 };

struct copy_sum;

struct copy_pieces {
	struct store_source source; /* to put it by */
	struct store *from;
	const char *key;
	struct store_stat stat; /* as it was when this began */
	struct copy_sum *sums;	/* of each piece */
	struct err failure;	/* of the source; code ERR_OK: none */
};

/* Looks at the object. copy_pieces_end() whatever it ends with. */
MUST_USE enum err_code copy_pieces_begin(struct copy_pieces *pieces, struct store *from,
					 const char *key, struct err *err);
/* Whether the object of that key has the same bytes. ERR_BUSY: the source's has been replaced. */
MUST_USE enum err_code copy_pieces_are(struct copy_pieces *pieces, struct store *to, bool *ret_same,
				       struct err *err);
void copy_pieces_end(struct copy_pieces *pieces); /* accepts a zeroed one */

#endif
