/* ui_state.h - what the files of the page's side share; ui.c makes and frees it. */
#ifndef GATEWAY_UI_STATE_H
#define GATEWAY_UI_STATE_H

#include "gateway/state.h"
#include "gateway/ui.h"

enum {
	UI_TICK_MS = 100,
	UI_STREAM_MS = 3600 * 1000, /* then whoever follows something asks again, if he still may */
};

struct ui_child;
struct ui_relay;
struct ui_tail;
struct ui_page_open;

/* The status, for all pages that are open. */
struct ui_status {
	struct ui_child *child; /* NULL: none runs */
	struct buf line;	/* what has come of the next one */
	struct buf last;	/* the last one, as an event */
	struct ui_page_open *pages;
	size_t page_count;
	int64_t again_ms; /* when a child that ended is started again */
};

struct ui {
	struct gateway *gateway;
	struct http_server *server;
	struct ui_child *children;
	size_t child_count;
	struct ui_relay *relays; /* with a child */
	struct ui_relay *first;	 /* that wait for one */
	struct ui_relay **last;
	size_t waiting;
	struct ui_tail *tails;
	size_t tail_count;
	struct ui_status status;
	struct auth_stamp keys; /* as they were when those that follow something were let in */
	struct http_watch timer;
	bool timer_on;
	bool stopping;
};

/* Something is to be looked at every UI_TICK_MS from now on, while there is something. */
void ui_wake_timer(struct ui *ui);
/* Header lines of every answer that is not a file of the page. */
extern const char ui_headers[];
/* Answers an error later, as call_fail() does at once. */
void ui_refuse(struct ui *ui, struct http_ticket ticket, int status, struct slice message);
/* Whether one child more may be; that of the status does not count. */
static inline bool ui_has_room(const struct ui *ui)
{
	return ui->child_count - (ui->status.child != NULL) < UI_CHILDREN_MAX;
}

/* ui_relay.c */
/* What a person is to read of a command's stderr: its last words, without the command's name, hints
 * of how to call it, and what is no text. */
void ui_put_words(struct buf *out, struct slice said);
/* The same as an event, which tells why there are no others. */
void ui_put_failed(struct buf *out, int status, struct slice said);
/* Those that wait, as far as there is room. */
void ui_relays_start(struct ui *ui);
void ui_relays_look(struct ui *ui, int64_t now_ms);
void ui_relays_end(struct ui *ui);

/* ui_events.c */
void ui_status_look(struct ui *ui, int64_t now_ms);
/* At the next look, those of that session. */
void ui_status_end_of(struct ui *ui, uint64_t session);
void ui_status_end(struct ui *ui);

/* ui_tail.c */
void ui_tails_look(struct ui *ui, int64_t now_ms);
/* As ui_status_end_of(). */
void ui_tails_end_of(struct ui *ui, uint64_t session);
void ui_tails_end(struct ui *ui);

#endif
