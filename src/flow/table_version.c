#include "flow/table_version.h"

#include "base/mem.h"
#include "flow/table_files.h"

#include <inttypes.h>

/* A clean-up may have taken what only older versions have. */
static enum err_code files_are_gone(const struct delta_table *delta, struct engine_table *ret_table,
				    struct err *err)
{
	(void)err_prefix(err,
			 "files of version %" PRId64 " are not there any more (delta."
			 "deletedFileRetentionDuration says how long they are kept)",
			 delta_version(delta));
	ret_table->broken = xstrdup(err->msg);
	return ERR_OK;
}

enum err_code table_version_open(struct store *store, const struct lake_table *place,
				 const struct sql_version *version, struct engine_table *ret_table,
				 struct err *err)
{
	const struct delta_options options = { .at = version->at,
					       .name = place->model->model.name };
	struct delta_table *delta = NULL;
	struct table_files files = { 0 };
	enum err_code code = delta_open(store, place->root, &options, &delta, err);

	ret_table->model = &version->model;
	if (code != ERR_OK)
		return code;
	code = table_files_open(store, place->root, delta, &files, err);
	if (code == ERR_ABSENT)
		code = files_are_gone(delta, ret_table, err);
	delta_close(delta);
	ret_table->files = files.list;
	ret_table->file_count = files.count;
	return code;
}
