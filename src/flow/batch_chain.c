#include "flow/batch_chain.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

/* Beyond these a listing costs no more than what is read here. */
enum { CHAIN_OBJECTS_MAX = 256, CHAIN_BYTES_MAX = 256 << 20, PIECE = 1 << 20 };

struct chain {
	struct store *store;
	const struct lake_part *part;
	struct lake_entry *list;
	size_t count;
	uint64_t bytes;
	uint64_t next; /* where another one would begin */
};

/* A last line need not have its end. */
static enum err_code count_lines(const struct store_fetched *file, uint64_t *ret_lines,
				 struct err *err)
{
	char *piece = xmalloc(PIECE);
	uint64_t lines = 0;
	int failure = 0;
	char last = '\n';

	for (uint64_t at = 0; at < file->size && failure == 0;) {
		size_t len = file->size - at < PIECE ? (size_t)(file->size - at) : PIECE;
		const char *end = piece + len;

		if (file_read_at(file->fd, piece, len, at, &failure) < len)
			break;
		for (const char *c = piece; c < end && (c = memchr(c, '\n', (size_t)(end - c)));
		     c++)
			lines++;
		last = end[-1];
		at += len;
	}
	free(piece);
	if (failure != 0) {
		errno = failure;
		return err_errno(err, "could not read \"%s\"", file->path);
	}
	*ret_lines = lines + (last != '\n');
	return ERR_OK;
}

/* The object that begins where the chain ends; *ret_more false: there is none. */
static enum err_code chain_add(struct chain *chain, bool *ret_more, struct err *err)
{
	struct store_fetched file = { .fd = -1 };
	struct store_entry entry = { 0 };
	struct lake_entry *added;
	uint64_t lines = 0;
	struct buf key;
	enum err_code code;

	*ret_more = false;
	buf_init(&key, STORE_KEY_MAX + 1);
	lake_object_key(&key, chain->part->where, chain->next);
	entry.key = buf_cstr(&key);
	code = store_fetch(chain->store, &entry, &file, err);
	buf_release(&key);
	if (code != ERR_OK)
		return code == ERR_ABSENT ? ERR_OK : code;
	code = count_lines(&file, &lines, err);
	if (code == ERR_OK && lines > 0) {
		chain->list = xreallocarray(chain->list, chain->count + 1, sizeof(*added));
		added = &chain->list[chain->count++];
		*added = (struct lake_entry){ .start = chain->next, .size = file.size };
		chain->next += lines;
		chain->bytes += file.size;
		*ret_more = true;
	}
	store_fetched_release(&file);
	return code;
}

enum err_code batch_chain(struct store *store, const struct lake_part *part, uint64_t bytes_max,
			  struct lake_entry **ret_list, size_t *ret_count, struct err *err)
{
	struct chain chain = { .store = store, .part = part, .next = part->next };
	bool more = true;
	enum err_code code = ERR_OK;

	while (code == ERR_OK && more && chain.bytes < bytes_max) {
		if (chain.count == CHAIN_OBJECTS_MAX || chain.bytes >= CHAIN_BYTES_MAX) {
			chain.count = 0;
			break;
		}
		code = chain_add(&chain, &more, err);
	}
	if (code != ERR_OK || chain.count == 0) {
		free(chain.list);
		return code;
	}
	*ret_list = chain.list;
	*ret_count = chain.count;
	return ERR_OK;
}
