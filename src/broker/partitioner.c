#include "broker/partitioner.h"

#include <assert.h>
#include <endian.h>
#include <openssl/evp.h>
#include <pthread.h>

__extension__ typedef unsigned __int128 u128;

/* Austin Appleby's MurmurHash2 with the seed that Kafka's Utils.murmur2 uses. */
uint32_t partitioner_murmur2(struct slice key)
{
	const uint32_t m = 0x5bd1e995, seed = 0x9747b28c;
	const unsigned char *p = (const unsigned char *)key.ptr;
	uint32_t h = seed ^ (uint32_t)key.len;
	size_t left = key.len;

	for (; left >= 4; p += 4, left -= 4) {
		uint32_t k;

		memcpy(&k, p, sizeof(k));
		k = le32toh(k) * m;
		k ^= k >> 24;
		h = (h * m) ^ (k * m);
	}
	if (left >= 3)
		h ^= (uint32_t)p[2] << 16;
	if (left >= 2)
		h ^= (uint32_t)p[1] << 8;
	if (left >= 1)
		h = (h ^ p[0]) * m;
	h = (h ^ h >> 13) * m;
	return h ^ h >> 15;
}

int32_t partitioner_of_key(struct slice key, int32_t partitions)
{
	return (int32_t)(partitioner_murmur2(key) & INT32_MAX) % partitions;
}

static EVP_MD *md5;
static pthread_once_t md5_once = PTHREAD_ONCE_INIT;

static void fetch_md5(void)
{
	md5 = EVP_MD_fetch(NULL, "MD5", NULL);
}

struct hash_key partitioner_md5(struct slice key)
{
	unsigned char digest[16];
	struct hash_key hash;
	int done;

	(void)pthread_once(&md5_once, fetch_md5);
	assert(md5);
	done = EVP_Digest(key.len ? key.ptr : "", key.len, digest, NULL, md5, NULL);
	assert(done == 1);
	memcpy(&hash.high, digest, 8);
	memcpy(&hash.low, digest + 8, 8);
	return (struct hash_key){ .high = be64toh(hash.high), .low = be64toh(hash.low) };
}

static struct hash_key hash_key_of(u128 value)
{
	return (struct hash_key){ .high = (uint64_t)(value >> 64), .low = (uint64_t)value };
}

void partitioner_range(int32_t index, int32_t count, struct hash_key *ret_first,
		       struct hash_key *ret_last)
{
	u128 max = ~(u128)0, n = (uint32_t)count;
	u128 width = max / n + (max % n == n - 1);	/* floor(2^128 / n); of n = 1 it is 0 */
	u128 first = width * (uint32_t)index;

	*ret_first = hash_key_of(first);
	*ret_last = hash_key_of(index == count - 1 ? max : first + width - 1);
}
