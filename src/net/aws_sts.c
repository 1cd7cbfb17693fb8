/* aws_sts.c - keys of a role, which STS lends for other keys or for the token of a web identity. */
#include "net/aws_source.h"

#include "base/file.h"
#include "base/time.h"
#include "base/xml.h"
#include "net/aws_client.h"
#include "net/aws_config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

enum {
	AWS_STS_CONNECT_MS = 3000,
	AWS_STS_TRY_MS = 10000,
	AWS_STS_DEADLINE_MS = 20000,
	AWS_STS_TRIES = 4,
	AWS_STS_REPLY_MAX = 64 << 10,
	AWS_STS_FORM_MAX = 64 << 10,
	AWS_WEB_TOKEN_MAX = 32 << 10,
};

static void aws_form_add(struct buf *form, const char *name, struct slice value)
{
	if (form->len > 0)
		buf_add_char(form, '&');
	buf_addf(form, "%s=", name);
	sigv4_encode(form, value, false);
}

/* A name that is in the account's trail afterwards. */
static void aws_add_session(struct buf *form, const char *session)
{
	char made[64];

	if (!session)
		session = aws_env("AWS_ROLE_SESSION_NAME");
	if (!session) {
		(void)snprintf(made, sizeof(made), "pinpipe-%" PRId64, clock_wall_ms() / 1000);
		session = made;
	}
	aws_form_add(form, "RoleSessionName", slice_str(session));
}

static enum err_code aws_add_web_token(struct buf *form, const char *path, struct err *err)
{
	enum err_code code;
	struct buf token;

	buf_init(&token, AWS_WEB_TOKEN_MAX);
	code = file_read(AT_FDCWD, path, &token, path, err);
	while (token.len > 0 && strchr(" \t\r\n", token.ptr[token.len - 1]))
		token.len--;
	if (code != ERR_OK)
		err->code = code = ERR_USAGE;
	else if (token.len == 0)
		code = err_set(err, ERR_USAGE, "\"%s\" has no token", path);
	else
		aws_form_add(form, "WebIdentityToken", buf_slice(&token));
	buf_release(&token);
	return code;
}

static enum err_code aws_put_form(struct buf *form, const struct aws_role *role, struct err *err)
{
	enum err_code code = ERR_OK;

	aws_form_add(form, "Action", slice_str(role->token_file ? "AssumeRoleWithWebIdentity" :
								   "AssumeRole"));
	aws_form_add(form, "Version", slice_str("2011-06-15"));
	aws_form_add(form, "RoleArn", slice_str(role->arn));
	aws_add_session(form, role->session);
	if (role->duration_s)
		aws_form_add(form, "DurationSeconds", slice_str(role->duration_s));
	if (role->external_id && !role->token_file)
		aws_form_add(form, "ExternalId", slice_str(role->external_id));
	if (role->token_file)
		code = aws_add_web_token(form, role->token_file, err);
	if (code == ERR_OK && buf_full(form))
		code = err_set(err, ERR_LIMIT, "a request for a role is too long");
	return code;
}

/* What STS gives, as texts. */
struct aws_lent {
	char id[AWS_KEY_ID_MAX + 1];
	char secret[AWS_SECRET_MAX + 1];
	char token[AWS_TOKEN_MAX + 1];
	char expires[64];
};

static bool aws_on_lent_element(void *user, const char *path, struct slice text)
{
	struct aws_lent *lent = user;
	const struct {
		const char *end;
		char *to;
		size_t room;
	} fields[] = {
		{ "/Credentials/AccessKeyId", lent->id, sizeof(lent->id) },
		{ "/Credentials/SecretAccessKey", lent->secret, sizeof(lent->secret) },
		{ "/Credentials/SessionToken", lent->token, sizeof(lent->token) },
		{ "/Credentials/Expiration", lent->expires, sizeof(lent->expires) },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t len = strlen(fields[i].end), path_len = strlen(path);

		/* Cut off they would be other keys. */
		if (path_len > len && !strcmp(path + path_len - len, fields[i].end) &&
		    text.len < fields[i].room) {
			memcpy(fields[i].to, text.ptr, text.len);
			fields[i].to[text.len] = '\0';
		}
	}
	return true;
}

static enum err_code aws_take_lent(const struct aws_call *call, const char *place,
				   struct aws_keys *ret_keys, struct err *err)
{
	struct aws_lent lent = { 0 };
	enum err_code code = xml_read(buf_slice(&call->reply), aws_on_lent_element, &lent, err);

	if (code != ERR_OK)
		code = err->code = ERR_USAGE;	/* it is no token service that was asked */
	else
		code = aws_keys_set(ret_keys, slice_str(lent.id), slice_str(lent.secret),
				    slice_str(lent.token), place, err);
	if (code == ERR_OK && !aws_time_read(slice_str(lent.expires), &ret_keys->expires_s))
		code = err_set(err, ERR_USAGE, "%s: \"%s\" is no time", place, lent.expires);
	explicit_bzero(&lent, sizeof(lent));
	return code;
}

static const char *aws_sts_region(const struct aws_role *role)
{
	const char *region = role->region;

	if (!region)
		region = aws_env("AWS_REGION");
	if (!region)
		region = aws_env("AWS_DEFAULT_REGION");
	return region ? region : "us-east-1";
}

static enum err_code aws_sts_open(const struct aws_role *role, struct aws_credentials *source,
				  struct aws_client **ret_client, struct err *err)
{
	struct aws_client_options options = {
		.service = "sts", .region = aws_sts_region(role), .credentials = source,
		.calls_max = 1, .connect_ms = AWS_STS_CONNECT_MS, .try_ms = AWS_STS_TRY_MS,
		.tries_max = AWS_STS_TRIES,
	};
	enum err_code code;
	struct buf url;

	buf_init(&url, 1024);
	code = aws_endpoint_url(role->profile, "sts", &url, err);
	if (code == ERR_OK)
		options.endpoint = buf_cstr(&url);
	if (code == ERR_OK || code == ERR_ABSENT)
		code = aws_client_new(&options, ret_client, err);
	buf_release(&url);
	return code;
}

static enum err_code aws_sts_call(struct aws_client *client, const struct aws_role *role,
				  const char *place, struct aws_keys *ret_keys, struct err *err)
{
	static const struct sigv4_pair type = { { "Content-Type", 12 },
						{ "application/x-www-form-urlencoded", 33 } };
	enum err_code code;
	struct aws_call call;
	struct buf form;

	aws_call_init(&call, AWS_STS_REPLY_MAX);
	buf_init(&form, AWS_STS_FORM_MAX);
	code = aws_put_form(&form, role, err);
	if (code == ERR_OK) {
		call.method = "POST";
		call.headers = &type;
		call.header_count = 1;
		call.body = buf_slice(&form);
		call.repeat = AWS_REPEAT_READS;
		call.deadline_ms = AWS_STS_DEADLINE_MS;
		code = aws_call(client, &call, err);
		/* What it does not give it does not give. */
		if (code != ERR_OK && call.status / 100 == 4 && code != ERR_BUSY)
			code = err->code = ERR_AUTH;
	}
	if (code == ERR_OK)
		code = aws_take_lent(&call, place, ret_keys, err);
	buf_release(&form);
	aws_call_release(&call);
	return code;
}

enum err_code aws_role_read(const struct aws_role *role, const struct aws_keys *source,
			    struct aws_keys *ret_keys, struct err *err)
{
	struct aws_credentials *credentials = NULL;
	struct aws_client *client = NULL;
	char place[sizeof(ret_keys->place)];
	enum err_code code;

	(void)snprintf(place, sizeof(place), "the role %s", role->arn);
	if (!role->token_file)
		credentials = aws_credentials_fixed(source->id, source->secret, source->token);
	code = aws_sts_open(role, credentials, &client, err);
	if (code == ERR_OK)
		code = aws_sts_call(client, role, place, ret_keys, err);
	if (code != ERR_OK)
		(void)err_prefix(err, "%s", place);
	aws_client_free(client);
	aws_credentials_free(credentials);
	return code;
}
