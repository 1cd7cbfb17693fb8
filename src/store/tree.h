/*
 * tree.h - the files below a directory as the keys of objects, in byte order of
 * the whole keys, which is not the order of a walk: "a-b" < "a/b" < "a0".
 */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include "store/store.h"

struct tree_listing {
	const char *prefix;
	const char *after;
	store_each_fn *each;
	void *user;
	bool level; /* folders are given, and not gone into */
	/* About so many will be looked at, so of a large directory no others are kept; 0: all. */
	size_t wanted;
};

/*
 * List below the open directory `fd`, which is taken, and whose keys begin with `start`: "" (the
 * root) or a path that ends in '/'. STORE_RESERVED is left out. A directory that cannot
 * hold what is asked for is not read. Memory follows the largest directory, or what is
 * wanted, not the tree.
 */
MUST_USE enum err_code tree_list(int fd, const char *start, const struct tree_listing *listing,
				 struct err *err);

/* Of the directory `fd`, which is taken, the last key with the prefix. False: there is none, or it
 * lies in a directory, or some could not be read. */
MUST_USE bool tree_last(int fd, const char *start, const char *prefix,
			char ret_key[STORE_KEY_MAX + 1]);

/* Of the directory `fd`; below 0: of none. */
struct store_mark tree_mark(int fd);

#endif
