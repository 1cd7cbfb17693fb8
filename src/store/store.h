/*
 * store.h - an object store: whole objects under a key, written atomically.
 *
 * Backends
 *	store_file.c	a directory; durable
 *	store_none.c	nothing, for who reads where nobody has written yet
 *
 * A key is a relative path: segments joined by "/", each of 1 to
 * STORE_SEGMENT_MAX bytes, none ".", ".." or STORE_RESERVED, at most
 * STORE_KEY_MAX bytes, no NUL. Anything else is ERR_SHAPE. A key that is
 * the directory of another may be refused too: file systems have no such thing.
 *
 * Contract (tests/contract/test_store.c runs it against every backend)
 *	1. A reader sees all of an object or none of it.
 *	2. STORE_CREATE fails with ERR_EXISTS if the key is taken; of several
 *	   writers exactly one wins. Commits rest on this.
 *	3. When put() returns ERR_OK the object survives a power cut (durable
 *	   backends). ERR_UNKNOWN: it may or may not be there; the caller looks.
 *	   After any other code it is not there (STORE_CREATE), or the old one
 *	   still is (STORE_REPLACE).
 *	   ERR_EXISTS: the object that is there is durable as well, so a caller
 *	   who finds its own bytes in it is done.
 *	4. list() gives keys in ascending byte order, as S3's ListObjectsV2 does
 *	   for UTF-8 keys, and sees every object whose put() returned before. The
 *	   callback may call the store.
 *
 * Ownership: the caller owns the store and every slice it passes in; the
 * store keeps no pointer after a call returns.
 * Threads: any number of threads may call one store.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum {
	STORE_KEY_MAX = 900,		/* S3 allows 1024; room for a prefix */
	STORE_SEGMENT_MAX = 255,	/* a file name */
};
#define STORE_RESERVED ".tmp"		/* holds what a file store is still writing */

enum store_mode {
	STORE_CREATE,		/* fail with ERR_EXISTS if the key is taken */
	STORE_REPLACE,
};

struct store_entry {
	const char *key;
	uint64_t size;
	int64_t modified_ms;	/* wall clock; informative */
};

struct store;

/* All methods are required. */
struct store_ops {
	const char *name;

	enum err_code (*put)(struct store *store, const char *key, struct slice body,
			     enum store_mode mode, struct err *err);

	/*
	 * As put with STORE_CREATE, the body being a local file, which is consumed: after ERR_OK
	 * `path` is gone. A store on the same mount moves it, another copies or uploads it.
	 */
	enum err_code (*put_file)(struct store *store, const char *key, const char *path,
				  struct err *err);

	/*
	 * Append bytes [from, from + len) to `out`, fewer at the end of the object. len UINT64_MAX:
	 * to the end. ERR_ABSENT: no such key. ERR_LIMIT: more than `out` may hold.
	 */
	enum err_code (*get)(struct store *store, const char *key, uint64_t from, uint64_t len,
			     struct buf *out, struct err *err);

	/* ERR_ABSENT if there is no such key. */
	enum err_code (*size)(struct store *store, const char *key, uint64_t *ret_size,
			      struct err *err);

	/*
	 * Call `each` for the keys that start with `prefix` and sort after `after` ("" for all), in
	 * order, until it returns false. The entry is valid during the call only.
	 */
	enum err_code (*list)(struct store *store, const char *prefix, const char *after,
			      bool (*each)(void *user, const struct store_entry *entry), void *user,
			      struct err *err);

	/* A key that is not there is success. */
	enum err_code (*remove)(struct store *store, const char *key, struct err *err);

	/*
	 * Append the local path of an object, for programs that read files themselves, or an
	 * "s3://…" URL. ERR_ABSENT: there is none, or a symbolic link is on the way to it, which
	 * such a program would follow out of the store.
	 */
	enum err_code (*locate)(struct store *store, const char *key, struct buf *out,
				struct err *err);

	void (*free)(struct store *store);
};

/* The first member of every backend's struct. */
struct store {
	const struct store_ops *ops;
};

MUST_USE static inline enum err_code
store_put(struct store *store, const char *key, struct slice body, enum store_mode mode,
	  struct err *err)
{
	return store->ops->put(store, key, body, mode, err);
}

MUST_USE static inline enum err_code
store_put_file(struct store *store, const char *key, const char *path, struct err *err)
{
	return store->ops->put_file(store, key, path, err);
}

MUST_USE static inline enum err_code
store_get(struct store *store, const char *key, uint64_t from, uint64_t len, struct buf *out,
	  struct err *err)
{
	return store->ops->get(store, key, from, len, out, err);
}

MUST_USE static inline enum err_code
store_size(struct store *store, const char *key, uint64_t *ret_size, struct err *err)
{
	return store->ops->size(store, key, ret_size, err);
}

MUST_USE static inline enum err_code
store_list(struct store *store, const char *prefix, const char *after,
	   bool (*each)(void *user, const struct store_entry *entry), void *user, struct err *err)
{
	return store->ops->list(store, prefix, after, each, user, err);
}

MUST_USE static inline enum err_code
store_remove(struct store *store, const char *key, struct err *err)
{
	return store->ops->remove(store, key, err);
}

MUST_USE static inline enum err_code store_locate(struct store *store, const char *key,
						  struct buf *out, struct err *err)
{
	return store->ops->locate(store, key, out, err);
}

/* Accepts NULL. */
static inline void store_free(struct store *store)
{
	if (store)
		store->ops->free(store);
}

/*
 * Put with STORE_CREATE what this writer may have put before, without having heard that it did:
 * ERR_OK if the object is there with these bytes, whoever wrote it; ERR_EXISTS if with others.
 */
MUST_USE enum err_code store_put_once(struct store *store, const char *key, struct slice body,
				      struct err *err);

/* Open by URL: "file:DIR" (made if missing; also file:///DIR). ERR_USAGE: no such scheme. */
MUST_USE enum err_code store_open(const char *url, struct store **ret_store, struct err *err);

/* False: its directory would have to be made. */
bool store_is_there(const char *url);

/* Without objects, and it takes none. */
MUST_USE struct store *store_none_new(void);
MUST_USE enum err_code store_file_new(const char *dir, struct store **ret_store, struct err *err);
/* ERR_SHAPE unless `key` is allowed; for backends. */
MUST_USE enum err_code store_check_key(const char *key, struct err *err);

#endif
