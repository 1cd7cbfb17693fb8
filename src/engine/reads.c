#include "engine/reads.h"

#include "base/mem.h"
#include "engine/sql_tree.h"

#include <stdio.h>

void reads_put(struct buf *out, struct duck *duck, const char *sql, const struct models *models)
{
	static const char *const ends[] = { "", "_all" };
	const char *before = "";
	char name[256];
	struct sql_tree tree;
	struct err unused;

	if (sql_tree_read(duck, sql, &tree, &unused) == ERR_OK)
		for (size_t i = 0; i < models->clean_count; i++)
			for (size_t e = 0; e < ARRAY_LEN(ends); e++) {
				(void)snprintf(name, sizeof(name), "%s%s",
					       models->clean[i].model.name, ends[e]);
				if (!sql_tree_reads(&tree, name))
					continue;
				buf_addf(out, "%s%s", before, name);
				before = ", ";
			}
	sql_tree_release(&tree);
}
