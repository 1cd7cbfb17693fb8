/*
 * rebuild_letters.h - which dead letters of a table stay when it is cleaned
 * again, and which go.
 *
 * Letters that count are those up to the table's progress; what lies behind it
 * another writer may be about to commit, or a crash has left, and it is neither
 * kept nor removed here.
 *
 * Ownership: everything is borrowed. Threads: the caller's.
 */
#ifndef FLOW_REBUILD_LETTERS_H
#define FLOW_REBUILD_LETTERS_H

#include "flow/dlq.h"
#include "flow/reach.h"
#include "flow/staging.h"

struct rebuild_letters {
	struct staging *staging;
	struct broker *broker;
	const struct lake_table *place;
	const struct delta_table *old;
	const struct delta_table *staged;
	const struct reach *reach; /* what was read again, and has its letters anew */
};

bool rebuild_letter_is_of(const struct dlq_source *source, const struct dlq_entry *entry);
/* Stages the letters of records that are not there any more. */
MUST_USE enum err_code rebuild_letters_keep(const struct rebuild_letters *letters,
					    struct err *err);
/* The keys of all that stand and do not stay, a line each, for staging_seal(). */
MUST_USE enum err_code rebuild_letters_drop(const struct rebuild_letters *letters,
					    struct buf *out, struct err *err);

#endif
