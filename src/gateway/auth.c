#include "gateway/auth.h"

#include "base/mem.h"
#include "base/trace.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>

enum { BEGIN_BYTES = 8 };

const char *scope_name(enum scope scope)
{
	static const char *const names[] = { "any", "post", "read", "admin" };

	return names[scope];
}

static enum err_code auth_load(struct auth *auth, struct err *err)
{
	const struct auth_key *own = auth->has_own ? &auth->own : NULL;
	struct auth_keys keys;
	enum err_code code;

	if (*auth->file)
		code = auth_file_read(auth->file, own, &keys, err);
	else
		code = auth_keys_parse(slice_str(""), "", own, &keys, err);
	if (code != ERR_OK)
		return code;
	auth_keys_release(&auth->keys);
	auth->keys = keys;
	return ERR_OK;
}

enum err_code auth_init(struct auth *auth, const char *sha256_hex, const char *file,
			struct err *err)
{
	*auth = (struct auth){
		.required = *sha256_hex || *file,
		.has_own = *sha256_hex != '\0',
		.file = file,
		.own = { .name = "gateway.api_key_sha256", .scopes = SCOPES_ALL },
	};
	if (auth->has_own && auth_hash_parse(slice_str(sha256_hex), auth->own.hash, err) != ERR_OK)
		return err_prefix(err, "gateway.api_key_sha256");
	if (*file)
		auth->stamp =
			auth_stamp_of(file); /* before the reading, so that no change is missed */
	if (auth_load(auth, err) != ERR_OK)
		return err->code = ERR_USAGE;
	return ERR_OK;
}

void auth_release(struct auth *auth) { auth_keys_release(&auth->keys); }

void auth_set_token(struct auth *auth, const char *name, struct slice token)
{
	struct err unused;

	(void)snprintf(auth->own.name, sizeof(auth->own.name), "%s", name);
	(void)SHA256((const unsigned char *)token.ptr, token.len, auth->own.hash);
	auth->has_own = true;
	(void)!auth_load(auth, &unused); /* one key and no file: nothing to fail */
}

void auth_refresh(struct auth *auth, int64_t now_ms)
{
	struct auth_stamp stamp;
	struct err err;

	if (!*auth->file || now_ms < auth->look_ms)
		return;
	auth->look_ms = now_ms + AUTH_REFRESH_MS;
	stamp = auth_stamp_of(auth->file);
	if (memcmp(&stamp, &auth->stamp, sizeof(stamp)) == 0)
		return;
	auth->stamp = stamp;
	if (auth_load(auth, &err) == ERR_OK)
		trace_info("read the keys of \"%s\" anew: %zu", auth->file,
			   auth->keys.count - auth->has_own);
	else
		trace_warn("%s; the keys that were read before stay in use", err.msg);
}

/*
 * The begin of the hash leads to its place: nobody can make a key of which it says more than that
 * there is one. Whether it is the one is compared in constant time.
 */
const struct auth_key *auth_find(const struct auth *auth, struct slice key)
{
	const struct auth_keys *keys = &auth->keys;
	unsigned char hash[AUTH_HASH_BYTES];
	size_t low = 0, high = keys->count;

	if (!key.ptr)
		return NULL;
	(void)SHA256((const unsigned char *)key.ptr, key.len, hash);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(keys->list[middle].hash, hash, BEGIN_BYTES) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < keys->count && memcmp(keys->list[low].hash, hash, BEGIN_BYTES) == 0; low++)
		if (CRYPTO_memcmp(hash, keys->list[low].hash, sizeof(hash)) == 0)
			return &keys->list[low];
	return NULL;
}

const struct auth_key *auth_named(const struct auth *auth, struct slice name)
{
	for (size_t i = 0; i < auth->keys.count; i++)
		if (slice_is(name, auth->keys.list[i].name))
			return &auth->keys.list[i];
	return NULL;
}
