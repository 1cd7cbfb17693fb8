/*
 * auth.h - who may do what: the keys that clients send as x-api-key, of which
 * the gateway knows only the SHA-256, each with a name and its scopes.
 *
 * One key can stand in the options (gateway.api_key_sha256), with all scopes.
 * More are in a file (gateway.keys), a line each, # begins a comment:
 *
 *	NAME SCOPES SHA256	loader post 9f86d081884c7d65…
 *				board  read,admin 60303ae22b998861…
 *
 * Contract
 *	1. A scope holds nothing of another: who may also read says so.
 *	2. The file is read anew within a second of its change. One that is not
 *	   right is told, and the keys of before stay; a key that is not in it any
 *	   more is no key from then on.
 *	3. Where no key is named nobody needs one. A file without keys lets
 *	   nobody in.
 *
 * What is compared with what a client sent is compared in constant time.
 * Threads: the loop.
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "base/err.h"
#include "base/slice.h"

#include <sys/types.h>
#include <time.h>

enum { AUTH_HASH_BYTES = 32, AUTH_NAME_MAX = 64, AUTH_KEYS_MAX = 1000, AUTH_REFRESH_MS = 1000 };

/* What a route wants. */
enum scope { SCOPE_NONE, SCOPE_POST, SCOPE_READ, SCOPE_ADMIN, SCOPE_COUNT };

enum { SCOPES_ALL = 1 << SCOPE_POST | 1 << SCOPE_READ | 1 << SCOPE_ADMIN };

/* "post", "read", "admin"; of SCOPE_NONE "any": any key will do. */
const char *scope_name(enum scope scope);

static inline bool scopes_hold(unsigned scopes, enum scope scope)
{
	return scope == SCOPE_NONE || (scopes & 1u << scope) != 0;
}

struct auth_key {
	char name[AUTH_NAME_MAX + 1]; /* [A-Za-z0-9._-] */
	unsigned scopes;	      /* bits, 1 << enum scope */
	unsigned line;		      /* of the file; 0: of the options */
	unsigned char hash[AUTH_HASH_BYTES];
};

struct auth_keys {
	struct auth_key *list; /* in the order of their hashes */
	size_t count;
};

/* By which a change of the file is seen. */
struct auth_stamp {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec time;
};

struct auth {
	bool required;	     /* keys are named: who has none gets no further */
	const char *file;    /* "": none */
	struct auth_key own; /* of the options, or the token of auth_set_token() */
	bool has_own;
	struct auth_keys keys; /* all of now */
	struct auth_stamp stamp;
	int64_t look_ms; /* when the file is looked at next */
};

/* `sha256_hex`: 64 hex digits, or "" for no such key; `file`: its path, or "", must live as long.
 * ERR_USAGE: one of them is not right. */
MUST_USE enum err_code auth_init(struct auth *auth, const char *sha256_hex, const char *file,
				 struct err *err);
void auth_release(struct auth *auth);
/* Where no key is required, one more: who has it may do all that others may not. */
void auth_set_token(struct auth *auth, const char *name, struct slice token);
/* To be called before requests are looked at, and that often; it looks once in AUTH_REFRESH_MS. */
void auth_refresh(struct auth *auth, int64_t now_ms);
/* Whose key this is; NULL: nobody's. Good until the next auth_refresh(). */
const struct auth_key *auth_find(const struct auth *auth, struct slice key);
const struct auth_key *auth_named(const struct auth *auth, struct slice name);

/* auth_file.c */
/* The keys of such a file, and `own` where it is not NULL; `place` is what messages call the file.
 * ERR_USAGE: the first line that is not right, a name or a key that is there twice, or too many. */
MUST_USE enum err_code auth_keys_parse(struct slice text, const char *place,
				       const struct auth_key *own, struct auth_keys *ret,
				       struct err *err);
void auth_keys_release(struct auth_keys *keys);
MUST_USE enum err_code auth_hash_parse(struct slice hex, unsigned char hash[AUTH_HASH_BYTES],
				       struct err *err);
/* What the file is now; all zero: it is not there. */
struct auth_stamp auth_stamp_of(const char *file);
MUST_USE enum err_code auth_file_read(const char *file, const struct auth_key *own,
				      struct auth_keys *ret, struct err *err);

#endif
