#include "flow/results.h"

#include "base/ahead.h"
#include "base/dir.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/table_files.h"
#include "flow/table_version.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	RESULT_BYTES_MAX = 256 << 20,
	PENDING_BYTES = 4 << 20,
	TABLES_AT_ONCE = 4,
	LIVE_TRIES = 3,
};

bool results_kept_dir(const char *dir, bool make, char kept_dir[PATH_MAX])
{
	struct err unused;

	return snprintf(kept_dir, PATH_MAX, "%s/cache/current", dir) < PATH_MAX &&
	       (!make || access(kept_dir, W_OK) == 0 ||
		dir_make(kept_dir, 0777, &unused) == ERR_OK);
}

void results_run_name(int64_t wall_ms, char run[RUN_NAME_MAX])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm = { 0 };
	size_t len;

	(void)gmtime_r(&seconds, &tm);
	len = strftime(run, RUN_NAME_MAX, "%Y%m%dT%H%M%S", &tm);
	(void)snprintf(run + len, RUN_NAME_MAX - len, "%03dZ", (int)(wall_ms % 1000));
}

int64_t results_run_time(struct slice run)
{
	char text[RUN_NAME_MAX];
	struct tm tm = { 0 };
	const char *end;

	(void)snprintf(text, sizeof(text), "%.*s", SLICE_ARG(run));
	end = strptime(text, "%Y%m%dT%H%M%S", &tm);
	if (run.len != strlen("20260102T030405678Z") || !end || strspn(end, "0123456789") != 3 ||
	    strcmp(end + 3, "Z") != 0)
		return -1;
	return (int64_t)timegm(&tm) * 1000 + strtol(end, NULL, 10);
}

/* Tables that are opened side by side. */
struct attaching {
	const struct results_options *options;
	const struct lake_table *places;
	const char *question;		/* NULL: any */
	struct engine_table *tables;
	bool *absent;			/* by table: it is not there yet */
	struct delta_table **deltas;	/* by table: where it is open, and goes on in the log */
	char **reasons;			/* by table: why not */
};

/* The files of a table for an engine that opens them itself. */
static void put_urls(const struct results_options *options, const char *root,
		     const struct delta_table *delta, struct engine_table *ret_table)
{
	size_t count = delta_file_count(delta);
	const char **urls = xcalloc(count, sizeof(*urls));

	for (size_t i = 0; i < count; i++) {
		const char *path = delta_file(delta, i)->path;
		size_t room = strlen(options->lake_url) + strlen(root) + strlen(path) + 3;
		char *url = xmalloc(room);

		(void)snprintf(url, room, "%s/%s/%s", options->lake_url, root, path);
		urls[i] = url;
	}
	ret_table->urls = urls;
	ret_table->url_count = count;
}

/* What its files are called, and where it is kept which of their rows are current. */
static void results_put_kept(const struct results_options *options, const char *root,
			     const struct delta_table *delta, struct engine_table *ret_table)
{
	size_t count = delta_file_count(delta);
	const char **names = xcalloc(count + 1, sizeof(*names));
	const char *slash = strrchr(root, '/');
	size_t room = strlen(options->kept_dir) + strlen(root) + 2;
	char *kept = xmalloc(room);

	for (size_t i = 0; i < count; i++)
		names[i] = xstrdup(delta_file(delta, i)->path);
	(void)snprintf(kept, room, "%s/%s", options->kept_dir, slash ? slash + 1 : root);
	ret_table->names = names;
	ret_table->rows = delta_rows(delta);
	ret_table->kept = kept;
	ret_table->keeps = options->keeps;
}

/* It is left open where it goes on in the log. */
static enum err_code results_find_table(const struct attaching *attaching, size_t item,
					struct err *err)
{
	const struct results_options *options = attaching->options;
	const struct lake_table *table = &attaching->places[item];
	struct engine_table *ret_table = &attaching->tables[item];
	bool *ret_absent = &attaching->absent[item];

	const struct delta_options read_only = { 0 };
	struct delta_table *delta = NULL;
	struct table_files files = { 0 };
	enum err_code code = delta_open(options->store, table->root, &read_only, &delta, err);

	*ret_absent = code == ERR_ABSENT;
	if (*ret_absent)
		return ERR_OK;
	if (code == ERR_UNSUPPORTED || code == ERR_CORRUPT) {	/* of this table alone */
		ret_table->broken = xstrdup(err->msg);
		return ERR_OK;
	}
	if (code != ERR_OK)
		return code;
	if (options->note)
		options->note(options->note_user, item, delta);
	if (options->lake_url)
		put_urls(options, table->root, delta, ret_table);
	else
		code = table_files_open(options->store, table->root, delta, &files, err);
	if (code == ERR_OK && !options->lake_url && options->kept_dir) {
		results_put_kept(options, table->root, delta, ret_table);
		ret_table->name_count = files.count;
	}
	if (code == ERR_OK && !ret_table->no_live)
		attaching->deltas[item] = delta;
	else
		delta_close(delta);
	if (code == ERR_ABSENT) {
		ret_table->broken = xstrdup(err->msg);
		return ERR_OK;
	}
	ret_table->files = files.list;
	ret_table->file_count = files.count;
	return code;
}

static enum err_code attach_version(const struct attaching *attaching,
				    const struct sql_version *version, struct engine_table *table,
				    struct err *err)
{
	table->no_live = "a version has none";
	return table_version_open(attaching->options->store, &attaching->places[version->table],
				  version, table, err);
}

/* Whether the text may name the live view of a table. */
static bool names_live(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *at = text;

	while ((at = strcasestr(at, name)) != NULL) {
		if (strncasecmp(at + len, "_live", strlen("_live")) == 0)
			return true;
		at++;
	}
	return false;
}

static bool is_asked_live(const struct attaching *attaching, const char *name)
{
	const struct models *models = attaching->options->models;
	bool is = attaching->options->live_all;

	if (attaching->question)
		return is || names_live(attaching->question, name);
	for (size_t i = 0; i < models->analysis_count && !is; i++)
		is = names_live(models->analyses[i].model.sql, name);
	return is;
}

static enum err_code attach_one(void *user, size_t i, struct err *err)
{
	const struct attaching *attaching = user;
	const struct results_options *options = attaching->options;
	size_t count = options->models->clean_count;
	struct engine_table *table = &attaching->tables[i];
	const char *why;

	if (i >= count)
		return attach_version(attaching, &options->versions[i - count], table, err);
	why = options->refused ? options->refused[i] : NULL;
	table->model = attaching->places[i].model;
	/* A name can be written in other ways, as E'g\x65o', but nobody does. */
	table->unread = attaching->question &&
			!strcasestr(attaching->question, table->model->model.name);
	if (table->unread)
		return ERR_OK;
	if (!options->live)
		table->no_live =
			"a batch answers over what is cleaned; sql and analyse read the log";
	else if (!is_asked_live(attaching, table->model->model.name))
		table->no_live = "write its name out: the text does not hold it";
	if (!why)
		return results_find_table(attaching, i, err);
	table->broken = xstrdup(why);
	return ERR_OK;
}

/* ---- Beyond the tables ---- */

/* What is wrong with one table's log, or its model, takes no other table with it. */
static bool is_of_one_log(enum err_code code)
{
	return code == ERR_CORRUPT || code == ERR_UNSUPPORTED || code == ERR_SHAPE ||
	       code == ERR_USAGE || code == ERR_DENIED;
}

static void add_tail(const struct attaching *attaching, size_t i, struct live_tail *tail)
{
	struct engine_table *table = &attaching->tables[i];

	attaching->absent[i] &= !tail->there;
	table->live = attaching->options->live_all;
	table->tail_count = tail->count;
	table->files = xreallocarray(table->files, table->file_count + tail->count + 1,
				     sizeof(*table->files));
	for (size_t f = 0; f < tail->count; f++)
		table->files[table->file_count++] = tail->files[f];
	tail->count = 0;
	live_tail_release(tail);
}

/* Why a table is not live is told where it is named. */
static enum err_code refuse_tail(const struct attaching *attaching, size_t i, struct err *err)
{
	struct engine_table *table = &attaching->tables[i];

	if (attaching->options->live_softly && err->code != ERR_STOPPED) {
		table->no_live = attaching->reasons[i] = xstrdup(err->msg);
		trace_warn("what the log has beyond table \"%s\" is left out: %s",
			   table->model->model.name, err->msg);
		return ERR_OK;
	}
	if (!is_of_one_log(err->code))
		return err->code;
	if (attaching->options->live_all)
		table->broken = xstrdup(err->msg);
	else
		table->no_live = attaching->reasons[i] = xstrdup(err->msg);
	return ERR_OK;
}

static enum err_code open_again(const struct attaching *attaching, size_t i, struct err *err)
{
	struct engine_table *table = &attaching->tables[i];
	struct table_files files = { table->files, table->file_count };

	table_files_close(&files);
	table->files = NULL;
	table->file_count = 0;
	return results_find_table(attaching, i, err);
}

/*
 * Where the log has let go of what the table had not, the table has it now, most probably, and both
 * are looked at again. A topic may be made anew between two questions about it.
 */
static enum err_code results_read_tail(const struct attaching *attaching, size_t i, struct err *err)
{
	struct engine_table *table = &attaching->tables[i];
	struct live_tail tail = { 0 };
	enum err_code code = ERR_OK;

	for (int tries = 0; tries < LIVE_TRIES && code == ERR_OK; tries++) {
		struct delta_table *delta = attaching->deltas[i];
		bool last = tries == LIVE_TRIES - 1, again;

		attaching->deltas[i] = NULL;
		live_tail_release(&tail);
		code = live_read(attaching->options->live, &attaching->places[i], delta, &tail,
				 err);
		again = code == ERR_OK ? tail.moved
				       : code == ERR_NO_TOPIC || code == ERR_NO_PARTITION;
		if (!again || last)
			break;
		code = open_again(attaching, i, err);
		if (table->broken)
			break;
	}
	if (code != ERR_OK)
		return refuse_tail(attaching, i, err);
	if (tail.moved)
		trace_warn("records of table \"%s\" are in no log any more, and not in the table",
			   table->model->model.name);
	add_tail(attaching, i, &tail);
	return ERR_OK;
}

static enum err_code results_read_one(void *user, size_t i, struct err *err)
{
	const struct attaching *attaching = user;
	const struct engine_table *table = &attaching->tables[i];

	if (table->unread || table->broken || table->no_live)
		return ERR_OK;
	return results_read_tail(attaching, i, err);
}

/* Each waits for its broker, and they are cleaned in turn. */
static enum err_code results_read_tails(struct attaching *attaching, size_t count, struct err *err)
{
	return ahead_all(&(struct ahead_options){ .count = attaching->options->live ? count : 0,
						  .at_once = TABLES_AT_ONCE,
						  .work = results_read_one,
						  .user = attaching },
			 err);
}

/* The files of one that the engine did not take. */
static void drop_table(const struct engine_table *table)
{
	struct table_files files = { table->files, table->file_count };

	table_files_close(&files);
	for (size_t i = 0; i < table->name_count; i++)
		free((void *)(uintptr_t)table->names[i]);
	free((void *)(uintptr_t)table->names);
	free((void *)(uintptr_t)table->kept);
	for (size_t i = 0; i < table->url_count; i++)
		free((void *)(uintptr_t)table->urls[i]);
	free((void *)(uintptr_t)table->urls);
	free((void *)(uintptr_t)table->broken);
}

static void results_tell_missing(const struct attaching *attaching, size_t count,
				 struct results_missing *ret_missing)
{
	*ret_missing = (struct results_missing){ 0 };
	for (size_t i = 0; i < count; i++) {
		if (attaching->tables[i].unread)
			continue;
		if (!attaching->absent[i]) {
			ret_missing->count = 0;
			return;
		}
		if (ret_missing->count++ == 0)
			(void)snprintf(ret_missing->first, sizeof(ret_missing->first), "%s",
				       attaching->places[i].root);
	}
}

static void attaching_release(const struct attaching *attaching, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		delta_close(attaching->deltas[i]);
		free(attaching->reasons[i]);
	}
	free(attaching->deltas);
	free(attaching->reasons);
	free(attaching->absent);
}

/* Questions that name them are told why they cannot be answered. */
static size_t attach_broken(const struct models *models, struct engine_table *tables)
{
	size_t count = 0;

	for (size_t i = 0; i < models->broken_count; i++)
		if (models->broken[i].kind == MODEL_CLEAN)
			tables[count++] = (struct engine_table){
				.model = &models->broken[i].table,
				.broken = xstrdup(models->broken[i].fault),
			};
	return count;
}

enum err_code results_attach(const struct results_options *options, enum topic_kind kind,
			     const char *question, struct results_missing *ret_missing,
			     struct err *err)
{
	size_t count = options->models->clean_count, all;
	size_t broken = models_broken(options->models, MODEL_CLEAN);
	size_t versions = options->version_count;
	struct engine_table *tables = xcalloc(count + versions + broken, sizeof(*tables));
	struct lake_table *places = NULL;
	enum err_code code = lake_tables_new(options->models, kind, options->id, &places, err);
	struct attaching attaching = {
		.options = options,
		.places = places,
		.question = question,
		.tables = tables,
		.absent = xcalloc(count, sizeof(*attaching.absent)),
		.deltas = xcalloc(count, sizeof(*attaching.deltas)),
		.reasons = xcalloc(count, sizeof(*attaching.reasons)),
	};
	size_t at_once = store_at_once(options->store);

	if (code == ERR_OK)
		code = ahead_all(
			&(struct ahead_options){
				.count = count + versions,
				.at_once = at_once < TABLES_AT_ONCE ? at_once : TABLES_AT_ONCE,
				.work = attach_one,
				.user = &attaching,
			},
			err);
	if (code == ERR_OK)
		code = results_read_tails(&attaching, count, err);
	if (code == ERR_OK && ret_missing)
		results_tell_missing(&attaching, count, ret_missing);
	all = count + versions;
	all += attach_broken(options->models, tables + all);
	if (code == ERR_OK)
		code = engine_attach(options->engine, tables, all, err);
	for (size_t i = 0; i < all; i++)
		drop_table(&tables[i]);
	attaching_release(&attaching, count);
	free(places);
	free(tables);
	return code;
}

/* --- answers on their way ------------------------------------------------------- */

/* What is to be put, all of it at once where a put takes its time. */
struct pending {
	struct store *store;
	struct pending_put {
		char key[STORE_KEY_MAX + 1];
		struct buf body;
	} * list;
	size_t count;
	size_t bytes;
};

static enum err_code pending_put(void *user, size_t item, struct err *err)
{
	const struct pending *pending = user;
	const struct pending_put *put = &pending->list[item];
	int fault = FAILPOINT("results-put");

	if (fault) {
		errno = fault;
		return err_errno(err, "could not write the answer \"%s\"", put->key);
	}
	return store_put(pending->store, put->key, buf_slice(&put->body), STORE_REPLACE, err);
}

static void pending_clear(struct pending *pending)
{
	for (size_t i = 0; i < pending->count; i++)
		buf_release(&pending->list[i].body);
	pending->count = 0;
	pending->bytes = 0;
}

static enum err_code pending_flush(struct pending *pending, struct err *err)
{
	struct ahead_options options = { .count = pending->count,
					 .at_once = store_at_once(pending->store),
					 .work = pending_put,
					 .user = pending };
	enum err_code code = ahead_all(&options, err);

	pending_clear(pending);
	return code;
}

static void pending_release(struct pending *pending)
{
	pending_clear(pending);
	free(pending->list);
}

/* Takes the bytes of `body`, which is empty then. */
static enum err_code results_replace(struct pending *pending, const char *name,
				     const char *extension, struct buf *body, struct err *err)
{
	struct pending_put *put;

	if (buf_full(body))
		return err_set(err, ERR_LIMIT, "the answer of \"%s\" is too large for %s", name,
			       extension);
	pending->list = xreallocarray(pending->list, pending->count + 1, sizeof(*pending->list));
	put = &pending->list[pending->count++];
	(void)snprintf(put->key, sizeof(put->key), "results/%s.%s", name, extension);
	put->body = *body;
	buf_init(body, RESULT_BYTES_MAX);
	pending->bytes += put->body.len;
	return pending->bytes > PENDING_BYTES ? pending_flush(pending, err) : ERR_OK;
}

/* --- one answer ------------------------------------------------------------------- */

static enum err_code results_read_file(const char *path, struct buf *out, struct err *err)
{
	FILE *file = fopen(path, "re");
	enum err_code code = ERR_OK;
	char *room;
	size_t n;

	if (!file)
		return err_errno(err, "could not open \"%s\"", path);
	do {
		room = buf_room(out, 1 << 16);
		n = room ? fread(room, 1, 1 << 16, file) : 0;
		buf_grew(out, n);
	} while (n);
	if (ferror(file))
		code = err_errno(err, "could not read \"%s\"", path);
	(void)fclose(file);
	return code;
}

static void results_put_member(struct buf *out, const char *name, const char *text)
{
	buf_addf(out, "\"%s\":", name);
	json_put_string(out, slice_str(text));
	buf_add_char(out, ',');
}

static void results_put_json(struct buf *out, const struct analysis_model *analysis,
			     const char *run, const struct answer *answer)
{
	buf_add_char(out, '{');
	results_put_member(out, "name", analysis->model.name);
	results_put_member(out, "title", analysis->model.title);
	results_put_member(out, "description", analysis->description);
	results_put_member(out, "chart", chart_name(analysis->chart));
	results_put_member(out, "run", run);
	answer_put_members(out, answer);
	buf_add_str(out, "}\n");
}

static enum err_code write_answer(struct pending *pending, const struct analysis_model *analysis,
				  const char *run, const struct answer *answer, const char *parquet,
				  struct err *err)
{
	const char *name = analysis->model.name;
	struct buf body;
	enum err_code code;

	buf_init(&body, RESULT_BYTES_MAX);
	code = results_read_file(parquet, &body, err);
	if (code == ERR_OK)
		code = results_replace(pending, name, "parquet", &body, err);
	answer_put_csv(&body, answer);
	if (code == ERR_OK)
		code = results_replace(pending, name, "csv", &body, err);
	results_put_json(&body, analysis, run, answer);
	if (code == ERR_OK)
		code = results_replace(pending, name, "json", &body, err);
	buf_release(&body);
	return code;
}

/* Ask one. What is wrong with its SQL goes into the report, the rest is an error. */
static enum err_code work_out(const struct results_options *options, struct pending *pending,
			      const struct analysis_model *analysis, const char *run,
			      struct result_report *report, struct err *err)
{
	int64_t start_ms = clock_mono_ms();
	char parquet[PATH_MAX];
	struct answer answer;
	enum err_code code;

	report->name = analysis->model.name;
	if (snprintf(parquet, sizeof(parquet), "%s/answer.parquet", options->temp_dir) >=
	    (int)sizeof(parquet))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", options->temp_dir);
	(void)unlink(parquet);
	code = engine_ask(options->engine, &analysis->model, parquet, &answer, err);
	if (code == ERR_OK) {
		report->rows = answer.row_count;
		code = write_answer(pending, analysis, run, &answer, parquet, err);
		answer_release(&answer);
	} else if (code == ERR_USAGE || code == ERR_SHAPE || code == ERR_LIMIT ||
		   code == ERR_UNSUPPORTED) {
		report->err = *err;
		code = ERR_OK;
	}
	(void)unlink(parquet);
	report->duration_ms = clock_mono_ms() - start_ms;
	return code;
}

struct stale {
	const struct models *models;
	char key[STORE_KEY_MAX + 1];	/* "": none found */
};

/* What ends otherwise in "results/" is not ours. */
static bool is_answer(const char *name)
{
	static const char *const extensions[] = { ".json", ".csv", ".parquet" };
	const char *rest = name + strcspn(name, "/.");

	for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
		if (strcmp(rest, extensions[i]) == 0)
			return true;
	return false;
}

/* "results/<name>.<extension>" whose analysis is gone. */
static bool find_stale(void *user, const struct store_entry *entry)
{
	struct stale *stale = user;
	const char *name = entry->key + strlen("results/");
	char analysis[STORE_KEY_MAX + 1];

	(void)snprintf(analysis, sizeof(analysis), "%.*s", (int)strcspn(name, "."), name);
	if (!is_answer(name) || models_analysis(stale->models, analysis) ||
	    models_fault(stale->models, MODEL_ANALYSIS, analysis))
		return true;
	(void)snprintf(stale->key, sizeof(stale->key), "%s", entry->key);
	return false;
}

static enum err_code remove_stale(const struct results_options *options, struct err *err)
{
	struct stale stale = { .models = options->models };
	enum err_code code;

	do {
		stale.key[0] = '\0';
		code = store_list(options->store, "results/", "", find_stale, &stale, err);
		if (code == ERR_OK && stale.key[0])
			code = store_remove(options->store, stale.key, err);
	} while (code == ERR_OK && stale.key[0]);
	return code;
}

/* Those whose headers are broken keep the answers that they have. */
static void results_put_broken(const struct models *models, struct results_report *report)
{
	for (size_t i = 0; i < models->broken_count; i++) {
		const struct broken_model *broken = &models->broken[i];
		struct result_report *told = &report->list[report->count];

		if (broken->kind != MODEL_ANALYSIS)
			continue;
		told->name = broken->name;
		err_set(&told->err, ERR_USAGE, "%s", broken->fault);
		report->count++;
		report->failed++;
	}
}

enum err_code results_write(const struct results_options *options, const char *run,
			    struct results_report *ret_report, struct err *err)
{
	struct results_report report = { .count = options->models->analysis_count };
	size_t broken = models_broken(options->models, MODEL_ANALYSIS);
	struct pending pending = { .store = options->store };
	int64_t start_ms = clock_mono_ms();
	enum err_code code = ERR_OK;

	(void)snprintf(report.run, sizeof(report.run), "%s", run);
	report.list = xcalloc(report.count + broken, sizeof(*report.list));
	for (size_t i = 0; i < report.count && code == ERR_OK; i++) {
		code = work_out(options, &pending, &options->models->analyses[i], run,
				&report.list[i], err);
		report.failed += report.list[i].err.code != ERR_OK;
	}
	results_put_broken(options->models, &report);
	if (code == ERR_OK)
		code = pending_flush(&pending, err);
	pending_release(&pending);
	if (code == ERR_OK)
		code = remove_stale(options, err);
	report.duration_ms = clock_mono_ms() - start_ms;
	if (code == ERR_OK)
		*ret_report = report;
	else
		free(report.list);
	return code;
}

enum { OLDEST_MAX = 2 * RESULTS_IDLE_RUNS };

struct runs {
	size_t count;
	char oldest[OLDEST_MAX][sizeof("results/runs/.json") + RUN_NAME_MAX];
};

static bool count_run(void *user, const struct store_entry *entry)
{
	struct runs *runs = user;

	if (runs->count < OLDEST_MAX)
		(void)snprintf(runs->oldest[runs->count], sizeof(runs->oldest[0]), "%s",
			       entry->key);
	runs->count++;
	return true;
}

/* One comes, one goes, or as many as idle runs have left. */
static enum err_code trim_runs(struct store *store, struct err *err)
{
	struct runs runs = { 0 };
	enum err_code code = store_list(store, "results/runs/", "", count_run, &runs, err);

	for (size_t i = 0; code == ERR_OK && i < OLDEST_MAX && runs.count > RESULTS_RUNS_MAX;
	     i++, runs.count--)
		code = store_remove(store, runs.oldest[i], err);
	return code;
}

/* Which of them let go of older ones only the last digits of their names say. */
enum err_code results_write_idle_run(struct store *store, const char *run, struct slice text,
				     struct err *err)
{
	char key[STORE_KEY_MAX + 1];
	enum err_code code;

	(void)snprintf(key, sizeof(key), "results/runs/%s.json", run);
	code = store_put(store, key, text, STORE_REPLACE, err);
	if (code == ERR_OK && results_run_time(slice_str(run)) % RESULTS_IDLE_RUNS == 0)
		code = trim_runs(store, err);
	return code;
}

enum err_code results_write_run(struct store *store, const char *run, struct slice text,
				enum store_mode mode, struct err *err)
{
	char key[STORE_KEY_MAX + 1];
	enum err_code code;

	(void)snprintf(key, sizeof(key), "results/runs/%s.json", run);
	code = store_put(store, key, text, mode, err);
	return code == ERR_OK ? trim_runs(store, err) : code;
}

struct newest {
	char (*names)[RUN_NAME_MAX];
	size_t most;
	size_t seen;
};

static bool keep_newest(void *user, const struct store_entry *entry)
{
	struct newest *newest = user;
	struct slice name = slice_from(slice_str(entry->key), strlen("results/runs/"));

	if (name.len < 5 || strcmp(name.ptr + name.len - 5, ".json") != 0)
		return true;
	name.len -= 5;
	if (results_run_time(name) >= 0)
		(void)snprintf(newest->names[newest->seen++ % newest->most], RUN_NAME_MAX, "%.*s",
			       SLICE_ARG(name));
	return true;
}

enum err_code results_runs(struct store *store, size_t most, char (**ret_names)[RUN_NAME_MAX],
			   size_t *ret_count, struct err *err)
{
	struct newest newest = { xcalloc(most, RUN_NAME_MAX), most, 0 };
	enum err_code code = store_list(store, "results/runs/", "", keep_newest, &newest, err);
	size_t count = newest.seen < most ? newest.seen : most;

	if (code == ERR_OK) {
		*ret_names = xcalloc(most, RUN_NAME_MAX);
		*ret_count = count;
		for (size_t i = 0; i < count; i++)
			memcpy((*ret_names)[i], newest.names[(newest.seen - 1 - i) % most],
			       RUN_NAME_MAX);
	}
	free(newest.names);
	return code;
}

enum err_code results_read_run(struct store *store, const char *run, struct buf *out,
			       struct err *err)
{
	char key[STORE_KEY_MAX + 1];

	(void)snprintf(key, sizeof(key), "results/runs/%s.json", run);
	return store_get(store, key, 0, UINT64_MAX, out, err);
}
