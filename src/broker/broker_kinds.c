#include "broker/broker_kinds.h"

#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"

#include <assert.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { KINDS = TOPIC_STREAM + 1 };

struct kinds_broker {
	struct broker base;
	struct broker *inner[KINDS]; /* by topic_kind; may be the same */
};
static_assert(offsetof(struct kinds_broker, base) == 0, "base must be first");

struct kinds_reader {
	struct broker_reader base;
	struct broker_reader *inner[KINDS]; /* NULL: not asked for yet, or the other one's */
	int next;	  /* whose turn it is: none waits for the other for ever */
	size_t bytes_max; /* for those that are opened later */
	int epoll_fd;	  /* of both; -1: nobody asked */
};
static_assert(offsetof(struct kinds_reader, base) == 0, "base must be first");

/* The one that has the topics of this kind. */
static struct broker *inner_of(struct broker *broker, enum topic_kind kind)
{
	return ((struct kinds_broker *)broker)->inner[kind];
}

static bool is_one(const struct kinds_broker *kinds)
{
	return kinds->inner[TOPIC_LOG] == kinds->inner[TOPIC_STREAM];
}

/* --- the broker ---------------------------------------------------------- */

static enum err_code kinds_create(struct broker *broker, struct topic_ref topic,
				  const struct topic_options *options, struct err *err)
{
	return broker_create(inner_of(broker, topic.kind), topic, options, err);
}

static enum err_code kinds_describe(struct broker *broker, struct topic_ref topic,
				    struct topic_info *ret_info, struct err *err)
{
	return broker_describe(inner_of(broker, topic.kind), topic, ret_info, err);
}

static enum err_code kinds_list(struct broker *broker, enum topic_kind kind,
				bool (*each)(void *user, const char *name), void *user,
				struct err *err)
{
	return broker_list(inner_of(broker, kind), kind, each, user, err);
}

static enum err_code kinds_remove(struct broker *broker, struct topic_ref topic, struct err *err)
{
	return broker_remove(inner_of(broker, topic.kind), topic, err);
}

static enum err_code kinds_append(struct broker *broker, struct append *append, struct err *err)
{
	return broker_append(inner_of(broker, append->topic.kind), append, err);
}

static void kinds_cork(struct broker *broker, bool corked)
{
	struct kinds_broker *kinds = (struct kinds_broker *)broker;

	broker_cork(kinds->inner[TOPIC_LOG], corked);
	if (!is_one(kinds))
		broker_cork(kinds->inner[TOPIC_STREAM], corked);
}

static enum err_code kinds_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				 struct err *err)
{
	return broker_ready(inner_of(broker, kind), kind, bytes, err);
}

static enum err_code kinds_committed(struct broker *broker, const char *group,
				     struct topic_ref topic, int32_t partition,
				     struct position *ret_next, struct err *err)
{
	return broker_committed(inner_of(broker, topic.kind), group, topic, partition,
				ret_next, err);
}

static enum err_code kinds_commit(struct broker *broker, const char *group, struct topic_ref topic,
				  int32_t partition, struct position next, struct err *err)
{
	return broker_commit(inner_of(broker, topic.kind), group, topic, partition, next,
			     err);
}

static enum err_code kinds_nodes(struct broker *broker, enum topic_kind kind,
				 bool (*each)(void *user, const struct broker_node *node),
				 void *user, struct err *err)
{
	return broker_nodes(inner_of(broker, kind), kind, each, user, err);
}

static enum err_code kinds_settings(struct broker *broker, struct topic_ref topic,
				    bool (*each)(void *user, const char *name, const char *value),
				    void *user, struct err *err)
{
	return broker_settings(inner_of(broker, topic.kind), topic, each, user, err);
}

/* --- groups: one name may be known to both ------------------------------- */

struct kinds_names {
	char **items;
	size_t count;
};

static bool add_group(void *user, const char *name)
{
	struct kinds_names *names = user;

	names->items = xreallocarray(names->items, names->count + 1, sizeof(char *));
	names->items[names->count++] = xstrdup(name);
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void tell_names(struct kinds_names *names, bool (*each)(void *user, const char *name),
		       void *user)
{
	if (names->count > 1)
		qsort(names->items, names->count, sizeof(char *), compare_names);
	for (size_t i = 0; i < names->count; i++)
		if ((i == 0 || strcmp(names->items[i], names->items[i - 1]) != 0) &&
		    !each(user, names->items[i]))
			break;
}

static enum err_code kinds_groups(struct broker *broker, bool (*each)(void *user, const char *name),
				  void *user, struct err *err)
{
	struct kinds_broker *kinds = (struct kinds_broker *)broker;
	struct kinds_names names = { 0 };
	enum err_code code;

	if (is_one(kinds))
		return broker_groups(kinds->inner[TOPIC_LOG], each, user, err);
	code = broker_groups(kinds->inner[TOPIC_LOG], add_group, &names, err);
	if (code == ERR_OK)
		code = broker_groups(kinds->inner[TOPIC_STREAM], add_group, &names, err);
	if (code == ERR_OK)
		tell_names(&names, each, user);
	for (size_t i = 0; i < names.count; i++)
		free(names.items[i]);
	free(names.items);
	return code;
}

/* Where neither knows it, what the first said. */
static enum err_code kinds_describe_group(struct broker *broker, const char *group,
					  struct group_info *ret_info, struct err *err)
{
	struct kinds_broker *kinds = (struct kinds_broker *)broker;
	struct group_info info = { 0 };
	struct err later;
	bool known = false;

	for (int place = 0; place < (is_one(kinds) ? 1 : KINDS); place++) {
		struct err *why = place == 0 ? err : &later;
		struct group_info one;
		enum err_code code = broker_describe_group(kinds->inner[place], group, &one, why);

		if (code == ERR_ABSENT)
			continue;
		if (code != ERR_OK) {
			group_info_release(&info);
			*err = *why;
			return code;
		}
		group_info_merge(&info, &one);
		known = true;
	}
	if (!known)
		return err->code;
	group_info_sort(&info);
	*ret_info = info;
	return ERR_OK;
}

/* Neither is to be changed where the other would refuse. */
static enum err_code need_no_members(struct broker *broker, const char *group, struct err *err)
{
	struct group_info info = { 0 };
	enum err_code code = kinds_describe_group(broker, group, &info, err);

	if (code != ERR_OK)
		return code == ERR_ABSENT ? ERR_OK : code;
	if (info.state != GROUP_EMPTY)
		code = err_set(err, ERR_BUSY, "group \"%s\" has members", group);
	group_info_release(&info);
	return code;
}

static enum err_code reset_kind(struct kinds_broker *kinds, enum topic_kind kind, const char *group,
				const struct group_place *places, size_t count, struct err *err)
{
	struct group_place *own = xcalloc(count, sizeof(*own));
	enum err_code code = ERR_OK;
	size_t own_count = 0;

	for (size_t i = 0; i < count; i++)
		if (places[i].kind == kind)
			own[own_count++] = places[i];
	if (own_count > 0)
		code = broker_reset_group(kinds->inner[kind], group, own, own_count, err);
	free(own);
	return code;
}

static enum err_code kinds_reset_group(struct broker *broker, const char *group,
				       const struct group_place *places, size_t count,
				       struct err *err)
{
	struct kinds_broker *kinds = (struct kinds_broker *)broker;
	enum err_code code;

	if (is_one(kinds))
		return broker_reset_group(kinds->inner[TOPIC_LOG], group, places, count, err);
	code = need_no_members(broker, group, err);
	if (code == ERR_OK)
		code = reset_kind(kinds, TOPIC_LOG, group, places, count, err);
	if (code == ERR_OK)
		code = reset_kind(kinds, TOPIC_STREAM, group, places, count, err);
	return code;
}

/* Of both. */
static enum err_code kinds_verify(struct broker *broker, void (*each)(void *user, const char *what),
				  void *user, struct broker_verdict *ret_verdict, struct err *err)
{
	struct kinds_broker *kinds = (struct kinds_broker *)broker;
	struct broker_verdict all, other;
	enum err_code code = broker_verify(kinds->inner[TOPIC_LOG], each, user, &all, err);

	if (code == ERR_OK && !is_one(kinds)) {
		code = broker_verify(kinds->inner[TOPIC_STREAM], each, user, &other, err);
		if (code == ERR_OK)
			all = (struct broker_verdict){
				.looked = all.looked || other.looked,
				.sound = all.sound && other.sound,
				.records = all.records + other.records,
				.batches = all.batches + other.batches,
				.damaged = all.damaged + other.damaged,
			};
	}
	if (code == ERR_OK)
		*ret_verdict = all;
	return code;
}

static void kinds_free(struct broker *broker)
{
	struct kinds_broker *kinds = (struct kinds_broker *)broker;

	broker_free(kinds->inner[TOPIC_LOG]);
	if (!is_one(kinds))
		broker_free(kinds->inner[TOPIC_STREAM]);
	free(kinds);
}

/* --- its reader ---------------------------------------------------------- */

/* Where the kinds are one broker, its one reader stands in the first place. */
static int place_of(const struct kinds_reader *reader, enum topic_kind kind)
{
	return is_one((const struct kinds_broker *)reader->base.broker) ? 0 : (int)kind;
}

static enum err_code watch(struct kinds_reader *reader, int place, struct err *err)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = -1;
	enum err_code code = reader_fd(reader->inner[place], &fd, err);

	if (code == ERR_OK && epoll_ctl(reader->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		code = err_errno(err, "could not wait for a reader");
	return code;
}

static enum err_code kinds_open_place(struct kinds_reader *reader, int place,
				      const struct reader_options *options, struct err *err)
{
	struct kinds_broker *kinds = (struct kinds_broker *)reader->base.broker;
	enum err_code code =
		broker_reader_open(kinds->inner[place], options, &reader->inner[place], err);

	if (code != ERR_OK || reader->epoll_fd < 0)
		return code;
	code = watch(reader, place, err);
	if (code != ERR_OK) { /* not to be left as one that nobody watches */
		reader_close(reader->inner[place]);
		reader->inner[place] = NULL;
	}
	return code;
}

/* With a group: a reader of each broker that has one of the topics. */
static enum err_code open_group(struct kinds_reader *reader, const struct reader_options *options,
				struct err *err)
{
	struct topic_ref *topics = xcalloc(options->topic_count + 1, sizeof(*topics));
	enum err_code code = ERR_OK;

	for (int place = 0; place < KINDS && code == ERR_OK; place++) {
		struct reader_options own = *options;

		own.topics = topics;
		own.topic_count = 0;
		for (size_t i = 0; i < options->topic_count; i++)
			if (place_of(reader, options->topics[i].kind) == place)
				topics[own.topic_count++] = options->topics[i];
		if (own.topic_count > 0)
			code = kinds_open_place(reader, place, &own, err);
	}
	free(topics);
	return code;
}

static void kinds_reader_close(struct broker_reader *base)
{
	struct kinds_reader *reader = (struct kinds_reader *)base;

	if (reader->epoll_fd >= 0)
		(void)close(reader->epoll_fd);
	for (int place = 0; place < KINDS; place++)
		reader_close(reader->inner[place]);
	free(reader);
}

static enum err_code kinds_reader_open(struct broker *broker, const struct reader_options *options,
				       struct broker_reader **ret_reader, struct err *err)
{
	struct kinds_reader *reader = xcalloc(1, sizeof(*reader));
	enum err_code code = ERR_OK;

	reader->base.broker = broker;
	reader->bytes_max = options->bytes_max;
	reader->epoll_fd = -1;
	if (options->group)
		code = open_group(reader, options, err);
	if (code == ERR_OK)
		*ret_reader = &reader->base;
	else
		kinds_reader_close(&reader->base);
	return code;
}

/* The reader of that topic's broker, opened if a seek is the first to name it. */
static enum err_code kinds_reader_of(struct broker_reader *base, enum topic_kind kind,
				     struct broker_reader **ret_inner, struct err *err)
{
	struct kinds_reader *reader = (struct kinds_reader *)base;
	const struct reader_options options = { .bytes_max = reader->bytes_max };
	int place = place_of(reader, kind);
	enum err_code code = reader->inner[place] ? ERR_OK
						  : kinds_open_place(reader, place, &options, err);

	if (code == ERR_OK)
		*ret_inner = reader->inner[place];
	return code;
}

static enum err_code kinds_reader_seek(struct broker_reader *base, struct topic_ref topic,
				       int32_t partition, struct reader_start start,
				       struct err *err)
{
	struct broker_reader *inner;
	enum err_code code = kinds_reader_of(base, topic.kind, &inner, err);

	return code == ERR_OK ? reader_seek(inner, topic, partition, start, err) : code;
}

/* All that are open, or none: a later call begins anew. */
static enum err_code watch_all(struct kinds_reader *reader, struct err *err)
{
	enum err_code code = ERR_OK;

	reader->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (reader->epoll_fd < 0)
		return err_errno(err, "could not wait for two readers");
	for (int place = 0; place < KINDS && code == ERR_OK; place++)
		if (reader->inner[place])
			code = watch(reader, place, err);
	if (code != ERR_OK) {
		(void)close(reader->epoll_fd);
		reader->epoll_fd = -1;
	}
	return code;
}

static enum err_code kinds_reader_fd(struct broker_reader *base, int *ret_fd, struct err *err)
{
	struct kinds_reader *reader = (struct kinds_reader *)base;

	enum err_code code = reader->epoll_fd < 0 ? watch_all(reader, err) : ERR_OK;

	if (code == ERR_OK)
		*ret_fd = reader->epoll_fd;
	return code;
}

/* What either has now. */
static enum err_code next_now(struct kinds_reader *reader, struct reader_event *ret_event,
			      struct err *err)
{
	for (int i = 0; i < KINDS; i++) {
		struct broker_reader *inner = reader->inner[reader->next];
		enum err_code code = ERR_OK;

		reader->next = (reader->next + 1) % KINDS;
		if (inner)
			code = reader_next(inner, 0, ret_event, err);
		if (code != ERR_OK || ret_event->kind != READER_IDLE)
			return code;
	}
	return ERR_OK;
}

/* Until either has something, the deadline, or a stop. */
static void wait_for_either(int fd, int64_t deadline_ms)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
				{ .fd = stop_fd(), .events = POLLIN } };
	int64_t left_ms = deadline_ms - clock_mono_ms();

	if (left_ms > INT32_MAX)
		left_ms = INT32_MAX;
	if (left_ms > 0)
		(void)poll(fds, sizeof(fds) / sizeof(fds[0]), (int)left_ms);
}

static enum err_code next_of_both(struct kinds_reader *reader, int64_t deadline_ms,
				  struct reader_event *ret_event, struct err *err)
{
	struct reader_event event = { .kind = READER_IDLE };
	int fd = -1;

	if (kinds_reader_fd(&reader->base, &fd, err) != ERR_OK)
		return err->code;
	for (;;) {
		bool late = clock_mono_ms() >= deadline_ms || stop_requested();
		enum err_code code = next_now(reader, &event, err);

		if (code != ERR_OK)
			return code;
		if (event.kind != READER_IDLE || late)
			break;
		wait_for_either(fd, deadline_ms);
	}
	*ret_event = event;
	return ERR_OK;
}

static enum err_code kinds_reader_next(struct broker_reader *base, int64_t deadline_ms,
				       struct reader_event *ret_event, struct err *err)
{
	struct kinds_reader *reader = (struct kinds_reader *)base;
	struct broker_reader *one = reader->inner[TOPIC_LOG] ? reader->inner[TOPIC_LOG]
							     : reader->inner[TOPIC_STREAM];

	if (one && !(reader->inner[TOPIC_LOG] && reader->inner[TOPIC_STREAM]))
		return reader_next(one, deadline_ms, ret_event, err);
	return next_of_both(reader, deadline_ms, ret_event, err);
}

static enum err_code kinds_reader_pause(struct broker_reader *base, struct topic_ref topic,
					int32_t partition, bool paused, struct err *err)
{
	struct broker_reader *inner;
	enum err_code code = kinds_reader_of(base, topic.kind, &inner, err);

	return code == ERR_OK ? reader_pause(inner, topic, partition, paused, err) : code;
}

/* Only of what it gave, so that its reader is open. */
static void kinds_reader_release(struct broker_reader *base, struct topic_ref topic,
				 int32_t partition)
{
	struct kinds_reader *reader = (struct kinds_reader *)base;

	reader_release(reader->inner[place_of(reader, topic.kind)], topic, partition);
}

static enum err_code kinds_reader_commit(struct broker_reader *base, struct topic_ref topic,
					 int32_t partition, struct position next, struct err *err)
{
	struct broker_reader *inner;
	enum err_code code = kinds_reader_of(base, topic.kind, &inner, err);

	return code == ERR_OK ? reader_commit(inner, topic, partition, next, err) : code;
}

static const struct broker_ops kinds_ops = {
	.name = "kinds",
	.create = kinds_create,
	.describe = kinds_describe,
	.list = kinds_list,
	.remove = kinds_remove,
	.append = kinds_append,
	.cork = kinds_cork,
	.ready = kinds_ready,
	.committed = kinds_committed,
	.commit = kinds_commit,
	.nodes = kinds_nodes,
	.settings = kinds_settings,
	.groups = kinds_groups,
	.describe_group = kinds_describe_group,
	.reset_group = kinds_reset_group,
	.verify = kinds_verify,
	.reader_open = kinds_reader_open,
	.reader_seek = kinds_reader_seek,
	.reader_next = kinds_reader_next,
	.reader_pause = kinds_reader_pause,
	.reader_release = kinds_reader_release,
	.reader_fd = kinds_reader_fd,
	.reader_commit = kinds_reader_commit,
	.reader_close = kinds_reader_close,
	.free = kinds_free,
};

struct broker *broker_kinds_new(struct broker *topics, struct broker *streams)
{
	struct kinds_broker *kinds = xcalloc(1, sizeof(*kinds));

	kinds->base.ops = &kinds_ops;
	kinds->inner[TOPIC_LOG] = topics;
	kinds->inner[TOPIC_STREAM] = streams;
	return &kinds->base;
}
