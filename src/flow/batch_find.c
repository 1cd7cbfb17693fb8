#include "flow/batch_find.h"

#include "base/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OBJECTS_MAX = 1000000 };

void batch_ids_init(struct batch_ids *ids, const struct lake_partition *where)
{
	lake_app_id(ids->progress, TOPIC_LOG, *where, NULL);
	(void)snprintf(ids->start, sizeof(ids->start), "%s/object", ids->progress);
	(void)snprintf(ids->bytes, sizeof(ids->bytes), "%s/bytes", ids->progress);
}

/* A partition as the table knows it, for the input. */
static enum err_code batch_add_part(const struct batch_finder *finder, struct lake_input *input,
				    struct lake_partition where, struct err *err)
{
	struct delta_progress done;
	struct batch_ids ids;
	uint64_t offset = 0;
	enum err_code code;

	for (size_t i = 0; i < input->part_count; i++)
		if (input->parts[i]->where.id == where.id &&
		    input->parts[i]->where.generation == where.generation)
			return ERR_OK;
	batch_ids_init(&ids, &where);
	code = delta_progress(finder->delta, ids.progress, &done, err);
	if (code == ERR_OK && done.any && !lake_offset(done.position, &offset))
		code = err_set(err, ERR_CORRUPT, "the progress of \"%s\" is no offset", ids.progress);
	if (code == ERR_OK)
		(void)lake_input_part(input, where, !done.any, done.any ? offset + 1 : 0);
	return code;
}

/* The first key of a listing, and the partition it names (topic NULL: it is no object of ours). */
struct first_key {
	char key[STORE_KEY_MAX + 1];
	const char *topic;
	struct lake_partition where;
};

static bool batch_take_first(void *user, const struct store_entry *entry)
{
	struct first_key *first = user;
	struct lake_object_name name;

	(void)snprintf(first->key, sizeof(first->key), "%s", entry->key);
	if (lake_object_parse(entry->key, &name))
		first->where = (struct lake_partition){ first->topic, name.partition,
							name.generation };
	return false;
}

/* Each partition of the topic that has objects: one short listing each, whatever they hold. */
static enum err_code find_partitions(const struct batch_finder *finder, struct lake_input *input,
				     struct err *err)
{
	char prefix[TOPIC_NAME_MAX + 16];
	char after[STORE_KEY_MAX + 2] = "";
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", finder->table->topic);
	for (;;) {
		struct first_key first = { .topic = finder->table->topic };

		code = store_list(finder->store, prefix, after, batch_take_first, &first, err);
		if (code != ERR_OK || !first.key[0])
			return code;
		(void)snprintf(after, sizeof(after), "%s", first.key);
		if (!first.where.topic)
			continue;
		code = batch_add_part(finder, input, first.where, err);
		if (code != ERR_OK)
			return code;
		/* '0' comes right after '/', so this is behind all of the
		 * partition and before the next. */
		(void)snprintf(strrchr(after, '/'), 2, "0");
	}
}

/* New objects of one partition, as they are listed. */
struct new_objects {
	struct batch_finder *finder;
	struct lake_input *input;	/* NULL: only `newest` and `bytes` are wanted */
	struct lake_part *part;
	struct lake_entry held;		/* what the last offset is in, as the table has it; size 0:
					   it does not say */
	bool held_is_there;		/* and is what it was */
	uint64_t bytes_max;		/* of the whole input */
	uint64_t bytes;
	size_t count;
	bool any;
	uint64_t newest;		/* the highest start offset; none beyond it is taken */
};

/* An object without a byte holds no record: taken along it would be found new for ever. */
static void pass_over(struct new_objects *new, const struct lake_entry *entry)
{
	struct batch_finder *finder = new->finder;

	if (finder->empties++ == 0)
		trace_warn("topic \"%s\" partition %s: the object at offset %" PRIu64
			   " is empty and is passed over, as all such are",
			   finder->table->topic, new->part->text, entry->start);
}

static bool take_object(void *user, const struct lake_entry *entry)
{
	struct new_objects *new = user;

	if (entry->size == 0) {
		if (!new->input)
			pass_over(new, entry);
		return true;
	}
	if (new->held.size > 0 && entry->start == new->held.start &&
	    entry->size == new->held.size) {
		new->held_is_there = true;
		return true;
	}
	if (new->input && entry->start > new->newest)
		return false;
	if (new->input)
		lake_input_add(new->input, new->part, entry, new->input->object_count);
	else
		new->newest = entry->start;
	new->any = true;
	new->bytes += entry->size;
	return new->bytes < new->bytes_max && ++new->count < OBJECTS_MAX;
}

/* From the object on that the last offset is in; where the table does not say which, from the next
 * offset on. */
static enum err_code list_objects(const struct batch_finder *finder, struct new_objects *new,
				  struct err *err)
{
	uint64_t from = new->held.size > 0 ? new->held.start : new->part->next;

	return lake_list_objects(finder->store, new->part->where, (int64_t)from - 1,
				 take_object, new, err);
}

static bool take_before(void *user, const struct lake_entry *entry)
{
	struct new_objects *new = user;

	if (entry->start >= new->newest)
		return false;
	if (entry->size > 0)
		new->held = *entry;
	return true;
}

/*
 * The object before `first`, the start of the first one that was found, if any: it may hold what
 * seems to be missing, since the sink need not end an object again where it ended before.
 */
static enum err_code look_back(struct new_objects *new, uint64_t first, size_t at, struct err *err)
{
	struct batch_finder *finder = new->finder;
	enum err_code code;

	new->newest = first < new->part->next ? first : new->part->next;
	new->held.size = 0;
	code = lake_list_objects(finder->store, new->part->where, -1, take_before, new, err);
	if (code == ERR_OK && new->held.size > 0)
		lake_input_add(new->input, new->part, &new->held, at);
	return code;
}

static void batch_find_read_held(const struct batch_finder *finder, const struct lake_part *part,
			    struct lake_entry *ret_held)
{
	struct batch_ids ids;
	int64_t start, bytes;

	batch_ids_init(&ids, &part->where);
	start = delta_txn_version(finder->delta, ids.start);
	bytes = delta_txn_version(finder->delta, ids.bytes);
	/* After another's progress, which says nothing of objects, it may be any. */
	if (!part->fresh && start >= 0 && bytes > 0 && (uint64_t)start < part->next)
		*ret_held = (struct lake_entry){ .start = (uint64_t)start,
						 .size = (uint64_t)bytes };
}

/*
 * Lists twice. An object that the sink puts while a listing runs may be missing from it although
 * the next one, put later still, is there; what looks like a gap then is none. So the first
 * listing only says which object is the newest: those before it were put before the second began.
 */
static enum err_code find_objects(struct batch_finder *finder, struct lake_input *input,
				  struct lake_part *part, struct err *err)
{
	struct new_objects new = { .finder = finder, .part = part, .bytes_max = finder->bytes_max,
				   .bytes = input->bytes, .count = input->object_count };
	size_t before = input->object_count;
	bool told;
	enum err_code code;

	batch_find_read_held(finder, part, &new.held);
	told = new.held.size > 0;
	code = list_objects(finder, &new, err);
	if (code != ERR_OK || (!new.any && (part->fresh || !told || new.held_is_there)))
		return code;
	new.input = input;
	new.bytes = input->bytes;
	new.count = input->object_count;
	new.held_is_there = false;
	if (new.any)
		code = list_objects(finder, &new, err);
	if (code == ERR_OK && !part->fresh && !new.held_is_there) {
		uint64_t first = input->object_count > before ? input->objects[before].start
							       : UINT64_MAX;

		if (first > part->next)
			code = look_back(&new, first, before, err);
	}
	return code;
}

static bool is_stopped(const struct batch_finder *finder, const struct lake_part *part)
{
	for (size_t i = 0; i < finder->stopped_count; i++)
		if (finder->stopped[i].id == part->where.id &&
		    finder->stopped[i].generation == part->where.generation)
			return true;
	return false;
}

enum err_code batch_find(struct batch_finder *finder, struct lake_input *input, struct err *err)
{
	enum err_code code = find_partitions(finder, input, err);

	for (size_t i = 0; i < input->part_count && code == ERR_OK; i++)
		if (input->bytes < finder->bytes_max && !is_stopped(finder, input->parts[i]))
			code = find_objects(finder, input, input->parts[i], err);
	return code == ERR_OK ? lake_input_find_manifests(input, err) : code;
}
