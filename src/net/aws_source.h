/*
 * aws_source.h - the places that keys come from, each read once and at once, and
 * the chain of them (aws_credentials.h), which aws_credentials.c keeps the keys of.
 *
 * ERR_ABSENT: there is nothing of the kind here, so that the next place is asked. Other
 * codes are as in aws_credentials.h. Of the keys generation is not set.
 *
 * Threads: any.
 */
#ifndef NET_AWS_SOURCE_H
#define NET_AWS_SOURCE_H

#include "base/slice.h"
#include "net/aws_credentials.h"

/* The whole chain; never ERR_ABSENT. */
MUST_USE enum err_code aws_chain_read(const char *profile, struct aws_keys *ret_keys,
				      struct err *err);

/* What a command prints: JSON of Version 1, as credential_process has it. */
MUST_USE enum err_code aws_process_read(const char *command, struct aws_keys *ret_keys,
					struct err *err);
/* The endpoint that AWS_CONTAINER_CREDENTIALS_… name. */
MUST_USE enum err_code aws_container_read(struct aws_keys *ret_keys, struct err *err);
/* The role of the machine, by IMDSv2. ERR_ABSENT also where nobody answers. */
MUST_USE enum err_code aws_machine_read(struct aws_keys *ret_keys, struct err *err);

struct aws_role {
	const char *arn;
	const char *session;		/* NULL: one is made up */
	const char *external_id;	/* NULL: none */
	const char *duration_s;		/* NULL: STS's own */
	const char *token_file;		/* of a web identity; NULL: the source's keys sign */
	const char *region;		/* NULL: AWS_REGION, AWS_DEFAULT_REGION, us-east-1 */
	const char *profile;		/* whose endpoint_url counts; NULL: the usual one's */
};

/* `source` is not used with a token. */
MUST_USE enum err_code aws_role_read(const struct aws_role *role, const struct aws_keys *source,
				     struct aws_keys *ret_keys, struct err *err);

/* For tests: as if the keys had been read that much longer ago. */
void aws_credentials_age(struct aws_credentials *credentials, int64_t age_s);

/* Checks and copies; a null token is none. ERR_USAGE: they can be no keys. */
MUST_USE enum err_code aws_keys_set(struct aws_keys *ret_keys, struct slice id,
				    struct slice secret, struct slice token, const char *place,
				    struct err *err);
/* Out of JSON, where the token has that name. */
MUST_USE enum err_code aws_keys_read_json(struct aws_keys *ret_keys, struct slice text,
					  const char *token_name, const char *place,
					  struct err *err);
/* "2026-11-28T10:32:09Z", with a fraction and another zone or none; false: none of these. */
bool aws_time_read(struct slice text, int64_t *ret_unix_s);

#endif
