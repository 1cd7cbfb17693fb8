/*
 * sequence.h - how our own log makes positions, and takes them apart; for
 * broker/ and tests only.
 *
 * The ordinal is the part that counts, one by one: the offset itself, or the
 * 63-bit counter inside a sequence number. It rises with the position.
 *
 * Sequence numbers follow the layout that AWS uses (version 2), 47 hex digits:
 *	2 | 9 shard creation, s | 1 low nibble of the shard | 16 counter | 00
 *	  | 9 record time, s | 8 shard | 2
 * Ours put the shard's creation in both times, so a number is a pure function
 * of shard and counter and survives restarts.
 *
 * Of a stream a position below 2^63 is never a sequence number: to a seek it is
 * an ordinal. So tables whose progress is the ordinal, as it once was, go on.
 */
#ifndef BROKER_SEQUENCE_H
#define BROKER_SEQUENCE_H

#include "broker/position.h"

struct position position_of_offset(uint64_t offset);
struct position position_of_sequence(uint64_t created_s, uint32_t shard, uint64_t counter);
/* It is no sequence number: an offset, or of a stream an ordinal. */
static inline bool position_is_ordinal(struct position position)
{
	return position.word[0] == 0 && position.word[1] == 0 && position.word[2] <= INT64_MAX;
}

uint64_t position_ordinal(struct position position);
/* The position of another ordinal in the partition that `like` belongs to. */
struct position position_with_ordinal(struct position like, uint64_t ordinal);
/* The second in which the shard of a sequence number was made. */
uint64_t position_created_s(struct position sequence);
/* The shard that a sequence number names. */
uint32_t position_shard(struct position sequence);

#endif
