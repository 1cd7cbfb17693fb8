#include "broker/partitioner.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
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

/* The open shards' ranges cover every hash. */
static int32_t partitioner_shard(const struct topic *topic, struct slice key)
{
	struct hash_key hash;

	if (topic->partition_count == 1)
		return 0;
	hash = partitioner_md5(key);
	for (int32_t i = 0; i < topic->partition_count; i++) {
		const struct partition *partition = &topic->partitions[i];

		if (partition->open && hash_key_cmp(hash, partition->hash_first) >= 0 &&
		    hash_key_cmp(hash, partition->hash_last) <= 0)
			return i;
	}
	return PARTITION_ANY;
}

/* What counts for the maximum; a header's lengths do, so nobody sends millions of empty ones. */
static size_t record_bytes(const struct append_record *record)
{
	enum { LENGTHS_BYTES = 8 };
	size_t bytes = record->key.len + record->value.len;

	for (size_t i = 0; i < record->header_count; i++)
		bytes += record->headers[i].name.len + record->headers[i].value.len + LENGTHS_BYTES;
	return bytes;
}

static enum err_code partitioner_pick(struct topic *topic, const struct append_record *record,
				      size_t record_bytes_max, int32_t *ret_partition,
				      struct err *err)
{
	struct partition *partition;
	int32_t id = record->partition;
	enum err_code code;
	size_t bytes = record_bytes(record);

	if (bytes > record_bytes_max)
		return err_set(err, ERR_LIMIT, "a record of %zu bytes is over the maximum of %zu",
			       bytes, record_bytes_max);
	if (id == PARTITION_ANY) {
		if (topic->kind == TOPIC_STREAM)
			id = partitioner_shard(topic, record->key);
		else if (record->key.ptr)
			id = partitioner_of_key(record->key, topic->partition_count);
		else
			id = (int32_t)(topic->turn++ % (uint32_t)topic->partition_count);
	}
	code = topic_partition(topic, id, &partition, err);
	if (code != ERR_OK)
		return code;
	if (!partition->open)
		return err_set(err, ERR_CLOSED, "partition %" PRId32 " of %s \"%s\" takes no more "
			       "records", id, topic_kind_name(topic->kind), topic->name);
	*ret_partition = id;
	return ERR_OK;
}

enum err_code partitioner_place(struct topic *topic, struct append *append, size_t record_bytes_max,
				struct err *err)
{
	size_t placed = 0;
	struct err first = { 0 }, other;

	for (size_t i = 0; i < append->count; i++) {
		struct append_outcome *outcome = &append->outcomes[i];

		outcome->code =
			partitioner_pick(topic, &append->records[i], record_bytes_max,
					 &outcome->partition, first.code ? &other : &first);
		placed += outcome->code == ERR_OK;
	}
	if (placed > 0)
		return ERR_OK;
	*err = first;
	return first.code;
}
