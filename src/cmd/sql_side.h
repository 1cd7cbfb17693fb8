/*
 * sql_side.h - what a command that asks or cleans works with: the models, the lake, the
 * engine, and the tables attached to it.
 *
 * Ownership: the side owns all of it, until sql_side_close().
 */
#ifndef CMD_SQL_SIDE_H
#define CMD_SQL_SIDE_H

#include "base/config.h"
#include "cmd/interrupt.h"
#include "engine/engine.h"
#include "flow/live.h"
#include "flow/results.h"
#include "store/store.h"

#include <limits.h>

struct sql_side {
	struct models models; /* of the broken ones the user tells */
	struct store *store;
	struct engine *engine;
	struct results_options results; /* of the three above */
	char temp_dir[PATH_MAX];
	char lake_url[PATH_MAX];    /* of `results` */
	struct interrupt interrupt; /* of sql_side_attach(), … */
	struct sql_at at;	    /* … as is its question, in which versions are views */
	struct live live;	    /* … with its broker, where a live view may be named */
};

/* To clean what is there. On failure there is nothing to release. */
MUST_USE enum err_code sql_side_open(const struct config *config, struct sql_side *side,
				     struct err *err);
/* The same without an engine, which may not be needed; … */
MUST_USE enum err_code sql_side_look(const struct config *config, struct sql_side *side,
				     struct err *err);
/* … and with it from now on. On failure nothing of the side is released. */
MUST_USE enum err_code sql_side_start(const struct config *config, struct sql_side *side,
				      struct err *err);
void sql_side_close(struct sql_side *side);
/* The same for who only reads, with the tables of --from attached, for one question or for any
 * (NULL; see results_attach()). From then on a stop ends what the engine does with ERR_STOPPED. */
MUST_USE enum err_code sql_side_attach(const struct config *config, const char *question,
				       struct sql_side *side, struct err *err);

#endif
