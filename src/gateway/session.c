#include "gateway/session.h"

#include "net/http_chars.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>

enum {
	MAC_BYTES = 32,
	NUMBER_CHARS = 16,
	TAIL_CHARS = 3 + 2 * NUMBER_CHARS + 2 * MAC_BYTES, /* all behind the name */
	TRIES_MAX = 4, /* cookies of the name in a request: a path or a port of its own for each */
};

/* Of the text before the signature, in hex. */
static void session_sign(const struct sessions *sessions, const struct auth_key *key,
			 struct slice text, char ret_hex[2 * MAC_BYTES + 1])
{
	char bytes[SESSION_TEXT_MAX + AUTH_HASH_BYTES];
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	memcpy(bytes, key->hash, AUTH_HASH_BYTES);
	memcpy(bytes + AUTH_HASH_BYTES, text.ptr, text.len);
	if (!HMAC(EVP_sha256(), sessions->secret.text, SECRET_CHARS, (unsigned char *)bytes,
		  AUTH_HASH_BYTES + text.len, mac, &len))
		abort(); /* SHA-256 without memory to work in */
	for (size_t i = 0; i < MAC_BYTES; i++)
		(void)snprintf(ret_hex + 2 * i, 3, "%02x", mac[i]);
}

enum err_code session_begin(const struct sessions *sessions, const struct auth_key *key,
			    int64_t now_s, struct buf *out, struct err *err)
{
	char text[SESSION_TEXT_MAX + 1], mac[2 * MAC_BYTES + 1];
	uint64_t id;
	int len;

	if (RAND_bytes((unsigned char *)&id, sizeof(id)) != 1)
		return err_set(err, ERR_IO, "the system gives no random bytes");
	len = snprintf(text, sizeof(text), "%s~%016" PRIx64 "~%016" PRIx64, key->name,
		       (uint64_t)(now_s + SESSION_LIFE_S), id);
	session_sign(sessions, key, slice_of(text, (size_t)len), mac);
	buf_addf(out, "%s~%s", text, mac);
	return ERR_OK;
}

/* "~" and that many hex digits, which are taken off. */
static bool session_take_number(struct slice *text, uint64_t *ret)
{
	uint64_t value = 0;

	if (text->len < 1 + NUMBER_CHARS || text->ptr[0] != '~')
		return false;
	for (size_t i = 1; i <= NUMBER_CHARS; i++) {
		int digit = http_hex_value(text->ptr[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (unsigned)digit;
	}
	*text = slice_from(*text, 1 + NUMBER_CHARS);
	*ret = value;
	return true;
}

bool session_parse(struct sessions *sessions, const struct auth *auth, struct slice text,
		   int64_t now_s, struct session *ret)
{
	const struct auth_key *key;
	char mac[2 * MAC_BYTES + 1];
	struct slice tail;
	uint64_t until_s, id;

	if (text.len <= TAIL_CHARS || text.len > SESSION_TEXT_MAX)
		return false;
	tail = slice_from(text, text.len - TAIL_CHARS);
	key = auth_named(auth, slice_of(text.ptr, text.len - TAIL_CHARS));
	if (!key || !session_take_number(&tail, &until_s) || !session_take_number(&tail, &id) ||
	    tail.ptr[0] != '~')
		return false;
	session_sign(sessions, key, slice_of(text.ptr, text.len - tail.len), mac);
	if (CRYPTO_memcmp(mac, tail.ptr + 1, sizeof(mac) - 1) != 0)
		return false;
	/* A clock that was set back gives nobody longer than a session lasts. */
	if ((int64_t)until_s <= now_s || (int64_t)until_s > now_s + SESSION_LIFE_S ||
	    ended_has(&sessions->ended, id, (int64_t)until_s))
		return false;
	*ret = (struct session){ key, id, (int64_t)until_s };
	return true;
}

bool session_of_cookies(struct sessions *sessions, const struct auth *auth, struct slice cookies,
			int64_t now_s, struct session *ret)
{
	static const char name[] = SESSION_COOKIE "=";
	int tries = 0;

	while (cookies.len > 0 && tries < TRIES_MAX) {
		const char *end = memchr(cookies.ptr, ';', cookies.len);
		struct slice one =
			slice_of(cookies.ptr, end ? (size_t)(end - cookies.ptr) : cookies.len);

		cookies = slice_from(cookies, one.len + (end != NULL));
		one = slice_trim(one);
		if (!slice_starts(one, name))
			continue;
		tries++;
		if (session_parse(sessions, auth, slice_from(one, strlen(name)), now_s, ret))
			return true;
	}
	return false;
}
