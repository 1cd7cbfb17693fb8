/*
 * dlq.h - dead letters: what could not go on, with its coordinates, the reason
 * and its raw bytes.
 *
 *  1. A stage collects the letters of what one commit of one partition passes, and writes them
 *     before that commit. The objects are named by the range that it passes (dlq_key.h) and are put
 *     create-only. Their bytes are a pure function of the records, so whoever cleans the same range
 *     again, after a crash or beside another, finds its objects there already.
 *  2. Where another stands in its place (letters by another model), a next number is taken.
 *  3. Who has committed a range may remove what others wrote for it, for those have lost:
 *     dlq_settle(); and who has lost may remove what it wrote itself: dlq_withdraw(). Nothing else
 *     is ever removed, but by a rebuild, which replaces a table's (staging.h).
 *  4. So what lies in the lake may be more than what counts: letters of a commit that never was.
 *     Who reads gets each letter once (dlq_query()); those past the table's progress its stage
 *     brings once more, and only who knows that can tell.
 *
 * Ownership: a batch borrows its store. Threads: one at a time a batch; batches
 * share nothing but the store.
 */
#ifndef FLOW_DLQ_H
#define FLOW_DLQ_H

#include "flow/dlq_key.h"
#include "flow/lake.h"
#include "flow/replayed.h"

struct dlq_letter {
	struct position position;
	struct position last;		/* of a range of records that were lost; of one record that,
					   or nothing (zero) */
	int64_t timestamp_ms;		/* the record's; 0: it is not known */
	struct slice value;		/* null: a tombstone */
	const char *reason;
};

struct dlq_batch;

/* Whose letters: the sink's, or a table's; several tables may read one topic. Texts are
 * borrowed. */
struct dlq_source {
	const char *stage; /* "sink", "batch" or "stream" */
	const char *table; /* NULL: the sink's */
	struct topic_ref topic;
	uint32_t generation; /* 0 or 1: the topic's first */
	int32_t partition;
};

/* Of the stage that makes this table. */
struct dlq_source dlq_source_of(const struct lake_table *table, int32_t partition);

struct dlq_batch;

MUST_USE struct dlq_batch *dlq_batch_new(struct store *store, const struct dlq_source *source);
void dlq_batch_free(struct dlq_batch *batch);
/* Letters may come in any order. ERR_LIMIT: there are too many; the batch is as it was. */
MUST_USE enum err_code dlq_batch_add(struct dlq_batch *batch, const struct dlq_letter *letter,
				     struct err *err);
size_t dlq_batch_count(const struct dlq_batch *batch);
/*
 * What the commit passes that the letters belong to: from after `from`, the last position done
 * before it, up to `upto`. NULL: nothing was done before. Give where the partition was born,
 * instead of NULL, if there was another stream of that name: its letters are not of this range.
 * The same range once more changes nothing.
 */
void dlq_batch_range(struct dlq_batch *batch, const struct position *from, struct position upto);
/*
 * Writes the letters of the range, in one object or several; durable on ERR_OK, and the batch is
 * empty again. May be called again after an error: what an earlier try has written is recognised.
 */
MUST_USE enum err_code dlq_batch_write(struct dlq_batch *batch, struct err *err);
/*
 * The range is committed, with the letters that were written for it since dlq_batch_range(), if
 * any: remove the other objects of the source that begin in it. To be called where there may be
 * some: after the first commit of a start, and the first after somebody else was faster.
 */
MUST_USE enum err_code dlq_settle(struct dlq_batch *batch, struct err *err);

/*
 * Another one has committed what begins where the range does, up to `upto`, and nobody commits this
 * range any more: remove what was written for it since dlq_batch_range(), unless that was the same
 * range, and these are its letters.
 */
MUST_USE enum err_code dlq_withdraw(struct dlq_batch *batch, struct position upto, struct err *err);

/* An object of a table's letters: those of a commit that began there. */
struct dlq_object {
	const char *key;
	int32_t partition;
	uint32_t generation; /* from 1 */
	bool begins;	     /* with the partition, and `from` means nothing */
	struct position from;
	bool has_from; /* a letter stands at it; else they come behind it */
};
/* All letters of a table, object by object, until `each` fails. */
MUST_USE enum err_code dlq_objects(struct store *store, const struct lake_table *table,
				   enum err_code (*each)(void *user,
							 const struct dlq_object *object,
							 struct err *err),
				   void *user, struct err *err);

/*
 * How far a stage is that leaves no gap between its letters and its other output: the last position
 * that its letters tell of beyond `after` (NULL: at all). *ret_any false: none.
 */
MUST_USE enum err_code dlq_end(struct store *store, const struct dlq_source *source,
			       const struct position *after, bool *ret_any,
			       struct position *ret_last, struct err *err);

/*
 * Calls `each` for every letter of a topic (NULL: all), each once, partition by partition in the
 * order of the ranges; the value is decoded.
 */
struct dlq_entry {
	struct slice topic;
	struct slice partition;
	struct slice offset; /* as `_offset` of a row: "g0002-…" in a later generation */
	struct slice last;   /* of a range of lost records; else as offset */
	bool placed;	     /* both could be read: … */
	uint32_t generation; /* … from 1 */
	struct position position;
	struct position last_position;
	struct slice stage;
	struct slice table; /* null: none is named */
	struct slice reason;
	int64_t timestamp_ms; /* 0: not known */
	int64_t written_ms;   /* the object's, by the store's clock; informative */
	struct slice value;
	bool done; /* a replay made it a row */
};

struct dlq_query {
	const char *topic;	/* NULL: all */
	bool with_done;		/* those, too, that are rows now */
	/* As of replayed_load(). */
	replayed_table_fn *table;
	void *table_user;
};
MUST_USE enum err_code dlq_query(struct store *store, const struct dlq_query *query,
				 bool (*each)(void *user, const struct dlq_entry *entry),
				 void *user, struct err *err);
/* Whether a text is in a reason; a "#" in it stands for a number, too, and a "…" for whatever comes
 * between, as in the kinds that `pinpipe dlq` counts. */
bool dlq_reason_has(struct slice reason, const char *text);
/* Those of a topic (NULL: all) that are no rows. */
MUST_USE enum err_code dlq_list(struct store *store, const char *topic,
				bool (*each)(void *user, const struct dlq_entry *entry), void *user,
				struct err *err);

#endif
