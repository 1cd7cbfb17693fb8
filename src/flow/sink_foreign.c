#include "flow/sink_foreign.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "base/trace.h"
#include "flow/group.h"
#include "flow/lake_text.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	PIECE_BYTES = 2 << 20,
	LINES_MAX = 1024 << 20, /* of last lines, bytes */
	AT_ONCE_BYTES = 32 << 20,
	OPEN_MAX = 1000, /* buckets that were open at the end, at the most */
};

struct foreign_object {
	char *key;
	uint64_t start;
	uint64_t size;
	uint64_t lines;
	char *last_line; /* of those that may have been open at the end */
};

struct foreign_listing {
	struct store *store;
	struct lake_partition where;
	size_t prefix;	    /* the length of "topics/<topic>/" */
	enum err_code code; /* of listing a folder, with … */
	struct err *err;
	struct foreign_object *list;
	size_t count;
	size_t room;
};

static void foreign_add(struct foreign_listing *listing, const struct store_entry *entry,
			uint64_t start)
{
	if (listing->count == listing->room) {
		listing->room = listing->room * 2 + 64;
		listing->list = xreallocarray(listing->list, listing->room, sizeof(*listing->list));
	}
	listing->list[listing->count++] = (struct foreign_object){ .key = xstrdup(entry->key),
								   .start = start,
								   .size = entry->size };
}

static bool foreign_note(void *user, const struct store_entry *entry)
{
	struct foreign_listing *listing = user;
	struct lake_file_name name;

	if (lake_file_parse(entry->key, &name) && !name.side.ptr && entry->size > 0 &&
	    name.partition == listing->where.id)
		foreign_add(listing, entry, name.start);
	return true;
}

/* Nothing in folders of partitions and generations is another program's by time. */
static bool foreign_look(void *user, const struct store_entry *entry)
{
	static const char *const others[] = { "partition=", "generation=" };
	struct foreign_listing *listing = user;
	struct slice rest = slice_from(slice_str(entry->key), listing->prefix);

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (slice_starts(rest, others[i]))
			return true;
	if (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
		listing->code = store_list(listing->store, entry->key, "", foreign_note, listing,
					   listing->err);
	else
		(void)foreign_note(listing, entry);
	return listing->code == ERR_OK;
}

static enum err_code foreign_list(struct foreign_listing *listing, struct err *err)
{
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, STORE_KEY_MAX + 1);
	buf_addf(&prefix, "topics/%s/", listing->where.topic);
	listing->prefix = prefix.len;
	listing->err = err;
	code = store_level(listing->store, buf_cstr(&prefix), foreign_look, listing, err);
	buf_release(&prefix);
	return code == ERR_OK ? listing->code : code;
}

static int foreign_by_start(const void *a, const void *b)
{
	const struct foreign_object *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static void keep_last_line(struct foreign_object *object, struct slice text)
{
	const char *before = memrchr(text.ptr, '\n', text.len - 1);
	const char *start = before ? before + 1 : text.ptr;

	object->last_line = xstrndup(start, (size_t)(text.ptr + text.len - 1 - start));
}

static enum err_code foreign_read(void *user, size_t item, struct err *err)
{
	const struct foreign_listing *listing = user;
	struct foreign_object *object = &listing->list[item];
	struct lake_text_tail tail;
	enum err_code code;

	lake_text_tail_init(&tail, 0);
	code = lake_text_each_same(listing->store, object->key, object->size, PIECE_BYTES,
				   lake_text_tail_take, &tail, err);
	if (code == ERR_OK && (tail.sum.bytes == 0 || tail.sum.last != '\n'))
		code = err_set(err, ERR_CORRUPT, "object \"%s\" does not end with a line end",
			       object->key);
	if (code == ERR_OK) {
		object->lines = tail.sum.lines;
		if (item + OPEN_MAX >= listing->count)
			keep_last_line(object, buf_slice(&tail.text));
	}
	lake_text_tail_release(&tail);
	return code;
}

static uint64_t foreign_bytes(void *user, size_t item)
{
	uint64_t size = ((const struct foreign_listing *)user)->list[item].size;

	return size < PIECE_BYTES ? size : PIECE_BYTES;
}

static enum err_code foreign_read_all(struct foreign_listing *listing, struct err *err)
{
	qsort(listing->list, listing->count, sizeof(*listing->list), foreign_by_start);
	trace_info("topic \"%s\" partition %d: %zu objects lie by time, and no manifest tells their"
		   " offsets: they are counted, and left alone",
		   listing->where.topic, listing->where.id, listing->count);
	return ahead_all(&(struct ahead_options){ .count = listing->count,
						  .at_once = store_at_once(listing->store),
						  .bytes_max = AT_ONCE_BYTES,
						  .bytes = foreign_bytes,
						  .work = foreign_read,
						  .user = listing },
			 err);
}

static void foreign_sum(const struct foreign_listing *listing, struct sink_foreign *foreign)
{
	uint64_t end = listing->list[0].start;

	for (size_t i = 0; i < listing->count; i++)
		end += listing->list[i].lines;
	for (size_t i = 0; i < listing->count;
	     i++) { /* it begins there, so that is before the end */
		const struct foreign_object *object = &listing->list[i];

		if (object->start + object->lines > end)
			end = object->start + object->lines;
		if (object->last_line)
			buf_addf(&foreign->last_lines, "%s\n", object->last_line);
	}
	foreign->objects = listing->count;
	foreign->next = end;
}

enum err_code sink_foreign_find(struct store *store, struct lake_partition where,
				struct sink_foreign *ret_foreign, struct err *err)
{
	struct foreign_listing listing = { .store = store, .where = where };
	struct sink_foreign foreign = { 0 };
	enum err_code code = ERR_OK;

	buf_init(&foreign.last_lines, LINES_MAX);
	if (where.generation <= 1) /* another program knows of no other */
		code = foreign_list(&listing, err);
	if (code == ERR_OK && listing.count > 0)
		code = foreign_read_all(&listing, err);
	if (code == ERR_OK && listing.count > 0)
		foreign_sum(&listing, &foreign);
	for (size_t i = 0; i < listing.count; i++) {
		free(listing.list[i].key);
		free(listing.list[i].last_line);
	}
	free(listing.list);
	if (code == ERR_OK)
		*ret_foreign = foreign;
	else
		buf_release(&foreign.last_lines);
	return code;
}
