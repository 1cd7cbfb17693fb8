#include "gateway/ingest.h"

#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "base/trace.h"
#include "gateway/missing.h"
#include "gateway/post.h"
#include "gateway/state.h"

#include <assert.h>

enum { EARLY_BYTES_MIN = 8 << 10 }; /* a shorter body is parsed as fast as it is asked about */

void ingest_init(struct ingest *ingest, struct gateway *gateway)
{
	*ingest = (struct ingest){ .gateway = gateway };
}

void ingest_release(struct ingest *ingest)
{
	while (ingest->idle) {
		struct post *post = ingest->idle;

		ingest->idle = post->next;
		free(post->outcomes);
		free(post);
	}
}

static bool is_too_long(const struct post *post, const struct append_record *record)
{
	return record->key.len + record->value.len > post->gateway->options.record_bytes_max;
}

/* Closes the gaps of records that are too long, and remembers where they were. */
static void leave_out_too_long(struct post *post, struct records *records)
{
	size_t kept = 0;

	for (size_t i = 0; i < records->count; i++) {
		if (!is_too_long(post, &records->at[i])) {
			records->at[kept++] = records->at[i];
			continue;
		}
		if (!post->left_out)
			post->left_out = xcalloc(records->count, sizeof(*post->left_out));
		post->left_out[i] = true;
	}
	records->count = kept;
}

/* The outcomes stand at the front; spread them over all records, from the back. */
static struct outcomes spread(struct post *post)
{
	size_t from = post->append.count;

	for (size_t i = post->left_out ? post->total : 0; i-- > 0; ) {
		if (post->left_out[i])
			post->outcomes[i] = (struct append_outcome){ .code = ERR_LIMIT };
		else
			post->outcomes[i] = post->outcomes[--from];
	}
	return (struct outcomes){ post->outcomes, post->total };
}

static bool post_is_there(const struct post *post)
{
	return post->known && post->known->state == PRESENCE_THERE;
}

/* A broker that tells late that there is no such topic has no use for what it was given. */
static void keep_for_later(struct post *post)
{
	struct topic_ref topic = post->append.topic;
	int32_t partitions;
	struct err no_room;

	if (!post_is_there(post) &&
	    gateway_creates(post->gateway, topic.kind, topic.name, &partitions) &&
	    post_keep(post, &no_room) != ERR_OK)
		trace_debug("%s", no_room.msg); /* then it may have to be sent again */
}

/* Its topic is not there: it waits until it is, unless the broker is away, which may take long. */
static enum err_code wait_for_topic(struct post *post, struct err *err)
{
	struct gateway *gateway = post->gateway;
	struct topic_ref topic = post->append.topic;
	const struct presence_topic *known = post->known;
	int32_t partitions;

	if (!gateway_creates(gateway, topic.kind, topic.name, &partitions))
		return err_set(err, ERR_NO_TOPIC, "there is no such topic");
	if (!(known && known->state == PRESENCE_MAKING) &&
	    broker_ready(gateway_broker(gateway), topic.kind, 0, err) != ERR_OK)
		return err->code;
	post->again = true;
	return missing_park(post, err);
}

/* To the broker, or behind those that wait for the topic already. */
static enum err_code hand_over(struct post *post, struct err *err)
{
	struct gateway *gateway = post->gateway;
	struct topic_ref topic = post->append.topic;
	struct presence_topic *known = presence_find(&gateway->presence, topic);
	enum err_code code;

	post_set_known(post, known);
	if (known && presence_is_refused(known, atomic_load(&gateway->created), err))
		return err->code;
	if (known && known->state == PRESENCE_MAKING)
		return missing_park(post, err);
	keep_for_later(post);
	code = broker_append(gateway_broker(gateway), &post->append, err);
	if (code == ERR_NO_TOPIC)
		return wait_for_topic(post, err);
	if (code == ERR_OK && !known)
		post_set_known(post, presence_get(&gateway->presence, topic));
	return code;
}

static void answer_now(struct post *post)
{
	post->call.deferred = false;
	post->answer(&post->call, spread(post));
}

/* Every record refused for a reason that passes: the answer
 * tells it a record where the API does. */
static void answer_refused(struct call *call, struct post *post, const struct err *err)
{
	bool by_record = call->gateway->options.confluent_status && err_retry(err->code);

	if (!by_record) {
		call_fail(call, err);
		return;
	}
	for (size_t i = 0; i < post->append.count; i++)
		post->outcomes[i] = (struct append_outcome){ .code = err->code };
	answer_now(post);
	*call = post->call;
}

bool ingest_admits(struct call *call, enum topic_kind kind)
{
	struct err err;

	/* The original proxy's answer has an entry a record, so they must be counted. */
	if (call->body.len < EARLY_BYTES_MIN || call->gateway->options.confluent_status ||
	    broker_ready(gateway_broker(call->gateway), kind, call->body.len, &err) == ERR_OK)
		return true;
	call_fail(call, &err);
	return false;
}

/* The request and what its slices point into are gone when the answer is written later. */
static struct call call_for_later(const struct call *call, struct slice topic)
{
	struct call later = *call;

	memset(later.param, 0, sizeof(later.param));
	later.param[0] = topic;
	later.query = later.body = later.iterator = (struct slice){ 0 };
	later.request = NULL;
	return later;
}

void ingest_append(struct call *call, enum topic_kind kind, struct slice name,
		   struct records *records, answer_fn *answer)
{
	struct ingest *ingest = &call->gateway->ingest;
	struct post *post = post_take(ingest, records->count);
	struct err err;

	assert(name.len <= TOPIC_NAME_MAX);
	memcpy(post->topic, name.ptr, name.len);
	post->topic[name.len] = '\0';
	post->call = call_for_later(call, slice_of(post->topic, name.len));
	post->answer = answer;
	leave_out_too_long(post, records);
	post->append = (struct append){
		.topic = { kind, post->topic },
		.records = records->at,
		.count = records->count,
		.outcomes = post->outcomes,
		.user = post,
	};
	if (records->count == 0) {
		answer_now(post);
		*call = post->call;
	} else if (hand_over(post, &err) == ERR_OK) {
		call->deferred = true;
		return;
	} else {
		answer_refused(call, post, &err);
	}
	post_done(ingest, post);
}

/* What was taken and is answered later: the reply's room is used by many in turn. */
static void ingest_begin_answer(struct post *post)
{
	buf_clear(&post->gateway->reply);
	post->call.deferred = false;
}

static void ingest_end_answer(struct post *post)
{
	struct gateway *gateway = post->gateway;

	call_send(&post->call, gateway->server);
	post_done(&gateway->ingest, post);
}

void ingest_refuse(struct post *post, const struct err *err)
{
	ingest_begin_answer(post);
	answer_refused(&post->call, post, err);
	ingest_end_answer(post);
}

void ingest_resume(struct post *post)
{
	struct err err;
	enum err_code code = broker_append(gateway_broker(post->gateway), &post->append, &err);

	if (code == ERR_NO_TOPIC) /* made a moment ago: not everybody knows it yet */
		code = err_set(&err, ERR_BUSY, "\"%s\" is being made: try again later",
			       post->topic);
	if (code != ERR_OK)
		ingest_refuse(post, &err);
}

/* What it was given is the broker's alone, and gone: whatever became of the topic since, there is
 * nothing that could wait for it. */
static bool lacks_copy(const struct post *post)
{
	struct topic_ref topic = post->append.topic;
	int32_t partitions;

	return !post->copy && gateway_creates(post->gateway, topic.kind, topic.name, &partitions);
}

/* Told late, it ends as it does told at once: the topic is made, or that is the answer. */
static void end_without_topic(struct post *post)
{
	struct presence_topic *known = post->known;
	unsigned created = atomic_load(&post->gateway->created);
	struct err err;

	if (presence_is_refused(known, created, &err)) {
		ingest_refuse(post, &err);
	} else if (post->again || lacks_copy(post)) {
		/* Whoever comes next finds it UNKNOWN, and can be given to the broker twice. */
		if (post_is_there(post))
			known->state = PRESENCE_UNKNOWN;
		(void)err_set(&err, ERR_BUSY, "\"%s\" is not there any more: try again",
			      post->topic);
		ingest_refuse(post, &err);
	} else if (wait_for_topic(post, &err) != ERR_OK) {
		if (err.code == ERR_NO_TOPIC)
			presence_refuse(known, &err, created);
		ingest_refuse(post, &err);
	}
}

static void note_kept(struct post *post)
{
	struct presence_topic *known = post->known;
	int64_t kept = 0;

	for (size_t i = 0; i < post->append.count; i++)
		kept += post->outcomes[i].code == ERR_OK;
	if (kept == 0)
		return;
	if (known->state == PRESENCE_UNKNOWN)
		known->state = PRESENCE_THERE;
	if (presence_count(known, kept))
		news_tell(&post->gateway->first_records, "the first records of %s \"%s\"",
			  known->kind == TOPIC_STREAM ? "stream" : "topic", known->name);
	histogram_note(HISTOGRAM_ACK, post->done_us - post->call.began_us);
}

/* On the loop thread. */
static void ingest_answer_task(struct http_server *server, struct http_task *task)
{
	struct post *post = (struct post *)((char *)task - offsetof(struct post, task));

	(void)server;
	if (post->outcomes[0].code == ERR_NO_TOPIC && !gateway_has_rested(post->gateway)) {
		end_without_topic(post);
		return;
	}
	note_kept(post);
	ingest_begin_answer(post);
	answer_now(post);
	ingest_end_answer(post);
}

/* One hand-over for all answers of a commit: the loop is woken once, not once a request. */
void ingest_done(struct ingest *ingest, struct append *chain)
{
	int64_t now_us = clock_mono_us();
	struct http_task *first = NULL;
	struct http_task *last = NULL;

	for (struct append *append = chain; append; append = append->next) {
		struct post *post = append->user;

		post->done_us = now_us;
		post->task = (struct http_task){ .run = ingest_answer_task };
		if (last)
			last->next = &post->task;
		else
			first = &post->task;
		last = &post->task;
	}
	if (first)
		http_post(ingest->gateway->server, first, last);
}

enum err_code outcomes_code(struct outcomes outcomes)
{
	enum err_code code = outcomes.at[0].code;

	for (size_t i = 0; i < outcomes.count; i++) {
		if (outcomes.at[i].code == ERR_OK)
			return ERR_OK;
		if (!err_retry(outcomes.at[i].code))
			code = outcomes.at[i].code;
	}
	return code;
}

const char *outcome_message(enum err_code code)
{
	switch (code) {
	case ERR_LIMIT:
		return "the record is longer than the largest allowed";
	case ERR_NO_PARTITION:
		return "Partition not found.";
	case ERR_BUSY:
		return "too many records wait to be stored: try again later";
	case ERR_SPACE:
		return "no space left for records: nothing was stored";
	case ERR_UNKNOWN:
		return "the record may or may not have been stored";
	case ERR_STOPPED:
		return "the gateway is stopping: nothing was stored";
	case ERR_DENIED:
		return "no right to write to the topic";
	case ERR_AUTH:
		return "the brokers do not know the gateway";
	case ERR_SHAPE:
		return "the topic takes no such record, without a key or of such a time";
	case ERR_IO:
		return "the record could not be stored";
	default:
		return err_name(code);
	}
}
