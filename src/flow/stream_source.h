/*
 * stream_source.h - a stream that tables are made of: which of its shards are
 * ours, how far the log has given them, and what the reader was told.
 *
 * A shard may be paused for several reasons at once (stream.c knows them), its
 * children wait until its end is in the tables, and in a drain it counts as
 * read once the log says that it has given all that there was.
 *
 * Ownership: stream_source_release(). Threads: the caller's.
 */
#ifndef FLOW_STREAM_SOURCE_H
#define FLOW_STREAM_SOURCE_H

#include "broker/broker.h"

struct stream_part {
	int32_t id;
	int32_t parents[2];  /* or -1 */
	bool ended;	     /* the log gives no more of it */
	bool finished;	     /* and the tables have it all: its children may begin */
	bool caught_up;	     /* nothing came since the log said that this is all: … */
	struct position end; /* … what comes next stands here */
	bool reached;	     /* all that there was when the drain began was given */
	bool goal_known;
	struct position goal; /* where its log ended then */
	bool told_any;
	struct position told; /* to the group: how far the tables are */
	bool paused;	      /* as the reader was told */
	bool missed;	      /* it gave something all the same, which was passed over */
	int64_t behind_ms;    /* since when the log lacks what a table has; 0: it does not */
	int64_t look_ms;      /* when to look for that again */
	bool unsought;	      /* the reader could not be put where the tables are */
};

struct stream_source {
	struct topic_ref topic; /* borrowed */
	struct topic_info info;
	bool info_fresh; /* nothing but assignments has come since it was asked for */
	bool changed;	 /* something that pauses rest on */
	struct stream_part **parts; /* in order of id */
	size_t count;
};

void stream_source_release(struct stream_source *source);
/* NULL: not ours. */
struct stream_part *stream_source_part(const struct stream_source *source, int32_t id);
/* The shard is ours; what was known of it is forgotten. *ret_part NULL: it is gone already. */
MUST_USE enum err_code stream_source_assign(struct stream_source *source, struct broker *broker,
					    int32_t id, struct stream_part **ret_part,
					    struct err *err);
void stream_source_drop(struct stream_source *source, int32_t id);
/* Notes what an event tells of its shard. */
void stream_source_note(struct stream_source *source, struct stream_part *part,
			const struct reader_event *event);
/* From now on all that there is in the log has to be read: *ret_again of those whose end the log
 * does not tell, so that they are to be sought where they are. */
void stream_part_begin_drain(struct stream_part *part, const struct topic_info *now,
			     bool *ret_again);
/* A shard that it came from is ours, and not yet in the tables as a whole. */
bool stream_source_awaits_parent(const struct stream_source *source,
				 const struct stream_part *part);

#endif
