/*
 * lake_input.h - objects of one topic of the lake as the engine's raw input,
 * with their dead letters.
 *
 *	lake_input_add()       objects that are to be read, in order
 *	engine_clean()         reads all of them, or a range (see `narrow`)
 *	lake_input_end()       what they hold, what they lack, and whether to clean again
 *	lake_input_tell_gaps()
 *	lake_input_write_dead()
 *
 * The n-th line of an object is the record at its start offset + n or, where it
 * has a manifest, the one that its runs name. Objects of a group (group.h) are taken
 * or left together. How far an object reaches is known
 * once it was read. So two that hold the same offsets are found afterwards; then
 * the later one is cleaned again, without what the earlier one has.
 *
 * An object that was listed and is not there, or is not what its manifest says,
 * ends its partition there (`stop`); the others are taken all the same. So does one of the newest
 * group that is not there yet, or is barred (group.h, rule 7), which is no fault (`waits`).
 *
 * Poison: a record that makes a model's SQL fail. Whoever finds one calls
 * lake_input_poison(); from then on it is a dead letter and the engine does not
 * see it.
 *
 * Dead letters are collected in memory and are written once it is known how far
 * the commit goes that they belong to; before another run call lake_input_forget().
 *
 * Where a store is far away, objects are brought many at a time and ahead of the
 * engine, from when a run is chosen (`all`, `narrow`) until the next choice or the end.
 *
 * Ownership: lake_input_release() frees all; store and texts are borrowed.
 * Threads: the engine's, while it cleans; else the caller's one.
 */
#ifndef FLOW_LAKE_INPUT_H
#define FLOW_LAKE_INPUT_H

#include "engine/engine.h"
#include "flow/dlq.h"
#include "flow/group.h"
#include "store/store.h"

#include <pthread.h>

/* Of the letter for a gap that nothing accounts for. */
#define LAKE_INPUT_GAP_REASON "in no object of the lake"

struct lake_object {
	struct lake_part *part;
	uint64_t start;			/* offset of its first record */
	uint64_t size;			/* bytes; of a group's object, unpacked */
	uint64_t text_bytes;		/* of its text: a guess until it was read */
	bool packed;			/* its text is to be unpacked */
	uint64_t version;		/* as listed, or by what the group says */
	const struct group *group;	/* whose object it is, NULL: of none, … */
	size_t index;			/* … and which one; its first comes first here */
	bool newest;			/* it may not be there yet, … */
	bool missing;			/* … and is not, or is barred: not a fault then */
	uint64_t from;			/* its records before this one are had already */
	uint64_t base;			/* of the records of all before it; by lake_input_count() */
	/* Known once it was read to its end: */
	bool read;
	uint64_t count;			/* of its lines */
	uint64_t accounted;		/* with the numbers before `start` that were no records */
	uint64_t end;			/* the offset after its last record */
	struct err fault;		/* of what is not there, or not as its manifest says */
	struct lake_reading *reading;	/* brought, and not opened yet */
};

/* A partition of the topic. */
struct lake_part {
	struct lake_partition where;
	bool fresh;			/* nothing of it was ever cleaned */
	uint64_t next;			/* the first offset that is not cleaned yet; may be none */
	uint64_t end;			/* by lake_input_end(): the offset after the last
					   one that this input holds, or tells to be missing */
	struct lake_entry held;		/* the object that it ends with; size 0: none */
	struct err stop;		/* why objects that are listed were not taken, or ERR_OK */
	bool waits;			/* or for the rest of a group that is on its way */
	struct manifests manifests;	/* of the objects that are read */
	struct group **groups;		/* whose objects are */
	size_t group_count;
	char text[PARTITION_TEXT_MAX];
	struct dlq_batch *letters;
};

/* What a run reads: of objects [first, last) the records [from, to), counted over all objects. */
struct lake_range {
	size_t first;
	size_t last;
	uint64_t from;
	uint64_t to;
};

/* Line `line` of the object that begins at `start`. */
struct lake_poison {
	const struct lake_part *part;
	uint64_t start;
	uint64_t line;
	char *reason;
};

/* Offsets [from, to) of a partition that nothing accounts for: neither an object, nor a manifest,
 * nor a letter of the sink. */
struct lake_gap {
	struct lake_part *part;
	uint64_t from;
	uint64_t to;
};

struct lake_input {
	struct raw_input input;		/* first */
	struct store *store;
	const struct lake_table *table;
	const char *topic; /* the table's */
	struct lake_part **parts;
	size_t part_count;
	struct lake_object *objects;
	size_t object_count;
	size_t object_room;
	uint64_t bytes;
	bool gaps; /* records may be missing between objects: a rebuild takes what is left */
	struct lake_range range;	/* what the next run reads, … */
	struct ahead *ahead;		/* … whose objects are brought before it comes to them */
	bool trial;			/* dead letters of the next run do not count, … */
	bool unheard;			/* … or those of none: nobody is to write them */
	struct lake_poison *poison;
	size_t poison_count;
	struct lake_gap *missing;	/* by lake_input_end() */
	size_t missing_count;
	pthread_mutex_t lock;		/* of what follows */
	struct lake_reading *idle;	/* buffers to be used again, … */
	size_t idle_bytes;		/* … so many bytes */
	pthread_mutex_t letters_lock;	/* of the parts' letters */
};

void lake_input_init(struct lake_input *input, struct store *store, const struct lake_table *table);
void lake_input_release(struct lake_input *input);
/* Known from here on; `fresh`: nothing of it was ever cleaned, and `next` is where the objects
 * begin that are kept. */
struct lake_part *lake_input_part(struct lake_input *input, struct lake_partition where,
				  bool fresh, uint64_t next);
/* Objects of a partition come together, in the order of their offsets. */
void lake_input_add(struct lake_input *input, struct lake_part *part,
		    const struct lake_entry *entry);
/* All objects of a group, which is taken. `newest`: no other one has come after it, so that it may
 * be on its way, or be given up. */
void lake_input_add_group(struct lake_input *input, struct lake_part *part, struct group *group,
			  bool newest);
/* What an object accounts for: offsets [*ret_from, *ret_end), the first record being at *ret_start.
 * Of a group, all of it, by its first object; false: another one of it. */
bool lake_input_span(const struct lake_object *object, uint64_t *ret_from, uint64_t *ret_start,
		     uint64_t *ret_end);
/* All are added: find their manifests, which were put before them. */
MUST_USE enum err_code lake_input_find_manifests(struct lake_input *input, struct err *err);

/* The next run reads everything. */
void lake_input_all(struct lake_input *input);
/* Count the records of all objects, so that what follows can tell them by their number. */
MUST_USE enum err_code lake_input_count(struct lake_input *input, uint64_t *ret_count,
					struct err *err);
/* The next run reads just these, to find out whether it fails: what it buries does not count. */
void lake_input_narrow(struct lake_input *input, uint64_t from, uint64_t to);
void lake_input_poison(struct lake_input *input, uint64_t record, const char *reason);

/*
 * After a run over everything: fill in each part's `end`, and what is missing. *ret_again: what was
 * made of it does not count, because an object is not there or holds what another one has; clean
 * once more, the input knows now.
 */
MUST_USE enum err_code lake_input_end(struct lake_input *input, bool *ret_again, struct err *err);
/* A letter for each gap. */
MUST_USE enum err_code lake_input_tell_gaps(struct lake_input *input, struct err *err);
/* Drop the letters that were collected. */
void lake_input_forget(struct lake_input *input);
MUST_USE enum err_code lake_input_write_dead(struct lake_input *input, struct err *err);
/* They are committed: away with what others have written for the same records. */
MUST_USE enum err_code lake_input_settle_dead(struct lake_input *input, struct err *err);

#endif
