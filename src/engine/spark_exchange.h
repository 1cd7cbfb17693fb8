/*
 * spark_exchange.h - the place where an engine and Spark hand each other files:
 * a directory, or a prefix of a bucket, that every executor reaches.
 *
 *	<place>/spark-<process id>-<n>/clean-1.parquet	raw rows, for Spark
 *	<place>/spark-<process id>-<n>/clean-1/part-….parquet	what it made of them
 *
 * Each engine has a directory (prefix) of its own, which goes with it; of one that was
 * killed a directory is removed by the next (spills.h), a prefix of a bucket once it is a
 * day old.
 *
 * Threads: one thread an exchange.
 */
#ifndef ENGINE_SPARK_EXCHANGE_H
#define ENGINE_SPARK_EXCHANGE_H

#include "base/err.h"
#include "engine/engine.h"
#include "engine/spills.h"
#include "store/store.h"

#include <limits.h>

enum { SPARK_URL_MAX = PATH_MAX + 64, SPARK_PREFIX_MAX = 64 };

struct spark_exchange {
	struct spills spills;	       /* of a directory: ours */
	struct store *store;	       /* that directory, or the bucket */
	char prefix[SPARK_PREFIX_MAX]; /* of keys: "", or "spark-…/" */
	char url[SPARK_URL_MAX];       /* of it, as Spark has it, without a / at its end */
	char temp_dir[PATH_MAX];       /* where what is put is made */
};

/* `options`: those of engine_spark_new(). Without a place for it only questions that need none can
 * be asked. On failure there is nothing to close. */
MUST_USE enum err_code spark_exchange_open(struct spark_exchange *exchange,
					   const struct engine_options *options, struct err *err);
void spark_exchange_close(struct spark_exchange *exchange); /* of a zeroed one: nothing */

/* The local path at which a file of this name is to be made, for spark_exchange_put(). */
MUST_USE enum err_code spark_exchange_path(const struct spark_exchange *exchange, const char *name,
					   char ret_path[PATH_MAX], struct err *err);
/* It was made, and Spark may read it. */
MUST_USE enum err_code spark_exchange_put(struct spark_exchange *exchange, const char *name,
					  struct err *err);
/* The files that Spark wrote below `name`, in the order of their rows. The caller releases them
 * (store_fetched_release_all()) and frees the list. */
MUST_USE enum err_code spark_exchange_fetch(struct spark_exchange *exchange, const char *name,
					    struct store_fetched **ret_files, size_t *ret_count,
					    struct err *err);
/* The file of this name and all below it; what cannot be removed goes with the exchange. */
void spark_exchange_drop(struct spark_exchange *exchange, const char *name);

#endif
