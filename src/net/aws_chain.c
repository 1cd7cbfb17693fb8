/* aws_chain.c - the places that keys come from, in their order. */
#include "net/aws_source.h"

#include "base/mem.h"
#include "net/aws_config.h"

enum { AWS_ROLES_MAX = 5 };

static struct slice aws_slice_of(const char *text)
{
	return text ? slice_str(text) : slice_of(NULL, 0);
}

static enum err_code aws_environment_read(struct aws_keys *ret_keys, struct err *err)
{
	const char *id = aws_env("AWS_ACCESS_KEY_ID"), *secret = aws_env("AWS_SECRET_ACCESS_KEY");

	if (!id && !secret)
		return err_set(err, ERR_ABSENT, "the environment has no keys");
	return aws_keys_set(ret_keys, aws_slice_of(id), aws_slice_of(secret),
			    aws_slice_of(aws_env("AWS_SESSION_TOKEN")), "the environment", err);
}

static enum err_code aws_environment_role(struct aws_keys *ret_keys, struct err *err)
{
	struct aws_role role = { .arn = aws_env("AWS_ROLE_ARN"),
				 .token_file = aws_env("AWS_WEB_IDENTITY_TOKEN_FILE") };

	if (!role.token_file)
		return err_set(err, ERR_ABSENT, "the environment has no web identity");
	if (!role.arn)
		return err_set(err, ERR_USAGE, "AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not");
	return aws_role_read(&role, NULL, ret_keys, err);
}

/* What a profile can want of other tools. */
static enum err_code aws_refuse_profile(const struct aws_config *config, const char *profile,
					struct err *err)
{
	static const struct {
		const char *setting;
		const char *what;
	} others[] = {
		{ "sso_session", "single sign-on" }, { "sso_start_url", "single sign-on" },
		{ "sso_account_id", "single sign-on" }, { "login_session", "a login session" },
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (aws_config_get(config, profile, others[i].setting))
			return err_set(err, ERR_UNSUPPORTED,
				       "the profile \"%s\" wants %s (%s), which is not supported: let "
				       "credential_process run \"aws configure export-credentials\"",
				       profile, others[i].what, others[i].setting);
	return err_set(err, ERR_ABSENT, "the profile \"%s\" has no keys", profile);
}

/* Keys that the profile has itself. */
static enum err_code aws_profile_own(const struct aws_config *config, const char *profile,
				     struct aws_keys *ret_keys, struct err *err)
{
	const char *id = aws_config_get(config, profile, "aws_access_key_id");
	const char *secret = aws_config_get(config, profile, "aws_secret_access_key");
	const char *token = aws_config_get(config, profile, "aws_session_token");
	const char *command = aws_config_get(config, profile, "credential_process");
	char place[sizeof(ret_keys->place)];

	(void)snprintf(place, sizeof(place), "the profile \"%s\"", profile);
	if (id || secret)
		return aws_keys_set(ret_keys, aws_slice_of(id), aws_slice_of(secret),
				    aws_slice_of(token), place, err);
	if (!command)
		return aws_refuse_profile(config, profile, err);
	if (aws_process_read(command, ret_keys, err) != ERR_OK)
		return err_prefix(err, "%s", place);
	return ERR_OK;
}

static enum err_code aws_named_source(const char *name, const char *profile,
				      struct aws_keys *ret_keys, struct err *err)
{
	enum err_code code;

	if (!strcmp(name, "Environment"))
		code = aws_environment_read(ret_keys, err);
	else if (!strcmp(name, "EcsContainer"))
		code = aws_container_read(ret_keys, err);
	else if (!strcmp(name, "Ec2InstanceMetadata"))
		code = aws_machine_read(ret_keys, err);
	else
		code = err_set(err, ERR_USAGE, "credential_source \"%s\" is none of Environment, EcsContainer, "
			       "Ec2InstanceMetadata", name);
	if (code == ERR_ABSENT)
		code = err->code = ERR_AUTH;
	return code == ERR_OK ? ERR_OK : err_prefix(err, "the profile \"%s\"", profile);
}

static enum err_code aws_fill_role(const struct aws_config *config, const char *profile,
				   struct aws_role *ret_role, struct err *err)
{
	*ret_role = (struct aws_role){
		.arn = aws_config_get(config, profile, "role_arn"),
		.session = aws_config_get(config, profile, "role_session_name"),
		.external_id = aws_config_get(config, profile, "external_id"),
		.duration_s = aws_config_get(config, profile, "duration_seconds"),
		.token_file = aws_config_get(config, profile, "web_identity_token_file"),
		.region = aws_config_get(config, profile, "region"),
		.profile = profile,
	};
	if (aws_config_get(config, profile, "mfa_serial"))
		return err_set(err, ERR_UNSUPPORTED,
			       "the profile \"%s\" wants a code of a device (mfa_serial), which is not supported",
			       profile);
	return ERR_OK;
}

/*
 * A profile with a role names the one whose keys ask for it, which may have a role in turn. Of
 * these roles, the last to be asked for first, and the keys that the first is asked for with.
 */
static enum err_code aws_find_roles(const struct aws_config *config, const char *profile,
				    struct aws_role roles[AWS_ROLES_MAX], size_t *ret_count,
				    struct aws_keys *ret_keys, struct err *err)
{
	*ret_count = 0;
	while (aws_config_get(config, profile, "role_arn")) {
		const char *next = aws_config_get(config, profile, "source_profile");
		const char *source = aws_config_get(config, profile, "credential_source");
		enum err_code code;

		if (*ret_count == AWS_ROLES_MAX)
			return err_set(err, ERR_USAGE,
				       "the profile \"%s\" is one of more than %d whose roles ask for each other",
				       profile, AWS_ROLES_MAX);
		code = aws_fill_role(config, profile, &roles[*ret_count], err);
		if (code != ERR_OK || roles[(*ret_count)++].token_file)
			return code;
		if (!next == !source)
			return err_set(err, ERR_USAGE,
				       "the profile \"%s\" has a role_arn, and %s source_profile and credential_source",
				       profile, next ? "both" : "none of");
		if (source)
			return aws_named_source(source, profile, ret_keys, err);
		if (!aws_config_has_profile(config, next))
			return err_set(err, ERR_USAGE,
				       "the source_profile \"%s\" of the profile \"%s\" is not there",
				       next, profile);
		if (!strcmp(next, profile))
			break;
		profile = next;
	}
	return aws_profile_own(config, profile, ret_keys, err);
}

static enum err_code aws_profile_read(const struct aws_config *config, const char *profile,
				      struct aws_keys *ret_keys, struct err *err)
{
	struct aws_role roles[AWS_ROLES_MAX];
	struct aws_keys source;
	size_t count;
	enum err_code code = aws_find_roles(config, profile, roles, &count, ret_keys, err);

	if (code == ERR_ABSENT && count > 0)
		return err->code = ERR_AUTH;
	while (code == ERR_OK && count > 0) {
		source = *ret_keys;
		code = aws_role_read(&roles[--count], &source, ret_keys, err);
	}
	explicit_bzero(&source, sizeof(source));
	return code;
}

static enum err_code aws_files_read(const char *profile, struct aws_keys *ret_keys,
				    struct err *err)
{
	bool named = profile || aws_env("AWS_PROFILE") || aws_env("AWS_DEFAULT_PROFILE");
	struct aws_config *config = NULL;
	enum err_code code = aws_config_load(&config, err);

	if (code != ERR_OK)
		return code;
	profile = aws_profile_name(profile);
	if (named && !aws_config_has_profile(config, profile))
		code = err_set(err, ERR_USAGE, "the profile \"%s\" is in none of %s", profile,
			       aws_config_places(config));
	else
		code = aws_profile_read(config, profile, ret_keys, err);
	aws_config_free(config);
	return code;
}

enum err_code aws_chain_read(const char *profile, struct aws_keys *ret_keys, struct err *err)
{
	char why[ERR_MSG_MAX / 2], other[ERR_MSG_MAX / 2];
	enum err_code code = ERR_ABSENT;

	if (!profile)
		code = aws_environment_read(ret_keys, err);
	if (!profile && code == ERR_ABSENT)
		code = aws_environment_role(ret_keys, err);
	if (code == ERR_ABSENT)
		code = aws_files_read(profile, ret_keys, err);
	if (code != ERR_ABSENT)
		return code;
	(void)snprintf(why, sizeof(why), "%s", err->msg);
	code = aws_container_read(ret_keys, err);
	if (code == ERR_ABSENT)
		code = aws_machine_read(ret_keys, err);
	if (code != ERR_ABSENT)
		return code;
	(void)snprintf(other, sizeof(other), "%s", err->msg);
	return err_set(err, ERR_AUTH,
		       "there are no AWS keys: none in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, %s, no "
		       "container's endpoint is set, and %s", why, other);
}
