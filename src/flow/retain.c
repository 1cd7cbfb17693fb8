#include "flow/retain_inside.h"

#include "base/mem.h"
#include "base/time.h"
#include "flow/staging.h"

enum err_code retain_fail_at(int sys, struct err *err)
{
	return sys ? err_set(err, ERR_IO, "injected fault") : ERR_OK;
}

/* --- removing -------------------------------------------------------------------- */

void retain_keys_add(struct retain_keys *keys, const char *key, uint64_t size)
{
	if (keys->count == keys->room) {
		keys->room = keys->room * 2 + 64;
		keys->list = xreallocarray(keys->list, keys->room, sizeof(*keys->list));
	}
	keys->list[keys->count++] = (struct retain_key){ xstrdup(key), size };
}

void retain_keys_release(struct retain_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		free(keys->list[i].key);
	free(keys->list);
	*keys = (struct retain_keys){ 0 };
}

static enum err_code retain_remove_keys(struct store *store, const struct retain_keys *keys,
					struct err *err)
{
	const char **all = xcalloc(keys->count + 1, sizeof(*all));
	enum err_code code;

	for (size_t i = 0; i < keys->count; i++)
		all[i] = keys->list[i].key;
	code = store_remove_all(store, all, keys->count, err);
	free(all);
	return code;
}

enum err_code retain_remove(struct retaining *retaining, struct retain_keys *keys,
			    struct retained *retained, struct err *err)
{
	const struct retain_options *options = retaining->options;
	enum err_code code = ERR_OK;

	if (!options->dry_run)
		code = retain_remove_keys(options->store, keys, err);
	for (size_t i = 0; i < keys->count && code == ERR_OK; i++) {
		retained->removed++;
		retained->removed_bytes += keys->list[i].size;
		if (options->each)
			options->each(options->user, keys->list[i].key, keys->list[i].size);
	}
	retain_keys_release(keys);
	return code;
}

/* --- the tables ------------------------------------------------------------------ */

static enum err_code retain_open_one(struct retaining *retaining, const struct clean_model *model,
				     struct err *err)
{
	const struct retain_options *options = retaining->options;
	struct retain_table *table = &retaining->tables[retaining->table_count];
	const struct delta_options read = { 0 };
	enum err_code code =
		lake_table_init(&table->place, model, retaining->table->kind, options->id, err);

	if (code == ERR_OK)
		code = delta_open(options->store, table->place.root, &read, &table->delta, err);
	if (code != ERR_OK)
		return err_prefix(err, "nothing of \"%s\" goes: table \"%s\"",
				  retaining->table->topic, model->model.name);
	retaining->table_count++;
	return ERR_OK;
}

static enum err_code retain_open(struct retaining *retaining, struct err *err)
{
	const struct clean_shared *shared = retaining->table->shared;
	enum err_code code = ERR_OK;

	retaining->tables = xcalloc(shared->count, sizeof(*retaining->tables));
	for (size_t i = 0; i < shared->count && code == ERR_OK; i++)
		code = retain_open_one(retaining, shared->models[i], err);
	return code;
}

enum err_code retain_find_rebuild(const struct retaining *retaining, bool *ret_rebuilt,
				  struct err *err)
{
	enum err_code code = ERR_OK;

	*ret_rebuilt = false;
	for (size_t i = 0; i < retaining->table_count && code == ERR_OK; i++) {
		const struct retain_table *table = &retaining->tables[i];
		int64_t since_ms = 0;

		code = staging_oldest(retaining->options->store, table->place.root, table->delta,
				      &since_ms, err);
		*ret_rebuilt |= since_ms != 0;
	}
	return code;
}

enum err_code retain_topic(const struct retain_options *options, const struct lake_table *table,
			   struct retain_report *report, struct err *err)
{
	struct retaining retaining = {
		.options = options, .table = table, .now_ms = clock_age_ms(), .report = report
	};
	bool raw = options->keep.raw_ms > 0 && table->kind == TOPIC_LOG;
	bool rebuilt = false;
	enum err_code code;

	if (!raw && options->keep.letters_ms == 0)
		return ERR_OK;
	code = retain_open(&retaining, err);
	if (code == ERR_OK)
		code = retain_find_rebuild(&retaining, &rebuilt, err);
	if (code == ERR_OK && !rebuilt && raw)
		code = retain_raw(&retaining, err);
	if (code == ERR_OK && !rebuilt && options->keep.letters_ms > 0)
		code = retain_letters(&retaining, err);
	for (size_t i = 0; i < retaining.table_count; i++)
		delta_close(retaining.tables[i].delta);
	free(retaining.tables);
	return code;
}
