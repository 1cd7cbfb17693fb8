#include "flow/sink_recover.h"

#include "base/trace.h"
#include "flow/dlq.h"
#include "flow/manifest.h"

#include <stdio.h>

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

static enum err_code clear_from(struct store *store, struct lake_partition where, uint64_t next,
				struct err *err)
{
	struct clearing clearing = { store, where, ERR_OK, err };
	enum err_code code = lake_list_objects(store, where, (int64_t)next - 1, clear_empty,
					       &clearing, err);

	return code == ERR_OK ? clearing.code : code;
}

static struct slice last_line(struct slice text)
{
	const char *end = text.ptr + text.len - 1;	/* the last line end */
	const char *before = memrchr(text.ptr, '\n', text.len - 1);
	const char *start = before ? before + 1 : text.ptr;

	return slice_of(start, (size_t)(end - start));
}

/* Up to the last line of this object. */
static enum err_code place_at_end(struct store *store, uint64_t start, struct slice text,
				  struct sink_place *place, struct err *err)
{
	struct manifests manifests;
	struct manifest manifest;
	struct slice line = last_line(text);
	enum err_code code =
		manifests_load(store, place->where, (int64_t)start - 1, &manifests, err);
	uint64_t last;

	if (code != ERR_OK)
		return code;
	code = manifests_find(&manifests, store, start, text, &manifest, err);
	manifests_release(&manifests);
	if (code != ERR_OK)
		return code;
	last = manifest_offset(&manifest, manifest_count_lines(text) - 1);
	manifest_release(&manifest);
	place->any = true;
	place->last = lake_position(last);
	place->next = last + 1;
	place->has_line = true;
	buf_init(&place->last_line, line.len);
	buf_add_slice(&place->last_line, line);
	return lineage_load(store, place->where, last, &place->lineages, err);
}

static enum err_code read_newest(struct store *store, uint64_t start, struct sink_place *place,
				 struct err *err)
{
	struct slice text;
	struct buf key, body;
	enum err_code code;

	buf_init(&key, STORE_KEY_MAX + 1);
	buf_init(&body, OBJECT_MAX + (OBJECT_MAX - 1));
	lake_object_key(&key, place->where, start);
	code = store_get(store, buf_cstr(&key), 0, UINT64_MAX, &body, err);
	text = buf_slice(&body);
	if (code == ERR_OK && (text.len == 0 || text.ptr[text.len - 1] != '\n'))
		code = err_set(err, ERR_CORRUPT, "object \"%s\" does not end with a line end",
			       buf_cstr(&key));
	if (code == ERR_OK)
		code = place_at_end(store, start, text, place, err);
	buf_release(&body);
	buf_release(&key);
	return code;
}

/* Objects and letters are put strictly in order, so whichever of the two reaches further tells the
 * end. */
static enum err_code pass_letters(struct store *store, struct sink_place *place, struct err *err)
{
	struct dlq_source source = { .stage = "sink",
				     .topic = { TOPIC_LOG, place->where.topic },
				     .partition = place->where.id,
				     .generation = place->where.generation };
	struct position last;
	enum err_code code;
	bool any;

	code = dlq_end(store, &source, place->any ? &place->last : NULL, &any, &last, err);
	if (code != ERR_OK || !any)
		return code;
	if (!lake_offset(last, &place->next))
		return err_set(err, ERR_CORRUPT, "a dead letter of \"%s\" has an offset of more"
			       " than 63 bits", place->where.topic);
	place->any = true;
	place->last = last;
	place->next++;
	place->has_line = false;
	return ERR_OK;
}

enum err_code sink_recover(struct store *store, struct lake_partition where,
			   struct sink_place *ret_place, struct err *err)
{
	struct sink_place place = { .where = where };
	struct newest newest = { 0 };
	enum err_code code = lake_list_objects(store, where, -1, look_at, &newest, err);

	if (code == ERR_OK && newest.found)
		code = read_newest(store, newest.start, &place, err);
	if (code == ERR_OK)
		code = pass_letters(store, &place, err);
	if (code == ERR_OK && newest.empty && newest.empty_start >= place.next)
		code = clear_from(store, where, place.next, err);
	if (code == ERR_OK)
		*ret_place = place;
	else
		buf_release(&place.last_line);
	return code;
}

/* --- the topic that it is of ------------------------------------------------- */

/* What the lake has of a partition lies where the log's topic begins, or behind that. */
static enum err_code begins_again(struct store *store, struct lake_partition where,
				  const struct partition_info *partition, bool *ret,
				  struct err *err)
{
	struct sink_place place;
	enum err_code code;

	where.id = partition->id;
	code = sink_recover(store, where, &place, err);
	if (code != ERR_OK)
		return code;
	buf_release(&place.last_line);
	*ret = place.any && position_cmp(place.last, partition->born) >= 0;
	return ERR_OK;
}

/* Another topic than the lake's: does it go on where that ended, in every partition? */
static enum err_code judge(struct store *store, const struct topic_info *info,
			   bool new_generation, struct history *history, struct err *err)
{
	struct lake_partition where = { .topic = info->name, .generation = history->generation };
	bool again = false;

	for (int32_t i = 0; i < info->partition_count && !again; i++)
		if (begins_again(store, where, &info->partitions[i], &again, err) != ERR_OK)
			return err->code;
	if (!again)
		return ERR_OK;
	if (!new_generation)
		return err_set(err, ERR_CORRUPT, "the lake has records of another pipeline, or of an"
			       " older topic, under this name, and the offsets of this one begin"
			       " again; with new_history \"continue\" it goes on as the next"
			       " generation");
	if (history->generation == LAKE_GENERATIONS_MAX)
		return err_set(err, ERR_LIMIT, "there are %d generations", LAKE_GENERATIONS_MAX);
	trace_warn("topic \"%s\" was made anew: it goes on as generation %u", info->name,
		   history->generation + 1);
	*history = (struct history){ .generation = history->generation + 1 };
	return ERR_OK;
}

static enum err_code find_of(struct store *store, const struct topic_info *info, int32_t partition,
			     const char *topic, bool new_generation, struct sink_place *ret_place,
			     struct err *err)
{
	struct lake_partition where = { .topic = topic, .id = partition };
	struct history history;
	enum err_code code = history_load(store, topic, info->uid, &history, err);

	if (code == ERR_OK && history.named && !history.has_uid)
		code = judge(store, info, new_generation, &history, err);
	where.generation = history.generation;
	if (code == ERR_OK)
		code = sink_recover(store, where, ret_place, err);
	if (code != ERR_OK)
		return code;
	ret_place->name_due = info->uid[0] && !history.has_uid;
	ret_place->name_first = !history.named;
	(void)snprintf(ret_place->uid, sizeof(ret_place->uid), "%s", info->uid);
	return ERR_OK;
}

enum err_code sink_find_place(struct store *store, struct broker *broker, const char *topic,
			      int32_t partition, bool new_generation, struct sink_place *ret_place,
			      struct err *err)
{
	struct topic_ref ref = { TOPIC_LOG, topic };
	struct topic_info info;
	enum err_code code = broker_describe(broker, ref, &info, err);

	if (code != ERR_OK)
		return code;
	if (topic_info_partition(&info, partition))
		code = find_of(store, &info, partition, topic, new_generation, ret_place, err);
	else
		code = err_set(err, ERR_NO_PARTITION, "topic \"%s\" has no partition %d", topic,
			       partition);
	topic_info_release(&info);
	return code;
}
