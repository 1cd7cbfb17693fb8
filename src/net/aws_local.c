/* aws_local.c - keys of the container's agent and of the machine's metadata, near and over HTTP. */
#include "net/aws_source.h"

#include "base/file.h"
#include "base/time.h"
#include "net/aws_config.h"
#include "net/aws_endpoint.h"
#include "net/http_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <strings.h>

enum {
	AWS_LOCAL_CONNECT_MS = 1000,
	AWS_LOCAL_TOTAL_MS = 5000,
	AWS_LOCAL_TRIES = 3,
	AWS_LOCAL_WAIT_MS = 200,
	AWS_LOCAL_REPLY_MAX = 64 << 10,
	AWS_LOCAL_URL_MAX = 1024,
	AWS_LOCAL_HEADER_MAX = 9 << 10,
};

static const char container_place[] = "the container's endpoint";
static const char machine_place[] = "the machine's metadata";

/* ERR_OK: an answer of 200, in `reply`. *ret_status: of another answer, or 0. Proxies of the
 * environment are not for what is near, and the plain client knows none. */
static enum err_code aws_local_ask(const char *method, const char *url, const char *header,
				   struct buf *reply, int *ret_status, const char *place,
				   struct err *err)
{
	const struct http_client_options options = {
		.connections_max = 1, .connect_ms = AWS_LOCAL_CONNECT_MS,
		.total_ms = AWS_LOCAL_TOTAL_MS, .user_agent = "pinpipe/" PINPIPE_VERSION,
		.ca_file = aws_env("AWS_CA_BUNDLE"),
	};
	const char *headers[] = { header, NULL };
	struct http_exchange exchange = { .method = method, .url = url, .headers = headers };
	struct http_client *client = NULL;
	enum err_code code = http_client_new(&options, url, &client, err);
	bool soon;

	*ret_status = 0;
	exchange.reply = *reply;
	if (!strcmp(method, "PUT"))
		exchange.body = slice_of("", 0);
	if (code == ERR_OK)
		code = http_client_do(client, &exchange, err);
	if (code == ERR_OK && exchange.code != ERR_OK) {
		*err = exchange.err;
		code = exchange.code;
	}
	*reply = exchange.reply;
	http_client_free(client);
	if (code == ERR_OK && exchange.status != 200) {
		*ret_status = exchange.status;
		soon = exchange.status >= 500 || exchange.status == 429;
		code = err_set(err, soon ? ERR_BUSY : ERR_AUTH, "%s answered with %d", place,
			       exchange.status);
	}
	return code;
}

/* Again, where the answer was that it may be better soon. */
static enum err_code aws_local_ask_again(const char *method, const char *url, const char *header,
					 struct buf *reply, int *ret_status, const char *place,
					 struct err *err)
{
	enum err_code code = ERR_OK;

	for (int i = 0; i < AWS_LOCAL_TRIES; i++) {
		if (i > 0)
			clock_sleep_ms(AWS_LOCAL_WAIT_MS << i);
		code = aws_local_ask(method, url, header, reply, ret_status, place, err);
		if (code == ERR_OK || *ret_status == 0 || code != ERR_BUSY)
			break;
	}
	return code;
}

/* The token must not go over a network in clear text. */
static bool aws_is_near(const char *host)
{
	static const char *const names[] = {
		"localhost", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "[::1]",
	};
	char name[300];
	struct in_addr address;
	size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

	(void)snprintf(name, sizeof(name), "%.*s", (int)len, host);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcasecmp(name, names[i]))
			return true;
	return inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* ERR_ABSENT: the environment names none. */
static enum err_code aws_container_url(char ret_url[AWS_LOCAL_URL_MAX], struct err *err)
{
	const char *relative = aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	char origin[AWS_LOCAL_URL_MAX];
	struct aws_endpoint endpoint;
	enum err_code code;
	int len;

	if (!relative && !full)
		return err_set(err, ERR_ABSENT, "no container's endpoint is set");
	if (relative)
		len = snprintf(ret_url, AWS_LOCAL_URL_MAX, "http://169.254.170.2%s", relative);
	else
		len = snprintf(ret_url, AWS_LOCAL_URL_MAX, "%s", full);
	if (len >= AWS_LOCAL_URL_MAX || (relative && relative[0] != '/'))
		return err_set(err, ERR_USAGE,
			       "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI is too long or no path");
	(void)snprintf(origin, sizeof(origin), "%.*s", (int)strcspn(ret_url, "?"), ret_url);
	code = aws_endpoint_read(origin, &endpoint, err);
	if (code != ERR_OK)
		return err_prefix(err, "%s", container_place);
	if (!endpoint.secure && !aws_is_near(endpoint.host))
		return err_set(err, ERR_USAGE, "AWS_CONTAINER_CREDENTIALS_FULL_URI: \"%s\" is not near, and not https",
			       endpoint.host);
	return ERR_OK;
}

/* "": there is none. */
static enum err_code aws_container_header(char ret_header[AWS_LOCAL_HEADER_MAX], struct err *err)
{
	const char *path = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	enum err_code code = ERR_OK;
	struct buf text;

	buf_init(&text, AWS_TOKEN_MAX);
	if (path)
		code = file_read(AT_FDCWD, path, &text, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", err);
	else if (token)
		buf_add_str(&text, token);
	while (text.len > 0 && strchr("\r\n", text.ptr[text.len - 1]))
		text.len--;
	if (code != ERR_OK)
		code = err->code = ERR_USAGE;
	else if (strpbrk(buf_cstr(&text), "\r\n") || buf_full(&text))
		code = err_set(err, ERR_USAGE,
			       "the authorization token of the container has more than one line, or is too long");
	(void)snprintf(ret_header, AWS_LOCAL_HEADER_MAX, "%s%s", text.len > 0 ? "Authorization: " : "",
		       buf_cstr(&text));
	buf_release(&text);
	return code;
}

enum err_code aws_container_read(struct aws_keys *ret_keys, struct err *err)
{
	char url[AWS_LOCAL_URL_MAX], header[AWS_LOCAL_HEADER_MAX];
	enum err_code code = aws_container_url(url, err);
	struct buf reply;
	int status;

	if (code == ERR_OK)
		code = aws_container_header(header, err);
	if (code != ERR_OK)
		return code;
	buf_init(&reply, AWS_LOCAL_REPLY_MAX);
	code = aws_local_ask_again("GET", url, header[0] ? header : NULL, &reply, &status,
				   container_place, err);
	if (code == ERR_OK)
		code = aws_keys_read_json(ret_keys, buf_slice(&reply), "Token", container_place, err);
	else if (code != ERR_AUTH && status == 0)
		code = err->code = ERR_BUSY;	/* it is set up, so it is to be there */
	buf_release(&reply);
	return code;
}

static const char *aws_machine_origin(void)
{
	const char *endpoint = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");

	if (endpoint)
		return endpoint;
	return mode && !strcasecmp(mode, "ipv6") ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
}

static enum err_code aws_machine_ask(const char *method, const char *path, const char *header,
				     struct buf *reply, int *ret_status, struct err *err)
{
	const char *origin = aws_machine_origin();
	size_t len = strlen(origin);
	char url[AWS_LOCAL_URL_MAX];

	while (len > 0 && origin[len - 1] == '/')
		len--;
	if (snprintf(url, sizeof(url), "%.*s/latest/%s", (int)len, origin, path) >=
	    (int)sizeof(url)) {
		*ret_status = 0;
		return err_set(err, ERR_USAGE, "the URL of %s is too long", machine_place);
	}
	return aws_local_ask_again(method, url, header, reply, ret_status, machine_place, err);
}

/* The token of a session with the metadata, as the header that it goes into. */
static enum err_code aws_machine_token(struct buf *reply, char ret_header[AWS_LOCAL_HEADER_MAX],
				       struct err *err)
{
	int status;
	enum err_code code = aws_machine_ask("PUT", "api/token",
					     "X-aws-ec2-metadata-token-ttl-seconds: 21600", reply,
					     &status, err);

	if (code != ERR_OK && status == 0)
		return err_set(err, ERR_ABSENT, "%s does not answer", machine_place);
	if (code != ERR_OK)
		return code;
	if (reply->len > AWS_TOKEN_MAX || strpbrk(buf_cstr(reply), "\r\n"))
		return err_set(err, ERR_AUTH, "%s gives no token", machine_place);
	(void)snprintf(ret_header, AWS_LOCAL_HEADER_MAX, "X-aws-ec2-metadata-token: %s",
		       buf_cstr(reply));
	return ERR_OK;
}

/* The name of the machine's role is the first line of a list. */
static enum err_code aws_machine_role(const char *header, struct buf *reply,
				      char ret_path[AWS_LOCAL_URL_MAX], struct err *err)
{
	static const char list[] = "meta-data/iam/security-credentials/";
	int status;
	enum err_code code;

	buf_clear(reply);
	code = aws_machine_ask("GET", list, header, reply, &status, err);
	if (code != ERR_OK && status == 404)
		return err_set(err, ERR_ABSENT, "the machine has no role");
	if (code != ERR_OK)
		return code;
	(void)snprintf(ret_path, AWS_LOCAL_URL_MAX, "%s%.*s", list,
		       (int)strcspn(buf_cstr(reply), "\r\n"), buf_cstr(reply));
	if (!ret_path[strlen(list)] || strpbrk(ret_path + strlen(list), " ?#"))
		return err_set(err, ERR_ABSENT, "the machine has no role");
	return ERR_OK;
}

enum err_code aws_machine_read(struct aws_keys *ret_keys, struct err *err)
{
	const char *disabled = aws_env("AWS_EC2_METADATA_DISABLED");
	char header[AWS_LOCAL_HEADER_MAX], path[AWS_LOCAL_URL_MAX];
	enum err_code code;
	struct buf reply;
	int status;

	if (disabled && !strcasecmp(disabled, "true"))
		return err_set(err, ERR_ABSENT, "%s is disabled", machine_place);
	buf_init(&reply, AWS_LOCAL_REPLY_MAX);
	code = aws_machine_token(&reply, header, err);
	if (code == ERR_OK)
		code = aws_machine_role(header, &reply, path, err);
	buf_clear(&reply);
	if (code == ERR_OK)
		code = aws_machine_ask("GET", path, header, &reply, &status, err);
	if (code == ERR_OK)
		code = aws_keys_read_json(ret_keys, buf_slice(&reply), "Token", machine_place, err);
	buf_release(&reply);
	return code;
}
