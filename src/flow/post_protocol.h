/*
 * post_protocol.h - the three ways in which the emulator hands over records:
 * how a request looks, and what an answer says about each of its records.
 *
 *	post_topic	POST <url><table>, Kafka REST Proxy v2 (kafka-rest 2)
 *	post_record	PUT <url><table>/record, API Gateway in front of Kinesis,
 *			one record (kinesis 5)
 *	post_records	PUT <url><table>/records, the same, up to 500
 */
#ifndef FLOW_POST_PROTOCOL_H
#define FLOW_POST_PROTOCOL_H

#include "base/buf.h"
#include "base/json.h"
#include "net/http_client.h"

enum post_outcome {
	POST_ACKNOWLEDGED,	/* the server vouches for it */
	POST_REFUSED,		/* and would refuse it again */
	POST_AGAIN,		/* not kept this time; send it again */
	POST_UNKNOWN,		/* perhaps kept; sending it again may double it */
};

struct post_record {
	struct slice value;	/* one JSON object, compact */
	uint64_t key;		/* the row's number; the partition key of streams */
};

struct post_protocol {
	const char *method;
	const char *suffix;	/* after the table's name */
	const char *content_type;
	uint32_t records_max;	/* of one request */
	void (*put_body)(struct buf *out, const char *stream, const struct post_record *records,
			 size_t count);
	/* False: the body is no answer about `count` records, so that only the status tells. Sets
	 * `why` if a record was not acknowledged. */
	bool (*read)(struct json body, enum post_outcome *ret_outcomes, size_t count,
		     struct err *why);
};

extern const struct post_protocol post_topic;
extern const struct post_protocol post_record;
extern const struct post_protocol post_records;

/* What became of the `count` records of an exchange that is done. `why` is set if one of them was
 * not acknowledged. */
void post_read(const struct post_protocol *protocol, struct json_parser *parser,
	       const struct http_exchange *exchange, size_t count,
	       enum post_outcome *ret_outcomes, struct err *why);

#endif
