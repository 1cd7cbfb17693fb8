/*
 * model.h - the SQL files that a user edits, with the header that each begins
 * with:
 *
 *	-- title: Pins
 *	-- key: index                   (clean: the field that must hold an integer)
 *	-- fields: index unique_id …    (clean: the JSON fields that `raw` has)
 *	-- columns: ind int, …          (clean: the table's columns and Delta types)
 *	-- description: …               (analyses)
 *	-- chart: bar                   (analyses: bar, line or none)
 *
 * One "-- word: value" a line; a value goes on in lines that begin with "--" and
 * two blanks or more. The SQL is all that follows, one SELECT. A file's name
 * (letters, digits, "_", "-") is the model's name. docs/models.md tells a user
 * what the SQL may rest on.
 *
 * models_load() reads a directory once; a file with a broken header is an
 * error that names it and its line. Ownership: models_free() ends everything.
 */
#ifndef ENGINE_MODEL_H
#define ENGINE_MODEL_H

#include "base/err.h"
#include "delta/delta.h"

/* What every kind of model has. */
struct model {
	const char *name;		/* "pin", from the file's name */
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

struct clean_model {
	struct model model;
	const char *key;
	const char *const *fields;
	size_t field_count;
	const struct model_foreign *foreign;	/* none of `fields`, no table's key */
	size_t foreign_count;
	struct delta_schema schema;	/* with _partition and _offset at the end */
};

enum chart { CHART_NONE, CHART_BAR, CHART_LINE };

struct analysis_model {
	struct model model;
	const char *description;
	enum chart chart;
};

struct models {
	struct clean_model *clean;	/* in order of name */
	size_t clean_count;
	struct analysis_model *analyses;
	size_t analysis_count;
	struct arena *memory;
};

/* `dir` holds clean/ and analyses/. */
MUST_USE enum err_code models_load(const char *dir, struct models *ret_models, struct err *err);
void models_free(struct models *models);
/* NULL: there is none of that name. */
const struct clean_model *models_clean(const struct models *models, const char *name);
const struct analysis_model *models_analysis(const struct models *models, const char *name);

const char *chart_name(enum chart chart);

#endif
