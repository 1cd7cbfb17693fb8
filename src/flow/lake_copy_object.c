#include "flow/lake_copy_inside.h"
#include "flow/lake_copy_pieces.h"

#include "base/failpoint.h"
#include "base/stop.h"
#include "flow/group.h"

#include <errno.h>
#include <inttypes.h>

#define OBJECT_BYTES_MAX ((size_t)5 << 30)

/* An object on its way: in memory, or, if it is large, in pieces. */
struct copy_body {
	struct buf bytes;
	struct store_words words;
	bool in_pieces;
	struct copy_pieces pieces;
};

/* Objects that a pipeline takes away, or replaces by others. Which data files were needed after all
 * shows in the end. */
static bool copy_may_go(const struct copy_item *item)
{
	struct slice text = slice_str(item->key);

	return item->cleaned || slice_starts(text, "dlq/") || slice_starts(text, "results/") ||
	       (item->stage == COPY_DATA && slice_starts(text, "tables/")) ||
	       (item->stage == COPY_MANIFEST && strstr(item->key, "/kept+")) ||
	       strstr(item->key, "/_rebuild/");
}

static bool may_change(const struct copy_item *item)
{
	struct slice text = slice_str(item->key);

	return item->stage == COPY_HINT ||
	       (slice_starts(text, "results/") && !slice_starts(text, "results/runs/"));
}

/* Of the copy. No reader has ever taken it for a record, and sinks of before put objects in the
 * place of bars. */
static bool copy_is_bar(const struct copy_item *item)
{
	return item->stage == COPY_OBJECT && group_is_bar(item->key, item->there_size) &&
	       !group_is_bar(item->key, item->size);
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

	buf_init(&piece, COPY_PIECE_BYTES);
	*ret_same = true;
	do {
		buf_clear(&piece);
		code = store_get(store, key, at, COPY_PIECE_BYTES, &piece, err);
		if (code != ERR_OK)
			break;
		*ret_same = piece.len <= body.len - at &&
			    slice_eq(buf_slice(&piece), slice_of(body.ptr + at, piece.len));
		at += piece.len;
	} while (*ret_same && piece.len == COPY_PIECE_BYTES);
	*ret_same = *ret_same && at == body.len;
	buf_release(&piece);
	return code;
}

static enum err_code copy_has_body(struct store *to, const char *key, struct copy_body *body,
				   bool *ret_same, struct err *err)
{
	return body->in_pieces ? copy_pieces_are(&body->pieces, to, ret_same, err)
			       : has_bytes(to, key, buf_slice(&body->bytes), ret_same, err);
}

static enum err_code is_same(struct store *to, const char *key, struct copy_body *body,
			     bool *ret_same, struct err *err)
{
	struct store_words there;
	enum err_code code = copy_has_body(to, key, body, ret_same, err);

	if (code != ERR_OK || !*ret_same || !store_can(to, STORE_CAN_WORDS))
		return code;
	code = copy_get_words(to, key, &there, err);
	*ret_same = code == ERR_OK && copy_words_are(&body->words, &there);
	return code;
}

/* What may change is taken at once, so that it is of one moment. */
static bool copy_goes_in_pieces(const struct copy_item *item)
{
	return item->size > COPY_PIECE_BYTES && !may_change(item);
}

static enum err_code copy_get_body(struct store *from, const struct copy_item *item,
				   struct copy_body *body, struct err *err)
{
	enum err_code code;

	if (copy_goes_in_pieces(item)) {
		body->in_pieces = true;
		code = copy_pieces_begin(&body->pieces, from, item->key, err);
		body->words = body->pieces.stat.words;
		return code;
	}
	code = store_get(from, item->key, 0, UINT64_MAX, &body->bytes, err);
	return code == ERR_OK ? copy_get_words(from, item->key, &body->words, err) : code;
}

/* By a retention, say. */
static enum err_code copy_tell_gone(const struct copy_item *item, struct err *err)
{
	return err_set(err, ERR_BUSY,
		       "\"%s\" was taken away before it was copied; make the copy again",
		       item->key);
}

/* ERR_OK with item->gone: it was taken away since it was listed, as it may be. */
static enum err_code get_source(struct store *from, struct copy_item *item, struct copy_body *body,
				struct err *err)
{
	enum err_code code;

	if (stop_requested())
		return err_set(err, ERR_STOPPED, "stopped");
	code = copy_get_body(from, item, body, err);
	item->gone = code == ERR_ABSENT && copy_may_go(item);
	if (code == ERR_ABSENT && !item->gone)
		code = copy_tell_gone(item, err);
	return item->gone ? ERR_OK : code;
}

static void copy_body_init(struct copy_body *body)
{
	*body = (struct copy_body){ 0 };
	buf_init(&body->bytes, OBJECT_BYTES_MAX);
}

static void copy_body_release(struct copy_body *body)
{
	buf_release(&body->bytes);
	copy_pieces_end(&body->pieces);
}

/* What may go may also have gone half way. */
static enum err_code copy_ended(struct copy_item *item, const struct copy_body *body,
				enum err_code code, struct err *err)
{
	if (code == ERR_OK || body->pieces.failure.code != ERR_ABSENT)
		return code;
	item->gone = copy_may_go(item);
	return item->gone ? ERR_OK : copy_tell_gone(item, err);
}

uint64_t copy_item_memory(const struct copy_item *item)
{
	return copy_goes_in_pieces(item) ? 3 * COPY_PIECE_BYTES : item->size;
}

enum err_code copy_compare(struct store *from, struct store *to, struct copy_item *item,
			   struct err *err)
{
	enum err_code code = ERR_OK;
	struct copy_body body;
	bool same = false;

	if (!item->there)
		return ERR_OK;
	copy_body_init(&body);
	if (item->size == item->there_size || may_change(item))
		code = get_source(from, item, &body, err);
	if (code == ERR_OK && !item->gone && item->size == item->there_size)
		code = is_same(to, item->key, &body, &same, err);
	code = copy_ended(item, &body, code, err);
	copy_body_release(&body);
	item->state = same ? COPY_SAME : COPY_OTHER;
	if (!same && (may_change(item) || copy_is_bar(item)))
		item->state = COPY_MISSING;
	return code;
}

/* What is there after all is read back like what was put. */
static enum err_code copy_put_object(struct store *to, const struct copy_item *item,
				     struct copy_body *body, struct err *err)
{
	struct store_put put = { .key = item->key,
				 .mode = item->there ? STORE_REPLACE : STORE_CREATE,
				 .body = buf_slice(&body->bytes),
				 .source = body->in_pieces ? &body->pieces.source : NULL,
				 .words = body->words.count > 0 ? &body->words : NULL };
	enum err_code code;

	errno = FAILPOINT("copy-put");
	if (errno == 0 && item->stage > COPY_SEAL)
		errno = FAILPOINT("copy-log");
	if (errno != 0)
		return err_errno(err, "could not put object \"%s\"", item->key);
	code = store_put_as(to, &put, err);
	if (code == ERR_EXISTS || code == ERR_UNKNOWN)
		return ERR_OK;
	if (code != ERR_OK && body->pieces.failure.code != ERR_OK) {
		*err = body->pieces.failure;
		code = err->code;
	}
	return code;
}

static enum err_code put_and_verify(struct store *to, struct copy_item *item,
				    struct copy_body *body, struct err *err)
{
	enum err_code code = copy_put_object(to, item, body, err);
	bool same = false;

	item->wordless = body->words.count > 0 && !store_can(to, STORE_CAN_WORDS);
	/* Without words it was put without, and need not be asked for them. */
	if (code == ERR_OK && body->words.count == 0)
		code = copy_has_body(to, item->key, body, &same, err);
	else if (code == ERR_OK)
		code = is_same(to, item->key, body, &same, err);
	if (code == ERR_OK && !same)
		code = err_set(err, ERR_CORRUPT, "object \"%s\" was put, and what is read back is "
			       "another", item->key);
	return code;
}

enum err_code copy_object(struct store *from, struct store *to, struct copy_item *item,
			  const struct copy_table *table, struct err *err)
{
	enum err_code code;
	struct copy_body body;

	copy_body_init(&body);
	code = get_source(from, item, &body, err);
	if (code == ERR_OK && !item->gone && table &&
	    !copy_hint_fits(table, buf_slice(&body.bytes)))
		item->gone = true;
	if (code == ERR_OK && !item->gone)
		code = put_and_verify(to, item, &body, err);
	code = copy_ended(item, &body, code, err);
	copy_body_release(&body);
	return code;
}
