/*
 * table_files.h - the data files of a Delta table, open, as its log names them.
 */
#ifndef FLOW_TABLE_FILES_H
#define FLOW_TABLE_FILES_H

#include "delta/delta.h"
#include "store/store.h"

struct table_files {
	struct store_fetched *list; /* of malloc() */
	size_t count;
};

/* All of them, or none. ERR_ABSENT: one is not there, or a symbolic link is on the way to it. */
MUST_USE enum err_code table_files_open(struct store *store, const char *root,
					const struct delta_table *table,
					struct table_files *ret_files, struct err *err);
/* Those of these places in its list of files alone. */
MUST_USE enum err_code table_files_open_some(struct store *store, const char *root,
					     const struct delta_table *table, const size_t *places,
					     size_t count, struct table_files *ret_files,
					     struct err *err);
void table_files_close(struct table_files *files);	/* accepts a zeroed one */

#endif
