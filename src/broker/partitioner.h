/*
 * partitioner.h - where a record goes by its key.
 *
 * Kafka: murmur2 of the key as the Java client's default partitioner has it.
 * Kinesis: the MD5 of the partition key as a 128-bit number, looked up in the
 * shards' hash ranges (both ends belong to a shard).
 */
#ifndef BROKER_PARTITIONER_H
#define BROKER_PARTITIONER_H

#include "broker/topics.h"

uint32_t partitioner_murmur2(struct slice key);
/* murmur2, its sign bit cleared, modulo `partitions`. */
int32_t partitioner_of_key(struct slice key, int32_t partitions);

struct hash_key partitioner_md5(struct slice key);
/* The range of shard `index` of `count` at the creation of a stream. */
void partitioner_range(int32_t index, int32_t count, struct hash_key *ret_first,
		       struct hash_key *ret_last);

/*
 * Chooses a partition for each record of an append and puts it into its outcome, or the
 * code that says why there is none: ERR_NO_PARTITION, ERR_CLOSED, ERR_LIMIT (key and value
 * over `record_bytes_max`). If no record has one: the code of the first.
 */
MUST_USE enum err_code partitioner_place(struct topic *topic, struct append *append,
					 size_t record_bytes_max, struct err *err);

static inline int hash_key_cmp(struct hash_key a, struct hash_key b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	return a.low < b.low ? -1 : a.low > b.low;
}

#endif
