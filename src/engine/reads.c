#include "engine/reads.h"

#include "base/mem.h"
#include "sql/duck_rows.h"

#include <stdio.h>

enum { SQL_BYTES_MAX = 4 << 20 };

/* The statement's tree as JSON, in which every table stands as "table_name":"clicks". A quote in a
 * text of the statement is escaped there, so nothing else looks like it. NULL: no SELECT. */
static char *reads_tree(struct duck *duck, const char *text)
{
	struct duck_rows rows;
	char *tree = NULL;
	struct err unused;
	struct buf sql;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_add_str(&sql, "SELECT lower(CAST(json_serialize_sql(");
	duck_put_literal(&sql, slice_str(text));
	buf_add_str(&sql, ") AS VARCHAR))");
	if (!buf_full(&sql) && duck_rows_open(duck, buf_cstr(&sql), &rows, &unused) == ERR_OK) {
		if (duck_rows_next(&rows))
			tree = duck_text(&rows, 0);
		duck_rows_close(&rows);
	}
	buf_release(&sql);
	return tree;
}

static bool reads_name(const char *tree, const char *table, const char *end)
{
	char mark[256];

	(void)snprintf(mark, sizeof(mark), "\"table_name\":\"%s%s\"", table, end);
	for (char *c = mark; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	return strstr(tree, mark) != NULL;
}

void reads_put(struct buf *out, struct duck *duck, const char *sql, const struct models *models)
{
	static const char *const ends[] = { "", "_all" };
	char *tree = reads_tree(duck, sql);
	const char *before = "";

	for (size_t i = 0; tree && i < models->clean_count; i++)
		for (size_t e = 0; e < ARRAY_LEN(ends); e++) {
			const char *name = models->clean[i].model.name;

			if (!reads_name(tree, name, ends[e]))
				continue;
			buf_addf(out, "%s%s%s", before, name, ends[e]);
			before = ", ";
		}
	free(tree);
}
