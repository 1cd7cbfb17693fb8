#include "net/http_client.h"

#include <strings.h>

enum err_code http_client_new(const struct http_client_options *options, const char *url,
			      struct http_client **ret_client, struct err *err)
{
	if (!strncasecmp(url, "http://", strlen("http://")))
		return http_client_wire_new(options, url, ret_client, err);
	if (!strncasecmp(url, "https://", strlen("https://")))
		return http_client_curl_new(options, ret_client, err);
	return err_set(err, ERR_USAGE, "\"%s\" is no http or https URL", url);
}

bool http_exchange_header(const struct http_exchange *exchange, const char *name,
			  struct slice *ret_value)
{
	struct slice rest = buf_slice(&exchange->reply_head);
	size_t len = strlen(name);

	while (rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t line = end ? (size_t)(end - rest.ptr) : rest.len;

		if (line >= len + 2 && strncasecmp(rest.ptr, name, len) == 0 &&
		    memcmp(rest.ptr + len, ": ", 2) == 0) {
			while (line > len + 2 && strchr(" \t", rest.ptr[line - 1]))
				line--;
			*ret_value = slice_of(rest.ptr + len + 2, line - len - 2);
			return true;
		}
		rest = slice_from(rest, end ? line + 1 : line);
	}
	return false;
}

void http_exchange_begin(struct http_exchange *exchange)
{
	buf_clear(&exchange->reply);
	buf_clear(&exchange->reply_head);
	exchange->reply_file_len = 0;
	exchange->status = 0;
	exchange->retry_after_s = 0;
}

enum err_code http_exchange_too_long(const struct http_exchange *exchange)
{
	return !strcmp(exchange->method, "GET") || !strcmp(exchange->method, "HEAD") ? ERR_LIMIT :
										       ERR_UNKNOWN;
}

static void mark_done(struct http_exchange *exchange)
{
	*(bool *)exchange->user = true;
}

enum err_code http_client_do(struct http_client *client, struct http_exchange *exchange,
			     struct err *err)
{
	enum err_code code;
	bool done = false;

	exchange->done = mark_done;
	exchange->user = &done;
	code = http_client_start(client, exchange, err);
	while (code == ERR_OK && !done)
		code = http_client_turn(client, 1000, err);
	return code;
}
