/*
 * sink_partition.h - what the sink holds of one partition: where it stands, and
 * the run that is being filled, which is lines of an object, a group of objects or
 * dead letters, never two of them.
 *
 *	           assigned              place found
 *	SINK_AWAY ─────────► SINK_PLACING ──────────► SINK_READING
 *	    ▲  ▲               │  ▲   │                 │      │
 *	    │  └──── lost ─────┘  └───┼─ another put it ┘      │ what no try can mend
 *	    │                         └────────────┐           ▼
 *	    └── released ── SINK_LEAVING ◄─ revoked ┴──── SINK_HALTED
 *
 * In SINK_PLACING and SINK_HALTED the reader is paused, in SINK_LEAVING it gives nothing.
 *
 * Threads: the sink's; the writer knows the lane only.
 */
#ifndef FLOW_SINK_PARTITION_H
#define FLOW_SINK_PARTITION_H

#include "base/json.h"
#include "flow/manifest.h"
#include "flow/sink_group.h"
#include "flow/sink_recover.h"
#include "flow/sink_writer.h"

enum sink_state {
	SINK_AWAY,			/* not ours */
	SINK_PLACING,			/* ours; where it goes on is still to be found */
	SINK_READING,
	SINK_HALTED,			/* as SINK_READING, but nothing lands any more */
	SINK_LEAVING,			/* asked for; the writer may still have something of it */
};

struct sink_partition {
	struct sink_lane lane;		/* first: a job's lane leads back here */
	char topic[TOPIC_NAME_MAX + 1];
	int32_t id;
	size_t table; /* of sink_options.tables; past them: another topic */
	enum sink_state state;
	enum err_code halted;		/* why, in SINK_HALTED, or when it was left */
	bool paused;			/* the reader was told to */
	struct retry retry;		/* of finding the place … */
	int64_t retry_ms;		/* … which is tried again then */
	uint64_t found_next;		/* place.next as it was found last … */
	int fruitless;			/* … so often the same, though another was faster */

	/* Where it stands. `place.where.topic` is `topic`. */
	struct sink_place place;	/* last, next: of what was added, landed or not */
	bool groups;			/* by the options */
	bool grouped;			/* or since the lake has groups: no plain object comes */
	bool unproved;			/* place.last_line is still to be compared */
	bool has_lineage;
	struct lineage lineage;		/* of what was added last */
	bool lineage_due;		/* the lake is still to be told */
	bool loss_asked;		/* the lake was asked before a loss is told, … */
	uint64_t loss_next;		/* … for which place.next was this */

	/* A drain. */
	bool has_caught;		/* all before `caught` was given */
	struct position caught;
	int64_t leave_ms;		/* of SINK_LEAVING: until when what is queued may land */
	bool was_ours; /* since this sink began */
	bool has_goal;			/* ends where `caught` has come to `goal`, … */
	struct position goal;
	bool goal_open;			/* … or, if nobody knows where that is, caught up again */

	/* What the broker is to be told. */
	bool commit_due;
	struct position commit;
	int64_t commit_ms;		/* when it was told last */

	/* The run. */
	bool run_has_after;		/* what was done before it: place.last of then */
	struct position run_after;
	uint64_t count;			/* 0: none */
	size_t bytes;
	int64_t due_ms;			/* monotonic clock when it is to be closed */
	struct buf body;		/* lines of an object, whose offsets are … */
	struct manifest manifest;	/* … these; or */
	struct sink_group group;	/* objects side by side; or */
	struct dlq_batch *letters;	/* dead letters, unless NULL; if `lost`, … */
	int32_t lost;			/* … (enum group_none) one, of what was lost from … */
	uint64_t lost_first;		/* … this offset on */
	size_t body_hint;		/* how large the last object became */

	/* What others see of it (sink_tell.c). */
	size_t topic_at;       /* in struct sink's topics */
	bool all_given;	       /* nothing came since the reader had caught up */
	int64_t run_newest_ms; /* the newest time of its records */
	int64_t complete_ms;   /* all that was posted before then has landed; 0: unknown */

	/* Times of its records, for rotate_interval_ms. */
	bool any_time;
	int64_t newest_time_ms;
	int64_t base_time_ms; /* the newest one when the run began */
};

MUST_USE struct sink_partition *sink_partition_new(const char *topic, int32_t id, size_t table,
						   size_t body_max);
void sink_partition_free(struct sink_partition *partition);

/* Go on at `place`, whose last line is taken; what was being filled is forgotten. */
void sink_partition_begin(struct sink_partition *partition, struct sink_place *place);
/* Forget the run. */
void sink_partition_drop(struct sink_partition *partition);
/* Where its reader is to be put. */
struct reader_start sink_partition_start(const struct sink_partition *partition);
/* Whose its dead letters are. */
struct dlq_source sink_partition_source(const struct sink_partition *partition);
/* What follows is of this lineage; the run must be closed if it is another than before. */
void sink_partition_set_lineage(struct sink_partition *partition, struct lineage lineage);
/* The line of a record that is JSON, at the end of the run; it must be no run of letters. */
void sink_partition_add_line(struct sink_partition *partition, struct position position,
			     uint64_t offset, struct json value);
/* The same where objects are grouped. ERR_CORRUPT: a group that is made once more has none there.
 */
MUST_USE enum err_code sink_partition_add_grouped(struct sink_partition *partition,
						  const struct sink_options *options,
						  const struct record *record, uint64_t offset,
						  int64_t time_ms, struct json value,
						  struct err *err);
/* It is making a group that another one, or it itself, has begun, and not all of it has come. */
bool sink_partition_is_mending(const struct sink_partition *partition);
/* `last_offset`: of the letter's last record. ERR_LIMIT: close the run first. It must be no run of
 * lines. */
MUST_USE enum err_code sink_partition_add_letter(struct sink_partition *partition,
						 struct store *store,
						 const struct dlq_letter *letter,
						 uint64_t last_offset, struct err *err);
/* A job of its lane, without anything in it. */
MUST_USE struct sink_job *sink_partition_new_job(struct sink_partition *partition);
/* The run is to be one letter, of what was lost from `first` on. */
void sink_partition_set_lost(struct sink_partition *partition, enum group_none lost,
			     uint64_t first);
/* The run as a job for the writer; the partition has none then. ERR_CORRUPT: a group that was made
 * once more is not what its manifest says. */
MUST_USE enum err_code sink_partition_close(struct sink_partition *partition,
					    struct sink_job **ret_job, struct err *err);
/* All that was in the log when the drain began has been given. `quiet`: what the reader's group
 * gives this one of the partitions has been told, and nothing comes of them now. */
bool sink_partition_drained(const struct sink_partition *partition, bool quiet);
/* All that a drain is to reach was added, landed or not; more may have come since. */
bool sink_partition_has_goal_added(const struct sink_partition *partition);

#endif
