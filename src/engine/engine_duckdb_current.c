/*
 * The views of a table: <name>_all, and <name> with its current rows, one an ind.
 *
 * Mostly no ind repeats; a pass over that one column tells, and the view is then the files
 * themselves. Else a small table of row numbers stands beside the view: of the current rows, or of
 * the outdated ones, whichever are fewer, so that every query pays little for it.
 *
 * A row's number is its file's in the list and its own in the file, both known to DuckDB's reader.
 * The latest of the rows with one ind is the one with the highest _offset, then _partition.
 */
#include "engine/engine_duckdb.h"

#include "base/mem.h"

enum { SQL_BYTES_MAX = 64 << 20, SEEN_FIRST = 1 << 16 };

#define ROW_NUMBER "((CAST(file_index AS BIGINT) << 40) + file_row_number)"

/* --- which inds repeat ---------------------------------------------------- */

/* A set of inds by open addressing. A slot is 0, or the ind with one of these above it. */
#define SEEN_ONCE (UINT64_C(1) << 32)
#define SEEN_AGAIN (UINT64_C(2) << 32)

struct seen {
	uint64_t *slots;
	size_t room;			/* a power of two, at most half full */
	size_t count;
};

static uint64_t *find_slot(const struct seen *seen, uint32_t ind)
{
	size_t at = (size_t)((ind * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (seen->room - 1);

	while (seen->slots[at] && (uint32_t)seen->slots[at] != ind)
		at = (at + 1) & (seen->room - 1);
	return &seen->slots[at];
}

static void duckdb_current_make_room(struct seen *seen)
{
	struct seen larger = { .room = seen->room ? seen->room * 2 : SEEN_FIRST,
			       .count = seen->count };

	if (seen->count * 2 < seen->room)
		return;
	larger.slots = xcalloc(larger.room, sizeof(*larger.slots));
	for (size_t i = 0; i < seen->room; i++)
		if (seen->slots[i])
			*find_slot(&larger, (uint32_t)seen->slots[i]) = seen->slots[i];
	free(seen->slots);
	*seen = larger;
}

/* True when this is the second time. */
static bool see(struct seen *seen, int32_t ind)
{
	uint64_t *slot;

	duckdb_current_make_room(seen);
	slot = find_slot(seen, (uint32_t)ind);
	if (*slot == 0) {
		*slot = SEEN_ONCE | (uint32_t)ind;
		seen->count++;
		return false;
	}
	if (*slot >= SEEN_AGAIN)
		return false;
	*slot = SEEN_AGAIN | (uint32_t)ind;
	return true;
}

/* What a pass over the column found out. */
struct repeats {
	uint64_t rows;
	uint64_t inds;			/* different ones */
	uint64_t repeated;		/* of them, so many more than once */
};

/* Appends each ind that repeats to the table that `appender` fills. */
static void look_through(duckdb_result *result, duckdb_appender appender, struct repeats *repeats)
{
	struct seen seen = { 0 };
	duckdb_data_chunk chunk;

	while ((chunk = duckdb.fetch_chunk(*result)) != NULL) {
		duckdb_vector vector = duckdb.data_chunk_get_vector(chunk, 0);
		const int32_t *inds = duckdb.vector_get_data(vector);
		uint64_t *valid = duckdb.vector_get_validity(vector);

		for (idx_t i = 0; i < duckdb.data_chunk_get_size(chunk); i++) {
			repeats->rows++;
			if ((valid && !duckdb.validity_row_is_valid(valid, i)) ||
			    !see(&seen, inds[i]))
				continue;
			(void)duckdb.append_int32(appender, inds[i]);
			(void)duckdb.appender_end_row(appender);
			repeats->repeated++;
		}
		duckdb.destroy_data_chunk(&chunk);
	}
	repeats->inds = seen.count;
	free(seen.slots);
}

/* Fills the temporary table `repeated`. */
static enum err_code find_repeats(struct engine_duckdb *engine, const char *name, const char *key,
				  struct repeats *ret_repeats, struct err *err)
{
	duckdb_appender appender = NULL;
	struct repeats repeats = { 0 };
	duckdb_result result;
	struct buf sql;
	enum err_code code;

	code = duck_run(&engine->duck, "CREATE OR REPLACE TEMP TABLE repeated (ind INTEGER)", err);
	if (code != ERR_OK)
		return code;
	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "SELECT \"%s\" FROM \"%s_all\"", key, name);
	code = duck_query(&engine->duck, buf_cstr(&sql), &result, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	if (duckdb.appender_create(engine->duck.conn, NULL, "repeated", &appender) == DuckDBSuccess)
		look_through(&result, appender, &repeats);
	if (duckdb.appender_close(appender) != DuckDBSuccess)
		code = duck_error(&engine->duck, DUCKDB_ERROR_OUT_OF_MEMORY,
				  duckdb.appender_error(appender), err);
	duckdb.appender_destroy(&appender);
	duckdb.destroy_result(&result);
	*ret_repeats = repeats;
	return code;
}

/* --- the views --------------------------------------------------------------- */

/* Of several files DuckDB knows the smallest and largest ind only when told that their columns may
 * differ; knowing them it joins dense inds by an array instead of a hash table. */
static void duckdb_current_put_files(struct buf *sql, const struct engine_table *table)
{
	buf_add_str(sql, " FROM read_parquet([");
	for (size_t i = 0; i < table->path_count; i++) {
		buf_add_str(sql, i ? ", " : "");
		duck_put_literal(sql, slice_str(table->paths[i]));
	}
	buf_add_str(sql, "], union_by_name = true)");
}

/* Timestamps without a zone: they are UTC, and functions on them fast. */
static void duckdb_current_put_column(struct buf *sql, const struct engine_table *table,
				      const struct delta_column *column)
{
	struct slice name = slice_str(column->name);

	if (table->path_count == 0) {
		buf_addf(sql, "CAST(NULL AS %s) AS ", column->type == DELTA_TIMESTAMP ? "TIMESTAMP" :
			 engine_duckdb_type(column->type));
		duck_put_name(sql, name);
	} else if (column->type == DELTA_TIMESTAMP) {
		buf_add_str(sql, "make_timestamp(epoch_us(");
		duck_put_name(sql, name);
		buf_add_str(sql, ")) AS ");
		duck_put_name(sql, name);
	} else {
		duck_put_name(sql, name);
	}
}

/* "CREATE … VIEW … AS SELECT … FROM …", lineage or not. */
static void put_view(struct buf *sql, const struct engine_table *table, bool all)
{
	const struct delta_schema *schema = &table->model->schema;
	const char *separator = "";

	buf_addf(sql, "CREATE OR REPLACE TEMP VIEW \"%s%s\" AS SELECT ", table->model->model.name,
		 all ? "_all" : "");
	for (size_t i = 0; i < schema->count; i++) {
		if (!all && schema->columns[i].name[0] == '_')
			continue;
		buf_add_str(sql, separator);
		duckdb_current_put_column(sql, table, &schema->columns[i]);
		separator = ", ";
	}
	if (table->path_count == 0)
		buf_add_str(sql, " WHERE false");
	else
		duckdb_current_put_files(sql, table);
}

/* The table of the row numbers of current rows, of inds that repeat or of all. */
static void put_latest(struct buf *sql, const struct engine_table *table, const char *key,
		       bool repeated_only)
{
	buf_addf(sql, "CREATE OR REPLACE TEMP TABLE \"%s_latest\" AS SELECT arg_max(" ROW_NUMBER
		 ", _offset || ' ' || _partition) AS row", table->model->model.name);
	duckdb_current_put_files(sql, table);
	if (repeated_only)
		buf_addf(sql, " WHERE \"%s\" IN (FROM repeated)", key);
	buf_addf(sql, " GROUP BY \"%s\"", key);
}

static void put_outdated(struct buf *sql, const struct engine_table *table, const char *key)
{
	const char *name = table->model->model.name;

	buf_addf(sql, "CREATE OR REPLACE TEMP TABLE \"%s_outdated\" AS SELECT " ROW_NUMBER " AS row",
		 name);
	duckdb_current_put_files(sql, table);
	buf_addf(sql, " WHERE \"%s\" IN (FROM repeated) AND row NOT IN (FROM \"%s_latest\")", key,
		 name);
}

static enum err_code duckdb_current_run(struct engine_duckdb *engine, struct buf *sql,
					struct err *err)
{
	enum err_code code = duck_run(&engine->duck, buf_cstr(sql), err);

	buf_clear(sql);
	return code;
}

/* After put_view(): leave out what is not current, by the table that is made here. */
static enum err_code choose_current(struct engine_duckdb *engine, const struct engine_table *table,
				    const char *key, const struct repeats *repeats,
				    struct buf *view, struct err *err)
{
	bool few_outdated = repeats->inds > repeats->rows / 2;
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	put_latest(&sql, table, key, few_outdated);
	code = duckdb_current_run(engine, &sql, err);
	if (code == ERR_OK && few_outdated) {
		put_outdated(&sql, table, key);
		code = duckdb_current_run(engine, &sql, err);
	}
	buf_addf(view, " WHERE " ROW_NUMBER " %s (FROM \"%s_%s\")", few_outdated ? "NOT IN" : "IN",
		 table->model->model.name, few_outdated ? "outdated" : "latest");
	buf_release(&sql);
	return code;
}

static enum err_code attach_table(struct engine_duckdb *engine, const struct engine_table *table,
				  struct err *err)
{
	const char *key = table->model->schema.columns[0].name;
	struct repeats repeats = { 0 };
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	put_view(&sql, table, true);
	code = duckdb_current_run(engine, &sql, err);
	if (code == ERR_OK)
		code = find_repeats(engine, table->model->model.name, key, &repeats, err);
	put_view(&sql, table, false);
	if (code == ERR_OK && repeats.repeated > 0)
		code = choose_current(engine, table, key, &repeats, &sql, err);
	if (code == ERR_OK)
		code = duckdb_current_run(engine, &sql, err);
	buf_release(&sql);
	return code == ERR_OK ? ERR_OK : err_prefix(err, "table \"%s\"", table->model->model.name);
}

enum err_code engine_duckdb_attach(struct engine *base, const struct engine_table *tables,
				   size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (attach_table((struct engine_duckdb *)base, &tables[i], err) != ERR_OK)
			return err->code;
	return ERR_OK;
}
