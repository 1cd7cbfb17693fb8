#include "net/aws_msk.h"

#include "base/base64.h"
#include "net/sigv4.h"

#include <stdio.h>

/* Where a pair begins in a query in canonical form, with its "&": no value has one. */
static size_t aws_msk_find(struct slice query, const char *pair)
{
	const char *at = memmem(query.ptr, query.len, pair, strlen(pair));

	return at ? (size_t)(at - query.ptr) : query.len;
}

/* As AWS's signers for Kafka have it on the wire: a session's token comes behind the names of what
 * is signed. (For the signature all of it is sorted.) */
static void aws_msk_put_query(struct buf *url, struct slice query)
{
	size_t token = aws_msk_find(query, "&X-Amz-Security-Token=");
	size_t names = aws_msk_find(query, "&X-Amz-SignedHeaders=");
	size_t signature = aws_msk_find(query, "&X-Amz-Signature=");

	if (token > names)
		token = names;
	buf_add(url, query.ptr, token);
	buf_add(url, query.ptr + names, signature - names);
	buf_add(url, query.ptr + token, names - token);
	buf_add_slice(url, slice_from(query, signature));
}

static enum err_code aws_msk_presign(const struct aws_keys *keys, const char *region, int64_t now_s,
				     struct slice host, struct buf *query, struct err *err)
{
	char nothing[SIGV4_HASH_LEN + 1];
	struct sigv4_pair headers[] = { { slice_str("host"), host } };
	struct sigv4_request request = {
		.method = slice_str("GET"),
		.path = slice_str("/"),
		.query = slice_str("Action=kafka-cluster%3AConnect"),
		.headers = headers,
		.header_count = 1,
		.path_rule = SIGV4_PATH_TWICE,
	};
	struct sigv4_key key = { slice_str(keys->id), slice_str(keys->secret),
				 slice_str(keys->token) };
	struct sigv4_scope scope = { slice_str(region), slice_str("kafka-cluster") };

	sigv4_hash(slice_str(""), nothing);
	request.payload = slice_str(nothing);
	return sigv4_presign(&request, &key, &scope, now_s, AWS_MSK_TOKEN_S, query, err);
}

enum err_code aws_msk_token(const struct aws_keys *keys, const char *region, const char *agent,
			    int64_t now_s, struct buf *out, int64_t *ret_expires_s, struct err *err)
{
	int64_t expires_s = now_s + AWS_MSK_TOKEN_S;
	char host[AWS_REGION_MAX + sizeof("kafka..amazonaws.com")];
	struct buf query, url;
	enum err_code code;

	(void)snprintf(host, sizeof(host), "kafka.%s.amazonaws.com", region);
	buf_init(&query, AWS_MSK_TOKEN_MAX / 2);
	buf_init(&url, AWS_MSK_TOKEN_MAX / 2);
	code = aws_msk_presign(keys, region, now_s, slice_str(host), &query, err);
	if (code == ERR_OK) {
		buf_addf(&url, "https://%s/?", host);
		aws_msk_put_query(&url, buf_slice(&query));
		buf_add_str(&url, "&User-Agent=");
		sigv4_encode(&url, slice_str(agent), false);
		base64_put_url(out, buf_slice(&url));
		if (buf_full(&query) || buf_full(&url) || buf_full(out))
			code = err_set(err, ERR_LIMIT, "a token for MSK is too long");
	}
	if (code == ERR_OK)
		*ret_expires_s = keys->expires_s > 0 && keys->expires_s < expires_s
					 ? keys->expires_s
					 : expires_s;
	buf_release(&query);
	buf_release(&url);
	return code;
}

/* "kafka.eu-west-1.amazonaws.com" and "kafka-serverless.…", also of China (".com.cn"). */
static bool aws_msk_region_at(const char *at, size_t len, char ret_region[AWS_REGION_MAX + 1])
{
	static const char domain[] = ".amazonaws.com";
	const char *region, *end;

	if (strncmp(at, ".kafka.", 7) != 0 && strncmp(at, ".kafka-serverless.", 18) != 0)
		return false;
	region = strchr(at + 1, '.') + 1;
	end = memmem(region, len - (size_t)(region - at), domain, sizeof(domain) - 1);
	if (!end || end == region || end - region > AWS_REGION_MAX ||
	    memchr(region, '.', (size_t)(end - region)))
		return false;
	(void)snprintf(ret_region, AWS_REGION_MAX + 1, "%.*s", (int)(end - region), region);
	return true;
}

bool aws_msk_region(const char *servers, char ret_region[AWS_REGION_MAX + 1])
{
	while (*servers) {
		size_t len = strcspn(servers, ",");

		for (size_t i = 0; i < len; i++)
			if (aws_msk_region_at(servers + i, len - i, ret_region))
				return true;
		servers += len + (servers[len] == ',');
	}
	return false;
}
