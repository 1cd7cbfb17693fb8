/*
 * db_load.h - makes the three tables of the posts in a MySQL database, and
 * fills them from a source.
 *
 * The tables are built under names of their own (<name>__pinpipe_new), each over
 * a connection of its own, and take their places with one RENAME: what was there
 * stays as it is until all of the new is, and nobody sees a part. What a load
 * that was cut left behind the next one removes. Of two loads of one database at
 * a time the second is refused (GET_LOCK).
 *
 * Ownership: the options are borrowed for the call. Threads: one; it is the
 * source's meanwhile.
 */
#ifndef FLOW_DB_LOAD_H
#define FLOW_DB_LOAD_H

#include "source/mysql_table.h"

struct db_load_report {
	uint64_t posts;		/* of the source, so far */
	uint64_t of;		/* so many */
	uint64_t rows[SOURCE_TABLES];
	double seconds;
};

struct db_load_options {
	const struct mysql_options *mysql;
	struct source *source;	/* has rows of all three tables */
	bool replace;
	/* Called about ten times a second, and at the end. */
	void (*progress)(void *user, const struct db_load_report *so_far);
	void *user;
};

/*
 * ERR_EXISTS: a table is there, and may not be replaced. ERR_SHAPE: a row that does not fit its
 * table. ERR_LOCKED: another load is at it. ERR_STOPPED: the process was asked to stop. Whatever
 * fails, the tables are as they were.
 */
MUST_USE enum err_code db_load(const struct db_load_options *options,
			       struct db_load_report *ret_report, struct err *err);

#endif
