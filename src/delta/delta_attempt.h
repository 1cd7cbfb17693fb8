/*
 * delta_attempt.h - one attempt to write one version of a table, for the files
 * that write some: delta_commit.c and delta_rewrite.c.
 */
#ifndef DELTA_DELTA_ATTEMPT_H
#define DELTA_DELTA_ATTEMPT_H

#include "delta/delta_table.h"

enum { DELTA_TRIES_MAX = 60, DELTA_WAIT_FIRST_MS = 10, DELTA_WAIT_MAX_MS = 1000 };

struct delta_attempt {
	struct buf text;
	char txn_id[DELTA_UUID_SIZE]; /* of the whole commit, whatever the version */
	int64_t timestamp_ms;
	int64_t asked_ms; /* clock_boot_ms() of the last put */
	bool unknown;	  /* a put of this text may still come through */
};

/* Who has written the next version. */
enum delta_outcome { DELTA_WON, DELTA_LOST, DELTA_OPEN };

void delta_attempt_init(struct delta_attempt *attempt);
void delta_attempt_release(struct delta_attempt *attempt);
/* Begin the text of another version. Time in the log never goes back. */
void delta_attempt_begin(struct delta_attempt *attempt, const struct delta_table *table);
/* `parameters`: JSON. `more`: members of commitInfo without braces, or empty. */
void delta_attempt_put_info(struct delta_attempt *attempt, const char *operation,
			    const char *parameters, bool blind_append, struct slice more);
/* Write the attempt as the next version. ERR_OK: it is WON or LOST, and the state is at it
 * or beyond. Any other code: nothing was written, but ERR_UNKNOWN. */
MUST_USE enum err_code delta_attempt_decide(struct delta_table *table,
					    struct delta_attempt *attempt,
					    enum delta_outcome *ret_outcome, struct err *err);
/* ERR_BUSY, after DELTA_TRIES_MAX versions. */
enum err_code delta_attempt_lost(const struct delta_table *table, struct err *err);
/* ERR_EXPIRED: a clean-up takes files that no version names once they are as old as the table keeps
 * files; one of these was put so long ago that it may be among them. */
MUST_USE enum err_code delta_attempt_check_files(const struct delta_table *table,
						 const struct delta_add *adds, size_t count,
						 struct err *err);
/* ERR_CORRUPT: a log whose end is gone was removed or made anew, unless it was cleaned up, and
 * a version put into it would break it. */
MUST_USE enum err_code delta_table_check_present(struct delta_table *table, struct err *err);

#endif
