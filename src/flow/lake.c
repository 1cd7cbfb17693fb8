#include "flow/lake.h"

#include <inttypes.h>
#include <stdio.h>

const char *const lake_table_name[LAKE_TABLES] = { "pin", "geo", "user" };

static const char objects[] = "topics";
static const char letters[] = "dlq";

void lake_topic_name(struct buf *out, enum topic_kind kind, const char *id, enum lake_table table)
{
	const char *name = lake_table_name[table];

	buf_clear(out);
	if (kind == TOPIC_STREAM)
		buf_addf(out, "streaming-%s-%s", id, name);
	else
		buf_addf(out, "%s.%s", id, name);
}

void lake_app_id(char app_id[LAKE_APP_ID_MAX], enum topic_kind kind, const char *topic,
		 int32_t partition, const char *uid)
{
	char text[PARTITION_TEXT_MAX];

	(void)partition_text(kind, partition, text);
	if (kind == TOPIC_LOG)
		(void)snprintf(app_id, LAKE_APP_ID_MAX, "pinpipe/batch/%s/%s", topic, text);
	else
		(void)snprintf(app_id, LAKE_APP_ID_MAX, "pinpipe/stream/%s/%s/%s", topic, text, uid);
}

void lake_table_root(struct buf *out, enum topic_kind kind, const char *id, enum lake_table table)
{
	buf_clear(out);
	buf_addf(out, "tables/%s_%s_%s", id, lake_table_name[table],
		 kind == TOPIC_STREAM ? "table" : "clean");
}

static void put_prefix(struct buf *out, const char *place, enum topic_kind kind, const char *topic,
		       int32_t partition)
{
	char part[PARTITION_TEXT_MAX];

	(void)partition_text(kind, partition, part);
	buf_clear(out);
	buf_addf(out, "%s/%s/partition=%s/%s+%s+", place, topic, part, topic, part);
}

void lake_object_prefix(struct buf *out, const char *topic, int32_t partition)
{
	put_prefix(out, objects, TOPIC_LOG, topic, partition);
}

void lake_object_key(struct buf *out, const char *topic, int32_t partition, uint64_t start)
{
	lake_object_prefix(out, topic, partition);
	buf_addf(out, "%010" PRIu64 ".json", start);
}

void lake_dlq_prefix(struct buf *out, enum topic_kind kind, const char *topic, int32_t partition)
{
	put_prefix(out, letters, kind, topic, partition);
}

void lake_dlq_key(struct buf *out, enum topic_kind kind, const char *topic, int32_t partition,
		  uint64_t start)
{
	lake_dlq_prefix(out, kind, topic, partition);
	buf_addf(out, "%010" PRIu64 ".ndjson", start);
}

/* The text between two marks; `rest` moves behind it. False: `end` is not there. */
static bool take_until(struct slice *rest, char end, struct slice *ret)
{
	const char *at = memchr(rest->ptr, end, rest->len);

	if (!at)
		return false;
	*ret = slice_of(rest->ptr, (size_t)(at - rest->ptr));
	*rest = slice_from(*rest, ret->len + 1);
	return true;
}

/* Ten digits or, without a zero in front, more. */
static bool lake_parse_start(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.len < 10 || text.len > 19 || (text.len > 10 && text.ptr[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	*ret = value;
	return true;
}

/* <place>/<topic>/partition=<p>/<topic>+<p>+<start>.<extension>, nothing else. */
static bool lake_parse(const char *key, const char *place, const char *extension,
		       enum topic_kind kind, struct slice *ret_topic, int32_t *ret_partition,
		       uint64_t *ret_start)
{
	struct slice rest = slice_str(key);
	struct slice topic, part, text;
	int32_t partition;
	uint64_t start;

	if (!take_until(&rest, '/', &text) || !slice_is(text, place) ||
	    !take_until(&rest, '/', &topic) || !take_until(&rest, '=', &text) ||
	    !slice_is(text, "partition") || !take_until(&rest, '/', &part) ||
	    !partition_parse(kind, part, &partition))
		return false;
	if (!take_until(&rest, '+', &text) || !slice_eq(text, topic) ||
	    !take_until(&rest, '+', &text) || !slice_eq(text, part) ||
	    !take_until(&rest, '.', &text) || !lake_parse_start(text, &start) ||
	    !slice_is(rest, extension))
		return false;
	*ret_topic = topic;
	*ret_partition = partition;
	*ret_start = start;
	return true;
}

bool lake_object_parse(const char *key, struct slice *ret_topic, int32_t *ret_partition,
		       uint64_t *ret_start)
{
	return lake_parse(key, objects, "json", TOPIC_LOG, ret_topic, ret_partition, ret_start);
}

bool lake_dlq_parse(const char *key, enum topic_kind kind, struct slice *ret_topic,
		    int32_t *ret_partition, uint64_t *ret_start)
{
	return lake_parse(key, letters, "ndjson", kind, ret_topic, ret_partition, ret_start);
}
