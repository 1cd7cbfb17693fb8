#include "flow/lake_copy_inside.h"

#include "base/failpoint.h"
#include "base/stop.h"

#include <errno.h>
#include <inttypes.h>

#define OBJECT_BYTES_MAX ((size_t)5 << 30)
enum { PIECE_BYTES = 8 << 20 };

/* Objects that a pipeline takes away, or replaces by others. */
static bool copy_may_go(const char *key)
{
	struct slice text = slice_str(key);

	return slice_starts(text, "dlq/") || slice_starts(text, "results/") ||
	       strstr(key, "/_rebuild/");
}

static bool may_change(const struct copy_item *item)
{
	struct slice text = slice_str(item->key);

	return item->stage == COPY_HINT ||
	       (slice_starts(text, "results/") && !slice_starts(text, "results/runs/"));
}

static bool copy_words_are(const struct store_words *a, const struct store_words *b)
{
	for (size_t i = 0; i < a->count; i++) {
		const char *value = store_words_find(b, a->list[i].name);

		if (!value || strcmp(value, a->list[i].value) != 0)
			return false;
	}
	return a->count == b->count;
}

static enum err_code copy_get_words(struct store *store, const char *key, struct store_words *ret,
			       struct err *err)
{
	struct store_stat stat;
	enum err_code code;

	ret->count = 0;
	if (!store_can(store, STORE_CAN_WORDS))
		return ERR_OK;
	code = store_stat(store, key, &stat, err);
	if (code == ERR_OK)
		*ret = stat.words;
	return code;
}

/* Whether the object has just these bytes, piece by piece. */
static enum err_code has_bytes(struct store *store, const char *key, struct slice body,
			       bool *ret_same, struct err *err)
{
	enum err_code code = ERR_OK;
	struct buf piece;
	size_t at = 0;

	buf_init(&piece, PIECE_BYTES);
	*ret_same = true;
	do {
		buf_clear(&piece);
		code = store_get(store, key, at, PIECE_BYTES, &piece, err);
		if (code != ERR_OK)
			break;
		*ret_same = piece.len <= body.len - at &&
			    slice_eq(buf_slice(&piece), slice_of(body.ptr + at, piece.len));
		at += piece.len;
	} while (*ret_same && piece.len == PIECE_BYTES);
	*ret_same = *ret_same && at == body.len;
	buf_release(&piece);
	return code;
}

static enum err_code is_same(struct store *to, const char *key, struct slice body,
			     const struct store_words *words, bool *ret_same, struct err *err)
{
	struct store_words there;
	enum err_code code = has_bytes(to, key, body, ret_same, err);

	if (code != ERR_OK || !*ret_same || !store_can(to, STORE_CAN_WORDS))
		return code;
	code = copy_get_words(to, key, &there, err);
	*ret_same = code == ERR_OK && copy_words_are(words, &there);
	return code;
}

/* ERR_OK with item->gone: it was taken away since it was listed, as it may be. */
static enum err_code get_source(struct store *from, struct copy_item *item, struct buf *body,
				struct store_words *words, struct err *err)
{
	enum err_code code;

	if (stop_requested())
		return err_set(err, ERR_STOPPED, "stopped");
	code = store_get(from, item->key, 0, UINT64_MAX, body, err);
	if (code == ERR_OK)
		code = copy_get_words(from, item->key, words, err);
	item->gone = code == ERR_ABSENT && copy_may_go(item->key);
	return item->gone ? ERR_OK : code;
}

enum err_code copy_compare(struct store *from, struct store *to, struct copy_item *item,
			   struct err *err)
{
	struct store_words words = { 0 };
	enum err_code code = ERR_OK;
	struct buf body;
	bool same = false;

	if (!item->there)
		return ERR_OK;
	buf_init(&body, OBJECT_BYTES_MAX);
	if (item->size == item->there_size || may_change(item))
		code = get_source(from, item, &body, &words, err);
	if (code == ERR_OK && !item->gone && item->size == item->there_size)
		code = is_same(to, item->key, buf_slice(&body), &words, &same, err);
	buf_release(&body);
	item->state = same ? COPY_SAME : COPY_OTHER;
	if (!same && may_change(item))
		item->state = COPY_MISSING;
	return code;
}

/* What is there after all is read back like what was put. */
static enum err_code copy_put_object(struct store *to, const struct copy_item *item,
				     struct slice body, const struct store_words *words,
				     struct err *err)
{
	struct store_put put = { .key = item->key,
				 .mode = item->there ? STORE_REPLACE : STORE_CREATE,
				 .body = body,
				 .words = words->count > 0 ? words : NULL };
	enum err_code code;

	errno = FAILPOINT("copy-put");
	if (errno == 0 && item->stage > COPY_SEAL)
		errno = FAILPOINT("copy-log");
	if (errno != 0)
		return err_errno(err, "could not put object \"%s\"", item->key);
	code = store_put_as(to, &put, err);
	return code == ERR_EXISTS || code == ERR_UNKNOWN ? ERR_OK : code;
}

static enum err_code put_and_verify(struct store *to, struct copy_item *item, struct slice body,
				    const struct store_words *words, struct err *err)
{
	enum err_code code = copy_put_object(to, item, body, words, err);
	bool same = false;

	item->wordless = words->count > 0 && !store_can(to, STORE_CAN_WORDS);
	/* Without words it was put without, and need not be asked for them. */
	if (code == ERR_OK && words->count == 0)
		code = has_bytes(to, item->key, body, &same, err);
	else if (code == ERR_OK)
		code = is_same(to, item->key, body, words, &same, err);
	if (code == ERR_OK && !same)
		code = err_set(err, ERR_CORRUPT, "object \"%s\" was put, and what is read back is "
			       "another", item->key);
	return code;
}

enum err_code copy_object(struct store *from, struct store *to, struct copy_item *item,
			  const struct copy_table *table, struct err *err)
{
	struct store_words words = { 0 };
	enum err_code code;
	struct buf body;

	buf_init(&body, OBJECT_BYTES_MAX);
	code = get_source(from, item, &body, &words, err);
	if (code == ERR_OK && !item->gone && table && !copy_hint_fits(table, buf_slice(&body)))
		item->gone = true;
	if (code == ERR_OK && !item->gone)
		code = put_and_verify(to, item, buf_slice(&body), &words, err);
	buf_release(&body);
	return code;
}
