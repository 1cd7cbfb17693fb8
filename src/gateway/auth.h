/*
 * auth.h - the API key: clients send it as x-api-key, the gateway knows only
 * its SHA-256. Compared in constant time.
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "base/err.h"
#include "base/slice.h"

enum { AUTH_HASH_BYTES = 32 };

struct auth {
	bool required;
	unsigned char hash[AUTH_HASH_BYTES];
};

/* `sha256_hex`: 64 hex digits, or "" for no key. ERR_USAGE: anything else. */
MUST_USE enum err_code auth_init(struct auth *auth, const char *sha256_hex, struct err *err);
/* `key`: the header's value, or a null slice. */
bool auth_allows(const struct auth *auth, struct slice key);

#endif
