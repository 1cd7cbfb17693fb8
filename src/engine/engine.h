/*
 * engine.h - runs the SQL models: raw records in, clean Parquet out; clean
 * tables in, answers out.
 *
 * Backends
 *	engine_duckdb.c	DuckDB in this process, with a memory limit
 *
 * A clean model (models/clean/<table>.sql) is one SELECT over the view `raw`,
 * whose columns are the fields that the model's header names, each as text
 * (a string unescaped, any other JSON value as its text, absent or null as
 * NULL), and `_partition` and `_offset`. The engine provides named macros where
 * SQL dialects differ. An analysis (models/analyses/<name>.sql) is one SELECT over the views
 * pin, geo and user: current rows, one an `ind`.
 *
 * Errors name the model's file and line. Threads: one thread an engine.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "engine/model.h"

#include <stdint.h>

/* One raw record on its way into a clean table. */
struct raw_record {
	struct slice value;		/* null: a tombstone */
	struct slice partition;		/* text, as it goes into _partition */
	struct slice offset;		/* text, as it goes into _offset */
};

/*
 * Where raw records come from, in parts that several threads may read at once
 * (an object of the lake; a run of the log). Parts are read once each; records
 * of a part live until its next call.
 */
struct raw_input {
	size_t part_count;
	/* Called by any thread, for each part by one thread. */
	enum err_code (*open)(struct raw_input *input, size_t part, void **ret_part, struct err *err);
	/* ERR_OK and *ret true: a record; false: the part ends. */
	enum err_code (*next)(void *part, struct raw_record *ret_record, bool *ret, struct err *err);
	void (*close)(void *part);
	/* A record that is no row of this table; any thread, one at a time. */
	enum err_code (*dead)(struct raw_input *input, const struct raw_record *record,
			      const char *reason, struct err *err);
};

struct clean_result {
	uint64_t rows;			/* written */
	uint64_t dead;
	uint64_t unreadable;		/* fields that became null because they could not be read */
	uint64_t bytes;			/* of the file */
	struct buf stats;		/* Delta's statistics, JSON text; the caller releases it */
};

enum cell_type { CELL_NULL, CELL_INT, CELL_DOUBLE, CELL_TEXT };

struct cell {
	enum cell_type type;
	int64_t i;
	double d;
	struct slice text;
};

/* Rows of an answer; cells row by row. */
struct answer {
	size_t column_count;
	size_t row_count;
	const char **columns;
	struct cell *cells;
	void *memory;			/* what all of it stands in */
};

void answer_release(struct answer *answer);

/* A set of Parquet files under a name, for analyses and free SQL. */
struct engine_table {
	const char *name;		/* of the view */
	bool current;			/* one row an ind, the one with the highest _offset; else all rows */
	const char *const *paths;
	size_t path_count;
	const struct clean_model *model;	/* its columns, for when there is no file yet */
};

struct engine;

struct engine_ops {
	const char *name;
	/* Clean all of `input` into the Parquet file `path` (a local one, made). No row: no file, rows 0. */
	enum err_code (*clean)(struct engine *engine, const struct clean_model *model,
			       struct raw_input *input, const char *path,
			       struct clean_result *ret_result, struct err *err);
	/* Give the views of the following runs their tables. */
	enum err_code (*attach)(struct engine *engine, const struct engine_table *tables, size_t count,
				struct err *err);
	/* Run one analysis or free SQL. The caller releases *ret_answer. */
	enum err_code (*ask)(struct engine *engine, const char *sql, const char *file,
			     struct answer *ret_answer, struct err *err);
	/* The same to a file; `format`: "csv" or "parquet". */
	enum err_code (*export)(struct engine *engine, const char *sql, const char *file,
				const char *format, const char *path, struct err *err);
	void (*free)(struct engine *engine);
};

struct engine {
	const struct engine_ops *ops;
};

struct engine_options {
	uint64_t memory_bytes_max;
	int threads;			/* 0: as many as the machine has */
	const char *temp_dir;
};

MUST_USE enum err_code engine_duckdb_new(const struct engine_options *options,
					 struct engine **ret_engine, struct err *err);

#endif
