#include "gateway/takeover.h"

#include "base/handoff.h"
#include "base/lock.h"
#include "base/notify.h"
#include "base/time.h"
#include "base/trace.h"
#include "gateway/state.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAKEOVER_SOCKET "gateway.sock"

enum {
	CONNECT_MS = 5000, /* until the running one can be met */
	CONNECT_PAUSE_MS = 20,
	HELLO_MS = 5000,
	READY_MS = 60000,      /* from SOCKETS to GO */
	LOG_MS = 30000,	       /* from GO to LOG: what is in flight is answered */
	GIVE_MS = 10000,       /* for all connections; clients wait from here on */
	OPEN_MS = 10000,       /* from LOG to OPEN; longer than the other one tries (gateway.c) */
	SAY_MS = 5000,	       /* until there is room for a word */
	PART_MS = 1000,	       /* for clients over TLS */
	ACCEPT_PAUSE_MS = 100, /* where there are no descriptors */
	LISTEN_PAUSE_MS = 1000,
	WORDS_MAX = 256,
};

enum word {
	WORD_HELLO = 1,
	WORD_SOCKETS,
	WORD_GO,
	WORD_CONNECTIONS,
	WORD_LOG,
	WORD_OPEN,
	WORD_YOURS,
	WORD_NO
};

/* All of them are of this form. */
struct takeover_message {
	char magic[8];
	uint32_t word;
	int32_t pid;
	uint8_t tls, of_up;
	uint8_t listener[HANDOFF_FDS_MAX]; /* of each connection */
	struct iterator_key key;	   /* with it iterators of clients stay good */
	char why[WORDS_MAX];
};

static struct takeover_message message_of(enum word word)
{
	struct takeover_message message = { .word = word, .pid = getpid() };

	memcpy(message.magic, "PINTAKE1", sizeof(message.magic));
	return message;
}

static enum err_code takeover_say(int fd, enum word word, struct err *err)
{
	struct takeover_message message = message_of(word);

	return handoff_send(fd, SAY_MS, &message, sizeof(message), NULL, 0, err);
}

/* The next message, which must be one of those two; NO becomes the error that it says. */
static enum err_code takeover_hear(int fd, int wake_fd, int64_t timeout_ms, enum word word,
				   enum word other, struct takeover_message *message,
				   int fds[HANDOFF_FDS_MAX], size_t *ret_fd_count, struct err *err)
{
	size_t count = 0;

	if (handoff_receive(fd, wake_fd, timeout_ms, message, sizeof(*message), fds, &count, err) !=
	    ERR_OK)
		return err->code;
	*ret_fd_count = count;
	message->why[WORDS_MAX - 1] = '\0';
	if (memcmp(message->magic, "PINTAKE1", sizeof(message->magic)) == 0 &&
	    (message->word == word || message->word == other))
		return ERR_OK;
	while (count > 0)
		(void)close(fds[--count]);
	if (message->word == WORD_NO)
		return err_set(err, ERR_STOPPED, "process %d hands nothing over: %s", message->pid,
			       message->why);
	return err_set(err, ERR_CORRUPT, "the other process speaks another way");
}

/* The same where no descriptors come along. */
static enum err_code takeover_hear_word(int fd, int wake_fd, int64_t timeout_ms, enum word word,
					struct takeover_message *message, struct err *err)
{
	int fds[HANDOFF_FDS_MAX];
	size_t count = 0;

	if (takeover_hear(fd, wake_fd, timeout_ms, word, word, message, fds, &count, err) != ERR_OK)
		return err->code;
	while (count > 0)
		(void)close(fds[--count]);
	return ERR_OK;
}

void takeover_init(struct takeover *takeover, struct gateway *gateway)
{
	*takeover = (struct takeover){ .gateway = gateway, .from = -1, .to = -1, .wake_fd = -1 };
	(void)pthread_mutex_init(&takeover->lock, NULL);
	(void)pthread_cond_init(&takeover->changed, NULL);
}

static void close_taken(struct takeover *takeover)
{
	for (unsigned i = 0; i < takeover->taken_count; i++)
		if (takeover->taken[i] >= 0)
			(void)close(takeover->taken[i]);
	takeover->taken_count = 0;
}

static void close_from(struct takeover *takeover)
{
	if (takeover->from >= 0)
		(void)close(takeover->from);
	takeover->from = -1;
}

void takeover_release(struct takeover *takeover)
{
	uint64_t one = 1;

	(void)pthread_mutex_lock(&takeover->lock);
	takeover->ending = true;
	(void)pthread_cond_broadcast(&takeover->changed);
	(void)pthread_mutex_unlock(&takeover->lock);
	if (takeover->started) {
		(void)!write(takeover->wake_fd, &one, sizeof(one));
		(void)pthread_join(takeover->thread, NULL);
	}
	if (takeover->wake_fd >= 0)
		(void)close(takeover->wake_fd);
	if (takeover->to >= 0)
		(void)close(takeover->to);
	close_from(takeover);
	close_taken(takeover);
	(void)pthread_mutex_destroy(&takeover->lock);
	(void)pthread_cond_destroy(&takeover->changed);
}

/* --- of the new one ------------------------------------------------------------------------ */

static enum err_code take_sockets(struct takeover *takeover, struct err *err)
{
	struct gateway *gateway = takeover->gateway;
	struct takeover_message message;
	int fds[HANDOFF_FDS_MAX];
	size_t count = 0;

	if (takeover_say(takeover->from, WORD_HELLO, err) != ERR_OK ||
	    takeover_hear(takeover->from, -1, HELLO_MS, WORD_SOCKETS, WORD_SOCKETS, &message, fds,
			  &count, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < count; i++) {
		if (i < HTTP_LISTENERS_MAX)
			takeover->taken[takeover->taken_count++] = fds[i];
		else
			(void)close(fds[i]);
	}
	gateway->iterator_key = message.key;
	if (message.tls != (gateway->options.tls_cert != NULL))
		return err_set(err, ERR_USAGE,
			       "process %d speaks %s, and this one would not: end"
			       " it, then start this one",
			       message.pid, message.tls ? "TLS" : "plain HTTP");
	trace_info("taking over from process %d", message.pid);
	if (message.of_up && !gateway->options.of_up)
		trace_warn("it is a part of an `up`, all of which ends then: nothing goes on to the"
			   " lake until another one runs");
	return ERR_OK;
}

/* While it is met by another one there is no socket, and not yet right after its start. */
static enum err_code connect_to_running(const char *dir, int *ret_fd, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + CONNECT_MS;
	char holder[LOCK_HOLDER_MAX];
	enum err_code code;

	while ((code = handoff_connect(dir, TAKEOVER_SOCKET, ret_fd, err)) == ERR_ABSENT &&
	       clock_mono_ms() < until_ms && lock_is_held(dir, "log/lock", holder))
		clock_sleep_ms(CONNECT_PAUSE_MS);
	return code;
}

enum err_code takeover_ask(struct takeover *takeover, struct err *err)
{
	const char *dir = takeover->gateway->options.dir;
	enum err_code code = connect_to_running(dir, &takeover->from, err);

	if (code == ERR_ABSENT) {
		trace_info("no gateway runs on \"%s\" that could be taken over from", dir);
		return ERR_OK;
	}
	if (code == ERR_OK)
		code = take_sockets(takeover, err);
	return code == ERR_OK ? ERR_OK : err_prefix(err, "could not take over");
}

/* All of them are in use, or else clients of the others would be left alone. */
static enum err_code check_taken(const struct takeover *takeover, struct err *err)
{
	for (unsigned i = 0; i < takeover->taken_count; i++)
		if (takeover->taken[i] >= 0)
			return err_set(err, ERR_USAGE,
				       "could not take over: the running gateway"
				       " listens on an address that this one does not have; end it,"
				       " then start this one");
	return ERR_OK;
}

static enum err_code take_connections(struct takeover *takeover, size_t *ret_count, struct err *err)
{
	struct takeover_message message;
	int fds[HANDOFF_FDS_MAX];
	size_t count = 0;

	*ret_count = 0;
	for (;;) {
		if (takeover_hear(takeover->from, -1, LOG_MS, WORD_CONNECTIONS, WORD_LOG, &message,
				  fds, &count, err) != ERR_OK)
			return err->code;
		for (size_t i = 0; i < count; i++)
			*ret_count += http_server_adopt(takeover->gateway->server, fds[i],
							message.listener[i]);
		if (message.word == WORD_LOG)
			return ERR_OK;
	}
}

/* It died: whatever it had is free, if not this moment, and its sockets are here. */
static enum err_code go_alone(struct takeover *takeover)
{
	trace_warn("the gateway that was to be taken over from has died; its sockets are here");
	takeover->gateway->opening.patient = true;
	close_from(takeover);
	return ERR_OK;
}

enum err_code takeover_go(struct takeover *takeover, struct err *err)
{
	enum err_code code;
	size_t count;

	if (takeover->from < 0)
		return ERR_OK;
	if (check_taken(takeover, err) != ERR_OK ||
	    takeover_say(takeover->from, WORD_GO, err) != ERR_OK)
		return err->code;
	code = take_connections(takeover, &count, err);
	if (code == ERR_CLOSED)
		return go_alone(takeover);
	if (code == ERR_TIMEOUT)
		err->code = ERR_IO; /* to hold its clients up again is no cure */
	if (code != ERR_OK)
		return err_prefix(err, "could not take over");
	trace_debug("took %zu connections over", count);
	return ERR_OK;
}

/* Which process the service manager is to look at. */
static void tell_manager(const struct takeover *takeover)
{
	char state[64];

	(void)snprintf(state, sizeof(state), "MAINPID=%d",
		       takeover->gateway->options.of_up ? getppid() : getpid());
	notify_send(state);
}

enum err_code takeover_finish(struct takeover *takeover, struct err *err)
{
	struct takeover_message message;
	enum err_code code;

	if (takeover->from < 0)
		return ERR_OK;
	tell_manager(takeover); /* before the other ends */
	code = takeover_say(takeover->from, WORD_OPEN, err);
	if (code == ERR_OK)
		code = takeover_hear_word(takeover->from, -1, HELLO_MS, WORD_YOURS, &message, err);
	if (code == ERR_CLOSED)
		code = go_alone(takeover);
	close_from(takeover); /* at once: a YOURS that nobody hears must not be said */
	if (code != ERR_OK)
		return err_prefix(err, "could not take over");
	takeover_await(takeover);
	return ERR_OK;
}

/* --- of the running one --------------------------------------------------------------------- */

static enum err_code give_sockets(struct takeover *takeover, int fd, struct err *err)
{
	const struct gateway *gateway = takeover->gateway;
	struct takeover_message message = message_of(WORD_SOCKETS);
	int fds[HTTP_LISTENERS_MAX];
	enum err_code code;
	unsigned count;

	/* The loop closes its own as soon as it is asked to end. */
	if (http_server_copy_sockets(gateway->server, fds, &count, err) != ERR_OK)
		return err->code;
	message.tls = gateway->options.tls_cert != NULL;
	message.of_up = gateway->options.of_up;
	message.key = gateway->iterator_key;
	code = handoff_send(fd, SAY_MS, &message, sizeof(message), fds, count, err);
	while (count > 0)
		(void)close(fds[--count]);
	return code;
}

/* ERR_TIMEOUT: it will not be heard. */
static enum err_code say_no(int fd, const struct err *why)
{
	struct takeover_message no = message_of(WORD_NO);
	struct err unused;

	(void)snprintf(no.why, sizeof(no.why), "%.200s", why->msg);
	return handoff_send(fd, 0, &no, sizeof(no), NULL, 0, &unused);
}

/* One has come: until it says GO nothing is different. */
static enum err_code meet(struct takeover *takeover, int fd, struct err *err)
{
	struct takeover_message message;

	if (takeover_hear_word(fd, takeover->wake_fd, HELLO_MS, WORD_HELLO, &message, err) !=
		    ERR_OK ||
	    give_sockets(takeover, fd, err) != ERR_OK ||
	    takeover_hear_word(fd, takeover->wake_fd, READY_MS, WORD_GO, &message, err) != ERR_OK)
		return err->code;
	trace_info("process %d takes over", message.pid);
	return ERR_OK;
}

/* Shorter, if it ends. */
static void takeover_pause(const struct takeover *takeover, int pause_ms)
{
	struct pollfd wake = { .fd = takeover->wake_fd, .events = POLLIN };

	(void)poll(&wake, 1, pause_ms);
}

/* The loop's thread does the rest, in takeover_give(). */
static void leave_to(struct takeover *takeover, int fd)
{
	struct http_server *server = takeover->gateway->server;

	if (takeover->gateway->options.tls_cert) {
		http_server_part(server);
		takeover_pause(takeover, PART_MS);
	}
	(void)pthread_mutex_lock(&takeover->lock);
	takeover->to = fd;
	http_server_leave(server);
	while (takeover->to >= 0 && !takeover->ending)
		(void)pthread_cond_wait(&takeover->changed, &takeover->lock);
	(void)pthread_mutex_unlock(&takeover->lock);
}

/* The next one that connects; -1: it ends. */
static int next_visitor(const struct takeover *takeover, int listen_fd)
{
	struct pollfd polls[] = { { .fd = listen_fd, .events = POLLIN },
				  { .fd = takeover->wake_fd, .events = POLLIN } };

	for (;;) {
		int fd;

		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (polls[1].revents)
			return -1;
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		takeover_pause(takeover, ACCEPT_PAUSE_MS); /* it waits there still */
	}
}

static bool takeover_is_ending(struct takeover *takeover)
{
	bool ending;

	(void)pthread_mutex_lock(&takeover->lock);
	ending = takeover->ending;
	(void)pthread_mutex_unlock(&takeover->lock);
	return ending;
}

/* The file is made anew for each: one that failed may have put its own in its place. */
static void *takeover_run(void *arg)
{
	struct takeover *takeover = arg;
	bool told = false;
	struct err err;
	int listen_fd, fd;

	while (!takeover_is_ending(takeover)) {
		if (handoff_listen(takeover->gateway->options.dir, TAKEOVER_SOCKET, &listen_fd,
				   &err) != ERR_OK) {
			if (!told)
				trace_debug("nobody can take over: %s", err.msg);
			told = true;
			takeover_pause(takeover, LISTEN_PAUSE_MS);
			continue;
		}
		told = false;
		fd = next_visitor(takeover, listen_fd);
		(void)close(listen_fd);
		if (fd < 0) {
			handoff_remove(takeover->gateway->options.dir, TAKEOVER_SOCKET);
			return NULL;
		}
		if (meet(takeover, fd, &err) == ERR_OK) {
			leave_to(takeover, fd);
		} else {
			trace_info("nobody takes over: %s", err.msg);
			(void)say_no(fd, &err);
			(void)close(fd);
		}
	}
	return NULL;
}

void takeover_await(struct takeover *takeover)
{
	if (takeover->started || takeover->from >= 0 || !takeover->gateway->options.dir)
		return;
	takeover->wake_fd = eventfd(0, EFD_CLOEXEC);
	takeover->started = takeover->wake_fd >= 0 &&
			    pthread_create(&takeover->thread, NULL, takeover_run, takeover) == 0;
}

static enum err_code give_connections(const struct takeover *takeover, struct err *err)
{
	struct takeover_message message = message_of(WORD_CONNECTIONS);
	int fds[HANDOFF_FDS_MAX], fd;
	unsigned listener = 0;
	uint32_t at = 0;
	size_t count = 0;
	int64_t until_ms = clock_mono_ms() + GIVE_MS;

	do {
		fd = http_server_parked(takeover->gateway->server, &at, &listener);
		if (fd >= 0) {
			message.listener[count] = (uint8_t)listener;
			fds[count++] = fd;
		}
		if (count == HANDOFF_FDS_MAX || (fd < 0 && count > 0)) {
			if (handoff_send(takeover->to, until_ms - clock_mono_ms(), &message,
					 sizeof(message), fds, count, err) != ERR_OK)
				return err->code;
			count = 0;
		}
	} while (fd >= 0);
	return ERR_OK;
}

static enum err_code takeover_give_all(const struct takeover *takeover,
				       void (*close_log)(struct gateway *gateway), struct err *err)
{
	struct takeover_message message;
	unsigned unanswered;

	if (give_connections(takeover, err) != ERR_OK)
		return err->code;
	close_log(takeover->gateway);
	if (takeover_say(takeover->to, WORD_LOG, err) != ERR_OK ||
	    takeover_hear_word(takeover->to, -1, OPEN_MS, WORD_OPEN, &message, err) != ERR_OK ||
	    takeover_say(takeover->to, WORD_YOURS, err) != ERR_OK)
		return err->code;
	trace_info("process %d has taken over", message.pid);
	unanswered = http_server_unanswered(takeover->gateway->server);
	if (unanswered > 0)
		trace_warn("%u connections were closed before they were answered", unanswered);
	return ERR_OK;
}

/* Who is stopped, or hangs, would keep the log for ever, or not know that it is not to serve when
 * it goes on. The log is then as after any kill. */
static void end_silent(const struct takeover *takeover, bool deaf)
{
	char holder[LOCK_HOLDER_MAX] = "";
	int pid = handoff_peer(takeover->to);
	bool has_log = lock_is_held(takeover->gateway->options.dir, "log/lock", holder) &&
		       strtol(holder, NULL, 10) == pid;

	if (pid <= 0 || !(deaf || has_log))
		return;
	trace_warn("process %d, which was to take over, %s and does nothing: it is killed", pid,
		   has_log ? "has the log" : "has connections");
	if (kill(pid, SIGKILL) < 0)
		trace_error("could not kill process %d: %s", pid, strerror(errno));
}

bool takeover_give(struct takeover *takeover, void (*close_log)(struct gateway *gateway))
{
	struct err err;
	bool deaf;

	assert(takeover->to >= 0); /* it was set before the server was asked to leave */
	if (takeover_give_all(takeover, close_log, &err) == ERR_OK)
		return true;
	trace_error("nobody takes over: %s; this gateway goes on", err.msg);
	tell_manager(takeover); /* the other may have, too */
	deaf = say_no(takeover->to, &err) == ERR_TIMEOUT;
	if (err.code == ERR_TIMEOUT)
		end_silent(takeover, deaf);
	(void)pthread_mutex_lock(&takeover->lock);
	(void)close(takeover->to);
	takeover->to = -1;
	(void)pthread_cond_broadcast(&takeover->changed);
	(void)pthread_mutex_unlock(&takeover->lock);
	return false;
}
