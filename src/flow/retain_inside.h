/*
 * retain_inside.h - the parts of retain.h to each other. Only retain*.c include it.
 *
 *	retain.c		the tables of a topic, and how far they are; removing
 *	retain_raw.c		which raw objects go
 *	retain_letters.c	which dead letters do
 */
#ifndef FLOW_RETAIN_INSIDE_H
#define FLOW_RETAIN_INSIDE_H

#include "delta/delta.h"
#include "flow/retain.h"

struct retain_table {
	struct lake_table place;
	struct delta_table *delta;
};

struct retaining {
	const struct retain_options *options;
	const struct lake_table *table; /* the first one of … */
	struct retain_table *tables;	/* … those that are made of the topic */
	size_t table_count;
	int64_t now_ms; /* clock_age_ms() */
	struct retain_report *report;
};

/* Keys on their way out. */
struct retain_keys {
	struct retain_key {
		char *key;
		uint64_t size;
	} * list;
	size_t count;
	size_t room;
};

enum { RETAIN_KEYS_MAX = 50000 }; /* at once */

void retain_keys_add(struct retain_keys *keys, const char *key, uint64_t size);
void retain_keys_release(struct retain_keys *keys);
/* Several at a time, or, of a dry run, only told and counted; they are empty afterwards. */
MUST_USE enum err_code retain_remove(struct retaining *retaining, struct retain_keys *keys,
				     struct retained *retained, struct err *err);
/* For failpoints. */
MUST_USE enum err_code retain_fail_at(int sys, struct err *err);

MUST_USE enum err_code retain_raw(struct retaining *retaining, struct err *err);
MUST_USE enum err_code retain_letters(struct retaining *retaining, struct err *err);

#endif
