#include "engine/engine_duckdb.h"

#include "base/mem.h"
#include "delta/delta_stats.h"

#include <strings.h>

enum {
	SQL_BYTES_MAX = 4 << 20,
	ANSWER_BYTES_MAX = 512 << 20,
};

/* How a column of DuckDB becomes cells: as it is, or cast to a text that stands for it. */
enum cell_as { AS_IS, AS_TEXT, AS_NUMBER, AS_JSON, AS_JSON_TEXT };

static const char *const cast_to[] = {
	[AS_TEXT] = "CAST(", [AS_NUMBER] = "CAST(", [AS_JSON] = "CAST(to_json(",
};
static const char *const cast_end[] = {
	[AS_TEXT] = " AS VARCHAR)", [AS_NUMBER] = " AS VARCHAR)", [AS_JSON] = ") AS VARCHAR)",
};

/* DuckDB's JSON is a VARCHAR with another name. */
static enum cell_as text_as(duckdb_logical_type type)
{
	char *alias = duckdb.logical_type_get_alias(type);
	enum cell_as as = alias && strcmp(alias, "JSON") == 0 ? AS_JSON_TEXT : AS_IS;

	duckdb.free(alias);
	return as;
}

static enum cell_as cell_as(duckdb_type type, duckdb_logical_type logical)
{
	switch (type) {
	case DUCKDB_TYPE_BOOLEAN: case DUCKDB_TYPE_TINYINT: case DUCKDB_TYPE_SMALLINT:
	case DUCKDB_TYPE_INTEGER: case DUCKDB_TYPE_BIGINT: case DUCKDB_TYPE_UTINYINT:
	case DUCKDB_TYPE_USMALLINT: case DUCKDB_TYPE_UINTEGER: case DUCKDB_TYPE_FLOAT:
	case DUCKDB_TYPE_DOUBLE:
		return AS_IS;
	case DUCKDB_TYPE_VARCHAR:
		return text_as(logical);
	case DUCKDB_TYPE_UBIGINT: case DUCKDB_TYPE_HUGEINT: case DUCKDB_TYPE_UHUGEINT:
	case DUCKDB_TYPE_DECIMAL: case DUCKDB_TYPE_BIGNUM:
		return AS_NUMBER;
	case DUCKDB_TYPE_LIST: case DUCKDB_TYPE_ARRAY: case DUCKDB_TYPE_STRUCT:
	case DUCKDB_TYPE_MAP: case DUCKDB_TYPE_UNION:
		return AS_JSON;
	default:
		return AS_TEXT;
	}
}

/* The columns of a statement or result, before any cast. */
struct shape {
	size_t count;
	enum cell_as *as;
	char **names;
};

static void shape_release(struct shape *shape)
{
	for (size_t i = 0; i < shape->count; i++)
		free(shape->names[i]);
	free(shape->names);
	free(shape->as);
}

static void shape_init(struct shape *shape, size_t count)
{
	*shape = (struct shape){ .count = count, .as = xcalloc(count, sizeof(*shape->as)),
				 .names = xcalloc(count, sizeof(*shape->names)) };
}

static struct shape shape_of_statement(duckdb_prepared_statement statement)
{
	struct shape shape;

	shape_init(&shape, duckdb.prepared_statement_column_count(statement));
	for (idx_t i = 0; i < shape.count; i++) {
		const char *name = duckdb.prepared_statement_column_name(statement, i);
		duckdb_logical_type type =
			duckdb.prepared_statement_column_logical_type(statement, i);

		shape.as[i] = cell_as(duckdb.prepared_statement_column_type(statement, i), type);
		shape.names[i] = xstrdup(name ? name : "");
		duckdb.free((void *)(uintptr_t)name);
		duckdb.destroy_logical_type(&type);
	}
	return shape;
}

static struct shape shape_of_result(duckdb_result *result)
{
	struct shape shape;

	shape_init(&shape, duckdb.column_count(result));
	for (idx_t i = 0; i < shape.count; i++) {
		duckdb_logical_type type = duckdb.column_logical_type(result, i);

		shape.as[i] = cell_as(duckdb.column_type(result, i), type);
		shape.names[i] = xstrdup(duckdb.column_name(result, i));
		duckdb.destroy_logical_type(&type);
	}
	return shape;
}

static bool shape_is_plain(const struct shape *shape)
{
	for (size_t i = 0; i < shape->count; i++)
		if (shape->as[i] < ARRAY_LEN(cast_to) && cast_to[shape->as[i]])
			return false;
	return true;
}

/* SELECT each column in a type that cells have, out of what follows, with columns c0, c1, … */
static void put_shape(struct buf *sql, const struct shape *shape)
{
	buf_add_str(sql, "SELECT ");
	for (size_t i = 0; i < shape->count; i++) {
		bool cast = shape->as[i] < ARRAY_LEN(cast_to) && cast_to[shape->as[i]];

		buf_addf(sql, "%s%sc%zu%s AS ", i ? ", " : "", cast ? cast_to[shape->as[i]] : "", i,
			 cast ? cast_end[shape->as[i]] : "");
		duck_put_name(sql, slice_str(shape->names[i]));
	}
	buf_add_str(sql, " FROM ");
}

static void put_shape_end(struct buf *sql, const struct shape *shape)
{
	for (size_t i = 0; i < shape->count; i++)
		buf_addf(sql, "%sc%zu", i ? ", " : " AS answer(", i);
	buf_add_char(sql, ')');
}

/* The length of a number that JSON does not have, at the beginning of a text; 0: there is none. */
static size_t no_number(struct slice text)
{
	static const char *const names[] = { "-infinity", "infinity", "-inf", "inf", "-nan", "nan" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (text.len >= strlen(names[i]) &&
		    strncasecmp(text.ptr, names[i], strlen(names[i])) == 0)
			return strlen(names[i]);
	return 0;
}

/* DuckDB's JSON as JSON on one line: what is no number is null, a line's end a blank. */
static struct slice strict_json(struct arena *memory, struct slice text)
{
	bool quoted = false;
	struct slice strict;
	struct buf out;

	buf_init(&out, text.len * 2 + 1);
	for (size_t at = 0; at < text.len; at++) {
		size_t none = quoted ? 0 : no_number(slice_from(text, at));
		char c = text.ptr[at];

		if (none) {
			buf_add_str(&out, "null");
			at += none - 1;
			continue;
		}
		if (c == '"')
			quoted = !quoted;
		if (c == '\\' && at + 1 < text.len)
			buf_add_char(&out, text.ptr[at++]);
		buf_add_char(&out, quoted || (unsigned char)c >= 0x20 ? text.ptr[at] : ' ');
	}
	strict = arena_copy(memory, buf_slice(&out));
	buf_release(&out);
	return strict;
}

static struct cell text_cell(enum cell_as as, struct slice text, struct arena *memory)
{
	switch (as) {
	case AS_NUMBER:
		return (struct cell){ .type = CELL_NUMBER, .text = arena_copy(memory, text) };
	case AS_JSON: case AS_JSON_TEXT:
		return (struct cell){ .type = CELL_JSON, .text = strict_json(memory, text) };
	case AS_IS: case AS_TEXT:
		break;
	}
	return (struct cell){ .type = CELL_TEXT, .text = arena_copy(memory, text) };
}

static struct cell cell_at(duckdb_type type, enum cell_as as, const void *data, idx_t row,
			   struct arena *memory)
{
	struct cell cell = { .type = CELL_INT };
	duckdb_string_t text;

	switch (type) {
	case DUCKDB_TYPE_BOOLEAN:
		cell.type = CELL_BOOL;
		cell.i = ((const bool *)data)[row];
		return cell;
	case DUCKDB_TYPE_TINYINT:
		cell.i = ((const int8_t *)data)[row];
		return cell;
	case DUCKDB_TYPE_SMALLINT:
		cell.i = ((const int16_t *)data)[row];
		return cell;
	case DUCKDB_TYPE_INTEGER:
		cell.i = ((const int32_t *)data)[row];
		return cell;
	case DUCKDB_TYPE_BIGINT:
		cell.i = ((const int64_t *)data)[row];
		return cell;
	case DUCKDB_TYPE_UTINYINT:
		cell.i = ((const uint8_t *)data)[row];
		return cell;
	case DUCKDB_TYPE_USMALLINT:
		cell.i = ((const uint16_t *)data)[row];
		return cell;
	case DUCKDB_TYPE_UINTEGER:
		cell.i = ((const uint32_t *)data)[row];
		return cell;
	case DUCKDB_TYPE_FLOAT:
		cell.type = CELL_DOUBLE;
		cell.d = (double)((const float *)data)[row];
		return cell;
	case DUCKDB_TYPE_DOUBLE:
		cell.type = CELL_DOUBLE;
		cell.d = ((const double *)data)[row];
		return cell;
	default:
		text = ((const duckdb_string_t *)data)[row];
		return text_cell(as, slice_of(duckdb.string_t_data(&text),
					      duckdb.string_t_length(text)), memory);
	}
}

static void take_column(duckdb_data_chunk chunk, size_t column, duckdb_type type,
			enum cell_as as, size_t first_row, struct answer *answer)
{
	duckdb_vector vector = duckdb.data_chunk_get_vector(chunk, column);
	uint64_t *valid = duckdb.vector_get_validity(vector);
	const void *data = duckdb.vector_get_data(vector);
	idx_t count = duckdb.data_chunk_get_size(chunk);

	for (idx_t row = 0; row < count; row++) {
		struct cell *cell =
			&answer->cells[(first_row + row) * answer->column_count + column];

		if (!valid || duckdb.validity_row_is_valid(valid, row))
			*cell = cell_at(type, as, data, row, answer->memory);
	}
}

/* The result's rows; it was cast as `shape` says. */
static enum err_code take_answer(duckdb_result *result, const struct shape *shape,
				 struct answer *ret_answer, struct err *err)
{
	struct answer answer = {
		.column_count = duckdb.column_count(result),
		.row_count = 0,
	};
	idx_t rows = duckdb.row_count(result);
	duckdb_data_chunk chunk;

	if (rows * answer.column_count > ANSWER_BYTES_MAX / sizeof(struct cell) / 4)
		return err_set(err, ERR_LIMIT, "the answer has %llu rows, which is too many to show;"
			       " a LIMIT would help", (unsigned long long)rows);
	answer.memory = xmalloc(sizeof(*answer.memory));
	arena_init(answer.memory, SIZE_MAX);	/* DuckDB holds the same rows under
						   its memory limit */
	answer.columns = arena_alloc(answer.memory, answer.column_count * sizeof(*answer.columns));
	answer.cells =
		arena_alloc(answer.memory, rows * answer.column_count * sizeof(*answer.cells));
	for (size_t i = 0; i < answer.column_count; i++)
		answer.columns[i] =
			arena_str(answer.memory, slice_str(duckdb.column_name(result, i)));
	while ((chunk = duckdb.fetch_chunk(*result)) != NULL) {
		for (size_t i = 0; i < answer.column_count; i++)
			take_column(chunk, i, duckdb.column_type(result, i), shape->as[i],
				    answer.row_count, &answer);
		answer.row_count += duckdb.data_chunk_get_size(chunk);
		duckdb.destroy_data_chunk(&chunk);
	}
	*ret_answer = answer;
	return ERR_OK;
}

static enum err_code fetch(struct engine_duckdb *engine, struct buf *sql, const struct shape *shape,
			   struct answer *ret_answer, struct err *err)
{
	duckdb_result result;
	enum err_code code = duck_query(&engine->duck, buf_cstr(sql), &result, err);

	if (code != ERR_OK)
		return code;
	code = take_answer(&result, shape, ret_answer, err);
	duckdb.destroy_result(&result);
	return code;
}

/* The rows of the table "answer". */
static enum err_code fetch_table(struct engine_duckdb *engine, struct answer *ret_answer,
				 struct err *err)
{
	duckdb_result none;
	struct shape shape;
	struct buf sql;
	enum err_code code = duck_query(&engine->duck, "FROM pinpipe.answer LIMIT 0", &none, err);

	if (code != ERR_OK)
		return code;
	shape = shape_of_result(&none);
	duckdb.destroy_result(&none);
	buf_init(&sql, SQL_BYTES_MAX);
	put_shape(&sql, &shape);
	buf_add_str(&sql, "pinpipe.answer");
	put_shape_end(&sql, &shape);
	buf_add_str(&sql, " ORDER BY rowid"); /* threads read a large one side by side */
	code = fetch(engine, &sql, &shape, ret_answer, err);
	buf_release(&sql);
	shape_release(&shape);
	return code;
}

static enum err_code write_table(struct engine_duckdb *engine, const char *path, struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "COPY (FROM pinpipe.answer ORDER BY rowid) TO ");
	duck_put_literal(&sql, slice_str(path));
	buf_add_str(&sql, " " DELTA_STATS_PARQUET);
	code = duck_run(&engine->duck, buf_cstr(&sql), err);
	buf_release(&sql);
	return code;
}

/* The table "answer", which was just made of `sql`, as an answer, perhaps in a file as well. */
static enum err_code take_answer_table(struct engine_duckdb *engine, const char *parquet,
				       struct answer *ret_answer, struct err *err)
{
	enum err_code code = parquet ? write_table(engine, parquet, err) : ERR_OK;
	struct answer answer;

	if (code == ERR_OK)
		code = fetch_table(engine, &answer, err);
	if (code != ERR_OK)
		return code;
	code = duck_run(&engine->duck, "DROP TABLE pinpipe.answer", err);
	if (code == ERR_OK)
		*ret_answer = answer;
	else
		answer_release(&answer);
	return code;
}

/* By way of a table, which goes to a file as well. */
static enum err_code ask_table(struct engine_duckdb *engine, const struct model *question,
			       const char *parquet, struct answer *ret_answer, struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "CREATE OR REPLACE TABLE pinpipe.answer AS\n");
	buf_add_str(&sql, question->sql);
	code = duck_run(&engine->duck, buf_cstr(&sql), err);
	if (code != ERR_OK)
		code = engine_duckdb_blame(engine, question, 1, err);
	buf_release(&sql);
	return code == ERR_OK ? take_answer_table(engine, parquet, ret_answer, err) : code;
}

/* Another engine's times have a zone, UTC; those of views here have none. */
static void put_answer_column(struct buf *sql, duckdb_type type, size_t i, struct slice name)
{
	buf_addf(sql,
		 type == DUCKDB_TYPE_TIMESTAMP_TZ ? "make_timestamp(epoch_us(c%zu)) AS "
						  : "c%zu AS ",
		 i);
	duck_put_name(sql, name);
}

enum err_code engine_duckdb_take_answer(struct engine_duckdb *engine,
					const struct duckdb_parts *parts, const struct slice *names,
					size_t name_count, const char *parquet,
					struct answer *ret_answer, struct err *err)
{
	duckdb_result none;
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "SELECT * FROM ");
	engine_duckdb_put_parts(&sql, parts);
	buf_add_str(&sql, " LIMIT 0");
	code = duck_query(&engine->duck, buf_cstr(&sql), &none, err);
	buf_clear(&sql);
	if (code == ERR_OK) {
		buf_add_str(&sql, "CREATE OR REPLACE TABLE pinpipe.answer AS SELECT ");
		for (size_t i = 0; i < name_count; i++) {
			buf_add_str(&sql, i ? ", " : "");
			put_answer_column(&sql, duckdb.column_type(&none, i), i, names[i]);
		}
		buf_add_str(&sql, " FROM ");
		engine_duckdb_put_parts(&sql, parts);
		buf_add_str(&sql, " ORDER BY file_index, file_row_number");
		duckdb.destroy_result(&none);
		code = duck_run(&engine->duck, buf_cstr(&sql), err);
	}
	buf_release(&sql);
	return code == ERR_OK ? take_answer_table(engine, parquet, ret_answer, err) : code;
}

/* Inside another SELECT, which gives columns types that cells have. */
static enum err_code ask_cast(struct engine_duckdb *engine, const struct model *question,
			      const struct shape *shape, struct answer *ret_answer, struct err *err)
{
	struct buf sql;
	enum err_code code;
	int before;

	buf_init(&sql, SQL_BYTES_MAX);
	put_shape(&sql, shape);
	buf_add_str(&sql, "(\n");
	before = engine_duckdb_count_lines(&sql);
	buf_add_str(&sql, question->sql);
	buf_add_str(&sql, "\n)");
	put_shape_end(&sql, shape);
	if (engine->base.rows_wanted > 0)
		buf_addf(&sql, " LIMIT %zu", engine->base.rows_wanted + 1);
	code = fetch(engine, &sql, shape, ret_answer, err);
	if (code != ERR_OK && code != ERR_LIMIT)
		code = engine_duckdb_blame(engine, question, before, err);
	buf_release(&sql);
	return code;
}

static enum err_code ask_directly(struct engine_duckdb *engine, const struct model *question,
				  duckdb_prepared_statement statement, const struct shape *shape,
				  struct answer *ret_answer, struct err *err)
{
	duckdb_result result = { 0 };
	enum err_code code;

	if (duckdb.execute_prepared(statement, &result) == DuckDBSuccess) {
		code = take_answer(&result, shape, ret_answer, err);
	} else {
		(void)duck_error(&engine->duck, duckdb.result_error_type(&result),
				 duckdb.result_error(&result), err);
		code = engine_duckdb_blame(engine, question, 0, err);
	}
	duckdb.destroy_result(&result);
	return code;
}

static enum err_code ask_prepared(struct engine_duckdb *engine, const struct model *question,
				  duckdb_prepared_statement statement, const char *parquet,
				  struct answer *ret_answer, struct err *err)
{
	/* What is no SELECT has few rows. */
	bool bounded = engine->base.rows_wanted > 0 &&
		       duckdb.prepared_statement_type(statement) == DUCKDB_STATEMENT_TYPE_SELECT;
	struct shape shape;
	enum err_code code;

	if (parquet)
		return ask_table(engine, question, parquet, ret_answer, err);
	shape = shape_of_statement(statement);
	code = shape_is_plain(&shape) && !bounded
		       ? ask_directly(engine, question, statement, &shape, ret_answer, err)
		       : ask_cast(engine, question, &shape, ret_answer, err);
	shape_release(&shape);
	return code;
}

static enum err_code ask_as(struct engine_duckdb *engine, const struct model *question,
			    enum duckdb_sql kind, const char *parquet, struct answer *ret_answer,
			    struct err *err)
{
	duckdb_prepared_statement statement = NULL;
	enum err_code code = engine_duckdb_allow(engine, question, kind, err);

	if (code != ERR_OK)
		return code;
	if (duckdb.prepare(engine->duck.conn, question->sql, &statement) != DuckDBSuccess) {
		code = engine_duckdb_blame_prepare(engine, statement, question, 0, err);
	} else {
		code = ask_prepared(engine, question, statement, parquet, ret_answer, err);
	}
	duckdb.destroy_prepare(&statement);
	return code;
}

enum err_code engine_duckdb_ask(struct engine *base, const struct model *question,
				const char *parquet, struct answer *ret_answer, struct err *err)
{
	return ask_as((struct engine_duckdb *)base, question, DUCKDB_SQL_ANALYSIS, parquet,
		      ret_answer, err);
}

enum err_code engine_duckdb_query(struct engine *base, const struct model *question,
				  struct answer *ret_answer, struct err *err)
{
	return ask_as((struct engine_duckdb *)base, question, DUCKDB_SQL_FREE, NULL, ret_answer,
		      err);
}
