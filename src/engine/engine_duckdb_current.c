/*
 * The views of a table: <name>_all, <name> with its current rows, one a key (without a key all are
 * current), and <name>_live, which has the files of the tail as well.
 *
 * Mostly no key repeats; a pass over that one column tells, and the view is then the files
 * themselves. Else a small table of row numbers stands beside the view: of the current rows, or of
 * the outdated ones, whichever are fewer, so that every query pays little for it.
 *
 * A row's number is its file's in the list and its own in the file, both known to DuckDB's reader.
 * The latest of the rows with one key is the one with the highest _offset, then _partition.
 */
#include "engine/engine_duckdb.h"

#include "base/mem.h"
#include "engine/engine_duckdb_kept.h"

#include <limits.h>
#include <stdio.h>
#include <strings.h>

enum { SQL_BYTES_MAX = 64 << 20, SEEN_ROOM_MIN = 1 << 10 };

/* --- which keys repeat ---------------------------------------------------- */

/* A set of 32-bit keys by open addressing. A slot is 0, or the key with one of these above it. */
#define SEEN_ONCE (UINT64_C(1) << 32)
#define SEEN_AGAIN (UINT64_C(2) << 32)

struct seen {
	uint64_t *slots;
	size_t room;			/* a power of two, at most half full */
	size_t count;
};

/* Slots that no key comes to cost no memory. */
static struct seen seen_new(uint64_t keys_max)
{
	struct seen seen = { .room = SEEN_ROOM_MIN };

	while (seen.room < keys_max * 2)
		seen.room *= 2;
	seen.slots = xcalloc(seen.room, sizeof(*seen.slots));
	return seen;
}

static uint64_t *find_slot(const struct seen *seen, uint32_t ind)
{
	size_t at = (size_t)((ind * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (seen->room - 1);

	while (seen->slots[at] && (uint32_t)seen->slots[at] != ind)
		at = (at + 1) & (seen->room - 1);
	return &seen->slots[at];
}

/* True when this is the second time. */
static bool see(struct seen *seen, int32_t ind)
{
	uint64_t *slot = find_slot(seen, (uint32_t)ind);

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
	uint64_t keys;			/* different ones */
	uint64_t repeated;		/* of them, so many more than once */
};

/* Appends each key that repeats to the table that `appender` fills. */
static void look_through(duckdb_result *result, duckdb_appender appender, struct repeats *repeats)
{
	struct seen seen = seen_new(duckdb.row_count(result));
	duckdb_data_chunk chunk;

	while ((chunk = duckdb.fetch_chunk(*result)) != NULL) {
		duckdb_vector vector = duckdb.data_chunk_get_vector(chunk, 0);
		const int32_t *keys = duckdb.vector_get_data(vector);
		uint64_t *valid = duckdb.vector_get_validity(vector);

		for (idx_t i = 0; i < duckdb.data_chunk_get_size(chunk); i++) {
			repeats->rows++;
			if ((valid && !duckdb.validity_row_is_valid(valid, i)) ||
			    !see(&seen, keys[i]))
				continue;
			(void)duckdb.append_int32(appender, keys[i]);
			(void)duckdb.appender_end_row(appender);
			repeats->repeated++;
		}
		duckdb.destroy_data_chunk(&chunk);
	}
	repeats->keys = seen.count;
	free(seen.slots);
}

/* Fills the table "repeated" with 32-bit keys, faster than DuckDB groups them. */
static enum err_code find_repeated_ints(struct engine_duckdb *engine, const char *name,
					const char *key, struct repeats *ret_repeats,
					struct err *err)
{
	duckdb_appender appender = NULL;
	struct repeats repeats = { 0 };
	duckdb_result result;
	struct buf sql;
	enum err_code code;

	code = duck_run(&engine->duck, "CREATE OR REPLACE TABLE pinpipe.repeated (key INTEGER)",
			err);
	if (code != ERR_OK)
		return code;
	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "SELECT \"%s\" FROM \"%s_all\"", key, name);
	code = duck_query(&engine->duck, buf_cstr(&sql), &result, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	if (duckdb.appender_create(engine->duck.conn, "pinpipe", "repeated", &appender) ==
	    DuckDBSuccess)
		look_through(&result, appender, &repeats);
	if (duckdb.appender_close(appender) != DuckDBSuccess)
		code = duck_error(&engine->duck, DUCKDB_ERROR_OUT_OF_MEMORY,
				  duckdb.appender_error(appender), err);
	duckdb.appender_destroy(&appender);
	duckdb.destroy_result(&result);
	*ret_repeats = repeats;
	return code;
}

/* The same of keys of any type. */
static enum err_code find_repeated_keys(struct engine_duckdb *engine, const char *name,
					const char *key, struct repeats *ret_repeats,
					struct err *err)
{
	duckdb_result result;
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "CREATE OR REPLACE TABLE pinpipe.repeated AS SELECT \"%s\" AS key,"
		 " count(*) AS times FROM \"%s_all\" WHERE key IS NOT NULL GROUP BY key"
		 " HAVING times > 1", key, name);
	code = duck_run(&engine->duck, buf_cstr(&sql), err);
	buf_clear(&sql);
	buf_addf(&sql, "SELECT (SELECT count(*) FROM \"%s_all\"), count(*),"
		 " CAST(coalesce(sum(times), 0) AS BIGINT) FROM pinpipe.repeated", name);
	if (code == ERR_OK)
		code = duck_query(&engine->duck, buf_cstr(&sql), &result, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	ret_repeats->rows = duckdb.value_uint64(&result, 0, 0);
	ret_repeats->repeated = duckdb.value_uint64(&result, 1, 0);
	ret_repeats->keys = ret_repeats->rows - duckdb.value_uint64(&result, 2, 0) +
			    ret_repeats->repeated;
	duckdb.destroy_result(&result);
	return ERR_OK;
}

/* --- the views --------------------------------------------------------------- */

/* Told that the columns of files may differ, DuckDB knows the smallest and largest key of all of
 * them; knowing those it joins dense keys by an array instead of a hash table. */
void engine_duckdb_put_files(struct buf *sql, const struct duckdb_table *table, size_t from,
			     size_t to)
{
	buf_add_str(sql, " FROM ");
	duck_put_files_begin(sql);
	for (size_t i = from; i < to; i++)
		duck_put_file(sql, table->its.files[i].fd, table->turn);
	duck_put_files_end(sql);
}

/* A table on its way to its views. */
struct viewing {
	const struct duckdb_table *attached;
	const struct engine_table *table; /* of it */
	const char *key;		/* NULL: every row is current */
	bool *absent;			/* by column of the schema: no file has it */
	const char *suffix;		/* of the view's name */
	size_t file_count;		/* that it shows */
};

static void duckdb_current_put_files(struct buf *sql, const struct viewing *viewing)
{
	engine_duckdb_put_files(sql, viewing->attached, 0, viewing->file_count);
}

/* Which columns of the table its files lack: the log has the table's columns, and a file that is
 * older than a column has not got it. */
static enum err_code look_for_columns(struct engine_duckdb *engine, struct viewing *viewing,
				      struct err *err)
{
	const struct delta_schema *schema = &viewing->table->model->schema;
	duckdb_result none;
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "SELECT *");
	duckdb_current_put_files(&sql, viewing);
	buf_add_str(&sql, " LIMIT 0");
	code = duck_query(&engine->duck, buf_cstr(&sql), &none, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	for (size_t i = 0; i < schema->count; i++) {
		viewing->absent[i] = true;
		for (idx_t c = 0; c < duckdb.column_count(&none) && viewing->absent[i]; c++)
			viewing->absent[i] = strcasecmp(schema->columns[i].name,
							duckdb.column_name(&none, c)) != 0;
	}
	duckdb.destroy_result(&none);
	return ERR_OK;
}

/* In the type that the model says, whatever the files have (a cast that changes nothing costs
 * nothing). Timestamps without a zone: they are UTC, and functions on them fast. */
static void duckdb_current_put_column(struct buf *sql, const struct viewing *viewing, size_t i)
{
	const struct delta_column *column = &viewing->table->model->schema.columns[i];
	struct slice name = slice_str(column->name);

	if (viewing->absent[i] || viewing->file_count == 0) {
		buf_addf(sql, "CAST(NULL AS %s)", column->type == DELTA_TIMESTAMP ? "TIMESTAMP" :
			 engine_duckdb_type(column->type));
	} else if (column->type == DELTA_TIMESTAMP) {
		buf_add_str(sql, "make_timestamp(epoch_us(");
		duck_put_name(sql, name);
		buf_add_str(sql, "))");
	} else {
		buf_add_str(sql, "CAST(");
		duck_put_name(sql, name);
		buf_addf(sql, " AS %s)", engine_duckdb_type(column->type));
	}
	buf_add_str(sql, " AS ");
	duck_put_name(sql, name);
}

/* "CREATE … VIEW … AS SELECT … FROM …", lineage or not. */
static void put_view(struct buf *sql, const struct viewing *viewing)
{
	const struct engine_table *table = viewing->table;
	const struct delta_schema *schema = &table->model->schema;
	const char *separator = "";

	buf_addf(sql, "CREATE OR REPLACE TEMP VIEW \"%s%s\" AS SELECT ", table->model->model.name,
		 viewing->suffix);
	for (size_t i = 0; i < schema->count; i++) {
		if (!*viewing->suffix && schema->columns[i].name[0] == '_')
			continue;
		buf_add_str(sql, separator);
		duckdb_current_put_column(sql, viewing, i);
		separator = ", ";
	}
	if (viewing->file_count == 0)
		buf_add_str(sql, " WHERE false");
	else
		duckdb_current_put_files(sql, viewing);
}

/* Into `table` the row numbers of current rows, of keys that repeat or of all. A row without a key
 * is current. */
static void put_latest(struct buf *sql, const struct viewing *viewing, const char *table,
		       bool repeated_only)
{
	buf_addf(sql,
		 "CREATE OR REPLACE TABLE pinpipe.\"%s\" AS SELECT arg_max(" ENGINE_DUCKDB_ROW
		 ", " ENGINE_DUCKDB_ORDER ") AS row",
		 table);
	duckdb_current_put_files(sql, viewing);
	if (repeated_only)
		buf_addf(sql, " WHERE \"%s\" IN (SELECT key FROM pinpipe.repeated)", viewing->key);
	buf_addf(sql, " GROUP BY \"%s\", CASE WHEN \"%s\" IS NULL THEN " ENGINE_DUCKDB_ROW " END",
		 viewing->key, viewing->key);
}

static void put_outdated(struct buf *sql, const struct viewing *viewing, const char *table)
{
	buf_addf(sql,
		 "CREATE OR REPLACE TABLE pinpipe.\"%s\" AS SELECT " ENGINE_DUCKDB_ROW " AS row",
		 table);
	duckdb_current_put_files(sql, viewing);
	buf_addf(sql,
		 " WHERE \"%s\" IN (SELECT key FROM pinpipe.repeated) AND row NOT IN"
		 " (FROM pinpipe.latest)",
		 viewing->key);
}

static enum err_code duckdb_current_run(struct engine_duckdb *engine, struct buf *sql,
					struct err *err)
{
	enum err_code code = buf_full(sql) ?
			     err_set(err, ERR_LIMIT, "it has too many files") :
			     duck_run(&engine->duck, buf_cstr(sql), err);

	buf_clear(sql);
	return code;
}

static enum err_code count_current(struct engine_duckdb *engine, const char *table, uint64_t *ret,
				   struct err *err)
{
	duckdb_result result;
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "SELECT count(*) FROM pinpipe.\"%s\"", table);
	code = duck_query(&engine->duck, buf_cstr(&sql), &result, err);
	buf_release(&sql);
	if (code != ERR_OK)
		return code;
	*ret = duckdb.value_uint64(&result, 0, 0);
	duckdb.destroy_result(&result);
	return ERR_OK;
}

/* The table of row numbers, of whichever rows are fewer. */
static enum err_code choose_current(struct engine_duckdb *engine, const struct viewing *viewing,
				    const struct repeats *repeats, struct duckdb_choice *ret_choice,
				    struct err *err)
{
	bool few_outdated = repeats->keys > repeats->rows / 2;
	char table[NAME_MAX + sizeof("_rows")];
	struct buf sql;
	enum err_code code;

	(void)snprintf(table, sizeof(table), "%s_rows", viewing->attached->name);
	buf_init(&sql, SQL_BYTES_MAX);
	put_latest(&sql, viewing, few_outdated ? "latest" : table, few_outdated);
	code = duckdb_current_run(engine, &sql, err);
	if (code == ERR_OK && few_outdated) {
		put_outdated(&sql, viewing, table);
		code = duckdb_current_run(engine, &sql, err);
	}
	buf_release(&sql);
	ret_choice->latest = !few_outdated;
	return code == ERR_OK ? count_current(engine, table, &ret_choice->rows, err) : code;
}

static enum err_code find_repeats(struct engine_duckdb *engine, const struct viewing *viewing,
				  enum delta_type type, struct repeats *ret_repeats,
				  struct err *err)
{
	const char *name = viewing->table->model->model.name;

	return type == DELTA_INTEGER ?
	       find_repeated_ints(engine, name, viewing->key, ret_repeats, err) :
	       find_repeated_keys(engine, name, viewing->key, ret_repeats, err);
}

/*
 * A view of every row. Each look at the files costs a read of every footer, so columns that no
 * file has are looked for only when DuckDB does not find one.
 */
static enum err_code make_view_all(struct engine_duckdb *engine, struct viewing *viewing,
				   struct err *err)
{
	struct buf sql;
	struct err why;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	put_view(&sql, viewing);
	code = duckdb_current_run(engine, &sql, err);
	if (code != ERR_OK && viewing->file_count > 0 &&
	    look_for_columns(engine, viewing, &why) == ERR_OK) {
		put_view(&sql, viewing);
		code = duckdb_current_run(engine, &sql, err);
	}
	buf_release(&sql);
	return code;
}

/* Which rows are current, as it was kept, brought up, or else found out. */
static enum err_code find_current(struct engine_duckdb *engine, const struct viewing *viewing,
				  enum delta_type key_type, struct duckdb_choice *ret_choice,
				  struct err *err)
{
	const struct duckdb_table *table = viewing->attached;
	struct repeats repeats = { 0 };
	bool known = false, fresh = false;
	enum err_code code = ERR_OK;

	if (!viewing->key || viewing->file_count == 0)
		return ERR_OK;
	if (table->kept)
		code = engine_duckdb_recall(engine, table, viewing->key, ret_choice, &known, &fresh,
					    err);
	/* Of the others there are fewer by now. */
	known = known && ret_choice->rows <= viewing->table->rows / 2;
	if (code != ERR_OK || (known && fresh))
		return code;
	if (!known) {
		*ret_choice = (struct duckdb_choice){ 0 };
		code = find_repeats(engine, viewing, key_type, &repeats, err);
		if (code == ERR_OK && repeats.repeated > 0)
			code = choose_current(engine, viewing, &repeats, ret_choice, err);
	}
	if (code == ERR_OK)
		engine_duckdb_keep(engine, table, viewing->key, ret_choice);
	return code;
}

/* The view of current rows, beside that of all. */
static enum err_code make_view_current(struct engine_duckdb *engine, struct viewing *viewing,
				       enum delta_type key_type, struct err *err)
{
	struct duckdb_choice choice = { 0 };
	struct buf sql;
	enum err_code code = find_current(engine, viewing, key_type, &choice, err);

	buf_init(&sql, SQL_BYTES_MAX);
	viewing->suffix = "";
	put_view(&sql, viewing);
	if (choice.rows > 0)
		buf_addf(&sql, " WHERE " ENGINE_DUCKDB_ROW " %s (FROM pinpipe.\"%s_rows\")",
			 choice.latest ? "IN" : "NOT IN", viewing->attached->name);
	if (code == ERR_OK)
		code = duckdb_current_run(engine, &sql, err);
	buf_release(&sql);
	return code;
}

static enum err_code view_table(struct engine_duckdb *engine, struct duckdb_table *table,
				bool current, struct err *err)
{
	const struct clean_model *model = table->its.model;
	struct viewing viewing = {
		.attached = table, .table = &table->its, .absent = table->absent, .suffix = "_all"
	};

	viewing.file_count = table->its.file_count - (table->its.live ? 0 : table->its.tail_count);
	if (model->key)
		viewing.key = model->schema.columns[model->key_column].name;
	if (!table->viewed_all && make_view_all(engine, &viewing, err) != ERR_OK)
		return err->code;
	table->viewed_all = true;
	if (current &&
	    make_view_current(engine, &viewing, model->schema.columns[model->key_column].type,
			      err) != ERR_OK)
		return err->code;
	table->viewed = current;
	return ERR_OK;
}

/* Codes of failures that another table can be read in spite of. */
static bool is_of_one_table(enum err_code code)
{
	return code != ERR_OK && code != ERR_STOPPED && code != ERR_LIMIT && code != ERR_SPACE;
}

/* A view could not be made. */
static enum err_code note_broken(struct engine_duckdb *engine, struct duckdb_table *table,
				 struct err *err)
{
	engine_duckdb_name_files(engine, err);
	if (!is_of_one_table(err->code))
		return err_prefix(err, "table \"%s\"", table->name);
	table->broken = xstrdup(err->msg);
	return ERR_OK;
}

enum err_code engine_duckdb_view(struct engine_duckdb *engine, struct duckdb_table *table,
				 bool current, struct err *err)
{
	enum err_code code;

	if (table->broken || table->viewed || (table->viewed_all && !current))
		return ERR_OK;
	code = view_table(engine, table, current, err);
	return code == ERR_OK ? ERR_OK : note_broken(engine, table, err);
}

/* A column that the table lacks may be in the tail, so what is absent is found out again. */
enum err_code engine_duckdb_view_live(struct engine_duckdb *engine, struct duckdb_table *table,
				      struct err *err)
{
	const struct engine_table *its = &table->its;
	struct viewing viewing = { .attached = table,
				   .table = its,
				   .suffix = "_live",
				   .file_count = table->no_live ? 0 : its->file_count };
	enum err_code code;

	if (table->broken || table->viewed_live)
		return ERR_OK;
	viewing.absent = xcalloc(its->model->schema.count, sizeof(*viewing.absent));
	code = make_view_all(engine, &viewing, err);
	free(viewing.absent);
	table->viewed_live = code == ERR_OK;
	return code == ERR_OK ? ERR_OK : note_broken(engine, table, err);
}

enum err_code engine_duckdb_view_all(struct engine_duckdb *engine, struct err *err)
{
	for (size_t i = 0; i < engine->table_count; i++)
		if (engine_duckdb_view(engine, &engine->tables[i], true, err) != ERR_OK ||
		    engine_duckdb_view_live(engine, &engine->tables[i], err) != ERR_OK)
			return err->code;
	return ERR_OK;
}

static void duckdb_table_release(struct duckdb_table *table)
{
	for (size_t i = 0; table->names && i < table->its.file_count; i++)
		free(table->names[i]);
	free(table->names);
	free(table->kept);
	store_fetched_release_all(table->its.files, table->its.file_count);
	free(table->its.files);
	free(table->name);
	free(table->broken);
	free(table->no_live);
	free(table->absent);
}

void engine_duckdb_detach(struct engine_duckdb *engine)
{
	for (size_t i = 0; i < engine->table_count; i++)
		duckdb_table_release(&engine->tables[i]);
	free(engine->tables);
	engine->tables = NULL;
	engine->table_count = 0;
}

static void take_table(struct duckdb_table *kept, struct engine_table *table)
{
	*kept = (struct duckdb_table){
		.name = xstrdup(table->model->model.name),
		.its = { .model = table->model,
			 .files = table->files,
			 .file_count = table->file_count,
			 .tail_count = table->tail_count,
			 .live = table->live,
			 .rows = table->rows,
			 .unread = table->unread },
		.turn = duck_turn(),
		.absent = xcalloc(table->model->schema.count, sizeof(*kept->absent)),
		.broken = table->broken ? xstrdup(table->broken) : NULL,
		.no_live = table->no_live ? xstrdup(table->no_live) : NULL,
	};
	if (table->kept && table->names) {
		kept->kept = xstrdup(table->kept);
		kept->keeps = table->keeps;
		kept->names = xcalloc(table->file_count + 1, sizeof(*kept->names));
		for (size_t i = 0; i < table->file_count; i++)
			kept->names[i] = xstrdup(table->names[i]);
	}
	table->files = NULL;
	table->file_count = 0;
}

enum err_code engine_duckdb_attach(struct engine *base, struct engine_table *tables, size_t count,
				   struct err *err)
{
	struct engine_duckdb *engine = (struct engine_duckdb *)base;

	(void)err;
	engine_duckdb_detach(engine);
	engine->tables = xcalloc(count, sizeof(*engine->tables));
	for (; engine->table_count < count; engine->table_count++)
		take_table(&engine->tables[engine->table_count], &tables[engine->table_count]);
	return ERR_OK;
}
