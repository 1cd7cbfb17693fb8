/*
 * s3_page.h - a page of a listing as a service answers it: the XML of ListObjectsV2.
 *
 * What comes out is what store.h promises of a listing: keys that rise, from behind `after` on,
 * none of them "". They are those of the bucket, with the prefix of the store. Where folders were
 * asked for, those are among them, by the '/' at their end.
 *
 * Threads: one a page.
 */
#ifndef STORE_S3_PAGE_H
#define STORE_S3_PAGE_H

#include "base/arena.h"
#include "store/store.h"

enum { S3_PAGE_KEYS_MAX = 1000, S3_KEY_MAX = 1024, S3_TOKEN_MAX = 4096 };

struct s3_page {
	struct store_entry entries[S3_PAGE_KEYS_MAX]; /* valid until the next is read */
	size_t count;
	bool goes_on;
	const char *token; /* where, if the server says; NULL: it does not */
	/* Of the reading: */
	struct arena arena;
	struct store_entry next;     /* the one whose elements come */
	const char *etag, *modified; /* its; NULL: not yet */
	bool is_listing;
	bool is_encoded;
	bool has_folders;
	bool wrong;
};

MUST_USE struct s3_page *s3_page_new(void);
void s3_page_free(struct s3_page *page);
/* False: it is no such page, or not in order. Keys are those behind `after`, "": all. */
MUST_USE bool s3_page_read(struct s3_page *page, struct slice text, const char *after);

#endif
