#include "flow/lake_input.h"

#include "base/json.h"
#include "base/mem.h"
#include "broker/sequence.h"

#include <assert.h>
#include <inttypes.h>

enum { OBJECT_BYTES_MAX = 1 << 30 };

/* An object being read by one thread. */
struct lake_reading {
	struct lake_reading *next;
	struct lake_input *input;
	size_t index;
	struct buf text;		/* all of it, and JSON_PADDING bytes of room behind */
	struct slice rest;
	uint64_t record;		/* the next one */
	struct slice offset;
	char offset_text[POSITION_TEXT_MAX];
};

static struct lake_reading *take_reading(struct lake_input *input)
{
	struct lake_reading *reading;

	(void)pthread_mutex_lock(&input->lock);
	reading = input->idle;
	if (reading)
		input->idle = reading->next;
	(void)pthread_mutex_unlock(&input->lock);
	if (reading)
		return reading;
	reading = xcalloc(1, sizeof(*reading));
	reading->input = input;
	buf_init(&reading->text, OBJECT_BYTES_MAX);
	return reading;
}

static void give_back(void *p)
{
	struct lake_reading *reading = p;
	struct lake_input *input = reading->input;

	(void)pthread_mutex_lock(&input->lock);
	reading->next = input->idle;
	input->idle = reading;
	(void)pthread_mutex_unlock(&input->lock);
}

static enum err_code lake_input_open_object(struct raw_input *base, size_t part, void **ret_part,
					    struct err *err)
{
	struct lake_input *input = (struct lake_input *)base;
	size_t index = input->range.first + part;
	const struct lake_object *object = &input->objects[index];
	struct lake_partition where = { .topic = input->topic, .id = object->part->partition };
	struct lake_reading *reading = take_reading(input);
	struct buf key;
	enum err_code code;

	reading->index = index;
	reading->record = 0;
	buf_init(&key, STORE_KEY_MAX + 1);
	lake_object_key(&key, where, object->start);
	buf_clear(&reading->text);
	(void)buf_room(&reading->text, object->size + JSON_PADDING);
	code = store_get(input->store, buf_cstr(&key), 0, UINT64_MAX, &reading->text, err);
	if (code == ERR_OK && !buf_room(&reading->text, JSON_PADDING))
		code = err_set(err, ERR_LIMIT, "object \"%s\" is too large", buf_cstr(&key));
	buf_release(&key);
	reading->rest = buf_slice(&reading->text);
	reading->offset = slice_of(reading->offset_text,
				   position_text(position_of_offset(object->start),
						 reading->offset_text));
	if (code == ERR_OK)
		*ret_part = reading;
	else
		give_back(reading);
	return code;
}

/* One more, in decimal; 20 digits hold every offset. */
static void count_up(char *digits, size_t len)
{
	while (len > 0 && digits[--len] == '9')
		digits[len] = '0';
	digits[len]++;
}

static struct slice lake_input_take_line(struct lake_reading *reading)
{
	const char *end = memchr(reading->rest.ptr, '\n', reading->rest.len);
	struct slice line = slice_of(reading->rest.ptr,
				     end ? (size_t)(end - reading->rest.ptr) : reading->rest.len);

	reading->rest = slice_from(reading->rest, line.len + (end != NULL));
	return line;
}

static const char *poison_reason(const struct lake_input *input, uint64_t record)
{
	for (size_t i = 0; i < input->poison_count; i++)
		if (input->poison[i].record == record)
			return input->poison[i].reason;
	return NULL;
}

static struct lake_part *lake_input_find_part(struct lake_input *input, int32_t partition)
{
	for (size_t i = 0; i < input->part_count; i++)
		if (input->parts[i]->partition == partition)
			return input->parts[i];
	return NULL;
}

static enum err_code lake_input_bury(struct raw_input *base, const struct raw_record *record,
				     const char *reason, struct err *err)
{
	struct lake_input *input = (struct lake_input *)base;
	struct dlq_letter letter = { .value = record->value, .reason = reason };
	struct lake_part *part;
	int32_t partition = 0;
	enum err_code code;

	if (input->trial)
		return ERR_OK;
	(void)partition_parse(TOPIC_LOG, record->partition, &partition);
	(void)position_parse(record->offset, &letter.position);
	part = lake_input_find_part(input, partition);
	assert(part);	/* the record came from one of them */
	(void)pthread_mutex_lock(&input->letters_lock);
	code = dlq_batch_add(part->letters, &letter, err);
	(void)pthread_mutex_unlock(&input->letters_lock);
	return code;
}

/*
 * The lines of an object have no offsets in them: the first is in its name,
 * and the text of each next one is counted up in place.
 */
static enum err_code lake_input_next_record(void *p, struct raw_record *ret_record, bool *ret,
					    struct err *err)
{
	struct lake_reading *reading = p;
	struct lake_input *input = reading->input;
	struct lake_object *object = &input->objects[reading->index];
	const struct lake_range *range = &input->range;

	while (reading->rest.len && object->base + reading->record < range->to) {
		uint64_t at = object->base + reading->record;
		struct slice line = lake_input_take_line(reading);
		const char *reason = poison_reason(input, at);
		bool skip = at < range->from;

		if (reading->record++ > 0)
			count_up(reading->offset_text, reading->offset.len);
		if (skip)
			continue;
		*ret_record = (struct raw_record){ .value = line, .offset = reading->offset,
						   .partition = slice_str(object->part->text) };
		*ret = true;
		if (!reason)
			return ERR_OK;
		if (lake_input_bury(&input->input, ret_record, reason, err) != ERR_OK)
			return err->code;
	}
	*ret = false;
	if (reading->rest.len == 0) {
		object->count = reading->record;
		object->read = true;
	}
	return ERR_OK;
}

void lake_input_init(struct lake_input *input, struct store *store, const struct lake_table *table)
{
	*input = (struct lake_input){
		.input = { .shared = table->shared,
			   .padded = true,
			   .open = lake_input_open_object,
			   .next = lake_input_next_record,
			   .close = give_back,
			   .dead = lake_input_bury },
		.store = store,
		.table = table,
		.topic = table->topic,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.letters_lock = PTHREAD_MUTEX_INITIALIZER,
	};
}

void lake_input_release(struct lake_input *input)
{
	while (input->idle) {
		struct lake_reading *reading = input->idle;

		input->idle = reading->next;
		buf_release(&reading->text);
		free(reading);
	}
	for (size_t i = 0; i < input->part_count; i++) {
		dlq_batch_free(input->parts[i]->letters);
		free(input->parts[i]);
	}
	for (size_t i = 0; i < input->poison_count; i++)
		free(input->poison[i].reason);
	free(input->parts);
	free(input->objects);
	free(input->poison);
	(void)pthread_mutex_destroy(&input->lock);
	(void)pthread_mutex_destroy(&input->letters_lock);
}

static struct dlq_batch *new_letters(const struct lake_input *input, int32_t partition)
{
	struct dlq_source source = dlq_source_of(input->table, partition);

	return dlq_batch_new(input->store, &source);
}

struct lake_part *lake_input_part(struct lake_input *input, int32_t partition, int64_t done)
{
	struct lake_part *part = xcalloc(1, sizeof(*part));

	part->partition = partition;
	part->done = part->end = done;
	(void)partition_text(TOPIC_LOG, partition, part->text);
	part->letters = new_letters(input, partition);
	input->parts =
		xreallocarray(input->parts, input->part_count + 1, sizeof(struct lake_part *));
	input->parts[input->part_count++] = part;
	return part;
}

void lake_input_add(struct lake_input *input, struct lake_part *part, uint64_t start, uint64_t size)
{
	if (input->object_count == input->object_room) {
		input->object_room = input->object_room * 2 + 64;
		input->objects = xreallocarray(input->objects, input->object_room,
					       sizeof(*input->objects));
	}
	input->objects[input->object_count++] = (struct lake_object){
		.part = part, .start = start, .size = size };
	input->bytes += size;
}

static void select_range(struct lake_input *input, struct lake_range range, bool trial)
{
	input->range = range;
	input->input.part_count = range.last - range.first;
	input->trial = trial;
}

void lake_input_all(struct lake_input *input)
{
	select_range(input, (struct lake_range){ .last = input->object_count, .to = UINT64_MAX },
		     false);
}

void lake_input_narrow(struct lake_input *input, uint64_t from, uint64_t to)
{
	struct lake_range range = { .from = from, .to = to };
	const struct lake_object *objects = input->objects;

	while (range.first < input->object_count &&
	       objects[range.first].base + objects[range.first].count <= from)
		range.first++;
	range.last = range.first;
	while (range.last < input->object_count && objects[range.last].base < to)
		range.last++;
	select_range(input, range, true);
}

static enum err_code lake_input_count_object(struct lake_input *input, size_t object,
					     struct err *err)
{
	struct raw_record record;
	enum err_code code;
	void *reading;
	bool more;

	select_range(input, (struct lake_range){ object, object + 1, 0, UINT64_MAX }, true);
	code = lake_input_open_object(&input->input, 0, &reading, err);
	if (code != ERR_OK)
		return code;
	do {
		code = lake_input_next_record(reading, &record, &more, err);
	} while (code == ERR_OK && more);
	give_back(reading);
	return code;
}

enum err_code lake_input_count(struct lake_input *input, uint64_t *ret_count, struct err *err)
{
	enum err_code code = ERR_OK;
	uint64_t count = 0;

	for (size_t i = 0; i < input->object_count && code == ERR_OK; i++) {
		code = lake_input_count_object(input, i, err);
		input->objects[i].base = count;
		count += input->objects[i].count;
	}
	if (code == ERR_OK)
		*ret_count = count;
	return code;
}

void lake_input_poison(struct lake_input *input, uint64_t record, const char *reason)
{
	input->poison = xreallocarray(input->poison, input->poison_count + 1,
				      sizeof(*input->poison));
	input->poison[input->poison_count++] = (struct lake_poison){ record, xstrdup(reason) };
}

/* Offsets [from, to) of a partition that no object holds. */
struct hole {
	const struct lake_part *part;
	uint64_t from;
	uint64_t to;
	uint64_t dead;			/* of them, by the sink */
};

struct holes {
	struct hole *list;
	size_t count;
};

static void note_hole(struct holes *holes, const struct lake_part *part, uint64_t from, uint64_t to)
{
	holes->list = xreallocarray(holes->list, holes->count + 1, sizeof(*holes->list));
	holes->list[holes->count++] = (struct hole){ .part = part, .from = from, .to = to };
}

/* What comes before the first object of a partition that was never cleaned is no hole: the log may
 * have let go of it before there was a sink. */
static enum err_code find_holes(struct lake_input *input, struct holes *holes, struct err *err)
{
	for (size_t i = 0; i < input->object_count; i++) {
		const struct lake_object *object = &input->objects[i];
		struct lake_part *part = object->part;
		uint64_t expected = (uint64_t)(part->end + 1);

		if (!object->read)
			return err_set(err, ERR_CORRUPT, "object %s+%s+%010" PRIu64 " was not read",
				       input->topic, part->text, object->start);
		if (object->start < expected)
			return err_set(err, ERR_CORRUPT, "object %s+%s+%010" PRIu64 " begins before the"
				       " one before it ends, at offset %" PRIu64, input->topic,
				       part->text, object->start, expected);
		if (object->start > expected && part->end >= 0 && !input->gaps)
			note_hole(holes, part, expected, object->start);
		part->end = (int64_t)(object->start + object->count) - 1;
	}
	return ERR_OK;
}

static bool fill_hole(void *user, const struct dlq_entry *entry)
{
	struct holes *holes = user;
	struct position position;

	if (!slice_is(entry->stage, "sink") || !position_parse(entry->offset, &position))
		return true;
	for (size_t i = 0; i < holes->count; i++) {
		struct hole *hole = &holes->list[i];
		uint64_t offset = position_ordinal(position);

		if (slice_is(entry->partition, hole->part->text) && offset >= hole->from &&
		    offset < hole->to)
			hole->dead++;
	}
	return true;
}

enum err_code lake_input_end(struct lake_input *input, struct err *err)
{
	struct holes holes = { 0 };
	enum err_code code;

	for (size_t i = 0; i < input->part_count; i++)
		input->parts[i]->end = input->parts[i]->done;
	code = find_holes(input, &holes, err);
	if (code == ERR_OK && holes.count > 0)
		code = dlq_list(input->store, input->topic, fill_hole, &holes, err);
	for (size_t i = 0; code == ERR_OK && i < holes.count; i++) {
		const struct hole *hole = &holes.list[i];

		if (hole->dead != hole->to - hole->from)
			code = err_set(err, ERR_CORRUPT, "topic \"%s\" partition %s: offsets %" PRIu64
				       " to %" PRIu64 " are in no object of the lake, and only %" PRIu64
				       " of them are dead letters", input->topic, hole->part->text,
				       hole->from, hole->to - 1, hole->dead);
	}
	free(holes.list);
	return code;
}

void lake_input_forget(struct lake_input *input)
{
	for (size_t i = 0; i < input->part_count; i++) {
		struct lake_part *part = input->parts[i];

		dlq_batch_free(part->letters);
		part->letters = new_letters(input, part->partition);
	}
}

static void lake_input_set_range(struct lake_part *part)
{
	struct position from;

	if (part->done >= 0)
		from = position_of_offset((uint64_t)part->done);
	dlq_batch_range(part->letters, part->done >= 0 ? &from : NULL,
			position_of_offset((uint64_t)part->end));
}

enum err_code lake_input_write_dead(struct lake_input *input, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < input->part_count && code == ERR_OK; i++)
		if (input->parts[i]->end != input->parts[i]->done) {
			lake_input_set_range(input->parts[i]);
			code = dlq_batch_write(input->parts[i]->letters, err);
		}
	return code;
}

enum err_code lake_input_settle(struct lake_input *input, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < input->part_count && code == ERR_OK; i++)
		if (input->parts[i]->end != input->parts[i]->done)
			code = dlq_settle(input->parts[i]->letters, err);
	return code;
}
