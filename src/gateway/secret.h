/*
 * secret.h - random bytes that outlive the process: 64 hex digits and a line
 * end in a file of --dir, mode 0600, which is made where it is missing. To have
 * another one, the file is removed.
 */
#ifndef GATEWAY_SECRET_H
#define GATEWAY_SECRET_H

#include "base/err.h"

enum { SECRET_BYTES = 32, SECRET_CHARS = 2 * SECRET_BYTES };

struct secret {
	char text[SECRET_CHARS + 1];
};

/* A new one, which nobody keeps. */
MUST_USE enum err_code secret_make(struct secret *ret, struct err *err);
/* That of the file, which others who begin at the same time get, too. ERR_DENIED: others than its
 * owner may read it; ERR_CORRUPT: something else is in it. */
MUST_USE enum err_code secret_load(const char *dir, const char *name, struct secret *ret,
				   struct err *err);

#endif
