/*
 * model.h - the SQL files that a user edits, with the header that each begins
 * with:
 *
 *	-- title: Pins
 *	-- key: index                   (clean models: the field that must be an integer)
 *	-- fields: index unique_id …    (clean models: the JSON fields that the view `raw` has)
 *	-- columns: ind int, …          (clean models: the table's columns and Delta types)
 *	-- description: …               (analyses; may go on in further "--" lines)
 *	-- chart: bar | line | none     (analyses)
 *
 * models_load() reads a directory once; a file with a broken header is an
 * error that names it and its line. Ownership: models_free().
 */
#ifndef ENGINE_MODEL_H
#define ENGINE_MODEL_H

#include "base/err.h"
#include "delta/delta.h"

struct clean_model {
	const char *name;		/* "pin", from the file's name */
	const char *file;		/* its path, for messages */
	const char *title;
	const char *sql;
	const char *key;
	const char *const *fields;
	size_t field_count;
	struct delta_schema schema;	/* with _partition and _offset at the end */
};

struct analysis_model {
	const char *name;
	const char *file;
	const char *title;
	const char *description;
	const char *chart;
	const char *sql;
};

struct models {
	struct clean_model *clean;	/* in order of name */
	size_t clean_count;
	struct analysis_model *analyses;
	size_t analysis_count;
	void *memory;
};

/* `dir` holds clean/ and analyses/. */
MUST_USE enum err_code models_load(const char *dir, struct models *ret_models, struct err *err);
void models_free(struct models *models);
const struct clean_model *models_clean(const struct models *models, const char *name);

#endif
