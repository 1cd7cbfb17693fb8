/*
 * delta_rewrite.c - the same rows in other files.
 *
 * It conflicts with little: whatever others append, and columns that they add,
 * leave it true. Only if a file that it would remove is not live any more do
 * its files hold rows that are gone, or stand in another file by now.
 */
#include "delta/delta_attempt.h"

#include <inttypes.h>

enum { INFO_BYTES_MAX = 1 << 10 };

/* The files' rows are read by the table's schema: columns that they lack are null in it. */
static enum err_code rewrite_check_columns(struct delta_table *table,
					   const struct delta_rewrite *rewrite, struct err *err)
{
	struct delta_difference difference;
	enum err_code code = delta_compare(table, rewrite->schema, &difference, err);

	if (code == ERR_OK && (difference.added > 0 || difference.change == DELTA_RETYPED))
		return err_set(err, ERR_BUSY, "the columns of table \"%s\" have changed meanwhile",
			       table->root);
	return code;
}

static enum err_code rewrite_check_live(const struct delta_table *table, const char *const *paths,
					size_t count, struct err *err)
{
	size_t at;

	for (size_t i = 0; i < count; i++)
		if (!delta_map_get(&table->state.by_path, paths[i], &at))
			return err_set(err, ERR_BUSY,
				       "file \"%s\" has gone from table \"%s\" meanwhile", paths[i],
				       table->root);
	return ERR_OK;
}

static enum err_code rewrite_check(struct delta_table *table, const struct delta_rewrite *rewrite,
				   struct err *err)
{
	enum err_code code = delta_table_check_writable(table, err);

	if (code == ERR_OK)
		code = rewrite_check_columns(table, rewrite, err);
	if (code == ERR_OK)
		code = delta_attempt_check_files(table, rewrite->adds, rewrite->add_count, err);
	if (code == ERR_OK)
		code = rewrite_check_live(table, rewrite->removes, rewrite->remove_count, err);
	if (code == ERR_OK)
		code = rewrite_check_live(table, rewrite->needs, rewrite->need_count, err);
	return code;
}

static const struct delta_add *rewrite_live(const struct delta_table *table, const char *path)
{
	size_t at = 0;

	(void)delta_map_get(&table->state.by_path, path, &at);
	return &table->state.files[at].add;
}

/* What other programs show of it; they want the numbers as text. */
static void rewrite_put_info(struct delta_attempt *attempt, const struct delta_table *table,
			     const struct delta_rewrite *rewrite)
{
	uint64_t removed = 0, added = 0;
	struct buf info;

	for (size_t i = 0; i < rewrite->remove_count; i++)
		removed += rewrite_live(table, rewrite->removes[i])->size;
	for (size_t i = 0; i < rewrite->add_count; i++)
		added += rewrite->adds[i].size;
	buf_init(&info, INFO_BYTES_MAX);
	buf_addf(&info,
		 "\"readVersion\":%" PRId64 ",\"operationMetrics\":{\"numRemovedFiles\":\"%zu\","
		 "\"numRemovedBytes\":\"%" PRIu64 "\",\"numAddedFiles\":\"%zu\","
		 "\"numAddedBytes\":\"%" PRIu64 "\"}",
		 table->state.version, rewrite->remove_count, removed, rewrite->add_count, added);
	if (rewrite->heals)
		delta_attempt_put_info(attempt, DELTA_HEALED, "{}", false, buf_slice(&info));
	else
		delta_attempt_put_info(attempt, "OPTIMIZE",
				       "{\"predicate\":\"[]\",\"zOrderBy\":\"[]\"}", false,
				       buf_slice(&info));
	buf_release(&info);
}

static enum err_code rewrite_put(struct delta_table *table, const void *user,
				 struct delta_attempt *attempt, struct err *err)
{
	const struct delta_rewrite *rewrite = user;
	const struct delta_metadata *metadata = table->state.metadata;
	enum err_code code = rewrite_check(table, rewrite, err);

	if (code != ERR_OK)
		return code;
	rewrite_put_info(attempt, table, rewrite);
	if (rewrite->heals)
		delta_put_metadata(&attempt->text, metadata, slice_str(metadata->schema));
	for (size_t i = 0; i < rewrite->remove_count; i++)
		delta_put_remove(&attempt->text, rewrite_live(table, rewrite->removes[i]), false,
				 attempt->timestamp_ms);
	for (size_t i = 0; i < rewrite->add_count; i++)
		delta_put_add(&attempt->text, &rewrite->adds[i], false);
	return ERR_OK;
}

enum err_code delta_rewrite(struct delta_table *table, const struct delta_rewrite *rewrite,
			    int64_t *ret_version, struct err *err)
{
	return delta_attempt_commit(table, rewrite_put, rewrite, ret_version, err);
}

/* ---- A bar ---- */

static enum err_code bar_look(struct delta_table *table, const void *user, bool *ret_needed,
			      struct err *err)
{
	(void)user;
	*ret_needed = true;
	return delta_table_check_writable(table, err);
}

static enum err_code bar_put(struct delta_table *table, const void *user, struct buf *out,
			     struct err *err)
{
	(void)user;
	(void)err;
	delta_put_metadata(out, table->state.metadata, slice_str(table->state.metadata->schema));
	return ERR_OK;
}

enum err_code delta_bar(struct delta_table *table, struct err *err)
{
	static const struct delta_amendment bar = { .operation = DELTA_HEALED,
						    .look = bar_look,
						    .put = bar_put };
	struct err failure = { 0 };
	enum err_code code = delta_table_check_present(table, &failure);

	if (code == ERR_OK)
		code = delta_table_amend(table, &bar, &failure);
	if (code != ERR_OK)
		*err = failure;
	return code;
}
