/*
 * live.h - what the log holds beyond a table, cleaned when it is asked for: with
 * the table it is every record that was acknowledged before.
 *
 *	        the table at one version              the tail
 *	┌──────────────────────────────────────┐┌──────────────────────────┐
 *	 rows, and by its txn how far they go  ──► streaming: the log after that
 *	                                           batch: objects after that, then
 *	                                           the log after those
 *
 *  1. A record is in the table, or in the tail, or is no row: the tail begins right
 *     after what the version that is read says of each partition, by the same
 *     code as the writer of the table, and is cleaned by the same model. What would
 *     be a dead letter is left out, and told by the writer alone.
 *  2. It goes to where the log ended when it was begun, or a little further.
 *  3. Nothing of the lake or the log is written, no lock is taken and no group
 *     entered, so it disturbs nobody. Files are in temp_dir without a name, or in memory where
 *     that cannot be: a process that is killed leaves none.
 *  4. Where retention takes what the table did not have, the table or the objects have
 *     moved on meanwhile: `moved`, and both are to be opened again. If they have
 *     not, the records are lost.
 *  5. A log of another history than the table's is refused, in the words that the
 *     writer has for it (ERR_CORRUPT).
 *  6. In memory there are at most LIVE_BYTES_MAX of a table's values at once.
 *
 * Ownership: struct live borrows all. Threads: any, a table each; they clean in turn.
 */
#ifndef FLOW_LIVE_H
#define FLOW_LIVE_H

#include "delta/delta.h"
#include "engine/engine.h"
#include "flow/lake.h"
#include "flow/log_read.h"
#include "flow/micro_batch.h"

#include <pthread.h>

enum { LIVE_BYTES_MAX = 32 << 20 };

struct live {
	struct store *store;
	struct engine *engine;
	struct broker *broker;
	const char *temp_dir; /* need not be there */
	pthread_mutex_t turn; /* of the engine */
};

#define LIVE_INIT \
	{ \
		.turn = PTHREAD_MUTEX_INITIALIZER \
	}

struct live_tail {
	struct store_fetched *files; /* Parquet, of malloc(); as the table's */
	size_t count;
	bool there; /* there is a log of it, or an object */
	bool moved;
};

/*
 * The tail of a table that is open, read only; `delta` is taken, and may be NULL: there is no table
 * yet. ERR_NO_TOPIC, ERR_NO_PARTITION: the topic is made anew just now; try again. On failure there
 * is nothing to release.
 */
MUST_USE enum err_code live_read(struct live *live, const struct lake_table *place,
				 struct delta_table *delta, struct live_tail *ret_tail,
				 struct err *err);
void live_tail_release(struct live_tail *tail);

/* ---- for live_stream.c and live_batch.c ---- */

enum { LIVE_PATH_MAX = 40 };

/* A file that has no name but this path. */
struct live_file {
	int fd;
	char path[LIVE_PATH_MAX];
};

MUST_USE enum err_code live_file_open(struct live *live, struct live_file *ret_file,
				      struct err *err);
/* `code`: how the cleaning ended, which is returned. With rows it is a file of the tail; else it is
 * gone. The result is released. */
enum err_code live_file_take(struct live_tail *tail, struct live_file *file, enum err_code code,
			     struct clean_result *result);
/* What the batch holds as a file more; the batch is empty then. */
MUST_USE enum err_code live_clean(struct live *live, const struct lake_table *place,
				  struct micro_batch *batch, struct live_tail *tail,
				  struct err *err);
/* log_read() of its broker. */
MUST_USE enum err_code live_read_log(struct live *live, struct log_place *places, size_t count,
				     enum err_code (*take)(struct log_place *place,
							   const struct reader_event *event,
							   struct err *err),
				     struct err *err);
/* So many records of a partition are in nobody's log any more, and may be in the lake meanwhile. */
void live_note_loss(struct live_tail *tail, const struct reader_event *gap);

MUST_USE enum err_code live_read_stream(struct live *live, const struct lake_table *place,
					struct delta_table *delta, struct live_tail *tail,
					struct err *err);
MUST_USE enum err_code live_read_batch(struct live *live, const struct lake_table *place,
				       struct delta_table *delta, struct live_tail *tail,
				       struct err *err);

#endif
