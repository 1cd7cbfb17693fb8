/*
 * The bytes of a connection, in one piece and in pieces: the same requests and the same refusal,
 * however they were split. The first two bytes are the seed of the splits. What is done with the
 * bytes is what http_conn.c does.
 */
#include "base/buf.h"
#include "fuzz.h"
#include "net/http_parse.h"

enum { SEEN_MAX = 1 << 20 };

/* Small, so that they are met. */
static const struct http_limits limits = {
	.body_bytes_max = 1024, .header_bytes_max = 512, .headers_max = 8,
};

/* One connection; what came out of it is written down in `seen`. */
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
	struct buf *seen;
};

static struct buf seen_whole, seen_split;

static void put(struct buf *out, struct slice s)
{
	buf_add_u64(out, s.len);
	buf_add_char(out, ':');
	buf_add_slice(out, s);
}

static void put_request(struct feed *feed, struct slice body)
{
	const struct http_request *request = &feed->head.request;

	buf_addf(feed->seen, "\nrequest %d %zu %d ", (int)request->method, request->header_count,
		 feed->head.keep_alive);
	put(feed->seen, request->path);
	put(feed->seen, request->query);
	FUZZ_MUST(request->header_count <= limits.headers_max);
	FUZZ_MUST(!memchr(request->path.ptr, '\0', request->path.len));
	for (size_t i = 0; i < request->header_count; i++) {
		put(feed->seen, feed->head.headers[i].name);
		put(feed->seen, feed->head.headers[i].value);
	}
	FUZZ_MUST(body.len <= limits.body_bytes_max);
	put(feed->seen, body);
}

static bool refuse(struct feed *feed, const struct http_refusal *refusal)
{
	FUZZ_MUST(refusal->status >= 400 && refusal->status <= 505 && refusal->message[0]);
	buf_addf(feed->seen, "\nrefused %d %s", refusal->status, refusal->message);
	feed->over = true;
	return false;
}

static bool parse_head(struct feed *feed, size_t len)
{
	struct http_refusal refusal;

	return http_parse_head(&feed->head, slice_of(feed->bytes + feed->at, len),
			       feed->path_room, &refusal) ||
	       refuse(feed, &refusal);
}

static bool take_head(struct feed *feed)
{
	struct slice bytes = slice_of(feed->bytes + feed->at, feed->len - feed->at);
	struct http_refusal refusal;
	enum http_step step = http_scan_head(&feed->scan, bytes, &limits, &refusal);
	size_t len = feed->scan.line;

	if (step == HTTP_MORE)
		return false;
	if (step == HTTP_REFUSED)
		return refuse(feed, &refusal);
	if (!parse_head(feed, len))
		return false;
	if (!http_check_body(&feed->head, &limits, &refusal))
		return refuse(feed, &refusal);
	feed->head_len = len;
	feed->chunks = (struct http_chunks){ .start = len, .body = len, .at = len };
	return true;
}

static bool take_chunks(struct feed *feed, size_t *ret_body, size_t *ret_len)
{
	struct http_chunks *chunks = &feed->chunks;
	char *data = feed->bytes + feed->at;
	size_t len = feed->len - feed->at;
	struct http_refusal refusal;
	enum http_step step = http_decode_chunks(chunks, data, len, &limits, &refusal);

	FUZZ_MUST(chunks->body <= chunks->at && chunks->at <= len);
	if (step == HTTP_REFUSED)
		return refuse(feed, &refusal);
	*ret_body = chunks->body - feed->head_len;
	*ret_len = chunks->at;
	if (step == HTTP_MORE) {
		memmove(data + chunks->body, data + chunks->at, len - chunks->at);
		feed->len -= chunks->at - chunks->body;
		chunks->at = chunks->body;
	}
	return step == HTTP_DONE;
}

static bool take_body(struct feed *feed, size_t *ret_body, size_t *ret_len)
{
	if (feed->head.chunked)
		return take_chunks(feed, ret_body, ret_len);
	*ret_body = (size_t)feed->head.request.content_length;
	*ret_len = feed->head_len + *ret_body;
	return feed->len - feed->at >= *ret_len;
}

/* One request; false: there is no whole one, or no more. */
static bool take_request(struct feed *feed)
{
	size_t body = 0, len = 0;

	if (feed->head_len == 0 && (feed->at == feed->len || !take_head(feed)))
		return false;
	if (!take_body(feed, &body, &len))
		return false;
	FUZZ_MUST(parse_head(feed, feed->head_len));
	put_request(feed, slice_of(feed->bytes + feed->at + feed->head_len, body));
	feed->over = !feed->head.keep_alive;
	feed->at += len;
	feed->head_len = 0;
	feed->scan = (struct http_scan){ 0 };
	return !feed->over;
}

/* Feeds all of `data` in pieces of at most `piece_max`, whose sizes a generator gives;
 * 0: in one. */
static void run(struct slice data, uint32_t seed, uint32_t piece_max, struct buf *seen)
{
	struct feed feed = { .bytes = xcalloc(data.len + HTTP_BODY_PADDING, 1),
			     .path_room = xmalloc(data.len), .seen = seen };

	buf_clear(seen);
	while (data.len > 0 && !feed.over) {
		size_t piece = data.len;

		seed = seed * 1664525 + 1013904223;
		if (piece_max > 0 && 1 + (seed >> 16) % piece_max < piece)
			piece = 1 + (seed >> 16) % piece_max;
		memcpy(feed.bytes + feed.len, data.ptr, piece);
		feed.len += piece;
		data = slice_from(data, piece);
		while (take_request(&feed))
			;
	}
	free(feed.bytes);
	free(feed.path_room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice bytes = slice_of(data, len);
	uint32_t seed, piece_max;

	if (seen_whole.max == 0) {
		buf_init(&seen_whole, SEEN_MAX);
		buf_init(&seen_split, SEEN_MAX);
	}
	seed = fuzz_take(&bytes);
	piece_max = 1u << fuzz_take(&bytes) % 8;
	run(bytes, 0, 0, &seen_whole);
	run(bytes, seed, piece_max, &seen_split);
	FUZZ_MUST(slice_eq(buf_slice(&seen_whole), buf_slice(&seen_split)));
	return 0;
}
