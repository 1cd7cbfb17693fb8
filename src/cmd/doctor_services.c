#include "base/lock.h"
#include "base/mem.h"
#include "base/time.h"
#include "broker/broker.h"
#include "cmd/doctor.h"
#include "cmd/setup.h"
#include "flow/db_check.h"
#include "net/aws_credentials.h"
#include "net/http_client.h"
#include "net/http_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DAY_S = 86400,
	CERT_SOON_DAYS = 14,
	URL_BYTES_MAX = 2048,
	REPLY_BYTES_MAX = 64 << 10,
	ANSWER_MS = 10000,
};

static bool is_chosen(const struct doctor *doctor, enum option option, const char *word)
{
	return strcmp(config_text(doctor->config, option), word) == 0;
}

static bool is_given(const struct doctor *doctor, enum option option)
{
	return *config_text(doctor->config, option) != '\0';
}

/* --- the configuration's own --------------------------------------------- */

static void doctor_secrets(struct doctor *doctor)
{
	const char *creds = config_text(doctor->config, OPT_CREDS);
	struct stat st;

	creds = *creds ? creds : "db_creds.yaml";
	if (stat(creds, &st) < 0)
		return;
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		doctor_tell(doctor, DOCTOR_WARN, "credentials",
			    "chmod 600 keeps the password to yourself",
			    "\"%s\" may be read by others", creds);
	else
		doctor_tell(doctor, DOCTOR_OK, "credentials", NULL, "\"%s\" is its owner's alone",
			    creds);
}

static void doctor_listen(struct doctor *doctor)
{
	const char *listen = config_text(doctor->config, OPT_LISTEN);
	const char *dir = config_text(doctor->config, OPT_DIR);
	char holder[LOCK_HOLDER_MAX] = "";
	struct err err;
	enum err_code code = cmd_gateway_try(doctor->config, &err);

	if (code == ERR_OK)
		doctor_tell(doctor, DOCTOR_OK, "address", NULL, "%s is free", listen);
	else if (code == ERR_EXISTS && lock_is_held(dir, "up.lock", holder))
		doctor_tell(doctor, DOCTOR_OK, "address", NULL,
			    "%s is taken, and `pinpipe up` (process %s)"
			    " runs on this directory",
			    listen, holder);
	else if (code == ERR_EXISTS && lock_is_held(dir, "log/lock", holder))
		doctor_tell(doctor, DOCTOR_OK, "address", NULL,
			    "%s is taken, and a gateway runs on this"
			    " directory",
			    listen);
	else if (code == ERR_EXISTS)
		doctor_tell(
			doctor, DOCTOR_FAIL, "address",
			"`ss -ltnp` shows who has it (8082 is the real REST proxy's, too); end that, or take"
			" another port with --listen",
			"%s is in use", listen);
	else
		doctor_tell_err(doctor, "address", NULL, &err);
}

/* False: no gateway would start with them. */
static bool doctor_keys(struct doctor *doctor)
{
	const char *file = config_text(doctor->config, OPT_KEYS);
	struct stat st = { 0 };
	size_t count;
	struct err err;

	if (cmd_gateway_count_keys(doctor->config, &count, &err) != ERR_OK) {
		doctor_tell_err(doctor, "keys", "docs/operations.md has how a key is made", &err);
		return false;
	}
	if (!*file)
		return true;
	(void)stat(file, &st);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		doctor_tell(doctor, DOCTOR_WARN, "keys",
			    "chmod go-w: who may write it may give themselves a key",
			    "\"%s\" may be written by others", file);
	else if (count == 0)
		doctor_tell(doctor, DOCTOR_WARN, "keys", "docs/operations.md has how a key is made",
			    "\"%s\" holds none: nobody is let in", file);
	else
		doctor_tell(doctor, DOCTOR_OK, "keys", NULL, "%zu in use", count);
	return true;
}

static void doctor_certificate(struct doctor *doctor)
{
	const char *cert = config_text(doctor->config, OPT_TLS_CERT);
	int64_t left_s, until_s;
	struct err err;

	if (!*cert || http_cert_until(cert, &until_s, &err) != ERR_OK)
		return; /* the address tells what is wrong with it */
	left_s = until_s - clock_wall_ms() / 1000;
	if (left_s < 0)
		doctor_tell(doctor, DOCTOR_FAIL, "certificate",
			    "renew it; a running gateway takes up the new one",
			    "\"%s\" ran out %" PRId64 " days ago", cert, -left_s / DAY_S);
	else
		doctor_tell(doctor, left_s < CERT_SOON_DAYS * DAY_S ? DOCTOR_WARN : DOCTOR_OK,
			    "certificate",
			    left_s < CERT_SOON_DAYS * DAY_S
				    ? "renew it; a running gateway takes up the new one"
				    : NULL,
			    "\"%s\" is good for %" PRId64 " days", cert, left_s / DAY_S);
}

static void doctor_models(struct doctor *doctor)
{
	char dir[PATH_MAX];
	struct models models;
	struct err err;

	if (setup_models_dir(doctor->config, dir, &err) != ERR_OK ||
	    setup_models_untold(doctor->config, &models, &err) != ERR_OK) {
		doctor_tell_err(doctor, "models",
				"`pinpipe models --check` tells every fault of them", &err);
		return;
	}
	doctor_tell(doctor, models.broken_count ? DOCTOR_FAIL : DOCTOR_OK, "models",
		    models.broken_count ? "`pinpipe models --check` tells every fault of them"
					: NULL,
		    "%zu tables, %zu analyses and %zu broken ones in \"%s\"", models.clean_count,
		    models.analysis_count, models.broken_count, dir);
	models_free(&models);
}

/* --- the lake ------------------------------------------------------------ */

static void doctor_aws_keys(struct doctor *doctor)
{
	struct aws_credentials *chain = aws_credentials_new(NULL);
	struct aws_keys keys;
	struct err err;

	if (aws_credentials_get(chain, &keys, &err) != ERR_OK)
		doctor_tell_err(doctor, "AWS keys",
				"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a"
				" role of the machine: docs/aws.md",
				&err);
	else
		doctor_tell(doctor, DOCTOR_OK, "AWS keys", NULL, "of %s", keys.place);
	aws_credentials_free(chain);
}

/* Looks, puts and takes away. */
static enum err_code doctor_try_lake(struct store *store, struct err *err)
{
	char key[64];
	struct err unused;
	enum err_code code, removed;

	(void)snprintf(key, sizeof(key), "doctor-%ld-%" PRId64, (long)getpid(), clock_wall_ms());
	code = store_put(store, key, slice_str("ok"), STORE_CREATE, err);
	if (code != ERR_OK && code != ERR_UNKNOWN)
		return code;
	removed = store_remove(store, key, code == ERR_OK ? err : &unused);
	return code == ERR_OK ? removed : code;
}

static void doctor_lake(struct doctor *doctor)
{
	const char *lake = config_text(doctor->config, OPT_LAKE);
	const bool service = store_is_service(lake);
	char own[PATH_MAX];
	struct store *store = NULL;
	struct err err;
	enum err_code code;

	(void)snprintf(own, sizeof(own), "%s/lake", config_text(doctor->config, OPT_DIR));
	if (!*lake && access(own, F_OK) < 0) {
		doctor_tell(doctor, DOCTOR_OK, "lake", NULL, "\"%s\" is not there yet, and is made",
			    own);
		return;
	}
	if (service)
		doctor_aws_keys(doctor);
	code = setup_store_there(doctor->config, &store, &err);
	if (code == ERR_OK)
		code = doctor_try_lake(store, &err);
	if (code == ERR_OK)
		doctor_tell(doctor, DOCTOR_OK, "lake", NULL, "\"%s\" takes objects",
			    *lake ? lake : own);
	else
		doctor_tell_err(
			doctor, "lake",
			service ? "the bucket must be there, and its keys may list, get, put and delete:"
				  " docs/s3.md"
				: "is it mounted? --create makes a directory that is to be new",
			&err);
	store_free(store);
}

/* --- the services -------------------------------------------------------- */

static bool doctor_count_topic(void *user, const char *name)
{
	size_t *count = user;

	(void)name;
	(*count)++;
	return true;
}

static void doctor_kafka(struct doctor *doctor)
{
	struct broker *broker = NULL;
	size_t topics = 0;
	struct err err;
	enum err_code code;

	if (setup_topics_are_in_dir(doctor->config))
		return;
	code = setup_log_kind_there(doctor->config, TOPIC_LOG, &broker, &err);
	if (code == ERR_OK)
		code = broker_list(broker, TOPIC_LOG, doctor_count_topic, &topics, &err);
	if (code == ERR_OK)
		doctor_tell(doctor, DOCTOR_OK, "Kafka", NULL,
			    "the cluster answers, and shows %zu topics", topics);
	else
		doctor_tell_err(
			doctor, "Kafka",
			"kafka.bootstrap.servers, security.protocol and the sasl.* settings:"
			" docs/kafka.md",
			&err);
	broker_free(broker);
}

static void doctor_mysql(struct doctor *doctor)
{
	struct db_check_report report = { 0 };
	struct mysql_options mysql;
	struct err err;
	enum err_code code;

	if (!is_chosen(doctor, OPT_SOURCE, "mysql") && !is_given(doctor, OPT_MYSQL_HOST) &&
	    !is_given(doctor, OPT_MYSQL_SOCKET))
		return;
	code = setup_mysql(doctor->config, &mysql, &err);
	mysql.retry_ms = 0; /* as it is now */
	if (code == ERR_OK)
		code = db_check(&mysql, (uint64_t)config_int(doctor->config, OPT_MYSQL_MEMORY),
				&report, &err);
	if (code != ERR_OK)
		doctor_tell_err(doctor, "MySQL",
				"HOST, USER, PASSWORD and DATABASE of db_creds.yaml: docs/mysql.md",
				&err);
	else
		doctor_tell(
			doctor, db_check_is_well(&report) ? DOCTOR_OK : DOCTOR_WARN, "MySQL",
			db_check_is_well(&report) ? NULL : "`pinpipe db check` tells of each table",
			"%s, %s: %" PRIu64 " posts, %" PRIu64 " of them whole", report.version,
			*report.cipher ? "encrypted" : "not encrypted", report.posts, report.whole);
}

static void doctor_spark(struct doctor *doctor)
{
	const char *dir = config_text(doctor->config, OPT_DIR);
	struct model question = { .name = "doctor", .file = "SQL", .line = 1, .sql = "SELECT 1" };
	struct engine *engine = NULL;
	struct answer answer;
	struct err err;
	enum err_code code;

	if (!is_chosen(doctor, OPT_ENGINE, "spark"))
		return;
	if (!is_given(doctor, OPT_ENGINE_EXCHANGE) && access(dir, W_OK) < 0) {
		doctor_tell(
			doctor, DOCTOR_NOTE, "Spark", "ask again after the first start",
			"what it and pinpipe hand each other goes by \"%s\", which is not there yet",
			dir);
		return;
	}
	code = setup_engine_there(doctor->config, NULL, &engine, &err);
	if (code == ERR_OK)
		code = engine_query(engine, &question, &answer, &err);
	if (code == ERR_OK) {
		doctor_tell(doctor, DOCTOR_OK, "Spark", NULL, "it starts, and answers");
		answer_release(&answer);
	} else {
		doctor_tell_err(doctor, "Spark",
				"SPARK_HOME or engine.spark_submit name it, and it wants a Java:"
				" docs/spark.md",
				&err);
	}
	engine_free(engine);
}

/* Whoever answers there, and whatever: it is reached. */
static enum err_code ask_server(const char *url, const char *ca_file, int *ret_status,
				struct err *err)
{
	const struct http_client_options options = {
		.connections_max = 1,
		.connect_ms = ANSWER_MS,
		.total_ms = ANSWER_MS,
		.ca_file = ca_file,
		.user_agent = "pinpipe/" PINPIPE_VERSION,
	};
	static const char *const headers[] = { NULL };
	struct http_exchange exchange = { .method = "GET", .url = url, .headers = headers };
	struct http_client *client;
	enum err_code code = http_client_new(&options, url, &client, err);

	if (code != ERR_OK)
		return code;
	buf_init(&exchange.reply, REPLY_BYTES_MAX);
	code = http_client_do(client, &exchange, err);
	if (code == ERR_OK && exchange.code != ERR_OK) {
		*err = exchange.err;
		code = exchange.code;
	}
	if (code == ERR_OK)
		*ret_status = exchange.status;
	buf_release(&exchange.reply);
	http_client_free(client);
	return code;
}

static void doctor_url(struct doctor *doctor, enum option option)
{
	const char *url = config_text(doctor->config, option);
	const char *ca_file = config_text(doctor->config, OPT_CA_FILE);
	const char *host = strstr(url, "://");
	char server[URL_BYTES_MAX];
	int status = 0;
	struct err err;

	if (!*url)
		return;
	host = host ? host + 3 : url;
	(void)snprintf(server, sizeof(server), "%.*s/", (int)(host - url) + (int)strcspn(host, "/"),
		       url);
	if (ask_server(server, *ca_file ? ca_file : NULL, &status, &err) == ERR_OK)
		doctor_tell(doctor, DOCTOR_OK, option_key(option), NULL, "%s answers (%d)", server,
			    status);
	else
		doctor_tell_err(doctor, option_key(option),
				"does it run there, and does a proxy or a firewall stand"
				" between?",
				&err);
}

void doctor_look_at_services(struct doctor *doctor)
{
	doctor_secrets(doctor);
	if (doctor_keys(doctor))
		doctor_listen(doctor);
	doctor_certificate(doctor);
	doctor_models(doctor);
	doctor_lake(doctor);
	doctor_kafka(doctor);
	doctor_mysql(doctor);
	doctor_spark(doctor);
	doctor_url(doctor, OPT_URL);
	doctor_url(doctor, OPT_STREAMING_URL);
}
