/*
 * answered_log.h - whether a table is what it was, by its log alone.
 *
 * Threads: any; nothing is kept.
 */
#ifndef FLOW_ANSWERED_LOG_H
#define FLOW_ANSWERED_LOG_H

#include "store/store.h"

/* The commit that a log ended with. */
struct answered_commit {
	int64_t version;
	uint64_t size;
	uint64_t mark; /* another one where another commit took its place */
};

/* The commit of that version. ERR_ABSENT: it is not there. *ret_last: none comes after it. */
MUST_USE enum err_code answered_commit_find(struct store *store, const char *root, int64_t version,
					    struct answered_commit *ret_commit, bool *ret_last,
					    struct err *err);
/*
 * Whether the log still ends with this commit, or with later ones that changed no row, nor how far
 * batch is: then *commit is the last of those.
 */
MUST_USE enum err_code answered_commit_is_last(struct store *store, const char *root,
					       struct answered_commit *commit, bool *ret_is,
					       struct err *err);

#endif
