/* http_chunks.c - chunked bodies, decoded in place (RFC 9112 7.1). */
#include "net/http_chars.h"

enum {
	LINE_BYTES_MAX = 4096,		/* a chunk's size with its extensions, or a trailer */
	SIZE_DIGITS_MAX = 16,
};

static enum http_step http_chunks_refuse(struct http_refusal *ret_refusal, int status,
					 const char *message)
{
	*ret_refusal = (struct http_refusal){ .status = status, .message = message };
	return HTTP_REFUSED;
}

static size_t token_len(struct slice text)
{
	size_t len = 0;

	while (len < text.len && http_is_token(text.ptr[len]))
		len++;
	return len;
}

/* The length of a quoted string with its quotes; 0: none, not closed, or with a control byte. */
static size_t quoted_len(struct slice text)
{
	if (text.len == 0 || text.ptr[0] != '"')
		return 0;
	for (size_t i = 1; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"')
			return i + 1;
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return 0;
		if (c == '\\')
			i++;
	}
	return 0;
}

/* *( ";" token [ "=" ( token / quoted-string ) ] ); dropped, but junk is no extension. */
static bool extensions_valid(struct slice text)
{
	while (text.len > 0) {
		size_t len;

		if (text.ptr[0] != ';')
			return false;
		text = slice_from(text, 1);
		len = token_len(text);
		if (len == 0)
			return false;
		text = slice_from(text, len);
		if (text.len == 0 || text.ptr[0] != '=')
			continue;
		text = slice_from(text, 1);
		len = token_len(text);
		if (len == 0)
			len = quoted_len(text);
		if (len == 0)
			return false;
		text = slice_from(text, len);
	}
	return true;
}

/*
 * The digits are bounded before they are summed, so the sum cannot wrap round
 * to a small size, with which requests are smuggled.
 */
static enum http_step take_size(struct http_chunks *chunks, struct slice line,
				const struct http_limits *limits, struct http_refusal *ret_refusal)
{
	uint64_t size = 0;
	size_t digits = 0;

	for (; digits < line.len && http_hex_value(line.ptr[digits]) >= 0; digits++) {
		if (digits == SIZE_DIGITS_MAX)
			return http_chunks_refuse(ret_refusal, 400, "a chunk size is too long");
		size = size * 16 + (uint64_t)http_hex_value(line.ptr[digits]);
	}
	if (digits == 0 || !extensions_valid(slice_from(line, digits)))
		return http_chunks_refuse(ret_refusal, 400,
					  "a chunk size is not a hexadecimal number");
	chunks->extra_bytes += line.len - digits;
	if (size > limits->body_bytes_max - (chunks->body - chunks->start))
		return http_chunks_refuse(ret_refusal, 413, "the body is too large");
	chunks->left = size;
	chunks->state = size ? CHUNK_DATA : CHUNK_TRAILER;
	return HTTP_DONE;
}

static enum http_step take_trailer(struct http_chunks *chunks, struct slice line,
				   const struct http_limits *limits,
				   struct http_refusal *ret_refusal)
{
	size_t len = token_len(line);

	if (len == 0 || len == line.len || line.ptr[len] != ':')
		return http_chunks_refuse(ret_refusal, 400, "a trailer is not a header");
	for (size_t i = len; i < line.len; i++) {
		unsigned char c = (unsigned char)line.ptr[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return http_chunks_refuse(ret_refusal, 400,
						  "a trailer holds a control byte");
	}
	chunks->extra_bytes += line.len;
	if (++chunks->trailers > limits->headers_max)
		return http_chunks_refuse(ret_refusal, 431, "too many trailers");
	return HTTP_DONE;
}

/* A size or a trailer; *ret_last: it was the empty line at the end. */
static enum http_step http_chunks_take_line(struct http_chunks *chunks, struct slice bytes,
					    const struct http_limits *limits, bool *ret_last,
					    struct http_refusal *ret_refusal)
{
	struct slice line;
	enum http_step step;

	if (bytes.len > chunks->at + LINE_BYTES_MAX)
		bytes.len = chunks->at + LINE_BYTES_MAX;
	if (chunks->state == CHUNK_SIZE && bytes.len > chunks->at
	    && http_hex_value(bytes.ptr[chunks->at]) < 0)
		return http_chunks_refuse(ret_refusal, 400,
					  "a chunk size is not a hexadecimal number");
	step = http_line(bytes, chunks->at, &line);
	if (step == HTTP_REFUSED)
		return http_chunks_refuse(ret_refusal, 400,
					  "a line of the chunked body does not end in CRLF");
	if (step == HTTP_MORE && bytes.len == chunks->at + LINE_BYTES_MAX)
		return http_chunks_refuse(ret_refusal, 400,
					  "a line of the chunked body is too long");
	if (step == HTTP_MORE)
		return HTTP_MORE;
	chunks->at += line.len + 2;
	if (chunks->state == CHUNK_SIZE)
		step = take_size(chunks, line, limits, ret_refusal);
	else if (line.len > 0)
		step = take_trailer(chunks, line, limits, ret_refusal);
	else
		*ret_last = true;
	if (step == HTTP_DONE && chunks->extra_bytes > limits->header_bytes_max)
		return http_chunks_refuse(ret_refusal, 431,
					  "the extensions and trailers are too long");
	return step;
}

static enum http_step take_data(struct http_chunks *chunks, char *data, size_t len)
{
	size_t here = len - chunks->at;
	size_t take = here < chunks->left ? here : (size_t)chunks->left;

	memmove(data + chunks->body, data + chunks->at, take);
	chunks->body += take;
	chunks->at += take;
	chunks->left -= take;
	if (chunks->left > 0)
		return HTTP_MORE;
	chunks->state = CHUNK_END;
	return HTTP_DONE;
}

static enum http_step take_end(struct http_chunks *chunks, const char *data, size_t len,
			       struct http_refusal *ret_refusal)
{
	size_t here = len - chunks->at;

	if (here > 0 && data[chunks->at] != '\r')
		return http_chunks_refuse(ret_refusal, 400, "a chunk is longer than its size");
	if (here > 1 && data[chunks->at + 1] != '\n')
		return http_chunks_refuse(ret_refusal, 400,
					  "a line of the chunked body does not end in CRLF");
	if (here < 2)
		return HTTP_MORE;
	chunks->at += 2;
	chunks->state = CHUNK_SIZE;
	return HTTP_DONE;
}

enum http_step http_decode_chunks(struct http_chunks *chunks, char *data, size_t len,
				  const struct http_limits *limits,
				  struct http_refusal *ret_refusal)
{
	enum http_step step = HTTP_DONE;
	bool last = false;

	while (step == HTTP_DONE && !last) {
		switch (chunks->state) {
		case CHUNK_SIZE: case CHUNK_TRAILER:
			step = http_chunks_take_line(chunks, slice_of(data, len), limits, &last,
						     ret_refusal);
			break;
		case CHUNK_DATA:
			step = take_data(chunks, data, len);
			break;
		case CHUNK_END:
			step = take_end(chunks, data, len, ret_refusal);
			break;
		}
	}
	return step;
}
