/*
 * setup_live.h - which tables a question is asked of (--from), and what it needs to see
 * beyond them. Only sql_side.c includes it.
 */
#ifndef CMD_SETUP_LIVE_H
#define CMD_SETUP_LIVE_H

#include "cmd/sql_side.h"

struct asked {
	enum topic_kind kind;
	bool either; /* or of the other path, where no table is there */
};

/* ERR_USAGE: of no one path's. ERR_UNSUPPORTED: the engine has no live views. */
MUST_USE enum err_code setup_asked(const struct config *config, struct asked *ret_asked,
				   struct err *err);
/*
 * The side's `live`, where --from or the question (NULL: an analysis) names a live view. Where it
 * is not said which tables are asked, they are those of the path that has rows, of both the batch
 * path's, with what a log that is here has beyond them.
 */
MUST_USE enum err_code setup_live(const struct config *config, const char *question,
				  struct sql_side *side, struct asked *asked, struct err *err);

#endif
