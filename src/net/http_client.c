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
