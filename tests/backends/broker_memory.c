/*
 * broker_memory.c - records as bounded lists in memory, for tests.
 *
 * An append is kept under the lock, at once and whole, and its completion
 * handed over by a thread of its own; so everything in a list counts as durable.
 */
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "backends/backends.h"
#include "broker/completer.h"
#include "broker/partitioner.h"
#include "broker/subs.h"
#include "broker/topics.h"

#include <assert.h>
#include <inttypes.h>
#include <time.h>

enum { STOP_CHECK_MS = 50 };

struct memory_broker {
	struct broker base;
	pthread_mutex_t lock;
	pthread_cond_t some;		/* a record or a topic came */
	struct topics topics;
	size_t bytes;
	size_t bytes_max;
	int64_t last_ms;		/* the newest timestamp */
	struct completer completer;
};
static_assert(offsetof(struct memory_broker, base) == 0, "base must be first");

/* Of a partition; record k has ordinal floor + k. */
struct list {
	struct record *records;
	size_t count;
	size_t cap;
};

struct memory_reader {
	struct broker_reader base;
	struct subs subs;
	size_t bytes_max;
	struct record *batch;		/* of the last event, with its own bytes */
	size_t batch_count;
};
static_assert(offsetof(struct memory_reader, base) == 0, "base must be first");

static struct memory_broker *of(struct broker *broker)
{
	return (struct memory_broker *)broker;
}

static void hold(struct memory_broker *memory)
{
	(void)pthread_mutex_lock(&memory->lock);
}

static void let_go(struct memory_broker *memory)
{
	(void)pthread_mutex_unlock(&memory->lock);
}

static struct slice copy_slice(struct slice s)
{
	char *to;

	if (!s.ptr)
		return s;
	to = xmalloc(s.len);
	memcpy(to, s.ptr, s.len);
	return slice_of(to, s.len);
}

static struct record copy_record(const struct record *from)
{
	struct record record = *from;

	record.key = copy_slice(from->key);
	record.value = copy_slice(from->value);
	return record;
}

static size_t free_record(struct record *record)
{
	free((void *)(uintptr_t)record->key.ptr);
	free((void *)(uintptr_t)record->value.ptr);
	return record->key.len + record->value.len;
}

static size_t free_list(struct list *list)
{
	size_t bytes = 0;

	for (size_t i = 0; list && i < list->count; i++)
		bytes += free_record(&list->records[i]);
	if (list)
		free(list->records);
	free(list);
	return bytes;
}

static void free_lists(struct memory_broker *memory, struct topic *topic)
{
	for (int32_t i = 0; i < topic->partition_count; i++)
		memory->bytes -= free_list(topic->partitions[i].user);
}

static enum err_code memory_create(struct broker *broker, struct topic_ref ref,
				   const struct topic_options *options, struct err *err)
{
	struct memory_broker *memory = of(broker);
	struct topic *topic;
	enum err_code code;

	hold(memory);
	code = topics_create(&memory->topics, ref, options->partitions, &topic, err);
	for (int32_t i = 0; code == ERR_OK && i < options->partitions; i++)
		topic->partitions[i].user = xcalloc(1, sizeof(struct list));
	(void)pthread_cond_broadcast(&memory->some);
	let_go(memory);
	return code;
}

static enum err_code memory_describe(struct broker *broker, struct topic_ref ref,
				     struct topic_info *ret_info, struct err *err)
{
	struct memory_broker *memory = of(broker);
	struct topic *topic;
	enum err_code code;

	hold(memory);
	code = topics_get(&memory->topics, ref, &topic, err);
	if (code == ERR_OK)
		topic_describe(topic, ret_info);
	let_go(memory);
	return code;
}

static enum err_code memory_list(struct broker *broker, enum topic_kind kind,
				 bool (*each)(void *user, const char *name), void *user,
				 struct err *err)
{
	struct memory_broker *memory = of(broker);

	(void)err;
	hold(memory);
	topics_list(&memory->topics, kind, each, user);
	let_go(memory);
	return ERR_OK;
}

static enum err_code memory_remove(struct broker *broker, struct topic_ref ref, struct err *err)
{
	struct memory_broker *memory = of(broker);
	struct topic *topic;
	enum err_code code;

	hold(memory);
	code = topics_get(&memory->topics, ref, &topic, err);
	if (code == ERR_OK) {
		free_lists(memory, topic);
		topics_leave_floor(&memory->topics, topic);
		topics_drop(&memory->topics, topic);
		(void)pthread_cond_broadcast(&memory->some);
	}
	let_go(memory);
	return code;
}

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
	struct list *list = partition->user;
	struct record record = { .position = partition_position(partition, partition->next),
				 .timestamp_ms = memory->last_ms,
				 .key = in->key, .value = in->value };

	if (list->count == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 16;
		list->records = xreallocarray(list->records, list->cap, sizeof(record));
	}
	list->records[list->count++] = copy_record(&record);
	memory->bytes += in->key.len + in->value.len;
	partition->next++;
	outcome->position = record.position;
}

static enum err_code memory_append(struct broker *broker, struct append *append, struct err *err)
{
	struct memory_broker *memory = of(broker);
	size_t bytes = append_bytes(append);
	struct topic *topic;
	enum err_code code;
	int64_t now = clock_wall_ms();

	assert(append->count > 0);
	hold(memory);
	code = topics_get(&memory->topics, append->topic, &topic, err);
	if (code == ERR_OK && bytes > memory->bytes_max)
		code = err_set(err, ERR_LIMIT, "%zu bytes of records can never fit", bytes);
	if (code == ERR_OK && bytes > memory->bytes_max - memory->bytes)
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
		(void)pthread_cond_broadcast(&memory->some);
	}
	let_go(memory);
	return code;
}

/* Nothing is gained by waiting. */
static void memory_cork(struct broker *broker, bool corked)
{
	(void)broker;
	(void)corked;
}

static enum err_code memory_ready(struct broker *broker, size_t bytes, struct err *err)
{
	struct memory_broker *memory = of(broker);
	bool full;

	hold(memory);
	full = memory->bytes >= memory->bytes_max || bytes > memory->bytes_max - memory->bytes;
	let_go(memory);
	return full ? err_set(err, ERR_SPACE, "the memory broker is full") : ERR_OK;
}

static enum err_code memory_reader_open(struct broker *broker,
					const struct reader_options *options,
					struct broker_reader **ret_reader, struct err *err)
{
	struct memory_reader *reader = xcalloc(1, sizeof(*reader));

	(void)err;
	reader->base.broker = broker;
	reader->bytes_max = options->bytes_max;
	subs_init(&reader->subs, options);
	*ret_reader = &reader->base;
	return ERR_OK;
}

static uint64_t first_at_time(const struct partition *partition, int64_t time_ms)
{
	const struct list *list = partition->user;
	size_t i = 0;

	while (i < list->count && list->records[i].timestamp_ms < time_ms)
		i++;
	return partition->floor + i;
}

static uint64_t start_ordinal(const struct partition *partition, struct reader_start start)
{
	uint64_t ordinal = partition->first;

	switch (start.kind) {
	case START_FIRST:
		break;
	case START_NEXT:
		ordinal = partition->next;
		break;
	case START_TIME:
		ordinal = first_at_time(partition, start.time_ms);
		break;
	case START_AFTER:
		ordinal = partition_ordinal_after(partition, start.position);
		break;
	case START_AT:
		ordinal = partition_ordinal_from(partition, start.position);
		break;
	}
	return ordinal < partition->first ? partition->first : ordinal;
}

static enum err_code memory_reader_seek(struct broker_reader *base, struct topic_ref ref,
					int32_t id, struct reader_start start, struct err *err)
{
	struct memory_reader *reader = (struct memory_reader *)base;
	struct memory_broker *memory = of(base->broker);
	struct partition *partition;
	struct topic *topic;
	enum err_code code;

	hold(memory);
	code = topics_get(&memory->topics, ref, &topic, err);
	if (code == ERR_OK)
		code = topic_partition(topic, id, &partition, err);
	if (code == ERR_OK) {
		struct sub *sub = subs_add(&reader->subs, partition);

		sub->announced = true;
		sub->next = start_ordinal(partition, start);
	}
	let_go(memory);
	return code;
}

static void release_batch(struct memory_reader *reader)
{
	for (size_t i = 0; i < reader->batch_count; i++)
		(void)free_record(&reader->batch[i]);
	free(reader->batch);
	reader->batch = NULL;
	reader->batch_count = 0;
}

/* Copies what one event may hold, at least one record. */
static void take_batch(struct memory_reader *reader, const struct list *list, size_t from)
{
	size_t bytes = 0, count = 0;

	while (from + count < list->count) {
		const struct record *record = &list->records[from + count];

		bytes += record->key.len + record->value.len;
		if (count > 0 && bytes > reader->bytes_max)
			break;
		count++;
	}
	reader->batch = xcalloc(count, sizeof(*reader->batch));
	for (size_t i = 0; i < count; i++)
		reader->batch[i] = copy_record(&list->records[from + i]);
	reader->batch_count = count;
}

static bool records_event(struct memory_reader *reader, const struct topics *topics,
			  struct reader_event *ret_event)
{
	struct subs *subs = &reader->subs;

	for (size_t i = 0; i < subs->count; i++) {
		struct sub *sub = subs->items[(subs->turn + i) % subs->count];
		const struct topic *topic = topics_find_uid(topics, sub->uid);
		const struct partition *partition =
			topic ? &topic->partitions[sub->partition] : NULL;

		if (!partition || sub->next >= partition->next)
			continue;
		take_batch(reader, partition->user, sub->next - partition->floor);
		sub->next += reader->batch_count;
		subs->turn = (subs->turn + i + 1) % subs->count;
		*ret_event = (struct reader_event){ .kind = READER_RECORDS,
						    .topic = sub_ref(sub),
						    .partition = sub->partition,
						    .records = reader->batch,
						    .count = reader->batch_count };
		return true;
	}
	return false;
}

static void wait_ms(struct memory_broker *memory, int64_t ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&memory->some, &memory->lock, &until);
}

static enum err_code memory_reader_next(struct broker_reader *base, int64_t deadline_ms,
					struct reader_event *ret_event, struct err *err)
{
	struct memory_reader *reader = (struct memory_reader *)base;
	struct memory_broker *memory = of(base->broker);

	(void)err;
	release_batch(reader);
	hold(memory);
	for (;;) {
		int64_t left = deadline_ms - clock_mono_ms();

		if (subs_group_event(&reader->subs, &memory->topics, ret_event) ||
		    records_event(reader, &memory->topics, ret_event))
			break;
		if (left <= 0 || stop_requested()) {
			*ret_event = (struct reader_event){ .kind = READER_IDLE };
			break;
		}
		wait_ms(memory, left < STOP_CHECK_MS ? left : STOP_CHECK_MS);
	}
	let_go(memory);
	return ERR_OK;
}

static enum err_code memory_reader_commit(struct broker_reader *base, struct topic_ref ref,
					  int32_t id, struct position next, struct err *err)
{
	(void)base;	/* nothing rests on it: no retention here */
	(void)ref;
	(void)id;
	(void)next;
	(void)err;
	return ERR_OK;
}

static void memory_reader_close(struct broker_reader *base)
{
	struct memory_reader *reader = (struct memory_reader *)base;

	release_batch(reader);
	subs_release(&reader->subs);
	free(reader);
}

static void memory_free(struct broker *broker)
{
	struct memory_broker *memory = of(broker);

	completer_release(&memory->completer);
	for (size_t i = 0; i < memory->topics.count; i++)
		free_lists(memory, memory->topics.items[i]);
	topics_release(&memory->topics);
	(void)pthread_cond_destroy(&memory->some);
	(void)pthread_mutex_destroy(&memory->lock);
	free(memory);
}

static enum err_code memory_committed(struct broker *broker, const char *group,
				 struct topic_ref topic, int32_t partition,
				 struct position *ret_next, struct err *err)
{
	(void)broker;
	(void)group;
	(void)topic;
	(void)partition;
	(void)ret_next;
	return err_set(err, ERR_ABSENT, "not kept");
}

static enum err_code memory_commit(struct broker *broker, const char *group, struct topic_ref topic,
			      int32_t partition, struct position next, struct err *err)
{
	(void)broker;
	(void)group;
	(void)topic;
	(void)partition;
	(void)next;
	return err_set(err, ERR_UNSUPPORTED, "not yet");
}

static enum err_code memory_reader_pause(struct broker_reader *reader, struct topic_ref topic,
				    int32_t partition, bool paused, struct err *err)
{
	(void)reader;
	(void)topic;
	(void)partition;
	(void)paused;
	return err_set(err, ERR_UNSUPPORTED, "not yet");
}

static void memory_reader_release(struct broker_reader *reader, struct topic_ref topic,
			     int32_t partition)
{
	(void)reader;
	(void)topic;
	(void)partition;
}

static enum err_code memory_reader_fd(struct broker_reader *reader, int *ret_fd, struct err *err)
{
	(void)reader;
	(void)ret_fd;
	return err_set(err, ERR_UNSUPPORTED, "not yet");
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
	.reader_pause = memory_reader_pause,
	.reader_release = memory_reader_release,
	.reader_fd = memory_reader_fd,
	.reader_open = memory_reader_open,
	.reader_seek = memory_reader_seek,
	.reader_next = memory_reader_next,
	.reader_commit = memory_reader_commit,
	.reader_close = memory_reader_close,
	.free = memory_free,
};

struct broker *broker_memory_new(size_t bytes_max, broker_done_fn *done, void *done_user)
{
	struct memory_broker *memory = xcalloc(1, sizeof(*memory));
	pthread_condattr_t attr;

	memory->base.ops = &memory_ops;
	memory->bytes_max = bytes_max;
	topics_init(&memory->topics);
	(void)pthread_mutex_init(&memory->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&memory->some, &attr);
	(void)pthread_condattr_destroy(&attr);
	completer_init(&memory->completer, done, done_user);
	return &memory->base;
}
