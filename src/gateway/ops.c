/* What those who run the gateway ask: is it alive, does it take records, what did it do. */
#include "base/metrics.h"
#include "gateway/route.h"
#include "gateway/state.h"

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

void ops_metrics(struct call *call)
{
	call->reply_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_put_text(call->reply);
}
