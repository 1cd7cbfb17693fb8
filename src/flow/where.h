/*
 * where.h - where one record is: its line in the lake, its row of each table of its
 * topic, or the letter that tells why it is none, or what it waits for.
 *
 * Nothing is read twice, and nothing as a whole: the names of objects, groups and
 * letters tell where to look, and the statistics of data files in which of them a
 * row can be. On a service that is about a dozen requests for the lake, and for each
 * table an opening, some more for the version, and the file that has the row.
 *
 * Ownership: each result by its own release; what it was asked with is borrowed
 * until then. Threads: the caller's one.
 */
#ifndef FLOW_WHERE_H
#define FLOW_WHERE_H

#include "delta/delta.h"
#include "engine/engine.h"
#include "flow/lake.h"

/* A record, as it is asked for. */
struct where_record {
	struct topic_ref topic;
	const char *uid;	     /* of the topic or stream; "": it is not known */
	struct lake_partition where; /* generation 0: the lake is of another topic of the name */
	struct position position;
};

/* --- the line --------------------------------------------------------------------- */

enum where_object_state {
	WHERE_NO_OBJECT_YET, /* the lake ends before it */
	WHERE_IN_OBJECT,
	WHERE_PASSED, /* the lake goes on behind it, without a line for it */
	WHERE_LOST,   /* it is told that the log had lost it */
	WHERE_LET_GO, /* by the retention of raw objects */
};

struct where_object {
	enum where_object_state state;
	char key[STORE_KEY_MAX + 1]; /* of the object */
	uint64_t line;		     /* from 1 */
	const char *lost;	     /* why, as gap_reason_text() has it */
};

/* Of a topic's record. */
MUST_USE enum err_code where_object_find(struct store *store, const struct where_record *record,
					 struct where_object *ret_object, struct err *err);

/* --- letters ---------------------------------------------------------------------- */

struct where_letter {
	char *stage;
	char *table; /* NULL: none is named */
	char *reason;
	char *key; /* of the object that it is in */
	bool done; /* a replay made it a row */
};

struct where_letters {
	struct where_letter *list;
	size_t count;
};

MUST_USE enum err_code where_letters_find(struct store *store, const struct where_record *record,
					  struct where_letters *ret_letters, struct err *err);
void where_letters_release(struct where_letters *letters); /* accepts a zeroed one */
/* That of the table's stage (NULL: of the sink), or NULL; `done`: one that a replay made a row. */
const struct where_letter *where_letters_of(const struct where_letters *letters,
					    const struct lake_table *table, bool done);

/* --- the row ---------------------------------------------------------------------- */

enum where_table_state {
	WHERE_IS_WAITING, /* the table has not come so far */
	WHERE_IS_ROW,
	WHERE_IS_LETTER,
	WHERE_IS_ANOTHERS, /* of the tables that share the topic */
	WHERE_IS_NOWHERE,  /* the table has passed it */
};

struct where_table {
	const struct lake_table *place;
	struct err fault; /* why it cannot be told; the rest is zero then */
	enum where_table_state state;
	bool there;			   /* the table */
	const struct where_letter *letter; /* of WHERE_IS_LETTER */
	struct answer row;		   /* of WHERE_IS_ROW: all columns, one row */
	char *file;			   /* its data file, as a key; NULL: not known */
	int64_t version; /* the one with which the row came, as far as the log goes back; -1: it is
			    older than `oldest` */
	int64_t oldest;
};

/* An error is in *ret_table, which is always filled in. `engine` opens files of the store. */
void where_table_find(struct store *store, const struct where_record *record,
		      const struct lake_table *place, const struct where_letters *letters,
		      struct engine *engine, struct where_table *ret_table);
void where_table_release(struct where_table *table); /* accepts a zeroed one */

#endif
