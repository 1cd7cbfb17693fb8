/* ui_tail.c - records as they come, for one page: what `pinpipe cat --follow` prints, as events. */
#include "base/mem.h"
#include "base/time.h"
#include "gateway/ui_child.h"

enum {
	RECORD_LINE_MAX = 1 << 20,
	EVENTS_A_SECOND = 200,
	SECOND_MS = 1000,
	GRACE_MS = 500,	     /* what fails at once does so with its status */
	BEAT_MS = 15 * 1000, /* a proxy closes what is silent for long */
	WORD_MAX = 4096,
};

struct ui_tail {
	struct ui *ui;
	struct ui_tail *next;
	struct http_ticket ticket;
	uint64_t owner;
	uint64_t session; /* 0: of none */
	struct ui_child *child;
	struct http_pieces *pieces; /* NULL: nothing was said yet */
	struct buf line;
	int64_t until_ms;
	int64_t begin_ms; /* to answer, though nothing has come */
	int64_t second_ms;
	int64_t said_ms;
	uint64_t told; /* in this second */
	uint64_t skipped;
};

static void ui_tail_free(struct ui_tail *tail)
{
	struct ui_tail **at = &tail->ui->tails;

	while (*at != tail)
		at = &(*at)->next;
	*at = tail->next;
	tail->ui->tail_count--;
	if (tail->child)
		ui_child_drop(tail->child);
	buf_release(&tail->line);
	free(tail);
}

static void ui_tail_go_on(void *user)
{
	struct ui_tail *tail = user;

	if (tail->child)
		ui_child_pause(tail->child, false);
}

static void ui_tail_gone(void *user)
{
	struct ui_tail *tail = user;

	http_pieces_abort(tail->pieces);
	ui_tail_free(tail);
}

static void ui_tail_say(struct ui_tail *tail, struct slice event)
{
	tail->said_ms = clock_mono_ms();
	if (!http_pieces_add(tail->pieces, event) && tail->child)
		ui_child_pause(tail->child, true);
}

/* False: nobody is there. */
static bool ui_tail_begin(struct ui_tail *tail)
{
	static const struct http_reply head = {
		.status = 200,
		.content_type = "text/event-stream",
		.extra = { ui_headers, "X-Accel-Buffering: no\r\n" },
	};
	const struct http_pieces_maker maker = { ui_tail_go_on, ui_tail_gone, tail, true };

	tail->pieces = http_pieces_begin(tail->ui->server, tail->ticket, &head, &maker);
	if (!tail->pieces)
		return false;
	ui_tail_say(tail, slice_str("retry: 1000\n\n"));
	return true;
}

static void ui_tail_end_second(struct ui_tail *tail, int64_t now_ms)
{
	struct buf event;

	if (now_ms - tail->second_ms < SECOND_MS)
		return;
	tail->second_ms = now_ms;
	tail->told = 0;
	if (tail->skipped == 0)
		return;
	buf_init(&event, 128);
	buf_addf(&event, "event: skipped\ndata: {\"records\":%llu}\n\n",
		 (unsigned long long)tail->skipped);
	tail->skipped = 0;
	ui_tail_say(tail, buf_slice(&event));
	buf_release(&event);
}

static void ui_tail_tell(struct ui_tail *tail)
{
	struct buf event;

	ui_tail_end_second(tail, clock_mono_ms());
	if (tail->told == EVENTS_A_SECOND || buf_full(&tail->line)) {
		tail->skipped++;
		return;
	}
	tail->told++;
	buf_init(&event, RECORD_LINE_MAX + 64);
	buf_add_str(&event, "event: record\ndata: ");
	buf_add_slice(&event, buf_slice(&tail->line));
	buf_add_str(&event, "\n\n");
	ui_tail_say(tail, buf_slice(&event));
	buf_release(&event);
}

static void ui_tail_out(void *user, struct slice bytes)
{
	struct ui_tail *tail = user;

	if (!tail->pieces && !ui_tail_begin(tail)) {
		ui_tail_free(tail);
		return;
	}
	while (bytes.len > 0) {
		const char *end = memchr(bytes.ptr, '\n', bytes.len);
		size_t len = end ? (size_t)(end - bytes.ptr) : bytes.len;

		buf_add(&tail->line, bytes.ptr, len);
		bytes = slice_from(bytes, end ? len + 1 : len);
		if (!end)
			break;
		ui_tail_tell(tail);
		buf_clear(&tail->line);
	}
}

/* It only ends when something is wrong. */
static void ui_tail_done(void *user, int exit_status, struct slice said)
{
	struct ui_tail *tail = user;
	int status = exit_status == 1 ? 404 : 500;
	struct buf text;

	tail->child = NULL;
	buf_init(&text, 4 * UI_SAID_MAX);
	if (tail->pieces) {
		ui_put_failed(&text, status, said);
		ui_tail_say(tail, buf_slice(&text));
		http_pieces_end(tail->pieces);
	} else {
		ui_put_words(&text, said);
		ui_refuse(tail->ui, tail->ticket, status, buf_slice(&text));
	}
	buf_release(&text);
	ui_tail_free(tail);
}

/* By the session, else by the address: so that nobody's pages take what all share. */
static uint64_t ui_tail_owner(const struct call *call)
{
	return call->session ? call->session : call->client.high ^ call->client.low;
}

/* False: the call is answered. */
static bool ui_tail_admit(struct call *call, uint64_t owner)
{
	const struct ui *ui = call->gateway->ui;
	size_t own = 0;
	struct err err;

	for (const struct ui_tail *tail = ui->tails; tail; tail = tail->next)
		own += tail->owner == owner;
	if (name_check_topic(call->param[0], &err) != ERR_OK)
		call_fail(call, &err);
	else if (ui->stopping || ui->tail_count == UI_TAILS_MAX || !ui_has_room(ui))
		call_failf(call, ERR_BUSY, "too many pages follow records already");
	else if (own == UI_TAILS_OF_ONE_MAX)
		call_failf(call, ERR_BUSY, "%d of your pages follow records already",
			   UI_TAILS_OF_ONE_MAX);
	else
		return true;
	return false;
}

static void ui_tail_start(struct call *call, uint64_t owner, const char *contains)
{
	const char *args[UI_ARGS_MAX] = { "cat", "--format=json", "--from=end", "--follow" };
	size_t count = 4;
	struct ui *ui = call->gateway->ui;
	char topic[TOPIC_NAME_MAX + 1];
	struct ui_child_user user = { ui_tail_out, ui_tail_done, NULL };
	struct ui_tail *tail = xcalloc(1, sizeof(*tail));
	struct err err;

	(void)snprintf(topic, sizeof(topic), "%.*s", SLICE_ARG(call->param[0]));
	if (*contains)
		args[count++] = contains;
	args[count++] = "--";
	args[count] = topic;
	user.user = tail;
	*tail = (struct ui_tail){
		.ui = ui, .ticket = call->ticket, .owner = owner, .session = call->session
	};
	tail->begin_ms = clock_mono_ms() + GRACE_MS;
	tail->until_ms = clock_mono_ms() + UI_STREAM_MS;
	buf_init(&tail->line, RECORD_LINE_MAX);
	tail->next = ui->tails;
	ui->tails = tail;
	ui->tail_count++;
	call->deferred = true;
	if (ui_child_start(ui, args, -1, &user, &tail->child, &err) == ERR_OK)
		return;
	ui_refuse(ui, call->ticket, 503, slice_str(err.msg));
	ui_tail_free(tail);
}

void ui_tail(struct call *call)
{
	uint64_t owner = ui_tail_owner(call);
	struct buf contains;
	bool well = true;

	if (!ui_tail_admit(call, owner))
		return;
	buf_init(&contains, WORD_MAX);
	buf_add_str(&contains, "--contains=");
	if (!http_query_names(call->query, "contains"))
		buf_clear(&contains);
	else if (!http_query(call->query, "contains", &contains))
		well = false;
	if (!well || (contains.len && memchr(contains.ptr, 0, contains.len)))
		call_failf(call, ERR_USAGE,
			   "the text that records are to contain is too long, badly encoded,"
			   " or holds a NUL");
	else
		ui_tail_start(call, owner, buf_cstr(&contains));
	buf_release(&contains);
}

static void ui_tail_look(struct ui_tail *tail, int64_t now_ms)
{
	if (!tail->pieces && http_client_left(tail->ui->server, tail->ticket)) {
		http_reply_drop(tail->ui->server, tail->ticket);
		ui_tail_free(tail);
		return;
	}
	if (!tail->pieces && now_ms >= tail->begin_ms && !ui_tail_begin(tail)) {
		ui_tail_free(tail);
		return;
	}
	if (!tail->pieces)
		return;
	if (now_ms >= tail->until_ms) {
		http_pieces_end(tail->pieces);
		ui_tail_free(tail);
		return;
	}
	ui_tail_end_second(tail, now_ms);
	if (now_ms - tail->said_ms >= BEAT_MS)
		ui_tail_say(tail, slice_str(": \n\n"));
}

void ui_tails_look(struct ui *ui, int64_t now_ms)
{
	for (struct ui_tail *tail = ui->tails, *next; tail; tail = next) {
		next = tail->next;
		ui_tail_look(tail, now_ms);
	}
}

void ui_tails_end_of(struct ui *ui, uint64_t session)
{
	for (struct ui_tail *tail = ui->tails; tail; tail = tail->next)
		if (tail->session == session)
			tail->until_ms = 0;
}

void ui_tails_end(struct ui *ui)
{
	for (struct ui_tail *tail = ui->tails, *next; tail; tail = next) {
		next = tail->next;
		if (tail->pieces)
			http_pieces_end(tail->pieces);
		else
			ui_refuse(ui, tail->ticket, 503, slice_str("ask again"));
		ui_tail_free(tail);
	}
}
