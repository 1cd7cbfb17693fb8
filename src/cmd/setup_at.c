#include "cmd/setup_at.h"

#include "cmd/setup_spark.h"

enum err_code setup_at_check(const struct config *config, const char *question, struct err *err)
{
	struct slice sql = slice_str(question ? question : "");
	struct sql_at_name name;
	size_t at = 0;

	while (setup_is_spark(config) && sql_at_next(sql, &at, &name))
		if (name.at.kind != DELTA_AT_NEWEST)
			return err_set(err, ERR_USAGE,
				       "\"%.*s@%.*s\": versions of tables are asked of DuckDB, with"
				       " --engine duckdb",
				       SLICE_ARG(name.name), SLICE_ARG(name.version));
	return ERR_OK;
}

enum err_code setup_at(const char *question, struct sql_side *side, const char **ret_others,
		       struct err *err)
{
	enum err_code code;

	*ret_others = NULL;
	if (!question)
		return ERR_OK;
	code = sql_at_read(question, &side->models, &side->at, err);
	side->results.versions = side->at.list;
	side->results.version_count = side->at.count;
	*ret_others = buf_cstr(&side->at.others);
	return code;
}
