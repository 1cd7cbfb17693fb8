/*
 * lake_copy_inside.h - the parts of the copy of a lake to each other: which
 * objects, in which order (lake_copy_plan.c), one of them (lake_copy_object.c), and
 * all (lake_copy.c).
 */
#ifndef FLOW_LAKE_COPY_INSIDE_H
#define FLOW_LAKE_COPY_INSIDE_H

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
	bool gone;		/* from the source */
	bool wordless;
};

/* A Delta log. */
struct copy_table {
	char *root;
	int64_t newest;		/* version; -1: none */
	int64_t checkpoint;	/* of the newest one; -1: none */
	bool there;		/* the copy has its first version, or a checkpoint */
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

MUST_USE enum err_code copy_plan_make(struct store *from, struct store *to,
				      struct copy_plan *ret_plan, struct err *err);
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
