#include "cmd/up_gateway.h"

#include "base/notify.h"
#include "base/registry.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/progress.h"
#include "cmd/up_first.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 100 };

static void note_totals(int64_t *ret_landed, int64_t *ret_rows)
{
	struct registry_view view;

	registry_view_here(&view);
	*ret_landed = registry_total(&view, METRIC_SINK_RECORDS, NULL);
	*ret_rows = registry_total(&view, METRIC_STREAM_ROWS, NULL);
	registry_view_close(&view);
}

void up_gateway_init(struct up_gateway *up, const struct config *config, struct service *gateway,
		     struct service *demos)
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
		bool first = up->found == 0;

		up->found = pid;
		up->gateway->ran |= up->gateway->takes_over;
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
	if (pid == 0 || pid == up->found || now_ms < up->due_ms)
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
		"drained: %s record%s landed in the lake, %s row%s in tables of streams; what landed"
		" since the last batch is in its table after the next one (pinpipe batch, or the"
		" next up)",
		progress_count(landed > 0 ? (uint64_t)landed : 0, count), landed == 1 ? "" : "s",
		progress_count(rows > 0 ? (uint64_t)rows : 0, of_streams), rows == 1 ? "" : "s");
}
