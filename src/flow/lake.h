/*
 * lake.h - the names and contents of what lies in the lake.
 *
 *	topics/<topic>/partition=<p>/<topic>+<p>+<start offset, 10 digits>.json
 *	dlq/<topic>/partition=<p>/<topic>+<p>+<start offset, 10 digits>.ndjson
 *	tables/<id>_<table>_clean | <id>_<table>_table
 *	results/<analysis>.json|csv|parquet, results/runs/<run>.json
 *
 * The first line follows Confluent's S3 sink connector (DefaultPartitioner,
 * JsonFormat, schemaless). An object holds one value a line; the n-th line is
 * the record at start offset + n, without a gap, so the object itself tells
 * where it ends.
 *
 * A dead letter object holds one JSON object a line:
 *	{"topic":…,"partition":"0","offset":"00000000000000000005","stage":"sink|batch|stream",
 *	 "reason":…,"timestamp_ms":…,"value":"<base64 of the raw bytes>"}  (value null: a tombstone)
 * and is named by the ordinal of its first entry. Of a stream, <p> is the shard
 * ("shardId-000000000000") and offset the sequence number.
 */
#ifndef FLOW_LAKE_H
#define FLOW_LAKE_H

#include "base/buf.h"
#include "broker/broker.h"
#include "store/store.h"

/* The three tables of the pipeline, in the order pin, geo, user. */
enum lake_table { LAKE_PIN, LAKE_GEO, LAKE_USER, LAKE_TABLES };
extern const char *const lake_table_name[LAKE_TABLES];	/* "pin", "geo", "user" */

/* "<id>.pin" or "streaming-<id>-pin". */
void lake_topic_name(struct buf *out, enum topic_kind kind, const char *id, enum lake_table table);
/* "tables/<id>_pin_clean" of the batch path, "tables/<id>_pin_table" of the streaming path. */
void lake_table_root(struct buf *out, enum topic_kind kind, const char *id, enum lake_table table);

enum { LAKE_APP_ID_MAX = TOPIC_NAME_MAX + 80 };
/*
 * The id under which a table's `txn` says how far a partition is: "pinpipe/batch/<topic>/<partition>",
 * "pinpipe/stream/<stream>/<shard>/<uid of the stream>". The batch path reads objects, which tell no uid.
 */
void lake_app_id(char app_id[LAKE_APP_ID_MAX], enum topic_kind kind, const char *topic,
		 int32_t partition, const char *uid);

/*
 * Keys end up in `out`, which is cleared first. Start offsets of more than ten digits are simply
 * longer, so from there on the order of keys is not that of offsets.
 */
void lake_object_prefix(struct buf *out, const char *topic, int32_t partition);
void lake_object_key(struct buf *out, const char *topic, int32_t partition, uint64_t start);
/* False: not the name of an object of the lake. */
bool lake_object_parse(const char *key, struct slice *ret_topic, int32_t *ret_partition,
		       uint64_t *ret_start);
void lake_dlq_prefix(struct buf *out, enum topic_kind kind, const char *topic, int32_t partition);
void lake_dlq_key(struct buf *out, enum topic_kind kind, const char *topic, int32_t partition,
		  uint64_t start);
/* False: not the name of dead letters of this kind of topic. */
bool lake_dlq_parse(const char *key, enum topic_kind kind, struct slice *ret_topic,
		    int32_t *ret_partition, uint64_t *ret_start);

#endif
