/*
 * kinesis.h - what the routes of /streams share: names, account, shards as
 * Kinesis shows them.
 */
#ifndef GATEWAY_KINESIS_H
#define GATEWAY_KINESIS_H

#include "broker/broker.h"
#include "gateway/call.h"

/* What stands for the account and region of AWS in names and messages. */
#define KINESIS_ACCOUNT "000000000000"
#define KINESIS_REGION "us-east-1"

/* The path's stream. False: answered. */
bool kinesis_name(struct call *call, char name[STREAM_NAME_MAX + 1]);
bool kinesis_describe(struct call *call, const char *name, struct topic_info *ret_info);
void kinesis_put_shard_id(struct buf *out, int32_t shard);		/* with quotes */
void kinesis_put_sequence(struct buf *out, struct position position);	/* with quotes */
void kinesis_put_hash_range(struct buf *out, const struct partition_info *shard);
/* Seconds with a fraction, as AWS writes times. */
void kinesis_put_time(struct buf *out, int64_t wall_ms);

#endif
