/*
 * position.h - where a record stands in its partition.
 *
 * A position is an unsigned 192-bit number that rises within its partition: of
 * a topic the offset, of a stream the sequence number. Above broker/ it is
 * opaque: compared, printed, parsed and kept. Nobody adds 1 to one; what comes
 * after it is asked for with START_AFTER.
 *
 * Its text is decimal, padded with zeros to POSITION_DIGITS; sequence numbers
 * have 56 digits by themselves, so within a partition text order is log order.
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

/* Nobody knows where: it is no record's. */
#define POSITION_NONE ((struct position){ { UINT64_MAX, UINT64_MAX, UINT64_MAX } })

static inline int position_cmp(struct position a, struct position b)
{
	for (int i = 0; i < 3; i++)
		if (a.word[i] != b.word[i])
			return a.word[i] < b.word[i] ? -1 : 1;
	return 0;
}

/*
 * Tables of earlier versions have as their progress in a stream, instead of a sequence number, the
 * counter inside it, below 2^63. The position that it stands for in the partition of which `like`
 * is; any other position is returned as it is.
 */
struct position position_made_whole(struct position position, struct position like);

/* Text of at least POSITION_DIGITS digits, NUL at the end; returns its length. */
size_t position_text(struct position position, char text[POSITION_TEXT_MAX]);
/* False: not 1 to 58 decimal digits, or more than 192 bits. */
bool position_parse(struct slice text, struct position *ret);

/* The number that its text spells; false: it is not below 2^63. For those who name things by it
 * (flow/lake.h), not to compute with. */
static inline bool position_number(struct position position, uint64_t *ret)
{
	if (position.word[0] || position.word[1] || position.word[2] > INT64_MAX)
		return false;
	*ret = position.word[2];
	return true;
}

static inline struct position position_of_number(uint64_t number)
{
	return (struct position){ { 0, 0, number } };
}

/* "0" of a topic, "shardId-000000000000" of a stream; NUL at the end; returns its length. */
size_t partition_text(enum topic_kind kind, int32_t partition, char text[PARTITION_TEXT_MAX]);
bool partition_parse(enum topic_kind kind, struct slice text, int32_t *ret);

#endif
