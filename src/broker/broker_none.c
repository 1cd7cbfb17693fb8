/*
 * broker_none.c - a log without topics, which takes none: for who looks at a lake
 * on a machine that has no log.
 */
#include "broker/broker.h"

#include "base/mem.h"

static enum err_code no_log(struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "there is no log here");
}

static enum err_code no_log_topic(struct topic_ref topic, struct err *err)
{
	return err_set(err, ERR_NO_TOPIC, "no topic \"%s\": there is no log here", topic.name);
}

static enum err_code no_log_create(struct broker *broker, struct topic_ref topic,
				   const struct topic_options *options, struct err *err)
{
	(void)broker;
	(void)topic;
	(void)options;
	return no_log(err);
}

static enum err_code no_log_describe(struct broker *broker, struct topic_ref topic,
				     struct topic_info *ret_info, struct err *err)
{
	(void)broker;
	(void)ret_info;
	return no_log_topic(topic, err);
}

static enum err_code no_log_topics(struct broker *broker, enum topic_kind kind,
				   bool (*each)(void *user, const char *name), void *user,
				   struct err *err)
{
	(void)broker;
	(void)kind;
	(void)each;
	(void)user;
	(void)err;
	return ERR_OK;
}

static enum err_code no_log_drop(struct broker *broker, struct topic_ref topic, struct err *err)
{
	(void)broker;
	return no_log_topic(topic, err);
}

static enum err_code no_log_append(struct broker *broker, struct append *append, struct err *err)
{
	(void)broker;
	(void)append;
	return no_log(err);
}

static void no_log_cork(struct broker *broker, bool corked)
{
	(void)broker;
	(void)corked;
}

static enum err_code no_log_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				  struct err *err)
{
	(void)broker;
	(void)kind;
	(void)bytes;
	return no_log(err);
}

static enum err_code no_log_committed(struct broker *broker, const char *group,
				      struct topic_ref topic, int32_t partition,
				      struct position *ret_next, struct err *err)
{
	(void)broker;
	(void)group;
	(void)partition;
	(void)ret_next;
	return no_log_topic(topic, err);
}

static enum err_code no_log_commit(struct broker *broker, const char *group, struct topic_ref topic,
				   int32_t partition, struct position next, struct err *err)
{
	(void)broker;
	(void)group;
	(void)partition;
	(void)next;
	return no_log_topic(topic, err);
}

static enum err_code no_log_nodes(struct broker *broker, enum topic_kind kind,
				  bool (*each)(void *user, const struct broker_node *node),
				  void *user, struct err *err)
{
	(void)broker;
	(void)kind;
	(void)each;
	(void)user;
	return no_log(err);
}

static enum err_code no_log_settings(struct broker *broker, struct topic_ref topic,
				     bool (*each)(void *user, const char *name, const char *value),
				     void *user, struct err *err)
{
	(void)broker;
	(void)each;
	(void)user;
	return no_log_topic(topic, err);
}

static enum err_code no_log_groups(struct broker *broker,
				   bool (*each)(void *user, const char *name), void *user,
				   struct err *err)
{
	(void)broker;
	(void)each;
	(void)user;
	(void)err;
	return ERR_OK;
}

static enum err_code no_log_describe_group(struct broker *broker, const char *group,
					   struct group_info *ret_info, struct err *err)
{
	(void)broker;
	(void)ret_info;
	return err_set(err, ERR_ABSENT, "no group \"%s\": there is no log here", group);
}

static enum err_code no_log_reset_group(struct broker *broker, const char *group,
					const struct group_place *places, size_t count,
					struct err *err)
{
	(void)broker;
	(void)group;
	(void)places;
	(void)count;
	return no_log(err);
}

static enum err_code no_log_verify(struct broker *broker,
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

static enum err_code no_log_reader_open(struct broker *broker, const struct reader_options *options,
					struct broker_reader **ret_reader, struct err *err)
{
	(void)broker;
	(void)options;
	(void)ret_reader;
	return no_log(err);
}

static void no_log_end(struct broker *broker) { free(broker); }

/* Those of a reader are left out: nobody gets one. */
static const struct broker_ops no_log_ops = {
	.name = "none",
	.create = no_log_create,
	.describe = no_log_describe,
	.list = no_log_topics,
	.remove = no_log_drop,
	.append = no_log_append,
	.cork = no_log_cork,
	.ready = no_log_ready,
	.committed = no_log_committed,
	.commit = no_log_commit,
	.nodes = no_log_nodes,
	.settings = no_log_settings,
	.groups = no_log_groups,
	.describe_group = no_log_describe_group,
	.reset_group = no_log_reset_group,
	.verify = no_log_verify,
	.reader_open = no_log_reader_open,
	.free = no_log_end,
};

struct broker *broker_none_new(void)
{
	struct broker *broker = xcalloc(1, sizeof(*broker));

	broker->ops = &no_log_ops;
	return broker;
}
