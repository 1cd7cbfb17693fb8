#include "flow/sink_partition.h"

#include "base/mem.h"
#include "base/time.h"
#include "broker/sequence.h"

#include <assert.h>

static_assert(offsetof(struct sink_partition, lane) == 0, "lane must be first");

struct sink_partition *sink_partition_new(const char *topic, int32_t id, size_t table,
					  size_t body_max)
{
	struct sink_partition *partition = xcalloc(1, sizeof(*partition));

	assert(strlen(topic) <= TOPIC_NAME_MAX);
	memcpy(partition->topic, topic, strlen(topic) + 1);
	sink_lane_init(&partition->lane);
	partition->id = id;
	partition->table = table;
	buf_init(&partition->body, body_max);
	return partition;
}

void sink_partition_free(struct sink_partition *partition)
{
	sink_partition_drop(partition);
	buf_release(&partition->proof);
	free(partition);
}

void sink_partition_drop(struct sink_partition *partition)
{
	buf_release(&partition->body);
	dlq_batch_free(partition->letters);
	partition->letters = NULL;
	partition->count = 0;
	partition->bytes = 0;
}

void sink_partition_begin(struct sink_partition *partition, struct sink_place *place)
{
	sink_partition_drop(partition);
	buf_release(&partition->proof);
	partition->proof = place->last_line;
	partition->unproved = place->has_line;
	partition->next = place->next;
}

static void count_record(struct sink_partition *partition, size_t bytes)
{
	if (partition->count++ == 0) {
		partition->start = partition->next;
		partition->first_ms = clock_mono_ms();
	}
	partition->bytes += bytes;
	partition->next++;
}

void sink_partition_add_line(struct sink_partition *partition, struct json value)
{
	size_t before = partition->body.len;

	assert(!partition->letters);
	if (partition->count == 0)	/* at once as large as it will be: it need not grow */
		(void)buf_room(&partition->body, partition->body_hint);
	json_put(&partition->body, value);
	buf_add_char(&partition->body, '\n');
	assert(!buf_full(&partition->body));
	count_record(partition, partition->body.len - before);
}

enum err_code sink_partition_add_letter(struct sink_partition *partition, struct store *store,
					const struct dlq_letter *letter, struct err *err)
{
	enum { OVERHEAD_BYTES = 512 };		/* names, reason; base64 makes 4 of 3 */
	struct dlq_source source = { .stage = "sink",
				     .topic = { TOPIC_LOG, partition->topic },
				     .partition = partition->id };
	enum err_code code;

	assert(partition->body.len == 0);
	if (!partition->letters)
		partition->letters = dlq_batch_new(store, &source);
	code = dlq_batch_add(partition->letters, letter, err);
	if (code == ERR_OK)
		count_record(partition, letter->value.len / 3 * 4 + OVERHEAD_BYTES);
	return code;
}

struct sink_job *sink_partition_close(struct sink_partition *partition)
{
	struct sink_job *job = xcalloc(1, sizeof(*job));

	assert(partition->count > 0);
	job->lane = &partition->lane;
	job->bytes = partition->bytes;
	job->records = partition->count;
	job->end = partition->next;
	buf_init(&job->key, STORE_KEY_MAX * 2);	/* one that is too long is the store's to refuse */
	if (partition->letters) {
		struct position from = position_of_offset(partition->start - 1);

		dlq_batch_range(partition->letters, partition->start > 0 ? &from : NULL,
				position_of_offset(partition->next - 1));
		job->letters = partition->letters;
		partition->letters = NULL;
	} else {
		lake_object_key(&job->key, (struct lake_partition){ .topic = partition->topic,
								    .id = partition->id },
				partition->start);
		job->body = partition->body;
		partition->body_hint = job->body.len + job->body.len / 16;
		if (partition->body_hint > job->body.max)
			partition->body_hint = job->body.max;
		buf_init(&partition->body, job->body.max);
	}
	partition->count = 0;
	partition->bytes = 0;
	return job;
}
