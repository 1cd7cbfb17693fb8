/*
 * backup.h - a copy of a log as it was at one moment, beside a writer that goes
 * on: everything that was durable when it began, and nothing in part.
 *
 * The moment is the watermark that is read first. Segments are copied up to it,
 * from the newest back, since retention takes the oldest: what is there is then
 * without a hole. Groups are read before it and topics after it, so that no
 * group is ahead of the records and no record without its topic.
 *
 * The copy is made as TO.part, which has its own lock, synced, read through by
 * its checksums and then named TO, which must not be there. A TO.part that a
 * crash left is begun anew. A writer that opens the copy is another life
 * (journal.h, LIVES), so the two histories can be told apart.
 *
 * FAILPOINTS  backup-copied backup-named
 */
#ifndef BROKER_LOCAL_BACKUP_H
#define BROKER_LOCAL_BACKUP_H

#include "base/err.h"

#include <stdint.h>

struct backup {
	uint64_t segments;
	uint64_t bytes; /* of segments */
	uint64_t records;
	uint64_t damaged; /* places, as in the log itself */
};

/* Of the log in `dir`. ERR_EXISTS: `to` is there; ERR_LOCKED: another backup makes it; ERR_STOPPED;
 * ERR_CORRUPT: the copy has damage that the log has not. */
MUST_USE enum err_code backup_make(const char *dir, const char *to, struct backup *ret,
				   struct err *err);

#endif
