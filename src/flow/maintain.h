/*
 * maintain.h - the process that cares for the lake's tables, so that nobody has
 * to think of files.
 *
 * It looks at every table of both paths, of each model: every `every_ms` while
 * something comes in, and less often the longer nothing does, to 10 s in a
 * directory and a minute in a bucket, where a look is a request. A look asks for
 * the next version and nothing else. A table whose version is another has its
 * chores done (struct maintain_chore in maintain.c): a merge of files, as often
 * as there is one to be made, and a checkpoint, when one is due. From time to time
 * what it does not need any more is taken away (vacuum.h): each tenth of the time
 * that it keeps files, at most every 10 s and at least every 10 min, until all
 * that its last change left has gone.
 *
 * Where another program's OPTIMIZE has doubled rows they are put right (heal.h),
 * first of all. A table that another program has optimized is not merged for ten minutes,
 * or until it has 200 files more, so that the next one is not overtaken.
 *
 * Raw objects and dead letters go likewise (retain.h), topic by topic, if they are not kept for
 * ever: each tenth of the time that they are, within the same bounds.
 *
 * A table that is being rebuilt (staging.h) is left alone, since a rebuild is committed on the
 * version that it was begun on or not at all; for a day at most, as one may have been killed.
 *
 * A table that is not there yet is looked for again. One at which a chore fails
 * is told, and left alone for a while; the others go on. Nothing here is in
 * anybody's way: another writer wins every conflict, and the process runs behind
 * all others (nice 10, the idle class for its I/O).
 *
 * A stop ends it between two chores, and a merge at once, whose work is lost.
 *
 * One process a data directory (lock "maintain.lock"); several on one lake, of
 * different directories, lose some work to each other and nothing else.
 * Ownership: everything in the options is borrowed. Threads: the caller's.
 */
#ifndef FLOW_MAINTAIN_H
#define FLOW_MAINTAIN_H

#include "engine/model.h"
#include "flow/compact.h"
#include "flow/retain.h"

struct maintain_options {
	const char *id;
	const struct models *models;
	int64_t every_ms;
	bool paid; /* each look costs something: the lake is in a bucket */
	struct compact_options compact;
	struct lake_keep keep[2]; /* of each topic_kind */
	struct retain_keep retain;
};

/* Of all tables. */
struct maintain_counts {
	uint64_t commits;
	uint64_t files_in;
	uint64_t files_out;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t conflicts;
	uint64_t removed; /* objects, by the clean-up */
	uint64_t removed_bytes;
};

/* Runs until a stop is asked. */
MUST_USE enum err_code maintain_run(const struct maintain_options *options,
				    struct maintain_counts *ret_counts, struct err *err);

#endif
