/*
 * source.h - the rows that the emulator posts: pin, geolocation and user.
 *
 * Backends
 *	source_generated.c	rows made up from a seed, any number of them
 *	source_files.c		those of pin.ndjson, geo.ndjson and user.ndjson that a
 *				directory has
 *	source_mysql.c		those of three tables of a MySQL database
 *
 * Contract (tests/contract/test_source.c)
 *	1. Row k is the same whenever it is asked for (rewindable).
 *	2. The rows of a post join on pin.index = geo.ind = user.ind = k.
 *	3. source_row() gives whole posts: a row of each table that the source has
 *	   (files may lack a table altogether: its slices are null).
 *	4. source_post_at(0 … source_posts() - 1) gives each row of each table once,
 *	   in the source's own order; of a post what there is, the rest null.
 *	5. Every call can fail: a source may be a service. An error names the
 *	   table, the row and, where it is one column's, the column.
 *	6. source_want() changes nothing but how long the calls for those rows
 *	   take. Of what is wanted, only the latest two are: so who asks for the
 *	   next before it uses the last never waits for a source that keeps up.
 *	7. source_ready() says whether a row that is wanted is at hand, be it that
 *	   it can only be told that it failed; one that is not wanted always is.
 *
 * Ownership: the slices of a post live until the next call.
 * Threads: one thread a source.
 */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

/* The tables of a post. */
enum source_table { SOURCE_PIN, SOURCE_GEO, SOURCE_USER, SOURCE_TABLES };
extern const char *const source_table_name[SOURCE_TABLES];	/* "pin", … */

/* Each a compact JSON object, keys in the order of the source table; or null: there is none. */
struct source_post {
	struct slice pin;
	struct slice geo;
	struct slice user;
};

/* By what rows are asked for: source_row() or source_post_at(). */
enum source_by { SOURCE_BY_KEY, SOURCE_BY_PLACE };

enum { SOURCE_WANT_MAX = 512 };

struct source;

struct source_ops {
	const char *name;
	/* Rows are 0 … count-1, though a source may lack some of them (ERR_ABSENT). */
	enum err_code (*count)(struct source *source, uint64_t *ret_count, struct err *err);
	/* These are asked for next, probably in this order. A source that is far away fetches them
	 * at once; one that has its rows at hand does nothing. */
	enum err_code (*want)(struct source *source, enum source_by by, const uint64_t *numbers,
			      size_t count, struct err *err);
	/* Waits for it, at most so long. */
	bool (*ready)(struct source *source, enum source_by by, uint64_t number, int64_t wait_ms);
	enum err_code (*row)(struct source *source, uint64_t k, struct source_post *ret_post,
			     struct err *err);
	/* Posts of the source's own order. */
	enum err_code (*posts)(struct source *source, uint64_t *ret_posts, struct err *err);
	/* *ret_k: what the post's rows join on. ERR_ABSENT past the last. */
	enum err_code (*post_at)(struct source *source, uint64_t n, uint64_t *ret_k,
				 struct source_post *ret_post, struct err *err);
	void (*free)(struct source *source);
};

struct source {
	const struct source_ops *ops;
};

MUST_USE static inline enum err_code source_count(struct source *source, uint64_t *ret_count,
						  struct err *err)
{
	return source->ops->count(source, ret_count, err);
}

/* At most SOURCE_WANT_MAX. */
MUST_USE enum err_code source_want(struct source *source, enum source_by by,
				   const uint64_t *numbers, size_t count, struct err *err);
/* For sources that have their rows at hand. */
enum err_code source_want_nothing(struct source *source, enum source_by by,
				  const uint64_t *numbers, size_t count, struct err *err);

bool source_always_ready(struct source *source, enum source_by by, uint64_t number,
			 int64_t wait_ms);

static inline bool source_ready(struct source *source, enum source_by by, uint64_t number,
				int64_t wait_ms)
{
	return source->ops->ready(source, by, number, wait_ms);
}

MUST_USE static inline enum err_code
source_row(struct source *source, uint64_t k, struct source_post *ret_post, struct err *err)
{
	return source->ops->row(source, k, ret_post, err);
}

MUST_USE static inline enum err_code source_posts(struct source *source, uint64_t *ret_posts,
						  struct err *err)
{
	return source->ops->posts(source, ret_posts, err);
}

MUST_USE static inline enum err_code source_post_at(struct source *source, uint64_t n,
						    uint64_t *ret_k, struct source_post *ret_post,
						    struct err *err)
{
	return source->ops->post_at(source, n, ret_k, ret_post, err);
}

static inline struct slice source_post_row(const struct source_post *post, enum source_table table)
{
	return table == SOURCE_PIN ? post->pin : table == SOURCE_GEO ? post->geo : post->user;
}

/* Accepts NULL. */
static inline void source_free(struct source *source)
{
	if (source)
		source->ops->free(source);
}

MUST_USE struct source *source_generated_new(uint64_t seed, uint64_t count);
/* At least one of the three files must be there. */
MUST_USE enum err_code source_files_new(const char *dir, struct source **ret_source,
					struct err *err);

struct mysql_options;
/* Connects, and looks at the tables. `memory_bytes_max`: what rows may take that have no key to be
 * found by, and the keys of the source's own order. The texts of the options are borrowed. */
MUST_USE enum err_code source_mysql_new(const struct mysql_options *options,
					uint64_t memory_bytes_max, struct source **ret_source,
					struct err *err);

#endif
