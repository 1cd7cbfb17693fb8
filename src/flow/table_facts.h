/*
 * table_facts.h - how a table is, for who looks after it: its rows and files, how far back its log
 * goes, its last commits, and what waits for it.
 *
 * Nothing of the data is read, and of the log no more than an opening reads and the newest commits;
 * letters and objects are counted as they are listed. So on a service it is a few requests a table,
 * and a page more for every thousand objects that wait or hold letters.
 *
 * Ownership: everything is borrowed. Threads: any, one a table.
 */
#ifndef FLOW_TABLE_FACTS_H
#define FLOW_TABLE_FACTS_H

#include "delta/delta_history.h"
#include "flow/lake.h"

enum { TABLE_LETTER_FILES_MAX = 10000 };

struct table_facts {
	struct err fault; /* why it cannot be read; what follows is zero but letters.
			     ERR_ABSENT: there is no table yet */
	uint64_t rows;
	uint64_t files;			    /* live ones, … */
	uint64_t bytes;			    /* … all of them, … */
	uint64_t smallest, median, largest; /* … and one; 0: there is none */
	struct delta_recent recent;
	char refused[DELTA_WHY_SIZE]; /* why no more can be written, or "" */
	uint64_t letter_files;	      /* objects of its dead letters; counted up to the maximum */
	bool waiting_known;
	uint64_t waiting; /* records of its topic that it has not passed */
	uint64_t objects; /* of those in the lake, on the batch path */
};

/* `topic`: of the table, as the broker has it; NULL: it is not known. An error of the table itself
 * is in *ret_facts, which is always filled in. */
void table_facts_take(struct store *store, const struct lake_table *table,
		      const struct topic_info *topic, struct table_facts *ret_facts);

#endif
