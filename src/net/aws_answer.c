#include "net/aws_answer.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/xml.h"

/* How far a service's clock may be off before it can be why a request without a told reason was
 * refused. (S3 allows 15 minutes, others 5.) */
enum { AWS_CLOCK_OFF_S = 4 * 60, AWS_ERROR_BYTES_MAX = 256 << 10 };

/* For people and for comparing: one line. */
static void aws_take_text(char *to, size_t room, struct slice text)
{
	size_t len = text.len < room - 1 ? text.len : room - 1;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		to[i] = c < ' ' || c == 0x7f ? ' ' : (char)c;
	}
	to[len] = '\0';
}

static bool aws_on_error_element(void *user, const char *path, struct slice text)
{
	struct aws_call *call = user;
	const char *name = strrchr(path, '/');

	/* In <Error>, <ErrorResponse><Error> or <Response><Errors><Error>. */
	if (!name || (strncmp(path, "Error", 5) != 0 && strncmp(path, "Response/", 9) != 0))
		return true;
	if (!strcmp(name, "/Code") && !call->error_code[0])
		aws_take_text(call->error_code, sizeof(call->error_code), text);
	else if (!strcmp(name, "/Message") && !call->error_message[0])
		aws_take_text(call->error_message, sizeof(call->error_message), text);
	else if ((!strcmp(name, "/RequestId") || !strcmp(name, "/RequestID")) &&
		 !call->request_id[0])
		aws_take_text(call->request_id, sizeof(call->request_id), text);
	return true;
}

/* "com.amazonaws.kinesis#ResourceNotFoundException:http://…" */
static void aws_take_type(struct aws_call *call, struct slice type)
{
	const char *hash = memchr(type.ptr, '#', type.len);
	const char *colon;

	if (hash)
		type = slice_from(type, (size_t)(hash + 1 - type.ptr));
	colon = memchr(type.ptr, ':', type.len);
	if (colon)
		type.len = (size_t)(colon - type.ptr);
	aws_take_text(call->error_code, sizeof(call->error_code), type);
}

static void aws_read_json_error(struct aws_call *call)
{
	static const char *const messages[] = { "message", "Message", "errorMessage" };
	static const char *const types[] = { "__type", "code", "Code" };
	struct json_parser *parser = json_parser_new(AWS_ERROR_BYTES_MAX);
	struct json root, member;
	struct slice text;
	struct err err;

	if (json_parse(parser, buf_slice(&call->reply), &root, &err) == ERR_OK) {
		for (size_t i = 0; i < ARRAY_LEN(types) && !call->error_code[0]; i++)
			if (json_member(root, types[i], &member) && json_get_string(member, &text))
				aws_take_type(call, text);
		for (size_t i = 0; i < ARRAY_LEN(messages) && !call->error_message[0]; i++)
			if (json_member(root, messages[i], &member) &&
			    json_get_string(member, &text))
				aws_take_text(call->error_message, sizeof(call->error_message),
					      text);
	}
	json_parser_free(parser);
}

static void aws_read_error(struct aws_call *call)
{
	struct slice text = buf_slice(&call->reply), header;
	struct err err;

	if (aws_call_header(call, "x-amz-request-id", &header) ||
	    aws_call_header(call, "x-amzn-requestid", &header))
		aws_take_text(call->request_id, sizeof(call->request_id), header);
	if (aws_call_header(call, "x-amzn-errortype", &header))
		aws_take_type(call, header);
	while (text.len > 0 && strchr(" \t\r\n", text.ptr[0]))
		text = slice_from(text, 1);
	if (text.len > 0 && text.ptr[0] == '<' &&
	    xml_read(text, aws_on_error_element, call, &err) != ERR_OK)
		call->error_message[0] = call->error_code[0] = '\0';
	else if (text.len > 0 && text.ptr[0] == '{')
		aws_read_json_error(call);
}

static bool aws_is_one_of(const char *code, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(code, *list))
			return true;
	return false;
}

static bool aws_is_throttling(const struct aws_call *call)
{
	static const char *const codes[] = {
		"SlowDown", "Throttling", "ThrottlingException", "ThrottledException",
		"RequestThrottled", "RequestThrottledException", "TooManyRequestsException",
		"ProvisionedThroughputExceededException", "RequestLimitExceeded",
		"BandwidthLimitExceeded", "EC2ThrottledException", "KMSThrottlingException",
		"PriorRequestNotComplete", NULL,
	};

	return call->status == 429 || aws_is_one_of(call->error_code, codes) ||
	       (call->status == 503 && !strcmp(call->error_code, "ServiceUnavailable"));
}

/* Nothing was done, and soon it may be. */
static bool aws_is_refusal(const struct aws_call *call)
{
	static const char *const codes[] = {
		"RequestTimeout", "RequestTimeoutException", "OperationAborted",
		"ConditionalRequestConflict", "TransactionInProgressException", NULL,
	};

	return call->status == 408 || aws_is_one_of(call->error_code, codes);
}

static bool aws_is_clock(const struct aws_call *call, int64_t off_s)
{
	static const char *const codes[] = {
		"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", NULL,
	};
	/* These say it of other faults as well. */
	static const char *const maybe[] = {
		"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure",
		"AccessDenied", "", NULL,
	};

	if (call->status != 400 && call->status != 401 && call->status != 403)
		return false;
	return aws_is_one_of(call->error_code, codes) ||
	       (aws_is_one_of(call->error_code, maybe) &&
		(off_s > AWS_CLOCK_OFF_S || off_s < -AWS_CLOCK_OFF_S));
}

static bool aws_is_keys(const struct aws_call *call)
{
	static const char *const codes[] = {
		"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken",
		"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException",
		"InvalidSecurity", NULL,
	};

	/* The answer to a HEAD cannot say why; S3 has 400 for keys that have run out. */
	return (call->status >= 400 && call->status < 500 &&
		aws_is_one_of(call->error_code, codes)) ||
	       (call->status == 400 && !strcmp(call->method, "HEAD"));
}

static bool aws_is_signature(const struct aws_call *call)
{
	static const char *const codes[] = {
		"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException",
		"IncompleteSignature", "AuthorizationHeaderMalformed", NULL,
	};

	return call->status == 401 || aws_is_one_of(call->error_code, codes);
}

static enum err_code aws_code_of_status(int status)
{
	switch (status) {
	case 401:
		return ERR_AUTH;
	case 403:
		return ERR_DENIED;
	case 404: case 410:
		return ERR_ABSENT;
	case 409: case 412:
		return ERR_EXISTS;
	case 413:
		return ERR_LIMIT;
	case 501:
		return ERR_UNSUPPORTED;
	case 507:
		return ERR_SPACE;
	default:
		return status >= 500 ? ERR_UNKNOWN : ERR_USAGE;
	}
}

bool aws_call_reads(const struct aws_call *call)
{
	return call->repeat == AWS_REPEAT_READS || !strcmp(call->method, "GET") ||
	       !strcmp(call->method, "HEAD");
}

/* What would have come with this <Code>, had there been time; of one that is not known nothing can
 * be told, so that it is 500. */
static int aws_status_of(const char *error_code)
{
	static const struct {
		const char *error_code;
		int status;
	} known[] = {
		{ "PreconditionFailed", 412 }, { "ConditionalRequestConflict", 409 },
		{ "NoSuchUpload", 404 },       { "InvalidPart", 400 },
		{ "InvalidPartOrder", 400 },   { "EntityTooSmall", 400 },
		{ "AccessDenied", 403 },       { "SlowDown", 503 },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i].error_code, error_code))
			return known[i].status;
	return 500;
}

/* Of an answer of 200 that is none; the status is made to say so. */
static bool aws_hides_error(struct aws_call *call)
{
	if (!call->ok_may_be_error || call->status != 200)
		return false;
	aws_read_error(call);
	if (!call->error_code[0])
		return false;
	call->status = aws_status_of(call->error_code);
	return true;
}

static struct aws_answer aws_answer_unknown(const struct aws_call *call)
{
	return (struct aws_answer){ .next = AWS_NEXT_UNKNOWN,
				    .code = aws_call_reads(call) ? ERR_BUSY : ERR_UNKNOWN };
}

struct aws_answer aws_answer_read(struct aws_call *call, int64_t off_s)
{
	bool hidden = aws_hides_error(call);

	if (call->status / 100 == 2)
		return (struct aws_answer){ .next = AWS_NEXT_DONE };
	if (!hidden)
		aws_read_error(call);
	if (aws_is_throttling(call))
		return (struct aws_answer){ AWS_NEXT_REFUSED, ERR_BUSY, .throttled = true };
	if (aws_is_refusal(call))
		return (struct aws_answer){ AWS_NEXT_REFUSED, ERR_BUSY, .throttled = false };
	if (aws_is_clock(call, off_s))
		return (struct aws_answer){ .next = AWS_NEXT_CLOCK, .code = ERR_AUTH };
	if (aws_is_keys(call))
		return (struct aws_answer){ .next = AWS_NEXT_KEYS,
					    .code = call->error_code[0] ? ERR_AUTH : ERR_USAGE };
	if (aws_is_signature(call))
		return (struct aws_answer){ .next = AWS_NEXT_FAILED, .code = ERR_AUTH };
	if (call->status >= 500 && call->status != 501 && call->status != 507)
		return aws_answer_unknown(call);
	return (struct aws_answer){ .next = AWS_NEXT_FAILED,
				    .code = aws_code_of_status(call->status) };
}
