/*
 * http_parse.h - from bytes to requests: the strict reading of RFC 9112.
 *
 * A head (request line and headers) is first framed by http_scan_head(), which
 * may be called again with more bytes and does not start over, then parsed as
 * a whole by http_parse_head(). So the verdict cannot depend on how the bytes
 * were split, and nothing of a head is kept between reads but the bytes.
 *
 * llhttp does the tokens and the request line. What it lets through, or says
 * too late, is refused here: line ends that are not CRLF, repeated lengths,
 * any transfer coding but one "chunked", targets that are no path. Chunks are
 * decoded here too, because llhttp 8.1 takes bare line feeds and unbounded
 * extensions there.
 */
#ifndef NET_HTTP_PARSE_H
#define NET_HTTP_PARSE_H

#include "net/http_server.h"

enum http_step { HTTP_MORE, HTTP_DONE, HTTP_REFUSED };

/* Why; the message is a constant that needs no escape in JSON. */
struct http_refusal {
	int status;
	const char *message;
};

/* How far the end of a head was looked for; starts as zero. */
struct http_scan {
	size_t line;		/* where the unfinished line begins; HTTP_DONE: the head's length */
	uint32_t lines;		/* that have ended */
	bool led;		/* by an empty line, which RFC 9112 2.2 wants ignored */
};

struct http_head {
	struct http_request request;
	struct http_header headers[HTTP_HEADERS_MAX];
	bool http_1_0;
	bool chunked;
	bool keep_alive;
	bool expects_continue;
};

/* HTTP_MORE: call again with the same bytes and more behind them. */
enum http_step http_scan_head(struct http_scan *scan, struct slice bytes,
			      const struct http_limits *limits, struct http_refusal *ret_refusal);

/*
 * Parses a whole head. The slices of `head` point into `bytes`, except a path
 * with escapes, which is decoded into `path_room` (at least as long as `bytes`).
 */
bool http_parse_head(struct http_head *head, struct slice bytes, char *path_room,
		     struct http_refusal *ret_refusal);
/* Whether the announced body may be sent: its coding, its size, its expectation. */
bool http_check_body(const struct http_head *head, const struct http_limits *limits,
		     struct http_refusal *ret_refusal);

/* A chunked body in the middle of being decoded; starts as zero but for the three places. */
struct http_chunks {
	enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_TRAILER } state;
	uint64_t left;		/* of the chunk's data */
	size_t extra_bytes;	/* of extensions and trailers, which are dropped */
	uint32_t trailers;
	size_t start;		/* the body begins here, */
	size_t body;		/* what is decoded of it ends here, */
	size_t at;		/* and this is read next */
};

/* Decodes data[chunks->at .. len) in place, moving it down behind chunks->body. */
enum http_step http_decode_chunks(struct http_chunks *chunks, char *data, size_t len,
				  const struct http_limits *limits,
				  struct http_refusal *ret_refusal);

#endif
