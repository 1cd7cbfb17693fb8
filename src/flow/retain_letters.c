#include "base/failpoint.h"
#include "base/mem.h"
#include "flow/dlq.h"
#include "flow/raw_kept.h"
#include "flow/retain_inside.h"

#include <stdio.h>

/* Up to where the letters of one source in a partition may go. */
struct retain_source {
	struct lake_partition where;
	const struct retain_table *table; /* NULL: the sink's */
	bool any;			  /* all up to … */
	struct position done;
	bool gone;	      /* a letter is going, … */
	struct position upto; /* … and this is the last position of such */
};

struct retain_letters_walk {
	struct retaining *retaining;
	struct retain_source *sources;
	size_t count;
	struct retain_keys keys;
	enum err_code code;
	struct err *err;
};

/* --- how far a source is ---------------------------------------------------------- */

struct retain_apps {
	const struct delta_table *delta;
	char prefix[LAKE_APP_ID_MAX]; /* of the shard, whatever uid its stream had */
	char end[16];		      /* of a generation behind the first */
	struct retain_source *source;
	enum err_code code;
	struct err *err;
};

static void retain_note_progress(struct retain_source *source, struct position position)
{
	if (!source->any || position_cmp(position, source->done) > 0)
		source->done = position;
	source->any = true;
}

/* "<prefix><uid>[/g0002]", and what follows '#' where a position needs several. */
static bool retain_look_at_app(void *user, const char *app_id)
{
	struct retain_apps *apps = user;
	size_t len = strlen(apps->prefix);
	struct delta_progress progress;
	char id[LAKE_APP_ID_MAX];
	const char *behind;

	if (strncmp(app_id, apps->prefix, len) != 0 || strlen(app_id) >= sizeof(id))
		return true;
	(void)snprintf(id, sizeof(id), "%.*s", (int)strcspn(app_id, "#"), app_id);
	behind = strchr(id + len, '/');
	if (strcmp(behind ? behind : "", apps->end) != 0)
		return true;
	apps->code = delta_progress(apps->delta, id, &progress, apps->err);
	if (apps->code == ERR_OK && progress.any)
		retain_note_progress(apps->source, progress.position);
	return apps->code == ERR_OK;
}

static enum err_code retain_stream_done(struct retain_source *source, struct err *err)
{
	struct retain_apps apps = { .delta = source->table->delta, .source = source, .err = err };
	struct lake_partition first = source->where;

	first.generation = 1;
	lake_app_id(apps.prefix, TOPIC_STREAM, first, "");
	if (source->where.generation > 1)
		(void)snprintf(apps.end, sizeof(apps.end), "/g%04u", source->where.generation);
	delta_each_app(source->table->delta, retain_look_at_app, &apps);
	return apps.code;
}

static enum err_code retain_batch_done(struct retain_source *source, struct err *err)
{
	struct delta_progress progress;
	char app_id[LAKE_APP_ID_MAX];
	enum err_code code;

	lake_app_id(app_id, TOPIC_LOG, source->where, NULL);
	code = delta_progress(source->table->delta, app_id, &progress, err);
	if (code == ERR_OK && progress.any)
		retain_note_progress(source, progress.position);
	return code;
}

/* The sink's: what comes before the raw objects that are kept. */
static enum err_code retain_sink_done(const struct retaining *retaining,
				      struct retain_source *source, struct err *err)
{
	uint64_t from = 0;
	enum err_code code = raw_kept_find(retaining->options->store, source->where, &from, err);

	if (code == ERR_OK && from > 0)
		retain_note_progress(source, lake_position(from - 1));
	return code;
}

static enum err_code retain_find_done(const struct retaining *retaining,
				      struct retain_source *source, struct err *err)
{
	if (!source->table)
		return retain_sink_done(retaining, source, err);
	return retaining->table->kind == TOPIC_STREAM ? retain_stream_done(source, err)
						      : retain_batch_done(source, err);
}

/* --- what goes ---------------------------------------------------------------------- */

/* NULL: letters of a model that is not there any more, or of nobody's. */
static const struct retain_table *retain_table_of(const struct retaining *retaining,
						  struct slice name)
{
	for (size_t i = 0; i < retaining->table_count; i++)
		if (slice_is(name, retaining->tables[i].place.model->model.name))
			return &retaining->tables[i];
	return NULL;
}

static struct retain_source *retain_source_of(struct retain_letters_walk *walk,
					      struct lake_partition where,
					      const struct retain_table *table)
{
	struct retain_source source = { .where = where, .table = table };

	for (size_t i = walk->count; i-- > 0;)
		if (walk->sources[i].where.id == where.id && walk->sources[i].table == table &&
		    walk->sources[i].where.generation == where.generation)
			return &walk->sources[i];
	walk->code = retain_find_done(walk->retaining, &source, walk->err);
	walk->sources = xreallocarray(walk->sources, walk->count + 1, sizeof(source));
	walk->sources[walk->count] = source;
	return &walk->sources[walk->count++];
}

static bool retain_meet_letters(void *user, const struct store_entry *entry)
{
	struct retain_letters_walk *walk = user;
	const struct retaining *retaining = walk->retaining;
	struct lake_partition where = { .topic = retaining->table->topic };
	const struct retain_table *table = NULL;
	struct retain_source *source;
	struct dlq_key key;

	if (entry->modified_ms <= 0 ||
	    retaining->now_ms - entry->modified_ms < retaining->options->keep.letters_ms ||
	    !dlq_key_parse(entry->key, &key) || key.old ||
	    !partition_parse(retaining->table->kind, key.partition, &where.id))
		return true;
	where.generation = key.generation;
	if (key.table.ptr)
		table = retain_table_of(retaining, key.table);
	if (key.table.ptr && !table)
		return true;
	source = retain_source_of(walk, where, table);
	if (walk->code != ERR_OK || !source->any || position_cmp(key.range.upto, source->done) > 0)
		return walk->code == ERR_OK;
	if (!source->gone || position_cmp(key.range.upto, source->upto) > 0)
		source->upto = key.range.upto;
	source->gone = true;
	retain_keys_add(&walk->keys, entry->key, entry->size);
	return true;
}

/* The sink's need none: the raw objects' mark tells as much. */
static enum err_code retain_mark_letters(const struct retain_letters_walk *walk, struct err *err)
{
	const struct retaining *retaining = walk->retaining;
	struct store *store = retaining->options->store;
	struct letters_kept kept = { 0 };
	enum err_code code = letters_kept_find(store, retaining->table->topic, &kept, err);

	for (size_t i = 0; i < walk->count && code == ERR_OK; i++) {
		const struct retain_source *source = &walk->sources[i];
		char partition[PARTITION_TEXT_MAX];
		struct letters_mark mark = { .topic = slice_str(retaining->table->topic),
					     .generation = source->where.generation,
					     .upto = source->upto };
		struct position before;

		if (!source->gone || !source->table)
			continue;
		mark.table = slice_str(source->table->place.model->model.name);
		mark.partition = slice_of(partition, partition_text(retaining->table->kind,
								    source->where.id, partition));
		if (!letters_kept_upto(&kept, mark.partition, mark.generation,
				       source->table->place.model->model.name, &before) ||
		    position_cmp(before, mark.upto) < 0)
			code = letters_kept_put(store, &kept, &mark, err);
	}
	letters_kept_release(&kept);
	return code;
}

enum err_code retain_letters(struct retaining *retaining, struct err *err)
{
	struct retain_letters_walk walk = { .retaining = retaining, .err = err };
	char prefix[TOPIC_NAME_MAX + 8];
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "dlq/%s/", retaining->table->topic);
	code = store_list(retaining->options->store, prefix, "", retain_meet_letters, &walk, err);
	if (code == ERR_OK)
		code = walk.code;
	if (code == ERR_OK && walk.keys.count > 0 && !retaining->options->dry_run)
		code = retain_mark_letters(&walk, err);
	if (code == ERR_OK && walk.keys.count > 0)
		code = retain_fail_at(FAILPOINT("retain-letters-marked"), err);
	if (code == ERR_OK)
		code = retain_remove(retaining, &walk.keys, &retaining->report->letters, err);
	if (code == ERR_OK)
		code = retain_fail_at(FAILPOINT("retain-letters-removed"), err);
	retain_keys_release(&walk.keys);
	free(walk.sources);
	return code;
}
