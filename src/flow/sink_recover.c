#include "flow/sink_recover.h"

#include "base/mem.h"
#include "base/trace.h"
#include "flow/dlq.h"
#include "flow/lake_search.h"
#include "flow/lake_text.h"
#include "flow/sink_foreign.h"

#include <stdio.h>

enum { OBJECT_MAX = 1 << 30 /* as sink.flush_bytes */, PIECE_BYTES = 2 << 20 };
#define TEN_DIGITS_MAX UINT64_C(9999999999)
#define NEARLY_TEN_DIGITS UINT64_C(9000000000)

/* Of the plain objects of a partition. An object without a byte says nothing of how far the sink
 * is: it puts none, but to bar others' way (group.h). */
struct newest {
	struct lake_partition where;
	bool found;
	struct lake_entry entry;
	bool empty;		/* there is one without a byte … */
	uint64_t empty_start;	/* … and the last one begins there */
	bool longer;		/* there are offsets of more than ten digits */
};

static bool sink_recover_look(void *user, const struct lake_entry *entry)
{
	struct newest *newest = user;

	if (entry->size == 0) {
		if (!newest->empty || entry->start > newest->empty_start)
			newest->empty_start = entry->start;
		newest->empty = true;
	} else if (!newest->found || entry->start >= newest->entry.start) {
		newest->found = true;
		newest->entry = *entry;
	}
	return true;
}

static bool look_at_name(void *user, const struct store_entry *listed, uint64_t *ret_start)
{
	struct newest *newest = user;
	struct lake_file_name name;

	if (!lake_file_parse(listed->key, &name) || !name.plain || name.side.ptr || name.number)
		return false;
	newest->longer |= name.start > TEN_DIGITS_MAX;
	if (name.start > TEN_DIGITS_MAX)
		return false;
	(void)sink_recover_look(newest, &(struct lake_entry){ .start = name.start,
						    .size = listed->size,
						    .packed = name.packed });
	*ret_start = name.start;
	return listed->size > 0;
}

static void put_object_key(void *user, struct buf *key, uint64_t start)
{
	const struct newest *newest = user;

	lake_object_key(key, newest->where, start);
}

/* Where offsets may have more than ten digits their names are not in their order, and all are
 * looked at. */
static enum err_code find_newest(struct store *store, struct newest *newest, struct err *err)
{
	struct lake_search search = { .store = store,
				      .most = TEN_DIGITS_MAX,
				      .put_key = put_object_key,
				      .look = look_at_name,
				      .user = newest };
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, STORE_KEY_MAX + 1);
	lake_object_prefix(&prefix, newest->where);
	search.prefix = buf_cstr(&prefix);
	code = lake_search_end(&search, err);
	buf_release(&prefix);
	if (code == ERR_OK &&
	    (newest->longer || (newest->found && newest->entry.start > NEARLY_TEN_DIGITS)))
		code = lake_list_objects(store, newest->where, -1, sink_recover_look, newest, err);
	return code;
}

static struct slice last_line(struct slice text)
{
	const char *end = text.ptr + text.len - 1;	/* the last line end */
	const char *before = memrchr(text.ptr, '\n', text.len - 1);
	const char *start = before ? before + 1 : text.ptr;

	return slice_of(start, (size_t)(end - start));
}

void sink_place_release(struct sink_place *place)
{
	buf_release(&place->last_line);
	group_release(&place->unfinished);
	group_release(&place->losses);
}

/* The record at `last`, whose line a text ends with, is the last one of the lake. */
static enum err_code place_at(struct store *store, uint64_t last, struct slice text,
			      struct sink_place *place, struct err *err)
{
	struct slice line = last_line(text);

	place->any = true;
	place->last = lake_position(last);
	place->next = place->told = last + 1;
	place->has_line = true;
	buf_init(&place->last_line, line.len);
	buf_add_slice(&place->last_line, line);
	return lineage_load(store, place->where, last, &place->lineages, err);
}

static enum err_code check_ends(const char *key, uint64_t bytes, char last, struct err *err)
{
	return bytes > 0 && last == '\n'
		       ? ERR_OK
		       : err_set(err, ERR_CORRUPT, "object \"%s\" does not end with a line end",
				 key);
}

/* Its lines follow one another; it may be long, and several partitions are placed at once. */
static enum err_code place_behind(struct store *store, const char *key,
				  const struct lake_entry *entry, struct sink_place *place,
				  struct err *err)
{
	struct lake_text_tail tail;
	enum err_code code;

	lake_text_tail_init(&tail, 0);
	code = lake_text_each_same(store, key, entry->size, PIECE_BYTES, lake_text_tail_take, &tail,
				   err);
	if (code == ERR_OK)
		code = check_ends(key, tail.sum.bytes, tail.sum.last, err);
	if (code == ERR_OK)
		code = place_at(store, entry->start + tail.sum.lines - 1, buf_slice(&tail.text),
				place, err);
	lake_text_tail_release(&tail);
	return code;
}

/* A manifest may tell which offsets they have. */
static enum err_code place_by_manifest(struct store *store, const char *key, uint64_t start,
				       const struct manifests *manifests, struct sink_place *place,
				       struct err *err)
{
	struct manifest manifest;
	struct slice text;
	enum err_code code;
	struct buf body;

	buf_init(&body, OBJECT_MAX + (OBJECT_MAX - 1));
	code = store_get(store, key, 0, UINT64_MAX, &body, err);
	text = buf_slice(&body);
	if (code == ERR_OK)
		code = check_ends(key, text.len, text.len ? text.ptr[text.len - 1] : '\0', err);
	if (code == ERR_OK)
		code = manifests_find(manifests, store, start, text, &manifest, err);
	if (code == ERR_OK) {
		code = place_at(store, manifest_offset(&manifest, manifest_count_lines(text) - 1),
				text, place, err);
		manifest_release(&manifest);
	}
	buf_release(&body);
	return code;
}

static enum err_code read_newest(struct store *store, const struct lake_entry *entry,
				 struct sink_place *place, struct err *err)
{
	struct manifests manifests = { 0 };
	enum err_code code = ERR_OK;
	struct buf key;

	buf_init(&key, STORE_KEY_MAX + 1);
	lake_entry_key(&key, place->where, entry);
	if (!entry->packed) /* another program's, which has none */
		code = manifests_load(store, place->where, (int64_t)entry->start - 1, &manifests,
				      err);
	if (code == ERR_OK && !entry->packed && manifests_may_have(&manifests, entry->start))
		code = place_by_manifest(store, buf_cstr(&key), entry->start, &manifests, place,
					 err);
	else if (code == ERR_OK)
		code = place_behind(store, buf_cstr(&key), entry, place, err);
	manifests_release(&manifests);
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

static enum err_code recover_plain(struct store *store, struct sink_place *place, struct err *err)
{
	struct newest newest = { .where = place->where };
	enum err_code code = find_newest(store, &newest, err);

	place->any_object = place->any_object || newest.found || newest.empty;
	if (code == ERR_OK && newest.found)
		code = read_newest(store, &newest.entry, place, err);
	if (code == ERR_OK)
		code = pass_letters(store, place, err);
	/* Numbers that are no records may lie between, so the bar need not be the next name. */
	place->grouped = newest.empty && newest.empty_start >= place->next;
	return code;
}

/* --- groups ------------------------------------------------------------------ */

enum object_state { OBJECT_ABSENT, OBJECT_THERE, OBJECT_BAR, OBJECT_OTHER };

/* All of it is compared: its size alone would not tell whose it is. `tail`: empty. */
static enum err_code look_at_part(struct store *store, const struct group *group, size_t object,
				  struct lake_text_tail *tail, enum object_state *ret_state,
				  struct err *err)
{
	const struct lake_text_sum *sum = &tail->sum;
	struct err why;
	enum err_code code = lake_text_each(store, group->objects[object].key, PIECE_BYTES,
					    lake_text_tail_take, tail, &why);

	if (code == ERR_ABSENT)
		*ret_state = OBJECT_ABSENT;
	else if (code == ERR_OK && sum->bytes == 0)
		*ret_state = OBJECT_BAR;
	else if (code == ERR_OK &&
		 group_check_sum(group, object, sum->bytes, sum->crc, &why) == ERR_OK)
		*ret_state = OBJECT_THERE;
	else
		*ret_state = OBJECT_OTHER;
	if (code == ERR_OK || code == ERR_ABSENT || code == ERR_CORRUPT)
		return ERR_OK;
	*err = why;
	return code;
}

/* Of those before the last one: so many are there. */
static enum err_code count_parts_before(struct store *store, const struct group *group,
					size_t *ret_count, enum object_state *ret_state,
					struct err *err)
{
	enum err_code code = ERR_OK;
	size_t count = 0;

	*ret_state = OBJECT_THERE;
	while (code == ERR_OK && *ret_state == OBJECT_THERE && count + 1 < group->object_count) {
		struct lake_text_tail tail;

		lake_text_tail_init(&tail, 0);
		code = look_at_part(store, group, count, &tail, ret_state, err);
		lake_text_tail_release(&tail);
		count += *ret_state == OBJECT_THERE;
	}
	*ret_count = count;
	return code;
}

/* The objects of a group are put in its order, so the last one tells, or else the first one that is
 * missing. `tail`: empty, and then that of the last one. */
static enum err_code count_there(struct store *store, const struct group *group,
				 struct lake_text_tail *tail, size_t *ret_count, bool *ret_barred,
				 struct err *err)
{
	enum object_state last = OBJECT_THERE, before;

	*ret_count = group->object_count;
	if (group->object_count == 0)
		return ERR_OK;
	if (look_at_part(store, group, group->object_count - 1, tail, &last, err) != ERR_OK)
		return err->code;
	if (last == OBJECT_THERE)
		return ERR_OK;
	if (last == OBJECT_OTHER) /* it may have been taken for whole */
		return err_set(err, ERR_CORRUPT,
			       "object \"%s\" is not what its group's manifest says",
			       group->objects[group->object_count - 1].key);
	if (count_parts_before(store, group, ret_count, &before, err) != ERR_OK)
		return err->code;
	*ret_barred = last == OBJECT_BAR || before == OBJECT_BAR || before == OBJECT_OTHER;
	return ERR_OK;
}

/* What letters of an amended group tell of. */
static void keep_losses(const struct group *group, struct sink_place *place)
{
	struct group *losses = &place->losses;

	for (size_t i = 0; i < group->run_count; i++)
		place->has_losses |= group->runs[i].object < GROUP_NO_RECORD;
	if (!place->has_losses)
		return;
	*losses = (struct group){ .first = group->first,
				  .end = group->end,
				  .has_after = group->has_after,
				  .after = group->after,
				  .run_count = group->run_count,
				  .run_room = group->run_count };
	losses->runs = xreallocarray(NULL, group->run_count, sizeof(*losses->runs));
	memcpy(losses->runs, group->runs, group->run_count * sizeof(*losses->runs));
}

static enum err_code read_group_end(struct store *store, const struct group *group, size_t object,
				    struct sink_place *place, struct err *err)
{
	struct lake_text_tail tail;
	enum err_code code;

	lake_text_tail_init(&tail, 0);
	code = lake_text_each(store, group->objects[object].key, PIECE_BYTES, lake_text_tail_take,
			      &tail, err);
	if (code == ERR_OK)
		code = group_check_sum(group, object, tail.sum.bytes, tail.sum.crc, err);
	if (code == ERR_OK)
		code = place_at(store, group->end - 1, buf_slice(&tail.text), place, err);
	lake_text_tail_release(&tail);
	return code;
}

/* `tail`: of its last object, in which the last line need not be. */
static enum err_code place_at_group(struct store *store, const struct group *group,
				    const struct lake_text_tail *tail, struct sink_place *place,
				    struct err *err)
{
	const struct group_run *last = &group->runs[group->run_count - 1];
	enum err_code code = ERR_OK;

	if (last->object < 0) { /* what was lost cannot be compared */
		place->any = true;
		place->last = lake_position(group->end - 1);
		place->next = place->told = group->end;
	} else if ((size_t)last->object + 1 == group->object_count) {
		code = place_at(store, group->end - 1, buf_slice(&tail->text), place, err);
	} else {
		code = read_group_end(store, group, (size_t)last->object, place, err);
	}
	return code == ERR_OK ? pass_letters(store, place, err) : code;
}

/* One that is not whole is what comes next: nothing can have been put behind it. */
static void place_before_group(struct group *group, size_t there, bool barred,
			       struct sink_place *place)
{
	place->any = group->has_after;
	if (place->any)
		place->last = lake_position(group->after);
	place->next = group_from(group);
	place->told = place->any ? place->next : 0;
	place->has_unfinished = true;
	place->unfinished_there = there;
	place->unfinished_barred = barred;
	place->unfinished = *group;
	*group = (struct group){ 0 };
}

/* Which of them are there tells how far they are (group.h, rule 11). */
static enum err_code place_in_letters(struct store *store, const struct group *group,
				      struct sink_place *place, struct err *err)
{
	enum err_code code;

	place->any = group->has_after;
	if (place->any)
		place->last = lake_position(group->after);
	place->next = group_from(group);
	place->told = place->letters_until = group->end;
	code = pass_letters(store, place, err);
	if (code == ERR_OK && place->any)
		code = lineage_load(store, place->where, place->next - 1, &place->lineages, err);
	return code;
}

/* Objects of another program that no manifest names may reach further than our own. */
static enum err_code place_behind_foreign(struct store *store, struct sink_place *place,
					  struct err *err)
{
	struct sink_foreign foreign;
	enum err_code code = sink_foreign_find(store, place->where, &foreign, err);

	if (code != ERR_OK)
		return code;
	if (foreign.objects > 0 && foreign.next > place->next) {
		buf_release(&place->last_line);
		place->any = true;
		place->next = foreign.next;
		place->last = lake_position(foreign.next - 1);
		place->has_line = place->counted = true;
		place->last_line = foreign.last_lines;
		place->lineages.count = 0;
	} else {
		buf_release(&foreign.last_lines);
	}
	if (foreign.objects > 0 && foreign.next > place->told)
		place->told = foreign.next;
	return ERR_OK;
}

/* Without any manifest another program may have been here. */
static enum err_code recover_unnamed(struct store *store, struct sink_place *place, struct err *err)
{
	enum err_code code = recover_plain(store, place, err);

	return code == ERR_OK ? place_behind_foreign(store, place, err) : code;
}

/* The manifest that says so may be all that was put: then the sink is where it was before, behind
 * another program's objects, or where those were. */
static enum err_code recover_said_plain(struct store *store, const struct group *said,
					struct sink_place *place, struct err *err)
{
	enum err_code code = recover_plain(store, place, err);

	if (code != ERR_OK || !said->has_after || place->told > said->after)
		return code;
	code = place_behind_foreign(store, place, err);
	if (code == ERR_OK && place->told <= said->after)
		place->told = said->after + 1;
	if (code == ERR_OK && place->next <= said->after) {
		place->any = true;
		place->last = lake_position(said->after);
		place->next = said->after + 1;
		place->has_line = place->counted = false;
	}
	return code;
}

static enum err_code place_by_group(struct store *store, struct group *group,
				    struct sink_place *place, struct err *err)
{
	struct lake_text_tail tail;
	bool barred = false;
	size_t there = 0;
	enum err_code code;

	lake_text_tail_init(&tail, 0);
	code = count_there(store, group, &tail, &there, &barred, err);
	if (code == ERR_OK)
		keep_losses(group, place);
	if (code == ERR_OK && there == group->object_count)
		code = place_at_group(store, group, &tail, place, err);
	else if (code == ERR_OK)
		place_before_group(group, there, barred, place);
	lake_text_tail_release(&tail);
	return code;
}

static enum err_code recover_group(struct store *store, uint64_t first, struct sink_place *place,
				   struct err *err)
{
	struct group group;
	enum err_code code = group_load(store, place->where, first, 0, &group, err);

	if (code != ERR_OK)
		return code;
	place->any_object = true;
	place->any_group = place->grouped = !group.plain;
	place->has_plain = group.plain;
	place->plain_first = first;
	if (group.plain)
		code = recover_said_plain(store, &group, place, err);
	else if (group.letters)
		code = place_in_letters(store, &group, place, err);
	else
		code = place_by_group(store, &group, place, err);
	group_release(&group);
	return code;
}

enum err_code sink_recover(struct store *store, struct lake_partition where,
			   struct sink_place *ret_place, struct err *err)
{
	struct sink_place place = { .where = where };
	uint64_t first;
	bool found;
	enum err_code code = group_find_last(store, where, INT64_MAX, &found, &first, err);

	if (code == ERR_OK && found)
		code = recover_group(store, first, &place, err);
	else if (code == ERR_OK)
		code = recover_unnamed(store, &place, err);
	if (code == ERR_OK)
		*ret_place = place;
	else
		sink_place_release(&place);
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
	if (place.has_unfinished) {
		place.any = true;
		place.last = lake_position(place.unfinished.end - 1);
	}
	if (place.letters_until > place.next) {
		place.any = true;
		place.last = lake_position(place.letters_until - 1);
	}
	*ret = place.any && position_cmp(place.last, partition->born) >= 0;
	sink_place_release(&place);
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
