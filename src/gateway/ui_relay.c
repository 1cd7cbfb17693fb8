#include "gateway/ui_relay.h"

#include "base/mem.h"
#include "base/time.h"

#include <stdio.h>
#include <unistd.h>

enum { HELD_MAX = 32 << 10 };

struct ui_relay {
	struct ui *ui;
	struct ui_relay *next;
	struct http_ticket ticket;
	struct ui_order order;
	int64_t due_ms;
	struct ui_child *child;	    /* NULL: it waits for its turn */
	struct http_pieces *pieces; /* NULL: all is held yet */
	struct buf held;
	size_t bytes;
	bool unheard; /* the client has left what stays */
};

void ui_order_release(struct ui_order *order)
{
	arena_release(&order->memory);
	if (order->in_fd >= 0)
		(void)close(order->in_fd);
}

static void ui_relay_free(struct ui_relay *relay)
{
	struct ui_relay **at = &relay->ui->relays;

	while (*at && *at != relay)
		at = &(*at)->next;
	if (*at)
		*at = relay->next;
	ui_order_release(&relay->order);
	buf_release(&relay->held);
	free(relay);
}

static struct http_reply ui_relay_head(const struct ui_relay *relay)
{
	return (struct http_reply){
		.status = 200,
		.content_type = relay->order.type,
		.extra = { ui_headers, *relay->order.file ? relay->order.file : NULL },
	};
}

/* Before its end: nobody wants it, or nobody may have it. Status 0: the client has left. */
static void ui_relay_cut(struct ui_relay *relay, int status, const char *message)
{
	if (relay->child)
		ui_child_drop(relay->child);
	if (relay->pieces)
		http_pieces_abort(relay->pieces);
	else if (!status)
		http_reply_drop(relay->ui->server, relay->ticket);
	else if (!relay->unheard)
		ui_refuse(relay->ui, relay->ticket, status, slice_str(message));
	ui_relay_free(relay);
}

static void ui_relay_go_on(void *user)
{
	struct ui_relay *relay = user;

	if (relay->child)
		ui_child_pause(relay->child, false);
}

static void ui_relay_gone(void *user)
{
	struct ui_relay *relay = user;

	if (!relay->order.stays) {
		ui_relay_cut(relay, 0, "");
		return;
	}
	http_pieces_abort(relay->pieces);
	relay->pieces = NULL;
	relay->unheard = true;
	ui_child_pause(relay->child, false);
}

/* What is held begins the reply. False: there is nobody to hear it. */
static bool ui_relay_begin(struct ui_relay *relay)
{
	const struct http_pieces_maker maker = { ui_relay_go_on, ui_relay_gone, relay, false };
	const struct http_reply head = ui_relay_head(relay);

	relay->pieces = http_pieces_begin(relay->ui->server, relay->ticket, &head, &maker);
	if (!relay->pieces)
		return false;
	(void)http_pieces_add(relay->pieces, buf_slice(&relay->held));
	buf_release(&relay->held);
	return true;
}

static void ui_relay_out(void *user, struct slice bytes)
{
	struct ui_relay *relay = user;

	relay->bytes += bytes.len;
	if (relay->unheard)
		return;
	if (relay->bytes > UI_ANSWER_MAX) {
		ui_relay_cut(relay, 500, "the answer is too long");
		return;
	}
	if (!relay->pieces && relay->held.len + bytes.len <= HELD_MAX) {
		buf_add_slice(&relay->held, bytes);
		return;
	}
	if (!relay->pieces && !ui_relay_begin(relay)) {
		relay->unheard = true;
		if (!relay->order.stays)
			ui_relay_cut(relay, 0, "");
		return;
	}
	if (!http_pieces_add(relay->pieces, bytes))
		ui_child_pause(relay->child, true);
}

/* Where the command's own word begins, behind its name: what it warned of before is left out. */
static struct slice ui_own_words(struct slice said)
{
	static const char own[] = "pinpipe";
	struct slice rest = said;

	while (rest.ptr && rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		const char *colon = memmem(rest.ptr, rest.len, ": ", 2);

		if (slice_starts(rest, own) && colon && (!end || colon < end))
			return slice_from(rest, (size_t)(colon + 2 - rest.ptr));
		rest = slice_from(rest, end ? (size_t)(end + 1 - rest.ptr) : rest.len);
	}
	return said;
}

/* What is said to who typed a command (cmd_fail()). */
static bool ui_is_hint(struct slice line)
{
	return slice_starts(line, "`pinpipe ") || slice_starts(line, "this may pass: ") ||
	       slice_starts(line, "end the other process");
}

void ui_put_words(struct buf *out, struct slice said)
{
	said = ui_own_words(said);
	while (said.len > 0) {
		const char *end = memchr(said.ptr, '\n', said.len);
		struct slice line = slice_of(said.ptr, end ? (size_t)(end - said.ptr) : said.len);

		said = slice_from(said, end ? line.len + 1 : line.len);
		if (ui_is_hint(line))
			continue;
		if (out->len > 0)
			buf_add_char(out, '\n');
		for (size_t i = 0; i < line.len; i++)
			if ((unsigned char)line.ptr[i] >= ' ' && line.ptr[i] != 0x7f)
				buf_add_char(out, line.ptr[i]);
	}
}

static int ui_status_of(const struct ui_order *order, int exit_status)
{
	switch (exit_status) {
	case 1:
		return order->failed_status;
	case 2:
		return 400;
	case 73:
		return 409;
	case 75:
		return 503;
	default:
		return 500;
	}
}

static void ui_relay_fail(struct ui_relay *relay, int exit_status, struct slice said)
{
	struct buf words;

	buf_init(&words, UI_SAID_MAX);
	ui_put_words(&words, said);
	if (words.len == 0)
		buf_addf(&words, "`pinpipe %s` ended with status %d", relay->order.args[0],
			 exit_status);
	ui_refuse(relay->ui, relay->ticket, ui_status_of(&relay->order, exit_status),
		  buf_slice(&words));
	buf_release(&words);
}

static void ui_relay_done(void *user, int exit_status, struct slice said)
{
	struct ui_relay *relay = user;
	bool well = exit_status == 0 ||
		    (relay->order.tells && exit_status == 1 && relay->bytes > 0);

	relay->child = NULL;
	if (relay->pieces && well) {
		http_pieces_end(relay->pieces);
	} else if (relay->pieces) {
		http_pieces_abort(relay->pieces);
	} else if (well && !relay->unheard) {
		struct http_reply reply = ui_relay_head(relay);

		reply.body = buf_slice(&relay->held);
		http_reply(relay->ui->server, relay->ticket, &reply);
	} else if (!relay->unheard) {
		ui_relay_fail(relay, exit_status, said);
	}
	ui_relay_free(relay);
}

static void ui_relay_start(struct ui_relay *relay)
{
	const struct ui_child_user user = { ui_relay_out, ui_relay_done, relay };
	struct ui *ui = relay->ui;
	struct err err;

	relay->next = ui->relays;
	ui->relays = relay;
	if (ui_child_start(ui, relay->order.args, relay->order.in_fd, &user, &relay->child, &err) !=
	    ERR_OK)
		ui_relay_cut(relay, 503, err.msg);
}

static struct ui_relay *ui_relay_next(struct ui *ui)
{
	struct ui_relay *relay = ui->first;

	ui->first = relay->next;
	if (!ui->first)
		ui->last = &ui->first;
	ui->waiting--;
	return relay;
}

void ui_relays_start(struct ui *ui)
{
	while (ui->first && !ui->stopping && ui_has_room(ui))
		ui_relay_start(ui_relay_next(ui));
}

void ui_relay(struct call *call, struct ui_order *order)
{
	struct ui *ui = call->gateway->ui;
	struct ui_relay *relay;

	if (ui->waiting == UI_WAITING_MAX || ui->stopping) {
		ui_order_release(order);
		call_failf(call, ERR_BUSY,
			   "%d of the page's requests wait already: try again later",
			   UI_WAITING_MAX);
		return;
	}
	relay = xcalloc(1, sizeof(*relay));
	relay->ui = ui;
	relay->ticket = call->ticket;
	relay->order = *order;
	relay->due_ms = clock_mono_ms() + order->most_ms;
	buf_init(&relay->held, HELD_MAX);
	call->deferred = true;
	*ui->last = relay;
	ui->last = &relay->next;
	ui->waiting++;
	ui_wake_timer(ui);
	ui_relays_start(ui);
}

/* True: it was ended. */
static bool ui_relay_look(struct ui_relay *relay, int64_t now_ms)
{
	struct ui *ui = relay->ui;

	if (now_ms >= relay->due_ms)
		ui_relay_cut(relay, 504, "it took too long");
	else if (!relay->order.stays && http_client_left(ui->server, relay->ticket))
		ui_relay_cut(relay, 0, "");
	else
		return false;
	return true;
}

void ui_relays_look(struct ui *ui, int64_t now_ms)
{
	struct ui_relay *waiting = ui->first;

	for (struct ui_relay *relay = ui->relays, *next; relay; relay = next) {
		next = relay->next;
		(void)ui_relay_look(relay, now_ms);
	}
	ui->first = NULL;
	ui->last = &ui->first;
	ui->waiting = 0;
	for (struct ui_relay *next; waiting; waiting = next) {
		next = waiting->next;
		waiting->next = NULL;
		if (ui_relay_look(waiting, now_ms))
			continue;
		*ui->last = waiting;
		ui->last = &waiting->next;
		ui->waiting++;
	}
	ui_relays_start(ui);
}

void ui_relays_end(struct ui *ui)
{
	static const char stops[] = "the gateway is stopping";

	while (ui->first)
		ui_relay_cut(ui_relay_next(ui), 503, stops);
	for (struct ui_relay *relay = ui->relays, *next; relay; relay = next) {
		next = relay->next;
		ui_relay_cut(relay, 503, stops);
	}
}
