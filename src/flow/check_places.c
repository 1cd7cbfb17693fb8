#include "flow/check_topic.h"

#include "base/mem.h"
#include "broker/sequence.h"
#include "flow/dlq.h"
#include "flow/table_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SQL_BYTES_MAX = 64 << 20, INSERT_BYTES = 1 << 20 };

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
	struct check_part *part;
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

/* By the tables as this check sees them: a letter is a row from the same commit on as its row. */
static bool replay_committed(void *user, const char *root, const char *app_id)
{
	const struct checking *checking = user;

	for (size_t i = 0; i < checking->table_count; i++)
		if (strcmp(checking->tables[i].place.root, root) == 0)
			return checking->tables[i].delta &&
			       delta_txn_version(checking->tables[i].delta, app_id) >= 0;
	return false;
}

enum err_code check_take_letters(struct checking *checking)
{
	struct dlq_query query = { .topic = checking->topic,
				   .committed = replay_committed,
				   .committed_user = checking };
	struct duck *duck = checking->options->duck;
	enum err_code code = duck_run(duck, "CREATE OR REPLACE TABLE letters(p VARCHAR, o VARCHAR)",
				      checking->err);

	if (code == ERR_OK)
		code = dlq_query(checking->options->store, &query, take_letter, checking,
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

/*
 * Up to where an offset must be somewhere: where tables share the topic, one may have rows although
 * the others, to one of which the record before belongs, are not done with it. (p, o): the last
 * offset of a partition that all are done with; offsets are as text in the order of the log.
 */
static void put_limits(struct buf *sql, const struct checking *checking)
{
	char partition[PARTITION_TEXT_MAX], offset[POSITION_TEXT_MAX];

	buf_add_str(sql, "; CREATE OR REPLACE VIEW limits AS SELECT * FROM (VALUES ('', '')");
	for (size_t i = 0; checking->table_count > 1 && i < checking->part_count; i++) {
		const struct check_part *part = &checking->parts[i];
		struct position last = position_of_offset(part->committed - 1);

		if (checking->kind == TOPIC_STREAM)
			last = position_with_ordinal(
				checking->info.partitions[part->partition].first,
				part->committed - 1);
		(void)partition_text(checking->kind, part->partition, partition);
		if (part->committed > 0)
			(void)position_text(last, offset);
		else
			offset[0] = '\0';
		buf_addf(sql, ", ('%s', '%s')", partition, offset);
	}
	buf_add_str(sql, ") AS l(p, last)");
}

/* The view "places": where each offset is, as a row or as a letter. */
static enum err_code attach_places(struct checking *checking, struct table_files *files)
{
	struct buf sql;
	enum err_code code = ERR_OK;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "CREATE OR REPLACE VIEW places AS SELECT p, o, 0 AS r FROM letters");
	for (size_t i = 0; i < checking->table_count && code == ERR_OK; i++) {
		const struct check_table *table = &checking->tables[i];

		if (!table->delta || delta_file_count(table->delta) == 0)
			continue;
		buf_add_str(&sql, " UNION ALL SELECT _partition, _offset, 1 FROM ");
		code = table_files_open(checking->options->store, table->place.root, table->delta,
					&files[i], checking->err);
		if (code == ERR_OK)
			check_put_files(&sql, &files[i]);
	}
	put_limits(&sql, checking);
	if (code == ERR_OK && buf_full(&sql))
		code = err_set(checking->err, ERR_LIMIT, "the table has too many files");
	if (code == ERR_OK)
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

/* What the table holds came out of objects, so they must reach as far. */
static void check_reach(struct checking *checking, const char *text, uint64_t last)
{
	int32_t partition;
	struct check_part *part;

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
	uint64_t settled = duckdb.value_uint64(result, 6, row);
	uint64_t first = position_ordinal(cell_position(result, 3, row));
	uint64_t last = position_ordinal(cell_position(result, 4, row));

	checking->counts.rows += duckdb.value_uint64(result, 5, row);
	if (places != distinct)
		check_fault(checking,
			    "partition %s of \"%s\": %" PRIu64
			    " offsets are more than once in the table or dead letters",
			    partition, checking->topic, places - distinct);
	if (settled > 0 && (first != 0 || last - first + 1 != settled))
		check_fault(checking,
			    "partition %s of \"%s\": %" PRIu64 " of the offsets 0 to %" PRIu64
			    " are neither in the table nor a dead letter",
			    partition, checking->topic, last + 1 - settled, last);
	if (settled > 0)
		check_reach(checking, partition ? partition : "", last);
	duckdb.free(partition);
}

static enum err_code ask_places(struct checking *checking, struct table_files *files)
{
	duckdb_result result;
	enum err_code code = attach_places(checking, files);

	if (code == ERR_OK)
		code = duck_query(checking->options->duck,
				  "SELECT p, count(*), count(DISTINCT o), min(o), "
				  "max(o) FILTER (WHERE last IS NULL OR o <= last), sum(r), "
				  "count(DISTINCT o) FILTER (WHERE last IS NULL OR o <= last) "
				  "FROM places LEFT JOIN limits USING (p) GROUP BY p ORDER BY p",
				  &result, checking->err);
	if (code != ERR_OK)
		return code;
	for (idx_t row = 0; row < duckdb.row_count(&result); row++)
		check_row(checking, &result, row);
	duckdb.destroy_result(&result);
	return ERR_OK;
}

enum err_code check_places(struct checking *checking)
{
	struct table_files *files = xcalloc(checking->table_count, sizeof(*files));
	enum err_code code = ask_places(checking, files);

	for (size_t i = 0; i < checking->table_count; i++)
		table_files_close(&files[i]);
	free(files);
	return code;
}
