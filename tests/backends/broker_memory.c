/*
 * broker_memory.c - records as bounded lists in memory, for tests.
 *
 * An append is kept under the lock, at once and whole, and its completion
 * handed over by a thread of its own; so everything in a list counts as durable.
 * What else a service may do (see struct memory_options and the calls after it),
 * this one does when it is told to.
 */
#include "backends/memory.h"
#include "base/mem.h"
#include "base/time.h"
#include "broker/partitioner.h"

#include <inttypes.h>
#include <sys/eventfd.h>

/* Something came that readers may wait for. With the lock. */
void memory_tell(struct memory_broker *memory)
{
	(void)pthread_cond_broadcast(&memory->some);
	for (struct memory_reader *reader = memory->readers; reader; reader = reader->next)
		if (reader->fd >= 0)
			(void)eventfd_write(reader->fd, 1);
}

/* --- positions: of a stream they may be far apart ---------------------- */

struct position memory_spread(const struct memory_broker *memory, enum topic_kind kind,
				  struct position position)
{
	if (kind == TOPIC_LOG)
		return position;
	return position_with_ordinal(position, position_ordinal(position) * memory->options.spread);
}

static struct position memory_position(const struct memory_broker *memory,
				       const struct partition *partition, uint64_t ordinal)
{
	return memory_spread(memory, partition->topic->kind,
			     partition_position(partition, ordinal));
}

/* As start_ordinal(), of the positions that clients see. */
uint64_t memory_start(const struct memory_broker *memory, const struct partition *partition,
			     struct reader_start start)
{
	uint64_t ordinal = start_ordinal(partition, start), spread = memory->options.spread;
	bool is_given = start.kind == START_AT || start.kind == START_AFTER;

	if (!is_given || partition->topic->kind == TOPIC_LOG || ordinal == UINT64_MAX ||
	    position_is_ordinal(start.position))
		return ordinal;
	return ordinal / spread + (ordinal % spread > 0);
}

/* --- records ----------------------------------------------------------- */

static struct slice copy_slice(struct slice s)
{
	char *to;

	if (!s.ptr)
		return s;
	to = xmalloc(s.len);
	if (s.len > 0)
		memcpy(to, s.ptr, s.len);
	return slice_of(to, s.len);
}

struct record memory_copy(const struct record *from)
{
	struct record record = *from;
	struct record_header *headers = NULL;

	record.key = copy_slice(from->key);
	record.value = copy_slice(from->value);
	if (from->header_count > 0)
		headers = xcalloc(from->header_count, sizeof(*headers));
	for (size_t i = 0; i < from->header_count; i++)
		headers[i] = (struct record_header){ copy_slice(from->headers[i].name),
						     copy_slice(from->headers[i].value) };
	record.headers = headers;
	return record;
}

static void free_slice(struct slice s) { free((void *)(uintptr_t)s.ptr); }

size_t memory_free_record(struct record *record)
{
	for (size_t i = 0; i < record->header_count; i++) {
		free_slice(record->headers[i].name);
		free_slice(record->headers[i].value);
	}
	free((void *)(uintptr_t)record->headers);
	free_slice(record->key);
	free_slice(record->value);
	return record->key.len + record->value.len;
}

static size_t free_list(struct list *list)
{
	size_t bytes = 0;

	for (size_t i = 0; list && i < list->count; i++)
		bytes += memory_free_record(&list->entries[i].record);
	if (list)
		free(list->entries);
	free(list);
	return bytes;
}

static void free_lists(struct memory_broker *memory, struct topic *topic)
{
	for (int32_t i = 0; i < topic->partition_count; i++)
		memory->bytes -= free_list(topic->partitions[i].user);
}

static void add_entry(struct partition *partition, struct entry entry)
{
	struct list *list = partition->user;

	if (list->count == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 16;
		list->entries = xreallocarray(list->entries, list->cap, sizeof(entry));
	}
	list->entries[list->count++] = entry;
	partition->next++;
}

/* --- topics ------------------------------------------------------------ */

static enum err_code memory_create(struct broker *broker, struct topic_ref ref,
				   const struct topic_options *options, struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	struct topic *topic;
	enum err_code code;

	memory_hold(memory);
	code = topics_create(&memory->topics, ref, options, &topic, err);
	for (int32_t i = 0; code == ERR_OK && i < options->partitions; i++)
		topic->partitions[i].user = xcalloc(1, sizeof(struct list));
	memory_tell(memory);
	memory_unhold(memory);
	return code;
}

static enum err_code memory_describe(struct broker *broker, struct topic_ref ref,
				     struct topic_info *ret_info, struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	struct topic *topic;
	enum err_code code;

	memory_hold(memory);
	code = topics_get(&memory->topics, ref, &topic, err);
	if (code == ERR_OK)
		topic_describe(topic, ret_info);
	for (int32_t i = 0; code == ERR_OK && i < ret_info->partition_count; i++) {
		struct partition_info *info = &ret_info->partitions[i];

		info->first = memory_spread(memory, ref.kind, info->first);
		info->next = memory_spread(memory, ref.kind, info->next);
		info->born = memory_spread(memory, ref.kind, info->born);
		info->next_known = !memory->options.end_unknown;
		info->dense &= !memory->sparse && info->next_known;
		if (!info->next_known)
			info->next = (struct position){ { 0 } };
	}
	memory_unhold(memory);
	return code;
}

static enum err_code memory_list(struct broker *broker, enum topic_kind kind,
				 bool (*each)(void *user, const char *name), void *user,
				 struct err *err)
{
	struct memory_broker *memory = memory_of(broker);

	(void)err;
	memory_hold(memory);
	topics_list(&memory->topics, kind, each, user);
	memory_unhold(memory);
	return ERR_OK;
}

static enum err_code memory_remove(struct broker *broker, struct topic_ref ref, struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	struct topic *topic;
	enum err_code code;

	memory_hold(memory);
	code = topics_get(&memory->topics, ref, &topic, err);
	if (code == ERR_OK) {
		free_lists(memory, topic);
		if (!memory->options.begins_again)
			topics_leave_floor(&memory->topics, topic);
		topics_drop(&memory->topics, topic);
		memory_tell(memory);
	}
	memory_unhold(memory);
	return code;
}

/* --- appending --------------------------------------------------------- */

static size_t append_bytes(const struct append *append)
{
	size_t bytes = 0;

	for (size_t i = 0; i < append->count; i++)
		bytes += append->records[i].key.len + append->records[i].value.len;
	return bytes;
}

static void keep(struct memory_broker *memory, struct partition *partition,
		 const struct append_record *in, struct append_outcome *outcome)
{
	int64_t timestamp_ms = in->timestamp_ms == TIMESTAMP_NOW ? memory->last_ms
								 : in->timestamp_ms;
	struct record record = { .position = memory_position(memory, partition, partition->next),
				 .timestamp_ms = timestamp_ms,
				 .key = in->key, .value = in->value,
				 .headers = in->headers, .header_count = in->header_count };

	add_entry(partition, (struct entry){ .record = memory_copy(&record), .gap = NO_GAP });
	if (memory->options.markers && partition->topic->kind == TOPIC_LOG)
		add_entry(partition, (struct entry){ .gap = GAP_NONE });
	memory->bytes += in->key.len + in->value.len;
	outcome->position = record.position;
}

static enum err_code memory_append(struct broker *broker, struct append *append, struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	size_t bytes = append_bytes(append);
	struct topic *topic;
	enum err_code code;
	int64_t now = clock_wall_ms();

	assert(append->count > 0);
	memory_hold(memory);
	code = topics_get(&memory->topics, append->topic, &topic, err);
	if (code == ERR_OK && bytes > memory->options.bytes_max)
		code = err_set(err, ERR_LIMIT, "%zu bytes of records can never fit", bytes);
	if (code == ERR_OK && bytes > memory->options.bytes_max - memory->bytes)
		code = err_set(err, ERR_SPACE, "no room for %zu bytes of records", bytes);
	if (code == ERR_OK)
		code = partitioner_place(topic, append, SIZE_MAX, err);
	if (code == ERR_OK) {
		if (now > memory->last_ms)
			memory->last_ms = now;
		for (size_t i = 0; i < append->count; i++)
			if (append->outcomes[i].code == ERR_OK)
				keep(memory, &topic->partitions[append->outcomes[i].partition],
				     &append->records[i], &append->outcomes[i]);
		completer_push(&memory->completer, append);
		memory_tell(memory);
	}
	memory_unhold(memory);
	return code;
}

/* Nothing is gained by waiting. */
static void memory_cork(struct broker *broker, bool corked)
{
	(void)broker;
	(void)corked;
}

static enum err_code memory_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				  struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	bool full;

	(void)kind;
	memory_hold(memory);
	full = bytes > memory->options.bytes_max - memory->bytes ||
	       memory->bytes >= memory->options.bytes_max;
	memory_unhold(memory);
	return full ? err_set(err, ERR_SPACE, "the memory broker is full") : ERR_OK;
}

/* --- how far groups are ------------------------------------------------ */

/* NULL: none. With the lock. */
static struct memory_commit *find_commit(const struct memory_broker *memory, const char *group,
					 const struct partition *partition)
{
	for (size_t i = 0; i < memory->commit_count; i++) {
		struct memory_commit *commit = &memory->commits[i];

		if (commit->uid == partition->topic->uid && commit->partition == partition->id &&
		    strcmp(commit->group, group) == 0)
			return commit;
	}
	return NULL;
}

/* With the lock. */
enum err_code memory_find(struct memory_broker *memory, struct topic_ref ref, int32_t id,
				    struct partition **ret_partition, struct err *err)
{
	struct topic *topic;
	enum err_code code = topics_get(&memory->topics, ref, &topic, err);

	return code == ERR_OK ? topic_partition(topic, id, ret_partition, err) : code;
}

static enum err_code memory_committed(struct broker *broker, const char *group,
				      struct topic_ref ref, int32_t id, struct position *ret_next,
				      struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	const struct memory_commit *commit;
	struct partition *partition;
	enum err_code code;

	memory_hold(memory);
	code = memory_find(memory, ref, id, &partition, err);
	commit = code == ERR_OK ? find_commit(memory, group, partition) : NULL;
	if (commit)
		*ret_next = commit->next;
	else if (code == ERR_OK)
		code = err_set(err, ERR_ABSENT, "nothing was committed there");
	memory_unhold(memory);
	return code;
}

enum err_code memory_commit(struct broker *broker, const char *group, struct topic_ref ref,
				   int32_t id, struct position next, struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	struct partition *partition;
	struct memory_commit *commit;
	enum err_code code;

	memory_hold(memory);
	code = memory_find(memory, ref, id, &partition, err);
	commit = code == ERR_OK ? find_commit(memory, group, partition) : NULL;
	if (code == ERR_OK && !commit) {
		memory->commits = xreallocarray(memory->commits, memory->commit_count + 1,
						sizeof(*commit));
		commit = &memory->commits[memory->commit_count++];
		*commit = (struct memory_commit){ .group = xstrdup(group),
						  .uid = partition->topic->uid,
						  .partition = id };
	}
	if (commit)
		commit->next = next;
	memory_unhold(memory);
	return code;
}

/* --- groups ------------------------------------------------------------- */

static bool memory_has_member(const struct memory_broker *memory, const char *group)
{
	for (const struct memory_reader *reader = memory->readers; reader; reader = reader->next)
		if (reader->subs.group && strcmp(reader->subs.group, group) == 0)
			return true;
	return false;
}

/* The first name after `last`, which may be NULL; NULL: none. With the lock. */
static const char *memory_group_after(const struct memory_broker *memory, const char *last)
{
	const char *found = NULL;

	for (size_t i = 0; i < memory->commit_count; i++) {
		const char *name = memory->commits[i].group;

		if ((!last || strcmp(name, last) > 0) && (!found || strcmp(name, found) < 0))
			found = name;
	}
	for (const struct memory_reader *reader = memory->readers; reader; reader = reader->next) {
		const char *name = reader->subs.group;

		if (name && (!last || strcmp(name, last) > 0) &&
		    (!found || strcmp(name, found) < 0))
			found = name;
	}
	return found;
}

static enum err_code memory_groups(struct broker *broker,
				   bool (*each)(void *user, const char *name), void *user,
				   struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	const char *name = NULL;

	(void)err;
	memory_hold(memory);
	while ((name = memory_group_after(memory, name)) && each(user, name))
		continue;
	memory_unhold(memory);
	return ERR_OK;
}

static void memory_put_places(const struct memory_broker *memory, const char *group,
			      struct group_info *info)
{
	for (size_t i = 0; i < memory->commit_count; i++) {
		const struct memory_commit *commit = &memory->commits[i];
		const struct topic *topic = topics_find_uid(&memory->topics, commit->uid);
		struct group_place *place;

		if (strcmp(commit->group, group) != 0 || !topic)
			continue;
		place = group_info_place(info, topic->kind, topic->name, commit->partition);
		place->committed = true;
		place->next = commit->next;
		place->member = info->member_count == 1 ? info->members[0].id : NULL;
	}
}

static enum err_code memory_describe_group(struct broker *broker, const char *group,
					   struct group_info *ret_info, struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	struct group_info info = { 0 };
	char id[32];

	memory_hold(memory);
	for (struct memory_reader *reader = memory->readers; reader; reader = reader->next) {
		if (!reader->subs.group || strcmp(reader->subs.group, group) != 0)
			continue;
		(void)snprintf(id, sizeof(id), "member-%zu", info.member_count);
		(void)group_info_add_member(&info, id, "", "");
		info.state = GROUP_STABLE;
	}
	memory_put_places(memory, group, &info);
	memory_unhold(memory);
	if (info.member_count == 0 && info.place_count == 0)
		return err_set(err, ERR_ABSENT, "there is no group \"%s\"", group);
	group_info_sort(&info);
	*ret_info = info;
	return ERR_OK;
}

static enum err_code memory_reset_group(struct broker *broker, const char *group,
					const struct group_place *places, size_t count,
					struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	struct partition *unused;
	enum err_code code = ERR_OK;

	memory_hold(memory);
	if (memory_has_member(memory, group))
		code = err_set(err, ERR_BUSY, "group \"%s\" has members", group);
	for (size_t i = 0; i < count && code == ERR_OK; i++)
		code = memory_find(memory, (struct topic_ref){ places[i].kind, places[i].topic },
				   places[i].partition, &unused, err);
	memory_unhold(memory);
	for (size_t i = 0; i < count && code == ERR_OK; i++)
		code = memory_commit(broker, group,
				     (struct topic_ref){ places[i].kind, places[i].topic },
				     places[i].partition, places[i].next, err);
	return code;
}

/* --- where and how it is kept ------------------------------------------- */

static enum err_code memory_nodes(struct broker *broker, enum topic_kind kind,
				  bool (*each)(void *user, const struct broker_node *node),
				  void *user, struct err *err)
{
	const struct broker_node node = { .id = topic_replica.node, .host = "" };

	(void)broker;
	(void)kind;
	(void)err;
	(void)each(user, &node);
	return ERR_OK;
}

static enum err_code memory_settings(struct broker *broker, struct topic_ref ref,
				     bool (*each)(void *user, const char *name, const char *value),
				     void *user, struct err *err)
{
	struct memory_broker *memory = memory_of(broker);
	struct topic *topic;
	enum err_code code;

	(void)each;
	(void)user;
	memory_hold(memory);
	code = topics_get(&memory->topics, ref, &topic, err);
	memory_unhold(memory);
	return code;
}

static void memory_free(struct broker *broker)
{
	struct memory_broker *memory = memory_of(broker);

	completer_release(&memory->completer);
	for (size_t i = 0; i < memory->topics.count; i++)
		free_lists(memory, memory->topics.items[i]);
	for (size_t i = 0; i < memory->commit_count; i++)
		free(memory->commits[i].group);
	free(memory->commits);
	topics_release(&memory->topics);
	(void)pthread_cond_destroy(&memory->some);
	(void)pthread_mutex_destroy(&memory->lock);
	free(memory);
}

/* Nothing of it is anywhere that it could be damaged. */
static enum err_code memory_verify(struct broker *broker,
				   void (*each)(void *user, const char *what), void *user,
				   struct broker_verdict *ret_verdict, struct err *err)
{
	(void)broker;
	(void)each;
	(void)user;
	(void)err;
	*ret_verdict = (struct broker_verdict){ .sound = true };
	return ERR_OK;
}

static const struct broker_ops memory_ops = {
	.name = "memory",
	.create = memory_create,
	.describe = memory_describe,
	.list = memory_list,
	.remove = memory_remove,
	.append = memory_append,
	.cork = memory_cork,
	.ready = memory_ready,
	.committed = memory_committed,
	.commit = memory_commit,
	.nodes = memory_nodes,
	.settings = memory_settings,
	.groups = memory_groups,
	.describe_group = memory_describe_group,
	.reset_group = memory_reset_group,
	.verify = memory_verify,
	.reader_open = memory_reader_open,
	.reader_seek = memory_reader_seek,
	.reader_next = memory_reader_next,
	.reader_pause = memory_reader_pause,
	.reader_release = memory_reader_release,
	.reader_fd = memory_reader_fd,
	.reader_commit = memory_reader_commit,
	.reader_close = memory_reader_close,
	.free = memory_free,
};

struct broker *broker_memory_open(const struct memory_options *options)
{
	struct memory_broker *memory = xcalloc(1, sizeof(*memory));
	pthread_condattr_t attr;

	memory->base.ops = &memory_ops;
	memory->options = *options;
	if (memory->options.spread == 0)
		memory->options.spread = 1;
	topics_init(&memory->topics);
	(void)pthread_mutex_init(&memory->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&memory->some, &attr);
	(void)pthread_condattr_destroy(&attr);
	completer_init(&memory->completer, options->done, options->done_user);
	return &memory->base;
}

struct broker *broker_memory_new(size_t bytes_max, broker_done_fn *done, void *done_user)
{
	const struct memory_options options = { .bytes_max = bytes_max, .done = done,
						.done_user = done_user };

	return broker_memory_open(&options);
}

/* --- what a service does by itself ------------------------------------- */

/* With the lock, which it takes. */
static struct partition *must_find(struct memory_broker *memory, struct topic_ref ref, int32_t id)
{
	struct partition *partition = NULL;
	struct err ignored;

	memory_hold(memory);
	if (memory_find(memory, ref, id, &partition, &ignored) != ERR_OK)
		abort();
	return partition;
}

void broker_memory_skip(struct broker *broker, struct topic_ref ref, int32_t id, size_t count,
			enum gap_reason reason)
{
	struct memory_broker *memory = memory_of(broker);
	struct partition *partition = must_find(memory, ref, id);

	for (size_t i = 0; i < count; i++)
		add_entry(partition, (struct entry){ .gap = (int)reason });
	memory->sparse = true;
	memory_tell(memory);
	memory_unhold(memory);
}

void broker_memory_let_go(struct broker *broker, struct topic_ref ref, int32_t id, size_t count)
{
	struct memory_broker *memory = memory_of(broker);
	struct partition *partition = must_find(memory, ref, id);

	partition->first += count;
	assert(partition->first <= partition->next);
	memory_unhold(memory);
}

void broker_memory_revoke(struct broker *broker, struct topic_ref ref, int32_t id, bool lost)
{
	struct memory_broker *memory = memory_of(broker);
	struct list *list = must_find(memory, ref, id)->user;

	list->revocations++;
	list->lost = lost;
	memory_tell(memory);
	memory_unhold(memory);
}

void broker_memory_fail(struct broker *broker, struct topic_ref ref, int32_t id,
			enum err_code code)
{
	struct memory_broker *memory = memory_of(broker);
	struct list *list = must_find(memory, ref, id)->user;

	list->failure = code;
	memory_tell(memory);
	memory_unhold(memory);
}

/* A new shard, open; with the lock. Pointers to the topic's partitions from before are stale. */
static struct partition *add_shard(struct memory_broker *memory, struct topic *topic,
				   int32_t parent, int32_t other)
{
	size_t count = (size_t)topic->partition_count + 1;
	struct partition *shard;

	topic->partitions = xreallocarray(topic->partitions, count, sizeof(*shard));
	shard = &topic->partitions[topic->partition_count];
	*shard = topic->partitions[parent];
	shard->id = topic->partition_count++;
	shard->open = true;
	shard->parents[0] = parent;
	shard->parents[1] = other;
	shard->created_s = topic->partitions[parent].created_s + 1;
	shard->floor = shard->first = shard->next = 0;
	shard->user = xcalloc(1, sizeof(struct list));
	topic->partitions[parent].open = false;
	memory->topics.partition_count++;
	return shard;
}

void broker_memory_split(struct broker *broker, struct topic_ref ref, int32_t id)
{
	struct memory_broker *memory = memory_of(broker);
	struct topic *topic = must_find(memory, ref, id)->topic;
	struct hash_key first = topic->partitions[id].hash_first;
	struct hash_key last = topic->partitions[id].hash_last;
	struct hash_key middle = { first.high + (last.high - first.high) / 2, UINT64_MAX };

	assert(topic->partitions[id].open && last.high > first.high);
	add_shard(memory, topic, id, -1)->hash_last = middle;
	add_shard(memory, topic, id, -1)->hash_first = (struct hash_key){ middle.high + 1, 0 };
	memory_tell(memory);
	memory_unhold(memory);
}

void broker_memory_merge(struct broker *broker, struct topic_ref ref, int32_t id, int32_t after)
{
	struct memory_broker *memory = memory_of(broker);
	struct topic *topic = must_find(memory, ref, id)->topic;
	struct hash_key last = topic->partitions[after].hash_last;

	assert(topic->partitions[id].open && topic->partitions[after].open);
	topic->partitions[after].open = false;
	add_shard(memory, topic, id, after)->hash_last = last;
	memory_tell(memory);
	memory_unhold(memory);
}
