#include "engine/engine_duckdb.h"

#include "base/mem.h"
#include "engine/raw.h"

enum { LINEAGE_COLUMNS = 2 };

/* One thread's reading. */
struct worker {
	bool told; /* its unknown fields */
	struct engine_duckdb *engine;
	struct duckdb_clean *clean;
	struct raw_reader *reader;
	void *part;			/* NULL: none is open */
	struct slice *fields;		/* of the record at hand; _partition
					   and _offset behind them */
	size_t column_count;
	size_t *columns;		/* by vector of the chunk: which of `fields` */
	duckdb_vector *vectors;		/* of the chunk at hand */
	uint64_t **valid;
};

static void bind(duckdb_bind_info info)
{
	struct engine_duckdb *engine = duckdb.bind_get_extra_info(info);
	duckdb_logical_type text;

	if (!engine->clean) {
		duckdb.bind_set_error(info, "raw can be read by a clean model only");
		return;
	}
	text = duckdb.create_logical_type(DUCKDB_TYPE_VARCHAR);
	for (size_t i = 0; i < engine->clean->model->field_count; i++)
		duckdb.bind_add_result_column(info, engine->clean->model->fields[i].alias, text);
	duckdb.bind_add_result_column(info, "_partition", text);
	duckdb.bind_add_result_column(info, "_offset", text);
	duckdb.destroy_logical_type(&text);
}

static void init(duckdb_init_info info)
{
	struct engine_duckdb *engine = duckdb.init_get_extra_info(info);

	if (atomic_exchange(&engine->clean->read, true))
		duckdb.init_set_error(info, "a clean model can read raw once");
	duckdb.init_set_max_threads(info, (idx_t)engine->threads);
}

static void close_part(struct worker *worker)
{
	if (worker->part)
		worker->clean->input->close(worker->part);
	worker->part = NULL;
}

static void worker_free(void *p)
{
	struct worker *worker = p;

	close_part(worker);
	raw_reader_free(worker->reader);
	free(worker->fields);
	free(worker->columns);
	free(worker->vectors);
	free(worker->valid);
	free(worker);
}

static void local_init(duckdb_init_info info)
{
	struct engine_duckdb *engine = duckdb.init_get_extra_info(info);
	struct worker *worker = xcalloc(1, sizeof(*worker));
	size_t field_count = engine->clean->model->field_count;

	worker->engine = engine;
	worker->clean = engine->clean;
	worker->reader = raw_reader_new(engine->clean->model, engine->clean->input->shared);
	worker->fields = xcalloc(field_count + LINEAGE_COLUMNS, sizeof(*worker->fields));
	worker->column_count = duckdb.init_get_column_count(info);
	worker->columns = xcalloc(worker->column_count, sizeof(*worker->columns));
	worker->vectors = xcalloc(worker->column_count, sizeof(*worker->vectors));
	worker->valid = xcalloc(worker->column_count, sizeof(*worker->valid));
	for (size_t i = 0; i < worker->column_count; i++)
		worker->columns[i] = duckdb.init_get_column_index(info, i);
	duckdb.init_set_init_data(info, worker, worker_free);
}

/* The first failure of any thread is the one that is told; the others just end. */
static void duckdb_raw_fail(struct duckdb_clean *clean, const struct err *err)
{
	(void)pthread_mutex_lock(&clean->lock);
	if (!atomic_exchange(&clean->failed, true))
		clean->err = *err;
	(void)pthread_mutex_unlock(&clean->lock);
}

static enum err_code duckdb_raw_bury(struct duckdb_clean *clean, const struct raw_record *record,
				     const char *reason, struct err *err)
{
	enum err_code code;

	(void)pthread_mutex_lock(&clean->lock);
	code = clean->input->dead(clean->input, record, reason, err);
	clean->dead++;
	(void)pthread_mutex_unlock(&clean->lock);
	return code;
}

/* The next record of this worker's part, or of the next part that nobody has taken. */
static enum err_code duckdb_raw_next_record(struct worker *worker, struct raw_record *ret_record,
					    bool *ret, struct err *err)
{
	struct duckdb_clean *clean = worker->clean;
	enum err_code code;

	for (;;) {
		size_t part;

		if (worker->part) {
			code = clean->input->next(worker->part, ret_record, ret, err);
			if (code != ERR_OK || *ret)
				return code;
			close_part(worker);
		}
		part = atomic_fetch_add(&worker->engine->next_part, 1);
		*ret = false;
		if (part >= clean->input->part_count || atomic_load(&clean->failed))
			return ERR_OK;
		code = clean->input->open(clean->input, part, &worker->part, err);
		if (code != ERR_OK)
			return code;
	}
}

/* The next record that is a row, in worker->fields. */
static enum err_code next_row(struct worker *worker, bool *ret, struct err *err)
{
	struct duckdb_clean *clean = worker->clean;
	size_t field_count = clean->model->field_count;
	struct raw_record record;
	const char *reason;
	enum err_code code;

	for (;;) {
		code = duckdb_raw_next_record(worker, &record, ret, err);
		if (code != ERR_OK || !*ret)
			return code;
		switch (raw_read(worker->reader, record.value, record.key, clean->input->padded,
				 worker->fields, &reason)) {
		case RAW_ROW:
			worker->fields[field_count] = record.partition;
			worker->fields[field_count + 1] = record.offset;
			return ERR_OK;
		case RAW_DEAD:
			code = duckdb_raw_bury(clean, &record, reason, err);
			if (code != ERR_OK)
				return code;
			break;
		case RAW_OTHERS:
			break;
		}
	}
}

static void put_row(struct worker *worker, idx_t row)
{
	size_t field_count = worker->clean->model->field_count + LINEAGE_COLUMNS;

	for (size_t i = 0; i < worker->column_count; i++) {
		size_t field = worker->columns[i];

		if (field >= field_count)	/* a query of no column is given one
						   to count rows by */
			continue;
		if (worker->fields[field].ptr) {
			duckdb.unsafe_vector_assign_string_element_len(worker->vectors[i], row,
								       worker->fields[field].ptr,
								       worker->fields[field].len);
			continue;
		}
		if (!worker->valid[i]) {
			duckdb.vector_ensure_validity_writable(worker->vectors[i]);
			worker->valid[i] = duckdb.vector_get_validity(worker->vectors[i]);
		}
		duckdb.validity_set_row_invalid(worker->valid[i], row);
	}
}

/* What the worker's rows held that no column is made of: when it has read all. */
static void duckdb_raw_tell_unknown(struct worker *worker)
{
	struct duckdb_clean *clean = worker->clean;

	if (worker->told)
		return;
	worker->told = true;
	(void)pthread_mutex_lock(&clean->lock);
	unknown_fields_merge(&clean->unknown, raw_reader_unknown(worker->reader));
	(void)pthread_mutex_unlock(&clean->lock);
}

static void duckdb_raw_fill(duckdb_function_info info, duckdb_data_chunk chunk)
{
	struct worker *worker = duckdb.function_get_local_init_data(info);
	struct duckdb_clean *clean = worker->clean;
	idx_t room = duckdb.vector_size();
	struct err err = { 0 };
	idx_t rows = 0;
	bool more = true;

	for (size_t i = 0; i < worker->column_count; i++) {
		worker->vectors[i] = duckdb.data_chunk_get_vector(chunk, i);
		worker->valid[i] = NULL;
	}
	while (more && rows < room) {
		if (next_row(worker, &more, &err) != ERR_OK) {
			duckdb_raw_fail(clean, &err);
			duckdb.function_set_error(info, err.msg);
			return;
		}
		if (more)
			put_row(worker, rows++);
		else
			duckdb_raw_tell_unknown(worker);
	}
	atomic_fetch_add(&clean->rows, rows);
	duckdb.data_chunk_set_size(chunk, rows);
}

enum err_code engine_duckdb_add_raw(struct engine_duckdb *engine, struct err *err)
{
	duckdb_table_function function = duckdb.create_table_function();
	duckdb_state state;

	duckdb.table_function_set_name(function, "raw_records");
	duckdb.table_function_set_extra_info(function, engine, NULL);
	duckdb.table_function_supports_projection_pushdown(function, true);
	duckdb.table_function_set_bind(function, bind);
	duckdb.table_function_set_init(function, init);
	duckdb.table_function_set_local_init(function, local_init);
	duckdb.table_function_set_function(function, duckdb_raw_fill);
	state = duckdb.register_table_function(engine->duck.conn, function);
	duckdb.destroy_table_function(&function);
	if (state != DuckDBSuccess)
		return err_set(err, ERR_IO, "duckdb did not take the table function raw_records");
	return ERR_OK;
}
