/*
 * journal.h - the durable log: one sequence of batches for all partitions of a
 * data directory, in segment files.
 *
 * WHY ONE  A group commit costs one sync, however many topics wait for it.
 *
 * WORDS  A byte of the journal has an address; a record has an ordinal in its
 * partition, and a position (position.h) for clients. A batch is here always a
 * log batch: what is written of one partition at once. A commit group is what
 * becomes durable at once; a group by itself is a consumer group (commits.h).
 *
 * FILES  in DIR/log: `lock` (the writer's), `topics` (catalog.h), `watermark`
 * (watermark.h), segments and the spare (segment.h), `groups/` (commits.h).
 *
 * ADDRESSES  Every byte of the journal has a 64-bit address, which never
 * comes again. A segment covers the addresses from its base on; a new one
 * begins where the whole file before it would have ended, even if that was
 * not filled. So bytes that a recycled file still holds, or that a failed
 * write left behind, never have the address that a reader looks for.
 *
 * SEGMENT  All numbers are little-endian.
 *	   0	"PINPIPEJ"
 *	   8	u32 version, 2
 *	  12	u32 CRC-32C of bytes 8 to 11 and 16 to 63; in version 1 of 16 to 63
 *	  16	u64 base: the address of byte 0
 *	  24	u64 size of the file
 *	  32	u64 epoch: counts the lives of writers
 *	  40	u64 log id: random, of this directory
 *	  48	i64 made at, wall clock, ms
 *	  56	u64 life: random, of the writer that made it; zeros in version 1
 *	  64	zeros up to 4096
 *	4096	batches, each at a multiple of 8
 *
 * BATCH
 *	   0	u32 0x424a5050 ("PPJB")
 *	   4	u32 header CRC: CRC-32C of bytes 8 to 79
 *	   8	u64 address of byte 0
 *	  16	u32 payload bytes
 *	  20	u32 CRC-32C of the payload
 *	  24	u32 chain: header CRC of the batch before it, of the first: of the segment header
 *	  28	u32 kind: 1 records, 2 state, 3 mark, 4 gap
 *	  32	u64 epoch
 *	  40	u64 watermark: everything before this address was durable when this was written
 *	  48	i64 time, wall clock, ms; never falls from one batch to the next
 *	  56	u64 uid of the topic			(records, gap)
 *		    or the segment's life		(state; zeros in version 1)
 *	  64	i32 partition				(records, gap)
 *	  68	u32 count of records, of a gap's ordinals, or of a state's entries
 *	  72	u64 ordinal of the first record		(records, gap)
 *	  80	payload, then zeros up to a multiple of 8
 *
 *	Records: for each, u32 key bytes, u32 value bytes (0xffffffff: null), key, value.
 *	One that brings a time or headers (from version 2 on) has before that: u32 0xfffffffe,
 *	u32 bytes that follow up to its key bytes, i64 time in ms (0: the batch's), u32
 *	count of headers, then for each as for a record: name bytes, value bytes, name, value.
 *	State, always the first batch of a segment: u64 base of the segment before
 *	(0: none), u64 address at which the log ends in it; then for each partition
 *	u64 uid, i32 partition, u32 0, u64 next ordinal.
 *	Mark: nothing; written when the writer comes to rest, for its watermark.
 *	Gap: u32 why (enum gap_reason), u32 0. Only a log that was made anew (remake.h) has them: of
 *	ordinals that were no records, or whose records nobody has. To a program that is older than
 *	them it is as if the records had been lost here.
 *
 * VALID  is a batch if its magic, address and header CRC are right, it ends
 * inside the segment, and its payload has the CRC that the header says. The
 * header has a CRC of its own, so no length is trusted unchecked, and of a
 * batch with a damaged payload one still knows whose records are lost.
 *
 * VERSIONS  Segments of version 1 are read. What version 2 may hold a program of then takes for
 * damage, so it must not get that far: a writer gives the catalog its second version before it
 * makes a segment, which such a program refuses.
 *
 * LIVES  A writer's life has a random number. A log that was copied away, put back and written on
 * has a new one from the first new record on, so the same ordinal of two histories is told apart
 * by it; epochs alone would be the same. Of a log of version 1 the life is derived from log id and
 * epoch.
 *
 * THE END OF A SEGMENT is told by the state of the next one, not by a footer
 * of its own: a segment whose write or sync failed is poison, must never be
 * written again, and can be closed in no other way. So rolling, closing what a
 * crash left, and getting rid of a failed write are one and the same step:
 * the state of the next segment becomes durable. It also holds every
 * partition's next ordinal, so what is needed of older segments can go.
 *
 * WRITING  One thread at a time. For each commit group: batches are written at the end, the
 * file is synced once, the watermark is published, then the appends are told.
 * The next segment (filled with zeros, header, file and directory synced) is
 * made ahead by another thread, so a roll costs nothing.
 *
 * WHEN A WRITE OR SYNC FAILS  the segment is given up, the log in it ends at
 * the last sync, and the same group is written once more, to a new segment.
 * If that fails too, its records are ERR_UNKNOWN (a crash now may find them or
 * not), the second file is removed, and nothing is taken until a new segment
 * could be made. If no segment can be made to begin with, nothing was written
 * and the records get the exact code (ERR_SPACE).
 *
 * RECOVERY (recover.c), before the first append
 *	1. The tail is the last segment with a valid state, or a later one that
 *	   step 2 shows to be part of the log.
 *	2. Read the tail and all after it to their ends. The watermark is the
 *	   highest in any valid header, or in the watermark file.
 *	3. Read the tail again. What is not valid below the watermark is damage:
 *	   kept where it is, passed over, counted. The log ends at the first
 *	   place at or above the watermark where there is no valid batch that
 *	   chains to the one before; what is beyond is the torn tail. Where
 *	   damage hides whose records are lost (a header, or a segment that is
 *	   not there), every partition that may be meant goes on above the most
 *	   that can have been there, or where the watermark file says that it ended (its
 *	   ends): no ordinal or position is given out again.
 *	4. Sync the tail (what was read may be in the page cache only), remove
 *	   segments after it, make a new segment. Its state says where the tail
 *	   ends; once that is synced the cut is done. Until then nothing has
 *	   changed, so recovery can be interrupted and repeated at any point.
 *
 * FAILPOINTS  journal-write journal-written journal-synced journal-ends journal-watermark
 * segment-create segment-fill segment-header segment-dirsync segment-roll
 * segment-recycle catalog-write catalog-rename catalog-renamed recovery-cut
 * recovery-state journal-rest
 *
 * Threads: one at a time (committer.h sees to that, an assert here watches it);
 * keeper.h has its own.
 */
#ifndef BROKER_LOCAL_JOURNAL_H
#define BROKER_LOCAL_JOURNAL_H

#include "base/buf.h"
#include "base/stage.h"
#include "broker/local/commit_group.h"
#include "broker/local/keeper.h"
#include "broker/local/recover.h"
#include "broker/local/segment.h"
#include "broker/local/watermark.h"

#include <stdatomic.h>

struct journal_options {
	int dir_fd;
	uint64_t log_id;
	uint64_t segment_bytes;		/* of a full segment */
	uint64_t first_bytes;		/* of the first of a writer's life; later ones grow */
	struct watermark *watermark;	/* borrowed */
	struct keeper *keeper;		/* borrowed */
	/* Appends a state_entry for every partition; called when a segment begins. */
	void (*put_state)(void *user, struct buf *out);
	/* More of the group has become durable: lane.durable has risen, partition->next shall. */
	void (*durable)(void *user, const struct commit_group *group);
	void *user;
};

struct journal {
	struct journal_options options;
	struct segment segment;
	bool usable;			/* the segment may be written */
	bool state_due;			/* its first batch is still to be written */
	uint64_t at;			/* where the next batch goes */
	uint64_t synced;		/* everything before it is durable */
	uint64_t previous_base;		/* what the segment's state says */
	uint64_t previous_end;
	uint64_t next_base;		/* of a segment still to be made */
	uint64_t next_size;
	uint64_t epoch;
	uint64_t life;
	uint32_t chain;
	int64_t last_ms;		/* the newest timestamp */
	int64_t wall_ms;		/* when the time was last taken, by both clocks; … */
	int64_t boot_ms;		/* … 0: not yet */
	bool leapt;			/* the wall clock is not believed any more */
	bool broken;			/* two writes in turn failed */
	bool marked;			/* nothing was written since the last mark */
	bool tried;			/* journal_try() failed, and here is why */
	struct err failure;
	_Atomic bool busy;		/* somebody is in it */
	struct buf state;
	struct stage stage;
	struct index index;		/* of `segment`, as far as it is written */
	struct index previous_index;
};

/* Carries out what `plan` found. On return there is a new, durable segment. */
MUST_USE enum err_code journal_open(struct journal *journal,
				    const struct journal_options *options,
				    const struct recovery *plan, struct err *err);
/* Marks the end, unless something failed. */
void journal_close(struct journal *journal);

/* Makes the group durable as far as it can and notes in it how far that was. It may wait for a
 * segment, and read one when a write failed. */
void journal_commit(struct journal *journal, struct commit_group *group);
/* One write and one sync of a group that the segment at hand has room for. False: that failed, and
 * the next call is journal_commit() with the same group, which takes it from there. */
MUST_USE bool journal_try(struct journal *journal, struct commit_group *group);
/* The group fits into the segment at hand. */
bool journal_has_room(const struct journal *journal, const struct commit_group *group);
/* The writer has nothing to do: marks the end, or tries whether writing works again. */
void journal_rest(struct journal *journal);

#endif
