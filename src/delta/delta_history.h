/*
 * delta_history.h - what the commits of a table did, as far back as its log goes.
 *
 * Ownership: the caller's. Threads: one a table.
 */
#ifndef DELTA_DELTA_HISTORY_H
#define DELTA_DELTA_HISTORY_H

#include "delta/delta.h"

enum { DELTA_WORD_SIZE = 64, DELTA_RECENT_COMMITS = 100, DELTA_WHY_SIZE = 240 };

/* One commit. */
struct delta_event {
	int64_t version;
	int64_t time_ms;		 /* see delta_open() */
	char operation[DELTA_WORD_SIZE]; /* "": it is not said */
	char engine[DELTA_WORD_SIZE];	 /* "pinpipe/1.2", likewise */
	char writer[DELTA_WORD_SIZE];	 /* "pinpipe/stream": of its first application id */
	uint64_t files_added, bytes_added, rows_added;
	uint64_t files_removed, bytes_removed, rows_removed;
	bool removed_known; /* false: of the oldest version kept, bytes and rows are not */
};

/* The newest commits of a table (at most `limit`), the newest first; the caller frees *ret_events.
 * ERR_ABSENT: there is no table. */
MUST_USE enum err_code delta_history(struct store *store, const char *root, size_t limit,
				     struct delta_event **ret_events, size_t *ret_count,
				     struct err *err);

/* What the newest commits tell. */
struct delta_recent {
	int64_t oldest;		 /* the version that the log reaches back to */
	struct delta_event last; /* the newest; of what it removed only the files are counted */
	int64_t optimized_ms;	 /* when the table was compacted; 0: not by one of the newest
				    DELTA_RECENT_COMMITS */
	char refused[DELTA_WHY_SIZE]; /* why it may not be written; "": it may */
};

/* Of an open table as it is known. Bounded in what it reads, however long the log is. */
MUST_USE enum err_code delta_recent(struct delta_table *table, struct delta_recent *ret_recent,
				    struct err *err);

#endif
