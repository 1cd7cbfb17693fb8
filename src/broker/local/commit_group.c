#include "broker/local/commit_group.h"

#include "base/crc32c.h"
#include "base/mem.h"

void commit_group_init(struct commit_group *group)
{
	*group = (struct commit_group){ 0 };
	group->last = &group->first;
}

static struct chunk **free_chunks(struct chunk_pool *pool, size_t room)
{
	return room == CHUNK_BYTES ? &pool->free : &pool->free_small;
}

static struct chunk *take_chunk(struct chunk_pool *pool, size_t room)
{
	struct chunk **free_list = free_chunks(pool, room);
	struct chunk *chunk = *free_list;

	if (chunk) {
		*free_list = chunk->next;
		pool->bytes -= room;
	} else {
		chunk = xmalloc(sizeof(*chunk) + room);
	}
	*chunk = (struct chunk){ .room = room };
	return chunk;
}

static void give_chunk(struct chunk_pool *pool, struct chunk *chunk)
{
	struct chunk **free_list = free_chunks(pool, chunk->room);
	/* Thousands of small ones, needed once, leave room for the large ones. */
	size_t max = chunk->room == CHUNK_BYTES ? POOL_BYTES_MAX : POOL_BYTES_MAX / 4;

	if (pool->bytes + chunk->room > max) {
		free(chunk);
		return;
	}
	chunk->next = *free_list;
	*free_list = chunk;
	pool->bytes += chunk->room;
}

static void commit_group_free_chain(struct chunk *chunk)
{
	while (chunk) {
		struct chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

void chunk_pool_release(struct chunk_pool *pool)
{
	commit_group_free_chain(pool->free);
	commit_group_free_chain(pool->free_small);
	*pool = (struct chunk_pool){ 0 };
}

void commit_group_release(struct commit_group *group)
{
	for (size_t i = 0; i < group->part_count; i++)
		commit_group_free_chain(group->parts[i].first);
	free(group->lanes);
	free(group->parts);
}

void commit_group_reset(struct commit_group *group, struct chunk_pool *pool, uint64_t serial)
{
	for (size_t i = 0; i < group->part_count; i++) {
		struct chunk *chunk = group->parts[i].first;

		while (chunk) {
			struct chunk *next = chunk->next;

			give_chunk(pool, chunk);
			chunk = next;
		}
	}
	group->serial = serial;
	group->first = NULL;
	group->last = &group->first;
	group->lane_count = 0;
	group->part_count = 0;
	group->bytes = group->held = 0;
	group->failure = ERR_OK;
}

static size_t new_part(struct commit_group *group, struct chunk_pool *pool, size_t lane,
		       size_t room)
{
	struct chunk *chunk = take_chunk(pool, room);

	if (group->part_count == group->part_cap) {
		group->part_cap = group->part_cap ? 2 * group->part_cap : 16;
		group->parts = xreallocarray(group->parts, group->part_cap, sizeof(*group->parts));
	}
	group->held += sizeof(*group->parts) + sizeof(*chunk) + room;
	group->parts[group->part_count] =
		(struct part){ .lane = lane, .first = chunk, .last = chunk };
	return group->part_count++;
}

static struct lane *lane_of(struct commit_group *group, struct chunk_pool *pool,
			    struct partition *partition)
{
	struct lane *lane;

	if (partition->commit_group == group->serial)
		return &group->lanes[partition->lane];
	if (group->lane_count == group->lane_cap) {
		group->lane_cap = group->lane_cap ? 2 * group->lane_cap : 16;
		group->lanes = xreallocarray(group->lanes, group->lane_cap, sizeof(*group->lanes));
	}
	partition->commit_group = group->serial;
	partition->lane = group->lane_count++;
	lane = &group->lanes[partition->lane];
	*lane = (struct lane){ .partition = partition,
			       .uid = partition->topic->uid,
			       .part = new_part(group, pool, partition->lane, CHUNK_BYTES_SMALL) };
	return lane;
}

static void commit_group_put(struct commit_group *group, struct part *part,
			     struct chunk_pool *pool, const void *bytes, size_t len)
{
	const unsigned char *from = bytes;

	part->bytes += len;
	group->bytes += len;
	while (len > 0) {
		struct chunk *chunk = part->last;
		size_t n = chunk->room - chunk->len;

		if (n == 0) {
			part->crc = crc32c(part->crc, chunk->bytes, chunk->len);
			part->last = chunk->next = take_chunk(pool, CHUNK_BYTES);
			group->held += sizeof(*chunk) + CHUNK_BYTES;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(chunk->bytes + chunk->len, from, n);
		chunk->len += n;
		from += n;
		len -= n;
	}
}

/* What stands before a record that brings a time or headers. */
static void commit_group_put_extra(struct commit_group *group, struct part *part,
				   struct chunk_pool *pool, const struct append_record *record,
				   size_t bytes)
{
	unsigned char head[RECORD_HEADER_BYTES + RECORD_EXTRA_BYTES];
	unsigned char lengths[RECORD_HEADER_BYTES];

	record_extra_encode(record, bytes, head);
	commit_group_put(group, part, pool, head, sizeof(head));
	for (size_t i = 0; i < record->header_count; i++) {
		const struct record_header *header = &record->headers[i];

		record_header_encode(header->name, header->value, lengths);
		commit_group_put(group, part, pool, lengths, sizeof(lengths));
		commit_group_put(group, part, pool, header->name.ptr, header->name.len);
		commit_group_put(group, part, pool, header->value.ptr, header->value.len);
	}
}

static void commit_group_add_record(struct commit_group *group, struct chunk_pool *pool,
			     struct partition *partition, const struct append_record *record,
			     struct append_outcome *outcome)
{
	struct lane *lane = lane_of(group, pool, partition);
	size_t extra = record_extra_bytes(record);
	size_t len = extra + RECORD_HEADER_BYTES + record->key.len + record->value.len;
	struct part *part = &group->parts[lane->part];
	unsigned char header[RECORD_HEADER_BYTES];

	if (part->count > 0 && part->bytes + len > PART_BYTES_MAX) {
		lane->part = new_part(group, pool, part->lane, CHUNK_BYTES);
		part = &group->parts[lane->part];
	}
	if (extra > 0)
		commit_group_put_extra(group, part, pool, record, extra);
	record_header_encode(record->key, record->value, header);
	commit_group_put(group, part, pool, header, sizeof(header));
	commit_group_put(group, part, pool, record->key.ptr, record->key.len);
	commit_group_put(group, part, pool, record->value.ptr, record->value.len);
	part->count++;
	outcome->position = (struct position){ .word = { part->lane, 0, lane->count++ } };
}

/* A record of nothing costs its outcome, which is with us until the answer is written. */
static size_t outcomes_bytes(const struct append *append)
{
	return sizeof(*append) + append->count * sizeof(*append->outcomes);
}

size_t commit_group_cost(const struct append *append)
{
	size_t bytes = outcomes_bytes(append) + append->count * RECORD_HEADER_BYTES;

	for (size_t i = 0; i < append->count; i++)
		bytes += append->records[i].key.len + append->records[i].value.len +
			 record_extra_bytes(&append->records[i]);
	return bytes;
}

void commit_group_add(struct commit_group *group, struct chunk_pool *pool, struct topic *topic,
	       struct append *append)
{
	for (size_t i = 0; i < append->count; i++) {
		struct append_outcome *outcome = &append->outcomes[i];

		if (outcome->code == ERR_OK)
			commit_group_add_record(group, pool, &topic->partitions[outcome->partition],
					 &append->records[i], outcome);
	}
	group->held += outcomes_bytes(append);
	append->next = NULL;
	*group->last = append;
	group->last = &append->next;
}

static void finish_outcome(const struct commit_group *group, struct append_outcome *outcome)
{
	const struct lane *lane = &group->lanes[outcome->position.word[0]];
	uint64_t rank = outcome->position.word[2];

	if (rank < lane->durable)
		outcome->position = partition_position(lane->partition, lane->ordinal + rank);
	else
		outcome->code = group->failure;
}

void commit_group_finish(struct commit_group *group)
{
	for (struct append *append = group->first; append; append = append->next)
		for (size_t i = 0; i < append->count; i++)
			if (append->outcomes[i].code == ERR_OK)
				finish_outcome(group, &append->outcomes[i]);
}
