/*
 * put_records.h - the bodies of PUT /streams/{s}/record and /records as
 * records, byte for byte as the API Gateway's templates make them (spec:
 * kinesis, section 5).
 *
 *	/record		{"Data":any, "PartitionKey":any}; Data is stored as compact
 *			JSON text, so a string keeps its quotes and escapes
 *	/records	{"records":[{"data":any, "partition-key":any}, …]}; data is
 *			printed by Velocity (velocity.h), so a string loses them
 *
 * The partition key is printed by Velocity in both. Other members, StreamName
 * among them, are ignored as there. What is absent is refused here, where the
 * templates would store their own source text.
 */
#ifndef GATEWAY_PUT_RECORDS_H
#define GATEWAY_PUT_RECORDS_H

#include "base/json.h"
#include "gateway/records.h"

enum { PUT_RECORDS_MAX = 500, PARTITION_KEY_CHARS_MAX = 256 };

/* ERR_SYNTAX: not JSON, a member repeated; ERR_SHAPE: not as above; ERR_LIMIT: a record of more
 * than `record_bytes_max`. One bad record refuses all of them, as Kinesis does. JSON_PADDING
 * bytes after the body may be read. */
MUST_USE enum err_code put_record_parse(struct json_parser *json, struct slice body,
					size_t record_bytes_max, struct records *records,
					struct err *err);
MUST_USE enum err_code put_records_parse(struct json_parser *json, struct slice body,
					 size_t record_bytes_max, struct records *records,
					 struct err *err);

#endif
