/*
 * produce.h - the body of a Kafka REST v2 produce request (spec: kafka-rest
 * v2, "Produce") as records.
 *
 *	{"records":[{"key":any,"value":any,"partition":0}, …],
 *	 "key_schema":…, "key_schema_id":…, "value_schema":…, "value_schema_id":…}
 *
 * JSON format: key and value are kept as compact JSON text, member order,
 * repeated names, escapes and digits of numbers as the client wrote them (the
 * original renders them again, which turns 1.10 into 1.1 and 1e400 into an
 * error). Binary format: base64 of the bytes. Absent or null: null.
 * The schema members are taken and mean nothing in these formats.
 */
#ifndef GATEWAY_PRODUCE_H
#define GATEWAY_PRODUCE_H

#include "base/json.h"
#include "gateway/records.h"

enum produce_format { PRODUCE_JSON, PRODUCE_BINARY };

/*
 * Records without a partition of their own get `partition`. ERR_SYNTAX: not
 * JSON, a member repeated; ERR_USAGE: not base64; ERR_SHAPE: anything else
 * that is not as above; ERR_LIMIT: too many records. The message says where.
 * JSON_PADDING bytes after the body may be read.
 */
MUST_USE enum err_code produce_parse(struct json_parser *json, struct slice body,
				     enum produce_format format, int32_t partition,
				     struct records *records, struct err *err);

#endif
