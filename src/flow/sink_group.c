#include "flow/sink_group.h"

#include "base/ahead.h"
#include "base/base64.h"
#include "base/crc32c.h"
#include "base/json_where.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/trace.h"
#include "flow/lake_text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum {
	BUCKETS_MAX = 1000, /* a group with more is closed */
	OBJECT_MAX = 2047 << 20,
	OBJECT_OVERHEAD = 512, /* of memory, beside its text */
	PIECE_BYTES = 1 << 20,
	RUN_BYTES = 40, /* of memory: the run, and its part of the manifest */
};

static void clear_object(struct sink_object *object)
{
	free(object->path);
	buf_release(&object->body);
	for (int side = 0; side < GROUP_SIDES; side++)
		buf_release(&object->sides[side]);
}

void sink_group_clear(struct sink_group *group)
{
	for (size_t i = 0; i < group->group.object_count; i++)
		clear_object(&group->objects[i]);
	group_clear(&group->group);
	group_release(&group->wanted);
	group->fixed = false;
	group->bucket_count = 0;
	group->bytes = 0;
	group->text_bytes = 0;
}

void sink_group_release(struct sink_group *group)
{
	sink_group_clear(group);
	group_release(&group->group);
	free(group->objects);
	*group = (struct sink_group){ 0 };
}

static uint64_t end_of_missing(const struct sink_group *group)
{
	uint64_t end = group->wanted.end;
	size_t i = group->wanted.run_count;

	while (i-- > 0 && group->wanted.runs[i].object < (int32_t)group->there)
		end -= group->wanted.runs[i].count;
	return end;
}

void sink_group_fix(struct sink_group *group, struct group *wanted, size_t there, bool barred)
{
	sink_group_clear(group);
	group->fixed = true;
	group->wanted = *wanted;
	*wanted = (struct group){ 0 };
	group->run = 0;
	group->lost = false;
	group->lost_for = GROUP_LOST_RETENTION;
	group->barred = barred;
	group->there = there;
	group->wanted_end = end_of_missing(group);
	group->run_left = group->wanted.runs[0].count;
	group->group.first = group->group.end = group->wanted.first;
}

/* --- the lines of a record ------------------------------------------------------ */

static bool is_utf8(struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		size_t len = json_utf8_len((const unsigned char *)text.ptr + i, text.len - i);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

/* Text as a string; what is none by its base64; nothing as null. */
static void side_put_bytes(struct buf *out, const char *name, struct slice bytes)
{
	if (!bytes.ptr) {
		buf_addf(out, "%snull", name);
	} else if (is_utf8(bytes)) {
		buf_add_str(out, name);
		json_put_string(out, bytes);
	} else {
		buf_addf(out, "%s\"", *name ? name : "{\"base64\":");
		base64_put(out, bytes);
		buf_add_str(out, *name ? "\"" : "\"}");
	}
}

static void side_put_key(struct buf *out, const struct record *record)
{
	side_put_bytes(out, "", record->key);
	buf_add_char(out, '\n');
}

static void side_put_headers(struct buf *out, const struct record *record)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < record->header_count; i++) {
		const struct record_header *header = &record->headers[i];
		bool text = !header->value.ptr || is_utf8(header->value);

		buf_add_str(out, i ? ",{\"key\":" : "{\"key\":");
		json_put_string(out, header->name);
		side_put_bytes(out, text ? ",\"value\":" : ",\"base64\":", header->value);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]\n");
}

static size_t memory_of(const struct sink_object *object)
{
	return object->body.cap + object->sides[GROUP_KEYS].cap + object->sides[GROUP_HEADERS].cap;
}

static void sink_group_put_line(struct sink_group *group, size_t at, const struct record *record,
				uint64_t offset, struct json value)
{
	struct sink_object *object = &group->objects[at];
	size_t memory = memory_of(object), runs = group->group.run_count;
	size_t len = object->body.len;

	json_put(&object->body, value);
	buf_add_char(&object->body, '\n');
	assert(!buf_full(&object->body));
	if (group->group.sides[GROUP_KEYS])
		side_put_key(&object->sides[GROUP_KEYS], record);
	if (group->group.sides[GROUP_HEADERS])
		side_put_headers(&object->sides[GROUP_HEADERS], record);
	group_add_line(&group->group, at, offset);
	group->bytes += memory_of(object) - memory + (group->group.run_count - runs) * RUN_BYTES;
	group->text_bytes += object->body.len - len;
	group->last = at;
}

/* --- which object -------------------------------------------------------------- */

static size_t open_object(struct sink_group *group, const char *key, const char *path,
			  int64_t bucket_ms, uint64_t start)
{
	size_t at = group_add_object(&group->group, key, start);
	struct sink_object *object;

	if (at >= group->object_room) {
		group->object_room = group->object_room * 2 + 8;
		group->objects =
			xreallocarray(group->objects, group->object_room, sizeof(*group->objects));
	}
	object = &group->objects[at];
	*object = (struct sink_object){ .bucket_ms = bucket_ms, .path = xstrdup(path) };
	buf_init(&object->body, OBJECT_MAX);
	for (int side = 0; side < GROUP_SIDES; side++)
		buf_init(&object->sides[side], OBJECT_MAX);
	group->bytes += OBJECT_OVERHEAD;
	return at;
}

/* The open object of a bucket, or of a path (NULL: of any); SIZE_MAX: there is none. */
static size_t find_object(const struct sink_group *group, int64_t bucket_ms, const char *path,
			  bool closed)
{
	for (size_t i = group->group.object_count; i-- > 0;) {
		const struct sink_object *object = &group->objects[i];

		if ((closed || !object->closed) &&
		    (path ? strcmp(object->path, path) == 0 : object->bucket_ms == bucket_ms))
			return i;
	}
	return SIZE_MAX;
}

/* The bar has the plain name of the first record. */
static void put_name(const struct sink_group *group, struct lake_partition where, const char *path,
		     uint64_t offset, bool packed, struct buf *key)
{
	struct buf bar;

	lake_file_key(key, where, path, offset, 0, packed);
	if (group->bar_number == 0 || group->group.object_count > 0)
		return;
	buf_init(&bar, STORE_KEY_MAX * 2);
	lake_object_key(&bar, where, offset);
	if (slice_eq(buf_slice(&bar), buf_slice(key)))
		lake_file_key(key, where, path, offset, group->bar_number, packed);
	buf_release(&bar);
}

static size_t object_for(struct sink_group *group, const struct sink_options *options,
			 struct lake_partition where, int64_t bucket_ms, uint64_t offset)
{
	char path[LAKE_PATH_MAX];
	struct buf key;
	size_t at;

	if (group->last < group->group.object_count && !group->objects[group->last].closed &&
	    group->objects[group->last].bucket_ms == bucket_ms)
		return group->last;
	at = find_object(group, bucket_ms, NULL, false);
	if (at != SIZE_MAX)
		return at;
	if (options->path.pattern[0])
		path_format_put(&options->path, bucket_ms, path);
	else
		lake_plain_path(path, where);
	at = find_object(group, bucket_ms, path, false);
	if (at != SIZE_MAX) { /* two buckets of one path */
		group->objects[at].bucket_ms = bucket_ms;
		return at;
	}
	group->bucket_count += find_object(group, bucket_ms, path, true) == SIZE_MAX;
	buf_init(&key, STORE_KEY_MAX * 2);
	put_name(group, where, path, offset, options->gzip, &key);
	at = open_object(group, buf_cstr(&key), path, bucket_ms, offset);
	buf_release(&key);
	return at;
}

void sink_group_add(struct sink_group *group, const struct sink_options *options,
		    struct lake_partition where, const struct record *record, uint64_t offset,
		    int64_t time_ms, struct json value)
{
	int64_t bucket_ms =
		options->path.pattern[0] ? path_bucket(&options->path, &group->clock, time_ms) : 0;
	struct sink_object *object;
	size_t at;

	assert(!group->fixed);
	group->group.sides[GROUP_KEYS] = options->keys;
	group->group.sides[GROUP_HEADERS] = options->headers;
	at = object_for(group, options, where, bucket_ms, offset);
	if (group->group.run_count == 0)
		group_pass(&group->group, offset);
	sink_group_put_line(group, at, record, offset, value);
	object = &group->objects[at];
	object->closed = group->group.objects[at].lines >= options->flush_size ||
			 object->body.len >= options->flush_bytes;
}

bool sink_group_is_full(const struct sink_group *group, const struct sink_options *options)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < group->group.object_count; i++)
		lines += group->group.objects[i].lines;
	return lines >= options->flush_size * group->bucket_count ||
	       group->text_bytes >= options->flush_bytes * group->bucket_count ||
	       group->bucket_count >= BUCKETS_MAX ||
	       group->group.object_count >= GROUP_OBJECTS_MAX - 1 ||
	       group->group.run_count >= GROUP_RUNS_MAX;
}

/* --- by a manifest ---------------------------------------------------------------- */

/* The object of the line at `offset`; the runs before it are passed. */
static int32_t pass_to(const struct sink_group *group, uint64_t offset, size_t *run,
		       uint64_t *run_left)
{
	uint64_t at = group->group.end;

	while (*run < group->wanted.run_count && at + *run_left <= offset) {
		at += *run_left;
		if (++*run < group->wanted.run_count)
			*run_left = group->wanted.runs[*run].count;
	}
	if (*run == group->wanted.run_count)
		return GROUP_NO_RECORD;
	*run_left -= offset - at;
	return group->wanted.runs[*run].object;
}

bool sink_group_wants(const struct sink_group *group, uint64_t first, uint64_t last)
{
	size_t next = group->run;
	uint64_t left = group->run_left, at = group->wanted.first;

	if (first == last && first >= group->group.end) /* the next record: not all are gone over */
		return pass_to(group, first, &next, &left) >= (int32_t)group->there;

	for (size_t i = 0; i < group->wanted.run_count && at <= last; i++) {
		const struct group_run *run = &group->wanted.runs[i];

		if (run->object >= (int32_t)group->there && at + run->count > first)
			return true;
		at += run->count;
	}
	return false;
}

enum err_code sink_group_add_fixed(struct sink_group *group, const struct record *record,
				   uint64_t offset, struct json value, struct err *err)
{
	int32_t wanted = pass_to(group, offset, &group->run, &group->run_left);
	const struct group *by = &group->wanted;

	if (wanted < 0)
		return err_set(err, ERR_CORRUPT,
			       "offset %" PRIu64 " is none of the group that begins"
			       " at %" PRIu64,
			       offset, by->first);
	/* Objects are in the order of their first lines, here as there. */
	for (size_t i = group->group.object_count; i < by->object_count; i++)
		(void)open_object(group, by->objects[i].key, "", 0, by->objects[i].start);
	memcpy(group->group.sides, by->sides, sizeof(by->sides));
	sink_group_put_line(group, (size_t)wanted, record, offset, value);
	group->run_left--;
	return ERR_OK;
}

static enum err_code compare_fixed(const struct sink_group *group, struct err *err)
{
	const struct group *made = &group->group, *wanted = &group->wanted;

	for (size_t i = group->there; i < wanted->object_count; i++) {
		const struct group_object *a = &wanted->objects[i];
		const struct group_object *b = i < made->object_count ? &made->objects[i] : NULL;

		if (!b || a->lines != b->lines || a->bytes != b->bytes || a->crc != b->crc ||
		    memcmp(a->side_crc, b->side_crc, sizeof(a->side_crc)) != 0)
			return err_set(err, ERR_CORRUPT,
				       "object \"%s\", which a group's manifest"
				       " names, cannot be made of the records that the log has",
				       a->key);
	}
	return ERR_OK;
}

static void sum_object(struct sink_group *group, size_t at)
{
	struct group_object *object = &group->group.objects[at];
	struct sink_object *its = &group->objects[at];

	object->bytes = its->body.len;
	object->crc = crc32c(0, its->body.ptr, its->body.len);
	for (int side = 0; side < GROUP_SIDES; side++)
		if (group->group.sides[side])
			object->side_crc[side] =
				crc32c(0, its->sides[side].ptr, its->sides[side].len);
}

/* --- what is left of one ------------------------------------------------------------- */

struct amending {
	const struct sink_group *group;
	struct lake_partition where;
	struct group *amended;
	size_t there;	 /* so many of the objects that were wanted stay */
	size_t *as;	 /* what they are in `amended`; SIZE_MAX: nothing yet */
	size_t run;	 /* of what came: … */
	uint64_t run_at; /* … where it begins */
	uint64_t lost_first, lost_count;
	uint64_t lost; /* of all */
};

/* Objects of a group whose names are barred. */
struct barring {
	const struct group *wanted;
	struct store *store;
	size_t count; /* the first ones */
	bool *there;
};

/* Whether the object is there. If something else has its name, that is as good as a bar: none of
 * ours will ever have it. */
static enum err_code bar_object(const struct barring *barring, size_t object, struct err *err)
{
	const char *key = barring->wanted->objects[object].key;
	struct err why;
	enum err_code code = group_bar(barring->store, key, &why);
	struct lake_text_sum sum;

	if (code != ERR_EXISTS) {
		if (code != ERR_OK)
			*err = why;
		return code;
	}
	lake_text_sum_init(&sum);
	code = lake_text_each(barring->store, key, PIECE_BYTES, lake_text_sum_take, &sum, &why);
	if (code == ERR_OK)
		code = group_check_sum(barring->wanted, object, sum.bytes, sum.crc, &why);
	barring->there[object] = code == ERR_OK;
	if (code == ERR_CORRUPT) {
		if (sum.bytes > 0)
			trace_warn("%s: its records are put elsewhere", why.msg);
		code = ERR_OK;
	}
	if (code != ERR_OK)
		*err = why;
	return code;
}

static enum err_code bar_backwards(void *user, size_t item, struct err *err)
{
	const struct barring *barring = user;

	if (stop_requested()) /* there may be thousands; the next sink goes on with them */
		return err_set(err, ERR_STOPPED, "stopped while a group was given up");
	return bar_object(barring, barring->count - 1 - item, err);
}

/*
 * The last one decides, so it is alone. Those before it are barred several at a time: who put one
 * has put all before it, so the last that is there tells, though others be at it.
 */
static enum err_code bar_all(struct barring *barring, size_t *ret_there, struct err *err)
{
	size_t last = barring->count - 1;
	enum err_code code = bar_object(barring, last, err);
	struct ahead *ahead;

	*ret_there = barring->count;
	if (code != ERR_OK || barring->there[last])
		return code;
	barring->count = last;
	*ret_there = last;
	ahead = ahead_new(&(struct ahead_options){ .count = last,
						   .at_once = store_at_once(barring->store),
						   .work = bar_backwards,
						   .user = barring });
	for (size_t i = 0; code == ERR_OK && *ret_there > 0; i++) {
		code = ahead_take(ahead, i, err);
		if (code == ERR_OK && barring->there[*ret_there - 1])
			break;
		--*ret_there;
	}
	ahead_free(ahead);
	return code;
}

static enum err_code bar_objects(const struct group *wanted, struct store *store, size_t *ret_there,
				 struct err *err)
{
	struct barring barring = { .wanted = wanted,
				   .store = store,
				   .count = wanted->object_count };
	enum err_code code = ERR_OK;

	*ret_there = 0;
	if (barring.count == 0)
		return ERR_OK;
	barring.there = xcalloc(barring.count, sizeof(*barring.there));
	code = bar_all(&barring, ret_there, err);
	free(barring.there);
	return code;
}

/* Whether the log still had it; asked in order. */
static bool came(struct amending *amending, uint64_t offset)
{
	const struct group *made = &amending->group->group;

	while (amending->run < made->run_count &&
	       amending->run_at + made->runs[amending->run].count <= offset)
		amending->run_at += made->runs[amending->run++].count;
	return amending->run < made->run_count && offset >= amending->run_at &&
	       made->runs[amending->run].object >= 0;
}

/* One that stays has its name; another gets one that nobody else has. */
static size_t amended_object(struct amending *amending, size_t object, uint64_t offset)
{
	const struct group *wanted = &amending->group->wanted;
	const char *old = wanted->objects[object].key;
	char path[LAKE_PATH_MAX];
	struct lake_file_name name;
	struct buf key;

	if (amending->as[object] != SIZE_MAX)
		return amending->as[object];
	buf_init(&key, STORE_KEY_MAX * 2);
	buf_add_str(&key, old);
	if (object >= amending->there) {
		(void)lake_file_parse(old, &name); /* as when it was read */
		(void)snprintf(path, sizeof(path), "%.*s", SLICE_ARG(name.path));
		lake_file_key(&key, amending->where, path, offset, amending->amended->number,
			      name.packed);
	}
	amending->as[object] = group_add_object(amending->amended, buf_cstr(&key), offset);
	buf_release(&key);
	return amending->as[object];
}

static void end_lost(struct amending *amending)
{
	if (amending->lost_count > 0)
		group_lose(amending->amended, amending->lost_first, amending->lost_count,
			   amending->group->lost_for);
	amending->lost += amending->lost_count;
	amending->lost_count = 0;
}

static void amend_line(struct amending *amending, size_t object, uint64_t offset)
{
	if (object < amending->there || came(amending, offset)) {
		end_lost(amending);
		group_add_line(amending->amended, amended_object(amending, object, offset), offset);
		return;
	}
	if (amending->lost_first + amending->lost_count != offset)
		end_lost(amending);
	if (amending->lost_count++ == 0)
		amending->lost_first = offset;
}

/* What was lost before stays a run of its own, so that its letter stays the same. */
static void amend_runs(struct amending *amending)
{
	const struct group *wanted = &amending->group->wanted;
	uint64_t offset = wanted->first;

	for (size_t i = 0; i < wanted->run_count; i++) {
		const struct group_run *run = &wanted->runs[i];
		uint64_t end = offset + run->count;

		if (run->object < GROUP_NO_RECORD) {
			end_lost(amending);
			group_lose(amending->amended, offset, run->count,
				   (enum group_none)run->object);
		}
		for (; run->object >= 0 && offset < end; offset++)
			amend_line(amending, (size_t)run->object, offset);
		offset = end;
	}
	end_lost(amending);
	group_pass(amending->amended, wanted->end);
}

/* The sums of objects that are there are those of before; of the others, of what came. */
static void sum_amended(struct amending *amending)
{
	const struct sink_group *group = amending->group;

	for (size_t i = 0; i < group->wanted.object_count; i++) {
		const struct group_object *from = i < amending->there ? &group->wanted.objects[i]
								      : &group->group.objects[i];
		struct group_object *to;

		if (amending->as[i] == SIZE_MAX)
			continue;
		to = &amending->amended->objects[amending->as[i]];
		to->bytes = from->bytes;
		to->crc = from->crc;
		memcpy(to->side_crc, from->side_crc, sizeof(to->side_crc));
	}
}

static uint64_t amend_rest(const struct sink_group *group, struct lake_partition where,
			   size_t there, struct group *amended)
{
	struct amending amending = { .group = group,
				     .where = where,
				     .amended = amended,
				     .there = there,
				     .run_at = group->group.first };

	amending.as = xcalloc(group->wanted.object_count + 1, sizeof(size_t));
	for (size_t i = 0; i < group->wanted.object_count; i++)
		amending.as[i] = SIZE_MAX;
	amend_runs(&amending);
	sum_amended(&amending);
	free(amending.as);
	return amending.lost;
}

enum err_code sink_group_amend(struct sink_group *group, struct store *store,
			       struct lake_partition where, bool *ret_whole,
			       struct group *ret_amended, uint64_t *ret_lost, struct err *err)
{
	const struct group *wanted = &group->wanted;
	struct group amended = { .first = wanted->first,
				 .end = wanted->first,
				 .has_after = wanted->has_after,
				 .after = wanted->after,
				 .number = wanted->number + 1,
				 .amended = true };
	size_t there = 0;

	if (wanted->number >= GROUP_NUMBERS_MAX)
		return err_set(err, ERR_LIMIT,
			       "there are %d manifests of the group of objects that"
			       " begins at offset %" PRIu64,
			       GROUP_NUMBERS_MAX, wanted->first);
	if (bar_objects(wanted, store, &there, err) != ERR_OK)
		return err->code;
	*ret_whole = there == wanted->object_count;
	if (*ret_whole)
		return ERR_OK;
	memcpy(amended.sides, wanted->sides, sizeof(amended.sides));
	for (size_t i = 0; i < group->group.object_count; i++)
		sum_object(group, i);
	*ret_lost = amend_rest(group, where, there, &amended);
	*ret_amended = amended;
	return ERR_OK;
}

/* --- a job out of it ---------------------------------------------------------------- */

static void take_output(struct sink_job *job, const char *key, struct buf *body, uint32_t crc)
{
	struct sink_output *output = &job->outputs[job->output_count++];

	*output = (struct sink_output){ .body = *body, .crc = crc };
	buf_init(&output->key, STORE_KEY_MAX * 2);
	buf_add_str(&output->key, key);
	buf_init(body, body->max);
}

/* Sides first, so that the last object tells that all is there. */
static void take_outputs(struct sink_group *group, struct sink_job *job)
{
	const struct group *made = &group->group;
	struct buf key;

	job->outputs = xcalloc(made->object_count * (1 + GROUP_SIDES), sizeof(*job->outputs));
	buf_init(&key, STORE_KEY_MAX * 2);
	for (size_t i = group->fixed ? group->there : 0; i < made->object_count; i++) {
		job->objects++;
		for (int side = 0; side < GROUP_SIDES; side++) {
			if (!made->sides[side])
				continue;
			group_side_key(&key, made->objects[i].key, (enum group_side)side);
			take_output(job, buf_cstr(&key), &group->objects[i].sides[side],
				    made->objects[i].side_crc[side]);
		}
		take_output(job, made->objects[i].key, &group->objects[i].body,
			    made->objects[i].crc);
	}
	buf_release(&key);
}

enum err_code sink_group_close(struct sink_group *group, struct lake_partition where,
			       struct sink_job *job, struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < group->group.object_count; i++)
		sum_object(group, i);
	if (group->fixed) { /* its manifest is there */
		code = compare_fixed(group, err);
	} else {
		struct sink_mark *mark = sink_job_add_mark(job, SINK_MANIFEST_MAX);

		group_write(&group->group, where, &mark->key, &mark->text);
		assert(!buf_full(&mark->text));
	}
	take_outputs(group, job);
	sink_group_clear(group);
	return code;
}
