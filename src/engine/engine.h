/*
 * engine.h - runs the SQL models: raw records in, clean Parquet out; clean
 * tables in, answers out.
 *
 * Backends
 *	engine_duckdb.c	DuckDB in this process, with a memory limit
 *
 * A clean model (models/clean/<table>.sql) is one SELECT over the view `raw`,
 * whose columns are the fields that the model's header names, each as text
 * (raw.h), and `_partition` and `_offset`. It makes one row of every record. An
 * analysis (models/analyses/<name>.sql) is one SELECT over the views that the clean
 * models give: <table>, its current rows, one a key, and <table>_all. docs/models.md has the
 *functions that the engine provides where SQL dialects differ.
 *
 * An engine is made once and used for many runs; each costs what its rows cost.
 * Errors of a model name its file and line. Codes: ERR_USAGE the model is
 * wrong, ERR_SHAPE some value made its SQL fail, ERR_LIMIT memory, ERR_SPACE,
 * ERR_IO, and whatever a raw_input gave.
 * Threads: one thread an engine (which starts its own).
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "engine/answer.h"
#include "engine/model.h"
#include "engine/unknown.h"

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

/* A set of Parquet files: the views <name> (current rows, without lineage) and <name>_all (every
 * row, with _partition and _offset). */
struct engine_table {
	const char *const *paths;
	size_t path_count;		/* 0: an empty table */
	const struct clean_model *model;
};

struct engine;

struct engine_ops {
	const char *name;
	/* Clean all of `input` into the Parquet file `path` (a local one, made). No row: no file,
	 * rows 0. On failure there is no file, and no result to release. */
	enum err_code (*clean)(struct engine *engine, const struct clean_model *model,
			       struct raw_input *input, const char *path,
			       struct clean_result *ret_result, struct err *err);
	/* Give the views of the following asks their tables, in place of those before. */
	enum err_code (*attach)(struct engine *engine, const struct engine_table *tables,
				size_t count, struct err *err);
	/* Run one analysis or free SQL (a `struct model` made for it). `parquet`: also write the
	 * answer to this new local file, or NULL. The caller releases *ret_answer. */
	enum err_code (*ask)(struct engine *engine, const struct model *question,
			     const char *parquet, struct answer *ret_answer, struct err *err);
	void (*free)(struct engine *engine);
};

/* The first member of every backend's struct. */
struct engine {
	const struct engine_ops *ops;
};

MUST_USE static inline enum err_code
engine_clean(struct engine *engine, const struct clean_model *model, struct raw_input *input,
	     const char *path, struct clean_result *ret_result, struct err *err)
{
	return engine->ops->clean(engine, model, input, path, ret_result, err);
}

MUST_USE static inline enum err_code
engine_attach(struct engine *engine, const struct engine_table *tables, size_t count,
	      struct err *err)
{
	return engine->ops->attach(engine, tables, count, err);
}

MUST_USE static inline enum err_code
engine_ask(struct engine *engine, const struct model *question, const char *parquet,
	   struct answer *ret_answer, struct err *err)
{
	return engine->ops->ask(engine, question, parquet, ret_answer, err);
}

/* Accepts NULL. */
static inline void engine_free(struct engine *engine)
{
	if (engine)
		engine->ops->free(engine);
}

struct engine_options {
	uint64_t memory_bytes_max;
	int threads;			/* 0: as many as the machine has */
	const char *temp_dir;		/* spills go below it, each process apart; or NULL: none */
};

MUST_USE enum err_code engine_duckdb_new(const struct engine_options *options,
					 struct engine **ret_engine, struct err *err);

#endif
