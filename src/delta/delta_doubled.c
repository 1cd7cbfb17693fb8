#include "delta/delta_doubled.h"

#include "base/mem.h"
#include "delta/delta_table.h"

#include <inttypes.h>
#include <strings.h>

enum { SQL_BYTES_MAX = 64 << 20 };

#define LINEAGE "\"_partition\", \"_offset\""

/* ---- What the log shows ---- */

int64_t delta_file_version(const struct delta_table *table, size_t i)
{
	return table->state.files[i].version;
}

struct delta_doubled delta_doubled(const struct delta_table *table) { return table->state.doubled; }

void delta_doubled_settle(struct delta_table *table, int64_t at)
{
	if (table->state.doubled.at <= at)
		table->state.doubled.at = -1;
}

int64_t delta_others_optimized_ms(const struct delta_table *table)
{
	return table->state.others_optimized_ms;
}

/* ---- What the files hold ---- */

bool delta_doubled_can(const struct delta_schema *schema)
{
	int found = 0;

	for (size_t i = 0; i < schema->count; i++)
		found += strcasecmp(schema->columns[i].name, "_partition") == 0 ||
			 strcasecmp(schema->columns[i].name, "_offset") == 0;
	return found == 2;
}

static void doubled_put_names(struct buf *sql, const struct delta_schema *schema)
{
	for (size_t i = 0; i < schema->count; i++) {
		buf_add_str(sql, i ? ", " : "");
		duck_put_name(sql, slice_str(schema->columns[i].name));
	}
}

/*
 * rows_: all of the files, with the file's name; files_: their names and places; twice_: lineages
 * that are there more than once; copies_: the rows of those, numbered among their equals. A table
 * may have columns of any name, so ours are not likely to be theirs.
 */
static void doubled_put_with(struct buf *sql, const struct delta_merge *merge, uint64_t turn)
{
	buf_add_str(sql, "WITH rows_ AS NOT MATERIALIZED (");
	delta_merge_put_rows(sql, merge, turn, "_pinpipe_file");
	buf_add_str(sql, "), files_ AS (SELECT unnest([");
	for (size_t i = 0; i < merge->count; i++)
		duck_put_file(sql, merge->files[i].fd, turn);
	buf_addf(sql, "]) AS _pinpipe_file, unnest(range(%zu)) AS _pinpipe_place), ", merge->count);
	buf_add_str(sql,
		    "twice_ AS MATERIALIZED (SELECT " LINEAGE " FROM rows_ WHERE \"_partition\" "
		    "IS NOT NULL AND \"_offset\" IS NOT NULL GROUP BY " LINEAGE
		    " HAVING count(*) > 1), copies_ AS (SELECT *, row_number() OVER (PARTITION "
		    "BY ");
	doubled_put_names(sql, merge->schema);
	buf_add_str(sql, " ORDER BY _pinpipe_place) AS _pinpipe_copy FROM rows_ SEMI JOIN twice_ "
			 "USING (" LINEAGE ") JOIN files_ USING (_pinpipe_file)) ");
}

static void doubled_take_found(duckdb_result *result, struct delta_doubled_file *files,
			       uint64_t *ret_differing)
{
	uint64_t singles = 0, lineages = 0;

	for (uint64_t row = 0; row < duckdb.row_count(result); row++) {
		struct delta_doubled_file *file = &files[duckdb.value_uint64(result, 0, row)];

		file->holds = true;
		file->surplus = duckdb.value_uint64(result, 1, row);
		singles += duckdb.value_uint64(result, 2, row);
		lineages = duckdb.value_uint64(result, 3, row);
	}
	*ret_differing = singles - lineages;
}

enum err_code delta_doubled_find(struct duck *duck, const struct delta_merge *merge,
				 struct delta_doubled_file *files, uint64_t *ret_differing,
				 struct err *err)
{
	uint64_t turn = duck_turn();
	duckdb_result result;
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	doubled_put_with(&sql, merge, turn);
	buf_add_str(&sql, "SELECT _pinpipe_place, count(*) FILTER (WHERE _pinpipe_copy > 1), "
			  "count(*) FILTER (WHERE _pinpipe_copy = 1), (SELECT count(*) FROM "
			  "twice_) FROM copies_ GROUP BY _pinpipe_place");
	code = delta_merge_ask(duck, merge, turn, &sql, &result, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	doubled_take_found(&result, files, ret_differing);
	duckdb.destroy_result(&result);
	return ERR_OK;
}

/* "COPY (" and what is left of the files with a surplus. */
static void doubled_put_copy(struct buf *sql, const struct delta_merge *merge,
			     const struct delta_doubled_file *files, uint64_t turn)
{
	const char *before = "";

	buf_add_str(sql, "COPY (");
	doubled_put_with(sql, merge, turn);
	buf_add_str(sql, "SELECT ");
	doubled_put_names(sql, merge->schema);
	buf_add_str(sql, " FROM (SELECT ");
	doubled_put_names(sql, merge->schema);
	buf_add_str(sql, ", _pinpipe_place FROM rows_ ANTI JOIN twice_ USING (" LINEAGE
			 ") JOIN files_ USING (_pinpipe_file) UNION ALL SELECT ");
	doubled_put_names(sql, merge->schema);
	buf_add_str(sql, ", _pinpipe_place FROM copies_ WHERE _pinpipe_copy = 1) WHERE "
			 "_pinpipe_place IN (");
	for (size_t i = 0; i < merge->count; i++)
		if (files[i].surplus > 0) {
			buf_addf(sql, "%s%zu", before, i);
			before = ", ";
		}
	buf_add_char(sql, ')');
}

/* By the log, of the files with a surplus, without that. */
static enum err_code doubled_expect(struct duck *duck, const struct delta_merge *merge,
				    const struct delta_doubled_file *files, uint64_t turn,
				    uint64_t *ret_rows, struct err *err)
{
	struct store_fetched *list = xcalloc(merge->count, sizeof(*list));
	uint64_t *rows = xcalloc(merge->count, sizeof(*rows));
	struct delta_merge some = { .schema = merge->schema, .files = list, .rows = rows };
	uint64_t surplus = 0;
	enum err_code code;

	for (size_t i = 0; i < merge->count; i++)
		if (files[i].surplus > 0) {
			list[some.count] = merge->files[i];
			rows[some.count++] = merge->rows[i];
			surplus += files[i].surplus;
		}
	code = delta_merge_expect(duck, &some, turn, ret_rows, err);
	if (code == ERR_OK)
		*ret_rows -= surplus;
	free(list);
	free(rows);
	return code;
}

static enum err_code doubled_copy(struct duck *duck, const struct delta_merge *merge,
				  const struct delta_doubled_file *files, uint64_t turn,
				  struct buf *stats, uint64_t *ret_rows, uint64_t *ret_bytes,
				  struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	doubled_put_copy(&sql, merge, files, turn);
	code = delta_merge_copy(duck, merge, turn, &sql, stats, ret_rows, ret_bytes, err);
	buf_release(&sql);
	return code;
}

enum err_code delta_doubled_drop(struct duck *duck, const struct delta_merge *merge,
				 const struct delta_doubled_file *files, struct buf *stats,
				 uint64_t *ret_rows, uint64_t *ret_bytes, struct err *err)
{
	uint64_t turn = duck_turn();
	uint64_t expected = 0, rows = 0, bytes = 0;
	enum err_code code = doubled_expect(duck, merge, files, turn, &expected, err);

	if (code == ERR_OK)
		code = doubled_copy(duck, merge, files, turn, stats, &rows, &bytes, err);
	if (code != ERR_OK)
		return code;
	if (rows != expected)
		return err_set(err, ERR_CORRUPT,
			       "%" PRIu64
			       " rows are left without those that stand elsewhere, and %" PRIu64
			       " should be",
			       rows, expected);
	*ret_rows = rows;
	*ret_bytes = bytes;
	return ERR_OK;
}
