/* What those who run the gateway ask: is it alive, does it take records, what did it do, how is it
 * spoken to. */
#include "base/registry.h"
#include "gateway/openapi.h"
#include "gateway/route.h"
#include "gateway/state.h"

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

void ops_metrics(struct call *call)
{
	struct registry_view view;

	call->reply_type = "text/plain; version=0.0.4; charset=utf-8";
	registry_view_here(&view);
	metrics_put_text(&view, call->reply);
	registry_view_close(&view);
	if (call->gateway->options.put_metrics)
		call->gateway->options.put_metrics(call->gateway->options.user, call->reply);
}

void ops_openapi(struct call *call)
{
	buf_add_slice(call->reply, openapi_json);
}
