/*
 * sql_split.h - where one SQL statement of a text ends and the next begins: at a
 * semicolon that is not in quotes, nor in a comment.
 *
 * What is found here is no more than a piece of text: whether it is one statement,
 * and one that may run, DuckDB's own parser tells (engine_duckdb_check.c).
 */
#ifndef CMD_SQL_SPLIT_H
#define CMD_SQL_SPLIT_H

#include "base/buf.h"
#include "base/slice.h"

struct sql_piece {
	struct slice sql; /* without its semicolon */
	int line;	  /* of its first byte, from 1 */
	bool ended;	  /* by a semicolon, else by the end of the text */
};

/* The next piece that holds more than blanks and comments, from *at on. False: there is none. */
bool sql_split_next(struct slice text, size_t *at, struct sql_piece *ret_piece);
/* The text in one line: without comments to a line's end, which would take in what follows. */
void sql_put_line(struct slice text, struct buf *out);

#endif
