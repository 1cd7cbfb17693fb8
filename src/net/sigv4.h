/*
 * sigv4.h - AWS Signature Version 4: sign, presign and verify a request.
 *
 * A request is given as it goes over the wire: its target still encoded, and every
 * header that is to be signed. What that means in canonical form, which both
 * sides hash, is worked out here:
 *
 *	method \n path \n query \n headers \n\n names of headers \n hash of the body
 *
 *	path	SIGV4_PATH_S3: each byte encoded once, however the wire has it; nothing
 *		else is changed, so "//" and "." stay. SIGV4_PATH_TWICE: "." and ".." are
 *		taken out, "//" becomes "/", and the wire's bytes are encoded once more.
 *		SIGV4_PATH_TWICE_AS_IS: only the latter.
 *	query	names and values encoded anew, sorted by both; "?uploads" is "uploads="
 *	headers	names in lower case, sorted; values without blanks at their ends, and inside
 *		them one for several; those of the same name joined by "," in their order
 *
 * The source is AWS's "Create a signed AWS API request"; the vectors in
 * tests/unit/test_sigv4.c are its own.
 *
 * Contract
 *	1. What sigv4_sign() or sigv4_presign() signed sigv4_verify() takes, and nothing that
 *	   differs in method, path, query, a signed header or the hash of the body.
 *	2. A header that comes later than signing is not covered. sigv4_verify() wants
 *	   "host" and every "x-amz-*" to be covered.
 *
 * Threads: any. Ownership: all is borrowed for the call.
 */
#ifndef NET_SIGV4_H
#define NET_SIGV4_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum {
	SIGV4_DATE_LEN = 16,		/* "20150830T123600Z" */
	SIGV4_HASH_LEN = 64,		/* hexadecimal digits of SHA-256 */
	SIGV4_HEADERS_MAX = 64,
	SIGV4_PAIRS_MAX = 128,		/* of a query */
	SIGV4_SKEW_S = 15 * 60,		/* how far the clocks of both sides may differ */
	SIGV4_EXPIRES_MAX_S = 7 * 24 * 3600,	/* of what is presigned */
};
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

enum sigv4_path { SIGV4_PATH_S3, SIGV4_PATH_TWICE, SIGV4_PATH_TWICE_AS_IS };

struct sigv4_pair {
	struct slice name;
	struct slice value;
};

struct sigv4_request {
	struct slice method;
	struct slice path;			/* as on the wire; null or empty: "/" */
	struct slice query;			/* as on the wire, without '?'; null: none */
	const struct sigv4_pair *headers;	/* to be signed: "host" and more */
	size_t header_count;
	struct slice payload;			/* sigv4_hash() of the body, or SIGV4_UNSIGNED */
	enum sigv4_path path_rule;
};

struct sigv4_key {
	struct slice id;
	struct slice secret;
	struct slice token;			/* of a session; null or empty: none */
};

/* Whom a signature is for; the time is in the request. */
struct sigv4_scope {
	struct slice region;			/* "eu-west-1" */
	struct slice service;			/* "s3" */
};

/* What a request says of its signature; slices of the request's own bytes and of `room`. */
struct sigv4_claim {
	struct slice id;			/* whose secret is to be looked up */
	struct slice date;			/* SIGV4_DATE_LEN bytes */
	struct slice day;
	struct sigv4_scope scope;
	struct slice names;			/* of the signed headers: "host;x-amz-date" */
	struct slice signature;
	int64_t expires_s;			/* after the date; 0: not presigned */
	char room[4096];			/* of what the query had encoded */
};

/* Unix time as signatures have it, with a NUL. */
void sigv4_date(int64_t unix_s, char ret_date[SIGV4_DATE_LEN + 1]);
/* False: no such date. */
bool sigv4_date_read(struct slice date, int64_t *ret_unix_s);
/* The hash of a body in memory, with a NUL. */
void sigv4_hash(struct slice body, char ret_hash[SIGV4_HASH_LEN + 1]);
/* The hash of [offset, offset + len) of a file. ERR_IO: it could not be read, or is shorter. */
MUST_USE enum err_code sigv4_hash_file(int fd, uint64_t offset, uint64_t len,
				       char ret_hash[SIGV4_HASH_LEN + 1], struct err *err);

/* Bytes as a target has them: all but A-Z a-z 0-9 - . _ ~, and '/' if wanted, as %XX. */
void sigv4_encode(struct buf *out, struct slice bytes, bool keep_slash);
/* The other way; false: a '%' without two digits. `out` may then hold a part. */
bool sigv4_decode(struct buf *out, struct slice text);

/*
 * Appends the value of the header "Authorization". "x-amz-date" (and, of a session,
 * "x-amz-security-token"; for S3 "x-amz-content-sha256") must be among the headers already. Of the
 * key only id and secret are used. ERR_USAGE: no host or date, or something that cannot
 * be in a request; ERR_LIMIT: more headers or pairs than there is room for.
 */
MUST_USE enum err_code sigv4_sign(const struct sigv4_request *request, const struct sigv4_key *key,
				  const struct sigv4_scope *scope, struct buf *out,
				  struct err *err);

/*
 * Appends the query, in canonical form, of a request that anybody may make until `expires_s` after
 * `unix_s`: its own pairs, those of the signature, and the key's token. ERR_USAGE: no host, or
 * expires_s is not 1 to SIGV4_EXPIRES_MAX_S.
 */
MUST_USE enum err_code sigv4_presign(const struct sigv4_request *request,
				     const struct sigv4_key *key, const struct sigv4_scope *scope,
				     int64_t unix_s, int64_t expires_s, struct buf *out,
				     struct err *err);

/*
 * What an arrived request claims, by its "Authorization" or its query. The headers are all that it
 * has. ERR_ABSENT: it claims nothing; ERR_SYNTAX: it does so in no form that is known. The claim
 * must not be copied.
 */
MUST_USE enum err_code sigv4_read(const struct sigv4_request *request,
				  struct sigv4_claim *ret_claim, struct err *err);

/*
 * Whether the claim is true, for who has the secret. `payload` of the request is what the sender
 * said ("x-amz-content-sha256"; of what is presigned SIGV4_UNSIGNED) or, where nothing was said, the
 * hash of what came; that the two agree is the caller's to check. ERR_AUTH: the signature is
 * another's; ERR_EXPIRED: the date is more than SIGV4_SKEW_S off, or what was presigned has run
 * out; ERR_DENIED: something that must be signed is not.
 */
MUST_USE enum err_code sigv4_verify(const struct sigv4_request *request,
				    const struct sigv4_claim *claim, struct slice secret,
				    int64_t now_s, struct err *err);

#endif
