#include "flow/check_topic.h"

#include "base/mem.h"
#include "broker/sequence.h"
#include "flow/census.h"
#include "flow/dlq_key.h"

#include <inttypes.h>
#include <stdio.h>

/* How far the sink was when an object or letters were put: those of tables are of what it
 * had put. */
static bool front_of(const struct checking *checking, const char *name, int32_t *ret_partition,
		     uint64_t *ret_front)
{
	struct lake_object_name object;
	struct dlq_key key;

	if (lake_object_parse(name, &object)) {
		*ret_partition = object.partition;
		*ret_front = object.start;
		return true;
	}
	if (!dlq_key_parse(name, &key) ||
	    !partition_parse(checking->kind, key.partition, ret_partition))
		return false;
	*ret_front = key.old ? key.start : position_ordinal(key.range.upto);
	return true;
}

static bool note_front(void *user, const struct store_entry *entry)
{
	struct checking *checking = user;
	int32_t partition;
	struct check_part *part;
	uint64_t front;

	if (!front_of(checking, entry->key, &partition, &front)) {
		if (checking->kind == TOPIC_LOG && slice_starts(slice_str(entry->key), "topics/"))
			check_fault(checking, "\"%s\" is not the name of an object of the lake",
				    entry->key);
		return true;
	}
	if (entry->size == 0)
		return true; /* the sink puts no such object */
	part = check_part_of(checking, partition);
	if ((int64_t)front > part->front)
		part->front = (int64_t)front;
	return true;
}

/* A listing may lack what is put while it runs, and show what is put after that. But what the sink
 * put before the newest that this one shows, a later listing will not lack. */
enum err_code check_find_fronts(struct checking *checking)
{
	static const char *const places[] = { "topics", "dlq" };
	char prefix[STORE_KEY_MAX];
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < ARRAY_LEN(places) && code == ERR_OK; i++) {
		(void)snprintf(prefix, sizeof(prefix), "%s/%s/", places[i], checking->topic);
		code = store_list(checking->options->store, prefix, "", note_front, checking,
				  checking->err);
	}
	return code;
}

/* Let the sink's letters account for the offsets from `next` on. */
static void skip_letters(struct check_part *part)
{
	while (part->sink_at < part->sink_count && part->sink[part->sink_at] == part->next) {
		part->sink_at++;
		part->next++;
	}
}

static void compare_start(struct checking *checking, const struct check_part *part, uint64_t start)
{
	if (start > part->next)
		check_fault(checking,
			    "partition %d of \"%s\": offsets %" PRIu64 " to %" PRIu64
			    " are in no object",
			    part->partition, checking->topic, part->next, start - 1);
	if (start < part->next)
		check_fault(checking,
			    "partition %d of \"%s\": offsets from %" PRIu64 " on are in two places",
			    part->partition, checking->topic, start);
}

/* The objects of one partition, on their walk. */
struct check_walk {
	struct checking *checking;
	struct check_part *part;
};

static bool check_object(void *user, const struct lake_entry *entry)
{
	const struct check_walk *walk = user;
	struct checking *checking = walk->checking;
	struct check_part *part = walk->part;
	struct lake_partition where = { .topic = checking->topic, .id = part->partition };
	uint64_t lines = 0;
	struct buf key;

	if ((int64_t)entry->start > part->front)
		return false;
	if (entry->size == 0)
		return true; /* it says nothing of its offset */
	skip_letters(part);
	compare_start(checking, part, entry->start);
	buf_init(&key, STORE_KEY_MAX + 1);
	lake_object_key(&key, where, entry->start);
	checking->code = census_count_lines(checking->options->store, buf_cstr(&key), entry->size,
					    &lines, checking->err);
	buf_release(&key);
	part->next = entry->start + lines;
	checking->counts.objects++;
	checking->counts.lines += lines;
	return checking->code == ERR_OK;
}

/* The sink's letters after the last object. */
static void check_last_letters(struct checking *checking, struct check_part *part)
{
	uint64_t at;

	skip_letters(part);
	if (part->sink_at == part->sink_count)
		return;
	at = part->sink[part->sink_at];
	if (at < part->next)
		check_fault(checking,
			    "partition %d of \"%s\": offset %" PRIu64
			    " is a dead letter and in an object",
			    part->partition, checking->topic, at);
	else if ((int64_t)at <= part->front)
		compare_start(checking, part, at);
}

enum err_code check_objects(struct checking *checking)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < checking->part_count && code == ERR_OK; i++) {
		struct check_walk walk = { checking, &checking->parts[i] };
		struct lake_partition where = { .topic = checking->topic,
						.id = walk.part->partition };

		code = lake_list_objects(checking->options->store, where, -1, check_object, &walk,
					 checking->err);
		if (code == ERR_OK)
			code = checking->code;
		if (code == ERR_OK)
			check_last_letters(checking, walk.part);
	}
	return code;
}
