#include "flow/restore_inside.h"

#include "base/mem.h"
#include "base/names.h"
#include "flow/dlq_key.h"
#include "flow/history.h"
#include "flow/raw_kept.h"
#include "flow/sink_foreign.h"

#include <inttypes.h>
#include <stdio.h>

/* --- what is known ------------------------------------------------------------- */

struct restore_topic *restore_plan_topic(struct restore_plan *plan, enum topic_kind kind,
					 struct slice name)
{
	struct restore_topic *topic;

	for (size_t i = 0; i < plan->count; i++)
		if (plan->topics[i]->kind == kind && slice_is(name, plan->topics[i]->name))
			return plan->topics[i];
	topic = xcalloc(1, sizeof(*topic));
	topic->kind = kind;
	topic->generation = 1;
	(void)snprintf(topic->name, sizeof(topic->name), "%.*s", SLICE_ARG(name));
	plan->topics = xreallocarray(plan->topics, plan->count + 1, sizeof(*plan->topics));
	plan->topics[plan->count++] = topic;
	return topic;
}

struct restore_part *restore_topic_part(struct restore_topic *topic, int32_t id)
{
	for (; topic->part_count <= id; topic->part_count++) {
		struct restore_part *part = xcalloc(1, sizeof(*part));

		part->where = (struct lake_partition){ topic->name, topic->part_count,
						       topic->generation };
		topic->parts = xreallocarray(topic->parts, (size_t)topic->part_count + 1,
					     sizeof(*topic->parts));
		topic->parts[topic->part_count] = part;
	}
	return topic->parts[id];
}

static void restore_part_free(struct restore_part *part)
{
	for (size_t i = 0; i < part->source_count; i++)
		free(part->sources[i].key);
	free(part->sources);
	free(part->lineages);
	free(part->told);
	free(part->sized);
	for (size_t i = 0; i < part->given_up_count; i++)
		group_release(&part->given_up[i]);
	free(part->given_up);
	group_release(&part->last_group);
	free(part);
}

static void drop_parts(struct restore_topic *topic)
{
	for (int32_t i = 0; i < topic->part_count; i++)
		restore_part_free(topic->parts[i]);
	free(topic->parts);
	topic->parts = NULL;
	topic->part_count = 0;
	topic->objects = topic->bytes = 0;
}

void restore_plan_release(struct restore_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		drop_parts(plan->topics[i]);
		free(plan->topics[i]);
	}
	free(plan->topics);
	*plan = (struct restore_plan){ 0 };
}

static void raise(uint64_t *next, uint64_t to)
{
	if (to > *next)
		*next = to;
}

void restore_tell(struct restore_part *part, uint64_t next)
{
	part->told = xreallocarray(part->told, part->told_count + 1, sizeof(*part->told));
	part->told[part->told_count++] = next;
}

/* --- names ---------------------------------------------------------------------- */

struct first_below {
	char key[STORE_KEY_MAX + 1];
};

static bool take_first_below(void *user, const struct store_entry *entry)
{
	struct first_below *first = user;

	(void)snprintf(first->key, sizeof(first->key), "%s", entry->key);
	return false;
}

/* One key of each directory is enough: the listing goes on behind all of it. */
enum err_code restore_names(struct store *store, const char *place,
			    enum err_code (*each)(void *user, struct slice name, struct err *err),
			    void *user, struct err *err)
{
	char after[STORE_KEY_MAX + 2] = "";
	enum err_code code;

	for (;;) {
		struct first_below first = { "" };
		struct slice name;

		code = store_list(store, place, after, take_first_below, &first, err);
		if (code != ERR_OK || !first.key[0])
			return code;
		name = slice_str(first.key + strlen(place));
		name.len = strcspn(name.ptr, "/");
		(void)snprintf(after, sizeof(after), "%s", first.key);
		if (!name.ptr[name.len])
			continue;
		/* '0' comes right after '/'. */
		(void)snprintf(after, sizeof(after), "%s%.*s0", place, SLICE_ARG(name));
		code = each(user, name, err);
		if (code != ERR_OK)
			return code;
	}
}

bool restore_parse_uid(struct slice text, uint64_t *ret_uid)
{
	char digits[17];
	int end = 0;

	if (text.len != sizeof(digits) - 1)
		return false;
	memcpy(digits, text.ptr, text.len);
	digits[text.len] = '\0';
	return sscanf(digits, "%16" SCNx64 "%n", ret_uid, &end) == 1 && end == 16 && *ret_uid != 0;
}

/* --- objects and letters --------------------------------------------------------- */

struct gathering {
	struct store *store;
	struct restore_plan *plan;
	struct restore_topic *topic;	/* being listed */
};

static struct restore_source *add_source(struct restore_part *part, uint64_t from,
					 const struct store_entry *entry)
{
	struct restore_source *source;

	if (part->source_count == part->source_room) {
		part->source_room = part->source_room * 2 + 16;
		part->sources = xreallocarray(part->sources, part->source_room,
					      sizeof(*part->sources));
	}
	source = &part->sources[part->source_count++];
	*source = (struct restore_source){ .from = from, .size = entry->size,
					   .key = xstrdup(entry->key) };
	return source;
}

static void add_sized(struct restore_part *part, uint64_t start, uint64_t bytes)
{
	if (part->sized_count == part->sized_room) {
		part->sized_room = part->sized_room * 2 + 16;
		part->sized = xreallocarray(part->sized, part->sized_room, sizeof(*part->sized));
	}
	part->sized[part->sized_count++] = (struct restore_sized){ start, bytes };
}

/* False: of a generation that another one has followed. */
static bool is_newest(struct restore_topic *topic, uint32_t generation)
{
	if (generation > topic->generation) {
		drop_parts(topic);
		topic->generation = generation;
	}
	return generation == topic->generation;
}

static bool gather_object(void *user, const struct store_entry *entry)
{
	struct gathering *gathering = user;
	struct restore_topic *topic = gathering->topic;
	struct lake_file_name name;
	struct restore_part *part;

	if (!lake_file_parse(entry->key, &name) || name.partition >= PARTITIONS_MAX ||
	    !is_newest(topic, name.generation) || entry->size == 0)
		return true;
	topic->objects++;
	topic->bytes += entry->size;
	part = restore_topic_part(topic, name.partition);
	add_sized(part, name.start, group_text_room(name.packed, entry->size));
	if (name.plain && !name.side.ptr && !name.number)
		add_source(part, name.start, entry)->size =
			group_text_room(name.packed, entry->size);
	part->foreign |= !name.plain;
	return true;
}

/* Of the sink, or, by names of before, perhaps of a table. */
static bool gather_letters(void *user, const struct store_entry *entry)
{
	struct gathering *gathering = user;
	struct restore_topic *topic = gathering->topic;
	struct restore_part *part;
	struct restore_source *source;
	uint64_t from = 0, upto = 0;
	struct dlq_key key;
	int32_t id;

	if (!dlq_key_parse(entry->key, &key) || key.table.ptr ||
	    !partition_parse(TOPIC_LOG, key.partition, &id) || id >= PARTITIONS_MAX ||
	    !is_newest(topic, key.generation))
		return true;
	if (key.old)
		from = key.start;
	else if (!lake_offset(key.range.upto, &upto) ||
		 (!key.range.begins && !lake_offset(key.range.from, &from)))
		return true;
	else if (!key.range.begins)
		from++;
	topic->objects++;
	topic->bytes += entry->size;
	part = restore_topic_part(topic, id);
	source = add_source(part, from, entry);
	source->kind = SOURCE_LETTERS;
	source->next = key.old ? from + 1 : upto + 1;
	return true;
}

static void note_generation(void *user, uint32_t generation, struct slice uid)
{
	struct gathering *gathering = user;

	(void)uid;
	(void)is_newest(gathering->topic, generation);
}

static enum err_code gather_topic(void *user, struct slice name, struct err *err)
{
	struct gathering *gathering = user;
	char prefix[TOPIC_NAME_MAX + 16];
	enum err_code code;
	struct err why;

	if (name_check_topic(name, &why) != ERR_OK)
		return ERR_OK; /* another program's */
	for (size_t i = 0; i < gathering->plan->count; i++)
		if (slice_is(name, gathering->plan->topics[i]->name))
			return ERR_OK;
	gathering->topic = restore_plan_topic(gathering->plan, TOPIC_LOG, name);
	code = history_list(gathering->store, gathering->topic->name, note_generation, gathering,
			    err);
	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", gathering->topic->name);
	if (code == ERR_OK)
		code = store_list(gathering->store, prefix, "", gather_object, gathering, err);
	(void)snprintf(prefix, sizeof(prefix), "dlq/%s/", gathering->topic->name);
	if (code == ERR_OK)
		code = store_list(gathering->store, prefix, "", gather_letters, gathering, err);
	return code;
}

/* From the first group on only groups say which objects there are. */
static void drop_plain(struct restore_part *part, uint64_t first)
{
	size_t kept = 0;

	for (size_t i = 0; i < part->source_count; i++)
		if (part->sources[i].kind == SOURCE_OBJECT && part->sources[i].from >= first)
			free(part->sources[i].key);
		else
			part->sources[kept++] = part->sources[i];
	part->source_count = kept;
}

/* What retention let go of, though some of it may be there still, or once more. */
static enum err_code drop_not_kept(struct store *store, struct restore_part *part, struct err *err)
{
	uint64_t from;
	size_t kept = 0;
	enum err_code code = raw_kept_find(store, part->where, &from, err);

	for (size_t i = 0; code == ERR_OK && i < part->source_count; i++)
		if (part->sources[i].kind != SOURCE_LETTERS && part->sources[i].from < from)
			free(part->sources[i].key);
		else
			part->sources[kept++] = part->sources[i];
	if (code == ERR_OK)
		part->source_count = kept;
	return code;
}

static int sized_by_start(const void *a, const void *b)
{
	const struct restore_sized *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* The text that begins in [from, to); `at` goes on from call to call. */
static uint64_t bytes_between(const struct restore_part *part, uint64_t from, uint64_t to,
			      size_t *at)
{
	uint64_t bytes = 0;

	for (; *at < part->sized_count && part->sized[*at].start < to; ++*at)
		if (part->sized[*at].start >= from)
			bytes += part->sized[*at].bytes;
	return bytes;
}

static enum err_code gather_groups(struct store *store, struct restore_part *part, struct err *err)
{
	struct group_names names;
	size_t at = 0;
	uint64_t first;
	struct buf key;
	enum err_code code = group_find_first(store, part->where, &first, err);

	if (code != ERR_OK || first == UINT64_MAX)
		return code;
	code = group_list(store, part->where, (int64_t)first - 1, SIZE_MAX, &names, err);
	if (code != ERR_OK)
		return code;
	drop_plain(part, first);
	part->foreign = false; /* they have their names */
	if (part->sized_count > 0)
		qsort(part->sized, part->sized_count, sizeof(*part->sized), sized_by_start);
	buf_init(&key, STORE_KEY_MAX + 1);
	for (size_t i = 0; i < names.count; i++) {
		const struct group_name *name = &names.list[i];
		uint64_t end = i + 1 < names.count ? name[1].first : UINT64_MAX;
		struct store_entry entry = { .size = bytes_between(part, name->first, end, &at) };

		group_key(&key, part->where, name->first, name->number);
		entry.key = buf_cstr(&key);
		add_source(part, name->first, &entry)->kind = SOURCE_GROUP;
	}
	buf_release(&key);
	group_names_release(&names);
	return ERR_OK;
}

static int by_from(const void *a, const void *b)
{
	const struct restore_source *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->key, y->key);
}

static enum err_code gather(struct store *store, struct restore_plan *plan, struct err *err)
{
	static const char *const places[] = { "topics/", "manifests/", "dlq/" };
	struct gathering gathering = { .store = store, .plan = plan };
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < ARRAY_LEN(places) && code == ERR_OK; i++)
		code = restore_names(store, places[i], gather_topic, &gathering, err);
	for (size_t i = 0; i < plan->count && code == ERR_OK; i++)
		for (int32_t k = 0; k < plan->topics[i]->part_count; k++) {
			struct restore_part *part = plan->topics[i]->parts[k];

			code = gather_groups(store, part, err);
			if (code == ERR_OK)
				code = drop_not_kept(store, part, err);
			if (code != ERR_OK)
				return code;
			if (part->source_count > 0)
				qsort(part->sources, part->source_count, sizeof(*part->sources),
				      by_from);
		}
	return code;
}

/* --- whose they are ------------------------------------------------------------------ */

static void add_lineage(void *user, uint64_t first, struct lineage lineage)
{
	struct restore_part *part = user;

	if (part->lineage_count == part->lineage_room) {
		part->lineage_room = part->lineage_room * 2 + 8;
		part->lineages = xreallocarray(part->lineages, part->lineage_room,
					       sizeof(*part->lineages));
	}
	part->lineages[part->lineage_count++] = (struct restore_lineage){ first, lineage };
	restore_tell(part, first + 1); /* that record was there when it was said */
}

/* Whether records of another topic come after those of this one, in any partition. */
static bool is_followed(const struct restore_topic *topic, uint64_t uid)
{
	for (int32_t i = 0; i < topic->part_count; i++) {
		const struct restore_part *part = topic->parts[i];
		bool met = false;

		for (size_t k = 0; k < part->lineage_count; k++) {
			met |= part->lineages[k].lineage.high == uid;
			if (met && part->lineages[k].lineage.high != uid)
				return true;
		}
	}
	return false;
}

/* Of all that were made anew under the name and went on, the last one, by the records. */
static uint64_t find_newest_uid(const struct restore_topic *topic)
{
	for (int32_t i = 0; i < topic->part_count; i++) {
		const struct restore_part *part = topic->parts[i];
		uint64_t uid = 0;

		if (part->lineage_count > 0)
			uid = part->lineages[part->lineage_count - 1].lineage.high;
		if (uid != 0 && !is_followed(topic, uid))
			return uid;
	}
	return 0;
}

struct naming {
	uint32_t generation;
	bool named;
	bool foreign;
	uint64_t uid;		/* of the second kind; 0: none */
};

static void note_uid(void *user, uint32_t generation, struct slice text)
{
	struct naming *naming = user;

	if (generation != naming->generation)
		return;
	if (text.len == 0)
		naming->named = true;
	else if (!restore_parse_uid(text, &naming->uid))
		naming->foreign = true;
}

static enum err_code restore_find_uid(struct store *store, struct restore_topic *topic,
				      struct err *err)
{
	struct naming naming = { .generation = topic->generation };
	char text[HISTORY_UID_MAX];
	enum err_code code = history_list(store, topic->name, note_uid, &naming, err);

	if (code == ERR_OK && naming.named)
		code = history_read(store, topic->name, topic->generation, text, err);
	if (code != ERR_OK || (!naming.named && naming.uid == 0 && !naming.foreign))
		return code;
	topic->uid = find_newest_uid(topic);
	if (topic->uid == 0)
		topic->uid = naming.uid;
	if (topic->uid == 0 && naming.named && !naming.foreign)
		naming.foreign = !restore_parse_uid(slice_str(text), &topic->uid);
	if (naming.foreign)
		return err_set(err, ERR_UNSUPPORTED, "topic \"%s\" of this lake is one of another kind "
			       "of log: ours cannot have its identity", topic->name);
	return ERR_OK;
}

/* Where this topic's records begin in a partition that had those of an older one. */
static void find_born(const struct restore_topic *topic, struct restore_part *part)
{
	bool other = false;

	for (size_t i = 0; i < part->lineage_count; i++) {
		if (part->lineages[i].lineage.high != topic->uid) {
			other = true;
			part->born = UINT64_MAX; /* none yet */
		} else if (other) {
			part->born = part->lineages[i].first;
			other = false;
		}
	}
}

static enum err_code note_manifests(struct store *store, struct restore_part *part, struct err *err)
{
	struct manifests manifests;
	enum err_code code = manifests_load(store, part->where, -1, &manifests, err);

	if (code != ERR_OK)
		return code;
	if (manifests.count > 0)
		restore_tell(part, manifests.names[manifests.count - 1].start + 1);
	manifests_release(&manifests);
	return ERR_OK;
}

/* The manifests that the last one took the place of, and the objects of theirs. */
static enum err_code find_given_up(struct store *store, struct restore_part *part, struct err *err)
{
	const struct group *last = &part->last_group;
	enum err_code code = ERR_OK;

	part->given_up = xcalloc(last->number, sizeof(*part->given_up));
	for (uint32_t number = 1; number < last->number && code == ERR_OK; number++) {
		struct group *group = &part->given_up[part->given_up_count];

		code = group_load(store, part->where, last->first, number, group, err);
		if (code == ERR_OK && !group->plain)
			part->given_up_count++;
		if (code == ERR_ABSENT) /* a restore that was ended has begun with them */
			code = ERR_OK;
	}
	return code;
}

/* The objects of a group are put in its order, so the last one tells whether all are there. */
static enum err_code find_unfinished(struct store *store, struct restore_part *part,
				     struct err *err)
{
	const struct restore_source *last = NULL;
	const struct group *group = &part->last_group;
	const char *key;
	enum err_code code;
	uint64_t size = 0;

	for (size_t i = 0; i < part->source_count; i++)
		if (part->sources[i].kind == SOURCE_GROUP)
			last = &part->sources[i];
	if (!last)
		return ERR_OK;
	code = group_load(store, part->where, last->from, 0, &part->last_group, err);
	if (code != ERR_OK || group->plain)
		return code;
	raise(&part->next, group->end);
	if (group->object_count == 0) /* its records were refused, all of them */
		return ERR_OK;
	key = group->objects[group->object_count - 1].key;
	code = store_size(store, key, &size, err);
	part->unfinished = code == ERR_ABSENT || (code == ERR_OK && group_is_bar(key, size));
	if (part->unfinished)
		return find_given_up(store, part, err);
	return code;
}

/* Their records are not to be had, but their offsets are used up. */
static enum err_code pass_foreign(struct store *store, struct restore_part *part, struct err *err)
{
	struct sink_foreign foreign;
	enum err_code code;

	if (!part->foreign)
		return ERR_OK;
	code = sink_foreign_find(store, part->where, &foreign, err);
	if (code != ERR_OK)
		return code;
	part->foreign = foreign.objects > 0;
	restore_tell(part, foreign.next);
	buf_release(&foreign.last_lines);
	return ERR_OK;
}

/* How far its partitions came, by all but objects and letters. */
static enum err_code hear_topic(struct store *store, struct restore_topic *topic, struct err *err)
{
	enum err_code code = ERR_OK;

	for (int32_t i = 0; i < topic->part_count && code == ERR_OK; i++) {
		code = lineage_list(store, topic->parts[i]->where, add_lineage, topic->parts[i],
				    err);
		if (code == ERR_OK)
			code = note_manifests(store, topic->parts[i], err);
		if (code == ERR_OK)
			code = pass_foreign(store, topic->parts[i], err);
	}
	return code == ERR_OK ? restore_find_uid(store, topic, err) : code;
}

static enum err_code complete_topic(struct store *store, struct restore_topic *topic,
				    struct err *err)
{
	enum err_code code = ERR_OK;

	for (int32_t i = 0; i < topic->part_count && code == ERR_OK; i++) {
		code = find_unfinished(store, topic->parts[i], err);
		if (topic->uid != 0)
			find_born(topic, topic->parts[i]);
	}
	return code;
}

/* --- beside a sink ----------------------------------------------------------------- */

/*
 * Objects and letters of a partition are put one after the other, but they are listed at two times.
 * So what is listed first only tells how far they had come; all up to there was put before the
 * second listing began, and what has come since is left out. What else tells how far it is (a
 * manifest, a lineage, a table) is asked in between: what that rests on is in the second listing,
 * and where that is left out nothing may be told of it either, or it would count as lost.
 */
static void leave_out_new(struct restore_part *part, const struct restore_part *seen)
{
	size_t kept = 0;

	while (kept < part->source_count && seen->source_count > 0 &&
	       part->sources[kept].from <= seen->sources[seen->source_count - 1].from)
		kept++;
	part->end = kept < part->source_count ? part->sources[kept].from : UINT64_MAX;
	for (size_t i = kept; i < part->source_count; i++)
		free(part->sources[i].key);
	part->source_count = kept;
}

static void hear(struct restore_part *part, uint64_t next)
{
	if (next <= part->end)
		raise(&part->next, next);
}

/* `part` is as it was listed first, `again` as it is now. */
static void take_part(struct restore_part *part, struct restore_part *again)
{
	struct restore_part old = *part;

	leave_out_new(again, part);
	part->end = again->end;
	part->sources = again->sources;
	part->source_count = again->source_count;
	part->source_room = again->source_room;
	again->sources = old.sources;
	again->source_count = old.source_count;
	again->source_room = old.source_room;
	for (size_t i = 0; i < part->told_count; i++)
		hear(part, part->told[i]);
	for (size_t i = 0; i < part->source_count; i++)
		hear(part, part->sources[i].next);
}

static enum err_code take_topic(struct restore_topic *topic, struct restore_topic *again,
				struct err *err)
{
	if (again->generation != topic->generation)
		return err_set(err, ERR_BUSY,
			       "topic \"%s\" went on as another generation meanwhile; "
			       "run it again",
			       topic->name);
	topic->objects = again->objects;
	topic->bytes = again->bytes;
	for (int32_t i = 0; i < topic->part_count; i++)
		take_part(topic->parts[i], restore_topic_part(again, i));
	return ERR_OK;
}

static enum err_code gather_again(struct store *store, struct restore_plan *plan, struct err *err)
{
	struct restore_plan again = { 0 };
	enum err_code code = gather(store, &again, err);

	for (size_t i = 0; i < plan->count && code == ERR_OK; i++) {
		struct restore_topic *topic = plan->topics[i];

		if (topic->kind == TOPIC_LOG)
			code = take_topic(
				topic,
				restore_plan_topic(&again, TOPIC_LOG, slice_str(topic->name)), err);
	}
	restore_plan_release(&again);
	return code;
}

/* --- all of it ----------------------------------------------------------------------- */

/* Directories of other things, or of streams. */
static void drop_empty(struct restore_plan *plan)
{
	size_t kept = 0;

	for (size_t i = 0; i < plan->count; i++) {
		struct restore_topic *topic = plan->topics[i];

		if (topic->part_count > 0 || topic->uid != 0)
			plan->topics[kept++] = topic;
		else
			free(topic);
	}
	plan->count = kept;
}

/* Once all is known that goes on behind the objects. */
static void find_first(struct restore_part *part)
{
	part->first = part->source_count > 0 ? part->sources[0].from : part->next;
	if (part->born != UINT64_MAX && part->first < part->born)
		part->first = part->born;
}

enum err_code restore_plan(struct store *store, struct restore_plan *ret_plan, struct err *err)
{
	struct restore_plan plan = { 0 };
	enum err_code code = gather(store, &plan, err);

	for (size_t i = 0; i < plan.count && code == ERR_OK; i++)
		code = hear_topic(store, plan.topics[i], err);
	if (code == ERR_OK)
		code = restore_plan_tables(store, &plan, err);
	if (code == ERR_OK)
		code = gather_again(store, &plan, err);
	for (size_t i = 0; i < plan.count && code == ERR_OK; i++)
		code = complete_topic(store, plan.topics[i], err);
	if (code == ERR_OK)
		drop_empty(&plan);
	for (size_t i = 0; i < plan.count && code == ERR_OK; i++)
		for (int32_t k = 0; k < plan.topics[i]->part_count; k++)
			find_first(plan.topics[i]->parts[k]);
	if (code == ERR_OK)
		*ret_plan = plan;
	else
		restore_plan_release(&plan);
	return code;
}
