/* auth_file.c - the file of keys, as auth.h describes it. */
#include "gateway/auth.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/http_chars.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20 };

enum err_code auth_hash_parse(struct slice hex, unsigned char hash[AUTH_HASH_BYTES],
			      struct err *err)
{
	if (hex.len != (size_t)2 * AUTH_HASH_BYTES)
		return err_set(err, ERR_USAGE,
			       "the hash of the key has %zu characters, a SHA-256"
			       " has 64 (printf %%s KEY | sha256sum)",
			       hex.len);
	for (size_t i = 0; i < hex.len; i++) {
		int digit = http_hex_value(hex.ptr[i]);

		if (digit < 0)
			return err_set(err, ERR_USAGE,
				       "character %zu of the hash of the key is no"
				       " hex digit",
				       i + 1);
		hash[i / 2] = (unsigned char)((i % 2 ? hash[i / 2] << 4 : 0) | digit);
	}
	return ERR_OK;
}

/* What stands before the next of `ends`, which is taken off `text`. */
static struct slice auth_take_until(struct slice *text, const char *ends)
{
	struct slice word = *text;
	size_t len = 0;

	while (len < text->len && !strchr(ends, text->ptr[len]))
		len++;
	word.len = len;
	*text = slice_from(*text, len + (len < text->len));
	return word;
}

static struct slice auth_take_word(struct slice *line)
{
	*line = slice_trim(*line);
	return auth_take_until(line, " \t");
}

static enum err_code auth_parse_name(struct slice name, struct auth_key *key, struct err *err)
{
	if (name.len > AUTH_NAME_MAX)
		return err_set(err, ERR_USAGE, "the name of the key is longer than %d characters",
			       AUTH_NAME_MAX);
	for (size_t i = 0; i < name.len; i++)
		if (!http_is_alnum(name.ptr[i]) && !memchr("._-", name.ptr[i], 3))
			return err_set(err, ERR_USAGE,
				       "the name of the key holds the byte 0x%02x;"
				       " letters, digits, \".\", \"_\" and \"-\" may be in it",
				       (unsigned char)name.ptr[i]);
	memcpy(key->name, name.ptr, name.len);
	return ERR_OK;
}

static enum err_code auth_parse_scopes(struct slice words, struct auth_key *key, struct err *err)
{
	while (words.len > 0) {
		struct slice word = auth_take_until(&words, ",");
		unsigned scope = SCOPE_POST;

		while (scope < SCOPE_COUNT && !slice_is(word, scope_name((enum scope)scope)))
			scope++;
		if (scope == SCOPE_COUNT)
			return err_set(err, ERR_USAGE,
				       "a scope is post, read or admin, not"
				       " \"%.*s\"",
				       (int)(word.len < 32 ? word.len : 32), word.ptr);
		key->scopes |= 1u << scope;
	}
	return ERR_OK;
}

static enum err_code auth_parse_line(struct slice line, struct auth_key *key, struct err *err)
{
	struct slice name = auth_take_word(&line);
	struct slice scopes = auth_take_word(&line);
	struct slice hash = auth_take_word(&line);

	if (hash.len == 0 || slice_trim(line).len > 0)
		return err_set(err, ERR_USAGE,
			       "a key is three words: its name, its scopes (post,"
			       "read,admin) and its SHA-256");
	if (auth_parse_name(name, key, err) != ERR_OK ||
	    auth_parse_scopes(scopes, key, err) != ERR_OK)
		return err->code;
	return auth_hash_parse(hash, key->hash, err);
}

static int auth_order_names(const void *a, const void *b)
{
	return strcmp(((const struct auth_key *)a)->name, ((const struct auth_key *)b)->name);
}

static int auth_order_hashes(const void *a, const void *b)
{
	return memcmp(((const struct auth_key *)a)->hash, ((const struct auth_key *)b)->hash,
		      AUTH_HASH_BYTES);
}

/* Puts them in that order, in which none may be as another one. */
static enum err_code auth_sort(struct auth_keys *keys, const char *place,
			       int (*order)(const void *a, const void *b), const char *what,
			       struct err *err)
{
	const struct auth_key *one = keys->list;

	qsort(keys->list, keys->count, sizeof(*keys->list), order);
	for (size_t i = 1; i < keys->count; i++, one++) {
		unsigned first = one[0].line < one[1].line ? one[0].line : one[1].line;
		unsigned second = one[0].line < one[1].line ? one[1].line : one[0].line;

		if (order(&one[0], &one[1]) != 0)
			continue;
		if (first == 0)
			return err_set(err, ERR_USAGE,
				       "%s:%u: the %s is that of"
				       " gateway.api_key_sha256, too",
				       place, second, what);
		return err_set(err, ERR_USAGE, "%s:%u: the %s is that of line %u, too", place,
			       second, what, first);
	}
	return ERR_OK;
}

static enum err_code auth_add_lines(struct slice text, const char *place, struct auth_keys *keys,
				    struct err *err)
{
	for (unsigned number = 1; text.len > 0; number++) {
		struct slice line = auth_take_until(&text, "\n");
		struct auth_key *key = &keys->list[keys->count];

		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		line = slice_trim(auth_take_until(&line, "#"));
		if (line.len == 0)
			continue;
		if (keys->count == AUTH_KEYS_MAX)
			return err_set(err, ERR_USAGE, "%s:%u: more than %d keys", place, number,
				       AUTH_KEYS_MAX);
		*key = (struct auth_key){ .line = number };
		if (auth_parse_line(line, key, err) != ERR_OK)
			return err_prefix(err, "%s:%u", place, number);
		keys->count++;
	}
	return ERR_OK;
}

enum err_code auth_keys_parse(struct slice text, const char *place, const struct auth_key *own,
			      struct auth_keys *ret, struct err *err)
{
	struct auth_keys keys = { xcalloc(AUTH_KEYS_MAX, sizeof(*keys.list)), 0 };

	if (own)
		keys.list[keys.count++] = *own;
	if (auth_add_lines(text, place, &keys, err) != ERR_OK ||
	    auth_sort(&keys, place, auth_order_names, "name", err) != ERR_OK ||
	    auth_sort(&keys, place, auth_order_hashes, "key", err) != ERR_OK) {
		auth_keys_release(&keys);
		return err->code;
	}
	*ret = keys;
	return ERR_OK;
}

void auth_keys_release(struct auth_keys *keys)
{
	free(keys->list);
	*keys = (struct auth_keys){ 0 };
}

struct auth_stamp auth_stamp_of(const char *file)
{
	struct auth_stamp stamp;
	struct stat st;

	memset(&stamp, 0, sizeof(stamp)); /* its padding too: it is compared as bytes */
	if (stat(file, &st) < 0)
		return stamp;
	stamp.device = st.st_dev;
	stamp.inode = st.st_ino;
	stamp.bytes = st.st_size;
	stamp.time = st.st_mtim;
	return stamp;
}

/* A link is followed: that is how Kubernetes hands a secret out. */
static enum err_code auth_file_bytes(int fd, struct buf *into, struct err *err)
{
	struct stat st;
	int failure;
	char *to;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_USAGE, "not a file");
	to = buf_room(into, (size_t)st.st_size);
	if (!to)
		return err_set(err, ERR_USAGE, "longer than %d bytes", FILE_BYTES_MAX);
	buf_grew(into, file_read_at(fd, to, (size_t)st.st_size, 0, &failure));
	errno = failure;
	return failure ? err_errno(err, "could not read it") : ERR_OK;
}

enum err_code auth_file_read(const char *file, const struct auth_key *own, struct auth_keys *ret,
			     struct err *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum err_code code;
	struct buf text;

	if (fd < 0)
		return err_errno(err, "could not open the keys \"%s\"", file);
	buf_init(&text, FILE_BYTES_MAX);
	code = auth_file_bytes(fd, &text, err);
	if (code != ERR_OK)
		code = err_prefix(err, "the keys \"%s\"", file);
	else
		code = auth_keys_parse(buf_slice(&text), file, own, ret, err);
	buf_release(&text);
	(void)close(fd);
	return code;
}
