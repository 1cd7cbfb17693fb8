#include "cmd/up_gateway.h"

#include "base/file.h"
#include "base/notify.h"
#include "base/registry.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/up_first.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_MS = 100, LINE_BYTES_MAX = 4 << 10, TOKEN_MAX = 256 };

#define TOKEN_FILE "page.token"

static void note_totals(int64_t *ret_landed, int64_t *ret_rows)
{
	struct registry_view view;

	registry_view_here(&view);
	*ret_landed = registry_total(&view, METRIC_SINK_RECORDS, NULL);
	*ret_rows = registry_total(&view, METRIC_STREAM_ROWS, NULL);
	registry_view_close(&view);
}

void up_gateway_init(struct up_gateway *up, const struct config *config,
		     const struct service *gateway, struct service *demos)
{
	*up = (struct up_gateway){
		.config = config,
		.gateway = gateway,
		.demos = demos,
		.watchdog_ms = notify_watchdog_ms(),
	};
	for (int i = 0; demos && i < UP_DEMOS; i++) {
		const char **args = up->args[i];

		*args++ = "emulate";
		*args++ = "--demo";
		*args++ = i == TOPIC_STREAM ? "--streaming-url" : "--url";
		*args++ = up->url;
		if (i == TOPIC_STREAM)
			*args++ = "--streaming";
		demos[i].args = up->args[i];
		demos[i].held = true;
	}
}

/* What the page asks for before it changes anything, where no keys are configured; or nothing. */
static void put_token(const char *dir, struct buf *out)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err unused;
	struct buf token;

	if (dir_fd < 0)
		return;
	buf_init(&token, TOKEN_MAX);
	if (file_read(dir_fd, TOKEN_FILE, &token, "the page's token", &unused) == ERR_OK &&
	    token.len > 0) {
		token.len = strcspn(buf_cstr(&token), "\r\n");
		/* What others may read, as a journal, is no place for a secret. */
		if (isatty(STDOUT_FILENO))
			buf_addf(out, "#token=%s", buf_cstr(&token));
		else
			buf_addf(out, " (its token is in \"%s/" TOKEN_FILE "\")", dir);
	}
	buf_release(&token);
	(void)close(dir_fd);
}

static void say_page(const struct up_gateway *up, const char *address)
{
	struct err unused;
	struct buf line;

	buf_init(&line, LINE_BYTES_MAX);
	buf_addf(&line, "page: %s/", address);
	put_token(config_text(up->config, OPT_DIR), &line);
	buf_add_char(&line, '\n');
	if (cmd_print(&line, &unused) != ERR_OK) /* nobody reads it, and it goes on */
		buf_clear(&line);
	buf_release(&line);
}

static void start_demo(struct up_gateway *up, const char *address)
{
	(void)snprintf(up->url, sizeof(up->url), "%s", address);
	for (int i = 0; i < UP_DEMOS; i++)
		up->demos[i].held = false;
	trace_info("made-up rows are posted to topics and streams until the end (--demo)");
}

static void look_for_address(struct up_gateway *up)
{
	pid_t pid = up->gateway->process.pid;
	struct buf address;

	buf_init(&address, UP_DEMO_URL_MAX);
	up_address(config_text(up->config, OPT_DIR), pid, &address);
	if (address.len > 0) {
		bool first = up->told == 0;

		up->told = pid;
		if (first || strcmp(up->url, buf_cstr(&address)) != 0)
			say_page(up, buf_cstr(&address));
		if (first && up->demos)
			start_demo(up, buf_cstr(&address));
		(void)snprintf(up->url, sizeof(up->url), "%s", buf_cstr(&address));
	}
	buf_release(&address);
}

/* The gateway tells the service manager that it turns, and that it listens; between two of them
 * there is nobody else to tell. */
static void turn_watchdog(struct up_gateway *up, int64_t now_ms)
{
	if (up->watchdog_ms == 0 || up->gateway->process.pid || now_ms < up->watchdog_due_ms)
		return;
	notify_send("WATCHDOG=1");
	up->watchdog_due_ms = now_ms + up->watchdog_ms;
}

void up_gateway_look(void *user)
{
	struct up_gateway *up = user;
	pid_t pid = up->gateway->process.pid;
	int64_t now_ms = clock_mono_ms();

	turn_watchdog(up, now_ms);
	if (pid == 0 || pid == up->told || now_ms < up->due_ms)
		return;
	up->due_ms = now_ms + LOOK_MS;
	look_for_address(up);
}

void up_gateway_stopping(void *user)
{
	struct up_gateway *up = user;

	note_totals(&up->landed, &up->rows);
}

void up_gateway_tell_drained(const struct up_gateway *up)
{
	char count[PROGRESS_COUNT_MAX], of_streams[PROGRESS_COUNT_MAX];
	int64_t landed, rows;

	note_totals(&landed, &rows);
	landed -= up->landed;
	rows -= up->rows;
	trace_info(
		"drained: %s records landed in the lake, %s rows in tables of streams; what landed"
		" since the last batch is in its table after the next one (pinpipe batch, or the"
		" next up)",
		progress_count(landed > 0 ? (uint64_t)landed : 0, count),
		progress_count(rows > 0 ? (uint64_t)rows : 0, of_streams));
}
