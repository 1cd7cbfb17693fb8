#include "gateway/ingest.h"

#include "base/mem.h"
#include "base/metrics.h"
#include "base/trace.h"
#include "gateway/state.h"

#include <assert.h>

enum {
	IDLE_MAX = 1024,
	OUTCOMES_KEPT = 16,
	EARLY_BYTES_MIN = 8 << 10,	/* a shorter body is parsed as fast as it is asked about */
};

/* One request whose records are with the broker. */
struct post {
	struct append append;		/* its `user` is the post */
	struct http_task task;
	struct gateway *gateway;
	struct call call;
	answer_fn *answer;
	size_t total;			/* records of the request, those left out included */
	bool *left_out;			/* by index; NULL: none */
	struct append_outcome *outcomes;
	size_t room;
	struct post *next;		/* when idle */
	char topic[TOPIC_NAME_MAX + 1];
};

void ingest_init(struct ingest *ingest, struct gateway *gateway)
{
	*ingest = (struct ingest){ .gateway = gateway };
}

static void post_free(struct post *post)
{
	free(post->outcomes);
	free(post);
}

void ingest_release(struct ingest *ingest)
{
	while (ingest->idle) {
		struct post *post = ingest->idle;

		ingest->idle = post->next;
		post_free(post);
	}
}

/* Posts are used again, outcomes and all: else each request cost two allocations. */
static struct post *post_take(struct ingest *ingest, size_t total)
{
	struct post *post = ingest->idle;

	if (post) {
		ingest->idle = post->next;
		ingest->idle_count--;
	} else {
		post = xcalloc(1, sizeof(*post));
	}
	if (total > post->room) {
		free(post->outcomes);
		post->room = total > OUTCOMES_KEPT ? total : OUTCOMES_KEPT;
		post->outcomes = xcalloc(post->room, sizeof(*post->outcomes));
	}
	post->gateway = ingest->gateway;
	post->total = total;
	return post;
}

static void post_done(struct ingest *ingest, struct post *post)
{
	free(post->left_out);
	post->left_out = NULL;
	if (ingest->idle_count == IDLE_MAX || post->room > OUTCOMES_KEPT) {
		post_free(post);
		return;
	}
	post->next = ingest->idle;
	ingest->idle = post;
	ingest->idle_count++;
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

static enum err_code create_missing(struct post *post, struct err *err)
{
	struct topic_ref topic = post->append.topic;
	struct topic_options options = { 0 };
	enum err_code code;

	if (!gateway_creates(post->gateway, topic.kind, topic.name, &options.partitions))
		return ERR_NO_TOPIC;
	code = broker_create(post->gateway->broker, topic, &options, err);
	if (code != ERR_OK && code != ERR_EXISTS)
		return code;
	trace_info("created %s \"%s\"", topic.kind == TOPIC_STREAM ? "stream" : "topic", topic.name);
	return ERR_OK;
}

static enum err_code hand_over(struct post *post, struct err *err)
{
	struct broker *broker = post->gateway->broker;
	enum err_code code = broker_append(broker, &post->append, err);

	if (code != ERR_NO_TOPIC)
		return code;
	code = create_missing(post, err);
	return code == ERR_OK ? broker_append(broker, &post->append, err) : code;
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

bool ingest_admits(struct call *call)
{
	struct err err;

	/* The original proxy's answer has an entry a record, so they must be counted. */
	if (call->body.len < EARLY_BYTES_MIN || call->gateway->options.confluent_status ||
	    broker_ready(call->gateway->broker, call->body.len, &err) == ERR_OK)
		return true;
	call_fail(call, &err);
	return false;
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
	post->call = *call;
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

/* On the loop thread. */
static void ingest_answer_task(struct http_server *server, struct http_task *task)
{
	struct post *post = (struct post *)((char *)task - offsetof(struct post, task));
	struct gateway *gateway = post->gateway;

	buf_clear(&gateway->reply);
	answer_now(post);
	call_send(&post->call, server);
	post_done(&gateway->ingest, post);
}

/* One hand-over for all answers of a commit: the loop is woken once, not once a request. */
void ingest_done(struct ingest *ingest, struct append *chain)
{
	struct http_task *first = NULL;
	struct http_task *last = NULL;

	for (struct append *append = chain; append; append = append->next) {
		struct post *post = append->user;

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
	case ERR_IO:
		return "the record could not be stored";
	default:
		return err_name(code);
	}
}
