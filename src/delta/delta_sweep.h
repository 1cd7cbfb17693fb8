/*
 * delta_sweep.h - objects that go; for the files of this layer.
 */
#ifndef DELTA_DELTA_SWEEP_H
#define DELTA_DELTA_SWEEP_H

#include "delta/delta_clean.h"

struct delta_sweep {
	struct store *store;
	const struct delta_clean_options *options;
	const char *failpoint; /* after each */
	bool ordered;	       /* but for those few that go at once */
	struct delta_sweep_item {
		char *key; /* NULL: it stays after all */
		uint64_t size;
	} * items;
	size_t count, room;
};

void delta_sweep_add(struct delta_sweep *sweep, const char *key, uint64_t size);
/* Items [from, to): several at a time where each takes a while. */
MUST_USE enum err_code delta_sweep_run(struct delta_sweep *sweep, size_t from, size_t to,
				       struct delta_cleaned *cleaned, struct err *err);
void delta_sweep_release(struct delta_sweep *sweep);

#endif
