/*
 * aws_credentials.h - whose keys requests to AWS are signed with: the chain of
 * places where AWS's own tools look, in their order.
 *
 *	1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *	   (not where a profile is named by the caller)
 *	2. AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: a role, by STS (the same exception)
 *	3. the profile (the caller's, AWS_PROFILE, "default") of the files
 *	   AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE (~/.aws/credentials, ~/.aws/config):
 *	   role_arn with source_profile, credential_source or web_identity_token_file, by
 *	   STS; aws_access_key_id and its like; credential_process
 *	4. AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, with
 *	   AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN
 *	5. the machine's metadata (IMDSv2), unless AWS_EC2_METADATA_DISABLED is "true"
 *
 * The first place that has something is the one; what is wrong with it is an
 * error and not a reason to take the next. SSO, login sessions, MFA and SAML are
 * not supported and named in the error where a profile wants them.
 *
 * Contract
 *	1. aws_credentials_get() gives keys that are good for some time yet: they are read
 *	   anew AWS_CREDENTIALS_EARLY_S before they run out, by the thread that comes
 *	   first, while others go on with those that there are.
 *	2. Where reading anew fails and the old ones have neither run out nor been refused, they
 *	   are given.
 *	   Once they have, the error is, and whoever asks within a second is told the same
 *	   one: the places are not stormed.
 *	3. ERR_AUTH: there are none, or the place refuses them; ERR_USAGE: a place is set up
 *	   wrongly; ERR_UNSUPPORTED: it is one that is not supported; ERR_BUSY: a
 *	   service does not answer for the moment. The message names the place.
 *
 * Nothing is read before the first call. The environment must not change while
 * a chain is in use.
 * Threads: any.
 */
#ifndef NET_AWS_CREDENTIALS_H
#define NET_AWS_CREDENTIALS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum {
	AWS_KEY_ID_MAX = 128,
	AWS_SECRET_MAX = 256,
	AWS_TOKEN_MAX = 8192,
	AWS_REGION_MAX = 63,
	AWS_CREDENTIALS_EARLY_S = 300,
};

struct aws_keys {
	char id[AWS_KEY_ID_MAX + 1];
	char secret[AWS_SECRET_MAX + 1];
	char token[AWS_TOKEN_MAX + 1];		/* "": none */
	int64_t expires_s;			/* Unix time; 0: never */
	uint64_t generation;			/* of the chain: grows with each reading */
	char place[80];				/* for people: "the environment" */
};

struct aws_credentials;

/* `profile` NULL: as the environment says. */
MUST_USE struct aws_credentials *aws_credentials_new(const char *profile);
/* Always these keys; for services that have keys of their own, and for tests. A token may be
 * NULL. */
MUST_USE struct aws_credentials *aws_credentials_fixed(const char *id, const char *secret,
						       const char *token);
/* Nobody may be in a call of it. Accepts NULL. */
void aws_credentials_free(struct aws_credentials *credentials);

/* May ask a service, for which it takes at most some seconds. */
MUST_USE enum err_code aws_credentials_get(struct aws_credentials *credentials,
					   struct aws_keys *ret_keys, struct err *err);
/* A service refused the keys of this generation: the next get() reads them anew, unless somebody
 * has since, or has tried to within the last second. */
void aws_credentials_refused(struct aws_credentials *credentials, uint64_t generation);

/*
 * Where requests go: AWS_REGION, AWS_DEFAULT_REGION, the profile's `region`. ERR_ABSENT: nobody
 * says; ERR_USAGE: what is said is no name of a region, or a file cannot be read.
 */
MUST_USE enum err_code aws_region(const char *profile, char ret_region[AWS_REGION_MAX + 1],
				  struct err *err);
/*
 * The endpoint that is set for a service ("s3"): AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, then of the
 * profile its `services` section and its endpoint_url; none of them if
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is "true". ERR_ABSENT: none is set, so it is AWS's own.
 */
MUST_USE enum err_code aws_endpoint_url(const char *profile, const char *service,
					struct buf *ret_url, struct err *err);

#endif
