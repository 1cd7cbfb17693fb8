#include "net/aws_client.h"

#include "base/backoff.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "net/aws_answer.h"
#include "net/aws_config.h"
#include "net/aws_endpoint.h"
#include "net/aws_gate.h"
#include "net/curl_api.h"
#include "net/http_client_pool.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdatomic.h>

enum {
	AWS_LINES_MAX = AWS_HEADERS_MAX + 5,	/* with those that are added here */
	AWS_LINES_BYTES_MAX = 64 << 10,
	AWS_URL_BYTES_MAX = 32 << 10,
	AWS_ERROR_ROOM = 64 << 10,	/* for an error, whatever a reply may have */
	AWS_REPLY_MIN = 4 << 10,
	AWS_FIRST_WAIT_MS = 50,
	AWS_MAX_WAIT_MS = 5000,
	AWS_PATH_TOLD = 100,		/* of a path in a message: its end */
};

struct aws_client {
	struct aws_client_options options;	/* its texts are these: */
	char *service;
	char *region;
	char *ca_file;
	struct aws_endpoint endpoint;
	enum sigv4_path path_rule;
	struct http_client_options http;
	struct http_client_pool *pool;
	struct aws_gate gate;
	atomic_int_fast64_t ahead_s;	/* the service's clock, of ours */
};

/* What all tries of a call have in common. */
struct aws_work {
	struct aws_client *client;
	struct aws_call *call;
	int64_t until_ms;
	int64_t reach_until_ms;		/* the same, while nobody is there to connect to */
	struct backoff backoff;
	char hash[SIGV4_HASH_LEN + 1];	/* of the body, or SIGV4_UNSIGNED */
	struct slice body;
	struct buf path;		/* as on the wire */
	struct buf query;
	char host[400];
	bool clock_set;
	bool keys_read;
};

/* What one try sends; the slices are of it. */
struct aws_send {
	struct aws_keys keys;
	char date[SIGV4_DATE_LEN + 1];
	int64_t date_s;
	struct sigv4_pair headers[AWS_LINES_MAX];
	size_t header_count;
	struct buf authorization;
	struct buf lines;		/* "Name: value", each with a NUL */
	const char *line[AWS_LINES_MAX + 1];
	struct buf url;
	const char *url_text;
};

static enum err_code aws_find_endpoint(struct aws_client *client,
				       const struct aws_client_options *options, struct err *err)
{
	enum err_code code;
	struct buf url;

	if (options->endpoint)
		return aws_endpoint_read(options->endpoint, &client->endpoint, err);
	buf_init(&url, 512);
	buf_add_str(&url, "https://");
	code = aws_host(options->service, options->region, &url, err);
	if (code == ERR_OK)
		code = aws_endpoint_read(buf_cstr(&url), &client->endpoint, err);
	buf_release(&url);
	return code;
}

enum err_code aws_client_new(const struct aws_client_options *options,
			     struct aws_client **ret_client, struct err *err)
{
	struct aws_client *client = xcalloc(1, sizeof(*client));
	enum err_code code = aws_check_region(options->region, err);

	if (code == ERR_OK)
		code = aws_find_endpoint(client, options, err);
	if (code == ERR_OK && options->ca_file)
		client->ca_file = xstrdup(options->ca_file);
	else if (code == ERR_OK)
		code = aws_ca_bundle(&client->ca_file, err);
	if (code != ERR_OK) {
		free(client);
		return code;
	}
	client->options = *options;
	client->options.service = client->service = xstrdup(options->service);
	client->options.region = client->region = xstrdup(options->region);
	client->options.ca_file = client->ca_file;
	client->options.endpoint = NULL;
	if (options->first_wait_ms == 0)
		client->options.first_wait_ms = AWS_FIRST_WAIT_MS;
	if (options->max_wait_ms == 0)
		client->options.max_wait_ms = AWS_MAX_WAIT_MS;
	client->path_rule = !strcmp(options->service, "s3") ? SIGV4_PATH_S3 : SIGV4_PATH_TWICE;
	client->http = (struct http_client_options){
		.connections_max = options->calls_max, .connect_ms = options->connect_ms,
		.total_ms = options->try_ms, .ca_file = client->options.ca_file,
		.user_agent = "pinpipe/" PINPIPE_VERSION,
	};
	client->pool = http_client_pool_new(&client->http);
	aws_gate_init(&client->gate, options->calls_max);
	*ret_client = client;
	return ERR_OK;
}

void aws_client_free(struct aws_client *client)
{
	if (!client)
		return;
	http_client_pool_free(client->pool);
	aws_gate_release(&client->gate);
	free(client->service);
	free(client->region);
	free(client->ca_file);
	free(client);
}

uint32_t aws_client_calls_now(struct aws_client *client)
{
	return aws_gate_now(&client->gate);
}

void aws_call_init(struct aws_call *call, size_t reply_max)
{
	*call = (struct aws_call){ 0 };
	buf_init(&call->reply, reply_max > AWS_REPLY_MIN ? reply_max : AWS_REPLY_MIN);
	buf_init(&call->reply_head, AWS_HEAD_BYTES_MAX);
}

void aws_call_release(struct aws_call *call)
{
	buf_release(&call->reply);
	buf_release(&call->reply_head);
}

static void aws_call_begin(struct aws_call *call)
{
	buf_clear(&call->reply);
	buf_clear(&call->reply_head);
	call->reply_file_len = 0;
	call->unreached = false;
	call->status = 0;
	call->error_code[0] = call->error_message[0] = call->request_id[0] = '\0';
}

bool aws_call_header(const struct aws_call *call, const char *name, struct slice *ret_value)
{
	const struct http_exchange exchange = { .reply_head = call->reply_head };

	return http_exchange_header(&exchange, name, ret_value);
}

/* Names are tokens and values have no ends of lines: nobody's value becomes a header. */
static enum err_code aws_check_headers(const struct aws_call *call, struct err *err)
{
	if (call->header_count > AWS_HEADERS_MAX)
		return err_set(err, ERR_LIMIT, "a call has more than %d headers", AWS_HEADERS_MAX);
	for (size_t i = 0; i < call->header_count; i++) {
		const struct sigv4_pair *header = &call->headers[i];
		bool ok = header->name.len > 0;

		for (size_t at = 0; at < header->name.len; at++)
			ok &= header->name.ptr[at] > ' ' && header->name.ptr[at] < 0x7f &&
			      header->name.ptr[at] != ':';
		for (size_t at = 0; at < header->value.len; at++)
			ok &= (unsigned char)header->value.ptr[at] >= ' ' ||
			      header->value.ptr[at] == '\t';
		if (!ok)
			return err_set(err, ERR_USAGE, "a header \"%.*s\" cannot be sent",
				       SLICE_ARG(header->name));
	}
	return ERR_OK;
}

static enum err_code aws_set_host(struct aws_work *work, struct err *err)
{
	const char *prefix = work->call->host_prefix;
	int len;

	for (size_t i = 0; prefix && prefix[i]; i++)
		if (!((prefix[i] >= 'a' && prefix[i] <= 'z') || prefix[i] == '-' ||
		      prefix[i] == '.' || (prefix[i] >= '0' && prefix[i] <= '9')))
			return err_set(err, ERR_USAGE, "\"%s\" cannot be part of a host's name", prefix);
	len = snprintf(work->host, sizeof(work->host), "%s%s%s", prefix ? prefix : "",
		       prefix ? "." : "", work->client->endpoint.host);
	if (len >= (int)sizeof(work->host))
		return err_set(err, ERR_USAGE, "\"%s\" is too long for a host's name", prefix);
	return ERR_OK;
}

static enum err_code aws_set_target(struct aws_work *work, struct err *err)
{
	const struct aws_call *call = work->call;

	buf_add_str(&work->path, work->client->endpoint.path);
	sigv4_encode(&work->path, call->path.len > 0 ? call->path : slice_str("/"), true);
	for (size_t i = 0; i < call->query_count; i++) {
		if (i > 0)
			buf_add_char(&work->query, '&');
		sigv4_encode(&work->query, call->query[i].name, false);
		buf_add_char(&work->query, '=');
		sigv4_encode(&work->query, call->query[i].value, false);
	}
	if (buf_full(&work->path) || buf_full(&work->query))
		return err_set(err, ERR_LIMIT, "a path or query is too long to be sent");
	return aws_set_host(work, err);
}

static enum err_code aws_set_hash(struct aws_work *work, struct err *err)
{
	const struct aws_call *call = work->call;

	/* Nobody but S3 has a header to say so in. */
	if (call->unsigned_body && work->client->endpoint.secure &&
	    work->client->path_rule == SIGV4_PATH_S3) {
		(void)snprintf(work->hash, sizeof(work->hash), SIGV4_UNSIGNED);
		return ERR_OK;
	}
	if (call->body_file)
		return sigv4_hash_file(call->body_file->fd, call->body_file->offset,
				       call->body_file->len, work->hash, err);
	sigv4_hash(call->body, work->hash);
	return ERR_OK;
}

static void aws_work_init(struct aws_work *work, struct aws_client *client,
			  struct aws_call *call)
{
	*work = (struct aws_work){
		.client = client,
		.call = call,
		.body = call->body,
		.until_ms = clock_mono_ms() + call->deadline_ms,
		.reach_until_ms =
			clock_mono_ms() + (call->reach_ms ? call->reach_ms : call->deadline_ms),
		.backoff = { .first_ms = client->options.first_wait_ms,
			     .max_ms = client->options.max_wait_ms },
	};
	/* Of these a length is expected, also of nothing. */
	if (!work->body.ptr && (!strcmp(call->method, "PUT") || !strcmp(call->method, "POST")))
		work->body = slice_of("", 0);
	buf_init(&work->path, AWS_URL_BYTES_MAX);
	buf_init(&work->query, AWS_URL_BYTES_MAX);
}

static void aws_work_release(struct aws_work *work)
{
	buf_release(&work->path);
	buf_release(&work->query);
}

static void aws_add_header(struct aws_send *send, const char *name, struct slice value)
{
	assert(send->header_count < AWS_LINES_MAX);
	send->headers[send->header_count++] = (struct sigv4_pair){ slice_str(name), value };
}

static struct sigv4_request aws_request(const struct aws_work *work,
					const struct sigv4_pair *headers, size_t header_count)
{
	return (struct sigv4_request){
		.method = slice_str(work->call->method),
		.path = buf_slice(&work->path),
		.query = buf_slice(&work->query),
		.headers = headers,
		.header_count = header_count,
		.payload = slice_str(work->hash),
		.path_rule = work->client->path_rule,
	};
}

static struct sigv4_key aws_key_of(const struct aws_keys *keys)
{
	return (struct sigv4_key){ slice_str(keys->id), slice_str(keys->secret),
				   slice_str(keys->token) };
}

static struct sigv4_scope aws_scope_of(const struct aws_client *client)
{
	return (struct sigv4_scope){ slice_str(client->options.region),
				     slice_str(client->options.service) };
}

static enum err_code aws_sign(const struct aws_work *work, struct aws_send *send, struct err *err)
{
	struct aws_client *client = work->client;
	struct sigv4_scope scope = aws_scope_of(client);
	struct sigv4_request request;
	struct sigv4_key key;
	enum err_code code = aws_credentials_get(client->options.credentials, &send->keys, err);

	if (code != ERR_OK)
		return code;
	key = aws_key_of(&send->keys);
	aws_add_header(send, "X-Amz-Date", slice_str(send->date));
	if (key.token.len > 0)
		aws_add_header(send, "X-Amz-Security-Token", key.token);
	if (client->path_rule == SIGV4_PATH_S3)
		aws_add_header(send, "X-Amz-Content-Sha256", slice_str(work->hash));
	request = aws_request(work, send->headers, send->header_count);
	code = sigv4_sign(&request, &key, &scope, &send->authorization, err);
	if (code == ERR_OK)
		aws_add_header(send, "Authorization", buf_slice(&send->authorization));
	return code;
}

static enum err_code aws_write_lines(struct aws_send *send, struct err *err)
{
	size_t at = 0;

	for (size_t i = 0; i < send->header_count; i++) {
		buf_addf(&send->lines, "%.*s: ", SLICE_ARG(send->headers[i].name));
		buf_add_slice(&send->lines, send->headers[i].value);
		buf_add_char(&send->lines, '\0');
	}
	if (buf_full(&send->lines) || buf_full(&send->url))
		return err_set(err, ERR_LIMIT, "the headers of a call are too long to be sent");
	for (size_t i = 0; i < send->header_count; i++) {
		send->line[i] = send->lines.ptr + at;
		at += strlen(send->lines.ptr + at) + 1;
	}
	return ERR_OK;
}

static void aws_put_origin(const struct aws_work *work, struct buf *out)
{
	buf_addf(out, "%s://%s", work->client->endpoint.secure ? "https" : "http", work->host);
	buf_add_slice(out, buf_slice(&work->path));
}

static enum err_code aws_prepare(const struct aws_work *work, struct aws_send *send,
				 struct err *err)
{
	const struct aws_call *call = work->call;
	enum err_code code = ERR_OK;

	buf_init(&send->authorization, AWS_LINES_BYTES_MAX);
	buf_init(&send->lines, AWS_LINES_BYTES_MAX);
	buf_init(&send->url, 3 * AWS_URL_BYTES_MAX);
	send->date_s = clock_wall_ms() / 1000 + atomic_load(&work->client->ahead_s);
	sigv4_date(send->date_s, send->date);
	aws_add_header(send, "Host", slice_str(work->host));
	for (size_t i = 0; i < call->header_count; i++)
		send->headers[send->header_count++] = call->headers[i];
	if (work->client->options.credentials)
		code = aws_sign(work, send, err);
	aws_put_origin(work, &send->url);
	if (work->query.len > 0) {
		buf_add_char(&send->url, '?');
		buf_add_slice(&send->url, buf_slice(&work->query));
	}
	send->url_text = buf_cstr(&send->url);
	return code == ERR_OK ? aws_write_lines(send, err) : code;
}

static void aws_send_free(struct aws_send *send)
{
	OPENSSL_cleanse(&send->keys, sizeof(send->keys));
	buf_release(&send->authorization);
	buf_release(&send->lines);
	buf_release(&send->url);
	free(send);
}

/* For people; the reason is put behind it. */
static void aws_describe(const struct aws_work *work, struct buf *out)
{
	struct slice path = buf_slice(&work->path);
	bool whole = path.len <= AWS_PATH_TOLD;

	if (!whole)
		path = slice_from(path, path.len - AWS_PATH_TOLD);
	buf_addf(out, "%s %s%s%.*s", work->call->method, work->host, whole ? "" : "…",
		 SLICE_ARG(path));
}

static void aws_tell_answer(const struct aws_work *work, enum err_code code, struct err *err)
{
	const struct aws_call *call = work->call;
	struct slice region;
	struct buf text;

	buf_init(&text, ERR_MSG_MAX);
	aws_describe(work, &text);
	buf_addf(&text, ": %d %s%s%s", call->status, call->error_code,
		 call->error_message[0] ? ": " : "", call->error_message);
	if (aws_call_header(call, "x-amz-bucket-region", &region) &&
	    !slice_is(region, work->client->options.region))
		buf_addf(&text, "; the bucket is in the region \"%.*s\", not \"%s\"",
			 SLICE_ARG(region), work->client->options.region);
	else if (call->request_id[0])
		buf_addf(&text, " (request %s)", call->request_id);
	(void)err_set(err, code, "%s", buf_cstr(&text));
	buf_release(&text);
}

/* How far the service's clock is from the time that was signed; 0: it does not say. */
static int64_t aws_off_s(const struct aws_call *call, int64_t date_s)
{
	struct slice date;
	char text[64];
	int64_t said_s;

	if (!aws_call_header(call, "date", &date) || date.len >= sizeof(text))
		return 0;
	memcpy(text, date.ptr, date.len);
	text[date.len] = '\0';
	said_s = (int64_t)curl.getdate(text, NULL);
	return said_s > 0 ? said_s - date_s : 0;
}

/* No whole answer came. */
static struct aws_answer aws_answer_none(const struct aws_work *work,
					 const struct http_exchange *exchange)
{
	bool late = clock_mono_ms() >= work->until_ms;
	bool unknown = exchange->code == ERR_UNKNOWN;

	if (exchange->code == ERR_BUSY)
		return (struct aws_answer){ .next = AWS_NEXT_REFUSED,
					    .code = late ? ERR_TIMEOUT : ERR_BUSY };
	if (unknown && aws_call_reads(work->call))
		return (struct aws_answer){ .next = AWS_NEXT_UNKNOWN,
					    .code = late ? ERR_TIMEOUT : ERR_BUSY };
	return (struct aws_answer){ .next = unknown ? AWS_NEXT_UNKNOWN : AWS_NEXT_FAILED,
				    .code = exchange->code };
}

static struct aws_answer aws_take_answer(const struct aws_work *work,
					 const struct aws_send *send,
					 struct http_exchange *exchange, size_t reply_max,
					 struct err *err)
{
	struct aws_call *call = work->call;
	int64_t off_s;
	struct aws_answer answer;

	call->reply = exchange->reply;
	call->reply.max = reply_max;
	call->reply_head = exchange->reply_head;
	call->reply_file_len = exchange->reply_file_len;
	call->unreached = exchange->unreached;
	if (exchange->code != ERR_OK) {
		*err = exchange->err;
		answer = aws_answer_none(work, exchange);
		err->code = answer.code;
		return answer;
	}
	call->status = exchange->status;
	off_s = aws_off_s(call, send->date_s);
	answer = aws_answer_read(call, off_s);
	if (answer.next == AWS_NEXT_CLOCK && off_s != 0)
		atomic_store(&work->client->ahead_s, send->date_s + off_s - clock_wall_ms() / 1000);
	if (answer.next != AWS_NEXT_DONE)
		aws_tell_answer(work, answer.code, err);
	else if (call->reply.len > reply_max)
		answer = (struct aws_answer){ AWS_NEXT_FAILED,
			err_set(err, aws_call_reads(call) ? ERR_LIMIT : ERR_UNKNOWN,
				"%s %s: the answer is too long", call->method, work->host),
			.throttled = false };
	return answer;
}

/* The time in which its bytes flowed is not counted. */
static void aws_count_flow(struct aws_work *work, const struct http_exchange *exchange,
			   int64_t start_ms)
{
	int64_t flowed_ms = clock_mono_ms() - start_ms - exchange->idle_ms;

	if (exchange->stall_ms == 0 || flowed_ms <= 0)
		return;
	work->until_ms += flowed_ms;
	work->reach_until_ms += flowed_ms;
}

static struct aws_answer aws_exchange(struct aws_work *work, const struct aws_send *send,
				      struct err *err)
{
	struct aws_client *client = work->client;
	struct aws_call *call = work->call;
	int64_t start_ms = clock_mono_ms(), left_ms = work->until_ms - start_ms;
	size_t reply_max = call->reply.max;
	struct http_exchange exchange = {
		.method = call->method, .url = send->url_text, .headers = send->line,
		.body = work->body, .body_file = call->body_file, .reply_file = call->reply_file,
		.total_ms = left_ms < client->options.try_ms ? left_ms : client->options.try_ms,
		.once = call->repeat == AWS_REPEAT_REFUSED && !aws_call_reads(call),
		.reply = call->reply, .reply_head = call->reply_head,
	};
	enum err_code code;

	if (call->stall_ms > 0) {
		exchange.total_ms = INT64_MAX;
		exchange.stall_ms = call->stall_ms;
		exchange.stop_ms = aws_call_reads(call) ? call->stall_ms : 0;
	}
	if (exchange.total_ms < 1)
		exchange.total_ms = 1;
	if (exchange.reply.max < AWS_ERROR_ROOM)
		exchange.reply.max = AWS_ERROR_ROOM;
	code = http_client_pool_do(client->pool, &exchange, err);
	if (code != ERR_OK) {
		exchange.code = code;
		exchange.err = *err;
	}
	aws_count_flow(work, &exchange, start_ms);
	return aws_take_answer(work, send, &exchange, reply_max, err);
}

/* A service that is too much asked says so in words that it understands itself. */
static enum aws_gate_news aws_news_of(const struct aws_call *call, struct aws_answer answer)
{
	if (answer.throttled)
		return AWS_GATE_THROTTLED;
	return call->status > 0 ? AWS_GATE_ANSWERED : AWS_GATE_NOTHING;
}

static struct aws_answer aws_try(struct aws_work *work, struct err *err)
{
	struct aws_send *send = xcalloc(1, sizeof(*send));
	struct aws_client *client = work->client;
	struct aws_answer answer = { .next = AWS_NEXT_FAILED };
	uint64_t ticket;

	aws_call_begin(work->call);
	if (!aws_gate_enter(&client->gate, work->until_ms, &ticket)) {
		answer.code = err_set(err, ERR_TIMEOUT, "%s %s: no turn came in time",
				      work->call->method, work->host);
		goto out;
	}
	answer.code = aws_prepare(work, send, err);
	if (answer.code == ERR_OK) {
		work->call->tries++;
		answer = aws_exchange(work, send, err);
	}
	aws_gate_leave(&client->gate, ticket, aws_news_of(work->call, answer));
	if (answer.next == AWS_NEXT_KEYS && client->options.credentials)
		aws_credentials_refused(client->options.credentials, send->keys.generation);
out:
	aws_send_free(send);
	return answer;
}

/* Whether there is to be another try, as far as the answer says. */
static bool aws_may_repeat(struct aws_work *work, struct aws_answer answer)
{
	bool *once;

	switch (answer.next) {
	case AWS_NEXT_REFUSED:
		return true;
	case AWS_NEXT_UNKNOWN:
		return aws_call_reads(work->call) || work->call->repeat == AWS_REPEAT_ALWAYS;
	case AWS_NEXT_CLOCK: case AWS_NEXT_KEYS:
		once = answer.next == AWS_NEXT_CLOCK ? &work->clock_set : &work->keys_read;
		if (*once || !work->client->options.credentials)
			return false;
		*once = true;
		return true;
	default:
		return false;
	}
}

static int64_t aws_wait_ms(struct aws_work *work, struct aws_answer answer)
{
	struct slice after;
	int64_t wait_ms, told_ms = 0;

	if (answer.next == AWS_NEXT_CLOCK || answer.next == AWS_NEXT_KEYS)
		return 0;
	wait_ms = backoff_next_ms(&work->backoff);
	if (aws_call_header(work->call, "retry-after", &after))
		for (size_t i = 0; i < after.len && told_ms < 86400000; i++)
			told_ms = after.ptr[i] >= '0' && after.ptr[i] <= '9' ?
				  told_ms * 10 + (after.ptr[i] - '0') * 1000 : 0;
	return told_ms > wait_ms ? told_ms : wait_ms;
}

/* True, after a wait: another try. */
static bool aws_again(struct aws_work *work, struct aws_answer answer, const struct err *err)
{
	uint32_t tries_max = work->client->options.tries_max;
	int64_t wait_ms;

	if (answer.code == ERR_OK || stop_requested() ||
	    (tries_max && work->call->tries >= tries_max) || !aws_may_repeat(work, answer))
		return false;
	wait_ms = aws_wait_ms(work, answer);
	if (clock_mono_ms() + wait_ms >=
	    (work->call->unreached ? work->reach_until_ms : work->until_ms))
		return false;
	work->call->blind |= answer.next == AWS_NEXT_UNKNOWN && !aws_call_reads(work->call);
	trace_debug("%s; it is tried again in %" PRId64 " ms", err->msg, wait_ms);
	clock_sleep_ms(wait_ms);
	return !stop_requested();
}

static enum err_code aws_set_up(struct aws_work *work, struct err *err)
{
	enum err_code code = aws_check_headers(work->call, err);

	if (code == ERR_OK)
		code = aws_set_target(work, err);
	return code == ERR_OK ? aws_set_hash(work, err) : code;
}

/*
 * What was refused last, for whatever reason, may have been taken before. Only what is there, or is
 * not, tells of that, and only to who knows what was asked.
 */
static enum err_code aws_end(const struct aws_call *call, struct aws_answer answer,
			     struct err *err)
{
	bool tells = answer.code == ERR_OK || answer.code == ERR_EXISTS ||
		     answer.code == ERR_ABSENT;

	if (call->blind && !tells)
		answer.code = err->code = ERR_UNKNOWN;
	return answer.code;
}

enum err_code aws_call(struct aws_client *client, struct aws_call *call, struct err *err)
{
	struct aws_answer answer = { .next = AWS_NEXT_FAILED };
	struct aws_work work;

	assert(call->deadline_ms > 0 && (call->path.len == 0 || call->path.ptr[0] == '/'));
	call->tries = 0;
	call->blind = false;
	aws_call_begin(call);
	aws_work_init(&work, client, call);
	answer.code = aws_set_up(&work, err);
	if (answer.code == ERR_OK) {
		do
			answer = aws_try(&work, err);
		while (aws_again(&work, answer, err));
	}
	aws_work_release(&work);
	return aws_end(call, answer, err);
}

enum err_code aws_presign(struct aws_client *client, const struct aws_call *call,
			  int64_t expires_s, struct buf *ret_url, struct err *err)
{
	struct aws_call copy = *call;
	struct aws_send *send = xcalloc(1, sizeof(*send));
	struct sigv4_scope scope = aws_scope_of(client);
	struct sigv4_request request;
	struct sigv4_key key;
	struct aws_work work;
	enum err_code code;

	aws_work_init(&work, client, &copy);
	code = aws_check_headers(call, err);
	if (code == ERR_OK)
		code = aws_set_target(&work, err);
	if (code == ERR_OK && !client->options.credentials)
		code = err_set(err, ERR_USAGE, "there are no keys to sign with");
	if (code == ERR_OK)
		code = aws_credentials_get(client->options.credentials, &send->keys, err);
	if (code == ERR_OK) {
		(void)snprintf(work.hash, sizeof(work.hash), SIGV4_UNSIGNED);
		aws_add_header(send, "Host", slice_str(work.host));
		for (size_t i = 0; i < call->header_count; i++)
			send->headers[send->header_count++] = call->headers[i];
		request = aws_request(&work, send->headers, send->header_count);
		key = aws_key_of(&send->keys);
		aws_put_origin(&work, ret_url);
		buf_add_char(ret_url, '?');
		code = sigv4_presign(&request, &key, &scope,
				     clock_wall_ms() / 1000 + atomic_load(&client->ahead_s),
				     expires_s, ret_url, err);
	}
	aws_send_free(send);
	aws_work_release(&work);
	return code;
}
