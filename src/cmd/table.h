/*
 * table.h - an answer as a table for a person, as wide as the terminal.
 *
 *	country  category        category_count
 *	───────  ──────────────  ──────────────
 *	Albania  event-planning               7
 *	(1 row)
 *
 * Numbers stand to the right. Cells that do not fit are cut, and end in "…", the widest first; or,
 * where the look is `whole`, go on in the next line, and no word of them is broken: it may be a
 * name that is to be copied. Of so many columns that each would have less than TABLE_CELL_MIN, or
 * than its longest word, every row becomes a block of lines, one a column, with nothing cut:
 *
 *	── row 1 ──────
 *	country         Albania
 *	category_count  7
 *
 * Control characters are shown as \xNN, so that data cannot drive the terminal.
 */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include "engine/answer.h"

enum {
	TABLE_CELL_MIN = 10, /* columns of the terminal, of a cell that is cut */
	TABLE_CELL_MAX = 60, /* of one where the width is not known */
};

enum { TABLE_SPARE_MAX = 64 };
#define TABLE_SPARE(column) (UINT64_C(1) << (column))

struct table_look {
	size_t width;	  /* columns of the terminal; 0: any */
	const char *null; /* what stands for a null */
	bool counts;	  /* a line below says how many rows there are */
	bool whole;	  /* nothing is cut, … */
	uint64_t spare;	  /* … and these columns are left out sooner than that each row becomes a
			     block; so are those with nothing in them: bits by TABLE_SPARE() */
};

void table_put(struct buf *out, const struct answer *answer, const struct table_look *look);
/* A text that begins in column `indent` of a terminal, and what its line has no room for below
 * itself; no word is broken. As one line where `width` is 0, or leaves it less than a cell. */
void table_put_text(struct buf *out, struct slice text, size_t indent, size_t width);

#endif
