/*
 * engine_duckdb.h - the parts of the DuckDB engine to each other. Only
 * engine_duckdb*.c include it, and engine_spark.c, which stands on it.
 *
 *	engine_duckdb.c		the engine, and clean
 *	engine_duckdb_raw.c	the table function behind `raw`
 *	engine_duckdb_read.c	the functions as_int, as_count, as_timestamp, …
 *	engine_duckdb_current.c	attach: the views, and which rows are current
 *	engine_duckdb_kept.c	which those were the last time
 *	engine_duckdb_check.c	what SQL may say, and whether a model's is right
 *	engine_duckdb_ask.c	results as answers
 *	engine_duckdb_spool.c	what it does for an engine that has SQL run elsewhere
 *
 * The engine's own tables are in the schema "pinpipe", out of the way of models' names.
 */
#ifndef ENGINE_ENGINE_DUCKDB_H
#define ENGINE_ENGINE_DUCKDB_H

#include "sql/duck.h"
#include "engine/engine.h"
#include "engine/spills.h"

#include <pthread.h>
#include <stdatomic.h>

/* One clean() at work; DuckDB's threads share it. */
struct duckdb_clean {
	const struct clean_model *model;
	struct raw_input *input;
	atomic_bool read;		/* `raw` was opened: it can be read once */
	atomic_uint_fast64_t rows;	/* that `raw` gave */
	atomic_bool failed;		/* the input did; `err` says how */
	pthread_mutex_t lock;		/* of `dead`, `unknown`, of input->dead() and of `err` */
	uint64_t dead;
	struct unknown_fields unknown;
	struct err err;
};

enum { ENGINE_DUCKDB_STATS_MAX = 1 << 20 };

/* What SQL may say; see "What SQL may do" in engine.h. */
enum duckdb_sql { DUCKDB_SQL_CLEAN, DUCKDB_SQL_ANALYSIS, DUCKDB_SQL_FREE };

/* A table that is attached. Its views are made when a statement first names them: the one of all
 * rows reads every footer, the one of current rows every key, and most statements name one. */
struct duckdb_table {
	char *name;
	struct engine_table its;
	uint64_t turn;			/* the names of its files (duck_put_file()) */
	bool viewed_all;		/* the view of all rows was made, … */
	bool viewed;			/* … that of current ones … */
	bool viewed_live;		/* … and that with the tail */
	char *no_live;
	char **names; /* of its files, or NULL */
	char *kept;   /* engine_duckdb_kept.h; or NULL */
	bool keeps;
	bool *absent;			/* by column of the schema: no file has it */
	char *broken;			/* why it cannot be read, or NULL */
};

struct engine_duckdb {
	struct engine base;
	struct duck duck;		/* opened by `opener`; engine_duckdb_ready() waits for it */
	struct duckdb_opener *opener;	/* NULL: it has done, … */
	struct err why;			/* … and this is how it ended */
	atomic_bool open;
	struct spills spills;
	int threads;
	struct duckdb_table *tables;
	size_t table_count;
	char **checked;			/* the SQL of clean models that was found to be allowed */
	size_t checked_count;
	struct duckdb_clean *clean;	/* NULL: none at work */
	atomic_size_t part_count;	/* of its input; 0: none at work, or it has none */
	atomic_size_t next_part;
	atomic_uint_fast64_t unreadable;
};

/* Before anything that needs `duck`; engine_duckdb_allow() asks it. */
MUST_USE enum err_code engine_duckdb_ready(struct engine_duckdb *engine, struct err *err);
MUST_USE enum err_code engine_duckdb_add_raw(struct engine_duckdb *engine, struct err *err);
MUST_USE enum err_code engine_duckdb_add_functions(struct engine_duckdb *engine, struct err *err);

/* One clean(), of which `clean` is the state: between the two SQL may read raw_records(). */
void engine_duckdb_begin(struct engine_duckdb *engine, struct duckdb_clean *clean,
			 const struct clean_model *model, struct raw_input *input);
void engine_duckdb_end(struct engine_duckdb *engine, struct duckdb_clean *clean);

/* Parquet files that were made elsewhere, in the order of their rows; columns c0, c1, … */
struct duckdb_parts {
	const struct store_fetched *files;
	size_t count;
	uint64_t turn; /* of duck_turn() */
};

void engine_duckdb_put_parts(struct buf *sql, const struct duckdb_parts *parts);
/* The records of `input` that are rows into the new Parquet file `path`, as `raw` has them, all
 * text. No row: no file. The result lacks `bytes` and `stats`. */
MUST_USE enum err_code engine_duckdb_spool(struct engine_duckdb *engine,
					   const struct clean_model *model, struct raw_input *input,
					   const char *path, struct clean_result *ret_result,
					   struct err *err);
/* What the model's SQL made of that into the new file `path`; adds what the result lacks. ERR_IO:
 * there are not as many rows. */
MUST_USE enum err_code engine_duckdb_take_clean(struct engine_duckdb *engine,
						const struct clean_model *model,
						const struct duckdb_parts *parts, const char *path,
						struct clean_result *result, struct err *err);
/* Rows of an answer, whose columns are called `names`, also into the new file `parquet` (NULL:
 * not). */
MUST_USE enum err_code engine_duckdb_take_answer(struct engine_duckdb *engine,
						 const struct duckdb_parts *parts,
						 const struct slice *names, size_t name_count,
						 const char *parquet, struct answer *ret_answer,
						 struct err *err);

/* Of a row of engine_duckdb_put_files(): its number, and what is the highest for the latest. */
#define ENGINE_DUCKDB_ROW "((CAST(file_index AS BIGINT) << 40) + file_row_number)"
#define ENGINE_DUCKDB_ORDER "_offset || ' ' || _partition"
/* " FROM …" of the table's files from that one on. */
void engine_duckdb_put_files(struct buf *sql, const struct duckdb_table *table, size_t from,
			     size_t to);

const char *engine_duckdb_type(enum delta_type type);
/* CAST("ind" AS INTEGER) AS "ind", … */
void engine_duckdb_put_casts(struct buf *sql, const struct delta_schema *schema);
int engine_duckdb_count_lines(const struct buf *sql);
enum err_code engine_duckdb_attach(struct engine *base, struct engine_table *tables, size_t count,
				   struct err *err);
void engine_duckdb_detach(struct engine_duckdb *engine);
/* A message of DuckDB has a file by the name that it was told; put its path there instead. */
void engine_duckdb_name_files(const struct engine_duckdb *engine, struct err *err);
/* Makes the table's view of all rows, with `current` also that of current ones, unless that was
 * done. What is wrong with this table alone is in its `broken`; an error is one of them all. */
MUST_USE enum err_code engine_duckdb_view(struct engine_duckdb *engine, struct duckdb_table *table,
					  bool current, struct err *err);
/* The same of its live view. */
MUST_USE enum err_code engine_duckdb_view_live(struct engine_duckdb *engine,
					       struct duckdb_table *table, struct err *err);
MUST_USE enum err_code engine_duckdb_view_all(struct engine_duckdb *engine, struct err *err);
enum err_code engine_duckdb_ask(struct engine *base, const struct model *question,
				const char *parquet, struct answer *ret_answer, struct err *err);
enum err_code engine_duckdb_query(struct engine *base, const struct model *question,
				  struct answer *ret_answer, struct err *err);
/* ERR_OK: the SQL is of that kind and names nothing else. Of an analysis and free SQL also what
 * DuckDB finds wrong with it, where that comes first. */
MUST_USE enum err_code engine_duckdb_allow(struct engine_duckdb *engine, const struct model *model,
					   enum duckdb_sql kind, struct err *err);
enum err_code engine_duckdb_check_clean(struct engine *base, const struct clean_model *model,
					struct err *err);
enum err_code engine_duckdb_check_analysis(struct engine *base, const struct models *models,
					   const struct analysis_model *analysis, struct err *err);
/* Put file and line of a model's SQL, which began `before` lines
 * into the statement, on its error. */
enum err_code engine_duckdb_blame(struct engine_duckdb *engine, const struct model *model,
				  int before, struct err *err);
/* The same of a statement that could not be prepared. */
enum err_code engine_duckdb_blame_prepare(struct engine_duckdb *engine,
					  duckdb_prepared_statement statement,
					  const struct model *model, int before, struct err *err);

#endif
