#include "flow/lake_text.h"

#include "base/crc32c.h"
#include "base/gzip.h"
#include "flow/group.h"

static enum err_code lake_text_unpack(struct gzip_reader *gzip, const char *key,
				      struct slice packed,
				      void (*take)(void *user, struct slice text), void *user,
				      struct err *err)
{
	if (gzip_reader_feed(gzip, packed, take, user, err) != ERR_OK)
		return err_prefix(err, "object \"%s\"", key);
	return ERR_OK;
}

static enum err_code lake_text_read(struct store *store, const char *key, size_t piece,
				    void (*take)(void *user, struct slice text), void *user,
				    uint64_t *ret_stored, struct err *err)
{
	struct gzip_reader *gzip = group_is_packed(key) ? gzip_reader_new() : NULL;
	enum err_code code;
	uint64_t from = 0;
	struct buf part;

	buf_init(&part, piece);
	do {
		buf_clear(&part);
		code = store_get(store, key, from, piece, &part, err);
		if (code == ERR_OK && gzip && part.len > 0)
			code = lake_text_unpack(gzip, key, buf_slice(&part), take, user, err);
		else if (code == ERR_OK && part.len > 0)
			take(user, buf_slice(&part));
		from += part.len;
	} while (code == ERR_OK && part.len == piece);
	/* One without a byte has no text, whatever its name says. */
	if (code == ERR_OK && gzip && from > 0 && gzip_reader_end(gzip, err) != ERR_OK)
		code = err_prefix(err, "object \"%s\"", key);
	gzip_reader_free(gzip);
	buf_release(&part);
	*ret_stored = from;
	return code;
}

enum err_code lake_text_each(struct store *store, const char *key, size_t piece,
			     void (*take)(void *user, struct slice text), void *user,
			     struct err *err)
{
	uint64_t unused;

	return lake_text_read(store, key, piece, take, user, &unused, err);
}

enum err_code lake_text_each_same(struct store *store, const char *key, uint64_t size, size_t piece,
				  void (*take)(void *user, struct slice text), void *user,
				  struct err *err)
{
	bool in_pieces = size >= piece;
	struct store_stat before = { 0 };
	uint64_t stored;
	enum err_code code;
	struct err why;

	if (in_pieces && store_stat(store, key, &before, err) != ERR_OK)
		return err->code;
	code = lake_text_read(store, key, piece, take, user, &stored, err);
	if (code != ERR_OK && code != ERR_CORRUPT) /* as pieces of two packed ones are */
		return code;
	if (!in_pieces && stored < piece)
		return code;
	if (!in_pieces)
		return err_set(err, ERR_BUSY, "object \"%s\" was replaced since it was listed",
			       key);
	if (store_check_same(store, key, &before, &why) == ERR_OK)
		return code;
	*err = why;
	return err->code;
}

void lake_text_sum_init(struct lake_text_sum *sum)
{
	*sum = (struct lake_text_sum){ .last = '\n' };
}

void lake_text_sum_take(void *user, struct slice text)
{
	struct lake_text_sum *sum = user;
	const char *at = text.ptr, *end = text.ptr + text.len;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		sum->lines++;
		at++;
	}
	sum->bytes += text.len;
	sum->crc = crc32c(sum->crc, text.ptr, text.len);
	sum->last = text.ptr[text.len - 1];
}

void lake_text_tail_init(struct lake_text_tail *tail, size_t want)
{
	enum { CUT_MIN = 64 << 10 };

	lake_text_sum_init(&tail->sum);
	tail->want = want;
	tail->cut_at = want < CUT_MIN / 2 ? CUT_MIN : 2 * want;
	buf_init(&tail->text, SIZE_MAX / 2);
}

/* Where the lines begin that are to be kept: the last one that has ended, and `want` bytes. */
static size_t text_tail_begin(const struct lake_text_tail *tail)
{
	const char *ptr = tail->text.ptr;
	const char *end = memrchr(ptr, '\n', tail->text.len);
	const char *before = end ? memrchr(ptr, '\n', (size_t)(end - ptr)) : NULL;
	size_t most = tail->text.len - tail->want;

	if (before && (size_t)(before - ptr) >= most)
		before = memrchr(ptr, '\n', most);
	return before ? (size_t)(before - ptr) + 1 : 0;
}

void lake_text_tail_take(void *user, struct slice text)
{
	struct lake_text_tail *tail = user;
	size_t begin;

	lake_text_sum_take(&tail->sum, text);
	buf_add_slice(&tail->text, text);
	if (tail->text.len < tail->cut_at)
		return;
	begin = text_tail_begin(tail);
	memmove(tail->text.ptr, tail->text.ptr + begin, tail->text.len - begin);
	tail->text.len -= begin;
	/* A line that is longer than all that is not looked through again with each piece. */
	if (2 * tail->text.len > tail->cut_at)
		tail->cut_at = 2 * tail->text.len;
}

void lake_text_tail_release(struct lake_text_tail *tail) { buf_release(&tail->text); }
