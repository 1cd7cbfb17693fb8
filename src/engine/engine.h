/*
 * engine.h - runs the SQL models: raw records in, clean Parquet out; clean
 * tables in, answers out.
 *
 * Backends
 *	engine_duckdb.c	DuckDB in this process, with a memory limit
 *	engine_spark.c	the user's Spark runs the SQL; reading and writing stay here
 *
 * A clean model (models/clean/<table>.sql) is one SELECT over the view `raw`,
 * whose columns are the fields that the model's header names, each as text
 * (raw.h), and `_partition` and `_offset`. It makes one row of every record. An
 * analysis (models/analyses/<name>.sql) is one SELECT over the views that the
 * clean models give: <table>, its current rows, one a key, <table>_all and
 * <table>_live.
 * docs/models.md has the functions that the engine provides where SQL dialects
 * differ.
 *
 * What SQL may do
 *	1. A clean model is one SELECT that reads `raw` and its own WITHs alone.
 *	2. An analysis is one SELECT over the views; free SQL (engine_query) may
 *	   also be DESCRIBE, SHOW TABLES, SUMMARIZE or EXPLAIN [ANALYZE] of one.
 *	3. No file, catalog, setting or environment is named; of table functions
 *	   only those that make rows out of their arguments (range, unnest, …).
 *	Anything else is ERR_USAGE before it runs. And whatever slipped through
 *	would find no file but below engine_options.dirs, and no extension.
 *
 * An engine is made once and used for many runs; each costs what its rows cost.
 * Errors of a model name its file and line. Codes: ERR_USAGE the model is
 * wrong, ERR_SHAPE some value made its SQL fail, ERR_LIMIT memory, ERR_SPACE,
 * ERR_IO, ERR_STOPPED after engine_interrupt(), ERR_UNSUPPORTED the question names
 * a broken table, and whatever a raw_input gave.
 * Threads: one thread an engine (which starts its own); engine_interrupt() and
 * engine_progress() any.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "engine/answer.h"
#include "engine/model.h"
#include "engine/unknown.h"
#include "store/store.h"

#include <stdint.h>

/* One raw record on its way into a clean table. */
struct raw_record {
	struct slice value;		/* null: a tombstone */
	struct slice partition;		/* text, as it goes into _partition */
	struct slice offset;		/* text, as it goes into _offset */
	struct slice key; /* its own, where it is known; of a shared stream it may tell
			     the table */
	const void *origin; /* whoever gave it knows it again by this; the engine does not
			       look at it */
};

/*
 * Where raw records come from, in parts that several threads may read at once
 * (an object of the lake; a run of the log). Each part is read once, by one
 * thread; a record lives until the next call with its part.
 */
struct raw_input {
	size_t part_count;
	const struct clean_shared *shared; /* who else reads these records; NULL: nobody */
	bool padded;			/* JSON_PADDING bytes after every value may be read */
	enum err_code (*open)(struct raw_input *input, size_t part, void **ret_part,
			      struct err *err);
	/* ERR_OK and *ret true: a record; false: the part ends. */
	enum err_code (*next)(void *part, struct raw_record *ret_record, bool *ret,
			      struct err *err);
	void (*close)(void *part);
	/* A record that is no row of this table; any thread, one at a time. */
	enum err_code (*dead)(struct raw_input *input, const struct raw_record *record,
			      const char *reason, struct err *err);
};

/* Records in memory as an input: see raw_list_init(). */
struct raw_list {
	struct raw_input input;		/* first */
	const struct raw_record *records;
	size_t count;
};

/* Borrows all it is given. The caller's struct may begin with
 * the list, to know itself in `dead`. */
void raw_list_init(struct raw_list *list, const struct raw_record *records, size_t count,
		   bool padded,
		   enum err_code (*dead)(struct raw_input *, const struct raw_record *,
					 const char *, struct err *));

struct clean_result {
	uint64_t rows;			/* written */
	uint64_t dead;
	uint64_t unreadable;		/* fields that became null because they could not be read */
	uint64_t bytes;			/* of the file */
	struct buf stats;		/* Delta's statistics, JSON text */
	struct unknown_fields unknown;	/* of the rows */
};

void clean_result_release(struct clean_result *result);

/*
 * A set of Parquet files, open: the views <name> (current rows, without lineage), <name>_all (every
 * row, with _partition and _offset) and <name>_live (all that, and what the log holds beyond the
 * table). A column that a file lacks is null in its rows. A table
 * that cannot be read, because `broken` says so or the files do, takes no other with it: what names
 * one of its views is refused with that reason.
 */
struct engine_table {
	struct store_fetched *files;	/* an array of malloc() */
	size_t file_count;		/* 0: an empty table */
	const char *const *urls;	/* in their place, for an engine that opens files itself */
	size_t url_count;
	/* Of `files`: their names, which say what is in them, and all of their rows; NULL: they are
	 * not known. */
	const char *const *names;
	size_t name_count;
	uint64_t rows;
	const char *kept; /* the file that keeps which rows are current; or NULL */
	bool keeps;	  /* and whether it is to be brought up, by nobody else */
	const struct clean_model *model;
	size_t tail_count;		/* of `files`, the last so many <name>_live alone has … */
	bool live;			/* … but where the other views are to have them, too */
	const char *no_live;		/* why nothing can be read of <name>_live; NULL: it can */
	const char *broken;		/* why it cannot be read; NULL: it can */
	bool unread;			/* nobody asked for its files: its views show their columns,
					   and who asks for a row is refused */
};

struct engine;

struct engine_ops {
	const char *name;
	/* Clean all of `input` into the Parquet file `path` (a local one, made). No row: no file,
	 * rows 0. On failure there is no file, and no result to release. */
	enum err_code (*clean)(struct engine *engine, const struct clean_model *model,
			       struct raw_input *input, const char *path,
			       struct clean_result *ret_result, struct err *err);
	/* Give the views of the following asks their tables, in place of those before. The models
	 * must outlive that; URLs only the call. The engine takes the files, whatever it returns,
	 * and has them until the next attach or free. */
	enum err_code (*attach)(struct engine *engine, struct engine_table *tables, size_t count,
				struct err *err);
	/* Run one analysis. `parquet`: also write the answer to this new local file, or NULL. The
	 * caller releases *ret_answer. */
	enum err_code (*ask)(struct engine *engine, const struct model *question,
			     const char *parquet, struct answer *ret_answer, struct err *err);
	/* Run free SQL (a `struct model` made for it). */
	enum err_code (*query)(struct engine *engine, const struct model *question,
			       struct answer *ret_answer, struct err *err);
	/* What is wrong with a clean model beside its fields and columns, without a record. */
	enum err_code (*check_clean)(struct engine *engine, const struct clean_model *model,
				     struct err *err);
	/* What is wrong with an analysis over empty tables of all clean models, which take the
	 * place of what was attached. */
	enum err_code (*check_analysis)(struct engine *engine, const struct models *models,
					const struct analysis_model *analysis, struct err *err);
	/* End the statement that is running, if one is, with ERR_STOPPED. Any thread. */
	void (*interrupt)(struct engine *engine);
	/* How much of what is running is done, from 0 to 1; below 0: nothing is, or it is not
	 * known. Any thread. */
	double (*progress)(struct engine *engine);
	void (*free)(struct engine *engine);
};

enum { ENGINE_HINT_MAX = 1000 };

/* The first member of every backend's struct. */
struct engine {
	const struct engine_ops *ops;
	/* After a failure of a question's SQL: more about it in lines of text for a person (the
	 * place, a name that may have been meant), or "". */
	char hint[ENGINE_HINT_MAX];
	/* Of a query's rows the caller wants so many; it gets one more at most where the engine can
	 * stop there, so that it can tell that there are more. 0: all. */
	size_t rows_wanted;
};

MUST_USE static inline enum err_code
engine_clean(struct engine *engine, const struct clean_model *model, struct raw_input *input,
	     const char *path, struct clean_result *ret_result, struct err *err)
{
	return engine->ops->clean(engine, model, input, path, ret_result, err);
}

MUST_USE static inline enum err_code
engine_attach(struct engine *engine, struct engine_table *tables, size_t count, struct err *err)
{
	return engine->ops->attach(engine, tables, count, err);
}

MUST_USE static inline enum err_code
engine_ask(struct engine *engine, const struct model *question, const char *parquet,
	   struct answer *ret_answer, struct err *err)
{
	return engine->ops->ask(engine, question, parquet, ret_answer, err);
}

MUST_USE static inline enum err_code
engine_query(struct engine *engine, const struct model *question, struct answer *ret_answer,
	     struct err *err)
{
	return engine->ops->query(engine, question, ret_answer, err);
}

MUST_USE static inline enum err_code
engine_check_clean(struct engine *engine, const struct clean_model *model, struct err *err)
{
	return engine->ops->check_clean(engine, model, err);
}

MUST_USE static inline enum err_code
engine_check_analysis(struct engine *engine, const struct models *models,
		      const struct analysis_model *analysis, struct err *err)
{
	return engine->ops->check_analysis(engine, models, analysis, err);
}

static inline void engine_interrupt(struct engine *engine) { engine->ops->interrupt(engine); }

static inline double engine_progress(struct engine *engine)
{
	return engine->ops->progress(engine);
}

/* Accepts NULL. */
static inline void engine_free(struct engine *engine)
{
	if (engine)
		engine->ops->free(engine);
}

/* Of engine_spark.c, for the call of engine_spark_new(). */
struct spark_options {
	const char *program;		      /* spark-submit */
	const char *script;		      /* spark/engine.py */
	const char *functions;		      /* the text of spark/functions.sql */
	const struct spark_setting *settings; /* spark_child.h */
	size_t setting_count;
	/* Where files are handed over: this directory; else this bucket, which the engine takes,
	 * whatever the call returns, by its URL as Spark has it; else temp_dir. */
	const char *exchange_dir;
	struct store *exchange;
	const char *exchange_url;
	int64_t start_ms;     /* to be ready */
	int64_t statement_ms; /* to answer; 0: no bound */
};

struct engine_options {
	uint64_t memory_bytes_max;
	int threads;			/* 0: as many as the machine has */
	bool progress;			/* engine_progress() is to know: a few % of the CPU */
	const char *temp_dir;		/* spills go below it, each process apart; or NULL: none */
	/* The files that it is told to read and write are below these, or below temp_dir. */
	const char *const *dirs;
	size_t dir_count;
	const struct spark_options *spark; /* for engine_spark_new() alone */
};

/* It opens meanwhile: what goes wrong with that, the first call that needs it tells. */
MUST_USE enum err_code engine_duckdb_new(const struct engine_options *options,
					 struct engine **ret_engine, struct err *err);
/* Its child starts meanwhile, in the same way. ERR_USAGE: there is no spark-submit; ERR_DENIED:
 * there is no place for the exchange of files. */
MUST_USE enum err_code engine_spark_new(const struct engine_options *options,
					struct engine **ret_engine, struct err *err);

#endif
