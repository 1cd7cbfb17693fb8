#include "gateway/missing.h"

#include "base/mem.h"
#include "base/trace.h"
#include "gateway/state.h"
#include "gateway/worker.h"

#include <assert.h>

/* A topic that a worker makes. */
struct making {
	struct worker_task task;
	struct http_task done;
	struct gateway *gateway;
	struct presence_topic *topic;
	int32_t partitions;
	enum err_code code;
	struct err err;
};

void missing_init(struct missing *missing)
{
	*missing = (struct missing){ .at_work = 0 };
	missing->last = &missing->first;
}

void missing_release(struct gateway *gateway)
{
	for (struct presence_topic *topic = gateway->missing.first; topic;
	     topic = topic->queue_next)
		for (struct post *post = topic->first, *next; post; post = next) {
			next = post->next;
			post_done(&gateway->ingest, post);
		}
}

static void missing_start_some(struct gateway *gateway);

/* All that wait for it, each with its answer or on to the broker. */
static void missing_end(struct gateway *gateway, struct presence_topic *topic, enum err_code code,
			const struct err *err)
{
	struct post *post = topic->first;

	topic->first = NULL;
	topic->last = &topic->first;
	if (code == ERR_OK)
		topic->state = PRESENCE_THERE;
	else
		presence_refuse(topic, err, atomic_load(&gateway->created));
	while (post) {
		struct post *next = post->next;

		if (code == ERR_OK)
			ingest_resume(post);
		else
			ingest_refuse(post, err);
		post = next;
	}
}

static void missing_refuse_all(struct gateway *gateway, const struct err *err)
{
	struct missing *missing = &gateway->missing;

	while (missing->first) {
		struct presence_topic *topic = missing->first;

		missing->first = topic->queue_next;
		missing_end(gateway, topic, err->code, err);
	}
	missing->last = &missing->first;
	missing->waiting = 0;
}

/* On the loop thread, or, for who is not answered any more, as the server is freed. */
static void missing_done_task(struct http_server *server, struct http_task *task)
{
	struct making *making = (struct making *)((char *)task - offsetof(struct making, done));
	struct gateway *gateway = making->gateway;
	bool rested = gateway_has_rested(gateway);

	(void)server;
	gateway->missing.at_work--;
	if (rested)
		making->code = err_set(&making->err, ERR_STOPPED, "the gateway is stopping");
	missing_end(gateway, making->topic, making->code, &making->err);
	if (rested)
		missing_refuse_all(gateway, &making->err);
	else
		missing_start_some(gateway);
	free(making);
}

/* On a worker's thread. */
static void missing_make(struct worker_task *task)
{
	struct making *making = (struct making *)((char *)task - offsetof(struct making, task));
	struct topic_ref topic = { making->topic->kind, making->topic->name };
	const struct topic_options options = { .partitions = making->partitions };
	enum err_code code =
		broker_create(gateway_broker(making->gateway), topic, &options, &making->err);

	if (code == ERR_OK)
		trace_info("created %s \"%s\"", topic.kind == TOPIC_STREAM ? "stream" : "topic",
			   topic.name);
	making->code = code == ERR_EXISTS ? ERR_OK : code;
	making->done = (struct http_task){ .run = missing_done_task };
	http_post(making->gateway->server, &making->done, &making->done);
}

static void missing_drop(struct worker_task *task)
{
	struct making *making = (struct making *)((char *)task - offsetof(struct making, task));

	making->done = (struct http_task){ .run = missing_done_task };
	http_post(making->gateway->server, &making->done, &making->done);
}

static void missing_start(struct gateway *gateway, struct presence_topic *topic)
{
	struct making *making = xcalloc(1, sizeof(*making));

	making->task = (struct worker_task){ .run = missing_make, .drop = missing_drop };
	making->gateway = gateway;
	making->topic = topic;
	(void)gateway_creates(gateway, topic->kind, topic->name, &making->partitions);
	gateway->missing.at_work++;
	worker_give(gateway->worker, &making->task);
}

static void missing_start_some(struct gateway *gateway)
{
	struct missing *missing = &gateway->missing;

	while (missing->at_work < MISSING_AT_ONCE && missing->first) {
		struct presence_topic *topic = missing->first;

		missing->first = topic->queue_next;
		if (!missing->first)
			missing->last = &missing->first;
		missing->waiting--;
		missing_start(gateway, topic);
	}
}

static enum err_code missing_add(struct gateway *gateway, struct presence_topic *topic,
				 struct err *err)
{
	struct missing *missing = &gateway->missing;

	if (missing->waiting == MISSING_MAX)
		return err_set(err, ERR_BUSY, "%d topics wait to be made: try again later",
			       MISSING_MAX);
	topic->state = PRESENCE_MAKING;
	topic->queue_next = NULL;
	*missing->last = topic;
	missing->last = &topic->queue_next;
	missing->waiting++;
	return ERR_OK;
}

enum err_code missing_park(struct post *post, struct err *err)
{
	struct gateway *gateway = post->gateway;
	struct presence_topic *topic = post->known;

	if (!topic)
		topic = presence_get(&gateway->presence, post->append.topic);
	post_set_known(post, topic);
	if (post_keep(post, err) != ERR_OK)
		return err->code;
	if (topic->state != PRESENCE_MAKING && missing_add(gateway, topic, err) != ERR_OK)
		return err->code;
	post->next = NULL;
	*topic->last = post;
	topic->last = &post->next;
	missing_start_some(gateway);
	return ERR_OK;
}
