/*
 * s3_configure.c - where a bucket is and how it is spoken to: the options, then
 * what AWS's own tools go by (net/aws_credentials.h), then AWS itself.
 */
#include "store/s3.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "net/curl_api.h"
#include "store/store_check.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

enum {
	CALLS_MAX = 32,
	CONNECT_MS = 3000,
	CALL_MS = 10000,
	TRIES_MAX = 8,			     /* some seconds; store_retry.c begins anew */
	ROOT_MAX = 1024 - STORE_KEY_MAX - 1, /* S3 allows keys of 1024 */
	BUCKET_MIN = 3,
	BUCKET_MAX = 63,
	URL_MAX = 2048,
	SMALL_BYTES = 2000, /* where a test wants parts of what is no large file */
};

static const char *text_or(const char *text, const char *otherwise)
{
	return text && *text ? text : otherwise;
}

static bool is_bucket(struct slice name)
{
	if (name.len < BUCKET_MIN || name.len > BUCKET_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];

		if (!islower(c) && !isdigit(c) && (i == 0 || !strchr("-._", c)))
			return false;
	}
	return true;
}

/* "s3://bucket/a/b/" */
static enum err_code take_url(struct s3 *s3, const char *url, struct err *err)
{
	const char *rest = url + strlen("s3://");
	struct slice bucket = slice_of(rest, strcspn(rest, "/"));
	struct buf root;
	enum err_code code = ERR_OK;

	if (!is_bucket(bucket))
		return err_set(
			err, ERR_USAGE,
			"\"%s\" is no place for objects: after s3:// comes the name of a bucket",
			url);
	s3->bucket = xstrndup(bucket.ptr, bucket.len);
	rest += bucket.len;
	rest += *rest == '/';
	buf_init(&root, STORE_KEY_MAX);
	buf_add_str(&root, rest);
	while (root.len > 0 && root.ptr[root.len - 1] == '/')
		root.len--;
	if (root.len > ROOT_MAX ||
	    (root.len > 0 && store_check_key(buf_cstr(&root), err) != ERR_OK))
		code = err_set(err, ERR_USAGE,
			       "\"%s\" is no place for objects: what comes after the bucket is "
			       "names with / between them, of at most %d bytes",
			       url, ROOT_MAX);
	if (root.len > 0)
		buf_add_char(&root, '/');
	s3->root = xstrdup(buf_cstr(&root));
	buf_release(&root);
	return code;
}

static enum err_code take_region(struct s3 *s3, const char *given, struct err *err)
{
	enum err_code code = ERR_OK;

	if (*given && strlen(given) <= AWS_REGION_MAX)
		(void)snprintf(s3->region, sizeof(s3->region), "%s", given);
	else if (*given)
		code = err_set(err, ERR_USAGE, "\"%.70s…\" is no name of a region", given);
	else
		code = aws_region(NULL, s3->region, err);
	if (code ==
	    ERR_ABSENT) { /* what AWS's tools take for S3, and servers of others do not look at */
		(void)snprintf(s3->region, sizeof(s3->region), "us-east-1");
		code = ERR_OK;
	}
	return code;
}

/* Into `out`: the options', the environment's or a profile's; "": AWS's own. */
static enum err_code take_endpoint(const char *given, struct buf *out, struct err *err)
{
	enum err_code code = ERR_OK;

	if (*given)
		buf_add_str(out, given);
	else
		code = aws_endpoint_url(NULL, "s3", out, err);
	while (out->len > 0 && out->ptr[out->len - 1] == '/')
		out->len--;
	if (code == ERR_OK && out->len > 0 && !slice_starts(buf_slice(out), "http://") &&
	    !slice_starts(buf_slice(out), "https://"))
		return err_set(err, ERR_USAGE, "the endpoint \"%s\" is no http or https URL",
			       buf_cstr(out));
	return code == ERR_ABSENT ? ERR_OK : code;
}

/* Names of buckets with dots do not fit AWS's certificates; servers of others have one name. */
static bool wants_path_style(const struct s3 *s3, const char *given, bool is_aws)
{
	if (strcmp(given, "auto") != 0)
		return strcmp(given, "true") == 0;
	return !is_aws || strchr(s3->bucket, '.');
}

static enum err_code take_place(struct s3 *s3, const char *endpoint, struct err *err)
{
	struct buf host, place;
	enum err_code code = ERR_OK;

	buf_init(&host, URL_MAX);
	buf_init(&place, 2 * URL_MAX);
	if (!*endpoint) {
		buf_add_str(&host, "https://");
		code = aws_host("s3", s3->region, &host, err);
		endpoint = buf_cstr(&host);
	}
	buf_addf(&place, "s3://%s/%s at %s", s3->bucket, s3->root, endpoint);
	if (code == ERR_OK)
		s3->place = xstrdup(buf_cstr(&place));
	buf_release(&place);
	buf_release(&host);
	return code;
}

static enum err_code new_client(struct s3 *s3, const char *endpoint, struct err *err)
{
	struct aws_client_options options = {
		.service = "s3",
		.region = s3->region,
		.endpoint = *endpoint ? endpoint : NULL,
		.calls_max = CALLS_MAX,
		.connect_ms = CONNECT_MS,
		.try_ms = s3->call_ms,
		.tries_max = TRIES_MAX,
	};

	/* Else it would be told of each call, as if that had failed. */
	if (curl_api_load(err) != ERR_OK)
		return err->code;
	s3->credentials = aws_credentials_new(NULL);
	options.credentials = s3->credentials;
	return aws_client_new(&options, &s3->client, err);
}

/* AWS's own variable for servers of others that refuse them. */
static bool wants_checksums(void)
{
	const char *given = getenv("AWS_REQUEST_CHECKSUM_CALCULATION");

	return !given || strcasecmp(given, "when_required") != 0;
}

enum err_code s3_configure(struct s3 *s3, const char *url, const struct store_options *options,
			   struct err *err)
{
	struct buf endpoint;
	enum err_code code = take_url(s3, url, err);

	buf_init(&endpoint, URL_MAX);
	s3->single_max = FAILPOINT("s3-small-parts") ? SMALL_BYTES : S3_SINGLE_MAX;
	s3->checksums = wants_checksums();
	s3->call_ms = options->call_ms > 0 ? options->call_ms : CALL_MS;
	s3->sse = xstrdup(text_or(options->sse, ""));
	s3->kms_key = xstrdup(text_or(options->kms_key, ""));
	if (code == ERR_OK && *s3->kms_key && strncmp(s3->sse, "aws:kms", strlen("aws:kms")) != 0)
		code = err_set(err, ERR_USAGE, "s3.kms_key is for s3.sse aws:kms");
	if (code == ERR_OK)
		code = take_region(s3, text_or(options->region, ""), err);
	if (code == ERR_OK)
		code = take_endpoint(text_or(options->endpoint, ""), &endpoint, err);
	if (code == ERR_OK)
		code = take_place(s3, buf_cstr(&endpoint), err);
	s3->path_style =
		code == ERR_OK &&
		wants_path_style(s3, text_or(options->path_style, "auto"), endpoint.len == 0);
	if (code == ERR_OK)
		code = new_client(s3, buf_cstr(&endpoint), err);
	buf_release(&endpoint);
	return code;
}
