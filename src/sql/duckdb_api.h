/*
 * duckdb_api.h - DuckDB's C API out of a library that is loaded when it is
 * first asked for: duckdb.query(…) is duckdb_query(…) of <duckdb.h>.
 *
 * A process that only links libduckdb.so pays 14 MB and 10 ms for it; the
 * gateway never asks. duck_open() loads; nothing below is called before.
 * Threads: any, once it is loaded.
 */
#ifndef SQL_DUCKDB_API_H
#define SQL_DUCKDB_API_H

#include "base/err.h"

#include <duckdb.h>

/*
 * In the library since 1.4.1, not yet in the header that is published with it: like
 * duckdb.vector_assign_string_element_len(), which checks UTF-8 that json.h has checked already.
 */
void duckdb_unsafe_vector_assign_string_element_len(duckdb_vector vector, idx_t index,
						    const char *str, idx_t str_len);

/* What this program calls of it. */
#define DUCKDB_FUNCTIONS(X) \
	X(append_int32) \
	X(append_int64) \
	X(append_null) \
	X(append_varchar_length) \
	X(appender_close) \
	X(appender_create) \
	X(appender_destroy) \
	X(appender_end_row) \
	X(appender_error) \
	X(bind_add_result_column) \
	X(bind_get_extra_info) \
	X(bind_set_error) \
	X(close) \
	X(column_count) \
	X(column_logical_type) \
	X(column_name) \
	X(column_type) \
	X(connect) \
	X(create_config) \
	X(create_logical_type) \
	X(create_scalar_function) \
	X(create_table_function) \
	X(data_chunk_get_size) \
	X(data_chunk_get_vector) \
	X(data_chunk_set_size) \
	X(destroy_config) \
	X(destroy_data_chunk) \
	X(destroy_extracted) \
	X(destroy_logical_type) \
	X(destroy_prepare) \
	X(destroy_result) \
	X(destroy_scalar_function) \
	X(destroy_table_function) \
	X(disconnect) \
	X(execute_prepared) \
	X(extract_statements) \
	X(fetch_chunk) \
	X(free) \
	X(function_get_local_init_data) \
	X(function_set_error) \
	X(init_get_column_count) \
	X(init_get_column_index) \
	X(init_get_extra_info) \
	X(init_set_error) \
	X(init_set_init_data) \
	X(init_set_max_threads) \
	X(interrupt) \
	X(list_vector_get_child) \
	X(logical_type_get_alias) \
	X(open_ext) \
	X(prepare) \
	X(prepare_error) \
	X(prepared_statement_column_count) \
	X(prepared_statement_column_logical_type) \
	X(prepared_statement_column_name) \
	X(prepared_statement_column_type) \
	X(prepared_statement_type) \
	X(query) \
	X(query_progress) \
	X(register_scalar_function) \
	X(register_table_function) \
	X(result_error) \
	X(result_error_type) \
	X(row_count) \
	X(scalar_function_add_parameter) \
	X(scalar_function_get_extra_info) \
	X(scalar_function_set_extra_info) \
	X(scalar_function_set_function) \
	X(scalar_function_set_name) \
	X(scalar_function_set_return_type) \
	X(scalar_function_set_special_handling) \
	X(set_config) \
	X(string_t_data) \
	X(string_t_length) \
	X(struct_vector_get_child) \
	X(table_function_set_bind) \
	X(table_function_set_extra_info) \
	X(table_function_set_function) \
	X(table_function_set_init) \
	X(table_function_set_local_init) \
	X(table_function_set_name) \
	X(table_function_supports_projection_pushdown) \
	X(unsafe_vector_assign_string_element_len) \
	X(validity_row_is_valid) \
	X(validity_set_row_invalid) \
	X(value_int64) \
	X(value_uint64) \
	X(value_varchar) \
	X(vector_assign_string_element_len) \
	X(vector_ensure_validity_writable) \
	X(vector_get_data) \
	X(vector_get_validity) \
	X(vector_size)

struct duckdb_api {
#define X(name) __typeof__(duckdb_##name) *name;
	DUCKDB_FUNCTIONS(X)
#undef X
};

extern struct duckdb_api duckdb;

/* ERR_USAGE: the library is not there, or is not DuckDB; says what was tried. */
MUST_USE enum err_code duckdb_api_load(struct err *err);

#endif
