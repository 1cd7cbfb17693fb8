#include "flow/check.h"

#include "base/mem.h"
#include "delta/delta.h"
#include "flow/census.h"
#include "flow/dlq.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { WORDS_MAX = 400, SQL_BYTES_MAX = 64 << 20, INSERT_BYTES = 1 << 20 };

/* What is known of one partition. */
struct part {
	int32_t partition;
	uint64_t committed;	/* the table is done with the offsets before this */
	int64_t front;		/* what the sink put up to here is surely seen; -1: nothing */
	uint64_t *sink;		/* offsets of its dead letters, ascending once sorted */
	size_t sink_count;
	size_t sink_at;		/* the next one that the walk over the objects has not met */
	uint64_t next;		/* the offset that the objects must go on with */
	uint64_t places_end;	/* the offset after the last one that is a row or letter */
};

struct checking {
	const struct check_options *options;
	enum topic_kind kind;
	char topic[TOPIC_NAME_MAX + 1];
	char root[STORE_KEY_MAX];
	struct check_counts counts;
	struct delta_table *table;		/* NULL: there is none yet */
	struct topic_info info;			/* no partitions: there is no topic */
	struct part *parts;
	size_t part_count;
	uint64_t settled;			/* letters that no commit brings once more */
	struct buf insert;			/* letters on their way into the table "letters" */
	enum err_code code;
	struct err *err;
};

__attribute__((format(printf, 2, 3))) static void check_fault(struct checking *checking,
							      const char *fmt, ...)
{
	char words[WORDS_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	checking->counts.faults++;
	checking->options->fault(checking->options->user, words);
}

/* The table's own progress: the last offset that it is done with, or -1. */
static int64_t check_done_of(const struct checking *checking, int32_t partition)
{
	char app_id[LAKE_APP_ID_MAX];

	lake_app_id(app_id, checking->kind, checking->topic, partition, checking->info.uid);
	return checking->table ? delta_txn_version(checking->table, app_id) : -1;
}

/* Of a stream that was made anew, what comes before its first record is the old one's. */
static uint64_t committed_of(const struct checking *checking, int32_t partition)
{
	uint64_t end = (uint64_t)(check_done_of(checking, partition) + 1), first;

	if (checking->kind == TOPIC_LOG)
		return end;
	if (partition >= checking->info.partition_count)
		return UINT64_MAX;
	first = position_ordinal(checking->info.partitions[partition].first);
	return end > first ? end : first;
}

static struct part *check_part_of(struct checking *checking, int32_t partition)
{
	for (size_t i = 0; i < checking->part_count; i++)
		if (checking->parts[i].partition == partition)
			return &checking->parts[i];
	checking->parts = xreallocarray(checking->parts, checking->part_count + 1,
					sizeof(*checking->parts));
	checking->parts[checking->part_count] = (struct part){
		.partition = partition, .front = -1,
		.committed = committed_of(checking, partition) };
	return &checking->parts[checking->part_count++];
}

/* How far the sink and the tables are now: whatever they do while this runs comes after it. */

static enum err_code check_open_table(struct checking *checking)
{
	struct delta_options options = { 0 };
	enum err_code code = delta_open(checking->options->store, checking->root, &options,
					&checking->table, checking->err);

	return code == ERR_ABSENT ? ERR_OK : code;
}

static enum err_code check_describe(struct checking *checking)
{
	struct topic_ref topic = { .kind = checking->kind, .name = checking->topic };
	enum err_code code;

	topic_info_release(&checking->info);
	code = broker_describe(checking->options->broker, topic, &checking->info, checking->err);
	return code == ERR_NO_TOPIC ? ERR_OK : code;
}

static bool note_front(void *user, const struct store_entry *entry)
{
	struct checking *checking = user;
	struct slice topic;
	int32_t partition;
	struct part *part;
	uint64_t start;

	if (!lake_object_parse(entry->key, &topic, &partition, &start) &&
	    !lake_dlq_parse(entry->key, checking->kind, &topic, &partition, &start))
		return true;
	part = check_part_of(checking, partition);
	if ((int64_t)start > part->front)
		part->front = (int64_t)start;
	return true;
}

/* A listing may lack what is put while it runs, and show what is put after that. But what the sink
 * put before the newest that this one shows, a later listing will not lack. */
static enum err_code find_fronts(struct checking *checking)
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

static enum err_code insert_letters(struct checking *checking)
{
	enum err_code code = ERR_OK;

	if (checking->insert.len)
		code = duck_run(checking->options->duck, buf_cstr(&checking->insert),
				checking->err);
	buf_clear(&checking->insert);
	return code;
}

/* A letter of what a table has committed is a place; one past that is a commit's that is under way,
 * or that a crash cut off, and will be put once more. */
static void add_place(struct checking *checking, const struct dlq_entry *entry)
{
	buf_addf(&checking->insert, "%s('%.*s','%.*s')",
		 checking->insert.len ? "," : "INSERT INTO letters VALUES ",
		 SLICE_ARG(entry->partition), SLICE_ARG(entry->offset));
	if (checking->insert.len > INSERT_BYTES)
		checking->code = insert_letters(checking);
}

static bool take_letter(void *user, const struct dlq_entry *entry)
{
	struct checking *checking = user;
	bool sink = slice_is(entry->stage, "sink"), committed;
	struct position position;
	struct part *part;
	int32_t partition;

	checking->counts.letters++;
	if (!partition_parse(checking->kind, entry->partition, &partition) ||
	    !position_parse(entry->offset, &position)) {
		check_fault(checking, "a dead letter of \"%s\" has no readable coordinates",
			    checking->topic);
		return true;
	}
	part = check_part_of(checking, partition);
	committed = position_ordinal(position) < part->committed;
	checking->settled += sink || committed;
	if (committed)
		add_place(checking, entry);
	if (sink) {
		part->sink = xreallocarray(part->sink, part->sink_count + 1, sizeof(*part->sink));
		part->sink[part->sink_count++] = position_ordinal(position);
	}
	return checking->code == ERR_OK;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static enum err_code take_letters(struct checking *checking)
{
	struct duck *duck = checking->options->duck;
	enum err_code code = duck_run(duck, "CREATE OR REPLACE TABLE letters(p VARCHAR, o VARCHAR)",
				      checking->err);

	if (code == ERR_OK)
		code = dlq_list(checking->options->store, checking->topic, take_letter, checking,
				checking->err);
	if (code == ERR_OK)
		code = checking->code;
	if (code == ERR_OK)
		code = insert_letters(checking);
	for (size_t i = 0; i < checking->part_count; i++)
		if (checking->parts[i].sink_count > 0)
			qsort(checking->parts[i].sink, checking->parts[i].sink_count,
			      sizeof(uint64_t), compare_u64);
	return code;
}

/* Let the sink's letters account for the offsets from `next` on. */
static void skip_letters(struct part *part)
{
	while (part->sink_at < part->sink_count && part->sink[part->sink_at] == part->next) {
		part->sink_at++;
		part->next++;
	}
}

static void compare_start(struct checking *checking, const struct part *part, uint64_t start)
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

static bool check_object(void *user, const struct store_entry *entry)
{
	struct checking *checking = user;
	uint64_t start, lines = 0;
	struct slice topic;
	int32_t partition;
	struct part *part;

	if (!lake_object_parse(entry->key, &topic, &partition, &start)) {
		check_fault(checking, "\"%s\" is not the name of an object of the lake",
			    entry->key);
		return true;
	}
	part = check_part_of(checking, partition);
	if ((int64_t)start > part->front)
		return true;
	skip_letters(part);
	compare_start(checking, part, start);
	checking->code = census_count_lines(checking->options->store, entry->key, entry->size,
					    &lines, checking->err);
	part->next = start + lines;
	checking->counts.objects++;
	checking->counts.lines += lines;
	return checking->code == ERR_OK;
}

/* The sink's letters after the last object. */
static void check_last_letters(struct checking *checking, struct part *part)
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

static enum err_code check_objects(struct checking *checking)
{
	char prefix[STORE_KEY_MAX];
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "topics/%s/", checking->topic);
	code = store_list(checking->options->store, prefix, "", check_object, checking,
			  checking->err);
	for (size_t i = 0; i < checking->part_count; i++)
		check_last_letters(checking, &checking->parts[i]);
	return code == ERR_OK ? checking->code : code;
}

static void check_put_files(struct buf *out, struct store *store, const char *root,
			    const struct delta_table *table)
{
	char key[STORE_KEY_MAX * 2];
	struct buf path;

	buf_init(&path, STORE_KEY_MAX * 4);
	for (size_t i = 0; i < delta_file_count(table); i++) {
		(void)snprintf(key, sizeof(key), "%s/%s", root, delta_file(table, i)->path);
		buf_clear(&path);
		store_locate(store, key, &path);
		buf_add_str(out, i ? "," : "");
		duck_put_literal(out, buf_slice(&path));
	}
	buf_release(&path);
}

/* The view "places": where each offset is, as a row or as a letter. */
static enum err_code attach_places(struct checking *checking)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "CREATE OR REPLACE VIEW places AS SELECT p, o, 0 AS r FROM letters");
	if (checking->table && delta_file_count(checking->table) > 0) {
		buf_add_str(&sql, " UNION ALL SELECT _partition, _offset, 1 FROM read_parquet([");
		check_put_files(&sql, checking->options->store, checking->root, checking->table);
		buf_add_str(&sql, "])");
	}
	code = buf_full(&sql) ? err_set(checking->err, ERR_LIMIT, "the table has too many files")
			      : duck_run(checking->options->duck, buf_cstr(&sql), checking->err);
	buf_release(&sql);
	return code;
}

static struct position cell_position(duckdb_result *result, idx_t column, idx_t row)
{
	char *text = duckdb.value_varchar(result, column, row);
	struct position position = { { 0 } };

	if (text)
		(void)position_parse(slice_str(text), &position);
	duckdb.free(text);
	return position;
}

/* What the table holds came out of objects, so they must reach as far. */
static void check_reach(struct checking *checking, const char *text, uint64_t last)
{
	int32_t partition;
	struct part *part;

	if (!partition_parse(checking->kind, slice_str(text), &partition))
		return;
	part = check_part_of(checking, partition);
	part->places_end = last + 1;
	if (checking->kind == TOPIC_LOG && part->next <= last)
		check_fault(checking,
			    "partition %s of \"%s\": offsets %" PRIu64 " to %" PRIu64
			    " are in the table, but in no object",
			    text, checking->topic, part->next, last);
}

/* One partition: every ordinal from 0 to the last one is in one place. */
static void check_row(struct checking *checking, duckdb_result *result, idx_t row)
{
	char *partition = duckdb.value_varchar(result, 0, row);
	uint64_t places = duckdb.value_uint64(result, 1, row);
	uint64_t distinct = duckdb.value_uint64(result, 2, row);
	uint64_t first = position_ordinal(cell_position(result, 3, row));
	uint64_t last = position_ordinal(cell_position(result, 4, row));

	checking->counts.rows += duckdb.value_uint64(result, 5, row);
	if (places != distinct)
		check_fault(checking,
			    "partition %s of \"%s\": %" PRIu64
			    " offsets are more than once in the table or dead letters",
			    partition, checking->topic, places - distinct);
	if (first != 0 || last - first + 1 != distinct)
		check_fault(checking,
			    "partition %s of \"%s\": %" PRIu64 " of the offsets 0 to %" PRIu64
			    " are neither in the table nor a dead letter",
			    partition, checking->topic, last + 1 - distinct, last);
	check_reach(checking, partition ? partition : "", last);
	duckdb.free(partition);
}

static enum err_code check_table_rows(struct checking *checking)
{
	duckdb_result result;
	enum err_code code = attach_places(checking);

	if (code == ERR_OK)
		code = duck_query(checking->options->duck,
				  "SELECT p, count(*), count(DISTINCT o), min(o), max(o), sum(r) "
				  "FROM places GROUP BY p ORDER BY p", &result, checking->err);
	if (code != ERR_OK)
		return code;
	for (idx_t row = 0; row < duckdb.row_count(&result); row++)
		check_row(checking, &result, row);
	duckdb.destroy_result(&result);
	return ERR_OK;
}

/* What the table's `txn` says is done must be somewhere. */
static void check_progress(struct checking *checking, int32_t partition)
{
	int64_t done = check_done_of(checking, partition);
	uint64_t end = check_part_of(checking, partition)->places_end;

	if (done >= 0 && (uint64_t)done >= end)
		check_fault(checking,
			    "partition %d of \"%s\": the table says that offsets up to %" PRId64
			    " are done, but what it holds ends before %" PRIu64,
			    partition, checking->topic, done, end);
}

/* The log is asked last: nothing can be in the lake that it has not taken by then. */
static enum err_code count_behind(struct checking *checking)
{
	uint64_t done = checking->counts.rows + checking->settled;
	uint64_t logged = 0;
	enum err_code code = check_describe(checking);

	if (code != ERR_OK || checking->info.partition_count == 0)
		return code;
	for (int32_t i = 0; i < checking->info.partition_count; i++) {
		logged += position_ordinal(checking->info.partitions[i].next);
		check_progress(checking, i);
	}
	if (done > logged && checking->counts.faults == 0)
		check_fault(checking,
			    "\"%s\": the lake holds %" PRIu64
			    " records more than were ever in the log",
			    checking->topic, done - logged);
	checking->counts.behind = logged > done ? logged - done : 0;
	return ERR_OK;
}

static enum err_code check_all(struct checking *checking)
{
	enum err_code code = check_open_table(checking);

	if (code == ERR_OK)
		code = check_describe(checking);
	if (code == ERR_OK)
		code = find_fronts(checking);
	if (code == ERR_OK)
		code = take_letters(checking);
	if (code == ERR_OK && checking->kind == TOPIC_LOG)
		code = check_objects(checking);
	if (code == ERR_OK)
		code = check_table_rows(checking);
	return code == ERR_OK ? count_behind(checking) : code;
}

enum err_code check_table(const struct check_options *options, enum topic_kind kind,
			  enum lake_table table, struct check_counts *ret_counts, struct err *err)
{
	struct checking checking = { .options = options, .kind = kind, .err = err };
	struct buf name;
	enum err_code code;

	buf_init(&name, STORE_KEY_MAX);
	buf_init(&checking.insert, SQL_BYTES_MAX);
	lake_topic_name(&name, kind, options->id, table);
	(void)snprintf(checking.topic, sizeof(checking.topic), "%s", buf_cstr(&name));
	buf_clear(&name);
	lake_table_root(&name, kind, options->id, table);
	(void)snprintf(checking.root, sizeof(checking.root), "%s", buf_cstr(&name));
	code = check_all(&checking);
	if (code == ERR_OK)
		*ret_counts = checking.counts;
	for (size_t i = 0; i < checking.part_count; i++)
		free(checking.parts[i].sink);
	free(checking.parts);
	topic_info_release(&checking.info);
	delta_close(checking.table);
	buf_release(&checking.insert);
	buf_release(&name);
	return code;
}
