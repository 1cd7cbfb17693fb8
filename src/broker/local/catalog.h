/*
 * catalog.h - the file `topics`: which topics and streams a log has.
 *
 * `topics.copy` is the same, for the day on which the other one is damaged. It
 * is replaced first, so it lacks nothing that a client was told is there.
 *
 * Text, one item a line, replaced as a whole (written beside, synced, renamed,
 * directory synced):
 *	pinpipe topics 2	(1: a log whose segments are all of version 1, journal.h)
 *	log <log id, hex>
 *	topic <log|stream> <uid, hex> <made at, ms> <partitions> <name>
 *	partition <id> <open|closed> <parent> <parent> <first ordinal ever> <shard made at, s>
 *		<first hash, hex> <last hash, hex>	(one for each, after its topic)
 *	gone <log|stream> <ordinal> <s> <name>		(floors.h)
 *	floor <ordinal>		(of each of its partitions in turn; the rest have that of `gone`)
 *	crc <CRC-32C of all before this line, hex>
 *
 * Threads: the owner's lock.
 */
#ifndef BROKER_LOCAL_CATALOG_H
#define BROKER_LOCAL_CATALOG_H

#include "broker/topics.h"

/* Make an empty one if there is none; of several processes one wins. ERR_CORRUPT: there is a log
 * already, which has lost its own. */
MUST_USE enum err_code catalog_make(int dir_fd, struct err *err);
bool catalog_is_there(int dir_fd);
/* The writer's, before it makes a segment: from now on programs that know the first version only
 * refuse the log. */
MUST_USE enum err_code catalog_upgrade(int dir_fd, const struct topics *topics, uint64_t log_id,
				       struct err *err);
/* ERR_CORRUPT: there is a log, which has lost its catalog. */
MUST_USE enum err_code catalog_need_no_log(int dir_fd, struct err *err);
/* Into the log of another directory, durable but for the names. */
MUST_USE enum err_code catalog_copy(int from_fd, int to_fd, struct err *err);
/* The writer's, before it loads: what is damaged or gone of the two is made of the other one. */
void catalog_mend(int dir_fd);
/* Not ERR_OK: one of the two is damaged. */
MUST_USE enum err_code catalog_check(int dir_fd, struct err *err);
/* Into an empty table, from the copy if need be. ERR_ABSENT: there is none.
 * ERR_CORRUPT. ERR_UNSUPPORTED: a newer program wrote it. */
MUST_USE enum err_code catalog_load(int dir_fd, struct topics *topics, uint64_t *ret_log_id,
				    struct err *err);
/* Durable on return. ERR_UNKNOWN: it is there, but a power cut may bring the old one back; after
 * any other error the old one is still there. */
MUST_USE enum err_code catalog_save(int dir_fd, const struct topics *topics, uint64_t log_id,
				    struct err *err);

#endif
