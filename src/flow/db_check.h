/*
 * db_check.h - what a database has of the three tables of the posts, and
 * whether posts can be read from it.
 *
 * Threads: any.
 */
#ifndef FLOW_DB_CHECK_H
#define FLOW_DB_CHECK_H

#include "source/mysql_table.h"

struct db_check_table {
	const char *name;
	bool there;
	enum mysql_key key;
	uint64_t rows;
	uint64_t first, last;	/* keys; of no rows 0 */
	char charset[64];
	struct err fault;	/* why its rows cannot be read; code ERR_OK: they can */
};

struct db_check_report {
	char version[64];
	char cipher[64];	/* "": not encrypted */
	struct db_check_table tables[SOURCE_TABLES];
	uint64_t posts;		/* keys that some table has */
	uint64_t whole;		/* keys that all have */
};

/* Another code than ERR_OK: the database itself cannot be read. */
MUST_USE enum err_code db_check(const struct mysql_options *options, uint64_t memory_bytes_max,
				struct db_check_report *ret_report, struct err *err);
/* Nothing is wrong. */
bool db_check_is_well(const struct db_check_report *report);

#endif
