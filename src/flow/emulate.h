/*
 * emulate.h - the emulator: draws rows from a source and posts them over HTTP,
 * each post a pin, a geo and a user record (what the source has of them), to
 * the topics or to the streams.
 *
 * Sending again: what was not acknowledged is sent again, alone, after a time
 * drawn from exponential backoff with full jitter (Retry-After is waited for),
 * until `retry_ms` have passed; what the server refuses for good (4xx) is not.
 *
 * Order: with at most three connections each table has one request under way,
 * so its records are kept in the order they were drawn, unless one was refused
 * or had to be sent again out of a larger batch. With more connections, only
 * the records of one request keep their order (of PutRecords not even those,
 * says the protocol).
 *
 * Once stop_requested() nothing new is drawn; what was drawn is still sent and
 * its answers are waited for, for at most STOP_MS; where nobody answers, not at all.
 *
 * Ownership: everything in the options is borrowed for the call.
 * Threads: one thread; it is the source's thread meanwhile.
 */
#ifndef FLOW_EMULATE_H
#define FLOW_EMULATE_H

#include "base/err.h"
#include "source/post_order.h"
#include "source/source.h"

enum { EMULATE_CONNECTIONS_MAX = 4096, EMULATE_STOP_MS = 10000 };

enum emulate_pace {
	EMULATE_AS_ORIGINAL,	/* 0 or 1 second before each post, as the order draws it */
	EMULATE_AT_RATE,
	EMULATE_UNPACED,
};

/* Of records. Once emulate_run() is through, each table's add up to its rows in `posts` posts. */
struct emulate_count {
	uint64_t acknowledged;
	uint64_t refused;	/* given up, and never kept */
	uint64_t unknown;	/* given up, but perhaps kept */
};

struct emulate_result {
	uint64_t posts;
	uint64_t absent;	/* draws of rows that the source does not have, left out */
	uint64_t retried;	/* records sent again */
	struct emulate_count tables[SOURCE_TABLES];
	double seconds;
	struct err first_failure;	/* why a record was first not acknowledged; "" if none */
};

struct emulate_options {
	struct source *source;
	enum post_order_kind order;
	int64_t seed;
	uint64_t posts;			/* 0: until stop_requested() */
	enum emulate_pace pace;
	double rate;			/* posts a second, of EMULATE_AT_RATE */
	bool streaming;
	const char *url;		/* what a table's name is put behind: "http://…/topics/<id>." */
	uint32_t batch_size;		/* records a request */
	uint32_t connections;		/* requests under way */
	const char *api_key;		/* NULL: none */
	const char *ca_file;		/* NULL: the system's */
	int64_t retry_ms;
	/* Called about ten times a second, and at the end. */
	void (*progress)(void *user, const struct emulate_result *so_far);
	void *user;
};

/*
 * ERR_OK: everything drawn was sent; the result tells what came of it. Another
 * code: options that cannot be used (ERR_USAGE), or the source or the machine
 * failed; the result counts up to there. In the course's order a row that the
 * source lacks is such a failure; in the others it is left out.
 */
MUST_USE enum err_code emulate_run(const struct emulate_options *options,
				   struct emulate_result *ret_result, struct err *err);

#endif
