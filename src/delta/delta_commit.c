/*
 * delta_commit.c - what a version may be of: a new table, other columns, more files, other files.
 */
#include "delta/delta_attempt.h"
#include "delta/delta_progress.h"
#include "delta/delta_retention.h"
#include "delta/delta_schema.h"

#include <inttypes.h>
#include <strings.h>

/* ---- Creating ---- */

/* Another one may have made the table, which serves as well. */
static enum err_code create_put(struct delta_table *table, const void *user,
				struct delta_attempt *attempt, struct err *err)
{
	char id[DELTA_UUID_SIZE];
	char provider[] = "parquet";
	struct delta_metadata metadata = {
		.id = id, .provider = provider, .created_ms = attempt->timestamp_ms,
	};
	struct buf columns;

	(void)user;
	(void)err;
	if (table->state.version >= 0)
		return ERR_OK;
	delta_uuid(id);
	if (table->description) {
		metadata.name = (char *)(uintptr_t)table->name;
		metadata.description = (char *)(uintptr_t)table->description;
	}
	buf_init(&columns, COMMIT_BYTES_MAX);
	delta_schema_put(&columns, table->schema);
	(void)delta_retention_set(&metadata.settings, table->keep_files_ms, table->keep_log_ms);
	delta_attempt_put_info(attempt, "CREATE TABLE",
			       "{\"partitionBy\":\"[]\",\"properties\":\"{}\"}", true,
			       slice_of(NULL, 0));
	buf_add_str(&attempt->text,
		    "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n");
	delta_put_metadata(&attempt->text, &metadata, buf_slice(&columns));
	buf_release(&columns);
	delta_settings_release(&metadata.settings);
	return ERR_OK;
}

enum err_code delta_table_create(struct delta_table *table, struct err *err)
{
	return delta_attempt_run(table, create_put, NULL, err);
}

/* ---- Changing the columns, or other metadata ---- */

/* The table's metadata, with the writer's columns. */
static enum err_code put_writers_columns(struct delta_table *table, const void *user,
					 struct buf *out, struct err *err)
{
	struct buf columns;
	enum err_code code;

	(void)user;
	buf_init(&columns, COMMIT_BYTES_MAX);
	code = delta_schema_merge(&columns, table->state.metadata, table->schema,
				  table->reader.line, err);
	if (code == ERR_OK)
		delta_put_metadata(out, table->state.metadata, buf_slice(&columns));
	buf_release(&columns);
	return code;
}

/* *ret_needed: there are columns to be added, and nothing else is in the way. */
static enum err_code look_at_columns(struct delta_table *table, const void *user, bool *ret_needed,
				     struct err *err)
{
	struct delta_difference difference = { 0 };
	enum err_code code = delta_table_check_writable(table, err);

	(void)user;
	if (code == ERR_OK)
		code = delta_compare(table, table->schema, &difference, err);
	if (code == ERR_OK && difference.change > DELTA_ADDED)
		code = delta_table_check_columns(table, err);
	if (code == ERR_OK)
		*ret_needed = difference.change == DELTA_ADDED;
	return code;
}

static enum err_code amend_put(struct delta_table *table, const void *user,
			       struct delta_attempt *attempt, struct err *err)
{
	const struct delta_amendment *amendment = user;
	bool needed = false;
	enum err_code code = amendment->look(table, amendment->user, &needed, err);

	if (code != ERR_OK || !needed)
		return code;
	delta_attempt_put_info(attempt, amendment->operation, "{}", false, slice_of(NULL, 0));
	return amendment->put(table, amendment->user, &attempt->text, err);
}

enum err_code delta_table_amend(struct delta_table *table, const struct delta_amendment *amendment,
				struct err *err)
{
	return delta_attempt_run(table, amend_put, amendment, err);
}

enum err_code delta_table_evolve(struct delta_table *table, struct err *err)
{
	static const struct delta_amendment columns = { .operation = "ADD COLUMNS",
							.look = look_at_columns,
							.put = put_writers_columns };

	return delta_table_amend(table, &columns, err);
}

/* ---- Committing ---- */

/* `*ret_there`: the table has what is to be done, or more. The same lineage there means the same
 * records before it; with another one only who compares them can tell. */
static enum err_code check_step(const struct delta_table *table, const struct delta_step *step,
				bool *ret_there, struct err *err)
{
	struct delta_progress done;
	char text[POSITION_TEXT_MAX] = "nothing";
	enum err_code code = delta_progress_check(step, err);

	if (code == ERR_OK)
		code = delta_progress(table, step->app_id, &done, err);
	if (code != ERR_OK)
		return code;
	*ret_there = done.any && position_cmp(done.position, step->now.position) >= 0 &&
		     delta_lineage_is(done.lineage, step->now.lineage);
	if (delta_progress_is(&done, &step->after))
		return ERR_OK;
	if (done.any)
		(void)position_text(done.position, text);
	return err_set(err, ERR_LOCKED,
		       "table \"%s\" has \"%s\" up to %s, which is not where this "
		       "batch began: another one writes it, too",
		       table->root, step->app_id, text);
}

/* What is to be done of the steps; ERR_LOCKED comes after all of them were looked at. */
static enum err_code check_steps(const struct delta_table *table, const struct delta_commit *commit,
				 size_t *there, struct err *err)
{
	enum err_code worst = ERR_OK;

	for (size_t i = 0; i < commit->step_count; i++) {
		bool its = false;
		enum err_code code = check_step(table, &commit->steps[i], &its, err);

		if (code != ERR_OK && code != ERR_LOCKED)
			return code;
		if (code == ERR_LOCKED)
			worst = code;
		*there += its;
	}
	return worst;
}

/*
 * Progress is compared for equality, not for less: two writers that both think
 * they are next are told apart here.
 */
static enum err_code check_txns(const struct delta_table *table, const struct delta_commit *commit,
				struct err *err)
{
	size_t there = 0;
	enum err_code code = check_steps(table, commit, &there, err);

	if (code != ERR_OK && code != ERR_LOCKED)
		return code;
	for (size_t i = 0; i < commit->txn_count; i++) {
		const struct delta_txn *txn = &commit->txns[i];
		int64_t done = delta_state_app_version(&table->state, txn->app_id);

		there += done >= txn->version;
		if (done != txn->after)
			code = err_set(err, ERR_LOCKED, "table \"%s\" has \"%s\" up to %" PRId64
				       ", not %" PRId64 ": another one writes it, too",
				       table->root, txn->app_id, done, txn->after);
	}
	if (there > 0 && there == commit->txn_count + commit->step_count)
		return err_set(err, ERR_EXISTS, "table \"%s\" has this batch already", table->root);
	return code;
}

static void put_txns_and_adds(struct delta_attempt *attempt, const struct delta_table *table,
			      const struct delta_commit *commit)
{
	for (size_t i = 0; i < commit->txn_count; i++)
		delta_put_txn(&attempt->text, &commit->txns[i], attempt->timestamp_ms);
	for (size_t i = 0; i < commit->step_count; i++)
		delta_put_step(&attempt->text, &table->state, &commit->steps[i],
			       attempt->timestamp_ms);
	for (size_t i = 0; i < commit->add_count; i++)
		delta_put_add(&attempt->text, &commit->adds[i], true);
}

static void put_commit(struct delta_attempt *attempt, const struct delta_table *table,
		       const struct delta_commit *commit)
{
	bool stream = strcmp(commit->operation, "STREAMING UPDATE") == 0;

	delta_attempt_put_info(attempt, commit->operation,
			       stream ? "{\"outputMode\":\"Append\"}" : "{\"mode\":\"Append\"}",
			       true, commit->info);
	put_txns_and_adds(attempt, table, commit);
}

static enum err_code commit_put(struct delta_table *table, const void *user,
				struct delta_attempt *attempt, struct err *err)
{
	const struct delta_commit *commit = user;
	enum err_code code = check_txns(table, commit, err);

	if (code == ERR_OK)
		code = delta_table_check_writable(table, err);
	if (code == ERR_OK)
		code = delta_table_check_columns(table, err);
	if (code == ERR_OK)
		code = delta_attempt_check_files(table, commit->adds, commit->add_count, err);
	if (code == ERR_OK)
		put_commit(attempt, table, commit);
	return code;
}

enum err_code delta_commit(struct delta_table *table, const struct delta_commit *commit,
			   int64_t *ret_version, struct err *err)
{
	return delta_attempt_commit(table, commit_put, commit, ret_version, err);
}

/* ---- Replacing ---- */

struct replacement {
	const struct delta_commit *commit;
	int64_t planned_on;
};

/* Rows of old files that stay are read by the new schema: that must be no other than one with more
 * columns. */
static enum err_code check_replacement(struct delta_table *table, const struct delta_commit *commit,
				       struct err *err)
{
	const char *append_only = delta_setting(table->state.metadata, "delta.appendOnly");
	struct delta_difference difference;
	enum err_code code = delta_table_check_writable(table, err);

	if (code == ERR_OK)
		code = delta_compare(table, table->schema, &difference, err);
	if (code != ERR_OK)
		return code;
	if (append_only && strcasecmp(append_only, "true") == 0 && commit->remove_count > 0)
		return err_set(err, ERR_UNSUPPORTED, "table \"%s\": rows of it must not be removed, "
			       "by its own word (delta.appendOnly)", table->root);
	if (difference.change > DELTA_ADDED && commit->remove_count < table->state.file_count)
		return err_set(err, ERR_USAGE, "table \"%s\": %s, so that no file may stay",
			       table->root, difference.says);
	return ERR_OK;
}

static enum err_code put_removes(struct delta_attempt *attempt, const struct delta_table *table,
				 const struct delta_commit *commit, struct err *err)
{
	for (size_t i = 0; i < commit->remove_count; i++) {
		size_t at;

		if (!delta_map_get(&table->state.by_path, commit->removes[i], &at))
			return err_set(err, ERR_USAGE, "table \"%s\" has no file \"%s\" to be removed",
				       table->root, commit->removes[i]);
		delta_put_remove(&attempt->text, &table->state.files[at].add, true,
				 attempt->timestamp_ms);
	}
	return ERR_OK;
}

/* What it was planned on is to be the last version still; if not, the table is read up to that. */
static enum err_code replace_look(struct delta_table *table, const struct replacement *replacement,
				  struct err *err)
{
	const struct delta_commit *commit = replacement->commit;
	enum err_code code;

	if (replacement->planned_on != table->state.version) {
		code = delta_table_follow(table, err);
		if (code == ERR_OK)
			code = err_set(err, ERR_BUSY,
				       "table \"%s\" has moved on from version %" PRId64
				       " to %" PRId64 " while it was to be replaced",
				       table->root, replacement->planned_on, table->state.version);
		return code;
	}
	code = check_replacement(table, commit, err);
	if (code == ERR_OK)
		code = delta_attempt_check_files(table, commit->adds, commit->add_count, err);
	for (size_t i = 0; i < commit->step_count && code == ERR_OK; i++)
		code = delta_progress_check(&commit->steps[i], err);
	return code;
}

static enum err_code replace_put(struct delta_table *table, const void *user,
				 struct delta_attempt *attempt, struct err *err)
{
	const struct replacement *replacement = user;
	const struct delta_commit *commit = replacement->commit;
	enum err_code code = replace_look(table, replacement, err);

	if (code != ERR_OK)
		return code;
	delta_attempt_put_info(attempt, commit->operation, "{\"mode\":\"Overwrite\"}", false,
			       commit->info);
	code = put_writers_columns(table, NULL, &attempt->text, err);
	if (code == ERR_OK)
		code = put_removes(attempt, table, commit, err);
	if (code == ERR_OK)
		put_txns_and_adds(attempt, table, commit);
	return code;
}

enum err_code delta_replace(struct delta_table *table, const struct delta_commit *commit,
			    int64_t planned_on, int64_t *ret_version, struct err *err)
{
	const struct replacement replacement = { commit, planned_on };

	return delta_attempt_commit(table, replace_put, &replacement, ret_version, err);
}
