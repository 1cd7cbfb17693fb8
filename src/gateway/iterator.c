#include "gateway/iterator.h"

#include "base/base64.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum { VERSION = 2, HEADER_BYTES = 1 + 1 + 4 + 8 + 3 * 8, MAC_BYTES = 16 };

enum err_code iterator_key_init(struct iterator_key *key, struct err *err)
{
	if (RAND_bytes(key->bytes, sizeof(key->bytes)) != 1)
		return err_set(err, ERR_IO, "the system gives no random bytes");
	return ERR_OK;
}

static void iterator_put_int(struct buf *out, uint64_t value, int bytes)
{
	while (bytes-- > 0)
		buf_add_char(out, (char)(value >> (8 * bytes)));
}

static uint64_t get_int(const char **at, int bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | (unsigned char)*(*at)++;
	return value;
}

static void sign(const struct iterator_key *key, struct slice bytes, unsigned char mac[MAC_BYTES])
{
	unsigned char full[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), key->bytes, sizeof(key->bytes), (const unsigned char *)bytes.ptr,
		  bytes.len, full, &len))
		abort();	/* SHA-256 without memory to work in */
	assert(len >= MAC_BYTES);
	memcpy(mac, full, MAC_BYTES);
}

void iterator_put(struct buf *out, const struct iterator_key *key, const struct iterator *iterator)
{
	struct position at = iterator->position;
	unsigned char mac[MAC_BYTES];
	struct buf bytes;

	if (iterator->kind == START_TIME)
		at = (struct position){ { 0, 0, (uint64_t)iterator->time_ms } };
	buf_init(&bytes, ITERATOR_TEXT_MAX);
	iterator_put_int(&bytes, VERSION, 1);
	iterator_put_int(&bytes, iterator->kind, 1);
	iterator_put_int(&bytes, (uint64_t)iterator->shard, 4);
	iterator_put_int(&bytes, (uint64_t)iterator->created_ms, 8);
	for (size_t i = 0; i < ARRAY_LEN(at.word); i++)
		iterator_put_int(&bytes, at.word[i], 8);
	buf_add_str(&bytes, iterator->stream);
	sign(key, buf_slice(&bytes), mac);
	buf_add(&bytes, mac, sizeof(mac));
	base64_put(out, buf_slice(&bytes));
	buf_release(&bytes);
}

/* Of bytes that we signed. */
static struct iterator unpack(struct slice bytes)
{
	const char *at = bytes.ptr + 1;
	struct iterator iterator = { .kind = (enum start_kind)get_int(&at, 1) };

	iterator.shard = (int32_t)get_int(&at, 4);
	iterator.created_ms = (int64_t)get_int(&at, 8);
	for (size_t i = 0; i < ARRAY_LEN(iterator.position.word); i++)
		iterator.position.word[i] = get_int(&at, 8);
	iterator.time_ms = (int64_t)iterator.position.word[2];
	memcpy(iterator.stream, at, bytes.len - HEADER_BYTES);
	return iterator;
}

static bool is_ours(const struct iterator_key *key, struct slice bytes)
{
	unsigned char mac[MAC_BYTES];

	if (bytes.len <= HEADER_BYTES + MAC_BYTES ||
	    bytes.len > HEADER_BYTES + STREAM_NAME_MAX + MAC_BYTES || bytes.ptr[0] != VERSION)
		return false;
	bytes.len -= MAC_BYTES;
	sign(key, bytes, mac);
	return CRYPTO_memcmp(bytes.ptr + bytes.len, mac, MAC_BYTES) == 0;
}

/*
 * An iterator is the client's to keep, so it is signed: nothing of it is
 * looked at before that is proved.
 */
enum err_code iterator_parse(const struct iterator_key *key, struct slice text, int64_t now_ms,
			     struct iterator *ret, struct err *err)
{
	enum err_code code = ERR_OK;
	struct iterator iterator;
	struct buf bytes;

	buf_init(&bytes, ITERATOR_TEXT_MAX);
	if (text.len > ITERATOR_TEXT_MAX || !base64_decode(&bytes, text) ||
	    !is_ours(key, buf_slice(&bytes))) {
		code = err_set(err, ERR_USAGE, "Invalid ShardIterator.");
		goto out;
	}
	iterator = unpack(slice_of(bytes.ptr, bytes.len - MAC_BYTES));
	if (now_ms - iterator.created_ms > ITERATOR_LIFE_MS)
		code = err_set(err, ERR_EXPIRED, "Iterator expired. The iterator was created %" PRId64
			       " milliseconds ago, which is more than the tolerated delay of %d"
			       " milliseconds.", now_ms - iterator.created_ms, ITERATOR_LIFE_MS);
	else
		*ret = iterator;
out:
	buf_release(&bytes);
	return code;
}
