/*
 * dlq.h - dead letters: what could not go on, with its coordinates, the reason
 * and its raw bytes.
 *
 * A stage collects the dead letters of one batch of one partition and writes
 * them, create-only, before the commit that covers the batch. After a crash
 * between the two the same records are read again, so a stage first calls
 * dlq_forget_after(), which removes its own entries past what is committed.
 * One process a stage and lake (each takes a lock), so nobody else's are hit.
 *
 * Ownership: a batch borrows its store. Threads: one at a time a batch; batches
 * share nothing but the store.
 */
#ifndef FLOW_DLQ_H
#define FLOW_DLQ_H

#include "flow/lake.h"

struct dlq_letter {
	struct position position;
	int64_t timestamp_ms;
	struct slice value;		/* null: a tombstone */
	const char *reason;
};

struct dlq_batch;

/* Whose letters: a stage's ("sink", "batch" or "stream"), and of the last two a table's; several
 * tables may read one topic. Texts are borrowed. */
struct dlq_source {
	const char *stage;
	const char *table; /* NULL: the sink's */
	bool shared; /* with other tables: then the table stands in the keys */
	struct topic_ref topic;
	int32_t partition;
};

/* Of the stage that makes this table. */
struct dlq_source dlq_source_of(const struct lake_table *table, int32_t partition);

MUST_USE struct dlq_batch *dlq_batch_new(struct store *store, const struct dlq_source *source);
void dlq_batch_free(struct dlq_batch *batch);
/* ERR_LIMIT: the batch is full; write it first. Letters may come in any order. */
MUST_USE enum err_code dlq_batch_add(struct dlq_batch *batch, const struct dlq_letter *letter,
				     struct err *err);
/* As dlq_batch_add(), but a batch that is full is written first, so that there are several objects.
 * After an error the letter is not in it and may be put again. */
MUST_USE enum err_code dlq_batch_put(struct dlq_batch *batch, const struct dlq_letter *letter,
				     struct err *err);
size_t dlq_batch_count(const struct dlq_batch *batch);
/*
 * Writes one object named by the first ordinal; durable on ERR_OK, and the batch is empty again.
 * May be called again after an error: what an earlier try has written is recognised. ERR_EXISTS:
 * other letters are there already.
 */
MUST_USE enum err_code dlq_batch_write(struct dlq_batch *batch, struct err *err);

/*
 * Remove the source's letters whose ordinal is above `ordinal` (-1: all). The
 * letters of an object belong to one commit, so it is past it as a whole or not at all.
 */
MUST_USE enum err_code dlq_forget_after(struct store *store, const struct dlq_source *source,
					int64_t ordinal, struct err *err);

/*
 * How far a stage is that leaves no gap between its letters and its other output: the ordinal after
 * the last of its letters at or above `from`, or `from` if there is none.
 */
MUST_USE enum err_code dlq_end(struct store *store, const struct dlq_source *source, uint64_t from,
			       uint64_t *ret_end, struct err *err);

/* Calls `each` for every letter of a topic (NULL: all), in order; the value is decoded. */
struct dlq_entry {
	struct slice topic;
	struct slice partition;
	struct slice offset;
	struct slice stage;
	struct slice table; /* null: none is named */
	struct slice reason;
	int64_t timestamp_ms;
	struct slice value;
	bool done; /* a replay made it a row */
};

struct dlq_query {
	const char *topic;	/* NULL: all */
	bool with_done;		/* those, too, that are rows now */
	/* As of replayed_load(). */
	bool (*committed)(void *user, const char *root, const char *app_id);
	void *committed_user;
};
MUST_USE enum err_code dlq_query(struct store *store, const struct dlq_query *query,
				 bool (*each)(void *user, const struct dlq_entry *entry),
				 void *user, struct err *err);
/* Those of a topic (NULL: all) that are no rows. */
MUST_USE enum err_code dlq_list(struct store *store, const char *topic,
				bool (*each)(void *user, const struct dlq_entry *entry), void *user,
				struct err *err);

#endif
