/*
 * model_read.h - one file of the models, for who reads a directory of them
 * (models.c).
 */
#ifndef ENGINE_MODEL_READ_H
#define ENGINE_MODEL_READ_H

#include "base/arena.h"
#include "engine/model.h"

struct model_source {
	struct arena *memory;	     /* what is read stays in it */
	struct model_faults *faults; /* NULL: the first one is the error */
	const char *path;
	struct slice name; /* of the file, without ".sql" */
};

/*
 * `ret`: a struct clean_model or analysis_model, which lacks what the others of its directory say
 * of it. *ret_sound false: faults were told, *ret_broken says of which, and `ret` is none.
 */
MUST_USE enum err_code model_read(const struct model_source *source, enum model_kind kind,
				  void *ret, bool *ret_sound, struct broken_model *ret_broken,
				  struct err *err);

#endif
