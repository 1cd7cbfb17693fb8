/*
 * lake_copy_inside.h - the parts of the copy of a lake to each other: which
 * objects, in which order (lake_copy_plan.c), what only the copy has
 * (lake_copy_apart.c), one object (lake_copy_object.c), and all (lake_copy.c).
 */
#ifndef FLOW_LAKE_COPY_INSIDE_H
#define FLOW_LAKE_COPY_INSIDE_H

#include "flow/lake.h"
#include "flow/lake_copy.h"

#include <stdatomic.h>

/* In this order; those of one stage are put several at a time, but for COPY_LOG. */
enum copy_stage {
	COPY_MANIFEST,
	COPY_OBJECT,
	COPY_LETTERS,
	COPY_DATA,		/* and all that nothing else is said of */
	COPY_SEAL,		/* which says that what was staged for a table is whole */
	COPY_LOG_BULK,		/* commits of a table that is not there yet, … */
	COPY_LOG_FIRST,		/* … the one with which it is there, … */
	COPY_LOG_CHECKPOINT,	/* … and the checkpoints up to the newest */
	COPY_LOG,		/* the rest of a log: one after the other */
	COPY_HINT,		/* of the last checkpoint */
	COPY_STAGES,
};

enum copy_state { COPY_MISSING, COPY_SAME, COPY_OTHER };

struct copy_item {
	char *key;
	uint64_t size;
	enum copy_stage stage;
	size_t table;		/* of a log: its place among the tables */
	bool is_commit;
	int64_t version;	/* of what stands in a log, but for the hint */
	bool there;		/* in the copy, … */
	uint64_t there_size;
	enum copy_state state;	/* … and is it the same */
	bool cleaned;		/* of a log: a later checkpoint is copied, so it may have gone */
	bool gone;		/* from the source */
	bool wordless;
};

/* A Delta log. */
struct copy_table {
	char *root;
	int64_t newest;		/* version; -1: none */
	int64_t checkpoint;	/* of the newest one; -1: none */
	bool there;		/* the copy has its first version, or a checkpoint */
	bool replaced;		/* the copy's is another: it goes before this one comes */
	uint64_t apart;		/* files of its log that only the copy has */
};

struct copy_plan {
	struct copy_item *items;	/* stage by stage, in order of key */
	size_t count;
	size_t room;
	struct copy_table *tables;
	size_t table_count;
	char **letters;		/* that only the copy has */
	size_t letter_count;
	uint64_t late;
	uint64_t other;
};

struct copy_there {
	char *key;
	uint64_t size;
	bool wanted; /* the source has it */
};

/* How far the objects and the sink's letters of a partition came in the source. */
struct copy_front {
	char *where; /* the part of a key that they share */
	uint64_t start;
	uint64_t first;			/* where its objects begin; UINT64_MAX: it has none */
	bool asked;			/* where it is grouped from, … */
	uint64_t grouped;		/* … which is there; UINT64_MAX: nowhere */
	const struct copy_there *older; /* the last that only the copy has before it; NULL: none */
	uint64_t older_start;
};

/* A plan while it is made. */
struct copy_planning {
	struct copy_plan plan;
	bool logs; /* what is being listed: those alone, or all but them */
	struct copy_front *fronts;
	size_t front_count;
	size_t front_at;	  /* the last one that was met: keys come in order */
	struct copy_there *there; /* in order of key */
	size_t there_count;
	size_t there_room;
	uint64_t marks; /* a sum over those that tell from where on raw objects are kept */
};

/* Of "<root>/_delta_log/<name>" the name; NULL: it is not in a log, or in a directory of one. */
const char *copy_log_name(const char *key, size_t *ret_root);
/* False: it is none of a log's files by version. */
bool copy_log_version(const char *name, int64_t *ret);
/* NULL: the source has none there; `root`: of so many bytes. */
struct copy_table *copy_find_table(struct copy_plan *plan, const char *key, size_t root);
void copy_put_where(char where[STORE_KEY_MAX + 1], struct slice topic, uint32_t generation,
		    int32_t partition);
struct copy_front *copy_find_front(struct copy_planning *planning, const char *where);
/* Counts what only the copy has. ERR_EXISTS: a table or a partition there has gone its own way. */
MUST_USE enum err_code copy_find_other(struct copy_planning *planning, struct store *from,
				       struct store *to, struct err *err);
/* Removes the log of that table from the copy, so that at any moment it is one of its versions. */
MUST_USE enum err_code copy_drop_log(struct store *to, const struct copy_table *table,
				     struct err *err);

MUST_USE enum err_code copy_plan_make(struct store *from, struct store *to,
				      struct copy_plan *ret_plan, struct err *err);
/* Once more, when a table turned out not to be there. */
void copy_plan_order(struct copy_plan *plan);
void copy_plan_release(struct copy_plan *plan);
/* The hint that a table's newest listed checkpoint allows: a later one names what is not copied. */
bool copy_hint_fits(const struct copy_table *table, struct slice hint);

/* About what it takes while it is compared or copied. */
uint64_t copy_item_memory(const struct copy_item *item);
/* Whether the copy's object is the same: sets item->state. */
MUST_USE enum err_code copy_compare(struct store *from, struct store *to, struct copy_item *item,
				    struct err *err);
/* Puts it and reads it back; `table` of a hint alone. */
MUST_USE enum err_code copy_object(struct store *from, struct store *to, struct copy_item *item,
				   const struct copy_table *table, struct err *err);

#endif
