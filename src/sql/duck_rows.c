#include "sql/duck_rows.h"

#include "base/mem.h"

enum err_code duck_rows_open(struct duck *duck, const char *sql, struct duck_rows *ret_rows,
			     struct err *err)
{
	struct duck_rows rows = { 0 };
	enum err_code code = duck_query(duck, sql, &rows.result, err);

	if (code == ERR_OK)
		*ret_rows = rows;
	return code;
}

void duck_rows_close(struct duck_rows *rows)
{
	duckdb.destroy_data_chunk(&rows->chunk);
	duckdb.destroy_result(&rows->result);
}

bool duck_rows_next(struct duck_rows *rows)
{
	if (rows->chunk && ++rows->at < rows->count)
		return true;
	duckdb.destroy_data_chunk(&rows->chunk);
	rows->chunk = duckdb.fetch_chunk(rows->result);
	rows->at = 0;
	rows->count = rows->chunk ? duckdb.data_chunk_get_size(rows->chunk) : 0;
	return rows->count > 0;
}

bool duck_is_null(struct duck_rows *rows, idx_t column)
{
	duckdb_vector vector = duckdb.data_chunk_get_vector(rows->chunk, column);
	uint64_t *validity = duckdb.vector_get_validity(vector);

	return validity && !duckdb.validity_row_is_valid(validity, rows->at);
}

static void *data(struct duck_rows *rows, idx_t column)
{
	return duckdb.vector_get_data(duckdb.data_chunk_get_vector(rows->chunk, column));
}

int64_t duck_i64(struct duck_rows *rows, idx_t column, int64_t if_null)
{
	int64_t *values = data(rows, column);

	return duck_is_null(rows, column) ? if_null : values[rows->at];
}

struct slice duck_slice(struct duck_rows *rows, idx_t column)
{
	duckdb_string_t *values = data(rows, column);

	if (duck_is_null(rows, column))
		return (struct slice){ 0 };
	return slice_of(duckdb.string_t_data(&values[rows->at]),
			duckdb.string_t_length(values[rows->at]));
}

char *duck_text(struct duck_rows *rows, idx_t column)
{
	struct slice text = duck_slice(rows, column);

	if (!text.ptr || memchr(text.ptr, '\0', text.len))
		return NULL;
	return xstrndup(text.ptr, text.len);
}
