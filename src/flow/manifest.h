/*
 * manifest.h - which offsets the lines of an object have, where they are not
 * just those from its start on.
 *
 *	manifests/<topic>/partition=<p>/<start, 20 digits>+<CRC-32C of the object>.json
 *	{"key":"topics/…json","after":"<20 digits>"|null,"runs":[["<first, 20 digits>",<count>],…]}
 *
 *  1. A log may number what is no record (markers of transactions) or let go of
 *     records that newer ones stand for. Such a gap does not end an object; its
 *     manifest has the runs of offsets that its lines are, in order.
 *  2. `after`: the last offset that the lake accounts for before this object, by
 *     an object or dead letters, if it is not start - 1: what lies between the
 *     two were no records. So an object without a gap inside may have one too.
 *  3. An object without a manifest has line n (from 0) at start + n, and touches
 *     what is before it. That is every object of a log without gaps, so that the
 *     listing of manifests is normally empty.
 *  4. It is put before its object, create-only. Of two sinks that come to the
 *     same start with other ends one wins the object's name, and its bytes tell
 *     which of the manifests is its own; the other says nothing, for ever.
 *  5. Objects that land together have one manifest for all of them: group.h.
 *
 * Ownership: manifest_release(), manifests_release(). Threads: what was loaded
 * is only read, so any.
 */
#ifndef FLOW_MANIFEST_H
#define FLOW_MANIFEST_H

#include "flow/lake.h"

enum { MANIFEST_RUNS_MAX = 100000 };	/* a sink closes its object then */

struct manifest_run {
	uint64_t first;
	uint64_t count;
};

/* Of one object. Without runs: rule 3. */
struct manifest {
	uint64_t start;
	bool has_after;
	uint64_t after;
	struct manifest_run *runs;
	size_t run_count;
	size_t run_room;
};

/* --- for who writes: add the offset of each line, rising ----------------- */

void manifest_add(struct manifest *manifest, uint64_t offset);
/* So many at once. */
void manifest_add_run(struct manifest *manifest, uint64_t first, uint64_t count);
/* Whether the object needs one to be understood. */
bool manifest_is_needed(const struct manifest *manifest);
/* Empty again; keeps its memory. */
void manifest_clear(struct manifest *manifest);
void manifest_release(struct manifest *manifest);
/* Its key and text, for the object with these bytes; both are cleared first. */
void manifest_write(const struct manifest *manifest, struct lake_partition where,
		    struct slice object, struct buf *key, struct buf *text);

/* --- for who reads -------------------------------------------------------- */

struct manifest_name {
	uint64_t start;
	uint32_t crc;
};

/* The names of a partition's manifests, in order of start. */
struct manifests {
	struct lake_partition where;
	struct manifest_name *names;
	size_t count;
	size_t room;
};

/* Those of objects that begin after offset `after` (-1: all). One listing. */
MUST_USE enum err_code manifests_load(struct store *store, struct lake_partition where,
				      int64_t after, struct manifests *ret, struct err *err);
void manifests_release(struct manifests *manifests);
/* Whether an object that begins there may have one: without, nothing need be asked. */
bool manifests_may_have(const struct manifests *manifests, uint64_t start);
/*
 * That of the object which begins at `start` and has these bytes; rule 3's if it has none.
 * ERR_CORRUPT: it does not fit the object, which has other lines. The caller releases it.
 */
MUST_USE enum err_code manifests_find(const struct manifests *manifests, struct store *store,
				      uint64_t start, struct slice object,
				      struct manifest *ret_manifest, struct err *err);

/* Goes through the offsets of an object's lines. */
struct manifest_cursor {
	const struct manifest *manifest;
	size_t run;
	uint64_t line;			/* of the run */
};

static inline struct manifest_cursor manifest_begin(const struct manifest *manifest)
{
	return (struct manifest_cursor){ .manifest = manifest };
}

/* Of the next line; an object has as many as its manifest, or any number without runs. */
uint64_t manifest_next(struct manifest_cursor *cursor);
/* Of line `line`, from 0. */
uint64_t manifest_offset(const struct manifest *manifest, uint64_t line);
/* The first offset that is accounted for by an object, together with the gap before it. */
static inline uint64_t manifest_from(const struct manifest *manifest)
{
	return manifest->has_after ? manifest->after + 1 : manifest->start;
}
/* Lines of a text that ends with a line end, or has a last one without. */
uint64_t manifest_count_lines(struct slice object);

#endif
