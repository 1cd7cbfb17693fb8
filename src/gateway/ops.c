/* What those who run the gateway ask: is it alive, does it take records, what did it do. */
#include "base/metrics.h"
#include "broker/sequence.h"
#include "gateway/route.h"
#include "gateway/state.h"

#include <inttypes.h>

void ops_health(struct call *call)
{
	buf_add_str(call->reply, "{\"status\":\"ok\"}");
}

void ops_ready(struct call *call)
{
	struct err err;

	if (broker_ready(call->gateway->broker, 0, &err) == ERR_OK) {
		buf_add_str(call->reply, "{\"status\":\"ready\"}");
		return;
	}
	call_fail(call, &err);
	call->status = 503;
	call->retry_after_s = RETRY_AFTER_S;
}

enum { LISTED_BYTES_MAX = 1 << 20 };

/* The broker is not to be asked from inside its own listing. */
static bool ops_note_name(void *user, const char *name)
{
	struct buf *names = user;

	buf_add(names, name, strlen(name) + 1);
	return !buf_full(names);
}

static void ops_put_topic(struct call *call, struct topic_ref topic, const char *what)
{
	struct topic_info info;
	uint64_t records = 0;
	struct err err;

	if (broker_describe(call->gateway->broker, topic, &info, &err) != ERR_OK)
		return;		/* removed since it was listed */
	for (int32_t i = 0; i < info.partition_count; i++)
		records += position_ordinal(info.partitions[i].next);
	topic_info_release(&info);
	buf_addf(call->reply, "pinpipe_%s_records_total{%s=\"%s\"} %" PRIu64 "\n", what, what,
		 topic.name, records);
}

/* A row for each topic or stream, whoever made it. Names need no quoting. */
static void ops_put_topics(struct call *call, enum topic_kind kind, const char *what)
{
	struct buf names;
	struct err err;

	buf_init(&names, LISTED_BYTES_MAX);
	buf_addf(call->reply, "# HELP pinpipe_%s_records_total Records that the log ever took, by %s\n"
		 "# TYPE pinpipe_%s_records_total counter\n", what, what, what);
	if (broker_list(call->gateway->broker, kind, ops_note_name, &names, &err) == ERR_OK)
		for (size_t at = 0; at < names.len; at += strlen(names.ptr + at) + 1)
			ops_put_topic(call, (struct topic_ref){ kind, names.ptr + at }, what);
	buf_release(&names);
}

void ops_metrics(struct call *call)
{
	call->reply_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_put_text(call->reply);
	ops_put_topics(call, TOPIC_LOG, "topic");
	ops_put_topics(call, TOPIC_STREAM, "stream");
}
