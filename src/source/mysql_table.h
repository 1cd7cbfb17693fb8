/*
 * mysql_table.h - the three tables of a database that hold the posts: how they
 * are called, what columns they have, and their rows as JSON.
 *
 *	pinterest_data, geolocation_data, user_data; `index` is the key of the
 *	first, `ind` of the others
 *
 * Ownership: a description's texts are its own. Threads: one at a time.
 */
#ifndef SOURCE_MYSQL_TABLE_H
#define SOURCE_MYSQL_TABLE_H

#include "source/mysql_link.h"
#include "source/mysql_text.h"
#include "source/source.h"

enum { MYSQL_ROW_BYTES_MAX = 1 << 20, MYSQL_COLUMNS_MAX = 256 };

/* What finds a row by its key. */
enum mysql_key { MYSQL_KEY_NONE, MYSQL_KEY_INDEX, MYSQL_KEY_UNIQUE, MYSQL_KEY_PRIMARY };
extern const char *const mysql_key_name[];	/* "none", … */

struct mysql_schema {
	const char *name;
	const char *key;
	const char *const *columns;	/* those that the models read; NULL at the end */
	const char *ddl;		/* between the brackets of CREATE TABLE */
};
extern const struct mysql_schema mysql_schema[SOURCE_TABLES];

struct mysql_column {
	char *name;
	char *head;			/* "{\"index\":" or ",\"title\":" */
	const char *type;
	enum mysql_form form;
};

struct mysql_table {
	const struct mysql_schema *schema;
	struct mysql_column *columns;
	unsigned column_count;
	unsigned key_at;		/* the column of the key */
	enum mysql_key key;
	struct buf select;		/* "SELECT `index`,… FROM `pinterest_data`" */
};

void mysql_table_release(struct mysql_table *table);
/* What is there, whatever it is. ERR_ABSENT: no such table. To be released in any case. */
MUST_USE enum err_code mysql_table_describe(struct mysql_link *link, enum source_table which,
					    struct mysql_table *table, struct err *err);
/* ERR_SHAPE: its rows cannot be read, for a column is missing, or is of a type that is refused. */
MUST_USE enum err_code mysql_table_check(const struct mysql_table *table, struct err *err);
/* Adds the row as compact JSON. ERR_SHAPE: its key is none. */
MUST_USE enum err_code mysql_table_put(const struct mysql_table *table, struct buf *out,
				       const struct mysql_row *row, uint64_t *ret_key,
				       struct err *err);

/* Keys as they were read. */
struct mysql_keys {
	uint64_t *list;
	size_t count;
	size_t room;
	size_t max;
};

void mysql_keys_add(struct mysql_keys *keys, uint64_t key);
void mysql_keys_sort(struct mysql_keys *keys);
/* Sorted. */
bool mysql_keys_have(const struct mysql_keys *keys, uint64_t key);
/* All of a table: sorted where there is an index. ERR_LIMIT: more than `max`. */
MUST_USE enum err_code mysql_table_keys(struct mysql_link *link, const struct mysql_table *table,
					struct mysql_keys *keys, struct err *err);
/* The key of a row, from the column `at`. */
MUST_USE enum err_code mysql_table_key(const struct mysql_table *table, const struct mysql_row *row,
				       unsigned at, uint64_t *ret_key, struct err *err);
/* Says that several rows have it. */
enum err_code mysql_table_twice(const struct mysql_table *table, uint64_t key, struct err *err);

#endif
