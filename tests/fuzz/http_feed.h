/*
 * http_feed.h - the requests in the bytes of a connection, without the connection: what
 * http_conn.c does with them, and nothing of sockets, time and answers.
 */
#ifndef TESTS_FUZZ_HTTP_FEED_H
#define TESTS_FUZZ_HTTP_FEED_H

#include "base/buf.h"
#include "fuzz.h"
#include "net/http_parse.h"

enum { FEED_TEXT_MAX = 1 << 20, FEED_REQUESTS_MAX = 512 };

/* Small, so that they are met. */
static const struct http_limits feed_limits = {
	.body_bytes_max = 1024, .header_bytes_max = 512, .headers_max = 8,
};

struct feed_request {
	size_t end;			/* of its part of the text */
	bool head;			/* HEAD, so the answer has no body */
	bool expects;			/* may be told to continue */
};

/* What came out of a connection. */
struct feed_seen {
	struct buf text;		/* all of it, written down */
	struct feed_request requests[FEED_REQUESTS_MAX];
	size_t count;
	int refused;			/* status of the refusal that ends it, or 0 */
	bool rest_expects;		/* what comes after them has a head, and expects too */
};

struct feed {
	char *bytes;
	size_t at;			/* of the request at hand */
	size_t len;			/* that have come */
	struct http_scan scan;
	struct http_chunks chunks;
	struct http_head head;
	size_t head_len;		/* 0: it is not whole yet */
	char *path_room;
	bool over;
	struct feed_seen *seen;
};

static inline void feed_seen_init(struct feed_seen *seen)
{
	*seen = (struct feed_seen){ 0 };
	buf_init(&seen->text, FEED_TEXT_MAX);
}

static inline void feed_put(struct buf *out, struct slice s)
{
	buf_add_u64(out, s.len);
	buf_add_char(out, ':');
	buf_add_slice(out, s);
}

/* A request as it is handed over. */
static inline void feed_put_request(struct buf *out, const struct http_head *head,
				    struct slice body)
{
	const struct http_request *request = &head->request;

	buf_addf(out, "\nrequest %d %zu %d ", (int)request->method, request->header_count,
		 head->keep_alive);
	feed_put(out, request->path);
	feed_put(out, request->query);
	FUZZ_MUST(request->header_count <= feed_limits.headers_max);
	FUZZ_MUST(!memchr(request->path.ptr, '\0', request->path.len));
	for (size_t i = 0; i < request->header_count; i++) {
		feed_put(out, head->headers[i].name);
		feed_put(out, head->headers[i].value);
	}
	FUZZ_MUST(body.len <= feed_limits.body_bytes_max);
	feed_put(out, body);
}

static inline void feed_note_request(struct feed *feed, struct slice body)
{
	struct feed_seen *seen = feed->seen;

	FUZZ_MUST(seen->count < FEED_REQUESTS_MAX);
	feed_put_request(&seen->text, &feed->head, body);
	seen->requests[seen->count++] = (struct feed_request){
		.end = seen->text.len, .head = feed->head.request.method == HTTP_METHOD_HEAD,
		.expects = feed->head.expects_continue,
	};
}

static inline bool feed_refuse(struct feed *feed, const struct http_refusal *refusal)
{
	FUZZ_MUST(refusal->status >= 400 && refusal->status <= 505 && refusal->message[0]);
	buf_addf(&feed->seen->text, "\nrefused %d %s", refusal->status, refusal->message);
	feed->seen->refused = refusal->status;
	feed->over = true;
	return false;
}

static inline bool feed_parse_head(struct feed *feed, size_t len)
{
	struct http_refusal refusal;

	return http_parse_head(&feed->head, slice_of(feed->bytes + feed->at, len),
			       feed->path_room, &refusal) ||
	       feed_refuse(feed, &refusal);
}

static inline bool feed_take_head(struct feed *feed)
{
	struct slice bytes = slice_of(feed->bytes + feed->at, feed->len - feed->at);
	struct http_refusal refusal;
	enum http_step step = http_scan_head(&feed->scan, bytes, &feed_limits, &refusal);
	size_t len = feed->scan.line;

	if (step == HTTP_MORE)
		return false;
	if (step == HTTP_REFUSED)
		return feed_refuse(feed, &refusal);
	if (!feed_parse_head(feed, len))
		return false;
	if (!http_check_body(&feed->head, &feed_limits, &refusal))
		return feed_refuse(feed, &refusal);
	feed->head_len = len;
	feed->chunks = (struct http_chunks){ .start = len, .body = len, .at = len };
	return true;
}

static inline bool feed_take_chunks(struct feed *feed, size_t *ret_body, size_t *ret_len)
{
	struct http_chunks *chunks = &feed->chunks;
	char *data = feed->bytes + feed->at;
	size_t len = feed->len - feed->at;
	struct http_refusal refusal;
	enum http_step step = http_decode_chunks(chunks, data, len, &feed_limits, &refusal);

	FUZZ_MUST(chunks->body <= chunks->at && chunks->at <= len);
	if (step == HTTP_REFUSED)
		return feed_refuse(feed, &refusal);
	*ret_body = chunks->body - feed->head_len;
	*ret_len = chunks->at;
	if (step == HTTP_MORE) {
		memmove(data + chunks->body, data + chunks->at, len - chunks->at);
		feed->len -= chunks->at - chunks->body;
		chunks->at = chunks->body;
	}
	return step == HTTP_DONE;
}

static inline bool feed_take_body(struct feed *feed, size_t *ret_body, size_t *ret_len)
{
	if (feed->head.chunked)
		return feed_take_chunks(feed, ret_body, ret_len);
	*ret_body = (size_t)feed->head.request.content_length;
	*ret_len = feed->head_len + *ret_body;
	return feed->len - feed->at >= *ret_len;
}

/* One request; false: there is no whole one, or no more. */
static inline bool feed_take_request(struct feed *feed)
{
	size_t body = 0, len = 0;

	if (feed->head_len == 0 && (feed->at == feed->len || !feed_take_head(feed)))
		return false;
	if (!feed_take_body(feed, &body, &len))
		return false;
	FUZZ_MUST(feed_parse_head(feed, feed->head_len));
	feed_note_request(feed, slice_of(feed->bytes + feed->at + feed->head_len, body));
	feed->over = !feed->head.keep_alive;
	feed->at += len;
	feed->head_len = 0;
	feed->scan = (struct http_scan){ 0 };
	return !feed->over;
}

/* How many of the next `len` bytes come together. */
static inline size_t feed_piece(uint32_t *seed, uint32_t piece_max, size_t len)
{
	size_t piece;

	*seed = *seed * 1664525 + 1013904223;
	piece = 1 + (*seed >> 16) % piece_max;
	return piece < len ? piece : len;
}

/* Feeds all of `data` in pieces of at most `piece_max`, whose sizes a generator gives;
 * 0: in one. */
static inline void feed_run(struct slice data, uint32_t seed, uint32_t piece_max,
			    struct feed_seen *seen)
{
	struct feed feed = { .bytes = xcalloc(data.len + HTTP_BODY_PADDING, 1),
			     .path_room = xmalloc(data.len), .seen = seen };

	buf_clear(&seen->text);
	seen->count = 0;
	seen->refused = 0;
	while (data.len > 0 && !feed.over) {
		size_t piece = data.len;

		if (piece_max > 0)
			piece = feed_piece(&seed, piece_max, piece);
		memcpy(feed.bytes + feed.len, data.ptr, piece);
		feed.len += piece;
		data = slice_from(data, piece);
		while (feed_take_request(&feed))
			;
	}
	seen->rest_expects = feed.head_len > 0 && feed.head.expects_continue;
	free(feed.bytes);
	free(feed.path_room);
}

#endif
