/*
 * msk.h - clients that tell Amazon MSK by IAM who they are: those with
 * "sasl.mechanism: AWS_MSK_IAM", as Amazon's own documents call it.
 *
 * librdkafka knows no such mechanism: it is OAUTHBEARER with a token of
 * net/aws_msk.h, for the keys of net/aws_credentials.h. librdkafka asks for another when
 * four fifths of a token's time are over, and 10 s after one could not be had.
 *
 * All clients of the process share one chain of keys, as librdkafka hands over nothing
 * but what it calls opaque, which is its owner's.
 *
 * Threads: any.
 */
#ifndef BROKER_KAFKA_MSK_H
#define BROKER_KAFKA_MSK_H

#include "base/err.h"

#include <rdkafka.h>

/* Once all settings are in it. Changes nothing where the mechanism is another. ERR_USAGE: nothing
 * says in which region it is. */
MUST_USE enum err_code msk_conf(rd_kafka_conf_t *conf, struct err *err);
/* Of every client that was made of such settings: from now on it is given its tokens. */
void msk_started(rd_kafka_t *client);
/* A broker refused the client (RD_KAFKA_RESP_ERR__AUTHENTICATION): within a second or so the keys
 * are read anew, and it is given a token of these, on librdkafka's own thread: nobody waits here.
 * Nothing where the mechanism is another. */
void msk_refused(rd_kafka_t *client);

#endif
