/*
 * sql_at.h - tables as they were, in an SQL text: clicks@v123 is the table at version 123,
 * clicks@2026-11-27T10:00 at that time (UTC unless it says where), clicks_all@… with all rows.
 *
 *	@v<digits>
 *	@<date>[T<clock>[<zone>]]	as read_timestamp() has it; in quotes a blank for T, too
 *
 * Name, @ and version stand without a blank between them, or as a whole in double quotes. The text
 * is cut into words as DuckDB does: nothing is found in '…', E'…', $tag$…$tag$, -- … or a nested
 * comment. Each name becomes that of a view, "clicks@v123" or "clicks@v123_all", which the engine
 * makes of a table whose model is called so.
 *
 * Ownership: what is read borrows the models, and ends with sql_at_release(). Threads: any.
 */
#ifndef ENGINE_SQL_AT_H
#define ENGINE_SQL_AT_H

#include "engine/model.h"

/* A name with an @ behind it. */
struct sql_at_name {
	size_t from, to; /* its bytes in the text, quotes included */
	bool quoted;
	struct slice name;    /* before the @ */
	struct slice version; /* behind it */
	struct delta_at at;   /* kind DELTA_AT_NEWEST: that is no version */
};

/* The next one from byte *at on, which is moved behind it. False: there is none. */
bool sql_at_next(struct slice sql, size_t *at, struct sql_at_name *ret);

/* A table as it was. */
struct sql_version {
	struct clean_model model; /* the table's, but with the view's name */
	size_t table;		  /* which of the models that is */
	struct delta_at at;
};

struct sql_at {
	struct buf sql;		  /* the text with the views' names */
	struct buf others;	  /* the text without them */
	struct sql_version *list; /* each once */
	size_t count;
};

/* ERR_USAGE: there is no such table, or what stands behind the @ of one is no version. To be
 * released, whatever comes of it. */
MUST_USE enum err_code sql_at_read(const char *sql, const struct models *models,
				   struct sql_at *ret_at, struct err *err);
void sql_at_release(struct sql_at *at); /* accepts a zeroed one */

#endif
