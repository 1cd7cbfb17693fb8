/*
 * answer.h - the rows that an analysis gives, and their texts: a table for a
 * terminal, JSON, CSV.
 *
 * JSON	{"columns":["country",…],"rows":[["Albania",…],…]}; numbers with all their
 *	digits, lists and structs as arrays and objects
 * CSV	RFC 4180: a header line, CRLF, quotes where needed; null is empty, an empty
 *	text is ""
 *
 * Ownership: answer_release() frees all of it.
 */
#ifndef ENGINE_ANSWER_H
#define ENGINE_ANSWER_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdint.h>

enum cell_type {
	CELL_NULL,
	CELL_BOOL,
	CELL_INT,
	CELL_DOUBLE,
	CELL_NUMBER,			/* with more digits than those have, in `text` */
	CELL_TEXT,
	CELL_JSON,			/* a list, struct, map or JSON: `text` is its JSON */
};

struct cell {
	enum cell_type type;
	int64_t i;			/* CELL_INT; CELL_BOOL: 0 or 1 */
	double d;
	struct slice text;
};

/* Cells row by row. */
struct answer {
	size_t column_count;
	size_t row_count;
	const char **columns;
	struct cell *cells;
	struct arena *memory;		/* what all of it stands in */
};

void answer_release(struct answer *answer);
static inline const struct cell *answer_cell(const struct answer *answer, size_t row, size_t column)
{
	return &answer->cells[row * answer->column_count + column];
}

/* One cell as JSON. */
void answer_put_cell(struct buf *out, const struct cell *cell);
/* Only the members, without braces, for an object that has more. */
void answer_put_members(struct buf *out, const struct answer *answer);
void answer_put_json(struct buf *out, const struct answer *answer);
void answer_put_csv(struct buf *out, const struct answer *answer);

#endif
