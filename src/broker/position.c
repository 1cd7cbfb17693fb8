#include "broker/position.h"

#include <stdio.h>

static const char shard_prefix[] = "shardId-";

/* As six digits of base 2^32, the most significant first. */
static void to_limbs(struct position position, uint32_t limb[6])
{
	for (int i = 0; i < 3; i++) {
		limb[2 * i] = (uint32_t)(position.word[i] >> 32);
		limb[2 * i + 1] = (uint32_t)position.word[i];
	}
}

/* Divides by ten to the ninth and returns the remainder: nine digits of text. Limbs before `first`
 * are zero. */
static uint32_t take_nine_digits(uint32_t limb[6], int first)
{
	uint64_t rest = 0;

	for (int i = first; i < 6; i++) {
		rest = rest << 32 | limb[i];
		limb[i] = (uint32_t)(rest / 1000000000);
		rest %= 1000000000;
	}
	return (uint32_t)rest;
}

size_t position_text(struct position position, char text[POSITION_TEXT_MAX])
{
	enum { NINES = 7 };	/* 63 digits hold 192 bits */
	char digits[NINES * 9];
	uint32_t limb[6];
	size_t at = 0, len;
	int first = 0;

	to_limbs(position, limb);
	for (int i = NINES - 1; i >= 0; i--) {
		uint32_t nine;

		while (first < 6 && limb[first] == 0)
			first++;
		nine = take_nine_digits(limb, first);

		for (int k = 8; k >= 0; k--, nine /= 10)
			digits[i * 9 + k] = (char)('0' + nine % 10);
	}
	while (at < sizeof(digits) - POSITION_DIGITS && digits[at] == '0')
		at++;
	len = sizeof(digits) - at;
	memcpy(text, digits + at, len);
	text[len] = '\0';
	return len;
}

bool position_parse(struct slice text, struct position *ret)
{
	uint32_t limb[6] = { 0 };

	if (text.len == 0 || text.len >= POSITION_TEXT_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint64_t carry = (uint64_t)(unsigned char)text.ptr[i] - '0';

		if (carry > 9)
			return false;
		for (int k = 5; k >= 0; k--) {
			carry += (uint64_t)limb[k] * 10;
			limb[k] = (uint32_t)carry;
			carry >>= 32;
		}
		if (carry)
			return false;
	}
	for (int i = 0; i < 3; i++)
		ret->word[i] = (uint64_t)limb[2 * i] << 32 | limb[2 * i + 1];
	return true;
}

size_t partition_text(enum topic_kind kind, int32_t partition, char text[PARTITION_TEXT_MAX])
{
	if (kind == TOPIC_LOG)
		return (size_t)snprintf(text, PARTITION_TEXT_MAX, "%d", partition);
	return (size_t)snprintf(text, PARTITION_TEXT_MAX, "%s%012d", shard_prefix, partition);
}

bool partition_parse(enum topic_kind kind, struct slice text, int32_t *ret)
{
	int64_t value = 0;

	if (kind == TOPIC_STREAM) {
		if (!slice_starts(text, shard_prefix))
			return false;
		text = slice_from(text, sizeof(shard_prefix) - 1);
		if (text.len != 12)
			return false;
	} else if (text.len == 0 || text.len > 10 || (text.len > 1 && text.ptr[0] == '0')) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (text.ptr[i] - '0');
	}
	if (value > INT32_MAX)
		return false;
	*ret = (int32_t)value;
	return true;
}
