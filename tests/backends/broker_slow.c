/*
 * broker_slow.c - passes every call on, each after a while, as a service far
 * away answers; for tests. It stacks with the others.
 */
#include "backends/backends.h"
#include "base/mem.h"
#include "base/time.h"

#include <assert.h>

struct slow_broker {
	struct broker base;
	struct broker *inner;
	int64_t call_ms;
};
static_assert(offsetof(struct slow_broker, base) == 0, "base must be first");

struct slow_reader {
	struct broker_reader base;
	struct broker_reader *inner;
};
static_assert(offsetof(struct slow_reader, base) == 0, "base must be first");

/* The inner broker, which answers late. */
static struct broker *late(struct broker *broker)
{
	const struct slow_broker *slow = (const struct slow_broker *)broker;

	clock_sleep_ms(slow->call_ms);
	return slow->inner;
}

/* What is asked of it for one's own memory only comes at once. */
static struct broker *at_once(struct broker *broker)
{
	return ((struct slow_broker *)broker)->inner;
}

static struct broker_reader *reader_at_once(struct broker_reader *reader)
{
	return ((struct slow_reader *)reader)->inner;
}

static struct broker_reader *reader_late(struct broker_reader *reader)
{
	(void)late(reader->broker);
	return reader_at_once(reader);
}

static enum err_code slow_create(struct broker *broker, struct topic_ref topic,
				 const struct topic_options *options, struct err *err)
{
	return broker_create(late(broker), topic, options, err);
}

static enum err_code slow_describe(struct broker *broker, struct topic_ref topic,
				   struct topic_info *ret_info, struct err *err)
{
	return broker_describe(late(broker), topic, ret_info, err);
}

static enum err_code slow_list(struct broker *broker, enum topic_kind kind,
			       bool (*each)(void *user, const char *name), void *user,
			       struct err *err)
{
	return broker_list(late(broker), kind, each, user, err);
}

static enum err_code slow_remove(struct broker *broker, struct topic_ref topic, struct err *err)
{
	return broker_remove(late(broker), topic, err);
}

static enum err_code slow_append(struct broker *broker, struct append *append, struct err *err)
{
	return broker_append(at_once(broker), append, err);
}

static void slow_cork(struct broker *broker, bool corked)
{
	broker_cork(at_once(broker), corked);
}

static enum err_code slow_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				struct err *err)
{
	return broker_ready(at_once(broker), kind, bytes, err);
}

static enum err_code slow_committed(struct broker *broker, const char *group,
				    struct topic_ref topic, int32_t partition,
				    struct position *ret_next, struct err *err)
{
	return broker_committed(late(broker), group, topic, partition, ret_next, err);
}

static enum err_code slow_commit(struct broker *broker, const char *group, struct topic_ref topic,
				 int32_t partition, struct position next, struct err *err)
{
	return broker_commit(late(broker), group, topic, partition, next, err);
}

static enum err_code slow_nodes(struct broker *broker, enum topic_kind kind,
				bool (*each)(void *user, const struct broker_node *node),
				void *user, struct err *err)
{
	return broker_nodes(late(broker), kind, each, user, err);
}

static enum err_code slow_settings(struct broker *broker, struct topic_ref topic,
				   bool (*each)(void *user, const char *name, const char *value),
				   void *user, struct err *err)
{
	return broker_settings(late(broker), topic, each, user, err);
}

static enum err_code slow_groups(struct broker *broker, bool (*each)(void *user, const char *name),
				 void *user, struct err *err)
{
	return broker_groups(late(broker), each, user, err);
}

static enum err_code slow_describe_group(struct broker *broker, const char *group,
					 struct group_info *ret_info, struct err *err)
{
	return broker_describe_group(late(broker), group, ret_info, err);
}

static enum err_code slow_reset_group(struct broker *broker, const char *group,
				      const struct group_place *places, size_t count,
				      struct err *err)
{
	return broker_reset_group(late(broker), group, places, count, err);
}

static enum err_code slow_verify(struct broker *broker, void (*each)(void *user, const char *what),
				 void *user, struct broker_verdict *ret_verdict, struct err *err)
{
	return broker_verify(late(broker), each, user, ret_verdict, err);
}

static enum err_code slow_reader_open(struct broker *broker, const struct reader_options *options,
				      struct broker_reader **ret_reader, struct err *err)
{
	struct broker_reader *inner;
	enum err_code code = broker_reader_open(late(broker), options, &inner, err);
	struct slow_reader *reader;

	if (code != ERR_OK)
		return code;
	reader = xcalloc(1, sizeof(*reader));
	reader->base.broker = broker;
	reader->inner = inner;
	*ret_reader = &reader->base;
	return ERR_OK;
}

static enum err_code slow_reader_seek(struct broker_reader *reader, struct topic_ref topic,
				      int32_t partition, struct reader_start start,
				      struct err *err)
{
	return reader_seek(reader_late(reader), topic, partition, start, err);
}

static enum err_code slow_reader_next(struct broker_reader *reader, int64_t deadline_ms,
				      struct reader_event *ret_event, struct err *err)
{
	return reader_next(reader_late(reader), deadline_ms, ret_event, err);
}

static enum err_code slow_reader_pause(struct broker_reader *reader, struct topic_ref topic,
				       int32_t partition, bool paused, struct err *err)
{
	return reader_pause(reader_at_once(reader), topic, partition, paused, err);
}

static void slow_reader_release(struct broker_reader *reader, struct topic_ref topic,
				int32_t partition)
{
	reader_release(reader_at_once(reader), topic, partition);
}

static enum err_code slow_reader_fd(struct broker_reader *reader, int *ret_fd, struct err *err)
{
	return reader_fd(reader_at_once(reader), ret_fd, err);
}

static enum err_code slow_reader_commit(struct broker_reader *reader, struct topic_ref topic,
					int32_t partition, struct position next, struct err *err)
{
	return reader_commit(reader_at_once(reader), topic, partition, next, err);
}

static void slow_reader_close(struct broker_reader *reader)
{
	reader_close(reader_late(reader));
	free(reader);
}

static void slow_free(struct broker *broker)
{
	broker_free(at_once(broker));
	free(broker);
}

static const struct broker_ops slow_ops = {
	.name = "slow",
	.create = slow_create,
	.describe = slow_describe,
	.list = slow_list,
	.remove = slow_remove,
	.append = slow_append,
	.cork = slow_cork,
	.ready = slow_ready,
	.committed = slow_committed,
	.commit = slow_commit,
	.nodes = slow_nodes,
	.settings = slow_settings,
	.groups = slow_groups,
	.describe_group = slow_describe_group,
	.reset_group = slow_reset_group,
	.verify = slow_verify,
	.reader_open = slow_reader_open,
	.reader_seek = slow_reader_seek,
	.reader_next = slow_reader_next,
	.reader_pause = slow_reader_pause,
	.reader_release = slow_reader_release,
	.reader_fd = slow_reader_fd,
	.reader_commit = slow_reader_commit,
	.reader_close = slow_reader_close,
	.free = slow_free,
};

struct broker *broker_slow_new(struct broker *inner, int64_t call_ms)
{
	struct slow_broker *slow = xcalloc(1, sizeof(*slow));

	slow->base.ops = &slow_ops;
	slow->inner = inner;
	slow->call_ms = call_ms;
	return &slow->base;
}
