#include "flow/lake_copy_pieces.h"

#include "base/mem.h"
#include "base/stop.h"

#include <assert.h>
#include <openssl/sha.h>
#include <string.h>

struct copy_sum {
	bool known;
	unsigned char bytes[SHA256_DIGEST_LENGTH];
};

static struct copy_sum copy_sum_of(struct slice piece)
{
	struct copy_sum sum = { .known = true };

	(void)SHA256((const unsigned char *)piece.ptr, piece.len, sum.bytes);
	return sum;
}

static uint64_t copy_piece_len(const struct copy_pieces *pieces, uint64_t from)
{
	uint64_t left = pieces->source.size - from;

	return left < COPY_PIECE_BYTES ? left : COPY_PIECE_BYTES;
}

static enum err_code copy_changed(const struct copy_pieces *pieces, struct err *err)
{
	return err_set(err, ERR_BUSY,
		       "object \"%s\" was replaced while it was copied: copy once more",
		       pieces->key);
}

static enum err_code copy_piece_get(struct store *store, const char *key, uint64_t from,
				    uint64_t len, struct buf *out, struct err *err)
{
	if (stop_requested())
		return err_set(err, ERR_STOPPED, "stopped");
	return store_get(store, key, from, len, out, err);
}

/* At most a piece; a whole one is remembered by its hash. */
static enum err_code copy_source_get(struct copy_pieces *pieces, uint64_t from, uint64_t len,
				     struct buf *out, struct err *err)
{
	size_t before = out->len;
	enum err_code code = copy_piece_get(pieces->from, pieces->key, from, len, out, err);

	if (code == ERR_OK && out->len - before < len)
		code = copy_changed(pieces, err);
	if (code == ERR_OK && from % COPY_PIECE_BYTES == 0 && len == copy_piece_len(pieces, from))
		pieces->sums[from / COPY_PIECE_BYTES] =
			copy_sum_of(slice_of(out->ptr + before, (size_t)len));
	if (code != ERR_OK)
		pieces->failure = *err;
	return code;
}

static enum err_code copy_source_read(struct store_source *source, uint64_t from, size_t len,
				      struct buf *out, struct err *err)
{
	struct copy_pieces *pieces = (struct copy_pieces *)source;
	uint64_t end = from + len;
	enum err_code code = ERR_OK;

	while (code == ERR_OK && from < end) {
		uint64_t part = end - from < COPY_PIECE_BYTES ? end - from : COPY_PIECE_BYTES;

		code = copy_source_get(pieces, from, part, out, err);
		from += part;
	}
	return code;
}
static_assert(offsetof(struct copy_pieces, source) == 0, "source must be first");

enum err_code copy_pieces_begin(struct copy_pieces *pieces, struct store *from, const char *key,
				struct err *err)
{
	enum err_code code;

	*pieces = (struct copy_pieces){ .source.read = copy_source_read, .from = from, .key = key };
	code = store_stat(from, key, &pieces->stat, err);
	if (code != ERR_OK)
		return code;
	pieces->source.size = pieces->stat.size;
	pieces->sums = xcalloc(pieces->stat.size / COPY_PIECE_BYTES + 1, sizeof(*pieces->sums));
	return ERR_OK;
}

/* One byte more than the last piece has tells an object that is longer. */
static enum err_code copy_piece_is(struct copy_pieces *pieces, struct store *to, uint64_t from,
				   struct buf *piece, bool *ret_same, struct err *err)
{
	struct copy_sum *sum = &pieces->sums[from / COPY_PIECE_BYTES];
	uint64_t len = copy_piece_len(pieces, from);
	enum err_code code = ERR_OK;

	buf_clear(piece);
	if (!sum->known)
		code = copy_source_get(pieces, from, len, piece, err);
	buf_clear(piece);
	if (code == ERR_OK)
		code = copy_piece_get(to, pieces->key, from,
				      from + len == pieces->source.size ? len + 1 : len, piece,
				      err);
	if (code == ERR_OK)
		*ret_same = piece->len == len && memcmp(copy_sum_of(buf_slice(piece)).bytes,
							sum->bytes, sizeof(sum->bytes)) == 0;
	return code;
}

enum err_code copy_pieces_are(struct copy_pieces *pieces, struct store *to, bool *ret_same,
			      struct err *err)
{
	enum err_code code;
	struct buf piece;
	uint64_t at = 0;

	buf_init(&piece, COPY_PIECE_BYTES + 1);
	*ret_same = false;
	do {
		code = copy_piece_is(pieces, to, at, &piece, ret_same, err);
		at += COPY_PIECE_BYTES;
	} while (code == ERR_OK && *ret_same && at < pieces->source.size);
	buf_release(&piece);
	if (code == ERR_OK)
		code = store_check_same(pieces->from, pieces->key, &pieces->stat, err);
	return code;
}

void copy_pieces_end(struct copy_pieces *pieces) { free(pieces->sums); }
