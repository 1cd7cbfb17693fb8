#include "cmd/setup.h"

#include "base/beside.h"
#include "base/dir.h"
#include "base/fnv.h"
#include "base/mem.h"
#include "base/trace.h"
#include "broker/broker_kinds.h"
#include "broker/kafka/broker_kafka.h"
#include "cmd/setup_spark.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DIR_MODE = 0700,
	PAID_AGE_MS = 1000, /* of a micro-batch where requests cost something */
	KEEP_MIN_MS = 60000,
	KEEP_STREAM_MS = 3600000,
	KEEP_BATCH_MS = 7 * 24 * 3600000,
	MEMBER_NAME_MAX = 128,
};

/* Posts a second: enough to see that something lives. */
#define DEMO_RATE "3"

enum err_code setup_dir(const struct config *config, const char **ret_dir, struct err *err)
{
	const char *dir = config_text(config, OPT_DIR);
	enum err_code code = dir_make(dir, DIR_MODE, err);

	if (code == ERR_OK)
		*ret_dir = dir;
	return code;
}

/* Whether DIR/name is there. */
static bool is_in(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

enum err_code setup_dir_there(const struct config *config, const char **ret_dir, struct err *err)
{
	const char *dir = config_text(config, OPT_DIR);

	if (!is_in(dir, "log") && !is_in(dir, "lake") && errno == EACCES)
		return err_errno(err, "could not look into \"%s\"", dir);
	if (!is_in(dir, "log") && !is_in(dir, "lake"))
		return err_set(err, ERR_ABSENT,
			       "there is no pinpipe data in \"%s\": --dir names another place, and"
			       " `pinpipe up` begins one",
			       dir);
	*ret_dir = dir;
	return ERR_OK;
}

static enum err_code default_lake(const char *dir, char url[PATH_MAX], struct err *err)
{
	if (snprintf(url, PATH_MAX, "file:%s/lake", dir) >= PATH_MAX)
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", dir);
	return ERR_OK;
}

/* `cache`: where what is fetched is kept; NULL: nowhere. */
static enum err_code open_store(const struct config *config, const char *url, const char *cache,
				struct store **ret_store, struct err *err)
{
	const struct store_options options = {
		.endpoint = config_text(config, OPT_S3_ENDPOINT),
		.region = config_text(config, OPT_S3_REGION),
		.path_style = config_text(config, OPT_S3_PATH_STYLE),
		.sse = config_text(config, OPT_S3_SSE),
		.kms_key = config_text(config, OPT_S3_KMS_KEY),
		.cache_dir = cache,
		.cache_bytes_max = (uint64_t)config_int(config, OPT_S3_CACHE_BYTES),
	};

	return store_open(url, &options, ret_store, err);
}

enum err_code setup_store_at(const struct config *config, const char *url, struct store **ret_store,
			     struct err *err)
{
	return open_store(config, url, NULL, ret_store, err);
}

static enum err_code open_lake(const struct config *config, const char *url,
			       struct store **ret_store, struct err *err)
{
	char cache[PATH_MAX];

	if (snprintf(cache, sizeof(cache), "%s/cache", config_text(config, OPT_DIR)) >=
	    (int)sizeof(cache))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long",
			       config_text(config, OPT_DIR));
	return open_store(config, url, cache, ret_store, err);
}

int64_t setup_stream_age_ms(const struct config *config)
{
	bool paid = !config_is_set(config, OPT_TABLE_AGE) &&
		    store_is_service(config_text(config, OPT_LAKE));

	return paid ? PAID_AGE_MS : config_int(config, OPT_TABLE_AGE);
}

static enum err_code setup_keep_one(const struct config *config, enum option option,
				    enum topic_kind kind, int64_t *ret_ms, struct err *err)
{
	int64_t ms = config_int(config, option);

	if (ms == 0)
		ms = kind == TOPIC_STREAM ? KEEP_STREAM_MS : KEEP_BATCH_MS;
	if (ms < KEEP_MIN_MS)
		return err_set(err, ERR_USAGE,
			       "%s: a minute is the least: what is younger may be "
			       "needed by a writer or a reader that is at work",
			       option_key(option));
	*ret_ms = ms;
	return ERR_OK;
}

enum err_code setup_keep(const struct config *config, enum topic_kind kind,
			 struct lake_keep *ret_keep, struct err *err)
{
	enum err_code code = setup_keep_one(config, OPT_TABLE_KEEP, kind, &ret_keep->files_ms, err);

	ret_keep->checkpoint_commits = (uint32_t)config_int(config, OPT_TABLE_CHECKPOINT);
	return code == ERR_OK
		       ? setup_keep_one(config, OPT_TABLE_KEEP_LOG, kind, &ret_keep->log_ms, err)
		       : code;
}

enum err_code setup_store(const struct config *config, struct store **ret_store, struct err *err)
{
	const char *lake = config_text(config, OPT_LAKE);
	char url[PATH_MAX];
	const char *dir;
	enum err_code code;

	/* A disk that is not mounted is an empty directory of another disk, or none. */
	if (*lake && !store_is_there(lake) &&
	    !config_bool(config, OPT_CREATE))
		return err_set(err, ERR_ABSENT, "the lake \"%s\" is not there: is it mounted? --create makes it",
			       lake);
	if (*lake)
		return open_lake(config, lake, ret_store, err);
	code = setup_dir(config, &dir, err);
	if (code == ERR_OK)
		code = default_lake(dir, url, err);
	if (code == ERR_OK)
		code = open_lake(config, url, ret_store, err);
	return code;
}

enum err_code setup_store_there(const struct config *config, struct store **ret_store,
				struct err *err)
{
	const char *lake = config_text(config, OPT_LAKE);
	char url[PATH_MAX];
	const char *dir;
	enum err_code code;

	if (*lake)
		return !store_is_there(lake)
			       ? err_set(err, ERR_ABSENT, "there is no lake at \"%s\"", lake)
			       : open_lake(config, lake, ret_store, err);
	code = setup_dir_there(config, &dir, err);
	if (code == ERR_OK)
		code = default_lake(dir, url, err);
	if (code == ERR_OK && store_is_there(url))
		return open_lake(config, url, ret_store, err);
	if (code == ERR_OK)
		*ret_store = store_none_new();
	return code;
}

bool setup_from_files(const struct config *config)
{
	const char *kind = config_text(config, OPT_SOURCE);

	if (config_bool(config, OPT_DEMO))
		return false;
	return !strcmp(kind, "files") || (!strcmp(kind, "auto") && *config_text(config, OPT_DATA));
}

bool setup_each_row_once(const struct config *config)
{
	const char *order = config_text(config, OPT_ORDER);

	return setup_from_files(config) && (!strcmp(order, "auto") || !strcmp(order, "rows"));
}

enum err_code setup_mysql(const struct config *config, struct mysql_options *ret_options,
			  struct err *err)
{
	const char *tls = config_text(config, OPT_MYSQL_TLS);
	const char *ca_file = config_text(config, OPT_MYSQL_CA_FILE);

	*ret_options = (struct mysql_options){
		.host = config_text(config, OPT_MYSQL_HOST),
		.socket = config_text(config, OPT_MYSQL_SOCKET),
		.port = (uint16_t)config_int(config, OPT_MYSQL_PORT),
		.user = config_text(config, OPT_MYSQL_USER),
		.password = config_text(config, OPT_MYSQL_PASSWORD),
		.database = config_text(config, OPT_MYSQL_DATABASE),
		.tls = !strcmp(tls, "verify") || (!strcmp(tls, "auto") && *ca_file)
			       ? MYSQL_TLS_VERIFY
			       : !strcmp(tls, "required") ? MYSQL_TLS_REQUIRED : MYSQL_TLS_OFF,
		.ca_file = *ca_file ? ca_file : NULL,
		.timeout_ms = config_int(config, OPT_MYSQL_TIMEOUT),
		.retry_ms = config_int(config, OPT_MYSQL_RETRY_FOR),
	};
	if (!*ret_options->host && !*ret_options->socket)
		return err_set(err, ERR_USAGE, "which database? mysql.host (HOST in db_creds.yaml) or "
			       "mysql.socket says it");
	if (!*ret_options->database)
		return err_set(err, ERR_USAGE, "which database there? mysql.database (DATABASE in "
			       "db_creds.yaml) says it");
	return ERR_OK;
}

static enum err_code setup_source_mysql(const struct config *config, struct source **ret_source,
					struct err *err)
{
	struct mysql_options options;
	enum err_code code = setup_mysql(config, &options, err);

	return code == ERR_OK ? source_mysql_new(&options,
						 (uint64_t)config_int(config, OPT_MYSQL_MEMORY),
						 ret_source, err) : code;
}

enum err_code setup_pace(const struct config *config, enum emulate_pace *ret_pace, double *ret_rate,
			 struct err *err)
{
	const char *text = config_text(config, OPT_RATE);
	char *end;

	if (config_bool(config, OPT_DEMO) && !*text)
		text = DEMO_RATE;
	/* Who hands over files wants them in; the others want to see a pipeline at work. */
	if (!*text || !strcmp(text, "max")) {
		*ret_pace = *text || setup_each_row_once(config) ? EMULATE_UNPACED
								 : EMULATE_AS_ORIGINAL;
		return ERR_OK;
	}
	*ret_pace = EMULATE_AT_RATE;
	*ret_rate = strtod(text, &end);
	if (*end || !isfinite(*ret_rate) || *ret_rate <= 0)
		return err_set(err, ERR_USAGE,
			       "--rate must be a number above 0, or max, not \"%s\"", text);
	return ERR_OK;
}

enum err_code setup_source(const struct config *config, struct source **ret_source, struct err *err)
{
	const char *data = config_text(config, OPT_DATA);

	if (!strcmp(config_text(config, OPT_SOURCE), "files") && !*data &&
	    !config_bool(config, OPT_DEMO))
		return err_set(err, ERR_USAGE,
			       "--source files needs --data, the directory of the files");
	if (setup_from_files(config))
		return source_files_new(data, ret_source, err);
	if (!strcmp(config_text(config, OPT_SOURCE), "mysql") && !config_bool(config, OPT_DEMO))
		return setup_source_mysql(config, ret_source, err);
	*ret_source = source_generated_new((uint64_t)config_int(config, OPT_SEED),
					   (uint64_t)config_int(config, OPT_ROWS));
	return ERR_OK;
}

/* --- topics and streams -------------------------------------------------- */

/* How a broker is to be opened, whatever its kind. */
struct log_use {
	const struct config *config;
	bool writer;
	bool keeps; /* what is old may not go, either */
	bool make;  /* for a reader */
	broker_done_fn *done;
	void *done_user;
};

#ifdef PINPIPE_HOSTILE
/* A test build: the local log looks like a service that does all that one may
 * (tests/backends/broker_hostile.c). */
MUST_USE enum err_code broker_hostile_new(const struct broker_local_options *options,
					  struct broker **ret_broker, struct err *err);
#define broker_local_new broker_hostile_new
#endif

static enum err_code open_local(const struct log_use *use, struct broker **ret_broker,
				struct err *err)
{
	const struct config *config = use->config;
	struct broker_local_options options = {
		.dir = config_text(config, OPT_DIR),
		.writer = use->writer,
		.make = use->make,
		.segment_bytes = (size_t)config_int(config, OPT_SEGMENT_BYTES),
		.inflight_bytes_max = (size_t)config_int(config, OPT_INFLIGHT_MAX),
		.record_bytes_max = (size_t)config_int(config, OPT_RECORD_MAX),
		.disk_reserve_bytes = (uint64_t)config_int(config, OPT_DISK_RESERVE),
		.retention_ms = use->keeps ? 0 : config_int(config, OPT_RETENTION),
		.retention_bytes = use->keeps ? 0
					      : (uint64_t)config_int(config, OPT_RETENTION_BYTES),
		.done = use->done,
		.done_user = use->done_user,
	};

	if (use->writer && setup_dir(config, &options.dir, err) != ERR_OK)
		return err->code;
	return broker_local_new(&options, ret_broker, err);
}

/* The same after a restart, and nobody else's: this machine's name, and its directory. Containers
 * may have both names in common; they do not have the place on the disk. */
static void member_name(const char *dir, char name[MEMBER_NAME_MAX])
{
	char host[HOST_NAME_MAX + 1] = "", path[PATH_MAX];
	struct stat there = { 0 };

	(void)gethostname(host, sizeof(host) - 1);
	(void)stat(dir, &there);
	(void)snprintf(name, MEMBER_NAME_MAX, "pinpipe-%s-%016" PRIx64 "-%jx.%jx", host,
		       fnv1a_text(FNV1A_BEGIN, realpath(dir, path) ? path : dir),
		       (uintmax_t)there.st_dev, (uintmax_t)there.st_ino);
}

static enum err_code open_kafka(const struct log_use *use, struct broker **ret_broker,
				struct err *err)
{
	const struct config *config = use->config;
	char member[MEMBER_NAME_MAX];
	struct broker_kafka_options options = {
		.member = member,
		.record_bytes_max = (size_t)config_int(config, OPT_RECORD_MAX),
		.inflight_bytes_max = (size_t)config_int(config, OPT_INFLIGHT_MAX),
		.done = use->keeps ? NULL : use->done,
		.done_user = use->done_user,
	};

	options.settings =
		config_settings(config, OPTION_GROUP_KAFKA, &options.setting_count);
	member_name(config_text(config, OPT_DIR), member);
	return broker_kafka_new(&options, ret_broker, err);
}

static const struct broker_kind {
	const char *name; /* of broker.kind and streams.kind */
	bool in_dir;	  /* its data are in --dir */
	enum err_code (*open)(const struct log_use *use, struct broker **ret_broker,
			      struct err *err);
} broker_kinds[] = {
	{ "local", true, open_local },
	{ "kafka", false, open_kafka },
};

/* Which bucket; and whose, as others have such names. */
static void put_bucket(const struct config *config, const char *url, struct buf *place)
{
	const char *endpoint = config_text(config, OPT_S3_ENDPOINT);
	const char *given = getenv("AWS_ENDPOINT_URL_S3");

	buf_addf(place, "%s at %s", url, *endpoint ? endpoint : given ? given : "");
}

/* Which directory, by whatever path it is named; and on which machine and disk, as others have such
 * paths. */
static void put_directory(const char *dir, struct buf *place)
{
	char path[PATH_MAX], host[HOST_NAME_MAX + 1] = "";
	struct stat there = { 0 };

	(void)gethostname(host, sizeof(host) - 1);
	(void)stat(dir, &there);
	buf_addf(place, "%s on %s, %jx.%jx", realpath(dir, path) ? path : dir, host,
		 (uintmax_t)there.st_dev, (uintmax_t)there.st_ino);
}

static enum err_code lake_hash(const struct config *config, uint32_t *ret_hash, struct err *err)
{
	const char *lake = config_text(config, OPT_LAKE);
	char own[PATH_MAX];
	struct buf place;

	if (!*lake && default_lake(config_text(config, OPT_DIR), own, err) != ERR_OK)
		return err->code;
	if (!*lake)
		lake = own;
	buf_init(&place, 4 * PATH_MAX);
	if (store_is_service(lake))
		put_bucket(config, lake, &place);
	else
		put_directory(store_dir(lake) ? store_dir(lake) : lake, &place);
	*ret_hash = (uint32_t)fnv1a_text(FNV1A_BEGIN, buf_cstr(&place));
	buf_release(&place);
	return ERR_OK;
}

/* One of those that config_options.h lists: it has no other value. */
static const struct broker_kind *kind_named(const char *name)
{
	size_t i = 0;

	while (strcmp(broker_kinds[i].name, name) != 0)
		i++;
	return &broker_kinds[i];
}

static const struct broker_kind *kind_of(const struct config *config, enum topic_kind kind)
{
	return kind_named(config_text(config, kind == TOPIC_LOG ? OPT_BROKER : OPT_STREAMS));
}

enum err_code setup_sink_group(const struct config *config, char ret_group[SINK_GROUP_MAX],
			       struct err *err)
{
	const char *given = config_text(config, OPT_SINK_GROUP);
	const char *id = config_text(config, OPT_ID);
	uint32_t hash = 0;
	int len;

	if (*given && kind_of(config, TOPIC_LOG)->in_dir)
		return err_set(err, ERR_USAGE, "sink.group is for a cluster, and topics are in the "
			       "log of --dir");
	if (*given || kind_of(config, TOPIC_LOG)->in_dir) {
		len = snprintf(ret_group, SINK_GROUP_MAX, "%s", *given ? given : "sink");
	} else {
		if (lake_hash(config, &hash, err) != ERR_OK)
			return err->code;
		len = snprintf(ret_group, SINK_GROUP_MAX, "pinpipe-%s-sink-%08" PRIx32, id, hash);
		trace_info("the group in the cluster is \"%s\"", ret_group);
	}
	return len < SINK_GROUP_MAX ? ERR_OK
				    : err_set(err, ERR_USAGE, "the name of the sink's group is too "
					      "long");
}

/* One broker, where both kinds are of one; else one of each. */
static enum err_code open_log(const struct log_use *use, struct broker **ret_broker,
			      struct err *err)
{
	const struct broker_kind *topics = kind_of(use->config, TOPIC_LOG);
	const struct broker_kind *streams = kind_of(use->config, TOPIC_STREAM);
	struct broker *broker_of_topics, *broker_of_streams;

	if (topics == streams)
		return topics->open(use, ret_broker, err);
	if (topics->open(use, &broker_of_topics, err) != ERR_OK)
		return err->code;
	if (streams->open(use, &broker_of_streams, err) != ERR_OK) {
		broker_free(broker_of_topics);
		return err->code;
	}
	*ret_broker = broker_kinds_new(broker_of_topics, broker_of_streams);
	return ERR_OK;
}

enum err_code setup_log_writer(const struct config *config, broker_done_fn *done, void *done_user,
			       struct broker **ret_broker, struct err *err)
{
	const struct log_use use = {
		.config = config, .writer = true, .done = done, .done_user = done_user
	};

	return open_log(&use, ret_broker, err);
}

static void nothing_is_appended(void *user, struct append *chain)
{
	(void)user;
	(void)chain;
}

enum err_code setup_log_admin(const struct config *config, enum topic_kind kind,
			      struct broker **ret_broker, struct err *err)
{
	const struct log_use use = {
		.config = config, .writer = true, .keeps = true, .done = nothing_is_appended
	};

	return kind_of(config, kind)->open(&use, ret_broker, err);
}

enum err_code setup_log_reader(const struct config *config, bool make, struct broker **ret_broker,
			       struct err *err)
{
	const struct log_use use = { .config = config, .make = make };

	return open_log(&use, ret_broker, err);
}

enum err_code setup_log_kind_there(const struct config *config, enum topic_kind kind,
				   struct broker **ret_broker, struct err *err)
{
	const struct log_use use = { .config = config };
	const struct broker_kind *of = kind_of(config, kind);
	const char *dir;

	if (of->in_dir && setup_dir_there(config, &dir, err) != ERR_OK)
		return err->code;
	return of->open(&use, ret_broker, err);
}

/* Where one kind is elsewhere, this machine need not have data of the other. */
static enum err_code open_kind_if_there(const struct config *config, enum topic_kind kind,
					struct broker **ret_broker, struct err *err)
{
	enum err_code code = setup_log_kind_there(config, kind, ret_broker, err);

	if (code != ERR_ABSENT || !kind_of(config, kind)->in_dir)
		return code;
	*ret_broker = broker_none_new();
	return ERR_OK;
}

enum err_code setup_log_there(const struct config *config, struct broker **ret_broker,
			      struct err *err)
{
	struct broker *topics = NULL, *streams = NULL;

	if (kind_of(config, TOPIC_LOG) == kind_of(config, TOPIC_STREAM))
		return setup_log_kind_there(config, TOPIC_LOG, ret_broker, err);
	if (open_kind_if_there(config, TOPIC_LOG, &topics, err) != ERR_OK)
		return err->code;
	if (open_kind_if_there(config, TOPIC_STREAM, &streams, err) != ERR_OK) {
		broker_free(topics);
		return err->code;
	}
	*ret_broker = broker_kinds_new(topics, streams);
	return ERR_OK;
}

bool setup_topics_are_in_dir(const struct config *config)
{
	return kind_of(config, TOPIC_LOG)->in_dir;
}

bool setup_lake_alone(const struct config *config)
{
	return *config_text(config, OPT_LAKE) && !is_in(config_text(config, OPT_DIR), "log") &&
	       kind_of(config, TOPIC_LOG)->in_dir && kind_of(config, TOPIC_STREAM)->in_dir;
}

enum err_code setup_log_if_there(const struct config *config, struct broker **ret_broker,
				 struct err *err)
{
	if (!setup_lake_alone(config))
		return setup_log_there(config, ret_broker, err);
	*ret_broker = broker_none_new();
	return ERR_OK;
}

/* --- models and the engine ----------------------------------------------- */

enum err_code setup_beside(const char *name, char ret_dir[PATH_MAX], struct err *err)
{
	char installed[64], checkout[64];
	const char *const paths[] = { installed, checkout, NULL };

	(void)snprintf(installed, sizeof(installed), "../share/pinpipe/%s", name);
	(void)snprintf(checkout, sizeof(checkout), "../%s", name);
	return beside_find(paths, ret_dir, err);
}

enum err_code setup_models_dir(const struct config *config, char ret_dir[PATH_MAX], struct err *err)
{
	const char *given = config_text(config, OPT_MODELS);
	enum err_code code;

	if (*given) {
		if (snprintf(ret_dir, PATH_MAX, "%s", given) < PATH_MAX)
			return ERR_OK;
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", given);
	}
	code = setup_beside("models", ret_dir, err);
	if (code != ERR_ABSENT)
		return code;
	return err_set(err, ERR_USAGE,
		       "no SQL models beside this program; name them with --models");
}

/* The first words of the first fault are kept for where nothing is sound. */
struct told_faults {
	struct model_faults faults; /* first */
	bool quiet;
	char first[ERR_MSG_MAX];
};

static void setup_note_fault(void *user, const char *fault)
{
	struct told_faults *told = user;

	if (!told->first[0])
		(void)snprintf(told->first, sizeof(told->first), "%s", fault);
	if (!told->quiet)
		trace_error("%s; the other models go on", fault);
}

/* One that is broken harms no other; where there is no table, nothing can go on. */
static enum err_code load_models(const struct config *config, bool quiet, struct models *ret_models,
				 struct err *err)
{
	struct told_faults told = { .faults = { .tell = setup_note_fault, .user = &told },
				    .quiet = quiet };
	struct models models;
	char dir[PATH_MAX];
	enum err_code code = setup_models_dir(config, dir, err);

	if (code == ERR_OK)
		code = models_load_sound(dir, &told.faults, &models, err);
	if (code != ERR_OK)
		return code;
	if (models.clean_count == 0 && models_broken(&models, MODEL_CLEAN) > 0) {
		models_free(&models);
		return err_set(err, ERR_USAGE, "%s", told.first);
	}
	*ret_models = models;
	return ERR_OK;
}

enum err_code setup_models(const struct config *config, struct models *ret_models, struct err *err)
{
	return load_models(config, false, ret_models, err);
}

enum err_code setup_models_untold(const struct config *config, struct models *ret_models,
				  struct err *err)
{
	return load_models(config, true, ret_models, err);
}

static const struct engine_kind {
	const char *name; /* of engine.kind */
	enum err_code (*make)(const struct engine_options *options, struct engine **ret_engine,
			      struct err *err);
} engine_kinds[] = {
	{ "duckdb", engine_duckdb_new },
	{ "spark", engine_spark_new },
};

static enum err_code new_engine(const struct config *config, const char *kind,
				struct engine_options *options, struct engine **ret_engine,
				struct err *err)
{
	struct setup_spark spark = { 0 };
	enum err_code code = ERR_OK;
	size_t i = 0;

	while (strcmp(engine_kinds[i].name, kind) != 0)
		i++;
	if (strcmp(kind, "spark") == 0) {
		code = setup_spark_init(&spark, config, err);
		options->spark = &spark.options;
	}
	if (code == ERR_OK)
		code = engine_kinds[i].make(options, ret_engine, err);
	options->spark = NULL;
	setup_spark_release(&spark);
	return code;
}

/* It is held to the files that the store gives it; without one, to its own. */
static enum err_code open_engine(const struct config *config, const char *kind, struct store *store,
				 const char *temp, struct engine **ret_engine, struct err *err)
{
	const char *dirs[] = { store ? store_fetch_dir(store) : "" };
	struct engine_options options = {
		.memory_bytes_max = (uint64_t)config_int(config, OPT_ENGINE_MEMORY),
		.threads = (int)config_int(config, OPT_ENGINE_THREADS),
		.progress = isatty(STDERR_FILENO) != 0,	/* where interrupt.h shows it */
		.temp_dir = temp,
		.dirs = dirs,
		.dir_count = *dirs[0] ? 1 : 0,
	};

	return new_engine(config, kind, &options, ret_engine, err);
}

enum err_code setup_engine_in_memory(const struct config *config, struct engine **ret_engine,
				     struct err *err)
{
	struct engine_options options = {
		.memory_bytes_max = (uint64_t)config_int(config, OPT_ENGINE_MEMORY),
		.threads = 1,
	};

	return new_engine(config, config_text(config, OPT_ENGINE), &options, ret_engine, err);
}

static enum err_code setup_engine_of(const struct config *config, const char *kind,
				     struct store *store, struct engine **ret_engine,
				     struct err *err)
{
	char temp[PATH_MAX];
	const char *dir;
	enum err_code code = setup_dir(config, &dir, err);

	if (code != ERR_OK)
		return code;
	if (snprintf(temp, sizeof(temp), "%s/tmp", dir) >= (int)sizeof(temp))
		return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", dir);
	code = dir_make(temp, DIR_MODE, err);
	return code == ERR_OK ? open_engine(config, kind, store, temp, ret_engine, err) : code;
}

enum err_code setup_engine_here(const struct config *config, struct engine **ret_engine,
				struct err *err)
{
	return setup_engine_of(config, "duckdb", NULL, ret_engine, err);
}

enum err_code setup_engine_for_rows(const struct config *config, struct store *store,
				    struct engine **ret_engine, struct err *err)
{
	return open_engine(config, "duckdb", store, NULL, ret_engine, err);
}

enum err_code setup_engine(const struct config *config, struct store *store,
			   struct engine **ret_engine, struct err *err)
{
	return setup_engine_of(config, config_text(config, OPT_ENGINE), store, ret_engine, err);
}

enum err_code setup_compact(const struct config *config, struct store *store,
			    struct compact_options *ret_options, struct err *err)
{
	struct compact_options options = {
		.store = store,
		.policy.target_bytes = (uint64_t)config_int(config, OPT_FILE_SIZE),
		.memory_bytes_max = (uint64_t)config_int(config, OPT_MAINTAIN_MEMORY),
		.threads = 1,
	};
	enum err_code code = setup_dir(config, &options.dir, err);

	if (code == ERR_OK)
		*ret_options = options;
	return code;
}

enum err_code setup_engine_there(const struct config *config, struct store *store,
				 struct engine **ret_engine, struct err *err)
{
	const char *dir = config_text(config, OPT_DIR);
	char temp[PATH_MAX];
	struct err unused;
	bool may = access(dir, W_OK) == 0 &&
		   snprintf(temp, sizeof(temp), "%s/tmp", dir) < (int)sizeof(temp) &&
		   dir_make(temp, DIR_MODE, &unused) == ERR_OK;

	return open_engine(config, config_text(config, OPT_ENGINE), store, may ? temp : NULL,
			   ret_engine, err);
}
