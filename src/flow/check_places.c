#include "flow/check_topic.h"

#include "base/mem.h"
#include "flow/census.h"
#include "flow/table_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SQL_BYTES_MAX = 64 << 20, INSERT_BYTES = 1 << 20 };

static enum err_code insert_letters(struct checking *checking)
{
	struct duck *duck = checking->options->duck;
	enum err_code code = ERR_OK;

	if (!checking->insert.len)
		return ERR_OK;
	if (!checking->any_letters)
		code = duck_run(duck, "CREATE OR REPLACE TABLE letters(p VARCHAR, o VARCHAR)",
				checking->err);
	if (code == ERR_OK)
		code = duck_run(duck, buf_cstr(&checking->insert), checking->err);
	checking->any_letters = true;
	buf_clear(&checking->insert);
	return code;
}

static void add_place(struct checking *checking, const struct dlq_entry *entry)
{
	buf_addf(&checking->insert, "%s('%.*s','%.*s')",
		 checking->insert.len ? "," : "INSERT INTO letters VALUES ",
		 SLICE_ARG(entry->partition), SLICE_ARG(entry->offset));
	if (checking->insert.len > INSERT_BYTES)
		checking->code = insert_letters(checking);
}

static void cover_by_letter(struct check_part *part, uint64_t from, uint64_t end)
{
	part->covers = xreallocarray(part->covers, part->cover_count + 1, sizeof(*part->covers));
	part->covers[part->cover_count++] =
		(struct check_cover){ .kind = COVER_LETTERS, .from = from, .end = end };
}

/* A letter of the sink stands for its record in the objects, and in the tables. */
static void take_sink_letter(struct check_part *part, uint64_t offset)
{
	part->sink = xreallocarray(part->sink, part->sink_count + 1, sizeof(*part->sink));
	part->sink[part->sink_count++] = offset;
}

/*
 * A letter of what a table has committed is a place; one past that is a commit's that is under way,
 * or that a crash cut off, and will be put once more.
 */
static void place_letter(struct checking *checking, struct check_part *part,
			 const struct dlq_entry *entry)
{
	struct position first = entry->position, last = entry->last_position;
	bool sink = slice_is(entry->stage, "sink"), lost = census_is_loss(entry);
	bool log = checking->kind == TOPIC_LOG, counts = sink || check_is_done(part, first);
	uint64_t from = 0, to = 0;

	if (log && (!lake_offset(first, &from) || !lake_offset(last, &to)))
		return;
	checking->counts.letters += to - from + 1;
	if (lost && counts)
		checking->counts.lost += to - from + 1;
	if (log && counts && (sink || lost))
		cover_by_letter(part, from, to + 1);
	if (sink && !lost)
		take_sink_letter(part, from);
	if (!lost && check_is_done(part, first))
		add_place(checking, entry);
}

static bool take_letter(void *user, const struct dlq_entry *entry)
{
	struct checking *checking = user;
	struct check_part *part;
	int32_t partition;

	if (!partition_parse(checking->kind, entry->partition, &partition) || !entry->placed) {
		check_fault(checking, "a dead letter of \"%s\" has no readable coordinates",
			    checking->topic);
		return true;
	}
	part = check_part_of(checking, partition, entry->generation);
	if (part)
		place_letter(checking, part, entry);
	return checking->code == ERR_OK;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* By the tables as this check sees them: a letter is a row from the same commit on as its row. */
static const struct delta_table *checked_table(void *user, const char *root)
{
	const struct checking *checking = user;

	for (size_t i = 0; i < checking->table_count; i++)
		if (strcmp(checking->tables[i].place.root, root) == 0)
			return checking->tables[i].delta;
	return NULL;
}

enum err_code check_take_letters(struct checking *checking)
{
	struct dlq_query query = { .topic = checking->topic,
				   .table = checked_table,
				   .table_user = checking };
	enum err_code code = dlq_query(checking->options->store, &query, take_letter, checking,
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

static void check_put_files(struct buf *out, const struct table_files *files)
{
	uint64_t turn = duck_turn();

	duck_put_files_begin(out);
	for (size_t i = 0; i < files->count; i++)
		duck_put_file(out, files->list[i].fd, turn);
	duck_put_files_end(out);
}

static void put_limit(struct buf *sql, const struct checking *checking,
		      const struct check_part *part)
{
	char partition[PARTITION_TEXT_MAX], first[LAKE_OFFSET_TEXT_MAX];
	char last[LAKE_OFFSET_TEXT_MAX];
	struct position from = part->since;

	if (checking->kind == TOPIC_STREAM && position_cmp(part->from, from) > 0)
		from = part->from;
	(void)partition_text(checking->kind, part->where.id, partition);
	(void)position_text(part->done, last);
	(void)position_text(from, first);
	buf_addf(sql, ", ('%s', %" PRIu32 ", '%s', '%s')", partition, part->where.generation,
		 first, last);
}

/*
 * Which records must be somewhere, and are counted: of each partition (p) and generation (g) those
 * from `first` to `last`, the last one that all tables are done with; where tables share the topic,
 * one may have rows beyond it. Of a stream from the oldest one that the log still has, and only of
 * what retention has left. Positions are as text in the order of the log.
 */
static void put_limits(struct buf *sql, const struct checking *checking)
{
	buf_add_str(sql, "; CREATE OR REPLACE VIEW limits AS SELECT * FROM (VALUES ('', 0, '', '')");
	for (size_t i = 0; i < checking->part_count; i++)
		if (checking->parts[i].any_done)
			put_limit(sql, checking, &checking->parts[i]);
	buf_add_str(sql, ") AS l(p, g, first, last)");
}

/* The view "places": where each offset is, as a row or as a letter. False: there are none. */
static enum err_code attach_places(struct checking *checking, struct table_files *files,
				   bool *ret_any)
{
	const char *also = "";
	struct buf sql;
	enum err_code code = ERR_OK;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "CREATE OR REPLACE VIEW places(p, o, r) AS ");
	if (checking->any_letters) {
		buf_add_str(&sql, "SELECT p, o, 0 FROM letters");
		also = " UNION ALL ";
	}
	for (size_t i = 0; i < checking->table_count && code == ERR_OK; i++) {
		const struct check_table *table = &checking->tables[i];

		if (!table->delta || delta_file_count(table->delta) == 0)
			continue;
		buf_addf(&sql, "%sSELECT _partition, _offset, 1 FROM ", also);
		also = " UNION ALL ";
		code = table_files_open(checking->options->store, table->place.root, table->delta,
					&files[i], checking->err);
		if (code == ERR_OK)
			check_put_files(&sql, &files[i]);
	}
	put_limits(&sql, checking);
	if (code == ERR_OK && buf_full(&sql))
		code = err_set(checking->err, ERR_LIMIT, "the table has too many files");
	*ret_any = *also != '\0';
	if (code == ERR_OK && *ret_any)
		code = duck_run(checking->options->duck, buf_cstr(&sql), checking->err);
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

/* What the tables have of one partition. */
struct check_found {
	uint64_t places;
	uint64_t distinct;
	uint64_t rows;
	struct check_sum sum;	/* of what must be there */
};

/* What the table holds came out of objects, so they must reach as far. False: they do not. */
static bool check_reach(struct checking *checking, const struct check_part *part,
			const struct check_found *found)
{
	uint64_t last = 0, next = part->any_end ? part->end : 0;

	if (checking->kind != TOPIC_LOG || found->sum.count == 0 ||
	    !lake_offset(found->sum.last, &last) || next > last)
		return true;
	check_fault(checking,
		    "partition %d of \"%s\": offsets %" PRIu64 " to %" PRIu64
		    " are in the table, but in no object",
		    part->where.id, checking->topic, next, last);
	return false;
}

/* What the tables' progress says is done must be somewhere, and nothing else. */
static void check_found_all(struct checking *checking, const struct check_part *part,
			    const struct check_found *found)
{
	const struct check_sum *there = &found->sum, *wanted = &part->expected;
	char done[POSITION_TEXT_MAX], last[POSITION_TEXT_MAX] = "their beginning";

	(void)position_text(part->done, done);
	if (there->count > 0)
		(void)position_text(there->last, last);
	if (wanted->count > 0 &&
	    (there->count == 0 || position_cmp(there->last, wanted->last) < 0))
		check_fault(checking,
			    "partition %d of \"%s\": the tables say that offsets up to %s are done, "
			    "but what they hold ends at %s",
			    part->where.id, checking->topic, done, last);
	else if (there->count < wanted->count)
		check_fault(checking,
			    "partition %d of \"%s\": %" PRIu64 " of the %" PRIu64
			    " records up to %s are neither in the table nor a dead letter",
			    part->where.id, checking->topic, wanted->count - there->count,
			    wanted->count, done);
	else if (there->count > wanted->count)
		check_fault(checking,
			    "partition %d of \"%s\": %" PRIu64
			    " records up to %s are in the table, but nowhere else",
			    part->where.id, checking->topic, there->count - wanted->count, done);
	else if (there->sum != wanted->sum)
		check_fault(checking,
			    "partition %d of \"%s\": what is in the table up to %s are not the records"
			    " that have to be",
			    part->where.id, checking->topic, done);
}

static enum err_code check_row(struct checking *checking, duckdb_result *result, idx_t row)
{
	char *text = duckdb.value_varchar(result, 0, row);
	uint32_t generation = (uint32_t)duckdb.value_uint64(result, 1, row);
	struct check_found found = {
		.places = duckdb.value_uint64(result, 2, row),
		.distinct = duckdb.value_uint64(result, 3, row),
		.rows = duckdb.value_uint64(result, 4, row),
		.sum = { .count = duckdb.value_uint64(result, 5, row),
			 .sum = duckdb.value_uint64(result, 6, row),
			 .last = cell_position(result, 7, row) },
	};
	struct check_part *part = NULL;
	int32_t partition;

	checking->counts.rows += found.rows;
	if (found.places != found.distinct)
		check_fault(checking,
			    "partition %s of \"%s\": %" PRIu64
			    " offsets are more than once in the table or dead letters",
			    text, checking->topic, found.places - found.distinct);
	if (text && partition_parse(checking->kind, slice_str(text), &partition))
		part = check_part_of(checking, partition, generation);
	duckdb.free(text);
	if (part && check_reach(checking, part, &found) && !part->holes && !part->other)
		check_found_all(checking, part, &found);
	if (part)
		part->holes = true;	/* looked at */
	return checking->code;
}

/* Partitions of which the tables have nothing, though they say that they are done. */
static void check_rest(struct checking *checking)
{
	static const struct check_found nothing = { 0 };

	for (size_t i = 0; i < checking->part_count; i++)
		if (!checking->parts[i].holes && !checking->parts[i].other &&
		    checking->parts[i].any_done)
			check_found_all(checking, &checking->parts[i], &nothing);
}

/* A row's _offset begins with "g0002-" from the second generation on; lake_offset_text(). */
static const char places_query[] =
	"WITH each AS (SELECT p, o, count(*) AS n, sum(r) AS r FROM places GROUP BY p, o),"
	" known AS (SELECT p, CASE WHEN o LIKE 'g%' THEN TRY_CAST(substr(o, 2, 4) AS INTEGER)"
	" ELSE 1 END AS g, CASE WHEN o LIKE 'g%' THEN substr(o, 7) ELSE o END AS o, n, r FROM each),"
	" judged AS (SELECT p, g, o, n, r, coalesce(o >= first AND o <= last, false) AS due"
	" FROM known LEFT JOIN limits USING (p, g))"
	" SELECT p, coalesce(g, 1), sum(n), count(*), sum(r), count(*) FILTER (due),"
	" (sum(TRY_CAST(right(o, 20) AS HUGEINT)) FILTER (due)"
	" % 18446744073709551616::HUGEINT)::UBIGINT, max(o) FILTER (due)"
	" FROM judged GROUP BY p, g ORDER BY p, g";

static enum err_code ask_places(struct checking *checking, struct table_files *files)
{
	duckdb_result result;
	bool any;
	enum err_code code = attach_places(checking, files, &any);

	if (code != ERR_OK || !any)
		return code;
	code = duck_query(checking->options->duck, places_query, &result, checking->err);
	if (code != ERR_OK)
		return code;
	for (idx_t row = 0; row < duckdb.row_count(&result) && code == ERR_OK; row++)
		code = check_row(checking, &result, row);
	duckdb.destroy_result(&result);
	return code;
}

enum err_code check_places(struct checking *checking)
{
	struct table_files *files = xcalloc(checking->table_count, sizeof(*files));
	enum err_code code = ask_places(checking, files);

	if (code == ERR_OK)
		check_rest(checking);
	for (size_t i = 0; i < checking->table_count; i++)
		table_files_close(&files[i]);
	free(files);
	return code;
}
