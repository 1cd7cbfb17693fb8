/*
 * The bytes of a connection, in one piece and in pieces: the same requests and the same refusal,
 * however they were split. The first two bytes are the seed of the splits. What is done with the
 * bytes is what http_conn.c does.
 */
#include "http_feed.h"

static struct feed_seen whole, split;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice bytes = slice_of(data, len);
	uint32_t seed, piece_max;

	if (whole.text.max == 0) {
		feed_seen_init(&whole);
		feed_seen_init(&split);
	}
	seed = fuzz_take(&bytes);
	piece_max = 1u << fuzz_take(&bytes) % 8;
	feed_run(bytes, 0, 0, &whole);
	feed_run(bytes, seed, piece_max, &split);
	FUZZ_MUST(slice_eq(buf_slice(&whole.text), buf_slice(&split.text)));
	return 0;
}
