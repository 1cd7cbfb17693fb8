/*
 * store.h - an object store: whole objects under a key, written atomically.
 *
 * Backends
 *	store_file.c	a directory; durable
 *	store_s3.c	a bucket, of S3 or of what speaks as it does; durable
 *	store_none.c	nothing, for who reads where nobody has written yet
 * Decorators (layer.h), which stack on any store
 *	store_retry.c	asks again what a service refused for the moment
 *	store_cache.c	keeps fetched objects in a local directory
 *	store_prove.c	tries out whether only one can create an object
 *	store_trace.c	tells each call and how long it took
 *
 * A key is a relative path: segments joined by "/", each of 1 to
 * STORE_SEGMENT_MAX bytes, none ".", ".." or STORE_RESERVED, at most
 * STORE_KEY_MAX bytes; UTF-8 without control characters, as which services list
 * keys. Anything else is ERR_SHAPE. A key that is the directory of another may be
 * refused too: file systems have no such thing. No other call ends with ERR_SHAPE:
 * what is wrong with the place itself is told by opening it, or as ERR_DENIED
 * (no such bucket, no right to it, another region), ERR_AUTH (the keys).
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
 *	   callback may call the store. level() likewise, but of all keys that have
 *	   the next "/" in common it gives that beginning of them, once: a folder.
 *	5. The words put with an object come back with stat(), where the store
 *	   keeps words (store_can()); they come and go with the object's bytes.
 *	   STORE_WORD_OWN is a backend's: it may keep it beside all others, to know
 *	   its own object again after an answer that it did not get, and does not
 *	   give it back.
 *	6. fetch() gives the object that the entry is of, or what has come in its
 *	   place since, all of one of them; what is known by its key alone is never
 *	   replaced. What it gives stays as it is until it is released, whatever
 *	   becomes of the object.
 *	7. A call that fails leaves its out-parameters alone, and its code is one
 *	   of those that store.c has for it.
 *
 * The functions below are the only callers of a backend. They check keys,
 * words and prefixes before it is asked, and what it answers: sizes, codes,
 * the order of a listing. So no backend does. A listing out of order, or a get of
 * more than was asked for, is the fault of a service and ERR_CORRUPT; a code
 * that the call does not have is a fault of ours and ends the program. They also
 * count calls and the time that they took (base/metrics.h), of backends only.
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
	STORE_WORDS_MAX = 8,		/* of one object */
	STORE_WORD_NAME_MAX = 31,	/* of a-z, 0-9 and '-', a letter first */
	STORE_WORD_VALUE_MAX = 127,	/* printable ASCII, no blank at either end */
};
#define STORE_RESERVED ".tmp"		/* holds what a file store is still writing */
#define STORE_WORD_OWN "pinpipe-put"

enum store_mode {
	STORE_CREATE,		/* fail with ERR_EXISTS if the key is taken */
	STORE_REPLACE,
};

/* What not every store can. */
enum store_ability {
	STORE_CAN_CREATE_ONLY,	/* contract 2; without it no table can be written */
	STORE_CAN_WORDS,	/* contract 5; without it words are not kept, and none come back */
	STORE_CAN_FETCH_FREE,	/* fetch() copies nothing: objects are local files */
};

/* A few words about an object, by name, each name once. */
struct store_words {
	size_t count;
	struct store_word {
		char name[STORE_WORD_NAME_MAX + 1];
		char value[STORE_WORD_VALUE_MAX + 1];
	} list[STORE_WORDS_MAX];
};

/*
 * Bytes that are put piece by piece, so that they need not be in memory all at once. What it fails
 * with is its owner's: the put then ends with ERR_IO, and nothing was put.
 */
struct store_source {
	uint64_t size;
	/* Appends the `len` bytes at `from`, which it may be asked for again. */
	enum err_code (*read)(struct store_source *source, uint64_t from, size_t len,
			      struct buf *out, struct err *err);
};

struct store_put {
	const char *key;
	enum store_mode mode;
	struct slice body;
	/* The body is this local file instead; after ERR_OK it is gone. NULL: no. */
	const char *path;
	int fd;				/* of `path`, readable; for backends */
	struct store_source *source;	/* the body comes from here instead; NULL: no */
	uint64_t size;			/* of whatever it is; for backends */
	const struct store_words *words; /* NULL: none */
};

struct store_stat {
	uint64_t size;
	int64_t modified_ms;		/* wall clock; informative */
	struct store_words words;
	/* As of an entry, but to be compared with another stat's alone. */
	uint64_t version;
};

struct store_entry {
	const char *key;
	uint64_t size;
	int64_t modified_ms; /* by this machine's clock, about; informative */
	/* Another one where other bytes came in place of these, be they as many; 0: not known. */
	uint64_t version;
	/* For fetch(), or NULL: empty; takes all of the object where that comes through memory on
	 * its way to the file, and else stays empty. */
	struct buf *passing;
};

/* False: enough. The entry is valid during the call only. */
typedef bool store_each_fn(void *user, const struct store_entry *entry);

/* An object as a local file of its bytes; store_fetched_release() ends it. */
struct store_fetched {
	int fd;				/* readable; nothing that happens to names changes it */
	uint64_t size;
	char *path;			/* for other programs, which are to follow no link */
};

/* A folder as a whole, without a look at what is in it. */
struct store_mark {
	/* Another one after each change of what is directly in the folder; 0: not known. Only
	 * compared with others of that folder. */
	uint64_t mark;
	uint64_t bytes; /* about how long a listing is; 0: not known */
};

struct store;

/* All methods but one are required; layer.h has those of a decorator that pass a call on. */
struct store_ops {
	const char *name;
	bool layer;			/* a decorator: its calls are counted further down */

	/* Of `path` the store may move the file away, or only read `fd`; it does not remove it. */
	enum err_code (*put)(struct store *store, const struct store_put *put, struct err *err);

	/*
	 * Append bytes [from, from + len) to `out`, fewer at the end of the object. len UINT64_MAX:
	 * to the end, never 0. ERR_ABSENT: no such key. ERR_LIMIT: more than `out` may hold.
	 */
	enum err_code (*get)(struct store *store, const char *key, uint64_t from, uint64_t len,
			     struct buf *out, struct err *err);

	/* ERR_ABSENT if there is no such key. *ret_stat is zeroed. */
	enum err_code (*stat)(struct store *store, const char *key, struct store_stat *ret_stat,
			      struct err *err);

	/*
	 * Call `each` for the keys that start with `prefix` and sort after `after` ("" for all), in
	 * order, until it returns false. `wanted`: about how many that will be, so that a service
	 * is not asked for a thousand keys where one is looked at; 0: not known.
	 */
	enum err_code (*list)(struct store *store, const char *prefix, const char *after,
			      size_t wanted, store_each_fn *each, void *user, struct err *err);

	/*
	 * Call `each` for what is one level below `folder` ("" or what ends in '/'), in order,
	 * until it returns false: objects, and folders by their key with the '/' at its end, of
	 * which nothing else is known. A folder may be given that has no object any more. A backend
	 * that can do no better takes store_level_by_list() here.
	 */
	enum err_code (*level)(struct store *store, const char *folder, store_each_fn *each,
			       void *user, struct err *err);

	/* Of `folder`, which ends in '/'; costs no request of a service. */
	struct store_mark (*mark)(struct store *store, const char *folder);

	/*
	 * The last of the keys that start with `prefix`, where a folder is read as a whole anyway.
	 * False: such keys have to be listed; there may be none, or something is wrong with them.
	 */
	bool (*last)(struct store *store, const char *prefix, char ret_key[STORE_KEY_MAX + 1]);

	/* A key that is not there is success. */
	enum err_code (*remove)(struct store *store, const char *key, struct err *err);

	/* So many keys, one after the other. NULL: remove() does it, several at a time. */
	enum err_code (*remove_all)(struct store *store, const char *const *keys, size_t count,
				    struct err *err);

	/*
	 * What is not known of the entry is 0. ERR_ABSENT: no such key, or a symbolic link is on
	 * the way to it. A backend without local files takes store_fetch_copy() here.
	 */
	enum err_code (*fetch)(struct store *store, const struct store_entry *entry,
			       struct store_fetched *ret_fetched, struct err *err);

	/* A directory in which all that is fetched has its path: whoever may open no other files
	 * may open those. "": there is none. */
	const char *(*fetch_dir)(struct store *store);

	bool (*can)(struct store *store, enum store_ability ability);

	void (*free)(struct store *store);
};

/* The first member of every backend's struct. */
struct store {
	const struct store_ops *ops;
};

MUST_USE enum err_code store_put(struct store *store, const char *key, struct slice body,
				 enum store_mode mode, struct err *err);
/* As store_put with STORE_CREATE, the body being a local file, which is consumed. */
MUST_USE enum err_code store_put_file(struct store *store, const char *key, const char *path,
				      struct err *err);
/* Either, with words. `fd` and `size` need not be set. */
MUST_USE enum err_code store_put_as(struct store *store, const struct store_put *put,
				    struct err *err);
MUST_USE enum err_code store_get(struct store *store, const char *key, uint64_t from, uint64_t len,
				 struct buf *out, struct err *err);
MUST_USE enum err_code store_stat(struct store *store, const char *key,
				  struct store_stat *ret_stat, struct err *err);
MUST_USE enum err_code store_size(struct store *store, const char *key, uint64_t *ret_size,
				  struct err *err);
/*
 * For who gets an object in pieces whose key others may put again: was it replaced since `before`?
 * ERR_BUSY: yes, and the pieces may be of both. One that is gone since was not.
 */
MUST_USE enum err_code store_check_same(struct store *store, const char *key,
					const struct store_stat *before, struct err *err);
MUST_USE enum err_code store_list(struct store *store, const char *prefix, const char *after,
				  store_each_fn *each, void *user, struct err *err);
/* As store_list, of which about `wanted` keys will be looked at: a hint. */
MUST_USE enum err_code store_list_some(struct store *store, const char *prefix, const char *after,
				       size_t wanted, store_each_fn *each, void *user,
				       struct err *err);
/* What is one level below `folder`: "" or what ends in '/'. */
MUST_USE enum err_code store_level(struct store *store, const char *folder, store_each_fn *each,
				   void *user, struct err *err);
/* Taken before a listing, and the same later, it says that there is nothing else to list. */
struct store_mark store_mark(struct store *store, const char *folder);
/* False: list them; else it comes for the price of one listing that gives nothing else. */
MUST_USE bool store_last(struct store *store, const char *prefix, char ret_key[STORE_KEY_MAX + 1]);
MUST_USE enum err_code store_remove(struct store *store, const char *key, struct err *err);
/* So many keys: several at a time where each takes a while, and where they are local files, in
 * their order with one sync of each folder. All are gone, or some may be. */
MUST_USE enum err_code store_remove_all(struct store *store, const char *const *keys, size_t count,
					struct err *err);

/* All keys of a prefix, until `each` returns false. */
struct store_listing {
	const char *prefix;
	store_each_fn *each;
	void *user;
};
/* One listing after the other. Where each takes a while they are made at the same time, and what
 * they give is kept until it is its turn; `each` is called by the caller's thread alone. */
MUST_USE enum err_code store_list_all(struct store *store, const struct store_listing *listings,
				      size_t count, struct err *err);
MUST_USE enum err_code store_fetch(struct store *store, const struct store_entry *entry,
				   struct store_fetched *ret_fetched, struct err *err);
void store_fetched_release(struct store_fetched *fetched);	/* accepts a zeroed one */
const char *store_fetch_dir(struct store *store);	/* as long as the store */
bool store_can(struct store *store, enum store_ability ability);
/* How many calls at a time hide what each of them waits for (base/ahead.h): 1 where objects are
 * local files. */
size_t store_at_once(struct store *store);
/* Accepts NULL. */
void store_free(struct store *store);

/*
 * Fetch all of `entries` into `ret_list`, several at a time where each takes a while. All or none:
 * of those that failed the error is the first one's.
 */
MUST_USE enum err_code store_fetch_all(struct store *store, const struct store_entry *entries,
				       size_t count, struct store_fetched *ret_list,
				       struct err *err);
void store_fetched_release_all(struct store_fetched *list, size_t count);

/*
 * All of an object as store_get() gives it, but by way of what fetch() keeps, so that who comes
 * again need not ask a service again. The entry is as a listing has it. What is kept of another
 * version, or size, is not taken.
 */
MUST_USE enum err_code store_get_kept(struct store *store, const struct store_entry *entry,
				      struct buf *out, struct err *err);

/*
 * Put with STORE_CREATE what this writer may have put before, without having heard that it did:
 * ERR_OK if the object is there with these bytes, whoever wrote it; ERR_EXISTS if with others.
 */
MUST_USE enum err_code store_put_once(struct store *store, const char *key, struct slice body,
				      struct err *err);

/* ERR_SHAPE unless `key` is allowed. */
MUST_USE enum err_code store_check_key(const char *key, struct err *err);
/* ERR_SHAPE: there is no room for it, or it is not allowed. */
MUST_USE enum err_code store_words_add(struct store_words *words, const char *name,
				       struct slice value, struct err *err);
/* NULL: there is no such word. */
const char *store_words_find(const struct store_words *words, const char *name);

/* Of a service. NULL or "": as AWS's own tools have it (net/aws_credentials.h), or none. */
struct store_options {
	const char *endpoint; /* "http://127.0.0.1:9000" */
	const char *region;
	const char *path_style; /* auto, true (endpoint/bucket/key), false (bucket.endpoint/key) */
	const char *sse;	/* AES256, aws:kms, aws:kms:dsse */
	const char *kms_key;
	int64_t call_ms;       /* how long nothing may happen in a try; 0: 10 s */
	const char *cache_dir; /* NULL: what is fetched is a copy in memory */
	uint64_t cache_bytes_max;
};

/*
 * Open by URL: "file:DIR" (made if missing; also file:///DIR), "s3://BUCKET/PREFIX"; or by path:
 * "/DIR", "./DIR", "../DIR" (made if missing), or a directory that is there. ERR_USAGE: none of
 * them. A service is not asked for anything. `options` may be NULL, for a directory.
 */
MUST_USE enum err_code store_open(const char *url, const struct store_options *options,
				  struct store **ret_store, struct err *err);
/* The path of the directory that store_open() takes this for, in `url`; NULL: it is none. */
const char *store_dir(const char *url);

/* It is no directory, so that each call takes a while, and may cost something. */
bool store_is_service(const char *url);

/* False: it is a directory that would have to be made. Of a service that cannot be told: true. */
bool store_is_there(const char *url);

/* Without objects, and it takes none. */
MUST_USE struct store *store_none_new(void);
MUST_USE enum err_code store_file_new(const char *dir, struct store **ret_store, struct err *err);
/* Without what stacks on it; store_open() adds that. */
MUST_USE enum err_code store_s3_new(const char *url, const struct store_options *options,
				    struct store **ret_store, struct err *err);
/* Of such a one: "s3://bucket/prefix/ at https://host". */
const char *store_s3_place(const struct store *store);

/* Decorators. Each takes ownership of `inner`, also where it fails, unless it says otherwise. */

/*
 * A call that was refused for the moment (ERR_BUSY, ERR_TIMEOUT), and a reading one that failed on
 * the way (ERR_IO), is made again with backoff for `for_ms`, unless a stop is asked. A listing goes
 * on behind the last key that it gave. A put is never made again where the first may have
 * taken place.
 */
MUST_USE struct store *store_retry_new(struct store *inner, int64_t for_ms);

/*
 * Objects that are fetched are kept in `dir`, which any number of processes share; `of` says which
 * store they are of: where it is, the bucket, the prefix. Where there are more than `bytes_max` of
 * them, those that were asked for longest ago go, but none that somebody has fetched and not
 * released: the bound is one of what is kept, not of what is in use.
 */
MUST_USE enum err_code store_cache_new(struct store *inner, const char *dir, const char *of,
				       uint64_t bytes_max, struct store **ret_store,
				       struct err *err);

/*
 * Contract 2 is tried out before the first object is created. Where several win, can() says so of
 * STORE_CAN_CREATE_ONLY; where it cannot be found out, nothing is created. `of`: as of the cache.
 */
MUST_USE struct store *store_prove_new(struct store *inner, const char *of);

/* Tells every call with trace_debug(). */
MUST_USE struct store *store_trace_new(struct store *inner);

/* For backends: level() by listings, of which each goes on behind the folder that it came to. */
enum err_code store_level_by_list(struct store *store, const char *folder, store_each_fn *each,
				  void *user, struct err *err);
/* For backends that know none. */
struct store_mark store_mark_none(struct store *store, const char *folder);
bool store_last_none(struct store *store, const char *prefix, char ret_key[STORE_KEY_MAX + 1]);

/* For backends: just `len` bytes, or ERR_IO. */
enum err_code store_source_read(struct store_source *source, uint64_t from, size_t len,
				struct buf *out, struct err *err);
/* For backends: all of it into an empty file. False with errno; EIO: the source failed. */
bool store_source_write(struct store_source *source, int fd);

/* For backends: copies the object by way of get() into a file in memory, which is gone when it is
 * released. A store that is far away is to be opened with a cache above it. */
enum err_code store_fetch_copy(struct store *store, const struct store_entry *entry,
			       struct store_fetched *ret_fetched, struct err *err);

#endif
