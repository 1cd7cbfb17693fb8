/*
 * restore_inside.h - the parts of the restore to each other: what the lake has
 * (restore_plan.c; of the tables restore_tables.c), the records of a partition in
 * order (restore_read.c; of objects that landed together restore_group.c), and the
 * log that is made of them (restore.c).
 */
#ifndef FLOW_RESTORE_INSIDE_H
#define FLOW_RESTORE_INSIDE_H

#include "flow/group.h"
#include "flow/lake.h"
#include "flow/restore.h"

enum restore_source_kind { SOURCE_OBJECT, SOURCE_GROUP, SOURCE_LETTERS };

/* An object, or several, that hold records of a partition. */
struct restore_source {
	enum restore_source_kind kind;
	uint64_t from;		/* none of its records is before it */
	uint64_t next;		/* of letters: the offset after all that they pass */
	uint64_t size;		/* bytes, about */
	char *key;		/* of a group: its manifest's */
};

/* From an offset on records are of this lineage. */
struct restore_lineage {
	uint64_t first;
	struct lineage lineage;
};

/* How much text begins at an offset. */
struct restore_sized {
	uint64_t start;
	uint64_t bytes;
};

struct restore_part {
	struct lake_partition where;
	struct restore_source *sources;	/* in order of `from` */
	size_t source_count;
	size_t source_room;
	struct restore_lineage *lineages; /* in order of `first` */
	size_t lineage_count;
	size_t lineage_room;
	uint64_t born;		/* records before it are of another topic */
	uint64_t first;		/* no object has any before it */
	uint64_t *told;		/* what comes to `next`, if it is not behind … */
	size_t told_count;
	uint64_t end;		/* … what has come since, and is left out; UINT64_MAX: nothing */
	uint64_t next;		/* the log goes on there, or behind its last record */
	struct position above;	/* of a shard: what is used up; zero: nothing */
	struct restore_sized *sized; /* every object, packed or not, side or not */
	size_t sized_count;
	size_t sized_room;
	bool foreign;		/* objects of which nothing tells the offsets of their lines */
	bool unfinished;	/* its last group is not whole: */
	struct group last_group;
	struct group *given_up; /* whose place it took */
	size_t given_up_count;
};

struct restore_topic {
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
	uint32_t generation;
	uint64_t uid;		/* 0: it is not known */
	struct position uid_at;	/* of a stream: how far that identity came */
	struct restore_part **parts;	/* by id */
	int32_t part_count;
	uint64_t objects;	/* files of any kind, for who wants to know … */
	uint64_t bytes;		/* … how much there is */
};

struct restore_plan {
	struct restore_topic **topics;
	size_t count;
};

/* Everything is listed; of the objects nothing is read. */
MUST_USE enum err_code restore_plan(struct store *store, struct restore_plan *ret_plan,
				    struct err *err);
void restore_plan_release(struct restore_plan *plan);
/* Known from here on. */
struct restore_topic *restore_plan_topic(struct restore_plan *plan, enum topic_kind kind,
					 struct slice name);
struct restore_part *restore_topic_part(struct restore_topic *topic, int32_t id);
/* Somebody says that all offsets before that are used up. */
void restore_tell(struct restore_part *part, uint64_t next);
/* Streams and what the tables know of topics. */
MUST_USE enum err_code restore_plan_tables(struct store *store, struct restore_plan *plan,
					   struct err *err);
/* Calls `each` for the names of the directories right below `place`, which ends with a slash. */
MUST_USE enum err_code restore_names(struct store *store, const char *place,
				     enum err_code (*each)(void *user, struct slice name,
							   struct err *err),
				     void *user, struct err *err);
/* 16 hex digits, as our own log's topics have. */
bool restore_parse_uid(struct slice text, uint64_t *ret_uid);

/* The keys of all groups of the plan that are not whole, a line each, manifests first. Counts
 * them. */
uint64_t restore_unfinished(const struct restore_plan *plan, struct buf *keys);
/* What stands in the note of the log in `dir`, if there is one, goes from the lake. */
MUST_USE enum err_code restore_drop(struct store *store, const char *dir, bool *ret_any,
				    struct err *err);
#define RESTORE_NOTE "restore.drop"

/* What comes next of a partition: a record, or offsets that have none. */
struct restore_item {
	bool gap;
	enum gap_reason reason;
	uint64_t offset;
	uint64_t next;		/* the offset after it */
	bool letter;
	struct append_record record;
};

/* Objects that landed together: the records of all in the order of their offsets. */
struct restore_group;

MUST_USE enum err_code restore_group_bring(struct store *store, struct lake_partition where,
					   uint64_t first, struct restore_group **ret_group,
					   struct err *err);
void restore_group_free(struct restore_group *group);	/* accepts NULL */
/* The text that it holds. */
uint64_t restore_group_bytes(const struct restore_group *group);
/* The first offset that it accounts for. */
uint64_t restore_group_from(const struct restore_group *group);
/* Offsets [*ret_first, *ret_last] are one record, or, with *ret_lost, of an object that is not
 * there. What it goes over were no records. */
MUST_USE enum err_code restore_group_next(struct restore_group *group, uint64_t *ret_first,
					  uint64_t *ret_last, bool *ret_lost,
					  struct append_record *ret_record, bool *ret_any,
					  struct err *err);

struct restore_reader;

MUST_USE enum err_code restore_reader_new(struct store *store, const struct restore_part *part,
					  struct restore_reader **ret_reader, struct err *err);
/* *ret_any false: that was all. The item lives until the next call. */
MUST_USE enum err_code restore_reader_next(struct restore_reader *reader,
					   struct restore_item *ret_item, bool *ret_any,
					   struct err *err);
void restore_reader_free(struct restore_reader *reader);	/* accepts NULL */

#endif
