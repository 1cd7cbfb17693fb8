#include "flow/sink_recover.h"

#include "base/trace.h"
#include "broker/sequence.h"
#include "flow/dlq.h"

enum { OBJECT_MAX = 1 << 30 };	/* as sink.flush_bytes */

/* Of the objects of a partition. */
struct newest {
	bool found;
	uint64_t start;
	bool empty;		/* there is one without a byte … */
	uint64_t empty_start;	/* … and the last one begins there */
};

/* An object without a byte says nothing of how far the sink is: it puts none. */
static bool look_at(void *user, const struct lake_entry *entry)
{
	struct newest *newest = user;

	if (entry->size == 0) {
		newest->empty = true;
		newest->empty_start = entry->start;
	} else {
		newest->found = true;
		newest->start = entry->start;
	}
	return true;
}

/* Where the next object may have to go: an empty one in its place would refuse it for ever, and
 * loses nothing by going. */
struct clearing {
	struct store *store;
	struct lake_partition where;
	enum err_code code;
	struct err *err;
};

static bool clear_empty(void *user, const struct lake_entry *entry)
{
	struct clearing *clearing = user;
	struct buf key;

	if (entry->size > 0)
		return true;
	buf_init(&key, STORE_KEY_MAX + 1);
	lake_object_key(&key, clearing->where, entry->start);
	trace_warn("object \"%s\" is empty, and none of the sink's: it is removed",
		   buf_cstr(&key));
	clearing->code = store_remove(clearing->store, buf_cstr(&key), clearing->err);
	buf_release(&key);
	return clearing->code == ERR_OK;
}

static enum err_code clear_from(struct store *store, const char *topic, int32_t partition,
				uint64_t next, struct err *err)
{
	struct lake_partition where = { .topic = topic, .id = partition };
	struct clearing clearing = { store, where, ERR_OK, err };
	enum err_code code = lake_list_objects(store, where, (int64_t)next - 1, clear_empty,
					       &clearing, err);

	return code == ERR_OK ? clearing.code : code;
}

static uint64_t sink_recover_count_lines(struct slice text)
{
	uint64_t count = 0;

	for (const char *at; (at = memchr(text.ptr, '\n', text.len)); count++)
		text = slice_from(text, (size_t)(at - text.ptr) + 1);
	return count;
}

static struct slice last_line(struct slice text)
{
	const char *end = text.ptr + text.len - 1;	/* the last line end */
	const char *before = memrchr(text.ptr, '\n', text.len - 1);
	const char *start = before ? before + 1 : text.ptr;

	return slice_of(start, (size_t)(end - start));
}

static enum err_code read_newest(struct store *store, const char *key, uint64_t start,
				 struct sink_place *place, struct err *err)
{
	struct slice text;
	struct buf body;
	enum err_code code;

	buf_init(&body, OBJECT_MAX + (OBJECT_MAX - 1));
	code = store_get(store, key, 0, UINT64_MAX, &body, err);
	text = buf_slice(&body);
	if (code == ERR_OK && (text.len == 0 || text.ptr[text.len - 1] != '\n')) {
		code = err_set(err, ERR_CORRUPT, "object \"%s\" does not end with a line end", key);
	} else if (code == ERR_OK) {
		struct slice line = last_line(text);

		place->next = start + sink_recover_count_lines(text);
		place->has_line = true;
		buf_init(&place->last_line, line.len);
		buf_add_slice(&place->last_line, line);
	}
	buf_release(&body);
	return code;
}

/* The ordinal after the last letter at or above `from`, or `from`. */
static enum err_code end_of_letters(struct store *store, const struct dlq_source *source,
				    uint64_t from, uint64_t *ret_end, struct err *err)
{
	struct position after = position_of_offset(from - 1), last;
	bool any;
	enum err_code code = dlq_end(store, source, from > 0 ? &after : NULL, &any, &last, err);

	if (code == ERR_OK)
		*ret_end = any ? position_ordinal(last) + 1 : from;
	return code;
}

/*
 * Objects and letters are put strictly in order, so whichever of the two
 * reaches further tells the end.
 */
enum err_code sink_recover(struct store *store, const char *topic, int32_t partition,
			   struct sink_place *ret_place, struct err *err)
{
	struct dlq_source source = { .stage = "sink",
				     .topic = { TOPIC_LOG, topic },
				     .partition = partition };
	struct lake_partition where = { .topic = topic, .id = partition };
	struct sink_place place = { 0 };
	struct newest newest = { 0 };
	uint64_t end = 0;
	enum err_code code;
	struct buf key;

	buf_init(&key, STORE_KEY_MAX + 1);
	code = lake_list_objects(store, where, -1, look_at, &newest, err);
	if (code == ERR_OK && newest.found) {
		lake_object_key(&key, where, newest.start);
		code = read_newest(store, buf_cstr(&key), newest.start, &place, err);
	}
	if (code == ERR_OK)
		code = end_of_letters(store, &source, place.next, &end, err);
	if (code == ERR_OK && newest.empty && newest.empty_start >= end)
		code = clear_from(store, topic, partition, end, err);
	if (code == ERR_OK) {
		place.has_line = place.has_line && end == place.next;
		place.next = end;
		*ret_place = place;
	} else {
		buf_release(&place.last_line);
	}
	buf_release(&key);
	return code;
}
