/*
 * position.h - where a record stands in its partition.
 *
 * A position is an unsigned 192-bit number that rises within its partition:
 * of a topic the offset, of a stream the sequence number. Its text is decimal,
 * padded with zeros to POSITION_DIGITS; sequence numbers have 56 digits by
 * themselves, so within a partition text order is log order.
 *
 * The ordinal is the part that counts: the offset itself, or the 63-bit
 * counter inside a sequence number. It rises with the position and fits a
 * Delta `txn` version.
 *
 * Sequence numbers follow the layout that AWS uses (version 2), 47 hex digits:
 *	2 | 9 shard creation, s | 1 low nibble of the shard | 16 counter | 00
 *	  | 9 record time, s | 8 shard | 2
 * Ours put the shard's creation in both times, so a number is a pure function
 * of shard and counter and survives restarts.
 */
#ifndef BROKER_POSITION_H
#define BROKER_POSITION_H

#include "base/slice.h"

enum { POSITION_DIGITS = 20, POSITION_TEXT_MAX = 58 + 1, PARTITION_TEXT_MAX = 24 };

enum topic_kind {
	TOPIC_LOG,		/* a Kafka topic; its partitions are numbered */
	TOPIC_STREAM,		/* a Kinesis stream; its partitions are shards */
};

struct position {
	uint64_t word[3];	/* the most significant first */
};

static inline int position_cmp(struct position a, struct position b)
{
	for (int i = 0; i < 3; i++)
		if (a.word[i] != b.word[i])
			return a.word[i] < b.word[i] ? -1 : 1;
	return 0;
}

struct position position_of_offset(uint64_t offset);
struct position position_of_sequence(uint64_t created_s, uint32_t shard, uint64_t counter);
uint64_t position_ordinal(struct position position);
/* The position of another ordinal in the partition that `like` belongs to. */
struct position position_with_ordinal(struct position like, uint64_t ordinal);
/* The shard that a sequence number names. */
uint32_t position_shard(struct position sequence);

/* Text of at least POSITION_DIGITS digits, NUL at the end; returns its length. */
size_t position_text(struct position position, char text[POSITION_TEXT_MAX]);
/* False: not 1 to 58 decimal digits, or more than 192 bits. */
bool position_parse(struct slice text, struct position *ret);

/* "0" of a topic, "shardId-000000000000" of a stream; NUL at the end; returns its length. */
size_t partition_text(enum topic_kind kind, int32_t partition, char text[PARTITION_TEXT_MAX]);
bool partition_parse(enum topic_kind kind, struct slice text, int32_t *ret);

#endif
