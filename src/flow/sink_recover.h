/*
 * sink_recover.h - where the sink was in a partition, from what lies in the
 * lake: its newest object tells by its name where it starts and by its lines and
 * manifest where it ends, its newest group by its manifest; after that only dead
 * letters can have come. And whether the log's topic is the one that the lake has
 * (history.h).
 *
 * A group that is not whole is where the sink was: it has to be made whole first
 * (group.h, rule 3). Letters of one that was amended may still have to be put
 * (rule 7d).
 */
#ifndef FLOW_SINK_RECOVER_H
#define FLOW_SINK_RECOVER_H

#include "flow/group.h"
#include "flow/history.h"

struct sink_place {
	struct lake_partition where;	/* its topic is borrowed */
	bool any;			/* the lake has something of the partition, … */
	struct position last;		/* … all of it up to this */
	uint64_t next;			/* the offset that comes after it; without any: 0 */
	uint64_t told; /* what objects and manifests tell ends before this, letters may not:
			  what the next manifest is named by (group.h, rule 1) */
	struct buf last_line;		/* of the record at `last`, if `has_line`; or several,
					   each with a line end, of which one is */
	bool has_line;
	bool counted; /* `last` was counted out: without that record in the log, or
			 its loss, it is not believed (sink_foreign.h) */
	struct lineages lineages;	/* that it can be of */
	bool any_object;		/* there is a plain object, or it was said that they come */
	bool has_plain;			/* that was said by a manifest, … */
	uint64_t plain_first;		/* … which has the name of this offset */
	bool any_group;
	bool grouped;			/* only groups can come */
	bool has_unfinished;		/* `last` and `next` are before this group, … */
	size_t unfinished_there;	/* so many of its objects are */
	bool unfinished_barred;		/* the others cannot be put any more */
	struct group unfinished;	/* … which is not whole */
	uint64_t letters_until;		/* what comes before this is a letter, as the newest
					   group says; 0: nothing is */
	bool has_losses;		/* the newest group was amended: … */
	struct group losses;		/* … its runs, of which letters tell */
	char uid[HISTORY_UID_MAX];	/* of the log's topic */
	bool name_due;			/* the lake does not know it yet … */
	bool name_first;		/* … nor any other of this generation */
};

void sink_place_release(struct sink_place *place);

/* Of one generation. The caller releases *ret_place. ERR_CORRUPT: the newest object ends in
 * mid-line, or its manifest does not fit it. */
MUST_USE enum err_code sink_recover(struct store *store, struct lake_partition where,
				    struct sink_place *ret_place, struct err *err);

/*
 * Of the topic that the log has now. ERR_NO_TOPIC, ERR_NO_PARTITION: it has none. ERR_CORRUPT, too:
 * the lake is of another topic of that name, and this one's offsets begin again; with
 * `new_generation` it goes on as the next one.
 */
MUST_USE enum err_code sink_find_place(struct store *store, struct broker *broker,
				       const char *topic, int32_t partition, bool new_generation,
				       struct sink_place *ret_place, struct err *err);

#endif
