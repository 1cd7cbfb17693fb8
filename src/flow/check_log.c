#include "flow/check_topic.h"

#include "base/ahead.h"
#include "base/json_same.h"
#include "base/mem.h"
#include "flow/history.h"
#include "flow/lake_text.h"
#include "flow/log_read.h"

#include <assert.h>
#include <inttypes.h>

enum {
	TAIL_BYTES = 256 << 10,
	TAIL_PIECE_BYTES = 1 << 20,
	OBJECT_BYTES_MAX = 1 << 30,
	RECORD_BYTES_MAX = 64 << 20
};

/* The end of the newest object: lines that are to be those of the log. */
struct log_tail {
	bool loaded;
	struct buf text;	/* from the beginning of a line on */
	struct slice rest;
	uint64_t line;		/* of the object, that `rest` begins with */
	uint64_t last;		/* the offset of its last line, … */
	struct lineages lineages; /* … and which histories that can be of */
};

/* One partition, as its records come. */
struct log_check {
	struct checking *checking;
	struct check_part *part;
	struct history history; /* of a topic: of its name */
	struct log_tail tail;	/* likewise */
	struct json_parser *parser;
	bool differs;		/* told */
	uint64_t read;
	uint64_t beyond;	/* records that no table, or no object, is done with */
	bool any;		/* a record came */
};

/* --- the newest lines of the lake ------------------------------------------ */

static enum err_code get_tail(struct log_check *check, uint64_t from, struct err *err)
{
	buf_clear(&check->tail.text);
	return store_get(check->checking->options->store, check->part->newest_key, from, UINT64_MAX,
			 &check->tail.text, err);
}

/* Of a packed one all is read, but not kept. */
static enum err_code unpack_tail(struct log_check *check, struct slice *ret_rest, struct err *err)
{
	struct lake_text_tail tail;
	enum err_code code;

	lake_text_tail_init(&tail, TAIL_BYTES);
	code = lake_text_each_same(check->checking->options->store, check->part->newest_key,
				   UINT64_MAX, TAIL_PIECE_BYTES, lake_text_tail_take, &tail, err);
	buf_release(&check->tail.text);
	check->tail.text = tail.text;
	*ret_rest = buf_slice(&check->tail.text);
	return code;
}

/* A piece of the object's end that holds at least one whole line; all of it, if need be. */
static enum err_code read_tail(struct log_check *check, struct slice *ret_rest, struct err *err)
{
	uint64_t size = check->part->newest_size;
	uint64_t from = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
	enum err_code code;
	const char *end;

	if (group_is_packed(check->part->newest_key))
		return unpack_tail(check, ret_rest, err);
	code = get_tail(check, from, err);
	*ret_rest = buf_slice(&check->tail.text);
	if (code != ERR_OK || from == 0)
		return code;
	end = memchr(ret_rest->ptr, '\n', ret_rest->len);
	if (end && end + 1 < ret_rest->ptr + ret_rest->len) {
		*ret_rest = slice_from(*ret_rest, (size_t)(end + 1 - ret_rest->ptr));
	} else {
		code = get_tail(check, 0, err);
		*ret_rest = buf_slice(&check->tail.text);
	}
	return code;
}

static enum err_code load_tail(struct log_check *check, struct err *err)
{
	const struct check_part *part = check->part;
	enum err_code code = read_tail(check, &check->tail.rest, err);

	if (code != ERR_OK)
		return code;
	check->tail.line = part->newest_lines - manifest_count_lines(check->tail.rest);
	check->tail.last = manifest_offset(&part->newest_manifest, part->newest_lines - 1);
	code = lineage_load(check->checking->options->store, part->where, check->tail.last,
			    &check->tail.lineages, err);
	check->tail.loaded = code == ERR_OK;
	return code;
}

static uint64_t tail_offset(const struct log_check *check)
{
	const struct check_part *part = check->part;

	return manifest_offset(&part->newest_manifest, check->tail.line);
}

static struct slice tail_take(struct log_tail *tail)
{
	const char *end = memchr(tail->rest.ptr, '\n', tail->rest.len);
	size_t len = end ? (size_t)(end - tail->rest.ptr) : tail->rest.len;
	struct slice line = slice_of(tail->rest.ptr, len);

	tail->rest = slice_from(tail->rest, len + (end != NULL));
	tail->line++;
	return line;
}

/* --- is it the same ---------------------------------------------------------- */

static void tell_difference(struct log_check *check, struct position position)
{
	char text[POSITION_TEXT_MAX];

	if (check->differs)
		return;
	check->differs = true;
	check->part->holes = true;
	(void)position_text(position, text);
	check_fault(check->checking,
		    "partition %d of \"%s\": the record at offset %s in the log is not the one that the "
		    "lake has: one of them is of another history",
		    check->part->where.id, check->checking->topic, text);
}

/* Another program has its own way to write a value. */
static bool means_the_same(struct slice line, struct json value)
{
	struct json_parser *parser = json_parser_new(RECORD_BYTES_MAX);
	struct json root;
	struct err err;
	bool same = json_parse(parser, line, &root, &err) == ERR_OK && json_same(root, value);

	json_parser_free(parser);
	return same;
}

/* As the sink would write it, or another. */
static bool is_line(struct log_check *check, struct slice value, struct slice line)
{
	struct json root;
	struct buf text;
	struct err err;
	bool same = false;

	buf_init(&text, RECORD_BYTES_MAX);
	if (value.ptr && json_parse(check->parser, value, &root, &err) == ERR_OK) {
		json_put(&text, root);
		same = slice_eq(buf_slice(&text), line) || means_the_same(line, root);
	}
	buf_release(&text);
	return same;
}

/* A line that the log has no record of is one that it let go of. */
static void compare_line(struct log_check *check, const struct record *record, uint64_t offset)
{
	while (check->tail.rest.len > 0 && tail_offset(check) <= offset) {
		bool same = tail_offset(check) == offset;
		struct slice line = tail_take(&check->tail);

		if (same && !is_line(check, record->value, line))
			tell_difference(check, record->position);
	}
}

static void take_logged(struct log_check *check, const struct reader_event *event,
			const struct record *record)
{
	struct checking *checking = check->checking;
	struct check_part *part = check->part;
	bool done = check_is_done(part, record->position);
	uint64_t offset = 0;

	if (!check->any && checking->kind == TOPIC_STREAM)
		part->from = record->position;
	check->any = true;
	if (checking->kind == TOPIC_LOG && lake_offset(record->position, &offset)) {
		compare_line(check, record, offset);
		if (check->tail.text.len > 0 && offset == check->tail.last &&
		    !lineages_allow(&check->tail.lineages, event->lineage))
			tell_difference(check, record->position);
		if (checking->table_count == 0)
			done = part->any_end && offset < part->end;
	} else if (done) {
		if (position_cmp(record->position, part->since) >= 0)
			check_sum_add(&part->expected, record->position);
		if (position_cmp(record->position, part->done) == 0 &&
		    !delta_lineage_is(part->lineage, event->lineage))
			tell_difference(check, record->position);
	}
	check->beyond += !done || part->other;
}

static void tell_ahead(struct log_check *check)
{
	struct check_part *part = check->part;

	if (part->other || check->differs)
		return;
	part->holes = true;
	check_fault(check->checking,
		    "partition %d of \"%s\": the lake holds records that were never in this log, which "
		    "ends before them",
		    part->where.id, check->checking->topic);
}

/* The end of the log: the lake cannot have come further. */
static void check_take_end(struct log_check *check, struct position end)
{
	const struct check_part *part = check->part;
	uint64_t next;

	if ((part->any_done && position_cmp(part->done, end) >= 0) ||
	    (part->any_end && lake_offset(end, &next) && part->end > next))
		tell_ahead(check);
}

static enum err_code take_log_event(struct log_place *place, const struct reader_event *event,
				    struct err *err)
{
	struct log_check *check = place->user;

	(void)err;
	for (size_t i = 0; event->kind == READER_RECORDS && i < event->count; i++)
		take_logged(check, event, &event->records[i]);
	if (event->kind == READER_RECORDS)
		check->read += event->count;
	if (event->kind == READER_CAUGHT_UP)
		check_take_end(check, event->last);
	return ERR_OK;
}

/* --- where to begin ------------------------------------------------------------ */

/*
 * What retention let go of before the sink had it, and no letter tells: the sink will, when it
 * comes there.
 */
static void check_lost(struct checking *checking, const struct check_part *part,
		       const struct partition_info *info)
{
	uint64_t first;

	if (part->any_end && !part->other && lake_offset(info->first, &first) && part->end < first)
		check_fault(checking,
			    "partition %d of \"%s\": offsets %" PRIu64 " to %" PRIu64
			    " left the log and never reached the lake",
			    part->where.id, checking->topic, part->end, first - 1);
}

/*
 * A topic that was made anew, and whose offsets begin again, before the sink has come to it: what
 * the lake has of them is not of it.
 */
static void find_other(struct log_check *check, const struct partition_info *info)
{
	const struct history *history = &check->history;
	struct check_part *part = check->part;
	uint64_t born;

	if (history->named && !history->has_uid && part->any_end && lake_offset(info->born, &born))
		part->other = born < part->end;
	if (part->other) {
		check->tail.rest = slice_of(NULL, 0);
		buf_clear(&check->tail.text);
	}
}

/*
 * The tables are not done with what is before `at`: those records are counted, one by one where
 * their offsets do not tell. Returns from where on to read.
 */
static uint64_t count_before(struct log_check *check, const struct partition_info *info,
			     uint64_t at)
{
	uint64_t from = check->part->done_end, to = at, first, next;

	if (check->checking->table_count == 0 || from >= at)
		return at;
	if (!info->dense || !lake_offset(info->first, &first) || !lake_offset(info->next, &next))
		return from;
	if (from < first)
		from = first;
	if (to > next)
		to = next;
	check->beyond = to > from ? to - from : 0;
	return at;
}

/* A topic is read from its newest lines on, or from where the tables are if that is before. */
static void begin_topic(struct log_check *check, const struct partition_info *info,
			struct reader_start *ret_start)
{
	struct check_part *part = check->part;
	struct position from = info->first;
	uint64_t at = part->end;

	find_other(check, info);
	check_lost(check->checking, part, info);
	if (part->other || !part->any_end)
		return;
	if (check->tail.loaded)
		at = tail_offset(check);
	at = count_before(check, info, at);
	if (position_cmp(lake_position(at), from) <= 0)
		return;
	/* Beyond its end a log cannot be asked; that it ends before is told at the end. */
	if (info->next_known && position_cmp(lake_position(at), info->next) > 0)
		*ret_start = (struct reader_start){ .kind = START_NEXT };
	else
		*ret_start =
			(struct reader_start){ .kind = START_AT, .position = lake_position(at) };
}

/* What the lake says of a partition, several partitions at a time. */
static enum err_code log_check_load(void *user, size_t item, struct err *err)
{
	struct log_check *check = &((struct log_check *)user)[item];
	const struct checking *checking = check->checking;
	enum err_code code;

	if (checking->kind != TOPIC_LOG)
		return ERR_OK;
	code = history_load(checking->options->store, checking->topic, checking->info.uid,
			    &check->history, err);
	if (code == ERR_OK && check->part->any_end && check->part->newest_key)
		code = load_tail(check, err);
	return code;
}

static void log_check_begin(struct log_check *check, const struct partition_info *info,
			    struct log_place *place)
{
	struct checking *checking = check->checking;

	check->part->from = info->first;
	checking->counts.end_unknown |= !info->next_known;
	*place = (struct log_place){ .topic = { checking->kind, checking->topic },
				     .partition = info->id,
				     .start = { .kind = START_FIRST },
				     .user = check };
	if (checking->kind == TOPIC_STREAM)
		return;
	begin_topic(check, info, &place->start);
	if (!info->next_known) /* how many there are, only they tell */
		place->start = (struct reader_start){ .kind = START_FIRST };
}

/* Shards of an older history, and those that the log has no more: what was in them it cannot
 * tell. */
static void leave_others(struct checking *checking, const struct log_check *checks, size_t count)
{
	for (size_t i = 0; i < checking->part_count; i++) {
		struct check_part *part = &checking->parts[i];
		bool known = checking->kind == TOPIC_LOG;

		for (size_t k = 0; k < count && !known; k++)
			known = checks[k].part == part;
		part->other |= !known;
	}
}

static void count_logged(struct checking *checking, const struct log_check *checks, size_t count)
{
	uint64_t beyond = 0;

	for (size_t i = 0; i < count; i++) {
		const struct partition_info *info = &checking->info.partitions[i];

		checking->counts.in_log += info->next_known ? info->records : checks[i].read;
		beyond += checks[i].beyond;
	}
	if (checking->table_count == 0 && checking->kind == TOPIC_STREAM)
		checking->counts.unread = beyond; /* nothing is made of a stream but tables */
	else
		checking->counts.behind = beyond;
}

static enum err_code log_checks_init(struct checking *checking, struct log_check *checks,
				     struct json_parser *parser)
{
	const struct topic_info *info = &checking->info;
	struct ahead_options options = { .count = (size_t)info->partition_count,
					 .at_once = store_at_once(checking->options->store),
					 .work = log_check_load,
					 .user = checks };
	enum err_code code = ERR_OK;

	/* First all parts: finding one more may move those that were found. */
	for (size_t i = 0; i < options.count; i++)
		if (!check_newest_part(checking, info->partitions[i].id)) {
			assert(checking->code != ERR_OK);
			return checking->code;
		}
	if (checking->kind == TOPIC_STREAM)
		code = check_find_kept(checking);
	if (code != ERR_OK)
		return code;
	for (size_t i = 0; i < options.count; i++) {
		checks[i].checking = checking;
		checks[i].part = check_newest_part(checking, info->partitions[i].id);
		assert(checks[i].part);
		checks[i].parser = parser;
		buf_init(&checks[i].tail.text, OBJECT_BYTES_MAX);
	}
	return ahead_all(&options, checking->err);
}

enum err_code check_log(struct checking *checking)
{
	size_t count = (size_t)checking->info.partition_count;
	struct log_check *checks = xcalloc(count + 1, sizeof(*checks));
	struct log_place *places = xcalloc(count + 1, sizeof(*places));
	struct json_parser *parser = json_parser_new(RECORD_BYTES_MAX);
	enum err_code code = log_checks_init(checking, checks, parser);

	for (size_t i = 0; i < count && code == ERR_OK; i++)
		log_check_begin(&checks[i], &checking->info.partitions[i], &places[i]);
	if (code == ERR_OK)
		code = log_read(checking->options->broker, places, count, take_log_event,
				checking->err);
	for (size_t i = 0; i < count && code == ERR_OK; i++)
		if (places[i].beyond)
			tell_ahead(&checks[i]);
	if (code == ERR_OK)
		count_logged(checking, checks, count);
	if (code == ERR_OK)
		leave_others(checking, checks, count);
	for (size_t i = 0; i < count; i++)
		buf_release(&checks[i].tail.text);
	json_parser_free(parser);
	free(places);
	free(checks);
	return code;
}
