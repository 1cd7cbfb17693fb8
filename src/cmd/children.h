/*
 * children.h - what `run` and `up` share: their child processes see the same
 * configuration.
 */
#ifndef CMD_CHILDREN_H
#define CMD_CHILDREN_H

#include "base/config.h"
#include "flow/process.h"

/* What a batch of `up` has told in its last turn (base/told.h). */
#define CHILDREN_BATCH_TOLD "batch.told"

/*
 * What was given by flags goes into the environment, which children read before the file, and from
 * which they know the file; so only flags without a variable must be passed on.
 */
MUST_USE enum err_code children_inherit(const struct config *config, struct err *err);

#endif
