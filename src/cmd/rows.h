/*
 * rows.h - an answer that a command puts together row by row.
 *
 * Ownership: texts are copied. ROWS_MAX rows; with one more rows_print() prints
 * none, and gives ERR_LIMIT.
 */
#ifndef CMD_ROWS_H
#define CMD_ROWS_H

#include "base/arena.h"
#include "cmd/output.h"

enum { ROWS_MAX = 1000000 };

struct rows {
	struct answer answer;
	struct arena arena;
	size_t cap;
	bool full;			/* a row was refused */
	uint64_t spare;			/* columns that a narrow terminal does without (table.h) */
};

/* `columns` is borrowed. */
void rows_init(struct rows *rows, const char **columns, size_t column_count);
void rows_release(struct rows *rows);
/* The cells of a new row, all null; good until the next one. NULL: there are ROWS_MAX, the caller
 * may as well end. */
struct cell *rows_add(struct rows *rows);
struct cell rows_text(struct rows *rows, struct slice text);
MUST_USE enum err_code rows_print(const struct rows *rows, const struct config *config,
				  struct err *err);

#endif
