#include "engine/engine_duckdb.h"

#include "base/mem.h"

enum {
	SQL_BYTES_MAX = 4 << 20,
	ANSWER_BYTES_MAX = 512 << 20,
	COLUMNS_MAX = 4096,
};

/* How a column of DuckDB becomes cells: as it is, or cast to something that does. */
static const char *cast_of(duckdb_type type)
{
	switch (type) {
	case DUCKDB_TYPE_BOOLEAN: case DUCKDB_TYPE_TINYINT: case DUCKDB_TYPE_SMALLINT:
	case DUCKDB_TYPE_INTEGER: case DUCKDB_TYPE_BIGINT: case DUCKDB_TYPE_UTINYINT:
	case DUCKDB_TYPE_USMALLINT: case DUCKDB_TYPE_UINTEGER: case DUCKDB_TYPE_FLOAT:
	case DUCKDB_TYPE_DOUBLE: case DUCKDB_TYPE_VARCHAR:
		return NULL;
	case DUCKDB_TYPE_UBIGINT: case DUCKDB_TYPE_HUGEINT: case DUCKDB_TYPE_UHUGEINT:
		return "BIGINT";
	case DUCKDB_TYPE_DECIMAL:
		return "DOUBLE";
	default:
		return "VARCHAR";
	}
}

static struct cell cell_at(duckdb_type type, const void *data, idx_t row, struct arena *memory)
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
		cell.type = CELL_TEXT;
		cell.text = arena_copy(memory, slice_of(duckdb.string_t_data(&text),
							duckdb.string_t_length(text)));
		return cell;
	}
}

static void take_column(duckdb_data_chunk chunk, size_t column, duckdb_type type, size_t first_row,
			struct answer *answer)
{
	duckdb_vector vector = duckdb.data_chunk_get_vector(chunk, column);
	uint64_t *valid = duckdb.vector_get_validity(vector);
	const void *data = duckdb.vector_get_data(vector);
	idx_t count = duckdb.data_chunk_get_size(chunk);

	for (idx_t row = 0; row < count; row++) {
		struct cell *cell =
			&answer->cells[(first_row + row) * answer->column_count + column];

		if (!valid || duckdb.validity_row_is_valid(valid, row))
			*cell = cell_at(type, data, row, answer->memory);
	}
}

/* The result's rows; it was cast as cast_of() says. */
static enum err_code take_answer(duckdb_result *result, struct answer *ret_answer, struct err *err)
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
			take_column(chunk, i, duckdb.column_type(result, i), answer.row_count,
				    &answer);
		answer.row_count += duckdb.data_chunk_get_size(chunk);
		duckdb.destroy_data_chunk(&chunk);
	}
	*ret_answer = answer;
	return ERR_OK;
}

static enum err_code fetch(struct engine_duckdb *engine, const char *sql, struct answer *ret_answer,
			   struct err *err)
{
	duckdb_result result;
	enum err_code code = duck_query(&engine->duck, sql, &result, err);

	if (code != ERR_OK)
		return code;
	code = take_answer(&result, ret_answer, err);
	duckdb.destroy_result(&result);
	return code;
}

/* SELECT every column of the table `answer` in a type that cells have. */
static enum err_code fetch_table(struct engine_duckdb *engine, struct answer *ret_answer,
				 struct err *err)
{
	duckdb_result none;
	struct buf sql;
	enum err_code code = duck_query(&engine->duck, "SELECT * FROM answer LIMIT 0", &none, err);

	if (code != ERR_OK)
		return code;
	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "SELECT ");
	for (idx_t i = 0; i < duckdb.column_count(&none); i++) {
		const char *cast = cast_of(duckdb.column_type(&none, i));

		buf_add_str(&sql, i ? ", " : "");
		if (cast)
			buf_add_str(&sql, "CAST(");
		duck_put_name(&sql, slice_str(duckdb.column_name(&none, i)));
		if (cast)
			buf_addf(&sql, " AS %s) AS ", cast);
		if (cast)
			duck_put_name(&sql, slice_str(duckdb.column_name(&none, i)));
	}
	buf_add_str(&sql, " FROM answer");
	duckdb.destroy_result(&none);
	code = fetch(engine, buf_cstr(&sql), ret_answer, err);
	buf_release(&sql);
	return code;
}

static enum err_code write_table(struct engine_duckdb *engine, const char *path, struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "COPY answer TO ");
	duck_put_literal(&sql, slice_str(path));
	buf_add_str(&sql, " " ENGINE_DUCKDB_PARQUET);
	code = duck_run(&engine->duck, buf_cstr(&sql), err);
	buf_release(&sql);
	return code;
}

/* By way of a table: what has types that cells do not have, or goes to a file as well. */
static enum err_code ask_table(struct engine_duckdb *engine, const struct model *question,
			       const char *parquet, struct answer *ret_answer, struct err *err)
{
	struct buf sql;
	enum err_code code;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "CREATE OR REPLACE TEMP TABLE answer AS\n");
	buf_add_str(&sql, question->sql);
	code = duck_run(&engine->duck, buf_cstr(&sql), err);
	if (code != ERR_OK)
		code = engine_duckdb_blame(engine, question, 1, err);
	buf_release(&sql);
	if (code == ERR_OK && parquet)
		code = write_table(engine, parquet, err);
	if (code == ERR_OK)
		code = fetch_table(engine, ret_answer, err);
	if (code == ERR_OK)
		code = duck_run(&engine->duck, "DROP TABLE answer", err);
	return code;
}

/* Whether every column of the answer has a type that cells have. */
static bool is_plain(duckdb_prepared_statement statement)
{
	for (idx_t i = 0; i < duckdb.prepared_statement_column_count(statement); i++)
		if (cast_of(duckdb.prepared_statement_column_type(statement, i)))
			return false;
	return true;
}

static enum err_code ask_directly(struct engine_duckdb *engine, const struct model *question,
				  duckdb_prepared_statement statement, struct answer *ret_answer,
				  struct err *err)
{
	duckdb_result result = { 0 };
	enum err_code code;

	if (duckdb.execute_prepared(statement, &result) == DuckDBSuccess) {
		code = take_answer(&result, ret_answer, err);
	} else {
		(void)duck_error(&engine->duck, duckdb.result_error_type(&result),
				 duckdb.result_error(&result), err);
		code = engine_duckdb_blame(engine, question, 0, err);
	}
	duckdb.destroy_result(&result);
	return code;
}

enum err_code engine_duckdb_ask(struct engine *base, const struct model *question,
				const char *parquet, struct answer *ret_answer, struct err *err)
{
	struct engine_duckdb *engine = (struct engine_duckdb *)base;
	duckdb_prepared_statement statement = NULL;
	enum err_code code;

	if (duckdb.prepare(engine->duck.conn, question->sql, &statement) != DuckDBSuccess) {
		(void)duck_error(&engine->duck, DUCKDB_ERROR_BINDER,
				 duckdb.prepare_error(statement), err);
		code = engine_duckdb_blame(engine, question, 0, err);
	} else if (parquet || !is_plain(statement)) {
		code = ask_table(engine, question, parquet, ret_answer, err);
	} else {
		code = ask_directly(engine, question, statement, ret_answer, err);
	}
	duckdb.destroy_prepare(&statement);
	return code;
}
