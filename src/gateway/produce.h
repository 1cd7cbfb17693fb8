/*
 * produce.h - the body of a produce request as records: of Kafka REST v2 (spec:
 * kafka-rest v2, "Produce"), or JSON without that form.
 *
 * PRODUCE_JSON, PRODUCE_BINARY
 *
 *	{"records":[{"key":any,"value":any,"partition":0}, …],
 *	 "key_schema":…, "key_schema_id":…, "value_schema":…, "value_schema_id":…}
 *
 * JSON format: key and value are kept as compact JSON text, member order,
 * repeated names, escapes and digits of numbers as the client wrote them (the
 * original renders them again, which turns 1.10 into 1.1 and 1e400 into an
 * error). Binary format: base64 of the bytes. Absent or null: null.
 * The schema members are taken and mean nothing in these formats.
 *
 * PRODUCE_LINES: each line is a JSON object and a record, whatever its members
 * are; lines of blanks are none.
 *
 * PRODUCE_PLAIN, where clients send JSON for want of another type:
 *
 *	{"records":[…]}		as PRODUCE_JSON, and as strict
 *	[{…}, {…}]		each object is a record
 *	{…}			is a record
 *
 * What may be meant either way is refused: an object with "records" beside
 * members of its own, or with "value" and no members but those of a record above.
 */
#ifndef GATEWAY_PRODUCE_H
#define GATEWAY_PRODUCE_H

#include "base/json.h"
#include "gateway/records.h"

enum produce_format { PRODUCE_JSON, PRODUCE_BINARY, PRODUCE_PLAIN, PRODUCE_LINES };

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
