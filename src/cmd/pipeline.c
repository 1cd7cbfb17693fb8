#include "cmd/pipeline.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/children.h"
#include "cmd/cmd.h"
#include "cmd/draining.h"
#include "cmd/progress.h"
#include "cmd/setup.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { START_MS = 20000, DRAIN_MS = 600000, STOP_MS = 30000, URL_BYTES_MAX = 512,
       REPLY_BYTES_MAX = 256 << 20 };

struct pipeline {
	const struct config *config;
	struct process gateway;
	struct process sink;
	struct process stream;
	char url[URL_BYTES_MAX];	/* "http://127.0.0.1:43117" */
	struct pipeline_counts *counts;
	const struct census *before;
	struct broker *log;
};

/* Tells a person what is done by now; while it was, a line of progress stood there. */
static void pipeline_tell(int64_t since_ms, const char *what)
{
	if (isatty(STDERR_FILENO))
		cmd_tell("%s in %.1f s", what, (double)(clock_mono_ms() - since_ms) / 1000);
}

static void tell_posted(const struct pipeline_counts *counts, double seconds, const char *where)
{
	char posts[PROGRESS_COUNT_MAX], rate[PROGRESS_COUNT_MAX];

	if (isatty(STDERR_FILENO))
		cmd_tell("posted %s posts to the %s in %.1f s (%s/s)",
			 progress_count(counts->posts, posts), where, seconds,
			 progress_count(seconds > 0 ? (uint64_t)((double)counts->posts / seconds)
						    : 0,
					rate));
}

static enum err_code start_gateway(struct pipeline *pipeline, struct err *err)
{
	/* What is configured may be another one's that runs. */
	static const char *const args[] = { "gateway",	     "--listen", "127.0.0.1:0",
					    "--listen-also", "",	 NULL };
	struct buf line;
	const char *url;
	enum err_code code = process_start(&pipeline->gateway, args, PROCESS_STDOUT_PIPE, err);

	if (code != ERR_OK)
		return code;
	buf_init(&line, URL_BYTES_MAX);
	code = process_read_line(&pipeline->gateway, &line, START_MS, err);
	url = strstr(buf_cstr(&line), "http");
	if (code == ERR_OK && url)
		(void)snprintf(pipeline->url, sizeof(pipeline->url), "%.*s",
			       (int)strcspn(url, " \r"), url);
	else if (code == ERR_OK)
		code = err_set(err, ERR_IO, "it said \"%s\" instead of where it listens",
			       buf_cstr(&line));
	buf_release(&line);
	return code == ERR_OK ? ERR_OK : err_prefix(err, "the gateway did not start");
}

/* What services tell of their work is for who watches an `up`; here it would stand between the
 * lines of a run. */
static enum err_code hush_services(const struct config *config, bool hush, struct err *err)
{
	char name[OPTION_ENV_MAX];

	option_env_name(OPT_VERBOSE, name);
	if (config_is_set(config, OPT_VERBOSE))
		return ERR_OK;
	if ((hush ? setenv(name, "warn", 1) : unsetenv(name)) < 0)
		return err_errno(err, "could not set %s", name);
	return ERR_OK;
}

static enum err_code start_services(struct pipeline *pipeline, struct err *err)
{
	static const char *const sink[] = { "sink", "--format", "json", NULL };
	static const char *const stream[] = { "stream", "--format", "json", NULL };
	enum err_code code = hush_services(pipeline->config, true, err);

	if (code == ERR_OK)
		code = start_gateway(pipeline, err);
	if (code == ERR_OK)
		code = process_start(&pipeline->sink, sink, PROCESS_STDOUT_PIPE, err);
	if (code == ERR_OK)
		code = process_start(&pipeline->stream, stream, PROCESS_STDOUT_PIPE, err);
	if (code == ERR_OK)
		code = hush_services(pipeline->config, false, err);
	return code;
}

/* Run a part to its end and take what it prints, whatever its exit status. ERR_STOPPED: it was
 * asked to end before that. */
static enum err_code run_part(const char *const *args, struct buf *out, int *ret_status,
			      struct err *err)
{
	struct process process = { .out_fd = -1 };
	enum err_code code = process_start(&process, args, PROCESS_STDOUT_PIPE, err);

	if (code != ERR_OK)
		return code;
	code = process_read_all(&process, out, err);
	process_release(&process);
	if (code != ERR_OK)
		process_stop(&process, STOP_MS);
	else if (stop_requested())
		code = err_set(err, ERR_STOPPED, "stopped before the end");
	*ret_status = process.status;
	return code;
}

static uint64_t number_at(struct json object, const char *name)
{
	struct json member;
	int64_t value = 0;

	if (json_member(object, name, &member))
		(void)json_get_i64(member, &value);
	return value > 0 ? (uint64_t)value : 0;
}

/* The emulator tells by table. */
static void take_acknowledged(struct pipeline_counts *counts, enum topic_kind kind,
			      const struct census *census, struct json acknowledged)
{
	counts->posted[kind] = xcalloc(census->count[kind], sizeof(uint64_t));
	for (size_t i = 0; i < census->count[kind]; i++) {
		const struct clean_model *model = census->models[kind][i];
		const struct clean_shared *shared = kind == TOPIC_LOG ? &model->topic_shared
								      : &model->stream_shared;

		for (size_t s = 0; s < shared->count; s++)
			counts->posted[kind][i] +=
				number_at(acknowledged, shared->models[s]->model.name);
	}
}

static enum err_code read_posted(struct pipeline *pipeline, enum topic_kind kind,
				 struct slice text, struct err *err)
{
	struct json_parser *parser = json_parser_new(REPLY_BYTES_MAX);
	struct pipeline_counts *counts = pipeline->counts;
	struct json root, acknowledged, taken;
	double seconds = 0;
	enum err_code code = json_parse(parser, text, &root, err);

	if (code == ERR_OK && !json_member(root, "acknowledged", &acknowledged))
		code = err_set(err, ERR_IO, "the emulator did not say what was acknowledged");
	if (code == ERR_OK) {
		take_acknowledged(counts, kind, pipeline->before, acknowledged);
		counts->posts = number_at(root, "posts");
		counts->resent += number_at(root, "retried");
		if (json_member(root, "seconds", &taken))
			(void)json_get_double(taken, &seconds);
		tell_posted(counts, seconds, kind == TOPIC_LOG ? "topics" : "streams");
	}
	json_parser_free(parser);
	return code;
}

static const char *posts_text(const struct config *config)
{
	if (config_int(config, OPT_RUN_POSTS) > 0)
		return config_text(config, OPT_RUN_POSTS);
	return setup_each_row_once(config) ? "0" : "1000";
}

static enum err_code pipeline_post(struct pipeline *pipeline, enum topic_kind kind, struct err *err)
{
	const struct config *config = pipeline->config;
	bool streaming = kind == TOPIC_STREAM;
	const char *rate = config_text(config, OPT_RATE);
	char url[URL_BYTES_MAX * 2];
	const char *args[] = {
		"emulate", "--format", "json", "--posts", posts_text(config),
		"--rate", *rate ? rate : "max", "--order", config_text(config, OPT_ORDER),
		"--seed", config_text(config, OPT_SEED),
		"--batch-size", config_text(config, OPT_BATCH_SIZE),
		streaming ? "--streaming-url" : "--url", url, streaming ? "--streaming" : NULL,
		NULL,
	};
	struct buf out;
	int status;
	enum err_code code;

	(void)snprintf(url, sizeof(url), streaming ? "%s/streams/streaming-%s-" : "%s/topics/%s.",
		       pipeline->url, config_text(config, OPT_ID));
	buf_init(&out, REPLY_BYTES_MAX);
	code = run_part(args, &out, &status, err);
	if (code == ERR_OK && status != 0)
		code = err_set(err, process_code_of(status),
			       "the emulator ended with status %d (see above)", status);
	if (code == ERR_OK)
		code = read_posted(pipeline, kind, buf_slice(&out), err);
	buf_release(&out);
	return code;
}

/* With a broken model parts end with 1, and have done what there was to do for the others. */
static bool is_done(const struct pipeline *pipeline, int status)
{
	return status == 0 || (status == 1 && pipeline->counts->models.broken_count > 0);
}

/* `name`: also that of the group that it reads as. */
static enum err_code pipeline_drain(const struct pipeline *pipeline, struct process *process,
				    const char *name, struct err *err)
{
	bool ours = setup_topics_are_in_dir(pipeline->config);
	struct draining draining = {
		.what = process == &pipeline->sink ? "draining the topics" : "draining the streams",
		.log = ours || process != &pipeline->sink ? pipeline->log : NULL,
		.models = &pipeline->counts->models,
		.id = config_text(pipeline->config, OPT_ID),
		.kind = process == &pipeline->sink ? TOPIC_LOG : TOPIC_STREAM,
		.group = name,
	};

	if (process == &pipeline->gateway)
		process_stop(process, DRAIN_MS);
	else
		draining_wait(&draining, process, DRAIN_MS);
	if (is_done(pipeline, process->status) || process->status == 128 + SIGTERM)
		return ERR_OK;
	return err_set(err, process_code_of(process->status),
		       "the %s ended with status %d (see above)", name, process->status);
}

static enum err_code post_and_drain(struct pipeline *pipeline, struct err *err)
{
	enum err_code code = pipeline_post(pipeline, TOPIC_LOG, err);
	int64_t since_ms;

	if (code == ERR_OK)
		code = pipeline_post(pipeline, TOPIC_STREAM, err);
	since_ms = clock_mono_ms();
	if (code == ERR_OK)
		code = pipeline_drain(pipeline, &pipeline->sink, "sink", err);
	if (code == ERR_OK)
		code = pipeline_drain(pipeline, &pipeline->stream, "stream", err);
	if (code == ERR_OK)
		code = pipeline_drain(pipeline, &pipeline->gateway, "gateway", err);
	if (code == ERR_OK)
		pipeline_tell(since_ms, "drained the log into the lake and the streaming tables");
	return code;
}

static enum err_code run_sql_part(const struct pipeline *pipeline, const char *const *args,
				  struct buf *out, struct err *err)
{
	int status;
	enum err_code code = run_part(args, out, &status, err);

	if (code == ERR_OK && !is_done(pipeline, status))
		code = err_set(err, process_code_of(status),
			       "\"pinpipe %s\" ended with status %d (see above)", args[0], status);
	return code;
}

static enum err_code clean_and_answer(struct pipeline *pipeline, struct err *err)
{
	static const char *const batch[] = { "batch", "--format", "json", NULL };
	static const char *const analyse[] = { "analyse", "--format", "json", NULL };
	int64_t since_ms = clock_mono_ms();
	struct buf ignored;
	enum err_code code;

	buf_init(&ignored, REPLY_BYTES_MAX);
	code = run_sql_part(pipeline, batch, &ignored, err);
	if (code == ERR_OK)
		code = run_sql_part(pipeline, analyse, &pipeline->counts->answers, err);
	if (code == ERR_OK)
		pipeline_tell(since_ms, "cleaned the objects and answered the analyses");
	buf_release(&ignored);
	return code;
}

static enum err_code run_between(struct pipeline *pipeline, struct store *store,
				 struct broker *log, struct err *err)
{
	const char *id = config_text(pipeline->config, OPT_ID);
	struct models *models = &pipeline->counts->models;
	struct census before = { 0 };
	enum err_code code = census_take(store, log, models, id, NULL, &before, err);

	pipeline->before = &before;
	pipeline->log = log;
	if (code == ERR_OK)
		code = start_services(pipeline, err);
	if (code == ERR_OK)
		code = post_and_drain(pipeline, err);
	if (code == ERR_OK)
		code = clean_and_answer(pipeline, err);
	if (code == ERR_OK)
		code = census_take(store, log, models, id, &before, &pipeline->counts->added, err);
	census_release(&before);
	process_stop(&pipeline->gateway, STOP_MS);
	process_stop(&pipeline->sink, STOP_MS);
	process_stop(&pipeline->stream, STOP_MS);
	process_release(&pipeline->gateway);
	process_release(&pipeline->sink);
	process_release(&pipeline->stream);
	return code;
}

/* What the emulator would find wrong, before anything is begun. A database it waits for itself. */
static enum err_code check_posts(const struct config *config, struct err *err)
{
	enum emulate_pace pace;
	struct source *source = NULL;
	double rate;
	enum err_code code = setup_pace(config, &pace, &rate, err);

	if (code == ERR_OK && strcmp(config_text(config, OPT_SOURCE), "mysql") != 0)
		code = setup_source(config, &source, err);
	source_free(source);
	return code;
}

enum err_code pipeline_run(const struct config *config, struct pipeline_counts *ret_counts,
			   struct err *err)
{
	struct pipeline pipeline = {
		.config = config,
		.gateway = { .out_fd = -1 },
		.sink = { .out_fd = -1 },
		.stream = { .out_fd = -1 },
		.counts = ret_counts,
	};
	int64_t started_ms = clock_mono_ms();
	struct broker *log = NULL;
	struct store *store = NULL;
	enum err_code code = children_inherit(config, err);

	*ret_counts = (struct pipeline_counts){ 0 };
	buf_init(&ret_counts->answers, REPLY_BYTES_MAX);
	if (code == ERR_OK)
		code = check_posts(config, err);
	if (code == ERR_OK)
		code = setup_models(config, &ret_counts->models, err);
	if (code == ERR_OK)
		code = setup_log_reader(config, true, &log, err);
	if (code == ERR_OK)
		code = setup_store(config, &store, err);
	if (code == ERR_OK)
		code = run_between(&pipeline, store, log, err);
	if (code == ERR_OK && stop_requested())
		code = err_set(err, ERR_STOPPED, "stopped before the end");
	store_free(store);
	broker_free(log);
	ret_counts->seconds = (double)(clock_mono_ms() - started_ms) / 1000;
	return code;
}

void pipeline_counts_release(struct pipeline_counts *counts)
{
	census_release(&counts->added);
	free(counts->posted[TOPIC_LOG]);
	free(counts->posted[TOPIC_STREAM]);
	models_free(&counts->models);
	buf_release(&counts->answers);
}

static enum err_code differ(struct err *err, enum topic_kind kind, const char *table,
			    const char *what, uint64_t a, uint64_t b)
{
	return err_set(err, ERR_CORRUPT,
		       "the counts of the %s path do not agree for %s: %s: %" PRIu64
		       " and %" PRIu64,
		       kind == TOPIC_LOG ? "batch" : "streaming", table, what, a, b);
}

enum err_code pipeline_reconcile(const struct pipeline_counts *counts, struct err *err)
{
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++)
		for (size_t i = 0; i < counts->added.count[kind]; i++) {
			const char *name = counts->added.models[kind][i]->model.name;
			const struct census_row *row = &counts->added.path[kind][i];
			uint64_t posted = counts->posted[kind][i];

			if (posted > row->logged || (posted < row->logged && !counts->resent))
				return differ(err, (enum topic_kind)kind, name,
					      "acknowledged and in the log", posted, row->logged);
			if (kind == TOPIC_LOG && row->landed + row->unlanded != row->logged)
				return differ(err, TOPIC_LOG, name, "in the lake and in the log",
					      row->landed + row->unlanded, row->logged);
			if (row->clean + row->dead != row->logged)
				return differ(err, (enum topic_kind)kind, name,
					      "clean or dead and in the log",
					      row->clean + row->dead, row->logged);
		}
	return ERR_OK;
}
