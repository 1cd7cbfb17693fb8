/*
 * sql_tree.h - what an SQL text is made of, as DuckDB's own parser tells: the
 * tables that it reads, the functions that it calls, the names of its WITHs.
 *
 * json_serialize_sql() takes SELECTs alone (DESCRIBE, SHOW and SUMMARIZE are
 * tables of a SELECT to it). Their tree comes as JSON and is looked through
 * here: to ask DuckDB for these parts of it takes five times as long.
 * Threads: that of the connection.
 */
#ifndef ENGINE_SQL_TREE_H
#define ENGINE_SQL_TREE_H

#include "base/arena.h"
#include "sql/duck.h"

struct sql_node {
	enum { SQL_CTE, SQL_TABLE, SQL_FUNCTION } what;
	const char *type;		/* of a table: BASE_TABLE, TABLE_FUNCTION, … */
	const char *name;		/* "": it has none */
	bool qualified;			/* schema.name */
	int64_t at;			/* byte of the SQL */
};

struct sql_tree {
	struct arena memory;		/* all that follows */
	struct sql_node *nodes;		/* of malloc(); outer ones before those within */
	size_t count;
	size_t statements;
	const char *error;		/* why there is no tree ("parser", "not implemented"), or NULL */
};

/* ERR_LIMIT: the text is too long or nests too deeply. To be released, whatever comes of it. */
MUST_USE enum err_code sql_tree_read(struct duck *duck, const char *sql, struct sql_tree *ret_tree,
				     struct err *err);
void sql_tree_release(struct sql_tree *tree);
/* A table of this name, in any case, is read. */
bool sql_tree_reads(const struct sql_tree *tree, const char *name);

#endif
