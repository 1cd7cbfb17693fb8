#include "cmd/connector.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/properties.h"
#include "base/trace.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

enum { CONNECTOR_MAX = 1 << 20, VALUE_MAX = 1024 };

/* What becomes of a property. */
enum fate {
	FATE_OPTION,  /* sets `option` */
	FATE_LAKE,    /* likewise, for all commands: connector_take_lake() */
	FATE_TOPICS,  /* these and no others */
	FATE_KEPT,    /* is looked at once all are read: `kept` */
	FATE_ONLY,    /* `text`, values with | between them: any other would make other objects */
	FATE_SAME,    /* makes no difference */
	FATE_UNUSED,  /* `text` says why */
	FATE_REFUSED, /* likewise */
};

enum kept {
	KEPT_PARTITIONER,
	KEPT_PATH,
	KEPT_DURATION,
	KEPT_INTERVAL,
	KEPT_SCHEDULE,
	KEPT_KEYS,
	KEPT_KEY_CONVERTER,
	KEPT_COUNT,
};

static const struct property {
	const char *name; /* one that ends with a star: all that begin so */
	enum fate fate;
	int what; /* an option, or what is kept */
	const char *text;
} properties[] = {
	{ "name", FATE_SAME, 0, NULL },
	{ "connector.class", FATE_ONLY, 0,
	  "io.confluent.connect.s3.S3SinkConnector|S3SinkConnector|"
	  "S3_SINK" },
	{ "storage.class", FATE_ONLY, 0, "io.confluent.connect.s3.storage.S3Storage" },
	{ "format.class", FATE_ONLY, 0, "io.confluent.connect.s3.format.json.JsonFormat" },
	{ "keys.format.class", FATE_ONLY, 0, "io.confluent.connect.s3.format.json.JsonFormat" },
	{ "headers.format.class", FATE_ONLY, 0, "io.confluent.connect.s3.format.json.JsonFormat" },
	{ "value.converter", FATE_ONLY, 0, "org.apache.kafka.connect.json.JsonConverter" },
	{ "value.converter.schemas.enable", FATE_ONLY, 0, "false" },
	{ "key.converter", FATE_KEPT, KEPT_KEY_CONVERTER, NULL },
	{ "key.converter.*", FATE_SAME, 0, NULL },
	{ "header.converter", FATE_SAME, 0, NULL },
	{ "topics", FATE_TOPICS, OPT_TOPICS, NULL },
	{ "topics.regex", FATE_REFUSED, 0,
	  "list the names in \"topics\"; sink.topics has patterns of its own, such as shop.*" },
	{ "topics.dir", FATE_ONLY, 0, "topics" },
	{ "directory.delim", FATE_ONLY, 0, "/" },
	{ "file.delim", FATE_ONLY, 0, "+" },
	{ "filename.offset.zero.pad.width", FATE_ONLY, 0, "10" },
	{ "s3.bucket.name", FATE_LAKE, OPT_LAKE, NULL },
	{ "s3.region", FATE_LAKE, OPT_S3_REGION, NULL },
	{ "store.url", FATE_LAKE, OPT_S3_ENDPOINT, NULL },
	{ "s3.path.style.access.enabled", FATE_LAKE, OPT_S3_PATH_STYLE, NULL },
	{ "s3.ssea.name", FATE_LAKE, OPT_S3_SSE, NULL },
	{ "s3.sse.kms.key.id", FATE_LAKE, OPT_S3_KMS_KEY, NULL },
	{ "s3.sse.customer.key", FATE_REFUSED, 0, "whoever reads the lake would need it" },
	{ "s3.acl.canned", FATE_UNUSED, 0, "objects have the rights that the bucket gives them" },
	{ "s3.wan.mode", FATE_UNUSED, 0, "the bucket's own address is used" },
	{ "s3.send.digest", FATE_SAME, 0, NULL },
	{ "s3.http.send.expect.continue", FATE_SAME, 0, NULL },
	{ "s3.object.tagging", FATE_ONLY, 0, "false" },
	{ "s3.schema.partition.affix.type", FATE_ONLY, 0, "NONE" },
	{ "flush.size", FATE_OPTION, OPT_FLUSH_SIZE, NULL },
	{ "rotate.interval.ms", FATE_KEPT, KEPT_INTERVAL, NULL },
	{ "rotate.schedule.interval.ms", FATE_KEPT, KEPT_SCHEDULE, NULL },
	{ "rotate.file.on.partition.change", FATE_UNUSED, 0,
	  "time buckets stay open side by side" },
	{ "partitioner.class", FATE_KEPT, KEPT_PARTITIONER, NULL },
	{ "partitioner.max.open.files", FATE_UNUSED, 0, "what is open has a bound of memory" },
	{ "path.format", FATE_KEPT, KEPT_PATH, NULL },
	{ "partition.duration.ms", FATE_KEPT, KEPT_DURATION, NULL },
	{ "locale", FATE_SAME, 0, NULL }, /* folders have numbers only */
	{ "timezone", FATE_OPTION, OPT_TIMEZONE, NULL },
	{ "timestamp.extractor", FATE_OPTION, OPT_EXTRACTOR, NULL },
	{ "timestamp.field", FATE_OPTION, OPT_TIMESTAMP_FIELD, NULL },
	{ "s3.compression.type", FATE_OPTION, OPT_COMPRESSION, NULL },
	{ "s3.compression.level", FATE_UNUSED, 0, "gzip has its own level" },
	{ "store.kafka.keys", FATE_KEPT, KEPT_KEYS, NULL },
	{ "store.kafka.headers", FATE_OPTION, OPT_STORE_HEADERS, NULL },
	{ "behavior.on.null.values", FATE_OPTION, OPT_NULL_VALUES, NULL },
	{ "report.null.values.to.dlq", FATE_UNUSED, 0,
	  "behavior.on.null.values \"letter\" does that" },
	{ "schema.compatibility", FATE_UNUSED, 0, "values have no schema" },
	{ "schema.cache.size", FATE_UNUSED, 0, "values have no schema" },
	{ "schemas.cache.config", FATE_UNUSED, 0, "values have no schema" },
	{ "tasks.max", FATE_UNUSED, 0, "a sink is one process; several share the partitions" },
	{ "errors.*", FATE_UNUSED, 0, "what cannot land is a dead letter of the lake" },
	{ "max.write.duration.ms", FATE_UNUSED, 0, "reading never waits for writing" },
	{ "enable.conditional.writes", FATE_UNUSED, 0,
	  "objects are always put only where none is" },
	{ "max.files.scan.limit", FATE_UNUSED, 0, "the end of a partition is searched for" },
	{ "transforms", FATE_REFUSED, 0, "records land as they are" },
	{ "transforms.*", FATE_REFUSED, 0, "records land as they are" },
	{ "s3.part.*", FATE_UNUSED, 0, "the store sends as it sees fit" },
	{ "s3.elastic.buffer.*", FATE_UNUSED, 0, "memory has a bound of its own" },
	{ "s3.retry.backoff.ms", FATE_UNUSED, 0, "puts are tried again for ever" },
	{ "retry.backoff.ms", FATE_UNUSED, 0, "puts are tried again for ever" },
	{ "aws.*", FATE_UNUSED, 0, "credentials come from where AWS's own tools have them" },
	{ "s3.credentials.provider.*", FATE_UNUSED, 0,
	  "credentials come from where AWS's own tools have them" },
	{ "confluent.*", FATE_SAME, 0, NULL },
	{ "consumer.override.*", FATE_UNUSED, 0, "the log is told by broker.kind" },
};

struct connector {
	struct config *config;
	const char *path;
	char kept[KEPT_COUNT][VALUE_MAX];
	size_t line[KEPT_COUNT];
	char bucket[VALUE_MAX]; /* "": none */
	size_t bucket_line;
};

static bool is_pattern(const struct property *property)
{
	return property->name[strlen(property->name) - 1] == '*';
}

static bool is_named(const struct property *property, const char *name)
{
	if (is_pattern(property))
		return strncmp(property->name, name, strlen(property->name) - 1) == 0;
	return strcmp(property->name, name) == 0;
}

static const struct property *find_property(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(properties); i++)
		if (is_named(&properties[i], name))
			return &properties[i];
	return NULL;
}

static const char *property_at(const void *list, size_t n)
{
	(void)list;
	for (size_t i = 0; i < ARRAY_LEN(properties); i++)
		if (!is_pattern(&properties[i]) && n-- == 0)
			return properties[i].name;
	return NULL;
}

static bool connector_allows(const char *words, const char *value)
{
	size_t len = strlen(value);

	for (const char *at = words; *at; at += *at == '|') {
		size_t word = strcspn(at, "|");

		if (word == len && strncmp(at, value, len) == 0)
			return true;
		at += word;
	}
	return false;
}

/* A class, with or without its package. */
static bool is_class(const char *value, const char *class)
{
	const char *dot = strrchr(value, '.');

	return strcmp(dot ? dot + 1 : value, class) == 0;
}

static enum err_code set_option(struct connector *connector, enum option option, size_t line,
				const char *name, const char *value, struct err *err)
{
	char place[PATH_MAX + 32];

	(void)snprintf(place, sizeof(place), "%s:%zu", connector->path, line);
	if (config_set_from_file(connector->config, option, value, place, err) == ERR_OK)
		return ERR_OK;
	return err_prefix(err, "%s: \"%s\"", place, name);
}

/* Without the value, which may be a key or a password. */
static enum err_code connector_refuse(const struct connector *connector, size_t line,
				      const char *name, const char *why, struct err *err)
{
	return err_set(err, ERR_USAGE, "%s:%zu: \"%s\" cannot be so here: %s", connector->path,
		       line, name, why);
}

static void tell_unused(const struct connector *connector, size_t line, const char *name,
			const char *why)
{
	trace_info("%s:%zu: \"%s\" is not used: %s", connector->path, line, name, why);
}

/* It may be a mistake, which would leave an option as it is. */
static void tell_unknown(const struct connector *connector, size_t line, const char *name)
{
	const char *meant = nearest(name, property_at, NULL);

	trace_warn("%s:%zu: \"%s\" is not known, and not used%s%s%s", connector->path, line, name,
		   meant ? ": did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
}

static enum err_code take_property(void *user, size_t line, const char *name, const char *value,
				   struct err *err)
{
	struct connector *connector = user;
	const struct property *property = find_property(name);

	if (!property) {
		tell_unknown(connector, line, name);
		return ERR_OK;
	}
	switch (property->fate) {
	case FATE_OPTION:
		return set_option(connector, (enum option)property->what, line, name, value, err);
	case FATE_TOPICS:
		if (set_option(connector, OPT_TAKE, line, name, "named", err) != ERR_OK)
			return err->code;
		return set_option(connector, OPT_TOPICS, line, name, value, err);
	case FATE_KEPT:
		if (snprintf(connector->kept[property->what], VALUE_MAX, "%s", value) >= VALUE_MAX)
			return connector_refuse(connector, line, name, "it is too long", err);
		connector->line[property->what] = line;
		return ERR_OK;
	case FATE_ONLY:
		if (connector_allows(property->text, value))
			return ERR_OK;
		return err_set(err, ERR_USAGE,
			       "%s:%zu: \"%s\" cannot be \"%.80s\" here, only \"%s\":"
			       " an object of the lake is a JSON text a line under its one name",
			       connector->path, line, name, value, property->text);
	case FATE_UNUSED:
		tell_unused(connector, line, name, property->text);
		return ERR_OK;
	case FATE_REFUSED:
		return connector_refuse(connector, line, name, property->text, err);
	case FATE_LAKE:
	case FATE_SAME:
		break;
	}
	return ERR_OK;
}

/* --- what several properties say together ------------------------------------- */

static enum err_code take_kept(struct connector *connector, enum kept kept, enum option option,
			       const char *name, struct err *err)
{
	const char *value = connector->kept[kept];

	if (!*value)
		return ERR_OK;
	if (strcmp(value, "-1") == 0) /* as if it were not there */
		value = option_default(option);
	return set_option(connector, option, connector->line[kept], name, value, err);
}

static enum err_code set_path(struct connector *connector, const char *format,
			      const char *duration_ms, struct err *err)
{
	size_t line = connector->line[KEPT_PARTITIONER];

	if (set_option(connector, OPT_PATH_FORMAT, line, "path.format", format, err) != ERR_OK)
		return err->code;
	return set_option(connector, OPT_PARTITION_DURATION, line, "partition.duration.ms",
			  duration_ms, err);
}

/* A kept property that the partitioner has no use for, if it is there. */
static void pass_kept(const struct connector *connector, enum kept kept, const char *name,
		      const char *why)
{
	if (connector->kept[kept][0])
		tell_unused(connector, connector->line[kept], name, why);
}

static void pass_folders(const struct connector *connector, const char *why)
{
	pass_kept(connector, KEPT_PATH, "path.format", why);
	pass_kept(connector, KEPT_DURATION, "partition.duration.ms", why);
}

/* Objects lie by partition, whatever another layer says of folders by time. */
static enum err_code set_plain(struct connector *connector, struct err *err)
{
	static const char why[] = "DefaultPartitioner has no times";

	pass_folders(connector, why);
	pass_kept(connector, KEPT_INTERVAL, "rotate.interval.ms", why);
	if (set_path(connector, option_default(OPT_PATH_FORMAT),
		     option_default(OPT_PARTITION_DURATION), err) != ERR_OK)
		return err->code;
	return set_option(connector, OPT_ROTATE_INTERVAL, connector->line[KEPT_PARTITIONER],
			  "rotate.interval.ms", option_default(OPT_ROTATE_INTERVAL), err);
}

static enum err_code set_folders(struct connector *connector, const char *format,
				 const char *duration_ms, struct err *err)
{
	pass_folders(connector, "partitioner.class has its own");
	return set_path(connector, format, duration_ms, err);
}

/* rotate.interval.ms is for time partitioners only, there too. */
static enum err_code take_partitioner(struct connector *connector, struct err *err)
{
	static const char none[] = "the file names no partitioner.class with times";
	const char *class = connector->kept[KEPT_PARTITIONER];
	size_t line = connector->line[KEPT_PARTITIONER];
	enum err_code code;

	if (!*class) {
		pass_folders(connector, none);
		pass_kept(connector, KEPT_INTERVAL, "rotate.interval.ms", none);
		return ERR_OK;
	}
	if (is_class(class, "DefaultPartitioner"))
		return set_plain(connector, err);
	if (is_class(class, "HourlyPartitioner"))
		code = set_folders(connector, "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH",
				   "3600000", err);
	else if (is_class(class, "DailyPartitioner"))
		code = set_folders(connector, "'year'=YYYY/'month'=MM/'day'=dd", "86400000", err);
	else if (!is_class(class, "TimeBasedPartitioner"))
		code = connector_refuse(connector, line, "partitioner.class",
					"objects lie by partition or by time", err);
	else if (!*connector->kept[KEPT_PATH] || !*connector->kept[KEPT_DURATION])
		code = connector_refuse(connector, line, "partitioner.class",
					"path.format and partition.duration.ms are missing", err);
	else
		code = set_path(connector, connector->kept[KEPT_PATH],
				connector->kept[KEPT_DURATION], err);
	if (code == ERR_OK)
		code = take_kept(connector, KEPT_INTERVAL, OPT_ROTATE_INTERVAL,
				 "rotate.interval.ms", err);
	return code;
}

/* Keys land as texts, so they must have been read as such. */
static enum err_code take_keys(struct connector *connector, struct err *err)
{
	const char *converter = connector->kept[KEPT_KEY_CONVERTER];

	if (strcmp(connector->kept[KEPT_KEYS], "true") == 0 && *converter &&
	    !is_class(converter, "StringConverter"))
		return connector_refuse(connector, connector->line[KEPT_KEY_CONVERTER],
					"key.converter", "keys are stored as strings", err);
	return take_kept(connector, KEPT_KEYS, OPT_STORE_KEYS, "store.kafka.keys", err);
}

/* --- the file --------------------------------------------------------------- */

/* NULL: no file is named. To be freed. */
static struct connector *connector_new(struct config *config)
{
	const char *path = config_text(config, OPT_CONNECTOR);
	struct connector *connector;

	if (!*path)
		return NULL;
	connector = xcalloc(1, sizeof(*connector));
	connector->config = config;
	connector->path = path;
	return connector;
}

typedef enum err_code take_fn(void *user, size_t line, const char *name, const char *value,
			      struct err *err);

static enum err_code connector_read(struct connector *connector, take_fn *take, struct err *err)
{
	enum err_code code;
	struct buf text;

	buf_init(&text, CONNECTOR_MAX);
	code = file_read(AT_FDCWD, connector->path, &text, "the connector's properties", err);
	if (code == ERR_OK)
		code = properties_read(buf_slice(&text), take, connector, err);
	if (code == ERR_SYNTAX) {
		err->code = ERR_USAGE;
		code = err_prefix(err, "%s", connector->path);
	}
	buf_release(&text);
	return code;
}

static enum err_code connector_take_place(void *user, size_t line, const char *name,
					  const char *value, struct err *err)
{
	struct connector *connector = user;
	const struct property *property = find_property(name);

	if (!property || property->fate != FATE_LAKE)
		return ERR_OK;
	if (property->what != OPT_LAKE)
		return set_option(connector, (enum option)property->what, line, name, value, err);
	if (snprintf(connector->bucket, VALUE_MAX, "%s", value) >= VALUE_MAX)
		return connector_refuse(connector, line, name, "it is too long", err);
	connector->bucket_line = line;
	return ERR_OK;
}

/* Below a prefix of the bucket, too. */
static bool is_of_bucket(const char *lake, const char *bucket)
{
	static const char scheme[] = "s3://";
	size_t len = strlen(bucket);

	if (strncmp(lake, scheme, strlen(scheme)) != 0)
		return false;
	lake += strlen(scheme);
	return strncmp(lake, bucket, len) == 0 && (lake[len] == '/' || lake[len] == '\0');
}

/* The connector would not start without a bucket; here the lake may be named elsewhere, but not
 * another one. */
static enum err_code set_lake(struct connector *connector, struct err *err)
{
	const char *named = config_text(connector->config, OPT_LAKE);
	char lake[VALUE_MAX + 8];

	if (!*connector->bucket && !*named)
		return err_set(err, ERR_USAGE,
			       "%s: \"s3.bucket.name\" is missing, and no lake is named"
			       " (--lake says where objects go)",
			       connector->path);
	if (!*connector->bucket || is_of_bucket(named, connector->bucket))
		return ERR_OK;
	if (*named)
		return err_set(err, ERR_USAGE,
			       "%s:%zu: \"s3.bucket.name\" is \"%s\", but the lake is \"%s\" (%s):"
			       " all parts write to one",
			       connector->path, connector->bucket_line, connector->bucket, named,
			       config_place(connector->config, OPT_LAKE));
	(void)snprintf(lake, sizeof(lake), "s3://%s", connector->bucket);
	return set_option(connector, OPT_LAKE, connector->bucket_line, "s3.bucket.name", lake, err);
}

enum err_code connector_take_lake(struct config *config, struct err *err)
{
	struct connector *connector = connector_new(config);
	enum err_code code;

	if (!connector)
		return ERR_OK;
	code = connector_read(connector, connector_take_place, err);
	if (code == ERR_OK)
		code = set_lake(connector, err);
	free(connector);
	return code;
}

enum err_code connector_load(struct config *config, struct err *err)
{
	struct connector *connector = connector_new(config);
	enum err_code code;

	if (!connector)
		return ERR_OK;
	code = connector_read(connector, take_property, err);
	if (code == ERR_OK)
		code = take_partitioner(connector, err);
	if (code == ERR_OK)
		code = take_kept(connector, KEPT_SCHEDULE, OPT_ROTATE_SCHEDULE,
				 "rotate.schedule.interval.ms", err);
	if (code == ERR_OK)
		code = take_keys(connector, err);
	free(connector);
	return code;
}
