#include "net/aws_endpoint.h"

#include "base/mem.h"
#include "net/aws_client.h"

#include <strings.h>

/* The partitions of AWS, by how their regions begin; what begins otherwise is of the first. */
static const struct aws_partition {
	const char *regions;
	const char *domain;
} partitions[] = {
	{ "", "amazonaws.com" },
	{ "cn-", "amazonaws.com.cn" },
	{ "us-gov-", "amazonaws.com" },
	{ "us-iso-", "c2s.ic.gov" },
	{ "us-isob-", "sc2s.sgov.gov" },
	{ "us-isof-", "csp.hci.ic.gov" },
	{ "eu-isoe-", "cloud.adc-e.uk" },
	{ "eusc-", "amazonaws.eu" },
};

static const char *aws_domain(const char *region)
{
	const char *domain = partitions[0].domain;

	for (size_t i = 1; i < ARRAY_LEN(partitions); i++)
		if (!strncmp(region, partitions[i].regions, strlen(partitions[i].regions)))
			domain = partitions[i].domain;
	return domain;
}

static bool aws_is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

enum err_code aws_check_region(const char *region, struct err *err)
{
	size_t len = strlen(region);

	for (size_t i = 0; i < len; i++)
		if (!aws_is_host_char(region[i]))
			len = 0;
	if (len == 0 || len > AWS_REGION_MAX || region[0] == '-' || region[len - 1] == '-')
		return err_set(err, ERR_USAGE, "\"%s\" is no name of a region, such as \"eu-west-1\"",
			       region);
	return ERR_OK;
}

static bool aws_env_is_true(const char *name)
{
	const char *value = getenv(name);

	return value && !strcasecmp(value, "true");
}

enum err_code aws_host(const char *service, const char *region, struct buf *ret_host,
		       struct err *err)
{
	static const char *const others[] = { "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT" };
	enum err_code code = aws_check_region(region, err);

	if (code != ERR_OK)
		return code;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (aws_env_is_true(others[i]))
			return err_set(err, ERR_UNSUPPORTED,
				       "%s is not supported: give the endpoint itself", others[i]);
	buf_addf(ret_host, "%s.%s.%s", service, region, aws_domain(region));
	return ERR_OK;
}

static enum err_code aws_refuse_url(const char *url, struct err *err)
{
	/* A user's password may be in it. */
	return err_set(err, ERR_USAGE, "\"%s\" is no endpoint, such as \"https://host:port\"",
		       strchr(url, '@') ? "…@…" : url);
}

/* Of "host:443" the host, as clients put it into the header. */
static size_t aws_host_len(struct slice authority, bool secure)
{
	const char *usual = secure ? ":443" : ":80";
	size_t len = strlen(usual);

	if (authority.len > len && !memcmp(authority.ptr + authority.len - len, usual, len))
		return authority.len - len;
	return authority.len;
}

enum err_code aws_endpoint_read(const char *url, struct aws_endpoint *ret_endpoint,
				struct err *err)
{
	struct aws_endpoint endpoint = { .secure = !strncasecmp(url, "https://", 8) };
	struct slice authority;
	const char *path;
	size_t len;

	if (!endpoint.secure && strncasecmp(url, "http://", 7) != 0)
		return aws_refuse_url(url, err);
	authority = slice_str(url + (endpoint.secure ? 8 : 7));
	authority.len = strcspn(authority.ptr, "/");
	path = authority.ptr + authority.len;
	for (size_t i = 0; url[i]; i++)
		if ((unsigned char)url[i] <= ' ' || (unsigned char)url[i] >= 0x7f ||
		    strchr("?#@\\%\"", url[i]))
			return aws_refuse_url(url, err);
	len = aws_host_len(authority, endpoint.secure);
	if (len == 0 || authority.ptr[0] == ':' || len >= sizeof(endpoint.host))
		return aws_refuse_url(url, err);
	memcpy(endpoint.host, authority.ptr, len);
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	if (len >= sizeof(endpoint.path))
		return aws_refuse_url(url, err);
	memcpy(endpoint.path, path, len);
	*ret_endpoint = endpoint;
	return ERR_OK;
}
