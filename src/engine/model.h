/*
 * model.h - the SQL files that a user edits, with the header that each begins
 * with:
 *
 *	-- title: Pins
 *	-- key: index AS ind            (clean, optional: the field that a record must have,
 *	                                 and the column that it becomes)
 *	-- fields: index "US Gross" AS us_gross …
 *	                                (clean: the JSON fields that `raw` has, by what names)
 *	-- columns: ind int, …          (clean: the table's columns and Delta types)
 *	-- topic: {id}.clicks           (clean, optional: other names of its topic and its
 *	-- stream: streaming-{id}-clicks stream; several models may share one)
 *	-- description: …               (analyses)
 *	-- chart: bar                   (analyses: bar, line or none)
 *
 * One "-- word: value" a line; a value goes on in lines that begin with "--" and
 * two blanks or more. The SQL is all that follows, one SELECT. A file's name
 * (letters, digits, "_", "-") is the model's name. docs/models.md tells a user
 * what the SQL may rest on.
 *
 * models_load() reads a directory once; a file with a broken header is an
 * error that names it and its line, the first one of all. Ownership: models_free() ends everything.
 */
#ifndef ENGINE_MODEL_H
#define ENGINE_MODEL_H

#include "base/buf.h"
#include "base/err.h"
#include "delta/delta.h"

/* What every kind of model has. */
struct model {
	const char *name;		/* "clicks", from the file's name */
	const char *file;		/* its path, for messages */
	const char *title;
	const char *sql;		/* without header and closing semicolon */
	int line;			/* of the file, where `sql` begins */
};

/* A field that belongs to another table: it tells a record that went to the wrong topic. */
struct model_foreign {
	const char *field;
	const char *table;
};

/* A field of the records, and the column of `raw` that it is. */
struct clean_field {
	const char *name;
	const char *alias;
};

/* The models whose records come by one topic or one stream, in order of name. */
struct clean_shared {
	const struct clean_model *const *models;
	size_t count;
};

struct clean_model {
	struct model model;
	const char *topic; /* patterns: "{id}" in them is the user id */
	const char *stream;
	const char *key;   /* the field's name; NULL: none, every record is a row of its own */
	size_t key_field;  /* of `fields` */
	size_t key_column; /* of `schema`: int, long or string; it says how the key is read */
	const struct clean_field *fields;
	size_t field_count;
	const struct model_foreign *foreign;	/* none of `fields`, no table's key */
	size_t foreign_count;
	struct delta_schema schema;	/* with _partition and _offset at the end */
	struct clean_shared topic_shared; /* who reads this topic, this model among them */
	struct clean_shared stream_shared;
};

enum chart { CHART_NONE, CHART_BAR, CHART_LINE };

struct analysis_model {
	struct model model;
	const char *description;
	enum chart chart;
};

enum model_kind { MODEL_CLEAN, MODEL_ANALYSIS };

/* One that is left out, and harms no other. */
struct broken_model {
	enum model_kind kind;
	const char *name;
	const char *file;
	const char *fault; /* the first one: "FILE:LINE: what" */
	const char *topic; /* of a table, as far as it can be read; else NULL */
	const char *stream;
	struct clean_model table; /* of a table: its name and file, without a column */
};

struct models {
	struct clean_model *clean;	/* in order of name */
	size_t clean_count;
	struct analysis_model *analyses;
	size_t analysis_count;
	struct broken_model *broken;
	size_t broken_count;
	struct arena *memory;
};

/* Who wants to hear of every fault. */
struct model_faults {
	void (*tell)(void *user, const char *fault);	/* "FILE:LINE: what" */
	void *user;
	size_t count;
};

/* `dir` holds clean/ and analyses/. A file with faults is told, each fault of it, and left out (it
 * is among the broken ones), and so is a table that shares its topic or stream with such a one; an
 * error is that the directory could not be read. With `faults` NULL the first fault is one. */
MUST_USE enum err_code models_load_sound(const char *dir, struct model_faults *faults,
					 struct models *ret_models, struct err *err);

MUST_USE static inline enum err_code models_load(const char *dir, struct models *ret_models,
						 struct err *err)
{
	return models_load_sound(dir, NULL, ret_models, err);
}

void models_free(struct models *models);
/* NULL: there is none of that name. */
const struct clean_model *models_clean(const struct models *models, const char *name);
/* What is wrong with the broken one of that name; NULL: there is none. */
const char *models_fault(const struct models *models, enum model_kind kind, const char *name);
/* How many are broken. */
size_t models_broken(const struct models *models, enum model_kind kind);
const struct analysis_model *models_analysis(const struct models *models, const char *name);

/* A pattern's name for an id, cleared into `out`: "{id}.clicks" is "124df56aef51.clicks". */
void clean_name(struct buf *out, const char *pattern, const char *id);

const char *chart_name(enum chart chart);
/* As a header says it: "int", "array<double>". */
const char *model_type_name(enum delta_type type);

#endif
