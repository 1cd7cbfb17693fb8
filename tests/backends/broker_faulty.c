/*
 * broker_faulty.c - passes every call on, but fails the append or the read that
 * it was told to; for tests. A failed append never reaches the inner broker.
 */
#include "base/mem.h"
#include "backends/backends.h"
#include "broker/completer.h"

#include <assert.h>
#include <stdatomic.h>

struct faulty_broker {
	struct broker base;
	struct broker *inner;
	struct broker_fault fault;
	atomic_int appends;
	atomic_int reads;
	atomic_int fds;
	struct completer completer;	/* of the appends that end badly */
};
static_assert(offsetof(struct faulty_broker, base) == 0, "base must be first");

struct faulty_reader {
	struct broker_reader base;
	struct broker_reader *inner;
};
static_assert(offsetof(struct faulty_reader, base) == 0, "base must be first");

static struct faulty_broker *of(struct broker *broker)
{
	return (struct faulty_broker *)broker;
}

static struct broker_reader *inner_of(struct broker_reader *reader)
{
	return ((struct faulty_reader *)reader)->inner;
}

static bool is_due(const struct broker_fault *fault, atomic_int *calls, int at)
{
	int call = atomic_fetch_add(calls, 1) + 1;

	return at > 0 && (call == at || (fault->for_ever && call > at));
}

static enum err_code faulty_create(struct broker *broker, struct topic_ref topic,
				   const struct topic_options *options, struct err *err)
{
	return broker_create(of(broker)->inner, topic, options, err);
}

static enum err_code faulty_describe(struct broker *broker, struct topic_ref topic,
				     struct topic_info *ret_info, struct err *err)
{
	return broker_describe(of(broker)->inner, topic, ret_info, err);
}

static enum err_code faulty_list(struct broker *broker, enum topic_kind kind,
				 bool (*each)(void *user, const char *name), void *user,
				 struct err *err)
{
	return broker_list(of(broker)->inner, kind, each, user, err);
}

static enum err_code faulty_remove(struct broker *broker, struct topic_ref topic,
				   struct err *err)
{
	return broker_remove(of(broker)->inner, topic, err);
}

static enum err_code faulty_append(struct broker *broker, struct append *append, struct err *err)
{
	struct faulty_broker *faulty = of(broker);

	if (!is_due(&faulty->fault, &faulty->appends, faulty->fault.append_at))
		return broker_append(faulty->inner, append, err);
	if (faulty->fault.refuse != ERR_OK)
		return err_set(err, faulty->fault.refuse, "injected fault");
	for (size_t i = 0; i < append->count; i++)
		append->outcomes[i] = (struct append_outcome){ .code = faulty->fault.outcome };
	completer_push(&faulty->completer, append);
	return ERR_OK;
}

static void faulty_cork(struct broker *broker, bool corked)
{
	broker_cork(of(broker)->inner, corked);
}

static enum err_code faulty_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				  struct err *err)
{
	return broker_ready(of(broker)->inner, kind, bytes, err);
}

static enum err_code faulty_committed(struct broker *broker, const char *group,
				      struct topic_ref topic, int32_t partition,
				      struct position *ret_next, struct err *err)
{
	return broker_committed(of(broker)->inner, group, topic, partition, ret_next, err);
}

static enum err_code faulty_commit(struct broker *broker, const char *group,
				   struct topic_ref topic, int32_t partition,
				   struct position next, struct err *err)
{
	return broker_commit(of(broker)->inner, group, topic, partition, next, err);
}

static enum err_code faulty_nodes(struct broker *broker, enum topic_kind kind,
				  bool (*each)(void *user, const struct broker_node *node),
				  void *user, struct err *err)
{
	return broker_nodes(of(broker)->inner, kind, each, user, err);
}

static enum err_code faulty_settings(struct broker *broker, struct topic_ref topic,
				     bool (*each)(void *user, const char *name, const char *value),
				     void *user, struct err *err)
{
	return broker_settings(of(broker)->inner, topic, each, user, err);
}

static enum err_code faulty_groups(struct broker *broker,
				   bool (*each)(void *user, const char *name), void *user,
				   struct err *err)
{
	return broker_groups(of(broker)->inner, each, user, err);
}

static enum err_code faulty_describe_group(struct broker *broker, const char *group,
					   struct group_info *ret_info, struct err *err)
{
	return broker_describe_group(of(broker)->inner, group, ret_info, err);
}

static enum err_code faulty_reset_group(struct broker *broker, const char *group,
					const struct group_place *places, size_t count,
					struct err *err)
{
	return broker_reset_group(of(broker)->inner, group, places, count, err);
}

static enum err_code faulty_verify(struct broker *broker,
				   void (*each)(void *user, const char *what), void *user,
				   struct broker_verdict *ret_verdict, struct err *err)
{
	return broker_verify(of(broker)->inner, each, user, ret_verdict, err);
}

static enum err_code faulty_reader_open(struct broker *broker,
					const struct reader_options *options,
					struct broker_reader **ret_reader, struct err *err)
{
	struct broker_reader *inner;
	enum err_code code = broker_reader_open(of(broker)->inner, options, &inner, err);
	struct faulty_reader *reader;

	if (code != ERR_OK)
		return code;
	reader = xcalloc(1, sizeof(*reader));
	reader->base.broker = broker;
	reader->inner = inner;
	*ret_reader = &reader->base;
	return ERR_OK;
}

static enum err_code faulty_reader_seek(struct broker_reader *reader, struct topic_ref topic,
					int32_t partition, struct reader_start start,
					struct err *err)
{
	return reader_seek(inner_of(reader), topic, partition, start, err);
}

static enum err_code faulty_reader_next(struct broker_reader *reader, int64_t deadline_ms,
					struct reader_event *ret_event, struct err *err)
{
	struct faulty_broker *faulty = of(reader->broker);

	if (is_due(&faulty->fault, &faulty->reads, faulty->fault.read_at))
		return err_set(err, faulty->fault.outcome, "injected fault");
	return reader_next(inner_of(reader), deadline_ms, ret_event, err);
}

static enum err_code faulty_reader_pause(struct broker_reader *reader, struct topic_ref topic,
					 int32_t partition, bool paused, struct err *err)
{
	return reader_pause(inner_of(reader), topic, partition, paused, err);
}

static void faulty_reader_release(struct broker_reader *reader, struct topic_ref topic,
				  int32_t partition)
{
	reader_release(inner_of(reader), topic, partition);
}

static enum err_code faulty_reader_fd(struct broker_reader *reader, int *ret_fd, struct err *err)
{
	struct faulty_broker *faulty = of(reader->broker);

	if (is_due(&faulty->fault, &faulty->fds, faulty->fault.fd_at))
		return err_set(err, faulty->fault.outcome, "injected fault");
	return reader_fd(inner_of(reader), ret_fd, err);
}

static enum err_code faulty_reader_commit(struct broker_reader *reader, struct topic_ref topic,
					  int32_t partition, struct position next,
					  struct err *err)
{
	return reader_commit(inner_of(reader), topic, partition, next, err);
}

static void faulty_reader_close(struct broker_reader *reader)
{
	reader_close(inner_of(reader));
	free(reader);
}

static void faulty_free(struct broker *broker)
{
	struct faulty_broker *faulty = of(broker);

	broker_free(faulty->inner);
	completer_release(&faulty->completer);
	free(faulty);
}

static const struct broker_ops faulty_ops = {
	.name = "faulty",
	.create = faulty_create,
	.describe = faulty_describe,
	.list = faulty_list,
	.remove = faulty_remove,
	.append = faulty_append,
	.cork = faulty_cork,
	.ready = faulty_ready,
	.committed = faulty_committed,
	.commit = faulty_commit,
	.nodes = faulty_nodes,
	.settings = faulty_settings,
	.groups = faulty_groups,
	.describe_group = faulty_describe_group,
	.reset_group = faulty_reset_group,
	.verify = faulty_verify,
	.reader_open = faulty_reader_open,
	.reader_seek = faulty_reader_seek,
	.reader_next = faulty_reader_next,
	.reader_pause = faulty_reader_pause,
	.reader_release = faulty_reader_release,
	.reader_fd = faulty_reader_fd,
	.reader_commit = faulty_reader_commit,
	.reader_close = faulty_reader_close,
	.free = faulty_free,
};

struct broker *broker_faulty_new(struct broker *inner, const struct broker_fault *fault,
				 broker_done_fn *done, void *done_user)
{
	struct faulty_broker *faulty = xcalloc(1, sizeof(*faulty));

	assert(fault->append_at == 0 || fault->refuse != ERR_OK || fault->outcome != ERR_OK);
	faulty->base.ops = &faulty_ops;
	faulty->inner = inner;
	faulty->fault = *fault;
	completer_init(&faulty->completer, done, done_user);
	return &faulty->base;
}
