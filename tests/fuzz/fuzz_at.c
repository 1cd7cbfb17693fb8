/*
 * SQL texts with versions of tables in them. What is found is a name with an @ in it, in order and
 * none in another; what is rewritten is the text with nothing changed but those names, has as many
 * names of versions as before, and stays as it is when it is rewritten once more.
 */
#include "engine/sql_at.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static struct clean_model clean[] = {
	{ .model = { .name = "a" } },
	{ .model = { .name = "geo" } },
};
static const struct models models = { .clean = clean, .clean_count = 2 };

static void check_found(struct slice sql)
{
	struct sql_at_name name;
	size_t at = 0, before = 0;

	while (sql_at_next(sql, &at, &name)) {
		FUZZ_MUST(name.from >= before && name.from < name.to && name.to <= sql.len);
		FUZZ_MUST(at == name.to && name.name.len > 0 && name.version.len > 0);
		FUZZ_MUST(name.name.ptr[name.name.len] == '@');
		FUZZ_MUST(name.name.len + 1 + name.version.len + 2 * name.quoted ==
			  name.to - name.from);
		before = name.to;
	}
	FUZZ_MUST(at == sql.len);
}

static void check_text(const char *sql)
{
	struct sql_at once, twice;
	struct err err;

	if (sql_at_read(sql, &models, &once, &err) != ERR_OK) {
		FUZZ_MUST(err.code == ERR_USAGE && *err.msg);
	} else {
		FUZZ_MUST(once.others.len <= strlen(sql));
		FUZZ_MUST((once.count > 0) == (once.others.len < strlen(sql)));
		FUZZ_MUST(sql_at_read(buf_cstr(&once.sql), &models, &twice, &err) == ERR_OK);
		FUZZ_MUST(slice_eq(buf_slice(&once.sql), buf_slice(&twice.sql)));
		FUZZ_MUST(twice.count <= once.count);
		sql_at_release(&twice);
	}
	sql_at_release(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *sql = malloc(len + 1);

	FUZZ_MUST(sql != NULL);
	memcpy(sql, data, len);
	sql[len] = '\0';
	check_found(slice_of(sql, len));
	check_text(sql);
	free(sql);
	return 0;
}
