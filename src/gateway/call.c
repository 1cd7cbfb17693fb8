#include "gateway/call.h"

#include "gateway/kinesis.h"
#include "gateway/state.h"

#include <stdarg.h>
#include <stdio.h>

static void put_kafka_error(struct call *call, int error_code, struct slice message)
{
	buf_addf(call->reply, "{\"error_code\":%d,\"message\":", error_code);
	json_put_string(call->reply, message);
	buf_add_char(call->reply, '}');
}

/* `type` NULL: an error of the API Gateway itself. */
static void put_kinesis_error(struct call *call, const char *type, struct slice message)
{
	buf_add_char(call->reply, '{');
	if (type)
		buf_addf(call->reply, "\"__type\":\"%s\",", type);
	buf_add_str(call->reply, "\"message\":");
	json_put_string(call->reply, message);
	buf_add_char(call->reply, '}');
}

/* The texts that clients of the originals know; everything else in our own words. */
static struct slice known_message(const struct call *call, const struct err *err,
				  char *text, size_t room)
{
	int n;

	if (call->face == FACE_KINESIS && err->code == ERR_NO_TOPIC)
		n = snprintf(text, room, "Stream %.*s under account " KINESIS_ACCOUNT " not found.",
			 SLICE_ARG(call->param[0]));
	else if (call->face == FACE_KINESIS && err->code == ERR_EXISTS)
		n = snprintf(text, room, "Stream %.*s under account " KINESIS_ACCOUNT " already exists.",
			 SLICE_ARG(call->param[0]));
	else if (call->face == FACE_KAFKA && err->code == ERR_NO_TOPIC)
		return slice_str("Topic not found.");
	else if (call->face == FACE_KAFKA && err->code == ERR_NO_PARTITION)
		return slice_str("Partition not found.");
	else
		return slice_str(err->msg);
	return slice_of(text, n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1);
}

void call_fail(struct call *call, const struct err *err)
{
	char text[2 * ERR_MSG_MAX];
	struct slice message = known_message(call, err, text, sizeof(text));

	buf_clear(call->reply);
	call->status = err_http(err->code);
	call->retry_after_s = err_retry(err->code) ? RETRY_AFTER_S : 0;
	if (call->face != FACE_KINESIS) {
		put_kafka_error(call, err_rest(err->code), message);
		return;
	}
	if (call->gateway->options.kinesis_ok_status) {
		call->status = 200;
		call->retry_after_s = 0;
	}
	put_kinesis_error(call, err_kinesis(err->code), message);
}

void call_failf(struct call *call, enum err_code code, const char *fmt, ...)
{
	struct err err = { .code = code };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	call_fail(call, &err);
}

static const struct {
	int status;
	const char *kafka;
	int kinesis_status;
	const char *kinesis;
} refusals[] = {
	{ 404, "HTTP 404 Not Found", 403, "Missing Authentication Token" },
	{ 405, "HTTP 405 Method Not Allowed", 403, "Missing Authentication Token" },
	{ 406, "HTTP 406 Not Acceptable", 406, "Not Acceptable" },
	{ 413, "HTTP 413 Request Entity Too Large", 413, "Request Too Long" },
	{ 415, "HTTP 415 Unsupported Media Type", 415, "Unsupported Media Type" },
};

void call_refuse(struct call *call, int status)
{
	size_t i = 0;

	while (refusals[i].status != status)
		i++;
	buf_clear(call->reply);
	if (call->face == FACE_KINESIS) {
		call->status = refusals[i].kinesis_status;
		put_kinesis_error(call, NULL, slice_str(refusals[i].kinesis));
	} else {
		call->status = status;
		put_kafka_error(call, status, slice_str(refusals[i].kafka));
	}
}

void call_send(struct call *call, struct http_server *server)
{
	struct http_reply reply = {
		.status = call->status,
		.content_type = call->reply_type,
		.retry_after_s = call->retry_after_s,
		.extra = *call->extra ? call->extra : NULL,
	};

	if (call->deferred)
		return;
	if (buf_full(call->reply))
		call_failf(call, ERR_IO, "the answer is larger than %zu bytes", call->reply->max);
	reply.status = call->status;
	reply.body = buf_slice(call->reply);
	http_reply(server, call->ticket, &reply);
}
