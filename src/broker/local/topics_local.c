/*
 * topics_local.c - the topics of broker_local: what of them is in memory, and in
 * the catalog (catalog.h).
 *
 * A topic takes records only when it is in the catalog for good, and is gone
 * only when it is gone from there. Between the two it has a phase (topics.h).
 * Where it is not known whether a power cut would bring the old catalog back
 * (ERR_UNKNOWN), nothing is forgotten: a topic that was to come is still to
 * come, and before anything else is made or removed the catalog is written once
 * more. That settles it: then the topic is there.
 */
#include "broker/local/broker_local.h"

#include "base/mem.h"
#include "broker/local/catalog.h"

static enum err_code reload_topics(struct local_broker *local, struct err *err)
{
	uint32_t now = watermark_topics(&local->watermark);
	struct topics topics;
	enum err_code code;
	uint64_t log_id;

	if (now == local->topics_seen)
		return ERR_OK;
	topics_init(&topics);
	code = catalog_load(local->dir_fd, &topics, &log_id, err);
	if (code != ERR_OK)
		return code;
	topics_release(&local->topics);
	local->topics = topics;
	local->topics_seen = now;
	return ERR_OK;
}

enum err_code local_refresh(struct local_broker *local, struct err *err)
{
	enum err_code code;

	if (local->options.writer)
		return ERR_OK; /* it is kept up as things happen */
	code = reload_topics(local, err);
	if (code == ERR_OK)
		code = extent_read_first(&local->extent, err);
	if (code == ERR_OK)
		code = extent_read_next(&local->extent, local_watermark(local), err);
	if (code == ERR_OK)
		extent_apply(&local->extent, &local->topics);
	return code;
}

enum err_code local_need_writer(const struct local_broker *local, struct err *err)
{
	if (local->options.writer)
		return ERR_OK;
	return err_set(err, ERR_UNSUPPORTED, "the log in \"%s\" was opened for reading only",
		       local->options.dir);
}

static void tell_of_topics(struct local_broker *local)
{
	watermark_ring(&local->watermark);
	local_readers_ring(local);
}

/* With the catalog's lock; the topics may not change meanwhile. ERR_UNKNOWN: as catalog_save(). */
static enum err_code save_topics(struct local_broker *local, struct err *err)
{
	enum err_code code = catalog_save(local->dir_fd, &local->topics, local->log_id, err);

	local->unsettled = code == ERR_UNKNOWN || (local->unsettled && code != ERR_OK);
	if (code == ERR_OK) {
		local_hold(local);
		topics_have_come(&local->topics);
		local_let_go(local);
	}
	if (code == ERR_OK || code == ERR_UNKNOWN)
		tell_of_topics(local);
	return code;
}

/* With the catalog's lock. */
enum err_code local_settle(struct local_broker *local, struct err *err)
{
	enum err_code code = local->unsettled ? save_topics(local, err) : ERR_OK;

	return code == ERR_UNKNOWN ? (err->code = ERR_IO) : code; /* of what is to come */
}

/* With the catalog's lock. */
static enum err_code topics_local_create(struct local_broker *local, struct topic_ref ref,
					 const struct topic_options *options, struct err *err)
{
	enum err_code code = local_settle(local, err);
	struct topic *topic;

	if (code != ERR_OK)
		return code;
	local_hold(local);
	code = topics_create(&local->topics, ref, options, &topic, err);
	if (code == ERR_OK)
		topic->phase = TOPIC_COMING; /* no append before it is durable */
	local_let_go(local);
	if (code != ERR_OK)
		return code;
	code = save_topics(local, err);
	if (code != ERR_OK && code != ERR_UNKNOWN) {
		local_hold(local);
		topics_drop(&local->topics, topic);
		local_let_go(local);
	}
	return code;
}

enum err_code local_create(struct broker *broker, struct topic_ref ref,
			   const struct topic_options *options, struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code = local_need_writer(local, err);

	if (code != ERR_OK)
		return code;
	(void)pthread_mutex_lock(&local->catalog_lock);
	code = topics_local_create(local, ref, options, err);
	(void)pthread_mutex_unlock(&local->catalog_lock);
	return code;
}

/* No append finds it any more, and those that did have ended. */
static enum err_code begin_removal(struct local_broker *local, struct topic_ref ref,
				   struct topic **ret_topic, struct err *err)
{
	enum err_code code;

	local_hold(local);
	code = topics_get(&local->topics, ref, ret_topic, err);
	if (code == ERR_OK)
		(*ret_topic)->phase = TOPIC_GOING;
	local_let_go(local);
	if (code == ERR_OK)
		committer_drain(&local->committer);
	return code;
}

/* With the catalog's lock. */
static enum err_code topics_local_remove(struct local_broker *local, struct topic_ref ref,
					 struct err *err)
{
	enum err_code code = local_settle(local, err);
	struct topic *topic;

	if (code == ERR_OK)
		code = begin_removal(local, ref, &topic, err);
	if (code != ERR_OK)
		return code;
	local_hold(local);
	topics_leave_floor(&local->topics, topic);
	local_let_go(local);
	code = save_topics(local, err);
	local_hold(local);
	/* Not known to be there for good, it must take no records. */
	if (code == ERR_OK || code == ERR_UNKNOWN)
		topics_drop(&local->topics, topic);
	else
		topic->phase = TOPIC_LIVE;
	local_let_go(local);
	return code;
}

enum err_code local_remove(struct broker *broker, struct topic_ref ref, struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code = local_need_writer(local, err);

	if (code != ERR_OK)
		return code;
	(void)pthread_mutex_lock(&local->catalog_lock);
	code = topics_local_remove(local, ref, err);
	(void)pthread_mutex_unlock(&local->catalog_lock);
	return code;
}

enum err_code local_describe(struct broker *broker, struct topic_ref ref,
				    struct topic_info *ret_info, struct err *err)
{
	struct local_broker *local = local_of(broker);
	struct topic *topic;
	enum err_code code;

	local_hold(local);
	code = local_refresh(local, err);
	if (code == ERR_OK)
		code = topics_get(&local->topics, ref, &topic, err);
	if (code == ERR_OK)
		topic_describe(topic, ret_info);
	local_let_go(local);
	return code;
}

enum err_code local_list(struct broker *broker, enum topic_kind kind,
				bool (*each)(void *user, const char *name), void *user,
				struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code;

	local_hold(local);
	code = local->options.writer ? ERR_OK : reload_topics(local, err);
	if (code == ERR_OK)
		topics_list(&local->topics, kind, each, user);
	local_let_go(local);
	return code;
}

/* It is its own cluster. */
enum err_code local_nodes(struct broker *broker, enum topic_kind kind,
			  bool (*each)(void *user, const struct broker_node *node), void *user,
			  struct err *err)
{
	const struct broker_node node = { .id = topic_replica.node, .host = "" };

	(void)broker;
	(void)kind;
	(void)err;
	(void)each(user, &node);
	return ERR_OK;
}

/* There are none by topic: what bounds the log (`log` in the configuration) is of all of it. */
enum err_code local_settings(struct broker *broker, struct topic_ref ref,
			     bool (*each)(void *user, const char *name, const char *value),
			     void *user, struct err *err)
{
	struct local_broker *local = local_of(broker);
	struct topic *topic;
	enum err_code code;

	(void)each;
	(void)user;
	local_hold(local);
	code = local->options.writer ? ERR_OK : reload_topics(local, err);
	if (code == ERR_OK)
		code = topics_get(&local->topics, ref, &topic, err);
	local_let_go(local);
	return code;
}
