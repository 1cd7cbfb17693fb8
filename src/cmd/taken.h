/*
 * taken.h - which topics go into the lake, as sink.take and sink.topics say: all
 * of a log of our own; of a cluster, which others use, never more than was asked for.
 */
#ifndef CMD_TAKEN_H
#define CMD_TAKEN_H

#include "base/config.h"

#include <stddef.h>

struct taken {
	bool all;	    /* there are, and those that come */
	bool named_only;    /* only `names`, else those of the models besides */
	const char **names; /* or patterns */
	size_t count;
	char *text; /* of the names */
};

/* ERR_USAGE: one is no name and no pattern, or there are none where they alone are taken. */
MUST_USE enum err_code taken_init(struct taken *taken, const struct config *config,
				  struct err *err);
/* Of one that is zero, too. */
void taken_release(struct taken *taken);

#endif
