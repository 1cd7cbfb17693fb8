#include "net/http_parse.h"

#include "net/http_chars.h"

#include <llhttp.h>

static bool http_parse_refuse(struct http_refusal *ret_refusal, int status, const char *message)
{
	*ret_refusal = (struct http_refusal){ .status = status, .message = message };
	return false;
}

/* Told from the first byte, so that a TLS client at a plain port need not wait for the time-out. */
static bool may_be_method(struct slice bytes, size_t at)
{
	return at >= bytes.len || bytes.ptr[at] == '\r' || http_is_token(bytes.ptr[at]);
}

/*
 * method SP target SP "HTTP/" d "." d, with exactly these two blanks: llhttp
 * takes more of them, and HTTP/0.9 has no version at all.
 */
static bool check_request_line(struct slice line, struct http_refusal *ret_refusal)
{
	static const char name[] = " HTTP/";
	size_t name_len = sizeof(name) - 1;
	struct slice version;
	const char *blank;
	const char *last;

	if (line.len < name_len + 3)
		return http_parse_refuse(ret_refusal, 400,
					 "the request line does not end in a version");
	version = slice_from(line, line.len - name_len - 3);
	if (!slice_starts(version, name))
		return http_parse_refuse(ret_refusal, 400,
					 "the request line does not end in a version");
	version = slice_from(version, name_len);
	blank = memchr(line.ptr, ' ', line.len);
	last = version.ptr - name_len;
	if (blank + 1 >= last || memchr(blank + 1, ' ', (size_t)(last - blank)) != last)
		return http_parse_refuse(
			ret_refusal, 400,
			"the request line is not a method, a target and a version");
	if (slice_is(version, "1.1") || slice_is(version, "1.0"))
		return true;
	if (version.ptr[1] != '.')
		return http_parse_refuse(ret_refusal, 400,
					 "the request line does not end in a version");
	return http_parse_refuse(ret_refusal, 505, "the version must be HTTP/1.0 or HTTP/1.1");
}

static bool check_line(struct http_scan *scan, struct slice line, const struct http_limits *limits,
		       struct http_refusal *ret_refusal)
{
	if (scan->lines == 0)
		return check_request_line(line, ret_refusal);
	if (scan->lines > limits->headers_max)
		return http_parse_refuse(ret_refusal, 431, "too many headers");
	if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
		return http_parse_refuse(ret_refusal, 400, "a header is folded over lines");
	if (line.ptr[0] == ':')
		return http_parse_refuse(ret_refusal, 400, "a header has no name");
	return true;
}

static enum http_step scan_more(const struct http_scan *scan, size_t len,
				const struct http_limits *limits, struct http_refusal *ret_refusal)
{
	if (len < limits->header_bytes_max)
		return HTTP_MORE;
	if (scan->lines == 0)
		http_parse_refuse(ret_refusal, 414, "the request line is too long");
	else
		http_parse_refuse(ret_refusal, 431, "the headers are too long");
	return HTTP_REFUSED;
}

/*
 * Goes on where it stopped: a head that comes byte by byte is looked at once.
 * What llhttp is lenient about (a bare LF, lines before the method) ends here.
 */
enum http_step http_scan_head(struct http_scan *scan, struct slice bytes,
			      const struct http_limits *limits, struct http_refusal *ret_refusal)
{
	if (bytes.len > limits->header_bytes_max)
		bytes.len = limits->header_bytes_max;
	for (;;) {
		struct slice line;
		enum http_step step;

		if (scan->lines == 0 && !may_be_method(bytes, scan->line)) {
			http_parse_refuse(ret_refusal, 400,
					  "the request does not start with a method");
			return HTTP_REFUSED;
		}
		step = http_line(bytes, scan->line, &line);
		if (step == HTTP_MORE)
			return scan_more(scan, bytes.len, limits, ret_refusal);
		if (step == HTTP_REFUSED) {
			http_parse_refuse(ret_refusal, 400,
					  "a line of the headers does not end in CRLF");
			return HTTP_REFUSED;
		}
		scan->line += line.len + 2;
		if (line.len == 0 && scan->lines > 0)
			return HTTP_DONE;
		if (line.len == 0 && !scan->led) {
			scan->led = true;
			continue;
		}
		if (!check_line(scan, line, limits, ret_refusal))
			return HTTP_REFUSED;
		scan->lines++;
	}
}

/* What llhttp calls back with: the whole head is in one piece, so every span comes once. */
static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	struct http_head *head = parser->data;

	head->request.path = slice_of(at, len);
	return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
	struct http_head *head = parser->data;

	if (head->request.header_count == HTTP_HEADERS_MAX)
		return HPE_USER;
	head->headers[head->request.header_count] = (struct http_header){
		.name = slice_of(at, len), .value = slice_of(at + len, 0),
	};
	return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
	struct http_head *head = parser->data;

	head->headers[head->request.header_count].value = slice_of(at, len);
	return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
	struct http_head *head = parser->data;

	head->request.header_count++;
	return 0;
}

static int http_parse_on_headers_complete(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;	/* what follows the head is not llhttp's */
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = http_parse_on_headers_complete,
};

static bool method_is_token(struct slice head)
{
	size_t at = slice_starts(head, "\r\n") ? 2 : 0;

	while (at < head.len && http_is_token(head.ptr[at]))
		at++;
	return at < head.len && head.ptr[at] == ' ';
}

static bool refuse_llhttp(llhttp_errno_t code, const llhttp_t *parser, struct slice head,
			  struct http_refusal *ret_refusal)
{
	switch (code) {
	case HPE_INVALID_METHOD:
		if (!method_is_token(head))
			return http_parse_refuse(ret_refusal, 400, "the method is not a token");
		return http_parse_refuse(ret_refusal, 501, "the method is unknown");
	case HPE_OK:
		return http_parse_refuse(ret_refusal, 400, "the headers have no end");
	default:
		return http_parse_refuse(ret_refusal, 400, llhttp_get_error_reason(parser));
	}
}

static enum http_method method_of(const llhttp_t *parser)
{
	switch ((llhttp_method_t)parser->method) {
	case HTTP_GET:		return HTTP_METHOD_GET;
	case HTTP_HEAD:		return HTTP_METHOD_HEAD;
	case HTTP_POST:		return HTTP_METHOD_POST;
	case HTTP_PUT:		return HTTP_METHOD_PUT;
	case HTTP_DELETE:	return HTTP_METHOD_DELETE;
	case HTTP_OPTIONS:	return HTTP_METHOD_OPTIONS;
	default:		return HTTP_METHOD_OTHER;
	}
}

/* Only origin-form, and "*" for OPTIONS: pinpipe is neither a proxy nor a tunnel (RFC 9112 3.2). */
static bool check_target(const struct http_head *head, const llhttp_t *parser,
			 struct http_refusal *ret_refusal)
{
	struct slice target = head->request.path;

	if (parser->method == HTTP_CONNECT)
		return http_parse_refuse(ret_refusal, 501, "CONNECT is not supported");
	if (slice_is(target, "*") && parser->method == HTTP_OPTIONS)
		return true;
	if (target.len == 0 || target.ptr[0] != '/')
		return http_parse_refuse(ret_refusal, 400, "the request target must be a path");
	for (size_t i = 0; i < target.len; i++)
		if (target.ptr[i] < 0x21 || target.ptr[i] > 0x7e || target.ptr[i] == '#')
			return http_parse_refuse(
				ret_refusal, 400,
				"the request target holds a byte that must be escaped");
	return true;
}

static bool split_target(struct http_head *head, char *path_room, struct http_refusal *ret_refusal)
{
	struct http_request *request = &head->request;
	struct slice path = request->path;
	const char *mark = memchr(path.ptr, '?', path.len);
	size_t len;

	request->target = path;
	request->query = slice_of(path.ptr + path.len, 0);
	if (mark) {
		request->query = slice_from(path, (size_t)(mark - path.ptr) + 1);
		path.len = (size_t)(mark - path.ptr);
	}
	request->path = path;
	if (!memchr(path.ptr, '%', path.len))
		return true;
	if (!http_unescape(path, false, path_room, &len))
		return http_parse_refuse(ret_refusal, 400, "the path holds a bad escape");
	request->path = slice_of(path_room, len);
	if (memchr(path_room, '\0', len))
		return http_parse_refuse(ret_refusal, 400, "the path holds a NUL");
	return true;
}

/* uri-host [ ":" port ], loosely: nothing that could be read as something else further on. */
static bool check_host(struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if (!http_is_alnum(c) && (c == '\0' || !strchr("-._~:[]%!$&'()*+;=", c)))
			return false;
	}
	return true;
}

/* Decimal digits and nothing else: no sign, no blank, no list (RFC 9110 8.6). */
static bool read_length(struct slice digits, int64_t *ret_length)
{
	int64_t length = 0;

	if (digits.len == 0 || digits.len > 18)
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
			return false;
		length = length * 10 + (digits.ptr[i] - '0');
	}
	*ret_length = length;
	return true;
}

/* The headers that say where this request ends and whom it is for. */
struct framing {
	uint32_t hosts;
	uint32_t lengths;
	uint32_t codings;
	uint32_t encodings;
};

static bool take_coding(struct http_head *head, struct slice value,
			struct http_refusal *ret_refusal)
{
	if (head->http_1_0)
		return http_parse_refuse(ret_refusal, 400, "HTTP/1.0 has no Transfer-Encoding");
	if (!slice_is_nocase(value, "chunked"))
		return http_parse_refuse(ret_refusal, 501,
					 "the only transfer coding taken is chunked, once");
	head->chunked = true;
	head->request.content_length = -1;
	return true;
}

static enum http_coding coding_of(struct slice value)
{
	if (slice_is_nocase(value, "identity"))
		return HTTP_CODING_NONE;
	if (slice_is_nocase(value, "gzip") || slice_is_nocase(value, "x-gzip"))
		return HTTP_CODING_GZIP;
	return slice_is_nocase(value, "zstd") ? HTTP_CODING_ZSTD : HTTP_CODING_OTHER;
}

/*
 * By length first: most headers are none of these, and are passed over with
 * one comparison. What is there twice is only counted; the head as a whole
 * decides.
 */
static bool take_header(struct http_head *head, const struct http_header *header,
			struct framing *framing, struct http_refusal *ret_refusal)
{
	switch (header->name.len) {
	case 4:
		if (!slice_is_nocase(header->name, "host"))
			return true;
		framing->hosts++;
		head->request.host = slice_trim(header->value);
		if (!check_host(header->value))
			return http_parse_refuse(ret_refusal, 400, "the Host header is not a host");
		return true;
	case 6:
		if (slice_is_nocase(header->name, "origin"))
			head->request.origin = head->request.origin.ptr ? slice_str("null")
									: slice_trim(header->value);
		if (slice_is_nocase(header->name, "expect")
		    && slice_is_nocase(slice_trim(header->value), "100-continue"))
			head->expects_continue = !head->http_1_0;
		return true;
	case 14:
		if (!slice_is_nocase(header->name, "content-length"))
			return true;
		framing->lengths++;
		if (!read_length(header->value, &head->request.content_length))
			return http_parse_refuse(ret_refusal, 400,
						 "the Content-Length is not a number");
		return true;
	case 16:
		if (slice_is_nocase(header->name, "content-encoding")) /* twice is a list */
			head->request.coding = framing->encodings++
						       ? HTTP_CODING_OTHER
						       : coding_of(slice_trim(header->value));
		return true;
	case 17:
		if (!slice_is_nocase(header->name, "transfer-encoding"))
			return true;
		framing->codings++;
		return take_coding(head, header->value, ret_refusal);
	default:
		return true;
	}
}

static bool take_headers(struct http_head *head, struct http_refusal *ret_refusal)
{
	struct framing framing = { 0 };

	for (size_t i = 0; i < head->request.header_count; i++) {
		if (!take_header(head, &head->headers[i], &framing, ret_refusal))
			return false;
		head->headers[i].value = slice_trim(head->headers[i].value);
	}
	if (framing.lengths + framing.codings > 1)
		return http_parse_refuse(ret_refusal, 400,
					 "the length of the body is given more than once");
	if (framing.hosts > 1 || (framing.hosts == 0 && !head->http_1_0))
		return http_parse_refuse(ret_refusal, 400, "there must be one Host header");
	return true;
}

bool http_parse_head(struct http_head *head, struct slice bytes, char *path_room,
		     struct http_refusal *ret_refusal)
{
	llhttp_t parser;
	llhttp_errno_t code;

	head->request = (struct http_request){ .headers = head->headers };
	head->chunked = false;
	head->expects_continue = false;
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = head;
	code = llhttp_execute(&parser, bytes.ptr, bytes.len);
	if (code != HPE_PAUSED)
		return refuse_llhttp(code, &parser, bytes, ret_refusal);
	head->http_1_0 = parser.http_minor == 0;
	head->keep_alive = llhttp_should_keep_alive(&parser)
			   && !(parser.flags & F_CONNECTION_CLOSE);
	head->request.method = method_of(&parser);
	return check_target(head, &parser, ret_refusal)
	       && split_target(head, path_room, ret_refusal)
	       && take_headers(head, ret_refusal);
}

bool http_check_body(const struct http_head *head, const struct http_limits *limits,
		     struct http_refusal *ret_refusal)
{
	struct slice expect = http_header(&head->request, "expect");

	if (head->request.coding == HTTP_CODING_OTHER && limits->packed_bodies)
		return http_parse_refuse(
			ret_refusal, 415,
			"the Content-Encoding of a body is gzip or zstd, or there is none");
	if (head->request.coding != HTTP_CODING_NONE && !limits->packed_bodies)
		return http_parse_refuse(ret_refusal, 415,
					 "bodies are taken without Content-Encoding only");
	if (expect.ptr && !head->http_1_0 && !head->expects_continue)
		return http_parse_refuse(ret_refusal, 417,
					 "the only expectation met is 100-continue");
	if (head->request.content_length > 0
	    && (uint64_t)head->request.content_length > limits->body_bytes_max)
		return http_parse_refuse(ret_refusal, 413, "the body is too large");
	return true;
}
