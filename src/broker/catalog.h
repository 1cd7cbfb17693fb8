/*
 * catalog.h - the file `topics`: which topics and streams a log has.
 *
 * Text, one item a line, replaced as a whole (written beside, synced, renamed,
 * directory synced):
 *	pinpipe topics 1
 *	log <log id, hex>
 *	topic <log|stream> <uid, hex> <made at, ms> <partitions> <name>
 *	partition <id> <open|closed> <parent> <parent> <first ordinal ever> <shard made at, s>
 *		<first hash, hex> <last hash, hex>	(one for each, after its topic)
 *	gone <log|stream> <ordinal> <s> <name>		(topics.h: what a removed topic leaves)
 *	floor <ordinal>		(of each of its partitions in turn; the rest have that of `gone`)
 *	crc <CRC-32C of all before this line, hex>
 *
 * Threads: the owner's lock.
 */
#ifndef BROKER_CATALOG_H
#define BROKER_CATALOG_H

#include "broker/topics.h"

/* Make an empty one if there is none; of several processes one wins. */
MUST_USE enum err_code catalog_make(int dir_fd, struct err *err);
/* Into an empty table. ERR_ABSENT: there is none. ERR_CORRUPT. */
MUST_USE enum err_code catalog_load(int dir_fd, struct topics *topics, uint64_t *ret_log_id,
				    struct err *err);
/* Durable on return. ERR_UNKNOWN: it is there, but a power cut may bring the old one back; after
 * any other error the old one is still there. */
MUST_USE enum err_code catalog_save(int dir_fd, const struct topics *topics, uint64_t log_id,
				    struct err *err);

#endif
