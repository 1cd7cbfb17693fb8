/*
 * lake_clean.h - objects of the lake, as one input, cleaned into one file.
 *
 * Threads: the caller's one, and the engine's.
 */
#ifndef FLOW_LAKE_CLEAN_H
#define FLOW_LAKE_CLEAN_H

#include "flow/lake_input.h"

struct lake_cleaning {
	struct lake_input *input;
	struct engine *engine;
	const struct clean_model *model;
	const char *path; /* of the file that is made */
};

/*
 * Until each offset is there once: what an object lacks, or has twice, shows when it was read; the
 * input is as after lake_input_end(). A record that makes the SQL fail is found by halving
 * (poison.h), and is a dead letter. Without an object nothing is done. On failure there may be a
 * result all the same: the caller releases it.
 */
MUST_USE enum err_code lake_clean(const struct lake_cleaning *cleaning,
				  struct clean_result *ret_result, struct err *err);

#endif
