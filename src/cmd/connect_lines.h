/*
 * connect_lines.h - the lines to paste into another program, so that it reads a
 * table of the lake where it lies.
 *
 * Only names and addresses are in them, and never a key: each program finds those
 * as AWS's own tools do.
 */
#ifndef CMD_CONNECT_LINES_H
#define CMD_CONNECT_LINES_H

#include "base/buf.h"

#include <stdbool.h>

struct connect_place {
	const char *table;    /* its name, of letters, digits, _ and - */
	const char *location; /* an absolute path, or "s3://…" */
	bool bucket;	      /* it is the latter, … */
	const char *endpoint; /* … of what speaks as S3 does; "": AWS's own */
	const char *region;   /* or "" */
};

struct connect_tool {
	const char *name;
	const char *needs; /* what has to be there, and where the lines go */
	void (*put)(struct buf *out, const struct connect_place *place);
};

enum { CONNECT_TOOLS = 4 };
extern const struct connect_tool connect_tools[CONNECT_TOOLS];

#endif
