/* Tells other programs' users how to read the tables where they lie. */
#include "base/json.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/connect_lines.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "cmd/setup_spark.h"
#include "delta/delta.h"

#include <stdio.h>

enum { CONNECT_BYTES_MAX = 16 << 20, PATHS = 2, URL_BYTES_MAX = 4096 };

static const char *const path_name[PATHS] = { [TOPIC_LOG] = "batch", [TOPIC_STREAM] = "stream" };

/* What all tables have in common. */
struct connect {
	const struct config *config;
	struct models models;
	struct store *store;
	char lake[PATH_MAX]; /* an absolute path, or "s3://…" */
	bool bucket;
	struct buf endpoint;
	char region[AWS_REGION_MAX + 1];
	struct buf out;
	size_t told; /* tables */
};

/* A table that is told of. */
struct connected {
	struct lake_table place;
	struct delta_schema own;	   /* of the table, … */
	const struct delta_schema *schema; /* … or else of the model */
	bool there;
	char location[PATH_MAX + STORE_KEY_MAX];
};

/* --- where ------------------------------------------------------------------------ */

static enum err_code connect_find_lake(struct connect *connect, struct err *err)
{
	char url[PATH_MAX];
	enum err_code code;

	setup_spark_lake(connect->config, url);
	connect->bucket = strncmp(url, "s3a://", 6) == 0;
	if (!connect->bucket && strncmp(url, "file://", 7) != 0)
		return err_set(err, ERR_ABSENT, "there is no lake yet: `pinpipe run` makes one");
	(void)snprintf(connect->lake, sizeof(connect->lake), "%s%s", connect->bucket ? "s3://" : "",
		       url + (connect->bucket ? 6 : 7));
	if (!connect->bucket)
		return ERR_OK;
	code = setup_s3_endpoint(connect->config, &connect->endpoint, err);
	if (code == ERR_OK)
		code = setup_s3_region(connect->config, connect->region, err);
	return code;
}

static enum err_code connect_open(struct connect *connect, struct err *err)
{
	enum err_code code = setup_models(connect->config, &connect->models, err);

	if (code == ERR_OK)
		code = setup_store_there(connect->config, &connect->store, err);
	if (code == ERR_OK)
		code = connect_find_lake(connect, err);
	return code;
}

static void connect_release(struct connect *connect)
{
	buf_release(&connect->out);
	buf_release(&connect->endpoint);
	store_free(connect->store);
	models_free(&connect->models);
}

/* Its own columns, where they can be told, may be fewer than the model's. */
static enum err_code connected_open(struct connect *connect, const struct clean_model *model,
				    enum topic_kind kind, struct connected *ret, struct err *err)
{
	const struct delta_options read_only = { .name = model->model.name };
	struct delta_table *delta = NULL;
	struct err unused;
	enum err_code code = lake_table_init(&ret->place, model, kind,
					     config_text(connect->config, OPT_ID), err);

	if (code == ERR_OK)
		code = delta_open(connect->store, ret->place.root, &read_only, &delta, err);
	if (code != ERR_OK && code != ERR_ABSENT)
		return code;
	(void)snprintf(ret->location, sizeof(ret->location), "%s/%s", connect->lake,
		       ret->place.root);
	ret->there = code == ERR_OK;
	ret->schema = &model->schema;
	if (ret->there && delta_own_schema(delta, &ret->own, &unused) == ERR_OK)
		ret->schema = &ret->own;
	delta_close(delta);
	return ERR_OK;
}

/* --- shown ------------------------------------------------------------------------ */

static struct connect_place connect_place_of(struct connect *connect, const struct connected *table)
{
	return (struct connect_place){
		.table = table->place.model->model.name,
		.location = table->location,
		.bucket = connect->bucket,
		.endpoint = buf_cstr(&connect->endpoint),
		.region = connect->region,
	};
}

static void connect_put_text(struct connect *connect, const struct connected *table)
{
	struct connect_place place = connect_place_of(connect, table);
	struct buf *out = &connect->out;

	buf_addf(out, "%s%s, %s path: %s%s\n", connect->told ? "\n" : "", place.table,
		 path_name[table->place.kind], place.location,
		 table->there ? "" : " (not there yet)");
	for (size_t i = 0; i < CONNECT_TOOLS; i++) {
		const struct connect_tool *tool = &connect_tools[i];

		buf_addf(out, "\n%s %s (%s)\n", strcmp(tool->name, "duckdb") == 0 ? "--" : "#",
			 tool->name, tool->needs);
		tool->put(out, &place);
	}
}

static void connect_put_member(struct buf *out, const char *name, const char *value, bool first)
{
	buf_addf(out, "%s\"%s\":", first ? "{" : ",", name);
	json_put_string(out, slice_str(value));
}

static void connect_put_schema(struct buf *out, const struct delta_schema *schema)
{
	for (size_t i = 0; i < schema->count; i++) {
		buf_add_str(out, i ? "," : "");
		connect_put_member(out, "name", schema->columns[i].name, true);
		connect_put_member(out, "type", model_type_name(schema->columns[i].type), false);
		buf_add_char(out, '}');
	}
}

static void connect_put_json(struct connect *connect, const struct connected *table)
{
	struct connect_place place = connect_place_of(connect, table);
	struct buf *out = &connect->out;
	struct buf text;

	buf_init(&text, CONNECT_BYTES_MAX);
	buf_add_str(out, connect->told ? ",\n " : "");
	connect_put_member(out, "table", place.table, true);
	connect_put_member(out, "path", path_name[table->place.kind], false);
	connect_put_member(out, "location", place.location, false);
	buf_addf(out, ",\"there\":%s,\"schema\":[", table->there ? "true" : "false");
	connect_put_schema(out, table->schema);
	buf_add_str(out, "],\"lines\":[");
	for (size_t i = 0; i < CONNECT_TOOLS; i++) {
		buf_clear(&text);
		connect_tools[i].put(&text, &place);
		buf_add_str(out, i ? "," : "");
		connect_put_member(out, "tool", connect_tools[i].name, true);
		connect_put_member(out, "needs", connect_tools[i].needs, false);
		connect_put_member(out, "text", buf_cstr(&text), false);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]}");
	buf_release(&text);
}

/* --- which ------------------------------------------------------------------------ */

static const char *cmd_connect_table_at(const void *list, size_t n)
{
	const struct models *models = list;

	return n < models->clean_count ? models->clean[n].model.name : NULL;
}

static enum err_code cmd_connect_find(const struct models *models, const char *name,
				      const struct clean_model **ret, struct err *err)
{
	const char *fault = models_fault(models, MODEL_CLEAN, name);
	const char *meant = nearest(name, cmd_connect_table_at, models);

	*ret = models_clean(models, name);
	if (*ret)
		return ERR_OK;
	if (fault)
		return err_set(err, ERR_USAGE, "%s", fault);
	return err_set(err, ERR_USAGE, "there is no table \"%s\"%s%s%s", name,
		       meant ? ", did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
}

static void connected_release(struct connected *table) { delta_schema_release(&table->own); }

static void connect_tell(struct connect *connect, const struct connected *table)
{
	if (output_format(connect->config) == OUTPUT_TABLE)
		connect_put_text(connect, table);
	else
		connect_put_json(connect, table);
	connect->told++;
}

/* Of the paths that --from names: of `auto` the one that has a table, rather the batch path. */
static enum err_code connect_tell_model(struct connect *connect, const struct clean_model *model,
					struct err *err)
{
	const char *from = config_text(connect->config, OPT_FROM);
	bool either = strcmp(from, "auto") == 0, both = strcmp(from, "both") == 0;
	struct connected tables[PATHS] = { 0 };
	enum err_code code = ERR_OK;
	int path = strcmp(from, "stream") == 0 ? TOPIC_STREAM : TOPIC_LOG;

	for (int i = 0; i < PATHS && code == ERR_OK; i++)
		if (either || both || i == path)
			code = connected_open(connect, model, (enum topic_kind)i, &tables[i], err);
	if (either && tables[TOPIC_STREAM].there && !tables[TOPIC_LOG].there)
		path = TOPIC_STREAM;
	for (int i = 0; i < PATHS && code == ERR_OK; i++)
		if (both || i == path)
			connect_tell(connect, &tables[i]);
	for (int i = 0; i < PATHS; i++)
		connected_release(&tables[i]);
	return code;
}

static enum err_code connect_tell_all(struct connect *connect, const char *name, struct err *err)
{
	const struct clean_model *one = NULL;
	bool list = !name || strcmp(config_text(connect->config, OPT_FROM), "both") == 0;
	bool json = output_format(connect->config) != OUTPUT_TABLE;
	enum err_code code = name ? cmd_connect_find(&connect->models, name, &one, err) : ERR_OK;

	buf_add_str(&connect->out, json && list ? "[" : "");
	if (code == ERR_OK && one)
		code = connect_tell_model(connect, one, err);
	for (size_t i = 0; i < connect->models.clean_count && code == ERR_OK && !one; i++)
		code = connect_tell_model(connect, &connect->models.clean[i], err);
	if (json)
		buf_add_str(&connect->out, list ? "]\n" : "\n");
	return code == ERR_OK ? cmd_print(&connect->out, err) : code;
}

static enum err_code cmd_connect_check(const struct config *config, struct err *err)
{
	if (output_format(config) == OUTPUT_CSV)
		return err_set(err, ERR_USAGE, "lines to paste are no CSV: --format json has them");
	if (strstr(config_text(config, OPT_FROM), "live"))
		return err_set(err, ERR_USAGE,
			       "the log beyond the tables is for `pinpipe sql` alone: "
			       "--from is batch, stream or both");
	return ERR_OK;
}

static int cmd_connect_run(struct config *config, int argc, const char *const *argv)
{
	struct connect connect = { .config = config };
	struct err err;
	enum err_code code = cmd_connect_check(config, &err);

	buf_init(&connect.out, CONNECT_BYTES_MAX);
	buf_init(&connect.endpoint, URL_BYTES_MAX);
	if (code == ERR_OK)
		code = connect_open(&connect, &err);
	if (code == ERR_OK)
		code = connect_tell_all(&connect, argc > 0 ? argv[0] : NULL, &err);
	connect_release(&connect);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = { OPT_FROM, OPT_LAKE, OPT_MODELS, OPTION_COUNT };

const struct command cmd_connect = {
	.name = "connect",
	.summary = "Show the lines that read a table in pandas, Polars, DuckDB or Spark",
	.usage = "[TABLE] [options]",
	.details =
		"The tables are Delta tables: any program that reads those reads them where they lie. This\n"
		"prints, for one or all, the place, and lines to paste, with the endpoint and the region of\n"
		"a bucket, and never a key. With --format json there are the columns, too. Of the paths it is\n"
		"that of --from, else the one that has a table.\n",
	.options = options,
	.examples = "pinpipe connect pin\n"
		    "pinpipe connect pin --from stream\n"
		    "pinpipe connect geo --format json --lake s3://pins/lake\n",
	.positional_max = 1,
	.run = cmd_connect_run,
};
