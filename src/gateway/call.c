#include "gateway/call.h"

#include "gateway/kinesis.h"
#include "gateway/state.h"
#include "gateway/ui_state.h"

#include <stdarg.h>
#include <stdio.h>

enum { HELP_MAX = 4096 };

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

/* Behind "not found": names with another id than ours are the commonest mistake. */
static const char *whose_names(const struct call *call, char *text, size_t room)
{
	const struct gateway_options *options = &call->gateway->options;

	if (options->auto_create != AUTO_CREATE_OWN ||
	    memmem(call->param[0].ptr, call->param[0].len, options->id, strlen(options->id)))
		return "";
	(void)snprintf(text, room, " What this gateway makes by itself is named by --id %s.",
		       options->id);
	return text;
}

/* The texts that clients of the originals know; everything else in our own words. */
static struct slice known_message(const struct call *call, const struct err *err,
				  char *text, size_t room)
{
	char whose[ERR_MSG_MAX];
	int n;

	if (call->face == FACE_KINESIS && err->code == ERR_NO_TOPIC)
		n = snprintf(text, room, "Stream %.*s under account " KINESIS_ACCOUNT
			     " not found.%s", SLICE_ARG(call->param[0]),
			     whose_names(call, whose, sizeof(whose)));
	else if (call->face == FACE_KINESIS && err->code == ERR_EXISTS)
		n = snprintf(text, room, "Stream %.*s under account " KINESIS_ACCOUNT " already exists.",
			 SLICE_ARG(call->param[0]));
	else if (call->face == FACE_KAFKA && err->code == ERR_NO_TOPIC)
		n = snprintf(text, room, "Topic not found.%s",
			     whose_names(call, whose, sizeof(whose)));
	else if (call->face == FACE_KAFKA && err->code == ERR_NO_PARTITION)
		return slice_str("Partition not found.");
	else
		return slice_str(err->msg);
	return slice_of(text, n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1);
}

/* The service answers 400 to whatever is the caller's mistake; the front passes that on. */
static int kinesis_status(enum err_code code)
{
	switch (code) {
	case ERR_SHAPE: case ERR_ABSENT: case ERR_NO_TOPIC: case ERR_NO_PARTITION:
	case ERR_EXISTS: case ERR_LIMIT: case ERR_UNSUPPORTED:
		return 400;
	default:
		return err_http(code);
	}
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
	call->status = kinesis_status(err->code);
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
	{ 429, "HTTP 429 Too Many Requests", 429, "Too Many Requests" },
};

void call_refuse_saying(struct call *call, int status, struct slice help)
{
	bool kinesis = call->face == FACE_KINESIS;
	struct buf message;
	size_t i = 0;

	while (refusals[i].status != status)
		i++;
	buf_init(&message, HELP_MAX);
	buf_add_str(&message, kinesis ? refusals[i].kinesis : refusals[i].kafka);
	if (help.len)
		buf_add_str(&message, ": ");
	buf_add_slice(&message, help);
	buf_clear(call->reply);
	call->status = kinesis ? refusals[i].kinesis_status : status;
	if (kinesis)
		put_kinesis_error(call, NULL, buf_slice(&message));
	else
		put_kafka_error(call, status, buf_slice(&message));
	buf_release(&message);
}

void call_refuse(struct call *call, int status)
{
	call_refuse_saying(call, status, slice_str(""));
}

void call_denyf(struct call *call, const char *fmt, ...)
{
	struct err err = { .code = ERR_DENIED };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	call_fail(call, &err);
	call->status = 403;
}

void call_unknown_operation(struct call *call, struct slice operation)
{
	char text[ERR_MSG_MAX];

	(void)snprintf(text, sizeof(text), "%.*s is not taken here: Kinesis is spoken as its API"
		       " Gateway does, PUT /streams/{stream}/record {\"Data\":…,\"PartitionKey\":…}"
		       " and the other routes of /streams", SLICE_ARG(operation));
	buf_clear(call->reply);
	call->face = FACE_KINESIS;
	call->status = 400;
	put_kinesis_error(call, "UnknownOperationException", slice_str(text));
}

void call_send(struct call *call, struct http_server *server)
{
	struct http_reply reply = {
		.status = call->status,
		.content_type = call->reply_type,
		.retry_after_s = call->retry_after_s,
		.extra = { *call->extra ? call->extra : NULL, call->cors,
			   call->face == FACE_PAGE ? ui_headers : NULL },
	};

	if (call->deferred)
		return;
	if (buf_full(call->reply))
		call_failf(call, ERR_IO, "the answer is larger than %zu bytes", call->reply->max);
	reply.status = call->status;
	/* Who looks at the page sees what he asked wrong; who is not let in is another matter. */
	reply.untold = call->face == FACE_PAGE && call->status != 401 && call->status != 403;
	reply.body = buf_slice(call->reply);
	reply.asked = call->param[0].len || !call->request ? call->param[0] : call->request->path;
	http_reply(server, call->ticket, &reply);
}
