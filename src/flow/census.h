/*
 * census.h - how many records are where: in the log, in the lake's objects, in
 * the tables, among the dead letters.
 *
 * Nothing is estimated: objects are read and their lines counted, letters are
 * read; rows come from the tables' own log. Whatever does not exist counts 0. Of
 * the log only what came after an earlier census is counted, by reading it:
 * positions need not be dense, so their difference is no count.
 *
 * Ownership: everything is borrowed. Threads: the caller's.
 */
#ifndef FLOW_CENSUS_H
#define FLOW_CENSUS_H

#include "flow/lake.h"

struct census_row {
	uint64_t logged;	/* records that came into the log since */
	uint64_t landed;	/* lines of the lake's objects; the batch path only */
	uint64_t unlanded;	/* dead letters of the sink; the batch path only */
	uint64_t clean;		/* rows of the Delta tables */
	uint64_t dead;		/* dead letters of all stages */
};

/* Where the log of a partition ended. */
struct census_mark {
	enum topic_kind kind;
	size_t row;
	char uid[33];		/* of the topic */
	int32_t partition;
	struct position end;
};

struct census {
	struct census_row *path[2]; /* by topic_kind: the batch path, the streaming path; a row a
				       topic or stream of the models, … */
	const struct clean_model **models[2]; /* … named by the first model that reads it */
	size_t count[2];
	struct census_mark *marks;
	size_t mark_count;
};

/* `since` NULL: what there is, and nothing of the log. Else what came after that one. The caller
 * releases *ret_census; it borrows the models. */
MUST_USE enum err_code census_take(struct store *store, struct broker *broker,
				   const struct models *models, const char *id,
				   const struct census *since, struct census *ret_census,
				   struct err *err);
void census_release(struct census *census);

/* Whether a letter tells of records that nobody has; of one alone only its reason shows it. */
struct dlq_entry;
bool census_is_loss(const struct dlq_entry *entry);

enum { CENSUS_READ_BYTES = 8 << 20 };
/* What counting an object's lines holds in memory, about: a part of it, packed or not. */
uint64_t census_bytes_held(uint64_t size);
/* Lines of one object, of the size that it was listed with, which is read in pieces of so many
 * bytes. ERR_CORRUPT: it does not end in a newline. ERR_BUSY: it was replaced meanwhile. */
MUST_USE enum err_code census_count_lines(struct store *store, const char *key, uint64_t size,
					  uint64_t *ret_lines, struct err *err);

#endif
