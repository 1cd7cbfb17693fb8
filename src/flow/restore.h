/*
 * restore.h - a log made anew out of the lake, for who has lost the log.
 *
 * What is in it then:
 *  1. Of every topic the records that the lake's objects hold, at the offsets that
 *     they had, and those that the sink has put aside as dead letters, in their
 *     places. Keys, headers and times are those that were stored (letters keep the
 *     time, objects only what the sink was told to keep); else none, and the time
 *     of the restore.
 *  2. What nobody has, though it was a record, is a gap that the log itself tells;
 *     so is what never was one. What was let go of before the first object is
 *     told as such; so are records in objects of which nothing tells the offsets of
 *     their lines (sink_foreign.h).
 *  3. Topics have the identity (uid) and their records the lineage that the lake
 *     knows of them (history.h), so the sink goes on in this lake as if nothing
 *     had happened; new records are of another life of the log.
 *  4. They go on behind the last offset that anything in the lake tells of: objects,
 *     manifests, letters, the tables' progress.
 *  5. Streams have no records: what of them is in the lake is rows. They have the
 *     identity that the tables' progress has, and begin above all of it.
 *
 * What was acknowledged and had not come into the lake is gone, and nobody can
 * tell how much that was. Partitions that never had a record show nowhere: who
 * calls says how many there are at least.
 *
 * The lake may be written to meanwhile (it should not: two logs of one identity
 * are then at work); what the sink put before the restore began is in it, and what
 * came since is not, nor is it counted as missing. Nothing is written to the lake.
 * The log is made beside (remake.h) and there when it is whole; a restore that ended
 * before is begun anew.
 *
 * Objects that land together (group.h) may not all be there, where the sink ended
 * with the log, and nobody can put the rest any more: a sink would wait for the
 * records for ever. Then the restore is refused, unless it may take away what is
 * there of them. It does so once the log is there, which has their records; what
 * is to be taken away stands in DIR/log until it is done, so that the next restore
 * ends it.
 *
 * Ownership: everything is borrowed; restore_report_release(). Threads: the
 * caller's one, and those that bring objects ahead.
 */
#ifndef FLOW_RESTORE_H
#define FLOW_RESTORE_H

#include "broker/broker.h"
#include "store/store.h"

struct restore_options {
	struct store *store;
	const char *dir;	/* in which the log is to be */
	uint64_t segment_bytes;
	int32_t partitions;	/* of a topic at least … */
	int32_t shards;		/* … and of a stream */
	bool dry_run;		/* only what there is to be restored */
	bool drop_unfinished;	/* groups that are not whole go */
};

struct restored_topic {
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
	int32_t partitions;
	uint64_t objects;	/* of the lake, those of letters too */
	uint64_t bytes;		/* of them */
	uint64_t records;	/* what follows: not known in a dry run */
	uint64_t letters;	/* of the records, those that were the sink's dead letters */
	uint64_t missing;	/* that nobody has */
};

struct restore_report {
	struct restored_topic *topics;
	size_t count;
	uint64_t log_bytes;
	uint64_t unfinished;	/* groups that are not whole, and were, or would be, taken away */
	bool went_on;		/* the log was there: only what was left of that was done */
};

/* ERR_EXISTS: there is a log. ERR_ABSENT: the lake has nothing that a log could be made of.
 * ERR_UNSUPPORTED: it is of topics that our log cannot have. */
MUST_USE enum err_code restore_run(const struct restore_options *options,
				   struct restore_report *ret_report, struct err *err);
void restore_report_release(struct restore_report *report);

#endif
