#include "engine/engine_duckdb.h"

#include "base/mem.h"
#include "engine/read.h"

static bool duckdb_read_put_int(struct slice text, void *data, idx_t row)
{
	return read_int(text, (int32_t *)data + row);
}

static bool duckdb_read_put_long(struct slice text, void *data, idx_t row)
{
	return read_long(text, (int64_t *)data + row);
}

static bool duckdb_read_put_boolean(struct slice text, void *data, idx_t row)
{
	return read_boolean(text, (bool *)data + row);
}

static bool put_count(struct slice text, void *data, idx_t row)
{
	return read_count(text, (int64_t *)data + row);
}

static bool put_double(struct slice text, void *data, idx_t row)
{
	return read_double(text, (double *)data + row);
}

static bool duckdb_read_put_timestamp(struct slice text, void *data, idx_t row)
{
	return read_timestamp(text, (int64_t *)data + row);
}

static const struct reading {
	const char *name;
	duckdb_type type;
	bool (*put)(struct slice text, void *data, idx_t row);
} readings[] = {
	{ "as_int", DUCKDB_TYPE_INTEGER, duckdb_read_put_int },
	{ "as_long", DUCKDB_TYPE_BIGINT, duckdb_read_put_long },
	{ "as_boolean", DUCKDB_TYPE_BOOLEAN, duckdb_read_put_boolean },
	{ "as_count", DUCKDB_TYPE_BIGINT, put_count },
	{ "as_double", DUCKDB_TYPE_DOUBLE, put_double },
	{ "as_timestamp", DUCKDB_TYPE_TIMESTAMP_TZ, duckdb_read_put_timestamp },
};

/* What DuckDB keeps with each function. */
struct reader {
	struct engine_duckdb *engine;
	const struct reading *reading;
};

static void duckdb_read_run(duckdb_function_info info, duckdb_data_chunk input,
			    duckdb_vector output)
{
	const struct reader *reader = duckdb.scalar_function_get_extra_info(info);
	duckdb_vector vector = duckdb.data_chunk_get_vector(input, 0);
	duckdb_string_t *texts = duckdb.vector_get_data(vector);
	uint64_t *given = duckdb.vector_get_validity(vector);
	void *data = duckdb.vector_get_data(output);
	idx_t count = duckdb.data_chunk_get_size(input);
	uint64_t unreadable = 0;
	uint64_t *valid = NULL;

	for (idx_t row = 0; row < count; row++) {
		bool present = !given || duckdb.validity_row_is_valid(given, row);
		struct slice text = { 0 };

		if (present)
			text = slice_of(duckdb.string_t_data(&texts[row]),
					duckdb.string_t_length(texts[row]));
		if (present && reader->reading->put(text, data, row))
			continue;
		unreadable += present;
		if (!valid) {
			duckdb.vector_ensure_validity_writable(output);
			valid = duckdb.vector_get_validity(output);
		}
		duckdb.validity_set_row_invalid(valid, row);
	}
	if (unreadable)
		atomic_fetch_add(&reader->engine->unreadable, unreadable);
}

static enum err_code duckdb_read_add(struct engine_duckdb *engine, const struct reading *reading,
				     struct err *err)
{
	duckdb_scalar_function function = duckdb.create_scalar_function();
	duckdb_logical_type text = duckdb.create_logical_type(DUCKDB_TYPE_VARCHAR);
	duckdb_logical_type type = duckdb.create_logical_type(reading->type);
	struct reader *reader = xmalloc(sizeof(*reader));
	duckdb_state state;

	*reader = (struct reader){ .engine = engine, .reading = reading };
	duckdb.scalar_function_set_name(function, reading->name);
	duckdb.scalar_function_add_parameter(function, text);
	duckdb.scalar_function_set_return_type(function, type);
	duckdb.scalar_function_set_special_handling(function); /* nulls are ours to see */
	duckdb.scalar_function_set_extra_info(function, reader, free);
	duckdb.scalar_function_set_function(function, duckdb_read_run);
	state = duckdb.register_scalar_function(engine->duck.conn, function);
	duckdb.destroy_scalar_function(&function);
	duckdb.destroy_logical_type(&text);
	duckdb.destroy_logical_type(&type);
	if (state != DuckDBSuccess)
		return err_set(err, ERR_IO, "duckdb did not take the function %s", reading->name);
	return ERR_OK;
}

enum err_code engine_duckdb_add_functions(struct engine_duckdb *engine, struct err *err)
{
	static const char *const macros[] = {
		"CREATE MACRO as_pair(a, b) AS [CAST(a AS DOUBLE), CAST(b AS DOUBLE)]",
		"CREATE MACRO first_of(pair) AS CAST(pair[1] AS DOUBLE)",
		"CREATE MACRO second_of(pair) AS CAST(pair[2] AS DOUBLE)",
	};

	for (size_t i = 0; i < ARRAY_LEN(readings); i++)
		if (duckdb_read_add(engine, &readings[i], err) != ERR_OK)
			return err->code;
	for (size_t i = 0; i < ARRAY_LEN(macros); i++)
		if (duck_run(&engine->duck, macros[i], err) != ERR_OK)
			return err->code;
	return ERR_OK;
}
