/*
 * http_client_curl.c - libcurl's multi interface behind http_client.h.
 *
 * An easy handle is kept for each exchange in flight and used again; curl
 * itself keeps the connections and lets exchanges beyond their number wait.
 */
#include "net/http_client.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "net/curl_api.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <strings.h>

/* What curl reads and sends at once, of each exchange in flight; its own are of 16 and 64 KiB. */
#define CURL_BYTES (256L << 10)

struct transfer {
	CURL *easy;
	struct curl_slist *headers;
	struct http_exchange *exchange;		/* NULL: free to use */
	uint64_t uploaded;			/* of body_file */
	curl_off_t moved;			/* bytes of both bodies, … */
	int64_t looked_ms;			/* … when that was looked at, … */
	int64_t behind_ms;			/* … and how far behind they were */
	int64_t stopped_ms;			/* when a stop was seen; 0: none was */
	const char *ended;			/* here, for this reason; NULL: it was not */
	int file_errno;				/* why a file could not be read or written, or 0 */
	struct transfer *next;
};

struct http_client_curl {
	struct http_client base;
	const struct http_client_options *options;
	CURLM *multi;
	struct transfer *transfers;		/* all */
};
static_assert(offsetof(struct http_client_curl, base) == 0, "base must be first");

/* 0 ends the transfer. */
static size_t write_reply_file(struct transfer *transfer, const char *data, size_t len)
{
	struct http_exchange *exchange = transfer->exchange;
	const struct http_file *file = exchange->reply_file;
	struct err err;

	if (len > file->len - exchange->reply_file_len) {
		exchange->reply.full = true;
		return 0;
	}
	if (file_write_at(file->fd, data, len, file->offset + exchange->reply_file_len, "an answer",
			  &err) != ERR_OK) {
		transfer->file_errno = err.sys;
		return 0;
	}
	exchange->reply_file_len += len;
	return len;
}

/* What is to come, as the head says, or nothing. */
static void reserve_reply(const struct transfer *transfer, struct buf *reply)
{
	curl_off_t length = -1;

	if (curl.easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) ==
		    CURLE_OK &&
	    length > 0 && (uint64_t)length <= reply->max)
		(void)buf_room(reply, (size_t)length);
}

static size_t http_curl_on_body(char *data, size_t size, size_t count, void *user)
{
	struct transfer *transfer = user;
	struct http_exchange *exchange = transfer->exchange;
	long status = 0;

	if (exchange->reply_file &&
	    curl.easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
	    status / 100 == 2)
		return write_reply_file(transfer, data, size * count);
	if (exchange->reply.len == 0)
		reserve_reply(transfer, &exchange->reply);
	buf_add(&exchange->reply, data, size * count);
	return buf_full(&exchange->reply) ? 0 : size * count;
}

/* A line of the head, which begins anew with each status line: of a proxy, of "100 Continue". */
static size_t http_curl_on_header(char *data, size_t size, size_t count, void *user)
{
	struct http_exchange *exchange = ((struct transfer *)user)->exchange;
	struct slice line = slice_of(data, size * count);
	const char *colon = memchr(line.ptr, ':', line.len);
	struct slice value;

	if (exchange->reply_head.max == 0)
		return line.len;
	if (slice_starts(line, "HTTP/"))
		buf_clear(&exchange->reply_head);
	else if (colon) {
		value = slice_from(line, (size_t)(colon + 1 - line.ptr));
		while (value.len > 0 && strchr(" \t", value.ptr[0]))
			value = slice_from(value, 1);
		while (value.len > 0 && strchr(" \t\r\n", value.ptr[value.len - 1]))
			value.len--;
		buf_addf(&exchange->reply_head, "%.*s: %.*s\n", (int)(colon - line.ptr), line.ptr,
			 SLICE_ARG(value));
	}
	return buf_full(&exchange->reply_head) ? 0 : line.len;
}

static size_t http_curl_read_file(char *to, size_t size, size_t count, void *user)
{
	struct transfer *transfer = user;
	const struct http_file *file = transfer->exchange->body_file;
	uint64_t left = file->len - transfer->uploaded;
	size_t len = size * count < left ? size * count : (size_t)left;
	size_t got = file_read_at(file->fd, to, len, file->offset + transfer->uploaded,
				  &transfer->file_errno);

	if (got < len) {
		if (!transfer->file_errno)
			transfer->file_errno = EIO;	/* it is shorter than was said */
		return CURL_READFUNC_ABORT;
	}
	transfer->uploaded += got;
	return got;
}

static size_t http_curl_read_body(char *to, size_t size, size_t count, void *user)
{
	struct transfer *transfer = user;
	struct slice left = transfer->exchange->body;

	if (transfer->exchange->body_file)
		return http_curl_read_file(to, size, count, user);
	left = slice_from(left, (size_t)transfer->uploaded);
	if (left.len > size * count)
		left.len = size * count;
	if (left.len > 0)
		memcpy(to, left.ptr, left.len);
	transfer->uploaded += left.len;
	return left.len;
}

/*
 * Curl wants to send a request a second time, as its kept connection was closed. The server may
 * have taken the first one; and of one that was sent whole curl then sends no body (7.88.1) and
 * waits for the answer for good. So the exchange ends instead.
 */
static int http_curl_seek_body(void *user, curl_off_t offset, int origin)
{
	const struct transfer *transfer = user;

	return origin == SEEK_SET && offset >= 0 && transfer->uploaded == (uint64_t)offset ?
		       CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* Each byte that moves makes good for a time without; but a burst for no more than was missing. */
static void count_moved(struct transfer *transfer, curl_off_t moved, int64_t now_ms)
{
	transfer->behind_ms += now_ms - transfer->looked_ms;
	if (moved > transfer->moved)
		transfer->behind_ms -= (moved - transfer->moved) / HTTP_SLOW_BYTES_A_MS;
	if (transfer->behind_ms < 0)
		transfer->behind_ms = 0;
	transfer->moved = moved;
	transfer->looked_ms = now_ms;
}

/*
 * Called at each turn. Not curl's own bound of this kind (CURLOPT_LOW_SPEED_TIME): it is one of the
 * mean of some seconds, in which a single burst counts for all of them.
 */
static int http_curl_on_progress(void *user, curl_off_t down_size, curl_off_t down,
				 curl_off_t up_size, curl_off_t up)
{
	struct transfer *transfer = user;
	const struct http_exchange *exchange = transfer->exchange;
	int64_t now_ms = clock_mono_ms();

	(void)down_size;
	(void)up_size;
	count_moved(transfer, down + up, now_ms);
	if (exchange->stop_ms && !transfer->stopped_ms && stop_requested())
		transfer->stopped_ms = now_ms;
	if (transfer->behind_ms >= exchange->stall_ms)
		transfer->ended = "no byte came or went any more, or next to none";
	else if (transfer->stopped_ms && now_ms - transfer->stopped_ms >= exchange->stop_ms)
		transfer->ended = "a stop was asked, and it was not done soon";
	return transfer->ended != NULL;
}

/* What holds for every exchange of this handle. */
static bool http_curl_set_up(CURL *easy, const struct http_client_options *options)
{
	long connect_ms = (long)options->connect_ms;
	bool ok = true;

	ok &= curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_curl_on_body) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_curl_on_header) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_READFUNCTION, http_curl_read_body) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_SEEKFUNCTION, http_curl_seek_body) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, http_curl_on_progress) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK; /* it may be signed */
	ok &= curl.easy_setopt(easy, CURLOPT_BUFFERSIZE, CURL_BYTES) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, CURL_BYTES) == CURLE_OK;
	if (options->user_agent)
		ok &= curl.easy_setopt(easy, CURLOPT_USERAGENT, options->user_agent) == CURLE_OK;
	if (options->ca_file)
		ok &= curl.easy_setopt(easy, CURLOPT_CAINFO, options->ca_file) == CURLE_OK;
	return ok;
}

/* NULL: curl has no memory or lacks an option. */
static struct transfer *take_transfer(struct http_client_curl *client)
{
	struct transfer *transfer = client->transfers;

	while (transfer && transfer->exchange)
		transfer = transfer->next;
	if (transfer)
		return transfer;
	transfer = xcalloc(1, sizeof(*transfer));
	transfer->easy = curl.easy_init();
	if (!transfer->easy || !http_curl_set_up(transfer->easy, client->options)) {
		curl.easy_cleanup(transfer->easy);
		free(transfer);
		return NULL;
	}
	transfer->next = client->transfers;
	client->transfers = transfer;
	return transfer;
}

/* A header without a value is none to curl, unless a semicolon ends its name. */
static void add_header(struct transfer *transfer, const char *header)
{
	const char *colon = strchr(header, ':');
	char *empty;

	if (!colon || colon[1 + strspn(colon + 1, " \t")]) {
		transfer->headers = mem_or_abort(curl.slist_append(transfer->headers, header));
		return;
	}
	empty = xstrndup(header, (size_t)(colon - header) + 1);
	empty[colon - header] = ';';
	transfer->headers = mem_or_abort(curl.slist_append(transfer->headers, empty));
	free(empty);
}

static void set_headers(struct transfer *transfer, const struct http_exchange *exchange)
{
	static const char type[] = "Content-Type:";
	bool typed = false;

	/* Without this curl waits for "100 Continue" before larger bodies. */
	transfer->headers = mem_or_abort(curl.slist_append(NULL, "Expect:"));
	for (const char *const *header = exchange->headers; header && *header; header++) {
		typed |= !strncasecmp(*header, type, strlen(type));
		add_header(transfer, *header);
	}
	/* And without this it calls every body a form. */
	if (!typed)
		transfer->headers = mem_or_abort(curl.slist_append(transfer->headers, type));
}

static bool set_body(CURL *easy, struct transfer *transfer, const struct http_exchange *exchange)
{
	uint64_t len = exchange->body_file ? exchange->body_file->len : exchange->body.len;
	/* No body, until told. */
	bool ok = curl.easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;

	/* Without a body there is nothing by which curl could be kept from sending it again. */
	ok &= curl.easy_setopt(easy, CURLOPT_FRESH_CONNECT,
			       exchange->once && len == 0 ? 1L : 0L) == CURLE_OK;
	if (!exchange->body_file && !exchange->body.ptr)
		return ok;
	ok &= curl.easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)len) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_READDATA, transfer) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_SEEKDATA, transfer) == CURLE_OK;
	return ok;
}

static bool set_times(CURL *easy, struct transfer *transfer, const struct http_exchange *exchange,
		      int64_t total_ms)
{
	long total = total_ms < INT_MAX ? (long)total_ms : INT_MAX;
	bool ok = curl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, total) == CURLE_OK;

	ok &= curl.easy_setopt(easy, CURLOPT_NOPROGRESS, exchange->stall_ms ? 0L : 1L) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_XFERINFODATA, transfer) == CURLE_OK;
	transfer->moved = 0;
	transfer->looked_ms = clock_mono_ms();
	transfer->behind_ms = transfer->stopped_ms = 0;
	transfer->ended = NULL;
	return ok;
}

static enum err_code curl_start(struct http_client *base, struct http_exchange *exchange,
				struct err *err)
{
	struct http_client_curl *client = (struct http_client_curl *)base;
	struct transfer *transfer = take_transfer(client);
	int64_t total_ms = exchange->total_ms ? exchange->total_ms : client->options->total_ms;
	bool ok = true;
	CURL *easy;

	if (!transfer)
		return err_set(err, ERR_BUSY, "could not set up an HTTP request");
	easy = transfer->easy;
	set_headers(transfer, exchange);
	ok &= curl.easy_setopt(easy, CURLOPT_URL, exchange->url) == CURLE_OK;
	ok &= set_times(easy, transfer, exchange, total_ms);
	ok &= set_body(easy, transfer, exchange);
	if (!strcmp(exchange->method, "HEAD"))
		ok &= curl.easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, exchange->method) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK;
	ok &= curl.easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK;
	if (!ok || curl.multi_add_handle(client->multi, easy) != CURLM_OK) {
		curl.slist_free_all(transfer->headers);
		transfer->headers = NULL;
		return err_set(err, ERR_USAGE, "could not start a request to \"%s\"", exchange->url);
	}
	http_exchange_begin(exchange);
	transfer->uploaded = 0;
	transfer->file_errno = 0;
	transfer->exchange = exchange;
	return ERR_OK;
}

/* Whether all of the request left us, so that the server may have taken it. */
static bool was_sent(const struct transfer *transfer, CURLcode result)
{
	const struct http_exchange *exchange = transfer->exchange;
	uint64_t len = exchange->body_file ? exchange->body_file->len : exchange->body.len;
	long head = 0;
	curl_off_t body = 0;

	(void)curl.easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &head);
	(void)curl.easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &body);
	/* Kept from sending it again, curl has forgotten how much it had sent. */
	if (result == CURLE_SEND_FAIL_REWIND)
		return transfer->uploaded >= len;
	return head > 0 && (uint64_t)body >= len;
}

static enum err_code http_curl_outcome(const struct transfer *transfer, CURLcode result)
{
	const struct http_exchange *exchange = transfer->exchange;

	switch (result) {
	case CURLE_OK:
		return ERR_OK;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return ERR_DENIED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
		return ERR_BUSY;
	default:
		if (http_exchange_full(exchange))
			return http_exchange_too_long(exchange);
		return was_sent(transfer, result) ? ERR_UNKNOWN : ERR_BUSY;
	}
}

static void end(struct http_client_curl *client, CURL *easy, CURLcode result)
{
	struct transfer *transfer = NULL;
	struct http_exchange *exchange;
	curl_off_t retry_after = 0, connected = 0;
	long sent = 0;
	long status = 0;

	(void)curl.easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
	(void)curl.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl.easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
	exchange = transfer->exchange;
	exchange->code = http_curl_outcome(transfer, result);
	if (exchange->code != ERR_OK)
		(void)err_set(&exchange->err, exchange->code, "%s: %s", exchange->url,
			      http_exchange_full(exchange) ? "the answer is too long"
			      : transfer->ended		   ? transfer->ended
							   : curl.easy_strerror(result));
	if (exchange->code != ERR_OK && transfer->file_errno) {
		errno = transfer->file_errno;
		exchange->code = err_errno(&exchange->err, "%s: a file could not be %s", exchange->url,
					   exchange->reply_file ? "written" : "read");
	}
	exchange->status = (int)status;
	(void)curl.easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected);
	(void)curl.easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent);
	exchange->unreached = exchange->code != ERR_OK && connected == 0 && sent == 0;
	count_moved(transfer, transfer->moved, clock_mono_ms());
	exchange->idle_ms = transfer->behind_ms < exchange->stall_ms ? transfer->behind_ms
								     : exchange->stall_ms;
	exchange->retry_after_s = retry_after > 86400 ? 86400 : (int)retry_after;
	(void)curl.multi_remove_handle(client->multi, easy);
	curl.slist_free_all(transfer->headers);
	transfer->headers = NULL;
	transfer->exchange = NULL;
	exchange->done(exchange);
}

static bool end_finished(struct http_client_curl *client)
{
	bool any = false;
	CURLMsg *message;
	int left;

	while ((message = curl.multi_info_read(client->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		end(client, message->easy_handle, message->data.result);
		any = true;
	}
	return any;
}

static enum err_code curl_turn(struct http_client *base, int64_t wait_ms, struct err *err)
{
	struct http_client_curl *client = (struct http_client_curl *)base;
	int timeout_ms = wait_ms > 60000 ? 60000 : (int)wait_ms;
	int running;

	if (curl.multi_perform(client->multi, &running) != CURLM_OK)
		return err_set(err, ERR_IO, "libcurl could not go on");
	if (end_finished(client))
		return ERR_OK;
	if (curl.multi_poll(client->multi, NULL, 0, timeout_ms, NULL) != CURLM_OK ||
	    curl.multi_perform(client->multi, &running) != CURLM_OK)
		return err_set(err, ERR_IO, "libcurl could not go on");
	(void)end_finished(client);
	return ERR_OK;
}

static void curl_free_client(struct http_client *base)
{
	struct http_client_curl *client = (struct http_client_curl *)base;

	while (client->transfers) {
		struct transfer *transfer = client->transfers;

		client->transfers = transfer->next;
		if (transfer->exchange)
			(void)curl.multi_remove_handle(client->multi, transfer->easy);
		curl.easy_cleanup(transfer->easy);
		curl.slist_free_all(transfer->headers);
		free(transfer);
	}
	(void)curl.multi_cleanup(client->multi);
	curl.global_cleanup();
	free(client);
}

static const struct http_client_ops curl_ops = {
	.name = "curl",
	.start = curl_start,
	.turn = curl_turn,
	.free = curl_free_client,
};

enum err_code http_client_curl_new(const struct http_client_options *options,
				   struct http_client **ret_client, struct err *err)
{
	struct http_client_curl *client;
	long connections;

	if (curl_api_load(err) != ERR_OK)
		return err->code;
	if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_IO, "could not start libcurl");
	client = xcalloc(1, sizeof(*client));
	client->base.ops = &curl_ops;
	client->options = options;
	client->multi = mem_or_abort(curl.multi_init());
	connections = (long)options->connections_max;
	(void)curl.multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
	(void)curl.multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, connections);
	*ret_client = &client->base;
	return ERR_OK;
}
