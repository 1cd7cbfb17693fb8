/*
 * Three streams of the CPU's crc32 instruction at once hide its latency of
 * three cycles; their results are joined by multiplying with x^(8n) modulo the
 * polynomial, for which a table of the powers x^(8 * 2^k) is made once.
 */
#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLY 0x82f63b78u	/* reflected 0x1edc6f41 */

enum { LANE = 1024 };		/* bytes of one of the three streams */

static uint32_t byte_table[256];
static uint32_t lane_shift[4][256];	/* multiply a crc by x^(8 * LANE), a byte at a time */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t update_bytes(uint32_t crc, const unsigned char *p, size_t len)
{
	while (len--)
		crc = byte_table[(crc ^ *p++) & 0xff] ^ (crc >> 8);
	return crc;
}

static void make_tables(void)
{
	static const unsigned char zeros[LANE];

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? (crc >> 1) ^ POLY : crc >> 1;
		byte_table[i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (uint32_t byte = 0; byte < 4; byte++)
			lane_shift[byte][i] = update_bytes(i << (8 * byte), zeros, LANE);
}

#ifdef __x86_64__
#include <nmmintrin.h>

static uint32_t shift_lane(uint32_t crc)
{
	return lane_shift[0][crc & 0xff] ^ lane_shift[1][(crc >> 8) & 0xff] ^
	       lane_shift[2][(crc >> 16) & 0xff] ^ lane_shift[3][crc >> 24];
}

static uint64_t crc32c_load(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

__attribute__((target("sse4.2")))
static uint32_t update_hardware(uint32_t crc, const unsigned char *p, size_t len)
{
	uint64_t a = crc;

	for (; len >= 3 * LANE; p += 3 * LANE, len -= 3 * LANE) {
		uint64_t b = 0, c = 0;

		for (size_t i = 0; i < LANE; i += 8) {
			a = _mm_crc32_u64(a, crc32c_load(p + i));
			b = _mm_crc32_u64(b, crc32c_load(p + LANE + i));
			c = _mm_crc32_u64(c, crc32c_load(p + 2 * LANE + i));
		}
		a = shift_lane(shift_lane((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
	}
	for (; len >= 8; p += 8, len -= 8)
		a = _mm_crc32_u64(a, crc32c_load(p));
	crc = (uint32_t)a;
	while (len--)
		crc = _mm_crc32_u8(crc, *p++);
	return crc;
}

static int have_hardware(void) { return __builtin_cpu_supports("sse4.2"); }
#else
static uint32_t update_hardware(uint32_t crc, const unsigned char *p, size_t len)
{
	return update_bytes(crc, p, len);
}

static int have_hardware(void) { return 0; }
#endif

uint32_t crc32c(uint32_t crc, const void *ptr, size_t len)
{
	(void)pthread_once(&once, make_tables);
	if (have_hardware())
		return ~update_hardware(~crc, ptr, len);
	return ~update_bytes(~crc, ptr, len);
}
