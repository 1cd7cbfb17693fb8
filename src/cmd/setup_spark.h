/*
 * setup_spark.h - from the configuration to what engine_spark.c is told. Only setup.c
 * and its like include it.
 */
#ifndef CMD_SETUP_SPARK_H
#define CMD_SETUP_SPARK_H

#include "base/arena.h"
#include "base/config.h"
#include "engine/engine.h"
#include "net/aws_credentials.h"

#include <limits.h>

struct setup_spark {
	struct spark_options options;
	struct arena memory; /* that what they point at is in */
};

/* ERR_USAGE: a setting is not to be had, or a file of the installation is not there. On failure
 * there is nothing to release. */
MUST_USE enum err_code setup_spark_init(struct setup_spark *spark, const struct config *config,
					struct err *err);
void setup_spark_release(struct setup_spark *spark); /* accepts a zeroed one */

bool setup_is_spark(const struct config *config);
/* Where Spark finds the lake: "file:///…", "s3a://bucket/prefix"; or "": it is not to be found. */
void setup_spark_lake(const struct config *config, char ret_url[PATH_MAX]);
/* Of the configuration, else as AWS's own tools find it; "": AWS's own. Appended to `ret_url`. */
MUST_USE enum err_code setup_s3_endpoint(const struct config *config, struct buf *ret_url,
					 struct err *err);
MUST_USE enum err_code setup_s3_region(const struct config *config,
				       char ret_region[AWS_REGION_MAX + 1], struct err *err);

#endif
