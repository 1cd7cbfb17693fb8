/*
 * census.h - how many records are where: in the log, in the lake's objects, in
 * the tables, among the dead letters.
 *
 * Nothing is estimated: objects are read and their lines counted, letters are
 * read; rows come from the tables' own log. Whatever does not exist counts 0.
 *
 * Ownership: everything is borrowed. Threads: the caller's.
 */
#ifndef FLOW_CENSUS_H
#define FLOW_CENSUS_H

#include "flow/lake.h"

struct census_row {
	uint64_t logged;	/* records in the log, or gone from it by retention */
	uint64_t landed;	/* lines of the lake's objects; the batch path only */
	uint64_t unlanded;	/* dead letters of the sink; the batch path only */
	uint64_t clean;		/* rows of the Delta tables */
	uint64_t dead;		/* dead letters of all stages */
};

struct census {
	struct census_row *path[2]; /* by topic_kind: the batch path, the streaming path; a row a
				       topic or stream of the models, … */
	const struct clean_model **models[2]; /* … named by the first model that reads it */
	size_t count[2];
};

/* The caller releases *ret_census; it borrows the models. */
MUST_USE enum err_code census_take(struct store *store, struct broker *broker,
				   const struct models *models, const char *id,
				   struct census *ret_census, struct err *err);
void census_release(struct census *census);
/* What came between two. */
void census_subtract(struct census *census, const struct census *before);

/* Lines of one object. ERR_CORRUPT: it does not end in a newline. */
MUST_USE enum err_code census_count_lines(struct store *store, const char *key, uint64_t size,
					  uint64_t *ret_lines, struct err *err);

#endif
