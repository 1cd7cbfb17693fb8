#include "store/store.h"

#include <string.h>
#include <unistd.h>

/* Where store_file.c keeps what is not an object yet. */
static bool reserved(const char *segment, size_t len)
{
	return slice_is(slice_of(segment, len), STORE_RESERVED);
}

static bool dots(const char *segment, size_t len)
{
	return slice_is(slice_of(segment, len), ".") || slice_is(slice_of(segment, len), "..");
}

/*
 * Keys come from names of topics and from other writers' tables: none may
 * leave the store's directory or meet its own files.
 */
enum err_code store_check_key(const char *key, struct err *err)
{
	size_t len = strlen(key);
	const char *segment = key;

	if (len > STORE_KEY_MAX)
		return err_set(err, ERR_SHAPE, "an object key has at most %d bytes, this one has %zu",
			       STORE_KEY_MAX, len);
	for (;;) {
		size_t n = strcspn(segment, "/");

		if (n == 0)
			return err_set(err, ERR_SHAPE, "object key \"%s\" has an empty segment", key);
		if (n > STORE_SEGMENT_MAX)
			return err_set(err, ERR_SHAPE,
				       "a segment of an object key has at most %d bytes, \"%.60s…\" has %zu",
				       STORE_SEGMENT_MAX, segment, n);
		if (dots(segment, n) || reserved(segment, n))
			return err_set(err, ERR_SHAPE, "\"%.*s\" is not allowed in object key \"%s\"",
				       (int)n, segment, key);
		if (!segment[n])
			return ERR_OK;
		segment += n + 1;
	}
}

/* ERR_OK: the object has exactly these bytes; ERR_EXISTS: it has others. */
static enum err_code compare(struct store *store, const char *key, struct slice body,
			     struct err *err)
{
	enum err_code code;
	struct buf there;

	buf_init(&there, body.len + 1);		/* one more tells a longer one */
	code = store_get(store, key, 0, body.len + 1, &there, err);
	if (code == ERR_OK && !slice_eq(buf_slice(&there), body))
		code = err_set(err, ERR_EXISTS, "object \"%s\" exists already, with other bytes",
			       key);
	buf_release(&there);
	return code;
}

enum err_code store_put_once(struct store *store, const char *key, struct slice body,
			     struct err *err)
{
	struct err first;
	enum err_code code = store_put(store, key, body, STORE_CREATE, &first);

	if (code == ERR_EXISTS)
		return compare(store, key, body, err);
	if (code != ERR_OK)
		*err = first;
	return code;
}

/* The directory of "file:DIR"; NULL: it is no such URL. */
static const char *dir_of(const char *url)
{
	struct slice all = slice_str(url);

	if (slice_starts(all, "file:///"))
		return url + strlen("file://");
	if (slice_starts(all, "file:") && !slice_starts(all, "file://") && all.len > strlen("file:"))
		return url + strlen("file:");
	return NULL;
}

enum err_code store_open(const char *url, struct store **ret_store, struct err *err)
{
	const char *dir = dir_of(url);

	if (!dir)
		return err_set(err, ERR_USAGE, "\"%s\" is no place for objects; it is \"file:DIR\"", url);
	return store_file_new(dir, ret_store, err);
}

bool store_is_there(const char *url)
{
	const char *dir = dir_of(url);

	return dir && access(dir, F_OK) == 0;
}
