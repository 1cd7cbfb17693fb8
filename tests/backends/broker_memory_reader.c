/*
 * broker_memory_reader.c - the readers of broker_memory.
 */
#include "backends/memory.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { STOP_CHECK_MS = 50 };

static struct memory_reader *reader_of(struct broker_reader *reader)
{
	return (struct memory_reader *)reader;
}

enum err_code memory_reader_open(struct broker *broker,
					const struct reader_options *options,
					struct broker_reader **ret_reader, struct err *err)
{
	struct memory_reader *reader = xcalloc(1, sizeof(*reader));
	struct memory_broker *memory = memory_of(broker);

	(void)err;
	reader->base.broker = broker;
	reader->bytes_max = options->bytes_max;
	reader->fd = -1;
	subs_init(&reader->subs, options);
	memory_hold(memory);
	reader->next = memory->readers;
	memory->readers = reader;
	memory_unhold(memory);
	*ret_reader = &reader->base;
	return ERR_OK;
}

static uint64_t first_at_time(const struct partition *partition, int64_t time_ms)
{
	const struct list *list = partition->user;
	size_t i = 0;

	while (i < list->count &&
	       (list->entries[i].gap != NO_GAP || list->entries[i].record.timestamp_ms < time_ms))
		i++;
	return partition->floor + i;
}

enum err_code memory_reader_seek(struct broker_reader *base, struct topic_ref ref,
					int32_t id, struct reader_start start, struct err *err)
{
	struct memory_reader *reader = reader_of(base);
	struct memory_broker *memory = memory_of(base->broker);
	struct partition *partition;
	enum err_code code;

	memory_hold(memory);
	code = memory_find(memory, ref, id, &partition, err);
	if (code == ERR_OK) {
		uint64_t ordinal = start.kind == START_TIME
					   ? first_at_time(partition, start.time_ms)
					   : memory_start(memory, partition, start);
		const struct list *list = partition->user;

		if (ordinal > partition->next)
			code = start_beyond(partition, start, err);
		else
			subs_seek(&reader->subs, partition, ordinal)->user = list->revocations;
		memory_tell(memory);
	}
	memory_unhold(memory);
	return code;
}

enum err_code memory_reader_pause(struct broker_reader *base, struct topic_ref ref,
					 int32_t id, bool paused, struct err *err)
{
	struct memory_reader *reader = reader_of(base);
	struct sub *sub;
	enum err_code code = subs_get(&reader->subs, ref, id, &sub, err);

	memory_hold(memory_of(base->broker));
	if (code == ERR_OK)
		subs_pause(&reader->subs, sub, paused);
	memory_tell(memory_of(base->broker));
	memory_unhold(memory_of(base->broker));
	return code;
}

void memory_reader_release(struct broker_reader *base, struct topic_ref ref, int32_t id)
{
	memory_hold(memory_of(base->broker));
	subs_let_go(&reader_of(base)->subs, ref, id);
	memory_tell(memory_of(base->broker));
	memory_unhold(memory_of(base->broker));
}

enum err_code memory_reader_fd(struct broker_reader *base, int *ret_fd, struct err *err)
{
	struct memory_reader *reader = reader_of(base);
	int fd = reader->fd >= 0 ? reader->fd : eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return errno == EMFILE ? err_set(err, ERR_LIMIT, "there are too many open files")
				       : err_errno(err, "could not make a descriptor");
	memory_hold(memory_of(base->broker));
	reader->fd = fd;
	memory_unhold(memory_of(base->broker));
	*ret_fd = fd;
	return ERR_OK;
}

static void release_batch(struct memory_reader *reader)
{
	for (size_t i = 0; i < reader->batch_count; i++)
		(void)memory_free_record(&reader->batch[i]);
	free(reader->batch);
	reader->batch = NULL;
	reader->batch_count = 0;
}

/* Copies what one event may hold, at least one record. */
static void take_batch(struct memory_reader *reader, const struct list *list, size_t from)
{
	size_t bytes = 0, count = 0;

	while (from + count < list->count && list->entries[from + count].gap == NO_GAP) {
		const struct record *record = &list->entries[from + count].record;

		bytes += record->key.len + record->value.len;
		if (count > 0 && bytes > reader->bytes_max)
			break;
		count++;
	}
	reader->batch = xcalloc(count, sizeof(*reader->batch));
	for (size_t i = 0; i < count; i++)
		reader->batch[i] = memory_copy(&list->entries[from + i].record);
	reader->batch_count = count;
}

/* Numbers without a record that have one reason. */
static void hole_event(struct sub *sub, const struct list *list, size_t from,
		       struct reader_event *ret_event)
{
	size_t count = 1;

	while (from + count < list->count &&
	       list->entries[from + count].gap == list->entries[from].gap)
		count++;
	*ret_event = sub_event(READER_GAP, sub);
	ret_event->gap = (enum gap_reason)list->entries[from].gap;
	ret_event->first = sub_position(sub, sub->next);
	sub->next += count;
	ret_event->last = sub_position(sub, sub->next - 1);
}

static void end_event(struct memory_reader *reader, struct sub *sub, const struct topic *topic,
		      struct reader_event *ret_event)
{
	int found = 0;

	*ret_event = sub_event(READER_END, sub);
	for (int32_t i = 0; i < topic->partition_count && found < 2; i++)
		if (topic->partitions[i].parents[0] == sub->partition ||
		    topic->partitions[i].parents[1] == sub->partition)
			ret_event->children[found++] = i;
	subs_end(&reader->subs, sub);
}

static void failed_event(struct memory_reader *reader, struct sub *sub, enum err_code code,
			 struct reader_event *ret_event)
{
	(void)err_set(&reader->subs.failure, code, "injected fault");
	*ret_event = sub_event(READER_FAILED, sub);
	ret_event->failure = &reader->subs.failure;
	subs_end(&reader->subs, sub);
}

/* What comes next of a partition; false: nothing. */
static bool partition_event(struct memory_reader *reader, struct sub *sub, struct topic *topic,
			    struct reader_event *ret_event)
{
	const struct partition *partition = &topic->partitions[sub->partition];
	const struct list *list = partition->user;
	size_t from = sub->next - partition->floor;

	if (sub->ended || (sub->next == partition->next && partition->open &&
			   list->failure == ERR_OK))
		return false;
	if (list->failure != ERR_OK) {
		failed_event(reader, sub, list->failure, ret_event);
		return true;
	}
	if (sub->next == partition->next) {
		end_event(reader, sub, topic, ret_event);
		return true;
	}
	sub->kept = partition->first;
	if (sub->next < sub->kept || sub->next < sub->born) {
		subs_gap(&reader->subs, sub, partition->first, ret_event);
		return true;
	}
	subs_moved(&reader->subs, sub);
	if (list->entries[from].gap != NO_GAP) {
		hole_event(sub, list, from, ret_event);
		return true;
	}
	take_batch(reader, list, from);
	sub->next += reader->batch_count;
	*ret_event = sub_event(READER_RECORDS, sub);
	ret_event->records = reader->batch;
	ret_event->count = reader->batch_count;
	ret_event->lineage = (struct lineage){ .high = sub->uid };
	return true;
}

static bool data_event(struct memory_reader *reader, const struct topics *topics,
		       struct reader_event *ret_event)
{
	struct subs *subs = &reader->subs;

	subs_placed(subs);
	for (size_t i = 0; i < subs->count; i++) {
		struct sub *sub = subs->items[(subs->turn + i) % subs->count];
		struct topic *topic = topics_find_uid(topics, sub->uid);

		if (!topic || sub->paused || sub->revoked ||
		    !partition_event(reader, sub, topic, ret_event))
			continue;
		subs->turn = (subs->turn + i + 1) % subs->count;
		return true;
	}
	return false;
}

/* It was taken from its group. */
static bool taken_event(struct memory_reader *reader, const struct topics *topics,
			struct reader_event *ret_event)
{
	for (size_t i = 0; reader->subs.group && i < reader->subs.count; i++) {
		struct sub *sub = reader->subs.items[i];
		const struct topic *topic = topics_find_uid(topics, sub->uid);
		const struct list *list = topic ? topic->partitions[sub->partition].user : NULL;

		if (!list || sub->revoked || sub->user == list->revocations)
			continue;
		sub->user = list->revocations;
		subs_revoke(&reader->subs, sub, ret_event);
		ret_event->lost = list->lost;
		if (list->lost)
			subs_let_go(&reader->subs, ret_event->topic, ret_event->partition);
		return true;
	}
	return false;
}

static bool memory_event(struct memory_broker *memory, struct memory_reader *reader,
			 struct reader_event *ret_event)
{
	struct subs *subs = &reader->subs;
	struct partition *partition;
	struct err ignored;

	if (taken_event(reader, &memory->topics, ret_event))
		return true;
	if (subs_group_event(subs, &memory->topics, ret_event)) {
		if (ret_event->kind == READER_ASSIGNED &&
		    memory_find(memory, ret_event->topic, ret_event->partition, &partition,
				   &ignored) == ERR_OK)
			subs_find(subs, ret_event->topic, ret_event->partition)->user =
				((struct list *)partition->user)->revocations;
		return true;
	}
	if (!data_event(reader, &memory->topics, ret_event) && !subs_caught_up(subs, ret_event))
		return false;
	ret_event->first = memory_spread(memory, ret_event->topic.kind, ret_event->first);
	ret_event->last = memory_spread(memory, ret_event->topic.kind, ret_event->last);
	return true;
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

enum err_code memory_reader_next(struct broker_reader *base, int64_t deadline_ms,
					struct reader_event *ret_event, struct err *err)
{
	struct memory_reader *reader = reader_of(base);
	struct memory_broker *memory = memory_of(base->broker);

	(void)err;
	release_batch(reader);
	memory_hold(memory);
	while (!memory_event(memory, reader, ret_event)) {
		int64_t left = deadline_ms - clock_mono_ms();
		eventfd_t rung;

		if (left <= 0 || stop_requested()) {
			if (reader->fd >= 0)
				(void)eventfd_read(reader->fd, &rung);
			*ret_event = (struct reader_event){ .kind = READER_IDLE };
			break;
		}
		wait_ms(memory, left < STOP_CHECK_MS ? left : STOP_CHECK_MS);
	}
	memory_unhold(memory);
	return ERR_OK;
}

enum err_code memory_reader_commit(struct broker_reader *base, struct topic_ref ref,
					  int32_t id, struct position next, struct err *err)
{
	const struct memory_reader *reader = reader_of(base);
	struct sub *sub;
	enum err_code code = ERR_OK;

	if (!reader->subs.group)
		return err_set(err, ERR_USAGE, "only a member of a group can commit");
	code = subs_get(&reader->subs, ref, id, &sub, err);
	if (code == ERR_OK && !sub->revoked)
		code = memory_commit(base->broker, reader->subs.group, ref, id, next, err);
	return code;
}

void memory_reader_close(struct broker_reader *base)
{
	struct memory_broker *memory = memory_of(base->broker);
	struct memory_reader *reader = reader_of(base), **at = &memory->readers;

	memory_hold(memory);
	while (*at != reader)
		at = &(*at)->next;
	*at = reader->next;
	memory_unhold(memory);
	if (reader->fd >= 0)
		(void)close(reader->fd);
	release_batch(reader);
	subs_release(&reader->subs);
	free(reader);
}
