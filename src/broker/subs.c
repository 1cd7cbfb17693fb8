#include "broker/subs.h"

#include "base/mem.h"

#include <inttypes.h>

void subs_init(struct subs *subs, const struct reader_options *options)
{
	*subs = (struct subs){ 0 };
	if (!options->group)
		return;
	subs->group = xstrdup(options->group);
	subs->topic_count = options->topic_count;
	subs->topics = xcalloc(options->topic_count, sizeof(*subs->topics));
	for (size_t i = 0; i < options->topic_count; i++)
		subs->topics[i] = (struct topic_ref){ .kind = options->topics[i].kind,
						      .name = xstrdup(options->topics[i].name) };
}

void subs_release(struct subs *subs)
{
	for (size_t i = 0; i < subs->topic_count; i++)
		free((void *)(uintptr_t)subs->topics[i].name);
	for (size_t i = 0; i < subs->count; i++)
		free(subs->items[i]);
	free(subs->gone);
	free(subs->due);
	free(subs->table);
	free(subs->topics);
	free(subs->items);
	free(subs->group);
}

/* --- which there are --------------------------------------------------- */

static bool sub_is_of(const struct sub *sub, struct topic_ref ref, int32_t partition)
{
	return sub->partition == partition && sub->kind == ref.kind &&
	       strcmp(sub->name, ref.name) == 0;
}

/* Of two of one name, as without a group there may be, the later one. */
struct sub *subs_find(const struct subs *subs, struct topic_ref ref, int32_t partition)
{
	for (size_t i = subs->count; i-- > 0;)
		if (sub_is_of(subs->items[i], ref, partition))
			return subs->items[i];
	return NULL;
}

/* Its place in the table, or the empty one where it would go. */
static struct sub **subs_place(const struct subs *subs, uint64_t uid, int32_t partition)
{
	uint64_t hash =
		(uid ^ (uint64_t)(uint32_t)partition * 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
	size_t i = (size_t)(hash >> 32);

	for (;; i++) {
		struct sub **place = &subs->table[i & (subs->table_cap - 1)];

		if (!*place || ((*place)->uid == uid && (*place)->partition == partition))
			return place;
	}
}

struct sub *subs_find_uid(const struct subs *subs, uint64_t uid, int32_t partition)
{
	return subs->table_cap > 0 ? *subs_place(subs, uid, partition) : NULL;
}

static void subs_build_table(struct subs *subs)
{
	memset(subs->table, 0, subs->table_cap * sizeof(*subs->table));
	for (size_t i = 0; i < subs->count; i++) {
		struct sub *sub = subs->items[i];

		*subs_place(subs, sub->uid, sub->partition) = sub;
	}
}

static void subs_insert(struct subs *subs, struct sub *sub)
{
	subs->items = xreallocarray(subs->items, subs->count + 1, sizeof(*subs->items));
	subs->items[subs->count++] = sub;
	if (2 * subs->count > subs->table_cap) {
		subs->table_cap = subs->table_cap ? 2 * subs->table_cap : 16;
		subs->table = xreallocarray(subs->table, subs->table_cap, sizeof(*subs->table));
		subs_build_table(subs);
	} else {
		*subs_place(subs, sub->uid, sub->partition) = sub;
	}
}

enum err_code subs_get(const struct subs *subs, struct topic_ref ref, int32_t partition,
		       struct sub **ret_sub, struct err *err)
{
	struct sub *sub = subs_find(subs, ref, partition);

	if (!sub)
		return err_set(err, ERR_NO_PARTITION,
			       "partition %" PRId32 " of \"%s\" is not assigned", partition,
			       ref.name);
	*ret_sub = sub;
	return ERR_OK;
}

/* The subscription to `partition`, new or as it was. */
static struct sub *subs_add(struct subs *subs, const struct partition *partition)
{
	const struct topic *topic = partition->topic;
	struct sub *sub = subs_find_uid(subs, topic->uid, partition->id);

	if (sub)
		return sub;
	sub = xcalloc(1, sizeof(*sub));
	sub->kind = topic->kind;
	memcpy(sub->name, topic->name, sizeof(sub->name));
	sub->uid = topic->uid;
	sub->partition = partition->id;
	sub->like = partition_position(partition, 0);
	subs_insert(subs, sub);
	return sub;
}

static void set_fresh(struct subs *subs, struct sub *sub, bool fresh)
{
	subs->fresh_count += (size_t)fresh - (size_t)sub->fresh;
	sub->fresh = fresh;
}

static void drop_due(struct subs *subs, struct sub *sub)
{
	for (size_t i = 0; sub->due && i < subs->due_count; i++)
		if (subs->due[i] == sub) {
			subs->due[i] = subs->due[--subs->due_count];
			sub->due = false;
		}
}

/* --- where it reads ---------------------------------------------------- */

uint64_t start_ordinal(const struct partition *partition, struct reader_start start)
{
	switch (start.kind) {
	case START_NEXT:
		return partition->next;
	case START_LAST:
		return start.count < partition->next - partition->first
			       ? partition->next - start.count : partition->first;
	case START_AT:
		return partition_ordinal_from(partition, start.position);
	case START_AFTER:
		return partition_ordinal_after(partition, start.position);
	case START_FIRST:
	case START_TIME:
		break;
	}
	return partition->first;
}

enum err_code start_beyond(const struct partition *partition, struct reader_start start,
			   struct err *err)
{
	char asked[POSITION_TEXT_MAX], next[POSITION_TEXT_MAX];

	(void)position_text(start.position, asked);
	(void)position_text(partition_position(partition, partition->next), next);
	return err_set(err, ERR_CORRUPT, "%s \"%s\", partition %" PRId32 ": there is no position "
		       "%s, the next one is %s; what was read there was of another history",
		       topic_kind_name(partition->topic->kind), partition->topic->name,
		       partition->id, asked, next);
}

struct sub *subs_seek(struct subs *subs, const struct partition *partition, uint64_t ordinal)
{
	struct sub *sub = subs_add(subs, partition);

	sub->next = ordinal;
	sub->born = partition->floor;
	sub->kept = partition->first;
	sub->unsure = false;
	sub->announced = true;
	sub->ended = false;
	sub->passed = sub->paused;
	set_fresh(subs, sub, !sub->paused);
	subs_moved(subs, sub);
	return sub;
}

void subs_placed(struct subs *subs)
{
	for (size_t i = 0; subs->fresh_count > 0 && i < subs->count; i++)
		set_fresh(subs, subs->items[i], false);
}

void subs_pause(struct subs *subs, struct sub *sub, bool paused)
{
	if (sub->revoked || sub->paused == paused)
		return;
	sub->paused = paused;
	if (paused && sub->fresh)
		sub->passed = true;
	if (paused || sub->passed)
		set_fresh(subs, sub, !paused);
	if (paused)
		return;
	if (sub->owed)
		subs_moved(subs, sub);
	sub->passed = sub->owed = false;
}

void subs_moved(struct subs *subs, struct sub *sub)
{
	if (sub->due)
		return;
	if (subs->due_count == subs->due_cap) {
		subs->due_cap = subs->due_cap ? 2 * subs->due_cap : 16;
		subs->due = xreallocarray(subs->due, subs->due_cap, sizeof(*subs->due));
	}
	subs->due[subs->due_count++] = sub;
	sub->due = true;
}

/* Its name may still be in an event, so it is freed with the next one that goes. */
static void subs_drop(struct subs *subs, struct sub *sub)
{
	size_t at = 0;

	while (subs->items[at] != sub)
		at++;
	subs->items[at] = subs->items[--subs->count];
	subs_build_table(subs);
	subs->revoked_count -= sub->revoked;
	drop_due(subs, sub);
	set_fresh(subs, sub, false);
	free(subs->gone);
	subs->gone = sub;
}

void subs_end(struct subs *subs, struct sub *sub)
{
	sub->ended = true;
	drop_due(subs, sub);
}

void subs_let_go(struct subs *subs, struct topic_ref ref, int32_t partition)
{
	struct sub *sub = subs_find(subs, ref, partition);

	if (sub && sub->revoked)
		subs_drop(subs, sub);
}

/* --- what is due ------------------------------------------------------- */

static bool revoke_one(struct subs *subs, const struct topics *topics,
		       struct reader_event *ret_event)
{
	for (size_t i = 0; i < subs->count; i++) {
		struct sub *sub = subs->items[i];

		if (sub->revoked || topics_find_uid(topics, sub->uid))
			continue;
		subs_revoke(subs, sub, ret_event);
		return true;
	}
	return false;
}

void subs_revoke(struct subs *subs, struct sub *sub, struct reader_event *ret_event)
{
	sub->revoked = true;
	subs->revoked_count++;
	sub->paused = false;
	drop_due(subs, sub);
	set_fresh(subs, sub, false);
	*ret_event = sub_event(READER_REVOKED, sub);
}

static bool subs_assign(struct subs *subs, const struct topic *topic,
			struct reader_event *ret_event)
{
	struct topic_ref ref = { topic->kind, topic->name };

	for (int32_t p = 0; p < topic->partition_count; p++) {
		struct sub *sub = subs->revoked_count > 0
					  ? subs_find(subs, ref, p)
					  : subs_find_uid(subs, topic->uid, p);

		if (sub && (sub->announced || sub->revoked))
			continue;
		sub = subs_seek(subs, &topic->partitions[p], topic->partitions[p].first);
		*ret_event = sub_event(READER_ASSIGNED, sub);
		return true;
	}
	return false;
}

static bool assign_meant(struct subs *subs, const struct topics *topics, struct topic_ref ref,
			 struct reader_event *ret_event)
{
	const struct topic *topic = topics_find(topics, ref);

	if (topic)
		return subs_assign(subs, topic, ret_event);
	for (size_t i = 0; name_is_pattern(ref.name) && i < topics->count; i++)
		if (topic_is_meant(topics->items[i], ref) &&
		    subs_assign(subs, topics->items[i], ret_event))
			return true;
	return false;
}

static bool fail_one(struct subs *subs, const struct topics *topics,
		     struct reader_event *ret_event)
{
	for (size_t i = 0; i < subs->count; i++) {
		struct sub *sub = subs->items[i];

		if (topics_find_uid(topics, sub->uid))
			continue;
		if (sub->ended) { /* it gives nothing more anyhow */
			subs_drop(subs, sub);
			i--;
			continue;
		}
		(void)err_set(&subs->failure, ERR_NO_TOPIC, "the %s \"%s\" that was read is gone",
			      topic_kind_name(sub->kind), sub->name);
		*ret_event = sub_event(READER_FAILED, sub);
		ret_event->failure = &subs->failure;
		subs_drop(subs, sub);
		return true;
	}
	return false;
}

bool subs_group_event(struct subs *subs, const struct topics *topics,
		      struct reader_event *ret_event)
{
	if (!subs->group)
		return fail_one(subs, topics, ret_event);
	if (revoke_one(subs, topics, ret_event))
		return true;
	for (size_t i = 0; i < subs->topic_count; i++)
		if (assign_meant(subs, topics, subs->topics[i], ret_event))
			return true;
	return false;
}

bool subs_fresh_event(struct subs *subs, struct reader_event *ret_event)
{
	for (size_t i = 0; subs->fresh_count > 0 && i < subs->count; i++) {
		struct sub *sub = subs->items[i];
		uint64_t begins = sub->born > sub->kept ? sub->born : sub->kept;

		if (!sub->fresh || sub->next >= begins)
			continue;
		subs_gap(subs, sub, begins, ret_event);
		return true;
	}
	return false;
}

bool subs_caught_up(struct subs *subs, struct reader_event *ret_event)
{
	while (subs->due_count > 0) {
		struct sub *sub = subs->due[--subs->due_count];

		sub->due = false;
		if (sub->paused) {
			sub->owed = true;
			continue;
		}
		*ret_event = sub_event(READER_CAUGHT_UP, sub);
		ret_event->last = sub_position(sub, sub->next);
		return true;
	}
	return false;
}

void subs_gap(struct subs *subs, struct sub *sub, uint64_t to, struct reader_event *ret_event)
{
	enum gap_reason reason = sub->unsure ? GAP_RETENTION : GAP_DAMAGED;
	uint64_t end = to;

	if (sub->next < sub->born) {
		reason = GAP_REMOVED;
		end = to < sub->born ? to : sub->born;
	} else if (sub->next < sub->kept) {
		reason = GAP_RETENTION;
		end = to < sub->kept ? to : sub->kept;
	}
	*ret_event = sub_event(READER_GAP, sub);
	ret_event->gap = reason;
	ret_event->first = sub_position(sub, sub->next);
	ret_event->last = sub_position(sub, end - 1);
	sub->next = end;
	if (end == to)
		sub->unsure = false; /* what comes after it is there */
	subs_moved(subs, sub);
}
