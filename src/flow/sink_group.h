/*
 * sink_group.h - the objects of a partition that the sink fills side by side:
 * one for each time bucket, or more, if it has more records than an object takes.
 *
 *  1. A group is full when it has flush_size records, or flush_bytes, for each of
 *     its buckets. So it makes at most twice the objects that the same records
 *     would make in order of their buckets, however they are mixed.
 *  2. A group that was begun by another sink, or before a crash, is made once more
 *     by its manifest (`fixed`): that says which object each offset is in. If that
 *     cannot be, it is given up, and its manifest is amended (group.h, rule 7).
 *
 * Threads: the sink's.
 */
#ifndef FLOW_SINK_GROUP_H
#define FLOW_SINK_GROUP_H

#include "flow/group.h"
#include "flow/path_format.h"
#include "flow/sink.h"
#include "flow/sink_writer.h"

struct sink_object {
	int64_t bucket_ms; /* one of those that its path stands for */
	char *path;
	bool closed; /* it has what an object takes: the next is another */
	struct buf body;
	struct buf sides[GROUP_SIDES];
};

struct sink_group {
	struct group group;
	struct sink_object *objects; /* those of `group` */
	size_t object_room;
	size_t bucket_count;
	size_t last;  /* the object of the line before */
	size_t bytes; /* of memory */
	uint64_t text_bytes;
	struct path_clock clock;
	uint32_t bar_number; /* of an object that has the name of the bar; 0: there is no bar */

	bool fixed; /* `wanted` says where each line goes */
	struct group wanted;
	size_t there;	     /* so many of its objects are in the lake: … */
	uint64_t wanted_end; /* … this is after the last line of the others */
	bool barred;	     /* somebody gave it up, and did not put the manifest that follows */
	bool lost;	     /* the log has let go of something of it, for … */
	enum group_none lost_for;
	size_t run;	   /* of that one, and … */
	uint64_t run_left; /* … what is left of it */
};

void sink_group_release(struct sink_group *group);
/* Forget what is in it, and what is fixed. */
void sink_group_clear(struct sink_group *group);
/* To be made by a manifest, which is taken; its first `there` objects are in the lake. `barred`:
 * the others cannot be put any more. */
void sink_group_fix(struct sink_group *group, struct group *wanted, size_t there, bool barred);

/* A line at the end of the object of its time; the first one says what was accounted for before. */
void sink_group_add(struct sink_group *group, const struct sink_options *options,
		    struct lake_partition where, const struct record *record, uint64_t offset,
		    int64_t time_ms, struct json value);
/* The next line of a fixed one: ERR_CORRUPT, if the manifest has no line at that offset. */
MUST_USE enum err_code sink_group_add_fixed(struct sink_group *group, const struct record *record,
					    uint64_t offset, struct json value, struct err *err);
/* Whether one of [first, last] is a line of an object that is to be made. */
bool sink_group_wants(const struct sink_group *group, uint64_t first, uint64_t last);
/*
 * The log has nothing more of a fixed group that cannot be made: bars the names of its objects that
 * are not in the lake. *ret_whole: all of them are. Else *ret_amended is the manifest of what is
 * left, which is still to be put; *ret_lost: so many records are lost by it that were not before.
 */
MUST_USE enum err_code sink_group_amend(struct sink_group *group, struct store *store,
					struct lake_partition where, bool *ret_whole,
					struct group *ret_amended, uint64_t *ret_lost,
					struct err *err);
bool sink_group_is_full(const struct sink_group *group, const struct sink_options *options);
/* ERR_CORRUPT: what was made by a manifest is something else. Then, and else, the objects are the
 * job's, with the manifest as its last mark, and the group is empty. */
MUST_USE enum err_code sink_group_close(struct sink_group *group, struct lake_partition where,
					struct sink_job *job, struct err *err);

#endif
