#include "flow/post_protocol.h"

/* What a status (or an error code of five digits, which begins with one) means for a record. A
 * 5xx may come after the record was kept, and who sends it does not say. */
static enum post_outcome outcome_of_status(int64_t status)
{
	if (status == 429)
		return POST_AGAIN;
	if (status >= 500 || status == 408)
		return POST_UNKNOWN;
	return POST_REFUSED;
}

static enum post_outcome outcome_of_rest_code(int64_t code)
{
	if (code == 2)			/* old proxies: retriable */
		return POST_UNKNOWN;
	if (code == 50002 || code == 1)	/* Kafka says that another try would end the same */
		return POST_REFUSED;
	return outcome_of_status(code >= 10000 ? code / 100 : code);
}

static enum post_outcome outcome_of_kinesis(struct slice type)
{
	static const char *const again[] = {
		"ProvisionedThroughputExceededException", "LimitExceededException",
		"ThrottlingException", "KMSThrottlingException",
	};
	static const char *const unknown[] = {
		"InternalFailure", "InternalFailureException", "InternalServerError",
		"ServiceUnavailable", "ServiceUnavailableException",
	};

	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		if (slice_is(type, again[i]))
			return POST_AGAIN;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		if (slice_is(type, unknown[i]))
			return POST_UNKNOWN;
	return POST_REFUSED;
}

static bool post_protocol_get_text(struct json object, const char *name, struct slice *ret_text)
{
	struct json value;

	return json_member(object, name, &value) && json_get_string(value, ret_text);
}

static void say_why(struct err *why, struct slice message, struct slice otherwise)
{
	(void)err_set(why, ERR_SHAPE, "%.*s", SLICE_ARG(message.ptr ? message : otherwise));
}

static void put_topic_body(struct buf *out, const char *stream, const struct post_record *records,
			   size_t count)
{
	(void)stream;
	buf_add_str(out, "{\"records\":[");
	for (size_t i = 0; i < count; i++) {
		buf_add_str(out, i > 0 ? ",{\"value\":" : "{\"value\":");
		buf_add_slice(out, records[i].value);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]}");
}

static enum post_outcome read_offset(struct json entry, struct err *why)
{
	struct slice message = { 0 };
	struct json value;
	int64_t number;

	if (json_member(entry, "error_code", &value) && json_get_i64(value, &number)) {
		(void)post_protocol_get_text(entry, "error", &message);
		say_why(why, message, slice_str("the proxy gave no reason"));
		return outcome_of_rest_code(number);
	}
	if (json_member(entry, "offset", &value) && json_get_i64(value, &number) && number >= 0)
		return POST_ACKNOWLEDGED;
	(void)err_set(why, ERR_UNKNOWN, "the answer gives a record neither offset nor error");
	return POST_UNKNOWN;
}

static bool read_topic(struct json body, enum post_outcome *ret_outcomes, size_t count,
		       struct err *why)
{
	struct json offsets;
	struct json_iter iter;

	if (!json_member(body, "offsets", &offsets) || json_type(offsets) != JSON_ARRAY ||
	    json_count(offsets) != count)
		return false;
	iter = json_iter(offsets);
	for (size_t i = 0; json_next(&iter); i++) {
		if (json_type(iter.value) != JSON_OBJECT)
			return false;
		ret_outcomes[i] = read_offset(iter.value, why);
	}
	return true;
}

static void put_record_body(struct buf *out, const char *stream, const struct post_record *records,
			    size_t count)
{
	(void)count;
	buf_add_str(out, "{\"StreamName\":");
	json_put_string(out, slice_str(stream));
	buf_add_str(out, ",\"Data\":");
	buf_add_slice(out, records[0].value);
	buf_add_str(out, ",\"PartitionKey\":\"");
	buf_add_u64(out, records[0].key);
	buf_add_str(out, "\"}");
}

/* Also of one entry in the answer to many, where the names of the error's parts differ. */
static bool read_sequence(struct json entry, const char *type_name, const char *message_name,
			  enum post_outcome *ret_outcome, struct err *why)
{
	struct slice message = { 0 };
	struct slice text;

	if (post_protocol_get_text(entry, type_name, &text)) {
		(void)post_protocol_get_text(entry, message_name, &message);
		say_why(why, message, text);
		*ret_outcome = outcome_of_kinesis(text);
		return true;
	}
	if (!post_protocol_get_text(entry, "SequenceNumber", &text) || text.len == 0)
		return false;
	*ret_outcome = POST_ACKNOWLEDGED;
	return true;
}

static bool read_record(struct json body, enum post_outcome *ret_outcomes, size_t count,
			struct err *why)
{
	(void)count;
	return read_sequence(body, "__type", "message", ret_outcomes, why);
}

static void put_records_body(struct buf *out, const char *stream, const struct post_record *records,
			     size_t count)
{
	(void)stream;
	buf_add_str(out, "{\"records\":[");
	for (size_t i = 0; i < count; i++) {
		buf_add_str(out, i > 0 ? ",{\"data\":" : "{\"data\":");
		json_put_string(out, records[i].value);
		buf_add_str(out, ",\"partition-key\":\"");
		buf_add_u64(out, records[i].key);
		buf_add_str(out, "\"}");
	}
	buf_add_str(out, "]}");
}

static bool read_records(struct json body, enum post_outcome *ret_outcomes, size_t count,
			 struct err *why)
{
	struct json entries;
	struct json_iter iter;
	enum post_outcome all;

	if (read_sequence(body, "__type", "message", &all, why)) {
		for (size_t i = 0; i < count; i++)
			ret_outcomes[i] = all;
		return all != POST_ACKNOWLEDGED;
	}
	if (!json_member(body, "Records", &entries) || json_type(entries) != JSON_ARRAY ||
	    json_count(entries) != count)
		return false;
	iter = json_iter(entries);
	for (size_t i = 0; json_next(&iter); i++)
		if (json_type(iter.value) != JSON_OBJECT ||
		    !read_sequence(iter.value, "ErrorCode", "ErrorMessage", &ret_outcomes[i], why))
			return false;
	return true;
}

static void set_all(enum post_outcome *ret_outcomes, size_t count, enum post_outcome outcome)
{
	for (size_t i = 0; i < count; i++)
		ret_outcomes[i] = outcome;
}

static enum post_outcome outcome_without_answer(enum err_code code)
{
	if (code == ERR_UNKNOWN)
		return POST_UNKNOWN;
	return code == ERR_BUSY ? POST_AGAIN : POST_REFUSED;
}

/* The proxy's and the gateway's own errors: {"message":…}. */
static void say_why_of_body(struct json body, bool parsed, int status, struct err *why)
{
	struct slice message;

	if (parsed && post_protocol_get_text(body, "message", &message))
		(void)err_set(why, ERR_SHAPE, "status %d: %.*s", status, SLICE_ARG(message));
	else
		(void)err_set(why, ERR_SHAPE, "status %d", status);
}

void post_read(const struct post_protocol *protocol, struct json_parser *parser,
	       const struct http_exchange *exchange, size_t count,
	       enum post_outcome *ret_outcomes, struct err *why)
{
	bool success = exchange->status / 100 == 2;
	struct json body = { 0 };
	struct err unused;
	bool parsed;

	if (exchange->code != ERR_OK) {
		*why = exchange->err;
		set_all(ret_outcomes, count, outcome_without_answer(exchange->code));
		return;
	}
	parsed = json_parse(parser, buf_slice(&exchange->reply), &body, &unused) == ERR_OK &&
		 json_type(body) == JSON_OBJECT;
	if (parsed && protocol->read(body, ret_outcomes, count, why))
		return;
	if (success)
		(void)err_set(why, ERR_UNKNOWN, "status %d with an answer that names no record",
			      exchange->status);
	else
		say_why_of_body(body, parsed, exchange->status, why);
	set_all(ret_outcomes, count,
		success ? POST_UNKNOWN : outcome_of_status(exchange->status));
}

const struct post_protocol post_topic = {
	.method = "POST",
	.suffix = "",
	.content_type = "Content-Type: application/vnd.kafka.json.v2+json",
	.records_max = 10000,
	.put_body = put_topic_body,
	.read = read_topic,
};

const struct post_protocol post_record = {
	.method = "PUT",
	.suffix = "/record",
	.content_type = "Content-Type: application/json",
	.records_max = 1,
	.put_body = put_record_body,
	.read = read_record,
};

const struct post_protocol post_records = {
	.method = "PUT",
	.suffix = "/records",
	.content_type = "Content-Type: application/json",
	.records_max = 500,
	.put_body = put_records_body,
	.read = read_records,
};
