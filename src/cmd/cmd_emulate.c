/* Posts rows to the topics or the streams, as the original's emulator scripts do. */
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/setup.h"
#include "flow/emulate.h"

#include <inttypes.h>
#include <string.h>

enum { URL_BYTES_MAX = 2048, OUTPUT_BYTES_MAX = 8192 };

static enum post_order_kind read_order(const struct config *config)
{
	const char *text = config_text(config, OPT_ORDER);

	if (config_bool(config, OPT_DEMO))
		return POST_ORDER_RANDOM;
	if (!strcmp(text, "course"))
		return POST_ORDER_COURSE;
	return !strcmp(text, "rows") || setup_each_row_once(config) ? POST_ORDER_ROWS
								     : POST_ORDER_RANDOM;
}

/* 0: without end. */
static enum err_code read_posts(const struct config *config, struct source *source,
				uint64_t *ret_posts, struct err *err)
{
	uint64_t posts = (uint64_t)config_int(config, OPT_POSTS);
	uint64_t all = posts;
	enum err_code code = ERR_OK;

	if (setup_each_row_once(config))
		code = source_posts(source, &all, err);
	if (code == ERR_OK)
		*ret_posts = posts == 0 || posts > all ? all : posts;
	return code;
}

/* Without a path; the whole of a gateway, then, and not where rows go. */
static bool emulate_is_gateway(const char *url)
{
	const char *host = strstr(url, "://");
	const char *path = host ? strchr(host + 3, '/') : NULL;

	return host && !strpbrk(host, "?#") && (!path || !strcmp(path, "/"));
}

/* The gateway of this configuration, unless a URL is given. */
static void put_url(const struct config *config, struct buf *out)
{
	bool streaming = config_bool(config, OPT_STREAMING);
	const char *url = config_text(config, streaming ? OPT_STREAMING_URL : OPT_URL);

	if (*url)
		buf_add_str(out, url);
	else
		buf_addf(out, "%s://%s", *config_text(config, OPT_TLS_CERT) ? "https" : "http",
			 config_text(config, OPT_LISTEN));
	if (*url && !emulate_is_gateway(url))
		return;
	buf_addf(out, "%s%s%s%c", url[0] && url[strlen(url) - 1] == '/' ? "" : "/",
		 streaming ? "streams/streaming-" : "topics/", config_text(config, OPT_ID),
		 streaming ? '-' : '.');
}

static const char *cmd_emulate_text_or_null(const struct config *config, enum option option)
{
	const char *text = config_text(config, option);

	return *text ? text : NULL;
}

static double rate_of(const struct emulate_result *result)
{
	return result->seconds > 0 ? (double)result->posts / result->seconds : 0;
}

static uint64_t acknowledged(const struct emulate_result *result)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SOURCE_TABLES; i++)
		sum += result->tables[i].acknowledged;
	return sum;
}

static uint64_t refused(const struct emulate_result *result)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SOURCE_TABLES; i++)
		sum += result->tables[i].refused;
	return sum;
}

/* Records of a table, whatever came of them. */
static uint64_t posted(const struct emulate_count *count)
{
	return count->acknowledged + count->refused + count->unknown;
}

static uint64_t unknown(const struct emulate_result *result)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SOURCE_TABLES; i++)
		sum += result->tables[i].unknown;
	return sum;
}

/* Posts that were answered well: one has a record of each table at most. What was only sent is no
 * progress. */
static uint64_t answered(const struct emulate_result *result)
{
	uint64_t most = 0;

	for (size_t i = 0; i < SOURCE_TABLES; i++)
		if (result->tables[i].acknowledged > most)
			most = result->tables[i].acknowledged;
	return most < result->posts ? most : result->posts;
}

/* What progress is shown of. */
struct shown {
	struct progress progress;
	uint64_t posts; /* how many there will be; 0: without end */
	int64_t retry_ms;
	bool told; /* why nothing is acknowledged */
};

/* Who sees no line of progress, and who does, is told at once that nothing gets through. */
static void tell_failure_once(struct shown *shown, const struct emulate_result *so_far)
{
	if (shown->told || !so_far->first_failure.msg[0] || acknowledged(so_far) > 0 ||
	    so_far->seconds < 1)
		return;
	shown->told = true;
	progress_clear(&shown->progress);
	trace_warn("nothing is acknowledged yet; each record is sent again for %.3g s: %s",
		   (double)shown->retry_ms / 1000, so_far->first_failure.msg);
}

static void draw_progress(void *user, const struct emulate_result *so_far)
{
	struct shown *shown = user;
	char count[PROGRESS_COUNT_MAX], rate[PROGRESS_COUNT_MAX];
	uint64_t failed = refused(so_far) + unknown(so_far);
	double posts = (double)shown->posts, seconds = so_far->seconds;
	uint64_t done = answered(so_far);
	struct buf more;

	tell_failure_once(shown, so_far);
	buf_init(&more, OUTPUT_BYTES_MAX);
	buf_addf(&more, "%s posts, %s/s", progress_count(done, count),
		 progress_count(seconds > 0 ? (uint64_t)((double)done / seconds) : 0, rate));
	if (failed)
		buf_addf(&more, ", %s failed", progress_count(failed, count));
	if (so_far->retried)
		buf_addf(&more, ", %s sent again", progress_count(so_far->retried, count));
	progress_draw(&shown->progress, posts > 0 ? (double)done / posts : -1, buf_cstr(&more));
	buf_release(&more);
}

static void cmd_emulate_put_json(struct buf *out, const struct emulate_result *result)
{
	buf_addf(out, "{\"posts\":%" PRIu64 ",\"acknowledged\":{", result->posts);
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		buf_addf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", source_table_name[i],
			 result->tables[i].acknowledged);
	buf_addf(out, "},\"retried\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"unknown\":%" PRIu64
		 ",\"absent\":%" PRIu64 ",\"seconds\":%.3f}\n", result->retried, refused(result),
		 unknown(result), result->absent, result->seconds);
}

static void cmd_emulate_put_table(struct buf *out, const struct emulate_result *result)
{
	buf_add_str(out, "table      posted  acknowledged  refused  unknown\n");
	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		const struct emulate_count *count = &result->tables[i];

		buf_addf(out, "%-5s %11" PRIu64 " %13" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n",
			 source_table_name[i], posted(count), count->acknowledged, count->refused,
			 count->unknown);
	}
	buf_addf(out, "%" PRIu64 " posts in %.1f s (%.0f/s), %" PRIu64 " records sent again",
		 result->posts, result->seconds, rate_of(result), result->retried);
	if (result->absent)
		buf_addf(out, ", %" PRIu64 " rows left out that the source lacks", result->absent);
	buf_add_char(out, '\n');
}

static void put_csv(struct buf *out, const struct emulate_result *result)
{
	buf_add_str(out, "table,posted,acknowledged,refused,unknown\n");
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		buf_addf(out, "%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", source_table_name[i],
			 posted(&result->tables[i]), result->tables[i].acknowledged,
			 result->tables[i].refused, result->tables[i].unknown);
}

static enum err_code print_result(const struct config *config, const struct emulate_result *result,
				  struct err *err)
{
	static void (*const put[])(struct buf *, const struct emulate_result *) = {
		[OUTPUT_TABLE] = cmd_emulate_put_table,
		[OUTPUT_JSON] = cmd_emulate_put_json,
		[OUTPUT_CSV] = put_csv,
	};
	enum err_code code;
	struct buf out;

	buf_init(&out, OUTPUT_BYTES_MAX);
	put[output_format(config)](&out, result);
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

static enum err_code cmd_emulate_post(const struct config *config, struct source *source,
				      const char *url, struct emulate_result *ret_result,
				      struct err *err)
{
	bool streaming = config_bool(config, OPT_STREAMING);
	struct shown shown = {
		.progress.what = streaming ? "posting to the streams" : "posting to the topics",
		.retry_ms = config_int(config, OPT_RETRY_FOR),
	};
	struct emulate_options options = {
		.source = source,
		.order = read_order(config),
		.seed = config_int(config, OPT_SEED),
		.streaming = streaming,
		.url = url,
		.batch_size = (uint32_t)config_int(config, OPT_BATCH_SIZE),
		.connections = (uint32_t)config_int(config, OPT_CONNECTIONS),
		.api_key = cmd_emulate_text_or_null(config, OPT_API_KEY),
		.ca_file = cmd_emulate_text_or_null(config, OPT_CA_FILE),
		.retry_ms = shown.retry_ms,
		.progress = draw_progress,
		.user = &shown,
	};
	enum err_code code = setup_pace(config, &options.pace, &options.rate, err);

	if (config_bool(config, OPT_DEMO)) { /* beside others; each time other rows */
		options.seed = clock_wall_ms();
		options.progress = NULL;
	}
	if (code == ERR_OK)
		code = read_posts(config, source, &shown.posts, err);
	options.posts = shown.posts;
	if (code == ERR_OK)
		code = emulate_run(&options, ret_result, err);
	progress_clear(&shown.progress);
	if (shown.told)
		ret_result->first_failure.msg[0] = '\0';
	return code;
}

static int cmd_emulate_run(struct config *config, int argc, const char *const *argv)
{
	struct emulate_result result = { 0 };
	struct source *source = NULL;
	struct buf url;
	enum err_code printed = ERR_OK;
	enum err_code code;
	struct err unused;
	struct err err;

	(void)argc;
	(void)argv;
	buf_init(&url, URL_BYTES_MAX);
	put_url(config, &url);
	code = setup_source(config, &source, &err);
	if (code == ERR_OK)
		code = cmd_emulate_post(config, source, buf_cstr(&url), &result, &err);
	source_free(source);
	buf_release(&url);
	if (result.first_failure.msg[0])
		trace_warn("the first failure was: %s", result.first_failure.msg);
	if (code == ERR_OK || result.posts > 0)
		printed = print_result(config, &result, code == ERR_OK ? &err : &unused);
	if (code != ERR_OK || printed != ERR_OK)
		return cmd_fail(&err);
	if (stop_requested())
		return err_exit(ERR_STOPPED); /* what failed was given up because of that */
	return refused(&result) + unknown(&result) > 0 ? 1 : 0;
}

static const enum option options[] = {
	OPT_STREAMING,	   OPT_POSTS,	  OPT_RATE,    OPT_ORDER,  OPT_SEED, OPT_BATCH_SIZE,
	OPT_CONNECTIONS,   OPT_RETRY_FOR, OPT_SOURCE,  OPT_DATA,   OPT_ROWS, OPT_URL,
	OPT_STREAMING_URL, OPT_API_KEY,	  OPT_CA_FILE, OPT_LISTEN, OPT_DEMO, OPTION_COUNT,
};

const struct command cmd_emulate = {
	.name = "emulate",
	.summary = "Post rows to the topics or the streams, as the original's scripts do",
	.usage = "[options]",
	.details =
		"Each post sends a row of the pin, the geo and the user table to where it belongs. Of the\n"
		"files that --data has, each row is posted once, in their order, as fast as it goes; a file\n"
		"that is not there is not missed. Without --data, and with --order, rows are drawn. What is\n"
		"not acknowledged is sent again with growing pauses; what still is not in the end is\n"
		"counted as refused, or as unknown if the server may have kept it, and the exit status\n"
		"is 1. With at most 3 connections the records of a table keep their order.\n",
	.examples = "pinpipe emulate --data rows\n"
		    "pinpipe emulate --posts 168 --order course --data ../data\n"
		    "pinpipe emulate --streaming --posts 1000 --rate 100\n"
		    "pinpipe emulate --posts 100000 --rate max --batch-size 100 --connections 32\n"
		    "pinpipe emulate --url http://gateway:8082\n",
	.options = options,
	.run = cmd_emulate_run,
};
