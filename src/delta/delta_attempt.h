/*
 * delta_attempt.h - how a version of a table is written, for the files that have
 * some to write: they put its text, anew for each version that is tried.
 */
#ifndef DELTA_DELTA_ATTEMPT_H
#define DELTA_DELTA_ATTEMPT_H

#include "delta/delta_table.h"

struct delta_attempt {
	struct buf text;
	char txn_id[DELTA_UUID_SIZE]; /* of the whole commit, whatever the version */
	int64_t timestamp_ms;
	int64_t asked_ms; /* clock_boot_ms() of the last put */
	bool unknown;	  /* a put of this text may still come through */
};

/*
 * Puts the text of the next version, after a look at the table as it is now; what it fails with
 * ends all. No text: there is nothing to commit, or not any more.
 */
typedef enum err_code delta_attempt_put_fn(struct delta_table *table, const void *user,
					   struct delta_attempt *attempt, struct err *err);

/*
 * Try one version after the other; what others commit meanwhile, rows or columns, is read before
 * the next one is put. ERR_OK: it is written, and the state is there, or there was no text.
 * ERR_BUSY: others won too many. Any other code: nothing was written, but ERR_UNKNOWN.
 */
MUST_USE enum err_code delta_attempt_run(struct delta_table *table, delta_attempt_put_fn *put,
					 const void *user, struct err *err);
/* The same where the log was looked at some time ago (delta_table_check_present()), with a
 * checkpoint behind it if one is due. */
MUST_USE enum err_code delta_attempt_commit(struct delta_table *table, delta_attempt_put_fn *put,
					    const void *user, int64_t *ret_version,
					    struct err *err);
/* `parameters`: JSON. `more`: members of commitInfo without braces, or empty. */
void delta_attempt_put_info(struct delta_attempt *attempt, const char *operation,
			    const char *parameters, bool blind_append, struct slice more);
/* ERR_EXPIRED: a clean-up takes files that no version names once they are as old as the table keeps
 * files; one of these was put so long ago that it may be among them. */
MUST_USE enum err_code delta_attempt_check_files(const struct delta_table *table,
						 const struct delta_add *adds, size_t count,
						 struct err *err);
/* ERR_CORRUPT: a log whose end is gone was removed or made anew, unless it was cleaned up, and
 * a version put into it would break it. */
MUST_USE enum err_code delta_table_check_present(struct delta_table *table, struct err *err);

#endif
