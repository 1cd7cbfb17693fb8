/*
 * delta_sweep.h - objects that go; for the files of this layer.
 */
#ifndef DELTA_DELTA_SWEEP_H
#define DELTA_DELTA_SWEEP_H

#include "delta/delta_clean.h"

struct delta_sweep {
	struct store *store;
	const struct delta_clean_options *options;
	const char *failpoint; /* after each run of them */
	bool ordered;	       /* but for those few that go at once */
	struct delta_sweep_item {
		char *key; /* NULL: it stays after all */
		uint64_t size;
	} * items;
	size_t count, room;
	int64_t began_ms; /* when what goes was begun to be found (monotonic clock) */
	int64_t end_ms;	  /* of the time that it may take, once it removes */
};

void delta_sweep_add(struct delta_sweep *sweep, const char *key, uint64_t size);
/* Items [from, to), until it is time (delta_clean_options). */
MUST_USE enum err_code delta_sweep_run(struct delta_sweep *sweep, size_t from, size_t to,
				       struct delta_cleaned *cleaned, struct err *err);
void delta_sweep_release(struct delta_sweep *sweep);

#endif
