#include "broker/local/index.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "PINPIPEI";
static const char new_name[] = "index.new";
enum { HEADER_BYTES = 32, ENTRY_BYTES = 32, INDEX_BYTES_MAX = 256 * 1024 * 1024 };

/* The file's numbers, as they stand in it. */
struct file_header {
	char magic[8];
	uint64_t base;
	uint64_t end;
	uint32_t count;
	uint32_t crc;
};

struct file_entry {
	uint64_t uid;
	int32_t partition;
	uint32_t zero;
	uint64_t ordinal;
	uint64_t address;
};

_Static_assert(sizeof(struct file_header) == HEADER_BYTES, "the layout is a file format");
_Static_assert(sizeof(struct file_entry) == ENTRY_BYTES, "the layout is a file format");
_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "index files are little-endian");

void index_init(struct index *index, uint64_t base)
{
	*index = (struct index){ .base = base, .end = base + SEGMENT_HEADER_BYTES };
	ordinals_init(&index->last);
}

void index_release(struct index *index)
{
	free(index->entries);
	ordinals_release(&index->last);
	*index = (struct index){ 0 };
}

void index_cache_init(struct index_cache *cache, int dir_fd)
{
	*cache = (struct index_cache){ .dir_fd = dir_fd };
}

void index_cache_release(struct index_cache *cache)
{
	for (size_t i = 0; i < INDEX_CACHE_SEGMENTS; i++)
		index_release(&cache->items[i]);
	states_release(&cache->states);
}

static void add_entry(struct index *index, struct index_entry entry)
{
	if (index->count == index->cap) {
		index->cap = index->cap ? 2 * index->cap : 64;
		index->entries = xreallocarray(index->entries, index->cap, sizeof(entry));
	}
	index->entries[index->count++] = entry;
}

/* An entry, if it is the first batch of its partition in its stretch. */
static void add_batch(struct index *index, const struct batch *batch)
{
	uint64_t stretch = (batch->address - index->base) / INDEX_STRIDE_BYTES + 1;
	struct ordinal *last;

	if (batch->kind != BATCH_RECORDS || batch->uid == 0)
		return;
	last = ordinals_get(&index->last, batch->uid, batch->partition);
	if (last->next == stretch)
		return;
	last->next = stretch;
	add_entry(index, (struct index_entry){ .uid = batch->uid,
					       .partition = batch->partition,
					       .ordinal = batch->ordinal,
					       .address = batch->address });
}

void index_note(struct index *index, const struct batch *batch)
{
	add_batch(index, batch);
	index->end = batch_end(batch);
}

/* Reads on from index->end, by headers. */
static enum err_code extend(struct index *index, int dir_fd, uint64_t watermark, struct err *err)
{
	enum cursor_result result = CURSOR_BATCH;
	enum err_code code = ERR_OK;
	struct cursor cursor;
	struct batch batch;

	cursor_init(&cursor, dir_fd);
	cursor_seek(&cursor, index->end);
	while (code == ERR_OK && result != CURSOR_WAIT) {
		code = cursor_next(&cursor, watermark, &result, &batch, NULL, err);
		if (code != ERR_OK || result == CURSOR_WAIT)
			break;
		if (cursor.segment.header.base != index->base)
			break;
		if (result == CURSOR_BATCH)
			add_batch(index, &batch);
		index->end = cursor.at;
	}
	cursor_release(&cursor);
	return code;
}

/* False: no file, or not a good one. */
static bool index_load(struct index *index, int dir_fd)
{
	struct file_header header;
	struct file_entry *entries = NULL;
	char name[SEGMENT_NAME_MAX];
	struct stat st;
	bool good;
	size_t len;
	int fd;

	segment_name(index->base, "index", name);
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	good = fstat(fd, &st) == 0 && st.st_size >= HEADER_BYTES && st.st_size < INDEX_BYTES_MAX &&
	       pread(fd, &header, HEADER_BYTES, 0) == HEADER_BYTES &&
	       memcmp(header.magic, magic, sizeof(magic)) == 0 && header.base == index->base;
	len = good ? (size_t)header.count * ENTRY_BYTES : 0;
	good = good && len == (size_t)st.st_size - HEADER_BYTES;
	if (good) {
		entries = xmalloc(len);
		good = pread(fd, entries, len, HEADER_BYTES) == (ssize_t)len &&
		       crc32c(0, entries, len) == header.crc;
	}
	for (size_t i = 0; good && i < header.count; i++)
		add_entry(index, (struct index_entry){ entries[i].uid, entries[i].partition,
						       entries[i].ordinal, entries[i].address });
	if (good)
		index->end = header.end;
	free(entries);
	(void)close(fd);
	return good;
}

/* The cached index of the segment, up to date; the one that was not used for longest makes room. */
static enum err_code index_get(struct index_cache *cache, uint64_t base, uint64_t watermark,
			       struct index **ret_index, struct err *err)
{
	struct index *index = &cache->items[0];

	for (size_t i = 0; i < INDEX_CACHE_SEGMENTS; i++) {
		struct index *item = &cache->items[i];

		if (item->base == base) {
			index = item;
			break;
		}
		if (item->used < index->used)
			index = item;
	}
	if (index->base != base) {
		index_release(index);
		index_init(index, base);
		(void)index_load(index, cache->dir_fd);
	}
	index->used = ++cache->clock;
	*ret_index = index;
	return extend(index, cache->dir_fd, watermark, err);
}

enum err_code index_find(struct index_cache *cache, uint64_t base, uint64_t watermark, uint64_t uid,
			 int32_t partition, uint64_t ordinal, uint64_t *ret_address,
			 struct err *err)
{
	struct index *index;
	enum err_code code = index_get(cache, base, watermark, &index, err);

	if (code != ERR_OK)
		return code;
	*ret_address = base + SEGMENT_HEADER_BYTES;
	for (size_t i = index->count; i-- > 0;) {
		const struct index_entry *entry = &index->entries[i];

		if (entry->uid == uid && entry->partition == partition &&
		    entry->ordinal <= ordinal) {
			*ret_address = entry->address;
			break;
		}
	}
	return ERR_OK;
}

static enum err_code index_save(const struct index *index, int dir_fd, struct err *err)
{
	struct file_header header = { .base = index->base,
				      .end = index->end,
				      .count = (uint32_t)index->count };
	size_t len = index->count * ENTRY_BYTES;
	char *bytes = xcalloc(1, HEADER_BYTES + len);
	char name[SEGMENT_NAME_MAX];
	enum err_code code;

	for (size_t i = 0; i < index->count; i++) {
		const struct index_entry *entry = &index->entries[i];
		struct file_entry out = { entry->uid, entry->partition, 0, entry->ordinal,
					  entry->address };

		memcpy(bytes + HEADER_BYTES + i * ENTRY_BYTES, &out, ENTRY_BYTES);
	}
	memcpy(header.magic, magic, sizeof(magic));
	header.crc = crc32c(0, bytes + HEADER_BYTES, len);
	memcpy(bytes, &header, HEADER_BYTES);
	segment_name(index->base, "index", name);
	/* Not synced: what a power cut leaves of it fails its check and is made again. */
	code = file_replace(dir_fd, name, new_name, slice_of(bytes, HEADER_BYTES + len), false,
			    "the index of a log segment", err);
	free(bytes);
	return code;
}

enum err_code index_make(struct index *index, int dir_fd, uint64_t watermark, struct err *err)
{
	char name[SEGMENT_NAME_MAX];
	enum err_code code;

	segment_name(index->base, "index", name);
	if (faccessat(dir_fd, name, F_OK, 0) == 0)
		return ERR_OK;
	code = extend(index, dir_fd, watermark, err);
	return code == ERR_OK ? index_save(index, dir_fd, err) : code;
}
