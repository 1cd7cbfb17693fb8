#include "cmd/metrics_server.h"

#include "base/mem.h"
#include "base/registry.h"
#include "base/trace.h"
#include "flow/disk.h"
#include "flow/run_ledger.h"
#include "net/http_server.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>

enum { TEXT_MAX = 16 << 20, CONNECTIONS_MAX = 64, DRAIN_MS = 1000 };

struct metrics_server {
	const struct config *config;
	struct http_server *http;
	pthread_t thread;
	struct buf text;
};

/* --- what it says --------------------------------------------------------------- */

static void metrics_put_disk(struct buf *out, const char *place, const struct disk_room *room)
{
	buf_addf(out,
		 "pinpipe_disk_bytes{place=\"%s\",is=\"free\"} %" PRIu64 "\n"
		 "pinpipe_disk_bytes{place=\"%s\",is=\"all\"} %" PRIu64 "\n"
		 "pinpipe_disk_inodes{place=\"%s\",is=\"free\"} %" PRIu64 "\n"
		 "pinpipe_disk_inodes{place=\"%s\",is=\"all\"} %" PRIu64 "\n",
		 place, room->free_bytes, place, room->bytes, place, room->free_inodes, place,
		 room->inodes);
}

void metrics_put_place(const struct config *config, bool with_lake, struct buf *out)
{
	const char *dir = config_text(config, OPT_DIR), *lake = config_text(config, OPT_LAKE);
	struct disk_room room;

	run_ledger_put_metrics(dir, out);
	buf_add_str(out, "# HELP pinpipe_disk_bytes Size of the disk of --dir and of the lake, and "
			 "what is free\n# TYPE pinpipe_disk_bytes gauge\n"
			 "# HELP pinpipe_disk_inodes Its files\n"
			 "# TYPE pinpipe_disk_inodes gauge\n");
	if (disk_room(dir, &room))
		metrics_put_disk(out, "dir", &room);
	if (with_lake && *lake && !store_is_service(lake) &&
	    disk_room(slice_starts(slice_str(lake), "file:") ? lake + strlen("file:") : lake,
		      &room))
		metrics_put_disk(out, "lake", &room);
}

static void metrics_put_all(struct metrics_server *server)
{
	struct registry_view view;

	buf_clear(&server->text);
	registry_view_here(&view);
	metrics_put_text(&view, &server->text);
	registry_view_close(&view);
	metrics_put_place(server->config, true, &server->text);
}

static void metrics_handle(void *user, struct http_server *http, const struct http_request *request)
{
	struct metrics_server *server = user;
	bool reads = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
	struct http_reply reply = { .status = 200, .content_type = "text/plain; charset=utf-8" };

	buf_clear(&server->text);
	if (!reads) {
		reply.status = 405;
		reply.extra[0] = "Allow: GET, HEAD\r\n";
	} else if (slice_is(request->path, "/metrics")) {
		reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
		metrics_put_all(server);
	} else if (slice_is(request->path, "/healthz")) {
		buf_add_str(&server->text, "ok\n");
	} else {
		reply.status = 404;
		buf_add_str(&server->text, "the routes are: /metrics, /healthz\n");
	}
	reply.body = buf_slice(&server->text);
	http_reply(http, request->ticket, &reply);
}

/* --- its life --------------------------------------------------------------------- */

static void *metrics_run(void *arg)
{
	struct metrics_server *server = arg;
	struct err err;

	if (http_server_run(server->http, DRAIN_MS, &err) != ERR_OK)
		trace_error("/metrics: %s", err.msg);
	return NULL;
}

static enum err_code metrics_start(struct metrics_server *server, struct err *err)
{
	sigset_t all, before;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	errno = pthread_create(&server->thread, NULL, metrics_run, server);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return errno == 0 ? ERR_OK : err_errno(err, "could not start a thread for /metrics");
}

enum err_code metrics_server_new(const struct config *config, const char *listen,
				 struct metrics_server **ret_server, struct err *err)
{
	struct metrics_server *server = xcalloc(1, sizeof(*server));
	struct http_server_options options = {
		.listen = listen,
		.limits = http_limits_default,
		.handle = metrics_handle,
		.user = server,
	};
	enum err_code code;

	options.limits.connections_max = CONNECTIONS_MAX;
	server->config = config;
	buf_init(&server->text, TEXT_MAX);
	code = http_server_new(&options, &server->http, err);
	if (code == ERR_OK)
		code = metrics_start(server, err);
	if (code != ERR_OK) {
		http_server_free(server->http);
		buf_release(&server->text);
		free(server);
		return err_prefix(err, "--metrics-listen %s", listen);
	}
	trace_info("/metrics is at port %d", http_server_port(server->http));
	*ret_server = server;
	return ERR_OK;
}

void metrics_server_free(struct metrics_server *server)
{
	if (!server)
		return;
	http_server_stop(server->http);
	(void)pthread_join(server->thread, NULL);
	http_server_free(server->http);
	buf_release(&server->text);
	free(server);
}
