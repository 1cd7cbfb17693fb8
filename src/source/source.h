/*
 * source.h - the rows that the emulator posts: pin, geolocation and user.
 *
 * Backends
 *	source_generated.c	rows made up from a seed, any number of them
 *	source_files.c		pin.ndjson, geo.ndjson and user.ndjson of a directory
 *
 * Contract (tests/contract/test_source.c)
 *	1. Row k is the same whenever it is asked for (rewindable).
 *	2. The three rows of a post join on pin.index = geo.ind = user.ind = k.
 *	3. An error names the table, the row and, where it can, the column.
 *
 * Ownership: the slices of a post live until the next source_row().
 * Threads: one thread a source.
 */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

/* The tables of a post. */
enum source_table { SOURCE_PIN, SOURCE_GEO, SOURCE_USER, SOURCE_TABLES };
extern const char *const source_table_name[SOURCE_TABLES]; /* "pin", "geo", "user" */

/* Each a compact JSON object, keys in the order of the source table. */
struct source_post {
	struct slice pin;
	struct slice geo;
	struct slice user;
};

struct source;

struct source_ops {
	const char *name;
	/* Rows are 0 … count-1, though a source may lack some of them (ERR_ABSENT). */
	uint64_t (*count)(struct source *source);
	enum err_code (*row)(struct source *source, uint64_t k, struct source_post *ret_post,
			     struct err *err);
	void (*free)(struct source *source);
};

struct source {
	const struct source_ops *ops;
};

static inline uint64_t source_count(struct source *source)
{
	return source->ops->count(source);
}

MUST_USE static inline enum err_code
source_row(struct source *source, uint64_t k, struct source_post *ret_post, struct err *err)
{
	return source->ops->row(source, k, ret_post, err);
}

/* Accepts NULL. */
static inline void source_free(struct source *source)
{
	if (source)
		source->ops->free(source);
}

MUST_USE struct source *source_generated_new(uint64_t seed, uint64_t count);
MUST_USE enum err_code source_files_new(const char *dir, struct source **ret_source,
					struct err *err);

#endif
