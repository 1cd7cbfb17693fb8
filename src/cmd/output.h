/*
 * output.h - rows for a person or a program: --format table, json or csv.
 *
 * table	as table.h has it
 * json		an array of objects, one row a line
 * csv		RFC 4180 with a header line; null is empty, "" is empty text
 */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include "base/config.h"
#include "engine/engine.h"

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV, OUTPUT_PARQUET };
/* --format; auto is a table on a terminal, else JSON. Parquet is for who asks the engine for it,
 * and nothing that is put here. */
enum output_format output_format(const struct config *config);

/* A null of a question's answer is NULL, and its rows are counted; a list of this program's own
 * shows "-" where there is nothing to say, and cuts no name and no reason. */
enum output_of { OUTPUT_OF_QUESTION, OUTPUT_OF_LIST };

void output_put(struct buf *out, const struct answer *answer, enum output_of of,
		enum output_format format);
/* output_put() to stdout as --format says. */
MUST_USE enum err_code output_print(const struct config *config, const struct answer *answer,
				    enum output_of of, struct err *err);

/* A list, of which a terminal that is too narrow for it does without the columns of `spare`
 * (table.h). */
MUST_USE enum err_code output_print_list(const struct config *config, const struct answer *answer,
					 uint64_t spare, struct err *err);

static inline struct cell cell_text(const char *text)
{
	return (struct cell){ .type = text ? CELL_TEXT : CELL_NULL,
			      .text = text ? slice_str(text) : slice_of(NULL, 0) };
}

static inline struct cell cell_int(int64_t value)
{
	return (struct cell){ .type = CELL_INT, .i = value };
}

#endif
