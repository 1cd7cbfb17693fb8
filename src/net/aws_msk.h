/*
 * aws_msk.h - the token with which a client of Kafka tells Amazon MSK who it is
 * by IAM (SASL's OAUTHBEARER).
 *
 *	token	base64url, without "=", of the URL that follows
 *	URL	https://kafka.REGION.amazonaws.com/?Action=kafka-cluster:Connect, presigned
 *		for the service "kafka-cluster", and behind the signature "&User-Agent=…"
 *
 * It is what AWS's own signers make, to the byte: the brokers have AWS verify that
 * URL, and nobody asks for it.
 *
 * Threads: any. Ownership: all is borrowed for the call.
 */
#ifndef NET_AWS_MSK_H
#define NET_AWS_MSK_H

#include "net/aws_credentials.h"

enum {
	AWS_MSK_TOKEN_S = 900, /* how long a broker takes it */
	AWS_MSK_TOKEN_MAX = 64 << 10,
};

/*
 * Appends the token. `agent`: "name/version", for AWS's own records. *ret_expires_s: Unix time from
 * which it is of no use: after AWS_MSK_TOKEN_S, or sooner, with the keys themselves.
 */
MUST_USE enum err_code aws_msk_token(const struct aws_keys *keys, const char *region,
				     const char *agent, int64_t now_s, struct buf *out,
				     int64_t *ret_expires_s, struct err *err);

/* The region that a name of MSK's in "host:port,host:port" has in it:
 * "b-1.demo.a1b2c3.c2.kafka.eu-west-1.amazonaws.com". False: no name is one of MSK's. */
bool aws_msk_region(const char *servers, char ret_region[AWS_REGION_MAX + 1]);

#endif
