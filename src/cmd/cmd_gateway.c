#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/notify.h"
#include "base/registry.h"
#include "cmd/children.h"
#include "cmd/cmd.h"
#include "cmd/doctor.h"
#include "cmd/seen.h"
#include "cmd/setup.h"
#include "flow/lake.h"
#include "gateway/auth.h"
#include "gateway/caller.h"
#include "gateway/gateway.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	DRAIN_MS = 10000,
	LINE_MAX_BYTES = 16 << 10,
	OWN_NAME_MAX = 1 << 10,
	OWN_BYTES_MAX = 1 << 20,
};

static const char *cmd_gateway_text_or_null(const struct config *config, enum option option)
{
	const char *text = config_text(config, option);

	return *text ? text : NULL;
}

static bool chosen(const struct config *config, enum option option, const char *word)
{
	return strcmp(config_text(config, option), word) == 0;
}

static enum auto_create auto_create(const struct config *config)
{
	if (chosen(config, OPT_AUTO_CREATE, "none"))
		return AUTO_CREATE_NONE;
	return chosen(config, OPT_AUTO_CREATE, "own") ? AUTO_CREATE_OWN : AUTO_CREATE_ANY;
}

static struct gateway_options gateway_options(const struct config *config)
{
	return (struct gateway_options){
		.listen = config_text(config, OPT_LISTEN),
		.listen_also = config_text(config, OPT_LISTEN_ALSO),
		.dir = config_text(config, OPT_DIR),
		.takeover = config_bool(config, OPT_TAKEOVER),
		.of_up = children_has_up(),
		.insecure = config_bool(config, OPT_INSECURE),
		.api_key_sha256 = config_text(config, OPT_API_KEY_HASH),
		.keys = cmd_gateway_text_or_null(config, OPT_KEYS),
		.tls_cert = cmd_gateway_text_or_null(config, OPT_TLS_CERT),
		.tls_key = cmd_gateway_text_or_null(config, OPT_TLS_KEY),
		.id = config_text(config, OPT_ID),
		.stages = config_text(config, OPT_STAGES),
		.hosts = config_text(config, OPT_HOSTS),
		.cors_origins = config_text(config, OPT_CORS_ORIGINS),
		.client_header = cmd_gateway_text_or_null(config, OPT_CLIENT_HEADER),
		.auto_create = auto_create(config),
		.partitions = (int32_t)config_int(config, OPT_PARTITIONS),
		.shards = (int32_t)config_int(config, OPT_SHARDS),
		.confluent_status = chosen(config, OPT_COMPAT_STATUS, "confluent"),
		.kinesis_ok_status = chosen(config, OPT_KINESIS_STATUS, "200"),
		.body_bytes_max = (size_t)config_int(config, OPT_BODY_MAX),
		.record_bytes_max = (size_t)config_int(config, OPT_RECORD_MAX),
		.connections_max = (uint32_t)config_int(config, OPT_CONNECTIONS_MAX),
		.connections_per_ip_max = (uint32_t)config_int(config, OPT_CONNECTIONS_IP_MAX),
		.header_ms = config_int(config, OPT_HEADER_TIMEOUT),
		.body_ms = config_int(config, OPT_BODY_TIMEOUT),
		.write_ms = config_int(config, OPT_WRITE_TIMEOUT),
		.idle_ms = config_int(config, OPT_IDLE_TIMEOUT),
		.retention_ms = config_int(config, OPT_RETENTION),
	};
}

enum err_code cmd_gateway_try(const struct config *config, struct err *err)
{
	struct gateway_options options = gateway_options(config);

	return gateway_try(&options, err);
}

enum err_code cmd_gateway_count_keys(const struct config *config, size_t *ret_count,
				     struct err *err)
{
	struct auth auth;
	enum err_code code = auth_init(&auth, config_text(config, OPT_API_KEY_HASH),
				       config_text(config, OPT_KEYS), err);

	if (code == ERR_OK)
		*ret_count = auth.keys.count;
	auth_release(&auth);
	return code;
}

static void cmd_gateway_put_metrics(void *config, struct buf *out)
{
	metrics_put_place(config, false, out); /* on its loop */
}

static enum err_code cmd_gateway_open_log(void *config, struct gateway *gateway,
					  struct broker **ret_broker, struct err *err)
{
	enum err_code code = setup_log_writer(config, gateway_done, gateway, ret_broker, err);

	/* The directory may not have been there before. */
	if (code == ERR_OK)
		seen_join(config, "gateway");
	return code;
}

/* What others may read, as a journal, is no place for the token. */
static void put_page(const struct config *config, const struct gateway *gateway,
		     const char *address, struct buf *out)
{
	const char *token = gateway_page_token(gateway);

	buf_addf(out, "page: %.*s/", (int)strcspn(address, " \n"), address);
	if (*token && isatty(STDOUT_FILENO))
		buf_addf(out, "#token=%s", token);
	else if (*token)
		buf_addf(out, " (its token is in \"%s/" PAGE_TOKEN_NAME "\")",
			 config_text(config, OPT_DIR));
	buf_add_char(out, '\n');
}

/* Lines that a script can read: the addresses, with the ports that were taken, and the page. */
static enum err_code print_address(const struct config *config, const struct gateway *gateway,
				   struct err *err)
{
	struct buf addresses, lines;
	enum err_code code;

	buf_init(&addresses, LINE_MAX_BYTES);
	buf_init(&lines, LINE_MAX_BYTES);
	gateway_put_addresses(gateway, &addresses);
	for (const char *at = buf_cstr(&addresses); *at;) {
		size_t len = strcspn(at, "\n") + 1;

		buf_addf(&lines, "listening on %.*s", (int)len, at);
		at += len;
	}
	registry_say(REGISTRY_DOING, "%.*s", (int)strcspn(buf_cstr(&lines), "\n"), lines.ptr);
	put_page(config, gateway, buf_cstr(&addresses), &lines);
	code = cmd_print(&lines, err);
	buf_release(&lines);
	buf_release(&addresses);
	return code;
}

/* The topics and streams of the models, which the gateway makes on its own. */
struct cmd_gateway_own {
	struct models models;
	struct lake_table *tables[2];
	const char **names[2];
	struct arena memory; /* of names of broken models */
};

/* What is posted to the topic of a broken model is kept until that is mended. */
static void cmd_gateway_add_broken(struct cmd_gateway_own *own, enum topic_kind kind,
				   const struct broken_model *broken, const char *id, size_t *count)
{
	const char *pattern = kind == TOPIC_LOG ? broken->topic : broken->stream;
	struct err unused;
	struct buf name;

	if (broken->kind != MODEL_CLEAN)
		return;

	buf_init(&name, OWN_NAME_MAX);
	clean_name(&name, pattern, id);
	if ((kind == TOPIC_LOG ? name_check_topic(buf_slice(&name), &unused)
			       : name_check_stream(buf_slice(&name), &unused)) == ERR_OK)
		own->names[kind][(*count)++] = arena_str(&own->memory, buf_slice(&name));
	buf_release(&name);
}

static enum err_code cmd_gateway_own_find(const struct config *config, struct cmd_gateway_own *own,
					  struct gateway_options *options, struct err *err)
{
	const char *id = config_text(config, OPT_ID);
	enum err_code code = setup_models(config, &own->models, err);
	const struct models *models = &own->models;

	arena_init(&own->memory, OWN_BYTES_MAX);
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM && code == ERR_OK; kind++) {
		size_t count = models->clean_count;

		code = lake_tables_new(models, (enum topic_kind)kind, id, &own->tables[kind], err);
		own->names[kind] = xcalloc(count + models->broken_count, sizeof(const char *));
		for (size_t i = 0; i < count && code == ERR_OK; i++)
			own->names[kind][i] = own->tables[kind][i].topic;
		for (size_t i = 0; i < models->broken_count; i++)
			cmd_gateway_add_broken(own, (enum topic_kind)kind, &models->broken[i], id,
					       &count);
		options->own[kind] = (struct gateway_own){ own->names[kind], count };
	}
	return code;
}

static void cmd_gateway_own_release(struct cmd_gateway_own *own)
{
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++) {
		free(own->names[kind]);
		free(own->tables[kind]);
	}
	arena_release(&own->memory);
	models_free(&own->models);
}

/* By the children that answer the page: what they say on stderr is for who looks at it, whatever
 * form our own lines have. */
static enum err_code inherit_for_page(const struct config *config, struct err *err)
{
	char name[OPTION_ENV_MAX];
	enum err_code code = children_inherit(config, err);

	option_env_name(OPT_LOG_FORMAT, name);
	if (code == ERR_OK && setenv(name, "text", 1) < 0)
		code = err_errno(err, "could not set %s", name);
	return code;
}

static enum err_code cmd_gateway_serve(struct config *config, struct err *err)
{
	const struct gateway_opener opener = { cmd_gateway_open_log, config };
	struct gateway_options options = gateway_options(config);
	struct cmd_gateway_own own = { 0 };
	struct gateway *gateway = NULL;
	struct seen seen = { .pulse = NULL };
	struct err unused;
	const char *dir;
	enum err_code code;

	if (inherit_for_page(config, err) != ERR_OK)
		return err->code;
	options.put_metrics = cmd_gateway_put_metrics;
	options.user = config;
	/* Nothing is counted yet, and rows of topics stay where they are. */
	if (setup_dir_there(config, &dir, &unused) == ERR_OK)
		seen_join(config, "gateway");
	seen_follow(&seen, config, NULL);
	if ((code = cmd_gateway_own_find(config, &own, &options, err)) == ERR_OK &&
	    (code = gateway_new(&options, &gateway, err)) == ERR_OK &&
	    (code = gateway_open(gateway, &opener, err)) == ERR_OK &&
	    (code = print_address(config, gateway, err)) == ERR_OK) {
		notify_send("READY=1");
		code = gateway_run(gateway, DRAIN_MS, err);
	}
	gateway_free(gateway);
	seen_end(&seen);
	cmd_gateway_own_release(&own);
	return code;
}

static enum err_code print_routes(struct err *err)
{
	enum err_code code;
	struct buf out;

	buf_init(&out, LINE_MAX_BYTES);
	gateway_put_routes(&out);
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

static int cmd_gateway_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;
	enum err_code code;

	(void)argc;
	(void)argv;
	code = config_bool(config, OPT_ROUTES) ? print_routes(&err)
					       : cmd_gateway_serve(config, &err);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = {
	OPT_LISTEN,	     OPT_LISTEN_ALSO,	  OPT_MODELS,
	OPT_INSECURE,	     OPT_API_KEY_HASH,	  OPT_KEYS,
	OPT_TLS_CERT,	     OPT_TLS_KEY,	  OPT_STAGES,
	OPT_HOSTS,	     OPT_CORS_ORIGINS,	  OPT_CLIENT_HEADER,
	OPT_COMPAT_STATUS,   OPT_KINESIS_STATUS,  OPT_AUTO_CREATE,
	OPT_PARTITIONS,	     OPT_SHARDS,	  OPT_BODY_MAX,
	OPT_RECORD_MAX,	     OPT_CONNECTIONS_MAX, OPT_CONNECTIONS_IP_MAX,
	OPT_INFLIGHT_MAX,    OPT_SEGMENT_BYTES,	  OPT_RETENTION,
	OPT_RETENTION_BYTES, OPT_DISK_RESERVE,	  OPT_ROUTES,
	OPT_TAKEOVER,	     OPTION_COUNT,
};

const struct command cmd_gateway = {
	.name = "gateway",
	.summary = "Take records over HTTP and keep them in the log",
	.usage = "[options]",
	.details =
		"Speaks the Kafka REST Proxy's v2 API on /topics and the API Gateway's Kinesis API\n"
		"on /streams. A 2xx means that the records are on the disk. Prints the address it\n"
		"listens on; SIGINT or SIGTERM ends it after what is in flight was answered. Where the log\n"
		"cannot be opened yet it says so, answers 503, and takes records as soon as it can.\n"
		"With --takeover a newer program gets the sockets, the idle connections and the log of\n"
		"the one that runs on the directory, which answers what is in flight and ends.\n",
	.examples = "pinpipe gateway --listen 127.0.0.1:8082 --dir data\n"
		    "curl -H 'Content-Type: application/vnd.kafka.json.v2+json' \\\n"
		    "  -d '{\"records\":[{\"value\":{\"index\":1}}]}' "
		    "http://127.0.0.1:8082/topics/124df56aef51.pin\n"
		    "pinpipe gateway --routes\n",
	.options = options,
	.run = cmd_gateway_run,
};
