/*
 * compact_inside.h - from a plan to a commit, for the files that put rows into
 * other files: compact.c and heal.c.
 */
#ifndef FLOW_COMPACT_INSIDE_H
#define FLOW_COMPACT_INSIDE_H

#include "flow/compact.h"
#include "flow/table_files.h"

#include <pthread.h>

enum { COMPACT_NAME_MAX = 128 };

struct merging {
	struct compactor *compactor;
	struct delta_table *table;
	const char *root;
	bool heals;
	const char *const *needs; /* of who heals, as of struct delta_rewrite; borrowed */
	size_t need_count;
	size_t places[COMPACT_FILES_MAX];
	size_t count;
	char *removes[COMPACT_FILES_MAX]; /* copies: a commit of another one changes the table's */
	uint64_t rows[COMPACT_FILES_MAX];
	struct delta_schema schema;
	struct table_files files;
	char temp_path[PATH_MAX];
	char path[COMPACT_NAME_MAX];
	char key[STORE_KEY_MAX];
	struct buf stats;
	struct delta_add add;
	bool lacks_memory; /* DuckDB, to merge these */
};

struct merging *merging_new(struct compactor *compactor, struct delta_table *table,
			    const char *root);
/* The file at this place in the table's list is to go; at most COMPACT_FILES_MAX. */
void merging_take(struct merging *merging, size_t place);
/* The schema, the compactor, and the names of the new file. */
MUST_USE enum err_code merging_open(struct merging *merging, struct err *err);
/* The file at temp_path, if it has a row: `add` has rows and size, `stats` what to say of it. */
MUST_USE enum err_code merging_put(struct merging *merging, struct err *err);
/* ERR_BUSY: another writer has made it void. */
MUST_USE enum err_code merging_commit(struct merging *merging, struct err *err);
void merging_free(struct merging *merging);

/* A stop while DuckDB works ends its statement, until the end of the watch. */
struct merge_watch {
	struct duck *duck;
	int end_fd;
	pthread_t thread;
};
MUST_USE enum err_code merge_watch_begin(struct merge_watch *watch, struct duck *duck,
					 struct err *err);
void merge_watch_end(struct merge_watch *watch);

/* With its directory for what does not fit into memory; again: nothing. */
MUST_USE enum err_code compactor_open(struct compactor *compactor, struct err *err);

#endif
