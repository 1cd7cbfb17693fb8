#include "delta/delta_retention.h"

#include "base/mem.h"
#include "delta/delta_interval.h"
#include "delta/delta_table.h"

#include <stdio.h>
#include <strings.h>

enum { NAME_SIZE = 64, VALUE_SIZE = 64 };

static const char files_name[] = "deletedFileRetentionDuration";
static const char log_name[] = "logRetentionDuration";
static const int64_t day_ms = INT64_C(86400000);

static char **find_value(struct delta_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++)
		if (strcmp(settings->items[i].key, key) == 0)
			return &settings->items[i].value;
	return NULL;
}

static void set_value(struct delta_settings *settings, const char *key, const char *value)
{
	char **found = find_value(settings, key);
	struct delta_setting *added;

	if (found) {
		free(*found);
		*found = xstrdup(value);
		return;
	}
	added = delta_settings_new(settings);
	added->key = xstrdup(key);
	added->value = xstrdup(value);
}

static bool set_one(struct delta_settings *settings, const char *name, int64_t ms)
{
	char its[NAME_SIZE], ours[NAME_SIZE];
	char **is, **was;
	struct buf value;
	bool set;

	(void)snprintf(its, sizeof(its), "delta.%s", name);
	(void)snprintf(ours, sizeof(ours), "pinpipe.%s", name);
	is = find_value(settings, its);
	was = find_value(settings, ours);
	if (ms == 0 || (is && (!was || strcmp(*is, *was) != 0)))
		return false;
	buf_init(&value, VALUE_SIZE);
	delta_interval_put(&value, ms);
	set = !is || strcmp(*is, buf_cstr(&value)) != 0;
	if (set) {
		set_value(settings, its, buf_cstr(&value));
		set_value(settings, ours, buf_cstr(&value));
	}
	buf_release(&value);
	return set;
}

bool delta_retention_set(struct delta_settings *settings, int64_t files_ms, int64_t log_ms)
{
	bool files = set_one(settings, files_name, files_ms);
	bool log = set_one(settings, log_name, log_ms);

	return files || log;
}

/* ---- What it says ---- */

static enum err_code read_one(const struct delta_metadata *metadata, const char *name,
			      int64_t otherwise, int64_t *ret_ms, struct err *err)
{
	char key[NAME_SIZE];
	const char *text;

	(void)snprintf(key, sizeof(key), "delta.%s", name);
	text = delta_setting(metadata, key);
	if (!text)
		*ret_ms = otherwise;
	else if (!delta_interval_parse(slice_str(text), ret_ms))
		return err_set(err, ERR_UNSUPPORTED,
			       "its property %s is \"%.80s\", which is no span of "
			       "time: nothing of it is cleaned up",
			       key, text);
	return ERR_OK;
}

int64_t delta_retention_files_ms(const struct delta_metadata *metadata)
{
	int64_t ms = INT64_MAX;
	struct err ignored;

	(void)!read_one(metadata, files_name, 7 * day_ms, &ms, &ignored);
	return ms;
}

enum err_code delta_retention(const struct delta_table *table,
			      struct delta_retention *ret_retention, struct err *err)
{
	const struct delta_metadata *metadata = table->state.metadata;
	const char *cleanup = delta_setting(metadata, "delta.enableExpiredLogCleanup");
	struct delta_retention retention = { .keeps_log = cleanup &&
							  strcasecmp(cleanup, "false") == 0 };
	enum err_code code = read_one(metadata, files_name, 7 * day_ms, &retention.files_ms, err);

	if (code == ERR_OK)
		code = read_one(metadata, log_name, 30 * day_ms, &retention.log_ms, err);
	if (code != ERR_OK)
		return err_prefix(err, "table \"%s\"", table->root);
	*ret_retention = retention;
	return ERR_OK;
}

/* ---- Setting it ---- */

struct wanted_retention {
	int64_t files_ms, log_ms;
};

/* Of these metadata, with what is to be set; to be released. */
static bool settings_with(const struct delta_metadata *metadata,
			  const struct wanted_retention *wanted, struct delta_settings *ret)
{
	*ret = (struct delta_settings){ 0 };
	for (size_t i = 0; i < metadata->settings.count; i++) {
		struct delta_setting *setting = delta_settings_new(ret);

		setting->key = xstrdup(metadata->settings.items[i].key);
		setting->value = xstrdup(metadata->settings.items[i].value);
	}
	return delta_retention_set(ret, wanted->files_ms, wanted->log_ms);
}

static enum err_code look_at_retention(struct delta_table *table, const void *user,
				       bool *ret_needed, struct err *err)
{
	struct delta_settings settings;

	*ret_needed = settings_with(table->state.metadata, user, &settings);
	delta_settings_release(&settings);
	return *ret_needed ? delta_table_check_writable(table, err) : ERR_OK;
}

static enum err_code put_retention(struct delta_table *table, const void *user, struct buf *out,
				   struct err *err)
{
	struct delta_metadata metadata = *table->state.metadata;

	(void)err;
	(void)settings_with(table->state.metadata, user, &metadata.settings);
	delta_put_metadata(out, &metadata, slice_str(metadata.schema));
	delta_settings_release(&metadata.settings);
	return ERR_OK;
}

enum err_code delta_set_retention(struct delta_table *table, int64_t files_ms, int64_t log_ms,
				  struct err *err)
{
	struct wanted_retention wanted = { files_ms, log_ms };
	struct delta_amendment amendment = { .operation = "SET TBLPROPERTIES",
					     .look = look_at_retention,
					     .put = put_retention,
					     .user = &wanted };
	struct err failure = { 0 };
	enum err_code code = delta_table_amend(table, &amendment, &failure);

	if (code != ERR_OK)
		*err = failure;
	return code;
}
