/* ui_events.c - the status once a second, of one child for all pages that are open. */
#include "base/mem.h"
#include "base/time.h"
#include "gateway/ui_child.h"

enum { STATUS_LINE_MAX = 4 << 20, AGAIN_MS = 1000 };

struct ui_page_open {
	struct ui *ui;
	struct ui_page_open *next;
	struct http_pieces *pieces;
	uint64_t session; /* 0: of none */
	int64_t until_ms;
	bool paused; /* it takes the newest when it goes on */
};

static void ui_status_stop(struct ui_status *status)
{
	if (status->child)
		ui_child_drop(status->child);
	status->child = NULL;
	buf_release(&status->line);
	buf_release(&status->last);
}

static void ui_page_free(struct ui_page_open *page)
{
	struct ui_status *status = &page->ui->status;
	struct ui_page_open **at = &status->pages;

	while (*at != page)
		at = &(*at)->next;
	*at = page->next;
	status->page_count--;
	free(page);
	if (!status->pages)
		ui_status_stop(status);
}

static void ui_page_gone(void *user)
{
	struct ui_page_open *page = user;

	http_pieces_abort(page->pieces);
	ui_page_free(page);
}

static void ui_page_end(struct ui_page_open *page)
{
	http_pieces_end(page->pieces);
	ui_page_free(page);
}

static void ui_page_tell(struct ui_page_open *page, struct slice event)
{
	if (!page->paused && event.len > 0)
		page->paused = !http_pieces_add(page->pieces, event);
}

static void ui_page_go_on(void *user)
{
	struct ui_page_open *page = user;

	page->paused = false;
	ui_page_tell(page, buf_slice(&page->ui->status.last));
}

static void ui_status_tell(struct ui_status *status, struct slice event)
{
	for (struct ui_page_open *page = status->pages; page; page = page->next)
		ui_page_tell(page, event);
}

static void ui_status_out(void *user, struct slice bytes)
{
	struct ui_status *status = &((struct ui *)user)->status;

	while (bytes.len > 0) {
		const char *end = memchr(bytes.ptr, '\n', bytes.len);
		size_t len = end ? (size_t)(end - bytes.ptr) : bytes.len;

		buf_add(&status->line, bytes.ptr, len);
		bytes = slice_from(bytes, end ? len + 1 : len);
		if (!end)
			break;
		buf_clear(&status->last);
		if (!buf_full(&status->line)) {
			buf_add_str(&status->last, "event: status\ndata: ");
			buf_add_slice(&status->last, buf_slice(&status->line));
			buf_add_str(&status->last, "\n\n");
			ui_status_tell(status, buf_slice(&status->last));
		}
		buf_clear(&status->line);
	}
}

void ui_put_failed(struct buf *out, int status, struct slice said)
{
	struct buf words;

	buf_init(&words, UI_SAID_MAX);
	ui_put_words(&words, said);
	buf_addf(out, "event: failed\ndata: {\"error_code\":%d,\"message\":", status);
	json_put_string(out, buf_slice(&words));
	buf_add_str(out, "}\n\n");
	buf_release(&words);
}

static void ui_status_fail(struct ui_status *status, struct slice said)
{
	struct buf event;

	ui_status_stop(status);
	status->again_ms = clock_mono_ms() + AGAIN_MS;
	buf_init(&event, 4 * UI_SAID_MAX);
	ui_put_failed(&event, 500, said);
	ui_status_tell(status, buf_slice(&event));
	buf_release(&event);
}

/* It only ends when something is wrong, and may be well again. */
static void ui_status_done(void *user, int exit_status, struct slice said)
{
	struct ui_status *status = &((struct ui *)user)->status;

	(void)exit_status;
	status->child = NULL;
	ui_status_fail(status, said);
}

static void ui_status_start(struct ui *ui)
{
	static const char *const args[] = { "status", "--watch", "--format=json", NULL };
	const struct ui_child_user user = { ui_status_out, ui_status_done, ui };
	struct ui_status *status = &ui->status;
	struct err err;

	buf_init(&status->line, STATUS_LINE_MAX);
	buf_init(&status->last, STATUS_LINE_MAX + 64);
	if (ui_child_start(ui, args, -1, &user, &status->child, &err) != ERR_OK) {
		status->child = NULL;
		ui_status_fail(status, slice_str(err.msg));
	}
}

void ui_events(struct call *call)
{
	static const struct http_reply head = {
		.status = 200,
		.content_type = "text/event-stream",
		.extra = { ui_headers, "X-Accel-Buffering: no\r\n" },
	};
	struct ui *ui = call->gateway->ui;
	struct ui_status *status = &ui->status;
	struct ui_page_open *page;
	struct http_pieces_maker maker = { ui_page_go_on, ui_page_gone, NULL, true };

	if (status->page_count == UI_EVENTS_PAGES_MAX || ui->stopping) {
		call_failf(call, ERR_BUSY, "%d pages are open already", UI_EVENTS_PAGES_MAX);
		return;
	}
	maker.user = page = xcalloc(1, sizeof(*page));
	call->deferred = true;
	page->ui = ui;
	page->session = call->session;
	page->until_ms = clock_mono_ms() + UI_STREAM_MS;
	page->pieces = http_pieces_begin(ui->server, call->ticket, &head, &maker);
	if (!page->pieces) {
		free(page);
		return;
	}
	page->next = status->pages;
	status->pages = page;
	status->page_count++;
	ui_page_tell(page, slice_str("retry: 1000\n\n"));
	ui_page_tell(page, buf_slice(&status->last));
	ui_wake_timer(ui);
	ui_status_look(ui, clock_mono_ms());
}

void ui_status_look(struct ui *ui, int64_t now_ms)
{
	for (struct ui_page_open *page = ui->status.pages, *next; page; page = next) {
		next = page->next;
		if (now_ms >= page->until_ms)
			ui_page_end(page);
	}
	/* One that hangs, of pages that have left, is still there until it is killed. */
	if (ui->status.pages && !ui->status.child && now_ms >= ui->status.again_ms &&
	    ui->child_count <= UI_CHILDREN_MAX)
		ui_status_start(ui);
}

void ui_status_end_of(struct ui *ui, uint64_t session)
{
	for (struct ui_page_open *page = ui->status.pages; page; page = page->next)
		if (page->session == session)
			page->until_ms = 0;
}

void ui_status_end(struct ui *ui)
{
	for (struct ui_page_open *page = ui->status.pages, *next; page; page = next) {
		next = page->next;
		ui_page_end(page);
	}
}
