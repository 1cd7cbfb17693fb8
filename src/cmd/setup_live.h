/*
 * setup_live.h - which tables a question is asked of (--from), and what it needs to see
 * beyond them. Only sql_side.c includes it.
 */
#ifndef CMD_SETUP_LIVE_H
#define CMD_SETUP_LIVE_H

#include "cmd/sql_side.h"

/* ERR_USAGE: of no one path's. ERR_UNSUPPORTED: the engine has no live views. */
MUST_USE enum err_code setup_asked_kind(const struct config *config, enum topic_kind *ret_kind,
					struct err *err);
/* The side's `live`, where --from or the question (NULL: an analysis) names a live view. A question
 * without one costs nothing more than before there were any. */
MUST_USE enum err_code setup_live(const struct config *config, const char *question,
				  struct sql_side *side, struct err *err);

#endif
