/*
 * What decides who may do what: the first byte chooses the file of keys, the value of a Cookie
 * header, or the addresses with their faces. A file that is taken says the same when it is written
 * out again; one that is refused names its place. No cookie is a session unless its text is one
 * that was signed here, which a byte 1 stands for.
 */
#include "fuzz.h"
#include "gateway/listeners.h"
#include "gateway/session.h"

#include <string.h>

enum { TEXT_MAX = 1 << 20, NOW_S = 1700000000 };

static struct sessions sessions = {
	.secret = { "a secret that nobody knows" },
	.ended = { .writing = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER },
};
static struct auth_key key = { .name = "somebody", .scopes = 1 << SCOPE_READ, .hash = "x" };
static struct buf text;

static void put_key(const struct auth_key *one)
{
	const char *separator = " ";

	buf_add_str(&text, one->name);
	for (unsigned scope = SCOPE_POST; scope < SCOPE_COUNT; scope++)
		if (scopes_hold(one->scopes, (enum scope)scope)) {
			buf_addf(&text, "%s%s", separator, scope_name((enum scope)scope));
			separator = ",";
		}
	buf_add_char(&text, ' ');
	for (size_t i = 0; i < AUTH_HASH_BYTES; i++)
		buf_addf(&text, "%02x", one->hash[i]);
	buf_add_char(&text, '\n');
}

static void check_keys(struct slice file)
{
	struct auth_keys keys, again;
	struct err err;

	if (auth_keys_parse(file, "f", NULL, &keys, &err) != ERR_OK) {
		FUZZ_MUST(err.code == ERR_USAGE && strncmp(err.msg, "f:", 2) == 0);
		return;
	}
	FUZZ_MUST(keys.count <= AUTH_KEYS_MAX);
	for (size_t i = 0; i < keys.count; i++) {
		FUZZ_MUST(keys.list[i].name[0] && keys.list[i].scopes &&
			  !(keys.list[i].scopes & ~(unsigned)SCOPES_ALL));
		FUZZ_MUST(i == 0 ||
			  memcmp(keys.list[i - 1].hash, keys.list[i].hash, AUTH_HASH_BYTES) < 0);
		put_key(&keys.list[i]);
	}
	FUZZ_MUST(auth_keys_parse(buf_slice(&text), "f", NULL, &again, &err) == ERR_OK);
	FUZZ_MUST(again.count == keys.count);
	for (size_t i = 0; i < keys.count; i++)
		FUZZ_MUST(strcmp(again.list[i].name, keys.list[i].name) == 0 &&
			  again.list[i].scopes == keys.list[i].scopes);
	auth_keys_release(&again);
	auth_keys_release(&keys);
}

static void check_cookies(struct slice cookies)
{
	struct auth auth = { .required = true, .file = "", .keys = { &key, 1 } };
	struct session session;
	bool has_one = false;
	struct err err;

	for (size_t i = 0; i < cookies.len; i++) {
		has_one |= cookies.ptr[i] == 1;
		if (cookies.ptr[i] != 1)
			buf_add_char(&text, cookies.ptr[i]);
		else if (session_begin(&sessions, &key, NOW_S, &text, &err) != ERR_OK)
			return;
	}
	if (session_of_cookies(&sessions, &auth, buf_slice(&text), NOW_S, &session))
		FUZZ_MUST(has_one && session.key == &key);
}

static void check_listeners(struct slice more)
{
	struct listeners listeners;
	struct err err;

	buf_add_slice(&text, more);
	if (listeners_init(&listeners, "first", buf_cstr(&text), &err) == ERR_OK) {
		FUZZ_MUST(listeners.count >= 1 && listeners.count <= HTTP_LISTENERS_MAX);
		for (unsigned i = 0; i < listeners.count; i++)
			FUZZ_MUST(*listeners.addresses[i] && listeners.faces[i] &&
				  !(listeners.faces[i] & ~(unsigned)FACES_ALL));
		FUZZ_MUST(!listeners.addresses[listeners.count]);
	} else {
		FUZZ_MUST(err.code == ERR_USAGE && strstr(err.msg, "gateway.listen_also"));
	}
	listeners_release(&listeners);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice rest;

	if (len == 0)
		return 0;
	if (text.max == 0)
		buf_init(&text, TEXT_MAX);
	buf_clear(&text);
	rest = slice_of(data + 1, len - 1);
	if (data[0] % 3 == 0)
		check_keys(rest);
	else if (data[0] % 3 == 1)
		check_cookies(rest);
	else
		check_listeners(rest);
	return 0;
}
