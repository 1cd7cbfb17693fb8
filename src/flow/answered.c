#include "flow/answered.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "base/trace.h"
#include "flow/answered_file.h"
#include "flow/answered_log.h"
#include "net/sigv4.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

enum { MODELS_BYTES_MAX = 64 << 20 };

static const char answered_key[] = "results/answered";

struct answered {
	struct answered_options options;
	struct lake_table *places; /* of the clean models; NULL: with this id there are none */
	struct answered_file now;  /* of them, in their order */
	bool there;		   /* the lake has what was read */
	bool fits;		   /* that is of these models */
	bool *noted;		   /* by table: as the analyses have it */
};

/* --- of which models ---------------------------------------------------------- */

/* With its end, so that no two lists of texts look alike. */
static void answered_put_text(struct buf *out, const char *text)
{
	buf_add(out, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void put_model(struct buf *out, const struct model *model)
{
	answered_put_text(out, model->name);
	answered_put_text(out, model->title);
	answered_put_text(out, model->sql);
}

static void answered_put_clean(struct buf *out, const struct clean_model *clean)
{
	put_model(out, &clean->model);
	answered_put_text(out, clean->topic);
	answered_put_text(out, clean->key);
	for (size_t i = 0; i < clean->field_count; i++) {
		answered_put_text(out, clean->fields[i].name);
		answered_put_text(out, clean->fields[i].alias);
	}
	for (size_t i = 0; i < clean->foreign_count; i++)
		answered_put_text(out, clean->foreign[i].field);
	for (size_t i = 0; i < clean->schema.count; i++)
		buf_addf(out, "%s %d,", clean->schema.columns[i].name,
			 (int)clean->schema.columns[i].type);
	answered_put_text(out, "");
}

static void hash_models(const struct answered_options *options, char hash[SIGV4_HASH_LEN + 1])
{
	const struct models *models = options->models;
	struct buf text;

	buf_init(&text, MODELS_BYTES_MAX);
	answered_put_text(&text, PINPIPE_VERSION);
	answered_put_text(&text, options->id);
	answered_put_text(&text, options->engine);
	for (size_t i = 0; i < models->clean_count; i++)
		answered_put_clean(&text, &models->clean[i]);
	for (size_t i = 0; i < models->analysis_count; i++) {
		const struct analysis_model *analysis = &models->analyses[i];

		put_model(&text, &analysis->model);
		answered_put_text(&text, analysis->description);
		answered_put_text(&text, chart_name(analysis->chart));
	}
	sigv4_hash(buf_slice(&text), hash);
	buf_release(&text);
}

/* Words that make another question of the same text. Rather one too many: such an analysis is asked
 * every time. */
static bool is_moving_word(const char *word, size_t len)
{
	static const char *const moving[] = {
		"now",
		"today",
		"age",
		"random",
		"rand",
		"uuid",
		"uuidv4",
		"uuidv7",
		"tablesample",
		"sample",
		"current_date",
		"current_time",
		"curdate",
		"localtime",
		"localtimestamp",
		"current_timestamp",
		"current_localtime",
		"current_localtimestamp",
		"get_current_time",
		"get_current_timestamp",
		"transaction_timestamp",
		"gen_random_uuid",
		"unix_timestamp",
		"shuffle",
		"randn",
		"current_timezone",
	};

	for (size_t i = 0; i < ARRAY_LEN(moving); i++)
		if (strlen(moving[i]) == len && strncasecmp(moving[i], word, len) == 0)
			return true;
	return false;
}

/* A column may have such a name; what is followed by a bracket is a function, and what begins with
 * "current" or "local", or says "sample", needs none. */
static bool is_moving(const char *sql)
{
	for (const char *c = sql; *c;) {
		size_t len = 0;
		const char *behind;

		while (isalnum((unsigned char)c[len]) || c[len] == '_')
			len++;
		behind = c + len + strspn(c + len, " \t\r\n");
		if (len > 0 && is_moving_word(c, len) &&
		    (*behind == '(' || strncasecmp(c, "current", 7) == 0 ||
		     strncasecmp(c, "local", 5) == 0 || strncasecmp(c, "sample", 6) == 0 ||
		     strncasecmp(c, "tablesample", 11) == 0))
			return true;
		c += len > 0 ? len : 1;
	}
	return false;
}

static bool models_move(const struct models *models)
{
	for (size_t i = 0; i < models->analysis_count; i++)
		if (is_moving(models->analyses[i].model.sql))
			return true;
	return false;
}

/* --- what is there --------------------------------------------------------------- */

struct answered *answered_new(const struct answered_options *options)
{
	struct answered *answered = xcalloc(1, sizeof(*answered));
	const struct models *models = options->models;
	char hash[SIGV4_HASH_LEN + 1];
	struct answered_file found;
	struct err err;

	answered->options = *options;
	answered->noted = xcalloc(models->clean_count + 1, sizeof(*answered->noted));
	hash_models(options, hash);
	answered_file_init(&answered->now, hash, models);
	if (lake_tables_new(models, TOPIC_LOG, options->id, &answered->places, &err) != ERR_OK)
		return answered;
	if (answered_file_get(options->store, answered_key, &found, &err) != ERR_OK) {
		answered->there = err.code != ERR_ABSENT;
		trace_debug("what the answers were made of is not known: %s", err.msg);
		return answered;
	}
	answered->there = true;
	answered->fits = strcmp(found.hash, hash) == 0 && answered_file_fits(&found, models);
	if (answered->fits) {
		answered_file_release(&answered->now);
		answered->now = found;
	} else {
		answered_file_release(&found);
	}
	return answered;
}

void answered_free(struct answered *answered)
{
	if (!answered)
		return;
	answered_file_release(&answered->now);
	free(answered->places);
	free(answered->noted);
	free(answered);
}

/* --- whether it still is --------------------------------------------------------- */

struct looking {
	struct answered *answered;
	bool same[]; /* the results, and each table */
};

static bool note_result(void *user, const struct store_entry *entry)
{
	struct answered_results *results = user;

	if (entry->key[strlen(entry->key) - 1] != '/' && strcmp(entry->key, answered_key) != 0)
		answered_results_add(results, entry->key, entry->size,
				     entry->version ? entry->version
						    : (uint64_t)entry->modified_ms);
	return true;
}

static enum err_code list_results(const struct answered *answered,
				  struct answered_results *ret_results, struct err *err)
{
	struct answered_results results = { 0 };
	enum err_code code =
		store_level(answered->options.store, "results/", note_result, &results, err);

	if (code == ERR_OK)
		*ret_results = results;
	else
		answered_results_release(&results);
	return code;
}

static enum err_code look_at_results(struct looking *looking, bool *ret_same, struct err *err)
{
	const struct answered *answered = looking->answered;
	struct answered_results there;
	enum err_code code = list_results(answered, &there, err);

	if (code != ERR_OK)
		return code;
	*ret_same = answered_results_same(&there, &answered->now.results);
	answered_results_release(&there);
	return ERR_OK;
}

/* A table, its topic's folders and its partitions' newest objects. */
static enum err_code look_at_table(struct looking *looking, size_t item, bool *ret_same,
				   struct err *err)
{
	struct answered *answered = looking->answered;
	struct answered_table *table = &answered->now.tables[item];
	struct batch_finder finder = { .store = answered->options.store,
				       .table = &answered->places[item],
				       .known = &table->known,
				       .bytes_max = UINT64_MAX };
	bool last, any = true;
	enum err_code code = answered_commit_is_last(finder.store, finder.table->root,
						     &table->commit, &last, err);

	if (code == ERR_OK && last)
		code = batch_find_any(&finder, &any, err);
	*ret_same = code == ERR_OK && !any;
	return code;
}

/* Of the results, and then of each table. */
static enum err_code answered_look_at(void *user, size_t item, struct err *err)
{
	struct looking *looking = user;

	return item == 0 ? look_at_results(looking, &looking->same[0], err)
			 : look_at_table(looking, item - 1, &looking->same[item], err);
}

static bool is_all_the_same(struct answered *answered)
{
	size_t count = 1 + answered->options.models->clean_count;
	struct looking *looking = xcalloc(1, sizeof(*looking) + count * sizeof(bool));
	struct err err;
	enum err_code code;
	bool same = true;

	looking->answered = answered;
	code = ahead_all(
		&(struct ahead_options){
			.count = count,
			.at_once = store_at_once(answered->options.store),
			.work = answered_look_at,
			.user = looking,
		},
		&err);
	if (code != ERR_OK)
		trace_debug("whether there is anything new is not known: %s", err.msg);
	for (size_t i = 0; i < count; i++)
		same &= looking->same[i];
	free(looking);
	return code == ERR_OK && same;
}

/* What was found out about folders, and that a version changed nothing, saves the next run work. */
static void bring_up(const struct answered *answered)
{
	struct err err;

	if (answered_file_is_as_read(&answered->now))
		return;
	if (answered_file_put(answered->options.store, answered_key, &answered->now, &err) !=
	    ERR_OK)
		trace_debug("what the answers were made of is not brought up: %s", err.msg);
}

bool answered_is_now(struct answered *answered)
{
	const struct models *models = answered->options.models;

	if (!answered->fits || models->broken_count > 0 || models_move(models) ||
	    !is_all_the_same(answered))
		return false;
	bring_up(answered);
	return true;
}

uint64_t answered_table_rows(const struct answered *answered, size_t table)
{
	return answered->now.tables[table].rows;
}

uint64_t answered_analysis_rows(const struct answered *answered, size_t analysis)
{
	return answered->now.analysis_rows[analysis];
}

/* --- for who makes answers -------------------------------------------------------- */

struct batch_known *answered_known(struct answered *answered, size_t table)
{
	return &answered->now.tables[table].known;
}

enum err_code answered_forget(struct answered *answered, struct err *err)
{
	if (!answered->there)
		return ERR_OK;
	answered->there = false;
	return store_remove(answered->options.store, answered_key, err);
}

struct noting {
	struct batch_known *known;
	const struct delta_table *delta;
};

static bool answered_note_app(void *user, const char *app_id)
{
	struct noting *noting = user;

	if (strncmp(app_id, "pinpipe/batch/", strlen("pinpipe/batch/")) == 0)
		batch_known_add_txn(noting->known, app_id,
				    delta_txn_version(noting->delta, app_id));
	return true;
}

void answered_note(void *user, size_t item, const struct delta_table *delta)
{
	struct answered *answered = user;
	struct answered_table *table = &answered->now.tables[item];
	struct noting noting = { &table->known, delta };
	bool last;
	struct err err;

	table->rows = delta_rows(delta);
	batch_known_clear_txns(&table->known);
	delta_each_app(delta, answered_note_app, &noting);
	answered->noted[item] =
		answered_commit_find(answered->options.store, answered->places[item].root,
				     delta_version(delta), &table->commit, &last, &err) == ERR_OK;
}

enum err_code answered_write(struct answered *answered, const struct results_report *results,
			     struct err *err)
{
	const struct models *models = answered->options.models;
	enum err_code code;

	if (!answered->places || models->broken_count > 0 || models_move(models))
		return ERR_OK;
	for (size_t i = 0; i < models->clean_count; i++)
		if (!answered->noted[i])
			return ERR_OK;
	for (size_t i = 0; i < models->analysis_count; i++)
		answered->now.analysis_rows[i] = results->list[i].rows;
	answered_results_release(&answered->now.results);
	code = list_results(answered, &answered->now.results, err);
	return code == ERR_OK ? answered_file_put(answered->options.store, answered_key,
						  &answered->now, err)
			      : code;
}
