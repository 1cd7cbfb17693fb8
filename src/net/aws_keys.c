#include "net/aws_source.h"

#include "base/json.h"

#include <stdio.h>
#include <time.h>

enum { AWS_KEYS_JSON_MAX = 64 << 10 };

static bool aws_fits(char *to, size_t max, struct slice text)
{
	/* They go into headers. */
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
			return false;
	if (text.len > max)
		return false;
	if (text.len > 0)
		memcpy(to, text.ptr, text.len);
	to[text.len] = '\0';
	return true;
}

enum err_code aws_keys_set(struct aws_keys *ret_keys, struct slice id, struct slice secret,
			   struct slice token, const char *place, struct err *err)
{
	*ret_keys = (struct aws_keys){ 0 };
	(void)snprintf(ret_keys->place, sizeof(ret_keys->place), "%s", place);
	if (id.len == 0 || secret.len == 0)
		return err_set(err, ERR_USAGE, "%s: a key without its secret, or a secret without its key",
			       place);
	if (!aws_fits(ret_keys->id, AWS_KEY_ID_MAX, id) ||
	    !aws_fits(ret_keys->secret, AWS_SECRET_MAX, secret) ||
	    !aws_fits(ret_keys->token, AWS_TOKEN_MAX, token))
		return err_set(err, ERR_USAGE, "%s: the key, its secret or its token is too long, or has blanks in it",
			       place);
	return ERR_OK;
}

/* "+01:00", "-0130" or "Z", to its end; false: none of these. */
static bool aws_zone_read(const char *text, int64_t *ret_s)
{
	int hours = 0, minutes = 0, end = 0;

	*ret_s = 0;
	if (!strcmp(text, "Z") || !strcmp(text, "z") || !*text)
		return true;
	if ((text[0] != '+' && text[0] != '-') ||
	    (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 &&
	     sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &end) != 2) ||
	    text[1 + end])
		return false;
	*ret_s = (hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
	return true;
}

bool aws_time_read(struct slice text, int64_t *ret_unix_s)
{
	char copy[64];
	struct tm tm = { 0 };
	const char *rest;
	int64_t zone_s;

	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return false;
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (!aws_zone_read(rest, &zone_s))
		return false;
	*ret_unix_s = (int64_t)timegm(&tm) - zone_s;
	return true;
}

static struct slice aws_member(struct json root, const char *name)
{
	struct slice text = { 0 };
	struct json member;

	if (json_member(root, name, &member))
		(void)json_get_string(member, &text);
	return text;
}

static enum err_code aws_keys_of(struct aws_keys *ret_keys, struct json root,
				 const char *token_name, const char *place, struct err *err)
{
	struct slice code = aws_member(root, "Code"), message = aws_member(root, "Message");
	struct slice expires = aws_member(root, "Expiration");
	enum err_code result;

	if (code.len > 0 && !slice_is(code, "Success"))
		return err_set(err, ERR_AUTH, "%s: %.*s: %.*s", place, SLICE_ARG(code),
			       SLICE_ARG(message));
	result = aws_keys_set(ret_keys, aws_member(root, "AccessKeyId"),
			      aws_member(root, "SecretAccessKey"), aws_member(root, token_name),
			      place, err);
	if (result == ERR_OK && expires.len > 0 && !aws_time_read(expires, &ret_keys->expires_s))
		return err_set(err, ERR_USAGE, "%s: \"%.*s\" is no time", place,
			       SLICE_ARG(expires));
	return result;
}

enum err_code aws_keys_read_json(struct aws_keys *ret_keys, struct slice text,
				 const char *token_name, const char *place, struct err *err)
{
	struct json_parser *parser = json_parser_new(AWS_KEYS_JSON_MAX);
	struct json root;
	enum err_code code = json_parse(parser, text, &root, err);

	/* Of the text nothing is said: it has the secret. */
	if (code != ERR_OK || json_type(root) != JSON_OBJECT)
		code = err_set(err, ERR_USAGE, "%s: what it gives is no JSON object", place);
	else
		code = aws_keys_of(ret_keys, root, token_name, place, err);
	json_parser_free(parser);
	return code;
}
