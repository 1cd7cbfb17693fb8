/*
 * aws_client.h - one service of AWS, or one that speaks as AWS does, at one
 * place: signed calls, made again where that helps.
 *
 * Contract
 *	1. aws_call() returns when the answer is there, whatever it is, or when none can be
 *	   had: within deadline_ms, tries and waits included. (What is on the wire when the
 *	   deadline comes is given up; its fate is unknown.) With stall_ms a try goes on while its
 *	   bytes flow, and ends when none did for so long, or next to none (http_client.h). Then
 *	   no time is counted in which bytes moved, so that what broke on its way is begun again,
 *	   up to tries_max; and a try that began before the deadline may go on for stall_ms.
 *	2. ERR_OK is an answer of 2xx (which is no <Error>, see ok_may_be_error). With any other
 *	   code, call->status says whether there was an answer: 0 there was none, else it is
 *	   the last one's, and error_code, error_message and request_id are what it said.
 *	3. A try is made again, with full jitter and a Retry-After obeyed, if
 *		- it was refused for the moment, so that nothing was done: no connection,
 *		  429, 503 with a code that says so (SlowDown, Throttling…);
 *		- or its fate is unknown (500, 502, 504, no whole answer, 503 without a code)
 *		  and repeat is AWS_REPEAT_ALWAYS;
 *		- its time was refused: the Date of the answer sets the client's clock, once;
 *		- its keys were: they are read anew, once.
 *	4. Codes where there was an answer: ERR_AUTH keys or signature; ERR_DENIED other 403;
 *	   ERR_ABSENT 404; ERR_EXISTS 409, 412; ERR_LIMIT 413; ERR_BUSY refused for the moment;
 *	   ERR_UNSUPPORTED 501; ERR_SPACE 507; ERR_USAGE any other 3xx, 4xx; ERR_UNKNOWN other 5xx,
 *	   or ERR_BUSY of a call that only reads. Who knows the service looks at status and error_code.
 *	   Where there was none: ERR_BUSY nothing was sent; ERR_TIMEOUT the deadline came, and
 *	   nothing can have been done by a call that only reads, or before anything was sent;
 *	   ERR_UNKNOWN its fate is not known, or that of a try before; ERR_DENIED, ERR_LIMIT,
 *	   ERR_IO, ERR_SPACE as http_client.h has them; of the credentials as
 *	   aws_credentials.h has them, which may take some seconds more.
 *	5. A stop (base/stop.h) ends waits and further tries, not what is on the wire, so that
 *	   what is drained is still written; but what only reads has no more than stall_ms then.
 *	6. Where a service throttles, calls at once are halved, and become more again by one
 *	   each time that all of them were answered.
 *
 * Ownership: all of a call is the caller's; aws_call_init() and _release() are
 * a pair. Options are copied; credentials are borrowed for the client's life.
 * Threads: any number may call.
 */
#ifndef NET_AWS_CLIENT_H
#define NET_AWS_CLIENT_H

#include "net/aws_credentials.h"
#include "net/http_client.h"
#include "net/sigv4.h"

enum {
	AWS_HEADERS_MAX = 32,		/* of a call */
	AWS_HEAD_BYTES_MAX = 32 << 10,	/* of an answer */
};

struct aws_client_options {
	const char *service;		/* "s3": as it is signed */
	const char *region;
	/* "http://host:port" or https, perhaps with a path that goes before each call's; NULL:
	 * AWS's own, aws_host(). */
	const char *endpoint;
	struct aws_credentials *credentials;	/* NULL: nothing is signed */
	uint32_t calls_max;		/* at once; more wait for their turn */
	int64_t connect_ms;
	int64_t try_ms;			/* of one try without stall_ms */
	int64_t first_wait_ms;		/* the waits between tries: a random time of at most */
	int64_t max_wait_ms;		/* first * 2^n, and this; 0: 50 and 5,000 */
	uint32_t tries_max;		/* 0: as the deadline allows */
	const char *ca_file;		/* NULL: aws_ca_bundle()'s, or the system's */
};

enum aws_repeat {
	AWS_REPEAT_REFUSED,	/* only what was refused: what is done twice is done wrong */
	AWS_REPEAT_ALWAYS,	/* done twice is as good as once */
	AWS_REPEAT_READS,	/* nothing is done; GET and HEAD always are this */
};

struct aws_client;

struct aws_call {
	const char *method;
	const char *host_prefix;	/* "bucket" makes the host "bucket.host"; NULL: no */
	struct slice path;		/* decoded bytes, with the '/' before; null: "/" */
	const struct sigv4_pair *query;	/* decoded */
	size_t query_count;
	const struct sigv4_pair *headers; /* signed, too; without Host, Content-Length and those
					     of the signature. An empty value is one. */
	size_t header_count;
	struct slice body;		/* null: none */
	const struct http_file *body_file; /* instead of it */
	bool unsigned_body;		/* for S3: over https without its hash; over http never */
	enum aws_repeat repeat;
	int64_t deadline_ms;		/* from now on; > 0 */
	int64_t stall_ms;		/* how long no bytes may flow in a try, less than
					   deadline_ms if another is to be made then; 0: a try
					   may take until the deadline, and no longer */
	int64_t reach_ms;		/* so long it is tried again while nobody is there;
					   0: as the deadline allows */
	/* An <Error> may come with 200, as of S3's multipart uploads and copies: its status is then
	 * in what follows that of its <Code>, 500 of one that is not known. */
	bool ok_may_be_error;
	/* Where the body of a 2xx goes instead of `reply`; a failed try's is written over. */
	const struct http_file *reply_file;

	/* The answer. */
	struct buf reply;		/* the maximum is aws_call_init()'s */
	struct buf reply_head;		/* for aws_call_header() */
	uint64_t reply_file_len;
	int status;
	uint32_t tries;
	bool unreached;			/* the last try found nobody to connect to */
	/* A try before the last one may have been taken: a create may have met itself. Whatever is
	 * refused then, also for its keys, is ERR_UNKNOWN, but ERR_EXISTS and ERR_ABSENT. */
	bool blind;
	char error_code[64];		/* "NoSuchKey"; "": none was given */
	char error_message[200];
	char request_id[80];
};

MUST_USE enum err_code aws_client_new(const struct aws_client_options *options,
				      struct aws_client **ret_client, struct err *err);
/* Nobody may be in aws_call(). Accepts NULL. */
void aws_client_free(struct aws_client *client);

/* A zeroed call whose reply may have `reply_max` bytes, at least 4 KiB for errors. */
void aws_call_init(struct aws_call *call, size_t reply_max);
void aws_call_release(struct aws_call *call);
/* May be repeated with the same call: the answer's fields are begun anew. */
MUST_USE enum err_code aws_call(struct aws_client *client, struct aws_call *call, struct err *err);
/* The value of a header of the answer, in any case of its name. False: there is none. */
bool aws_call_header(const struct aws_call *call, const char *name, struct slice *ret_value);

/* A URL that gets, puts, … this without keys, until it expires; of the call its method,
 * host_prefix, path, query and headers. */
MUST_USE enum err_code aws_presign(struct aws_client *client, const struct aws_call *call,
				   int64_t expires_s, struct buf *ret_url, struct err *err);

/* How many calls are let through at once just now; for tests and metrics. */
uint32_t aws_client_calls_now(struct aws_client *client);

/* AWS's host of a service in a region: "s3.eu-west-1.amazonaws.com", "….amazonaws.com.cn".
 * ERR_USAGE: that is no name of a region. ERR_UNSUPPORTED: the environment asks for FIPS or
 * dual-stack hosts. */
MUST_USE enum err_code aws_host(const char *service, const char *region, struct buf *ret_host,
				struct err *err);

#endif
