/*
 * aws_config.h - the files that AWS's tools share: ~/.aws/credentials and ~/.aws/config.
 *
 *	[default]			[profile lake]		[services minio]
 *	aws_access_key_id = …		services = minio	s3 =
 *	region = eu-west-1		role_arn = …		  endpoint_url = http://…
 *
 * "profile" is said in the second file only, and of "default" not. Names of settings are
 * in any case; one that is indented is below the one before it: "s3.endpoint_url". Lines
 * that begin with # or ; are comments. Of a setting that is there twice the
 * last counts, and that of the credentials file before the other's.
 *
 * Threads: any may read; one makes and frees.
 */
#ifndef NET_AWS_CONFIG_H
#define NET_AWS_CONFIG_H

#include "base/buf.h"

struct aws_config;

/* Files that are not there are empty. ERR_USAGE: one cannot be read, or is none of these. */
MUST_USE enum err_code aws_config_load(struct aws_config **ret_config, struct err *err);
/* Accepts NULL. */
void aws_config_free(struct aws_config *config);
/* The profile's setting; NULL: it has none. An empty one is none. */
const char *aws_config_get(const struct aws_config *config, const char *profile, const char *name);
/* The same of a section [services NAME]. */
const char *aws_config_service(const struct aws_config *config, const char *services,
			       const char *name);
bool aws_config_has_profile(const struct aws_config *config, const char *profile);
/* Where it was looked for, for messages: "~/.aws/credentials, ~/.aws/config". */
const char *aws_config_places(const struct aws_config *config);

/* Whom to trust: AWS_CA_BUNDLE, or the profile's `ca_bundle`, to be freed; NULL: the system says.
 * ERR_USAGE: a file cannot be read. */
MUST_USE enum err_code aws_ca_bundle(char **ret_path, struct err *err);

/* `profile`, or AWS_PROFILE, AWS_DEFAULT_PROFILE, "default". */
const char *aws_profile_name(const char *profile);
/* Of the environment; NULL: not there, or empty. */
const char *aws_env(const char *name);

#endif
