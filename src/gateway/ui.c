#include "gateway/ui.h"

#include "base/mem.h"
#include "base/time.h"
#include "gateway/ui_child.h"

#include <sys/timerfd.h>
#include <unistd.h>

const char ui_headers[] = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";

enum { REFUSAL_MAX = 2 * UI_SAID_MAX };

static bool ui_is_idle(const struct ui *ui)
{
	return !ui->children && !ui->relays && !ui->first && !ui->tails && !ui->status.pages;
}

static void ui_set_timer(struct ui *ui, bool on)
{
	const struct timespec every = { .tv_nsec = UI_TICK_MS * 1000000L };
	const struct itimerspec times = { every, every };
	const struct itimerspec never = { .it_value = { 0 } };

	ui->timer_on = on;
	(void)timerfd_settime(ui->timer.fd, 0, on ? &times : &never, NULL);
}

void ui_wake_timer(struct ui *ui)
{
	if (!ui->timer_on)
		ui_set_timer(ui, true);
}

/* Whose key is gone follows nothing any more; the others ask again, and are let in again. */
static void ui_look_at_keys(struct ui *ui)
{
	const struct auth_stamp *keys = &ui->gateway->auth.stamp;

	if (memcmp(&ui->keys, keys, sizeof(*keys)) == 0)
		return;
	ui->keys = *keys;
	ui_tails_end(ui);
	ui_status_end(ui);
}

void ui_session_ended(struct ui *ui, uint64_t session)
{
	ui_tails_end_of(ui, session);
	ui_status_end_of(ui, session);
}

static void ui_tick(struct http_server *server, struct http_watch *watch)
{
	struct ui *ui = (struct ui *)((char *)watch - offsetof(struct ui, timer));
	int64_t now_ms = clock_mono_ms();
	uint64_t ticks;

	(void)server;
	(void)!read(watch->fd, &ticks, sizeof(ticks));
	ui_look_at_keys(ui);
	ui_relays_look(ui, now_ms);
	ui_tails_look(ui, now_ms);
	ui_status_look(ui, now_ms);
	ui_children_look(ui, now_ms);
	if (ui_is_idle(ui))
		ui_set_timer(ui, false);
}

enum err_code ui_new(struct gateway *gateway, struct ui **ret_ui, struct err *err)
{
	struct ui *ui = xcalloc(1, sizeof(*ui));

	ui->gateway = gateway;
	ui->server = gateway->server;
	ui->keys = gateway->auth.stamp;
	ui->last = &ui->first;
	ui->timer.ready = ui_tick;
	ui->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ui->timer.fd < 0) {
		free(ui);
		return err_errno(err, "could not make a timer");
	}
	if (http_watch_start(ui->server, &ui->timer, err) != ERR_OK) {
		(void)close(ui->timer.fd);
		free(ui);
		return err->code;
	}
	*ret_ui = ui;
	return ERR_OK;
}

static void ui_end(struct ui *ui)
{
	ui->stopping = true;
	ui_relays_end(ui);
	ui_tails_end(ui);
	ui_status_end(ui);
}

void ui_free(struct ui *ui)
{
	if (!ui)
		return;
	ui_end(ui);
	ui_children_end(ui);
	http_watch_stop(ui->server, &ui->timer);
	(void)close(ui->timer.fd);
	free(ui);
}

void ui_turn(struct ui *ui)
{
	bool ends = ui && (http_server_stops(ui->server) || http_server_has_left(ui->server));

	if (ends && !ui->stopping)
		ui_end(ui);
	else if (ui && !ends)
		ui->stopping = false; /* nobody took over */
}

void ui_refuse(struct ui *ui, struct http_ticket ticket, int status, struct slice message)
{
	struct buf body;
	struct http_reply reply = {
		.status = status,
		.content_type = media_name(MEDIA_JSON),
		.retry_after_s = status == 503 ? RETRY_AFTER_S : 0,
		.untold = true, /* it was answered, by a command */
		.extra = { ui_headers },
	};

	buf_init(&body, REFUSAL_MAX);
	buf_addf(&body, "{\"error_code\":%d,\"message\":", status);
	json_put_string(&body, message);
	buf_add_char(&body, '}');
	reply.body = buf_slice(&body);
	http_reply(ui->server, ticket, &reply);
	buf_release(&body);
}

bool ui_wants_page(const struct http_request *request)
{
	return (request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD) &&
	       media_lists(http_header(request, "Accept"), "text/html");
}
