#include "gateway/opening.h"

#include "base/registry.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/weakness.h"
#include "gateway/state.h"

#include <errno.h>
#include <inttypes.h>

/* Between two tries; twice as long each time. */
enum { PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 5000 };

void opening_init(struct opening *opening, struct gateway *gateway)
{
	pthread_condattr_t attr;

	*opening = (struct opening){ .gateway = gateway };
	(void)pthread_mutex_init(&opening->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&opening->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
}

/* Under the lock. False: the time has passed, by the clock itself: where the wall's clock is
 * another than the machine's (libfaketime), a wait may end long before its time. */
static bool opening_wait(struct opening *opening, int64_t until_ms)
{
	struct timespec until = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };

	(void)pthread_cond_timedwait(&opening->changed, &opening->lock, &until);
	return clock_mono_ms() < until_ms;
}

/* What a disk that is mounted later, or a service that comes back, may mend. */
static bool may_pass(enum err_code code)
{
	return err_retry(code) || code == ERR_IO || code == ERR_ABSENT || code == ERR_DENIED;
}

static void enter(struct opening *opening, enum opening_phase phase)
{
	(void)pthread_mutex_lock(&opening->lock);
	opening->phase = phase;
	(void)pthread_cond_broadcast(&opening->changed);
	(void)pthread_mutex_unlock(&opening->lock);
}

/* Says why, once for each reason, and waits. False: it is to end. */
static bool pause_after(struct opening *opening, const struct err *why, int64_t *pause_ms)
{
	int64_t until_ms = clock_mono_ms() + *pause_ms;
	bool more;

	(void)pthread_mutex_lock(&opening->lock);
	if (opening->tries == 0 || strcmp(opening->why.msg, why->msg) != 0)
		trace_warn("%s; trying again until that passes", why->msg);
	registry_say(REGISTRY_UNWELL, "%s", why->msg);
	opening->why = *why;
	opening->tries++;
	(void)pthread_cond_broadcast(&opening->changed);
	while (!opening->ending && opening_wait(opening, until_ms))
		;
	more = !opening->ending;
	(void)pthread_mutex_unlock(&opening->lock);
	*pause_ms = *pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : *pause_ms * 2;
	return more;
}

/* A second gateway of a directory, a log that is no log: that is for a person, and at once. */
static void opening_give_up(struct opening *opening, const struct err *why)
{
	(void)pthread_mutex_lock(&opening->lock);
	opening->why = *why;
	opening->phase = OPENING_FAILED;
	(void)pthread_cond_broadcast(&opening->changed);
	(void)pthread_mutex_unlock(&opening->lock);
	http_server_stop(opening->gateway->server);
}

/* False: it is to end. */
static bool open_broker(struct opening *opening)
{
	const struct gateway_opener *opener = &opening->opener;
	int64_t pause_ms = PAUSE_FIRST_MS;
	struct broker *broker;
	struct err err;

	while (opener->open(opener->user, opening->gateway, &broker, &err) != ERR_OK) {
		if (opening->tries == 0 && !opening->patient && !may_pass(err.code)) {
			opening_give_up(opening, &err);
			return false;
		}
		if (!pause_after(opening, &err, &pause_ms))
			return false;
	}
	registry_say(REGISTRY_UNWELL, "%s", "");
	if (opening->tries > 0)
		trace_info("the log is open");
	atomic_store_explicit(&opening->gateway->broker, broker, memory_order_release);
	return true;
}

static enum err_code make_own_of_kind(struct gateway *gateway, enum topic_kind kind,
				      struct err *err)
{
	const struct gateway_own *own = &gateway->options.own[kind];
	struct topic_options options;

	for (size_t i = 0; i < own->count; i++) {
		struct topic_ref topic = { kind, own->names[i] };
		enum err_code code;

		options = (struct topic_options){ 0 };
		if (!gateway_creates(gateway, kind, topic.name, &options.partitions))
			continue;
		code = broker_create(gateway_broker(gateway), topic, &options, err);
		if (code != ERR_OK && code != ERR_EXISTS) /* several models may share it, too */
			return err_prefix(err, "could not create \"%s\"", topic.name);
	}
	return ERR_OK;
}

/* Each kind for itself: one broker may be away and the other not. */
static enum err_code make_own(struct gateway *gateway, struct err *err)
{
	struct err first = { .code = ERR_OK };

	if (make_own_of_kind(gateway, TOPIC_LOG, err) != ERR_OK)
		first = *err;
	if (make_own_of_kind(gateway, TOPIC_STREAM, err) != ERR_OK)
		return err->code;
	if (first.code != ERR_OK)
		*err = first;
	return first.code;
}

/* On the loop thread. */
static void opening_made_task(struct http_server *server, struct http_task *task)
{
	struct opening *opening = (struct opening *)((char *)task - offsetof(struct opening, made));
	struct gateway *gateway = opening->gateway;
	int32_t partitions;

	(void)server;
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++)
		for (size_t i = 0; i < gateway->options.own[kind].count; i++) {
			struct topic_ref ref = { (enum topic_kind)kind,
						 gateway->options.own[kind].names[i] };
			struct presence_topic *topic;

			if (!gateway_creates(gateway, ref.kind, ref.name, &partitions))
				continue;
			topic = presence_get(&gateway->presence, ref);
			presence_count(topic, 0);
			if (topic->state != PRESENCE_MAKING)
				topic->state = PRESENCE_THERE;
		}
}

/* Nobody waits for it, but who ends the gateway. */
static void warn_of_own(struct gateway *gateway)
{
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++) {
		const struct gateway_own *own = &gateway->options.own[kind];

		weakness_warn(gateway_broker(gateway), (enum topic_kind)kind, own->names,
			      own->count);
	}
}

static void *opening_run(void *arg)
{
	struct opening *opening = arg;
	struct gateway *gateway = opening->gateway;
	int64_t pause_ms = PAUSE_FIRST_MS;
	struct err err;

	if (!open_broker(opening))
		return NULL;
	takeover_await(&gateway->takeover);
	enter(opening, OPENING_TOPICS);
	while (make_own(gateway, &err) != ERR_OK)
		if (!pause_after(opening, &err, &pause_ms))
			return NULL;
	opening->made = (struct http_task){ .run = opening_made_task };
	http_post(gateway->server, &opening->made, &opening->made);
	enter(opening, OPENING_DONE);
	warn_of_own(gateway);
	return NULL;
}

enum err_code opening_start(struct opening *opening, const struct gateway_opener *opener,
			    struct err *err)
{
	opening->opener = *opener;
	errno = pthread_create(&opening->thread, NULL, opening_run, opening);
	if (errno)
		return err_errno(err, "could not start the thread that opens the log");
	opening->started = true;
	return ERR_OK;
}

enum err_code opening_await(struct opening *opening, int64_t wait_ms, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + wait_ms;
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&opening->lock);
	while (opening->phase < OPENING_DONE && (opening->tries == 0 || opening->patient) &&
	       opening_wait(opening, until_ms))
		;
	if (opening->phase == OPENING_FAILED) {
		*err = opening->why;
		code = err->code;
	}
	(void)pthread_mutex_unlock(&opening->lock);
	return code;
}

enum err_code opening_state(struct opening *opening, struct err *err)
{
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&opening->lock);
	if (opening->phase == OPENING_FAILED) {
		*err = opening->why;
		code = err->code;
	} else if (opening->phase != OPENING_DONE && opening->tries > 0) {
		code = err_set(err, ERR_BUSY, "%s", opening->why.msg);
	} else if (opening->phase != OPENING_DONE) {
		code = err_set(err, ERR_BUSY, "the log is being opened");
	}
	(void)pthread_mutex_unlock(&opening->lock);
	return code;
}

void opening_end(struct opening *opening)
{
	(void)pthread_mutex_lock(&opening->lock);
	opening->ending = true;
	(void)pthread_cond_broadcast(&opening->changed);
	(void)pthread_mutex_unlock(&opening->lock);
	if (opening->started)
		(void)pthread_join(opening->thread, NULL);
	opening->started = false;
}

void opening_release(struct opening *opening)
{
	opening_end(opening);
	(void)pthread_mutex_destroy(&opening->lock);
	(void)pthread_cond_destroy(&opening->changed);
}
