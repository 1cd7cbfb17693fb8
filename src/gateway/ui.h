/*
 * ui.h - the page's side of the gateway: all of /ui.
 *
 * Every pane of the page is a command of this program: a request runs `pinpipe
 * tables --format json` or the like as a child and hands on what it prints. So
 * the page and the terminal show the same, the gateway never opens the engine
 * nor the lake, and what hangs is a child, which is ended.
 *
 *	ui_route.c	the routes
 *	ui_command.c	from a request to the words of a command
 *	ui_relay.c	one request, its child, its reply
 *	ui_events.c	the status, of one child for all pages
 *	ui_tail.c	records as they come, for one page
 *	ui_child.c	a child of the loop
 *	ui_assets.c	the files of the page, which are in the program
 *
 * Contract
 *	1. Bounded: UI_CHILDREN_MAX children at once (and the one of the status),
 *	   UI_WAITING_MAX requests that wait for one to end, else 503; the time
 *	   and the bytes of each; what a slow reader has yet to take.
 *	2. A child whose client has left is ended at once. None is left when
 *	   ui_free() returns.
 *	3. What failed before its first byte is told by a status and a message;
 *	   after it, the reply is cut off.
 *
 * Threads: the loop.
 */
#ifndef GATEWAY_UI_H
#define GATEWAY_UI_H

#include "gateway/call.h"
#include "gateway/route.h"

enum {
	UI_CHILDREN_MAX = 8,
	UI_WAITING_MAX = 32,
	UI_TAILS_MAX = 4,	  /* of the children */
	UI_TAILS_OF_ONE_MAX = 2,  /* of one page's owner */
	UI_EVENTS_PAGES_MAX = 64, /* pages that follow the status */
	UI_BODY_MAX = 64 << 10,
};

struct ui;

/* After the server is there. ERR_IO: no timer can be had. */
MUST_USE enum err_code ui_new(struct gateway *gateway, struct ui **ret_ui, struct err *err);
/* While the server is there. Accepts NULL. */
void ui_free(struct ui *ui);
/* Once a turn of the loop: when the server stops, everything here ends. */
void ui_turn(struct ui *ui);
/* Who logged out follows nothing any more, in no tab of his. */
void ui_session_ended(struct ui *ui, uint64_t session);

/* Whether a browser asks, which is to see the page where others see "{}". */
bool ui_wants_page(const struct http_request *request);
/* The routes below /ui; those of an API are in route.c. */
extern const struct route ui_routes[];
extern const size_t ui_route_count;
extern const struct route ui_page_route;

/* ui_assets.c */
void ui_page(struct call *call);
void ui_asset(struct call *call);

/* ui_events.c, ui_tail.c */
void ui_events(struct call *call);
void ui_tail(struct call *call);

/* ui_command.c */
void ui_tables(struct call *call);
void ui_table(struct call *call);
void ui_rows(struct call *call);
void ui_history(struct call *call);
void ui_answers(struct call *call);
void ui_answer(struct call *call);
void ui_runs(struct call *call);
void ui_records(struct call *call);
void ui_where(struct call *call);
void ui_letters(struct call *call);
void ui_letters_of(struct call *call);
void ui_replay(struct call *call);
void ui_run(struct call *call);
void ui_sql(struct call *call);

/* ui_topics.c; on a thread of the worker */
void ui_topics(struct call *call);

#endif
