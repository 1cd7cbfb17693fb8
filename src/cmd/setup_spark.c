#include "cmd/setup_spark.h"

#include "base/buf.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/setup.h"
#include "engine/spark_child.h"
#include "net/aws_credentials.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SPARK_MEMORY_MAX = 4 << 20,
	FUNCTIONS_BYTES_MAX = 1 << 20,
	OWN_SETTINGS_MAX = 16,
	EXCHANGE_MODE = 0770,
};

bool setup_is_spark(const struct config *config)
{
	return strcmp(config_text(config, OPT_ENGINE), "spark") == 0;
}

/* A bucket as Spark names it; NULL: it is none. */
static const char *spark_bucket_of(const char *url)
{
	return strncmp(url, "s3://", 5) == 0 ? url + 5 : NULL;
}

void setup_spark_lake(const struct config *config, char ret_url[PATH_MAX])
{
	const char *lake = config_text(config, OPT_LAKE);
	const char *bucket = spark_bucket_of(lake);
	char dir[PATH_MAX], path[PATH_MAX];

	ret_url[0] = '\0';
	if (bucket) {
		(void)snprintf(ret_url, PATH_MAX, "s3a://%.*s", (int)strlen(bucket), bucket);
		if (ret_url[strlen(ret_url) - 1] == '/')
			ret_url[strlen(ret_url) - 1] = '\0';
		return;
	}
	if (*lake)
		(void)snprintf(dir, sizeof(dir), "%s", store_dir(lake) ? store_dir(lake) : lake);
	else
		(void)snprintf(dir, sizeof(dir), "%s/lake", config_text(config, OPT_DIR));
	if (realpath(dir, path))
		(void)snprintf(ret_url, PATH_MAX, "file://%s", path);
}

/* --- settings --------------------------------------------------------------------------- */

/* What is passed on: the user's, and ours where they say nothing. */
struct settings {
	struct spark_setting *list;
	size_t count;
	struct arena *memory;
};

static bool settings_have(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->count; i++)
		if (strcmp(settings->list[i].name, name) == 0)
			return true;
	return false;
}

static const char *settings_get(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->count; i++)
		if (strcmp(settings->list[i].name, name) == 0)
			return settings->list[i].text;
	return "";
}

static void settings_add(struct settings *settings, const char *name, const char *text)
{
	if (!settings_have(settings, name))
		settings->list[settings->count++] = (struct spark_setting){
			.name = name, .text = arena_str(settings->memory, slice_str(text))
		};
}

static bool is_remote(const struct config_setting *given, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(given[i].name, "remote") == 0)
			return true;
	return false;
}

/* Those of a session with a Spark Connect server are nothing to spark-submit, which would not pass
 * them on; and its URL may have a token in it. */
static void add_given(struct settings *settings, const struct config_setting *given, size_t count)
{
	bool remote = is_remote(given, count);

	for (size_t i = 0; i < count; i++) {
		size_t room = strlen(given[i].name) + sizeof("spark.");
		char *name = arena_alloc(settings->memory, room);

		(void)snprintf(name, room, "spark.%s", given[i].name);
		settings->list[settings->count++] =
			(struct spark_setting){ .name = name,
						.text = given[i].text,
						.secret = remote ||
							  option_group_is_secret(given[i].name) };
	}
}

/* On this machine: it is not to be seen by others, and keeps to the limits of an engine. With
 * Spark Connect that is the JVM which spark-submit starts, and which has no work. */
static void add_local(struct settings *settings, const struct config *config)
{
	int64_t threads = config_int(config, OPT_ENGINE_THREADS);
	char text[64];

	(void)snprintf(text, sizeof(text), threads > 0 ? "local[%" PRId64 "]" : "local[*]",
		       threads);
	settings_add(settings, "spark.master", text);
	if (strncmp(settings_get(settings, "spark.master"), "local", 5) != 0)
		return;
	(void)snprintf(text, sizeof(text), "%" PRId64 "m",
		       config_int(config, OPT_ENGINE_MEMORY) / (1 << 20));
	settings_add(settings, "spark.driver.memory", text);
	settings_add(settings, "spark.driver.host", "127.0.0.1");
	settings_add(settings, "spark.driver.bindAddress", "127.0.0.1");
	settings_add(settings, "spark.ui.enabled", "false");
}

/* Who has Spark for notebooks names these for the driver, and they run no script. */
static void add_python(struct settings *settings)
{
	const char *driver = getenv("PYSPARK_DRIVER_PYTHON");
	const char *python = getenv("PYSPARK_PYTHON");
	const char *name = driver ? strrchr(driver, '/') : NULL;

	name = name ? name + 1 : driver;
	if (name && (strncmp(name, "jupyter", 7) == 0 || strncmp(name, "ipython", 7) == 0))
		settings_add(settings, "spark.pyspark.driver.python",
			     python && *python ? python : "python3");
}

enum err_code setup_s3_endpoint(const struct config *config, struct buf *ret_url, struct err *err)
{
	const char *given = config_text(config, OPT_S3_ENDPOINT);
	enum err_code code;

	if (*given) {
		buf_add_str(ret_url, given);
		return ERR_OK;
	}
	code = aws_endpoint_url(NULL, "s3", ret_url, err);
	return code == ERR_ABSENT ? ERR_OK : code;
}

enum err_code setup_s3_region(const struct config *config, char ret_region[AWS_REGION_MAX + 1],
			      struct err *err)
{
	const char *given = config_text(config, OPT_S3_REGION);
	enum err_code code;

	ret_region[0] = '\0';
	if (*given) {
		(void)snprintf(ret_region, AWS_REGION_MAX + 1, "%s", given);
		return ERR_OK;
	}
	code = aws_region(NULL, ret_region, err);
	return code == ERR_ABSENT ? ERR_OK : code;
}

/* Spark's way to the bucket is ours, but for the keys, which it finds itself. */
static enum err_code add_s3(struct settings *settings, const struct config *config, struct err *err)
{
	const char *path_style = config_text(config, OPT_S3_PATH_STYLE);
	bool auto_style = strcmp(path_style, "auto") == 0;
	char region[AWS_REGION_MAX + 1];
	struct buf endpoint;
	enum err_code code;

	buf_init(&endpoint, PATH_MAX);
	code = setup_s3_endpoint(config, &endpoint, err);
	if (code == ERR_OK)
		code = setup_s3_region(config, region, err);
	if (code == ERR_OK && endpoint.len)
		settings_add(settings, "spark.hadoop.fs.s3a.endpoint", buf_cstr(&endpoint));
	if (code == ERR_OK && (*region || endpoint.len)) /* without one it asks AWS */
		settings_add(settings, "spark.hadoop.fs.s3a.endpoint.region",
			     *region ? region : "us-east-1");
	if (code == ERR_OK && (endpoint.len || !auto_style))
		settings_add(settings, "spark.hadoop.fs.s3a.path.style.access",
			     auto_style ? "true" : path_style);
	buf_release(&endpoint);
	return code;
}

static enum err_code collect_settings(struct setup_spark *spark, const struct config *config,
				      struct err *err)
{
	size_t count;
	const struct config_setting *given = config_settings(config, OPTION_GROUP_SPARK, &count);
	struct settings settings = { .memory = &spark->memory };
	enum err_code code = ERR_OK;

	settings.list =
		arena_alloc(&spark->memory, (count + OWN_SETTINGS_MAX) * sizeof(*settings.list));
	add_given(&settings, given, count);
	add_local(&settings, config);
	settings_add(&settings, "spark.log.level", "WARN");
	settings_add(&settings, "spark.api.mode", "classic"); /* of spark-submit; see add_given() */
	settings_add(&settings, "spark.submit.deployMode", "client");
	settings_add(&settings, "spark.ui.port", "0"); /* the 17th from 4040 on is refused */
	add_python(&settings);
	if (spark_bucket_of(config_text(config, OPT_LAKE)) ||
	    spark_bucket_of(config_text(config, OPT_ENGINE_EXCHANGE)))
		code = add_s3(&settings, config, err);
	spark->options.settings = settings.list;
	spark->options.setting_count = settings.count;
	return code;
}

/* --- the program and its files ------------------------------------------------------------- */

static const char *find_program(struct setup_spark *spark, const struct config *config)
{
	const char *given = config_text(config, OPT_ENGINE_SUBMIT);
	const char *home = getenv("SPARK_HOME");
	char path[PATH_MAX];

	if (*given)
		return given;
	if (!home || !*home)
		return "spark-submit";
	(void)snprintf(path, sizeof(path), "%s/bin/spark-submit", home);
	return arena_str(&spark->memory, slice_str(path));
}

static enum err_code find_files(struct setup_spark *spark, struct err *err)
{
	char dir[PATH_MAX], path[PATH_MAX + 32];
	struct buf text;
	enum err_code code = setup_beside("spark", dir, err);

	if (code != ERR_OK)
		return code;
	(void)snprintf(path, sizeof(path), "%s/engine.py", dir);
	spark->options.script = arena_str(&spark->memory, slice_str(path));
	(void)snprintf(path, sizeof(path), "%s/functions.sql", dir);
	buf_init(&text, FUNCTIONS_BYTES_MAX);
	code = file_read(AT_FDCWD, path, &text, "the functions of the models for Spark", err);
	spark->options.functions = arena_str(&spark->memory, buf_slice(&text));
	buf_release(&text);
	return code;
}

static enum err_code open_exchange(struct setup_spark *spark, const struct config *config,
				   struct err *err)
{
	const char *exchange = config_text(config, OPT_ENGINE_EXCHANGE);
	const char *bucket = spark_bucket_of(exchange);
	const char *dir = store_dir(exchange);
	char url[PATH_MAX];
	size_t len;

	if (!*exchange)
		return ERR_OK;
	if (!bucket) {
		spark->options.exchange_dir = dir ? dir : exchange;
		return dir_make(spark->options.exchange_dir, EXCHANGE_MODE, err);
	}
	(void)snprintf(url, sizeof(url), "s3a://%s", bucket);
	len = strlen(url);
	spark->options.exchange_url =
		arena_str(&spark->memory, slice_of(url, url[len - 1] == '/' ? len - 1 : len));
	return setup_store_at(config, exchange, &spark->options.exchange, err);
}

enum err_code setup_spark_init(struct setup_spark *spark, const struct config *config,
			       struct err *err)
{
	enum err_code code;

	*spark = (struct setup_spark){
		.options = { .start_ms = config_int(config, OPT_ENGINE_START),
			     .statement_ms = config_int(config, OPT_ENGINE_TIMEOUT) },
	};
	arena_init(&spark->memory, SPARK_MEMORY_MAX);
	spark->options.program = find_program(spark, config);
	code = collect_settings(spark, config, err);
	if (code == ERR_OK)
		code = find_files(spark, err);
	if (code == ERR_OK)
		code = open_exchange(spark, config, err);
	if (code != ERR_OK)
		setup_spark_release(spark);
	return code;
}

void setup_spark_release(struct setup_spark *spark)
{
	arena_release(&spark->memory);
	*spark = (struct setup_spark){ 0 };
}
