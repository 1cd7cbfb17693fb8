/*
 * broker_call.c - the callers of broker.h: every call of a backend goes through
 * one of them.
 */
#include "broker/broker.h"

#include <stdlib.h>

enum err_code broker_create(struct broker *broker, struct topic_ref topic,
			    const struct topic_options *options, struct err *err)
{
	return broker->ops->create(broker, topic, options, err);
}

enum err_code broker_describe(struct broker *broker, struct topic_ref topic,
			      struct topic_info *ret_info, struct err *err)
{
	return broker->ops->describe(broker, topic, ret_info, err);
}

enum err_code broker_list(struct broker *broker, enum topic_kind kind,
			  bool (*each)(void *user, const char *name), void *user, struct err *err)
{
	return broker->ops->list(broker, kind, each, user, err);
}

enum err_code broker_remove(struct broker *broker, struct topic_ref topic, struct err *err)
{
	return broker->ops->remove(broker, topic, err);
}

enum err_code broker_append(struct broker *broker, struct append *append, struct err *err)
{
	return broker->ops->append(broker, append, err);
}

void broker_cork(struct broker *broker, bool corked)
{
	broker->ops->cork(broker, corked);
}

enum err_code broker_ready(struct broker *broker, size_t bytes, struct err *err)
{
	return broker->ops->ready(broker, bytes, err);
}

enum err_code broker_committed(struct broker *broker, const char *group, struct topic_ref topic,
			       int32_t partition, struct position *ret_next, struct err *err)
{
	return broker->ops->committed(broker, group, topic, partition, ret_next, err);
}

enum err_code broker_commit(struct broker *broker, const char *group, struct topic_ref topic,
			    int32_t partition, struct position next, struct err *err)
{
	return broker->ops->commit(broker, group, topic, partition, next, err);
}

enum err_code broker_reader_open(struct broker *broker, const struct reader_options *options,
				 struct broker_reader **ret_reader, struct err *err)
{
	return broker->ops->reader_open(broker, options, ret_reader, err);
}

enum err_code reader_seek(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
			  struct reader_start start, struct err *err)
{
	return reader->broker->ops->reader_seek(reader, topic, partition, start, err);
}

enum err_code reader_next(struct broker_reader *reader, int64_t deadline_ms,
			  struct reader_event *ret_event, struct err *err)
{
	return reader->broker->ops->reader_next(reader, deadline_ms, ret_event, err);
}

enum err_code reader_pause(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
			   bool paused, struct err *err)
{
	return reader->broker->ops->reader_pause(reader, topic, partition, paused, err);
}

void reader_release(struct broker_reader *reader, struct topic_ref topic, int32_t partition)
{
	reader->broker->ops->reader_release(reader, topic, partition);
}

enum err_code reader_fd(struct broker_reader *reader, int *ret_fd, struct err *err)
{
	return reader->broker->ops->reader_fd(reader, ret_fd, err);
}

enum err_code reader_commit(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
			    struct position next, struct err *err)
{
	return reader->broker->ops->reader_commit(reader, topic, partition, next, err);
}

void reader_close(struct broker_reader *reader)
{
	if (reader)
		reader->broker->ops->reader_close(reader);
}

void broker_free(struct broker *broker)
{
	if (broker)
		broker->ops->free(broker);
}

void topic_info_release(struct topic_info *info)
{
	free(info->partitions);
	*info = (struct topic_info){ 0 };
}

const struct partition_info *topic_info_partition(const struct topic_info *info, int32_t id)
{
	int32_t low = 0, high = info->partition_count;

	while (low < high) {
		int32_t mid = low + (high - low) / 2;

		if (info->partitions[mid].id == id)
			return &info->partitions[mid];
		if (info->partitions[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const char *gap_reason_text(enum gap_reason reason)
{
	static const char *const texts[] = {
		[GAP_NONE] = "none",		[GAP_COMPACTED] = "compacted",
		[GAP_ABORTED] = "aborted",	[GAP_RETENTION] = "retention",
		[GAP_DAMAGED] = "damaged",	[GAP_REMOVED] = "removed",
	};

	return texts[reason];
}
