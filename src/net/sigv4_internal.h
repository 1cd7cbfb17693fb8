/*
 * sigv4_internal.h - what the files of sigv4.h have of each other: a request in
 * the form that is hashed (sigv4_canonical.c), and its signature (sigv4.c).
 *
 * Threads: any.
 */
#ifndef NET_SIGV4_INTERNAL_H
#define NET_SIGV4_INTERNAL_H

#include "net/sigv4.h"

#define SIGV4_ALGORITHM "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR "aws4_request"

enum {
	SIGV4_CANONICAL_MAX = 1 << 20,	/* of all of a request, but its body */
	SIGV4_DAY_LEN = 8,		/* what a date begins with */
};

/* Encoded names and values, one behind the other in `bytes`, which may move. */
struct sigv4_pairs {
	struct buf bytes;
	size_t count;
	struct sigv4_place {
		size_t name;
		size_t name_len;
		size_t value;
		size_t value_len;
	} list[SIGV4_PAIRS_MAX];
};

void sigv4_pairs_init(struct sigv4_pairs *pairs);
void sigv4_pairs_release(struct sigv4_pairs *pairs);
/* Both decoded. */
MUST_USE enum err_code sigv4_pairs_add(struct sigv4_pairs *pairs, struct slice name,
				       struct slice value, struct err *err);
/* Those of a query, but the one named `without` (NULL: all). */
MUST_USE enum err_code sigv4_pairs_read(struct sigv4_pairs *pairs, struct slice query,
					const char *without, struct err *err);
void sigv4_pairs_sort(struct sigv4_pairs *pairs);
/* "a=b&c=". */
void sigv4_pairs_put(const struct sigv4_pairs *pairs, struct buf *out);

/* The names of the headers, or of those of `only` ("a;b"; NULL: all): "host;x-amz-date". */
MUST_USE enum err_code sigv4_put_names(const struct sigv4_request *request,
				       const struct slice *only, struct buf *out,
				       struct err *err);
/* All of the request, the query being those pairs. */
MUST_USE enum err_code sigv4_put_canonical(const struct sigv4_request *request,
					   const struct sigv4_pairs *query,
					   const struct slice *only, struct buf *out,
					   struct err *err);
/* The signature of a request whose pairs are read, which it sorts; of the headers only those
 * named. */
MUST_USE enum err_code sigv4_compute(const struct sigv4_request *request,
				     struct sigv4_pairs *pairs, const struct slice *only,
				     struct slice date, struct slice secret,
				     const struct sigv4_scope *scope,
				     char ret_hex[SIGV4_HASH_LEN + 1], struct err *err);
/* Whether "a;b" has the name, in any case. */
bool sigv4_names_have(struct slice names, struct slice name);
/* The first header of that name; NULL: none. */
const struct sigv4_pair *sigv4_header(const struct sigv4_request *request, const char *name);

#endif
