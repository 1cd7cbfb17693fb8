#include "flow/lake_input.h"

#include "base/ahead.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/trace.h"

#include <assert.h>
#include <inttypes.h>

enum { OBJECT_BYTES_MAX = 1 << 30, AHEAD_BYTES_MAX = 16 << 20, IDLE_BYTES_MAX = 32 << 20 };

/* An object being read by one thread. */
struct lake_reading {
	struct lake_reading *next;
	struct lake_input *input;
	size_t index;
	struct buf text;		/* all of it, and JSON_PADDING bytes of room behind */
	struct slice rest;
	struct manifest manifest;	/* without runs: line n is at its start + n */
	uint64_t record;		/* the next line */
	uint64_t number;		/* its offset, … */
	struct slice offset;		/* … and as text */
	char offset_text[LAKE_OFFSET_TEXT_MAX];
	size_t run;			/* of the manifest, that it stands in … */
	uint64_t run_left;		/* … and the records of it from this one on */
};

static struct lake_reading *take_reading(struct lake_input *input)
{
	struct lake_reading *reading;

	(void)pthread_mutex_lock(&input->lock);
	reading = input->idle;
	if (reading) {
		input->idle = reading->next;
		input->idle_bytes -= reading->text.cap;
	}
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
	/* Each would come to have held the largest object, some time. */
	if (reading->text.cap > IDLE_BYTES_MAX - input->idle_bytes)
		buf_release(&reading->text);
	reading->next = input->idle;
	input->idle = reading;
	input->idle_bytes += reading->text.cap;
	(void)pthread_mutex_unlock(&input->lock);
}

static void set_number(struct lake_reading *reading, const struct lake_object *object,
		       uint64_t number)
{
	reading->number = number;
	reading->offset = slice_of(reading->offset_text,
				   lake_offset_text(object->part->where.generation, number,
						    reading->offset_text));
}

static void lake_input_begin_run(struct lake_reading *reading, const struct lake_object *object,
				 size_t run)
{
	const struct manifest *manifest = &reading->manifest;

	reading->run = run;
	reading->run_left = UINT64_MAX;
	if (manifest->run_count == 0) {
		set_number(reading, object, object->start);
	} else if (run < manifest->run_count) {
		set_number(reading, object, manifest->runs[run].first);
		reading->run_left = manifest->runs[run].count;
	}
}

static void lake_input_put_key(const struct lake_object *object, struct buf *key)
{
	struct lake_entry entry = { .start = object->start, .packed = object->packed };

	if (!object->group) {
		lake_entry_key(key, object->part->where, &entry);
		return;
	}
	buf_clear(key);
	buf_add_str(key, object->group->objects[object->index].key);
}

static enum err_code get_manifest(struct lake_input *input, const struct lake_object *object,
				  struct lake_reading *reading, struct err *err)
{
	struct slice text = buf_slice(&reading->text);

	if (object->group) {
		group_manifest(object->group, object->index, &reading->manifest);
		return group_check(object->group, object->index, text, err);
	}
	if (object->packed) /* another program's: it has none */
		return ERR_OK;
	return manifests_find(&object->part->manifests, input->store, object->start, text,
			      &reading->manifest, err);
}

static enum err_code get_text(struct lake_input *input, const struct lake_object *object,
			      const char *key, bool kept, struct lake_reading *reading,
			      struct err *err)
{
	const struct store_entry entry = { .key = key,
					   .size = object->size,
					   .version = object->version };
	enum err_code code;

	manifest_release(&reading->manifest);
	reading->manifest = (struct manifest){ .start = object->start };
	buf_clear(&reading->text);
	if (object->group || !object->packed)
		(void)buf_room(&reading->text, object->size + JSON_PADDING);
	code = kept ? store_get_kept(input->store, &entry, &reading->text, err)
		    : group_get_text(input->store, key, &reading->text, err);
	if (code == ERR_OK && !buf_room(&reading->text, JSON_PADDING))
		code = err_set(err, ERR_LIMIT, "object \"%s\" is too large", key);
	return code == ERR_OK ? get_manifest(input, object, reading, err) : code;
}

/*
 * ERR_ABSENT, ERR_CORRUPT: the object is not there, or has other lines than its manifest. A copy
 * says nothing against the object: that is asked for itself then.
 */
static enum err_code get_object(struct lake_input *input, const struct lake_object *object,
				struct lake_reading *reading, struct err *err)
{
	bool kept = !object->packed;
	enum err_code code;
	struct buf key;

	buf_init(&key, STORE_KEY_MAX + 1);
	lake_input_put_key(object, &key);
	code = get_text(input, object, buf_cstr(&key), kept, reading, err);
	if (code == ERR_CORRUPT && kept)
		code = get_text(input, object, buf_cstr(&key), false, reading, err);
	if (code == ERR_ABSENT)
		(void)err_set(err, code, "object \"%s\" is listed, but not there", buf_cstr(&key));
	buf_release(&key);
	return code;
}

/* What is wrong with one object is kept with it, and ends its partition; it gives no record. */
static enum err_code bring_object(void *user, size_t index_of_range, struct err *err)
{
	struct lake_input *input = user;
	struct lake_object *object = &input->objects[input->range.first + index_of_range];
	struct lake_reading *reading = take_reading(input);
	enum err_code code;

	object->fault = (struct err){ .code = ERR_OK };
	object->missing = false;
	code = get_object(input, object, reading, err);
	if (code == ERR_ABSENT || code == ERR_CORRUPT) {
		object->fault = *err;
		object->missing = code == ERR_ABSENT || reading->text.len == 0;
		buf_clear(&reading->text);
		code = ERR_OK;
	}
	if (code == ERR_OK) {
		object->text_bytes = reading->text.len;
		object->reading = reading;
	} else {
		give_back(reading);
	}
	return code;
}

/* What was brought is known; of what is not, packed and without a manifest, too little must not be
 * thought, since several are on their way at once. */
static uint64_t lake_input_object_bytes(void *user, size_t index_of_range)
{
	const struct lake_input *input = user;
	const struct lake_object *object = &input->objects[input->range.first + index_of_range];

	if (object->reading)
		return object->text_bytes;
	return object->group ? object->size : group_text_room(object->packed, object->size);
}

/* Those that were brought and nobody opened go back. */
static void stop_bringing(struct lake_input *input)
{
	ahead_free(input->ahead);
	input->ahead = NULL;
	for (size_t i = 0; i < input->object_count; i++) {
		if (input->objects[i].reading)
			give_back(input->objects[i].reading);
		input->objects[i].reading = NULL;
	}
}

static void select_range(struct lake_input *input, struct lake_range range, bool trial)
{
	stop_bringing(input);
	input->range = range;
	input->input.part_count = range.last - range.first;
	input->trial = trial;
	input->ahead = ahead_new(&(struct ahead_options){
		.count = input->input.part_count,
		.at_once = store_at_once(input->store),
		.bytes_max = AHEAD_BYTES_MAX,
		.bytes = lake_input_object_bytes,
		.work = bring_object,
		.user = input,
	});
}

static enum err_code lake_input_open_object(struct raw_input *base, size_t index_of_range,
					    void **ret_part, struct err *err)
{
	struct lake_input *input = (struct lake_input *)base;
	size_t index = input->range.first + index_of_range;
	struct lake_object *object = &input->objects[index];
	enum err_code code = ahead_take(input->ahead, index_of_range, err);
	struct lake_reading *reading = object->reading;

	if (code != ERR_OK)
		return code;
	object->reading = NULL;
	reading->index = index;
	reading->record = 0;
	reading->rest = buf_slice(&reading->text);
	lake_input_begin_run(reading, object, 0);
	*ret_part = reading;
	return ERR_OK;
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

static void next_number(struct lake_reading *reading, const struct lake_object *object)
{
	if (--reading->run_left == 0) {
		lake_input_begin_run(reading, object, reading->run + 1);
	} else {
		reading->number++;
		count_up(reading->offset_text, reading->offset.len);
	}
}

static const char *poison_reason(const struct lake_input *input, const struct lake_object *object,
				 uint64_t line)
{
	for (size_t i = 0; i < input->poison_count; i++) {
		const struct lake_poison *poison = &input->poison[i];

		if (poison->part == object->part && poison->start == object->start &&
		    poison->line == line)
			return poison->reason;
	}
	return NULL;
}

/* The offset that a text of lake_offset_text() ends with. */
static uint64_t number_of(struct slice text)
{
	uint64_t number = 0;

	for (size_t i = text.len - POSITION_DIGITS; i < text.len; i++)
		number = number * 10 + (uint64_t)(text.ptr[i] - '0');
	return number;
}

static enum err_code lake_input_bury(struct raw_input *base, const struct raw_record *record,
				     const char *reason, struct err *err)
{
	struct lake_input *input = (struct lake_input *)base;
	const struct lake_object *object = record->origin;
	struct dlq_letter letter = { .value = record->value, .reason = reason };
	struct lake_part *part;
	enum err_code code;

	if (input->trial || input->unheard)
		return ERR_OK;
	assert(object);	/* the record came from one of them */
	part = object->part;
	letter.position = lake_position(number_of(record->offset));
	(void)pthread_mutex_lock(&input->letters_lock);
	code = dlq_batch_add(part->letters, &letter, err);
	(void)pthread_mutex_unlock(&input->letters_lock);
	return code;
}

static void note_read(struct lake_object *object, const struct lake_reading *reading)
{
	const struct manifest *manifest = &reading->manifest;

	object->count = reading->record;
	object->accounted = manifest_from(manifest);
	object->end = object->start;
	if (object->count > 0)
		object->end = manifest_offset(manifest, object->count - 1) + 1;
	object->read = true;
}

/*
 * The lines of an object have no offsets in them: the first is in its name, and the text of each
 * next one is counted up in place, or set at the beginning of a run of the manifest.
 */
static enum err_code lake_input_next_record(void *p, struct raw_record *ret_record, bool *ret,
					    struct err *err)
{
	struct lake_reading *reading = p;
	struct lake_input *input = reading->input;
	struct lake_object *object = &input->objects[reading->index];
	const struct lake_range *range = &input->range;

	while (reading->rest.len && object->base + reading->record < range->to) {
		uint64_t line_number = reading->record++;
		struct slice line = lake_input_take_line(reading);
		const char *reason;

		if (line_number > 0)
			next_number(reading, object);
		if (object->base + line_number < range->from || reading->number < object->from)
			continue;
		reason = poison_reason(input, object, line_number);
		*ret_record = (struct raw_record){ .value = line, .offset = reading->offset,
						   .partition = slice_str(object->part->text),
						   .origin = object };
		*ret = true;
		if (!reason)
			return ERR_OK;
		if (lake_input_bury(&input->input, ret_record, reason, err) != ERR_OK)
			return err->code;
	}
	*ret = false;
	if (reading->rest.len == 0)
		note_read(object, reading);
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
	stop_bringing(input);
	while (input->idle) {
		struct lake_reading *reading = input->idle;

		input->idle = reading->next;
		buf_release(&reading->text);
		manifest_release(&reading->manifest);
		free(reading);
	}
	for (size_t i = 0; i < input->part_count; i++) {
		dlq_batch_free(input->parts[i]->letters);
		manifests_release(&input->parts[i]->manifests);
		for (size_t g = 0; g < input->parts[i]->group_count; g++) {
			group_release(input->parts[i]->groups[g]);
			free(input->parts[i]->groups[g]);
		}
		free(input->parts[i]->groups);
		free(input->parts[i]);
	}
	for (size_t i = 0; i < input->poison_count; i++)
		free(input->poison[i].reason);
	free(input->parts);
	free(input->objects);
	free(input->poison);
	free(input->missing);
	(void)pthread_mutex_destroy(&input->lock);
	(void)pthread_mutex_destroy(&input->letters_lock);
}

static struct dlq_batch *new_letters(const struct lake_input *input, const struct lake_part *part)
{
	struct dlq_source source = dlq_source_of(input->table, part->where.id);

	source.generation = part->where.generation;
	return dlq_batch_new(input->store, &source);
}

struct lake_part *lake_input_part(struct lake_input *input, struct lake_partition where,
				  bool fresh, uint64_t next)
{
	struct lake_part *part = xcalloc(1, sizeof(*part));

	part->where = where;
	part->fresh = fresh;
	part->next = part->end = next;
	(void)partition_text(TOPIC_LOG, where.id, part->text);
	part->letters = new_letters(input, part);
	input->parts =
		xreallocarray(input->parts, input->part_count + 1, sizeof(struct lake_part *));
	input->parts[input->part_count++] = part;
	return part;
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

	code = lake_input_open_object(&input->input, object, &reading, err);
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

	lake_input_all(input);
	input->trial = true;
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
	const struct lake_object *object = input->objects;

	while (object->base + object->count <= record)
		object++;
	input->poison = xreallocarray(input->poison, input->poison_count + 1,
				      sizeof(*input->poison));
	input->poison[input->poison_count++] = (struct lake_poison){
		object->part, object->start, record - object->base, xstrdup(reason)
	};
}

/* --- what the objects hold together, and what they lack ------------------- */

/* Objects of a partition from the one at `at` on are not taken, for its fault; nor those of its
 * group that come before it. */
static void cut_partition(struct lake_input *input, size_t at)
{
	const struct lake_object *object = &input->objects[at];
	struct lake_part *part = object->part;
	size_t kept;

	part->waits = object->newest && object->missing;
	if (!part->waits)
		part->stop = object->fault;
	while (input->objects[at].index > 0)
		at--;
	kept = at;
	for (size_t i = at; i < input->object_count; i++)
		if (input->objects[i].part != part)
			input->objects[kept++] = input->objects[i];
	input->object_count = kept;
}

/* The first fault of each partition ends it. *ret_cut: there was one. */
static void cut_at_faults(struct lake_input *input, bool *ret_cut)
{
	*ret_cut = false;
	for (size_t i = 0; i < input->object_count;) {
		if (input->objects[i].fault.code == ERR_OK) {
			i++;
			continue;
		}
		cut_partition(input, i);
		*ret_cut = true;
	}
}

static void note_gap(struct lake_input *input, const struct lake_object *object, uint64_t from,
		     uint64_t to)
{
	input->missing = xreallocarray(input->missing, input->missing_count + 1,
				       sizeof(*input->missing));
	input->missing[input->missing_count++] = (struct lake_gap){
		.part = object->part, .from = from, .to = to
	};
}

/*
 * What comes before the first object of a partition that was never cleaned is no gap: the log may
 * have let go of it before there was a sink. *ret_again: an object holds what one before it has.
 */
static enum err_code walk_objects(struct lake_input *input, bool *ret_again, struct err *err)
{
	for (size_t i = 0; i < input->object_count; i++) {
		struct lake_object *object = &input->objects[i];
		struct lake_part *part = object->part;
		bool first = part->fresh && part->held.size == 0;
		uint64_t from, start, end;

		if (!object->read)
			return err_set(err, ERR_CORRUPT, "object %s+%s+%010" PRIu64 " was not read",
				       input->topic, part->text, object->start);
		if (!lake_input_span(object, &from, &start, &end)) {
			object->from = object[-1].from;	/* as the one before in the group */
			continue;
		}
		if (start < part->end && object->from < part->end) {
			object->from = part->end;
			*ret_again = true;
		}
		if (from > part->end && !first && !input->gaps)
			note_gap(input, object, part->end, from);
		if (end < part->end || object->count == 0)
			continue;
		part->end = end;
		part->held = (struct lake_entry){ .start = start, .size = object->size };
	}
	return ERR_OK;
}

/* Takes [first, last] out of the gaps of its partition; what is left behind it is a gap more. */
static void fill_gaps(struct lake_input *input, const struct lake_part *part, uint64_t first,
		      uint64_t last)
{
	for (size_t i = 0; i < input->missing_count; i++) {
		struct lake_gap *gap = &input->missing[i];
		struct lake_gap rest = *gap;

		if (gap->part != part || last < gap->from || first >= gap->to)
			continue;
		gap->to = first > gap->from ? first : gap->from;
		rest.from = last + 1;
		if (rest.from >= rest.to)
			continue;
		if (gap->from == gap->to) {
			*gap = rest;
			continue;
		}
		input->missing = xreallocarray(input->missing, input->missing_count + 1,
					       sizeof(*input->missing));
		memmove(&input->missing[i + 2], &input->missing[i + 1],
			(input->missing_count - i - 1) * sizeof(rest));
		input->missing[i + 1] = rest;
		input->missing_count++;
	}
}

/* The sink's letters, by what their objects' names say that it went over. Those of older names
 * have to be read. */
struct gap_filling {
	struct lake_input *input;
	bool old;
};

static struct lake_part *part_with_gaps(struct lake_input *input, struct slice partition,
					uint32_t generation)
{
	for (size_t i = 0; i < input->missing_count; i++) {
		struct lake_part *part = input->missing[i].part;

		if (slice_is(partition, part->text) && part->where.generation == generation)
			return part;
	}
	return NULL;
}

static bool fill_by_name(void *user, const struct store_entry *entry)
{
	struct gap_filling *filling = user;
	struct lake_part *part;
	struct dlq_key key;
	uint64_t from = 0, upto;

	if (!dlq_key_parse(entry->key, &key) || key.table.ptr)
		return true;
	part = part_with_gaps(filling->input, key.partition, key.generation);
	filling->old |= part && key.old;
	if (!part || key.old || !lake_offset(key.range.upto, &upto) ||
	    (!key.range.begins && !lake_offset(key.range.from, &from)))
		return true;
	fill_gaps(filling->input, part, key.range.begins ? 0 : from + 1, upto);
	return true;
}

static bool fill_by_letter(void *user, const struct dlq_entry *entry)
{
	struct lake_input *input = user;
	struct lake_part *part = part_with_gaps(input, entry->partition, entry->generation);
	uint64_t from, to;

	if (part && slice_is(entry->stage, "sink") && entry->placed &&
	    lake_offset(entry->position, &from) && lake_offset(entry->last_position, &to))
		fill_gaps(input, part, from, to);
	return true;
}

static enum err_code fill_by_letters(struct lake_input *input, struct err *err)
{
	struct gap_filling filling = { .input = input };
	char prefix[TOPIC_NAME_MAX + 8];
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "dlq/%s/", input->topic);
	code = store_list(input->store, prefix, "", fill_by_name, &filling, err);
	if (code == ERR_OK && filling.old)
		code = dlq_list(input->store, input->topic, fill_by_letter, input, err);
	return code;
}

/* Drop those that were filled. */
static void keep_gaps(struct lake_input *input)
{
	size_t kept = 0;

	for (size_t i = 0; i < input->missing_count; i++)
		if (input->missing[i].from < input->missing[i].to)
			input->missing[kept++] = input->missing[i];
	input->missing_count = kept;
}

enum err_code lake_input_end(struct lake_input *input, bool *ret_again, struct err *err)
{
	enum err_code code;

	stop_bringing(input);
	cut_at_faults(input, ret_again);
	input->missing_count = 0;
	for (size_t i = 0; i < input->part_count; i++) {
		input->parts[i]->end = input->parts[i]->next;
		input->parts[i]->held.size = 0;
	}
	code = walk_objects(input, ret_again, err);
	if (code == ERR_OK && !*ret_again && input->missing_count > 0) {
		code = fill_by_letters(input, err);
		keep_gaps(input);
	}
	return code;
}

/*
 * Of the tables that share the topic the first one tells, so that it is told once. The letter
 * belongs to the commit that goes over the gap, so no later run finds it again.
 */
enum err_code lake_input_tell_gaps(struct lake_input *input, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < input->missing_count && code == ERR_OK; i++) {
		const struct lake_gap *gap = &input->missing[i];
		struct dlq_letter letter = {
			.position = lake_position(gap->from),
			.last = lake_position(gap->to - 1),
			.reason = LAKE_INPUT_GAP_REASON,
		};

		if (!lake_table_leads(input->table))
			continue;
		trace_warn("topic \"%s\" partition %s: offsets %" PRIu64 " to %" PRIu64 " are in no "
			   "object of the lake; a dead letter tells it, and the batch goes on",
			   input->topic, gap->part->text, gap->from, gap->to - 1);
		code = dlq_batch_add(gap->part->letters, &letter, err);
	}
	return code;
}

void lake_input_forget(struct lake_input *input)
{
	for (size_t i = 0; i < input->part_count; i++) {
		struct lake_part *part = input->parts[i];

		dlq_batch_free(part->letters);
		part->letters = new_letters(input, part);
	}
}

/* Letters of one partition have nothing to do with another's. */
static enum err_code write_part(void *user, size_t item, struct err *err)
{
	const struct lake_input *input = user;
	const struct lake_part *part = input->parts[item];
	struct position done = { { 0 } };

	if (part->end == part->next)
		return ERR_OK;
	if (!part->fresh)
		done = lake_position(part->next - 1);
	dlq_batch_range(part->letters, part->fresh ? NULL : &done, lake_position(part->end - 1));
	return dlq_batch_write(part->letters, err);
}

static enum err_code settle_part(void *user, size_t item, struct err *err)
{
	const struct lake_input *input = user;
	const struct lake_part *part = input->parts[item];

	return part->end != part->next ? dlq_settle(part->letters, err) : ERR_OK;
}

static enum err_code all_parts(struct lake_input *input,
			       enum err_code (*work)(void *user, size_t item, struct err *err),
			       struct err *err)
{
	return ahead_all(&(struct ahead_options){ .count = input->part_count,
						  .at_once = store_at_once(input->store),
						  .work = work,
						  .user = input },
			 err);
}

enum err_code lake_input_write_dead(struct lake_input *input, struct err *err)
{
	return all_parts(input, write_part, err);
}

enum err_code lake_input_settle_dead(struct lake_input *input, struct err *err)
{
	return all_parts(input, settle_part, err);
}
