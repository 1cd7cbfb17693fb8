/*
 * children.h - what `run` and `up` share: their child processes see the same
 * configuration, and know whether an `up` is their parent.
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
/* From now on those of this process know that they are a part of an `up`. */
MUST_USE enum err_code children_begin_up(struct err *err);
/* Whether this process is a child of an `up`, and that is still there. */
bool children_has_up(void);

#endif
