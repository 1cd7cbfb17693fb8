/* What those who run the gateway ask: is it alive, does it take records, what did it do, how is it
 * spoken to. */
#include "base/metrics.h"
#include "gateway/openapi.h"
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

	if (gateway_ready(call->gateway, &err) == ERR_OK) {
		buf_add_str(call->reply, "{\"status\":\"ready\"}");
		return;
	}
	call_fail(call, &err);
	call->status = 503;
	call->retry_after_s = RETRY_AFTER_S;
}

struct ops_rows {
	struct buf *out;
	const char *what;
};

/* Names need no quoting. */
static void ops_put_topic(void *user, const struct presence_topic *topic)
{
	const struct ops_rows *rows = user;

	if (topic->state == PRESENCE_THERE)
		buf_addf(rows->out, "pinpipe_%s_records_total{%s=\"%s\"} %" PRIu64 "\n", rows->what,
			 rows->what, topic->name, topic->records);
}

/* A row for each topic or stream that records came for: nobody need be asked, who may be away. */
static void ops_put_topics(struct call *call, enum topic_kind kind, const char *what)
{
	struct ops_rows rows = { call->reply, what };

	buf_addf(call->reply,
		 "# HELP pinpipe_%s_records_total Records kept since the gateway started,"
		 " by %s\n# TYPE pinpipe_%s_records_total counter\n",
		 what, what, what);
	presence_each(&call->gateway->presence, kind, ops_put_topic, &rows);
}

void ops_metrics(struct call *call)
{
	call->reply_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_put_text(call->reply);
	ops_put_topics(call, TOPIC_LOG, "topic");
	ops_put_topics(call, TOPIC_STREAM, "stream");
	if (call->gateway->options.put_metrics)
		call->gateway->options.put_metrics(call->gateway->options.user, call->reply);
}

void ops_openapi(struct call *call)
{
	buf_add_slice(call->reply, openapi_json);
}
