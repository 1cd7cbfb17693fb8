#include "gateway/auth.h"

#include "net/http_chars.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

enum err_code auth_init(struct auth *auth, const char *sha256_hex, struct err *err)
{
	unsigned char hash[AUTH_HASH_BYTES] = { 0 };

	if (*sha256_hex && strlen(sha256_hex) != (size_t)2 * AUTH_HASH_BYTES)
		return err_set(err, ERR_USAGE, "the hash of the API key has %zu characters, a"
			       " SHA-256 has 64 (printf %%s KEY | sha256sum)", strlen(sha256_hex));
	for (size_t i = 0; sha256_hex[i]; i++) {
		int digit = http_hex_value(sha256_hex[i]);

		if (digit < 0)
			return err_set(err, ERR_USAGE, "character %zu of the hash of the API key is"
				       " no hex digit", i + 1);
		hash[i / 2] = (unsigned char)(hash[i / 2] << 4 | digit);
	}
	auth->required = *sha256_hex != '\0';
	memcpy(auth->hash, hash, sizeof(hash));
	return ERR_OK;
}

bool auth_allows(const struct auth *auth, struct slice key)
{
	unsigned char hash[AUTH_HASH_BYTES];

	if (!auth->required)
		return true;
	if (!key.ptr)
		return false;
	(void)SHA256((const unsigned char *)key.ptr, key.len, hash);
	return CRYPTO_memcmp(hash, auth->hash, sizeof(hash)) == 0;
}
