#include "broker/sequence.h"

/* Bit offsets in a sequence number, counted from the lowest bit; see sequence.h. */
enum {
	SEQ_END = 0,		/* 4 bits, always 2 */
	SEQ_SHARD = 4,		/* 32 */
	SEQ_TIME = 36,		/* 36 */
	SEQ_COUNTER = 80,	/* 64; the 8 bits below it are zero */
	SEQ_NIBBLE = 144,	/* 4 */
	SEQ_CREATED = 148,	/* 36 */
	SEQ_VERSION = 184,	/* 4, always 2 */
};

/* Or `value` in, its lowest bit at bit `at`. */
static void put_bits(struct position *position, unsigned at, uint64_t value)
{
	unsigned word = 2 - at / 64, shift = at % 64;

	position->word[word] |= value << shift;
	if (shift && word > 0)
		position->word[word - 1] |= value >> (64 - shift);
}

static uint64_t get_bits(struct position position, unsigned at)
{
	unsigned word = 2 - at / 64, shift = at % 64;
	uint64_t value = position.word[word] >> shift;

	if (shift && word > 0)
		value |= position.word[word - 1] << (64 - shift);
	return value;
}

static bool is_offset(struct position position)
{
	return position.word[0] == 0;
}

struct position position_of_offset(uint64_t offset)
{
	return (struct position){ .word = { 0, 0, offset } };
}

struct position position_of_sequence(uint64_t created_s, uint32_t shard, uint64_t counter)
{
	struct position position = { { 0 } };

	put_bits(&position, SEQ_END, 2);
	put_bits(&position, SEQ_SHARD, shard);
	put_bits(&position, SEQ_TIME, created_s & 0xfffffffff);
	put_bits(&position, SEQ_COUNTER, counter & INT64_MAX);
	put_bits(&position, SEQ_NIBBLE, shard & 0xf);
	put_bits(&position, SEQ_CREATED, created_s & 0xfffffffff);
	put_bits(&position, SEQ_VERSION, 2);
	return position;
}

uint64_t position_ordinal(struct position position)
{
	return is_offset(position) ? position.word[2] : get_bits(position, SEQ_COUNTER);
}

struct position position_with_ordinal(struct position like, uint64_t ordinal)
{
	if (is_offset(like))
		return position_of_offset(ordinal);
	return position_of_sequence(position_created_s(like), position_shard(like), ordinal);
}

uint64_t position_created_s(struct position sequence)
{
	return get_bits(sequence, SEQ_CREATED) & 0xfffffffff;
}

uint32_t position_shard(struct position sequence)
{
	return (uint32_t)get_bits(sequence, SEQ_SHARD);
}

struct position position_made_whole(struct position position, struct position like)
{
	return is_offset(position) ? position_with_ordinal(like, position.word[2]) : position;
}
