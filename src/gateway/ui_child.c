#include "gateway/ui_child.h"

#include "base/mem.h"
#include "base/time.h"
#include "flow/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum {
	NICER_BY = 5,
	READ_BYTES = 16 << 10,
	READS_A_TURN = 4,
	KILL_MS = 2000,
	END_MS = 2000 /* of all together */
};

struct ui_child {
	struct ui *ui;
	struct ui_child *next;
	struct process process;
	struct ui_child_user user; /* out is NULL: nobody is told anything */
	struct http_watch out;	   /* fd is -1 when it is read to its end */
	struct http_watch said;
	struct http_watch end; /* of the process; -1: it has ended */
	bool paused;
	struct buf words;
	int64_t asked_ms; /* to end; 0: not */
};

static void ui_child_close(struct ui_child *child, struct http_watch *watch)
{
	if (watch->fd < 0)
		return;
	http_watch_stop(child->ui->server, watch);
	(void)close(watch->fd);
	watch->fd = -1;
}

static void ui_child_free(struct ui_child *child)
{
	struct ui *ui = child->ui;
	struct ui_child **at = &ui->children;

	while (*at != child)
		at = &(*at)->next;
	*at = child->next;
	ui->child_count--;
	ui_child_close(child, &child->out);
	ui_child_close(child, &child->said);
	ui_child_close(child, &child->end);
	buf_release(&child->words);
	free(child);
	ui_relays_start(ui);
}

/* The last words are those that say why it ended. */
static void ui_child_hear(struct ui_child *child, struct slice words)
{
	struct buf *kept = &child->words;

	if (words.len > UI_SAID_MAX / 2)
		words = slice_from(words, words.len - UI_SAID_MAX / 2);
	if (kept->len + words.len > UI_SAID_MAX) {
		size_t rest = UI_SAID_MAX / 2 < kept->len ? UI_SAID_MAX / 2 : kept->len;

		memmove(kept->ptr, kept->ptr + kept->len - rest, rest);
		kept->len = rest;
	}
	buf_add_slice(kept, words);
}

/* What is there, as much as a turn may take. False: the end, or an error. */
static bool ui_child_read(struct ui_child *child, struct http_watch *watch)
{
	char bytes[READ_BYTES];

	for (int i = 0; i < READS_A_TURN && !(watch == &child->out && child->paused); i++) {
		ssize_t n = read(watch->fd, bytes, sizeof(bytes));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		if (watch == &child->said)
			ui_child_hear(child, slice_of(bytes, (size_t)n));
		else if (child->user.out)
			child->user.out(child->user.user, slice_of(bytes, (size_t)n));
	}
	return true;
}

/* Its stderr does not count: somebody that it started may hold that. */
static void ui_child_look(struct ui_child *child)
{
	if (child->end.fd >= 0 || child->out.fd >= 0)
		return;
	if (child->said.fd >= 0)
		(void)ui_child_read(child, &child->said);
	if (child->user.done)
		child->user.done(child->user.user, child->process.status, buf_slice(&child->words));
	ui_child_free(child);
}

static void ui_child_out_ready(struct http_server *server, struct http_watch *watch)
{
	struct ui_child *child =
		(struct ui_child *)((char *)watch - offsetof(struct ui_child, out));

	(void)server;
	if (!ui_child_read(child, watch))
		ui_child_close(child, watch);
	ui_child_look(child);
}

static void ui_child_said_ready(struct http_server *server, struct http_watch *watch)
{
	struct ui_child *child =
		(struct ui_child *)((char *)watch - offsetof(struct ui_child, said));

	(void)server;
	if (!ui_child_read(child, watch))
		ui_child_close(child, watch);
}

static void ui_child_end_ready(struct http_server *server, struct http_watch *watch)
{
	struct ui_child *child =
		(struct ui_child *)((char *)watch - offsetof(struct ui_child, end));

	(void)server;
	if (!process_ended(&child->process))
		return;
	ui_child_close(child, watch);
	if (!child->user.out) /* nobody wants what is left in the pipe */
		ui_child_close(child, &child->out);
	ui_child_look(child);
}

static enum err_code ui_child_watch(struct ui_child *child, struct http_watch *watch, int fd,
				    void (*ready)(struct http_server *, struct http_watch *),
				    struct err *err)
{
	enum err_code code;

	*watch = (struct http_watch){ .fd = fd, .ready = ready };
	if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return err_errno(err, "could not watch a process");
	code = http_watch_start(child->ui->server, watch, err);
	if (code != ERR_OK) {
		(void)close(fd);
		watch->fd = -1;
	}
	return code;
}

static enum err_code ui_child_watch_all(struct ui_child *child, struct err *err)
{
	const struct process *process = &child->process;
	enum err_code codes[] = {
		ui_child_watch(child, &child->out, process->out_fd, ui_child_out_ready, err),
		ui_child_watch(child, &child->said, process->said_fd, ui_child_said_ready, err),
		ui_child_watch(child, &child->end, pidfd_open(process->pid, 0), ui_child_end_ready,
			       err),
	};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i] != ERR_OK)
			return codes[i];
	return ERR_OK;
}

enum err_code ui_child_start(struct ui *ui, const char *const *args, int in_fd,
			     const struct ui_child_user *user, struct ui_child **ret_child,
			     struct err *err)
{
	const struct process_options options = {
		.args = args,
		.out = PROCESS_STDOUT_PIPE,
		.say = true,
		.in_fd = in_fd,
		.nicer_by = NICER_BY,
	};
	struct ui_child *child = xcalloc(1, sizeof(*child));

	if (process_start_apart(&child->process, &options, err) != ERR_OK) {
		free(child);
		return err->code;
	}
	child->ui = ui;
	child->user = *user;
	buf_init(&child->words, UI_SAID_MAX);
	child->next = ui->children;
	ui->children = child;
	ui->child_count++;
	ui_wake_timer(ui);
	if (ui_child_watch_all(child, err) != ERR_OK) {
		process_stop(&child->process, 0);
		ui_child_free(child);
		return err->code;
	}
	*ret_child = child;
	return ERR_OK;
}

void ui_child_pause(struct ui_child *child, bool pauses)
{
	if (child->paused == pauses)
		return;
	child->paused = pauses;
	if (child->out.fd >= 0)
		http_watch_pause(child->ui->server, &child->out, pauses);
}

void ui_child_stop(struct ui_child *child)
{
	if (child->asked_ms)
		return;
	child->asked_ms = clock_mono_ms();
	process_signal(&child->process, SIGTERM);
}

/* It is freed when its end is seen, or at once where that was seen already. */
void ui_child_drop(struct ui_child *child)
{
	child->user = (struct ui_child_user){ .out = NULL };
	ui_child_pause(child, false);
	if (child->end.fd >= 0)
		ui_child_stop(child);
	else
		ui_child_close(child, &child->out);
}

void ui_children_look(struct ui *ui, int64_t now_ms)
{
	for (struct ui_child *child = ui->children, *next; child; child = next) {
		next = child->next;
		if (child->asked_ms && now_ms - child->asked_ms > KILL_MS)
			process_signal(&child->process, SIGKILL);
		if (!child->user.out)
			ui_child_look(child);
	}
}

void ui_children_end(struct ui *ui)
{
	int64_t until_ms = clock_mono_ms() + END_MS, left_ms;

	for (struct ui_child *child = ui->children; child; child = child->next)
		process_signal(&child->process, SIGTERM);
	for (struct ui_child *child = ui->children, *next; child; child = next) {
		next = child->next;
		left_ms = until_ms - clock_mono_ms();
		process_stop(&child->process, left_ms > 0 ? left_ms : 0);
		ui_child_free(child);
	}
}
