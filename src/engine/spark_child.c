#include "engine/spark_child.h"

#include "base/child.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LINE_BYTES_MAX = 16 << 20,
	READ_BYTES = 64 << 10,
	SILENT_MS = 60000,	    /* it says that it lives once a second */
	WAITING_MS = 60000,	    /* without a task that runs, until that is told */
	STALLED_MS = 600000,	    /* … and until it is given up */
	LEAVE_MS = 10000,	    /* to close its session */
	CANCEL_MS = 1000,	    /* between two cancels */
	STOP_MS = 5000,		    /* to heed one */
	OUTPUT_TAIL = 64 << 10,	    /* bytes of what it printed that are looked at: a long stack */
	OUTPUT_BYTES_MAX = 4 << 20, /* … and that are kept */
};

struct spark_child {
	struct spark_child_options options; /* `functions`, `exchange`: own copies; no settings */
	struct buf secrets;		    /* the settings that go over the socket, JSON members */
	pid_t pid;			    /* 0: it has been waited for */
	int pid_fd;
	int listen_fd; /* -1: it has come */
	int fd;	       /* -1: it has not */
	int wake_fd;
	int output_fd; /* what it printed, in memory */
	char name[40]; /* of the socket */
	struct buf in; /* lines that came, from `at` on not looked at */
	size_t at;
	struct json_parser *parser;
	struct err failed; /* code ERR_OK: it has not */
	int64_t started_ms;
	int64_t heard_ms;
	int64_t asked_ms;
	int64_t ran_ms;	    /* when a task last ran, or a stage moved */
	bool told_waiting;  /* of this question */
	bool ready;	    /* it has its session */
	int64_t stop_by_ms; /* 0: not interrupted */
	int64_t tasks_done;
	pthread_mutex_t lock; /* of what follows, and of writing */
	bool busy;	      /* something is at work, or waits for the start */
	bool interrupted;
	int64_t cancelled_ms;
	double progress; /* below 0: not known */
};

/* --- the process ----------------------------------------------------------------- */

/* Ours, but for what tells spark-submit where it runs, as settings do. The list is of malloc(). */
static char **spark_child_environment(void)
{
	static const char *const not_passed[] = { "MASTER=", "SPARK_REMOTE=", "SPARK_API_MODE=",
						  "SPARK_CONNECT_MODE=" };
	size_t count = 0, kept = 0;
	char **list;

	while (environ[count])
		count++;
	list = xcalloc(count + 1, sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		bool passed = true;

		for (size_t j = 0; j < ARRAY_LEN(not_passed); j++)
			passed &= strncmp(environ[i], not_passed[j], strlen(not_passed[j])) != 0;
		if (passed)
			list[kept++] = environ[i];
	}
	return list;
}

static enum err_code spark_child_spawn(struct spark_child *child, const char *program,
				       char *const *argv, struct err *err)
{
	char **environment = spark_child_environment();
	int sys = child_spawn(program, argv, environment, child->output_fd, child->output_fd,
			      &child->pid);

	free(environment);
	if (sys == 0)
		return ERR_OK;
	child->pid = 0;
	if (sys == ENOENT || sys == EACCES || sys == ENOTDIR)
		return err_set(err, ERR_USAGE,
			       "engine.kind is spark, and there is no \"%s\" to run;"
			       " install Spark 4 and set SPARK_HOME, or engine.spark_submit",
			       program);
	errno = sys;
	return err_errno(err, "could not start \"%s\"", program);
}

static void spark_child_put_setting(struct buf *text, const struct spark_setting *setting)
{
	buf_addf(text, "--conf%c%s=%s", '\0', setting->name, setting->text);
	buf_add_char(text, '\0');
}

static void spark_child_put_argument(struct buf *text, const char *argument)
{
	buf_add(text, argument, strlen(argument) + 1);
}

/* The arguments stand in `text`, each ended by a NUL. */
static enum err_code spark_child_start(struct spark_child *child,
				       const struct spark_child_options *options, struct err *err)
{
	struct buf text;
	char **argv;
	size_t count = 0;
	enum err_code code;

	buf_init(&text, LINE_BYTES_MAX);
	spark_child_put_argument(&text, options->program);
	for (size_t i = 0; i < options->setting_count; i++)
		if (!options->settings[i].secret)
			spark_child_put_setting(&text, &options->settings[i]);
	spark_child_put_argument(&text, options->script);
	spark_child_put_argument(&text, child->name);
	argv = xcalloc(options->setting_count * 2 + 4, sizeof(*argv));
	for (size_t at = 0; at < text.len; at += strlen(text.ptr + at) + 1)
		argv[count++] = text.ptr + at;
	code = spark_child_spawn(child, options->program, argv, err);
	free(argv);
	buf_release(&text);
	if (code != ERR_OK)
		return code;
	child->pid_fd = pidfd_open(child->pid, 0);
	return child->pid_fd < 0 ? err_errno(err, "could not watch \"%s\"", options->program)
				 : ERR_OK;
}

/* Which in the abstract name space has no file that could be left. */
static enum err_code spark_child_listen(struct spark_child *child, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint64_t number = 0;
	int len;

	(void)!getrandom(&number, sizeof(number), 0);
	(void)snprintf(child->name, sizeof(child->name), "pinpipe-spark-%016llx",
		       (unsigned long long)number);
	len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s", child->name);
	child->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (child->listen_fd < 0 ||
	    bind(child->listen_fd, (struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0 ||
	    listen(child->listen_fd, 1) < 0)
		return err_errno(err, "could not make a socket for Spark");
	return ERR_OK;
}

static void spark_child_close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void spark_child_kill(struct spark_child *child)
{
	if (child->pid) {
		(void)kill(-child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	child->pid = 0;
}

enum err_code spark_child_new(const struct spark_child_options *options,
			      struct spark_child **ret_child, struct err *err)
{
	struct spark_child *child = xcalloc(1, sizeof(*child));
	enum err_code code = ERR_OK;

	child->options = *options;
	child->options.functions = xstrdup(options->functions);
	child->options.exchange = xstrdup(options->exchange);
	child->options.settings = NULL;
	child->pid_fd = child->listen_fd = child->fd = -1;
	child->progress = -1;
	buf_init(&child->in, LINE_BYTES_MAX);
	buf_init(&child->secrets, LINE_BYTES_MAX);
	for (size_t i = 0; i < options->setting_count; i++) {
		if (!options->settings[i].secret)
			continue;
		buf_add_str(&child->secrets, child->secrets.len ? "," : "");
		json_put_string(&child->secrets, slice_str(options->settings[i].name));
		buf_add_char(&child->secrets, ':');
		json_put_string(&child->secrets, slice_str(options->settings[i].text));
	}
	child->parser = json_parser_new(LINE_BYTES_MAX);
	(void)pthread_mutex_init(&child->lock, NULL);
	child->started_ms = child->heard_ms = clock_mono_ms();
	child->wake_fd = eventfd(0, EFD_CLOEXEC);
	child->output_fd = memfd_create("spark", MFD_CLOEXEC);
	if (child->wake_fd < 0 || child->output_fd < 0 ||
	    fcntl(child->output_fd, F_SETFL, O_APPEND) < 0)
		code = err_errno(err, "could not start Spark");
	if (code == ERR_OK)
		code = spark_child_listen(child, err);
	if (code == ERR_OK)
		code = spark_child_start(child, options, err);
	if (code == ERR_OK)
		*ret_child = child;
	else
		spark_child_free(child);
	return code;
}

/* --- its failures ---------------------------------------------------------------- */

/* The line that tells most of what it printed: the last that names an error, or the last of all. */
static void spark_child_last_words(const struct spark_child *child, char words[ERR_MSG_MAX])
{
	char *tail = xmalloc(OUTPUT_TAIL + 1);
	off_t size = lseek(child->output_fd, 0, SEEK_END);
	off_t from = size > OUTPUT_TAIL ? size - OUTPUT_TAIL : 0;
	ssize_t len = size > 0 ? pread(child->output_fd, tail, OUTPUT_TAIL, from) : 0;
	bool error = false;
	char *next = tail;

	words[0] = '\0';
	tail[len > 0 ? len : 0] = '\0';
	for (char *line; (line = strsep(&next, "\n")) != NULL;) {
		bool names = strcasestr(line, "error") || strcasestr(line, "exception") ||
			     strstr(line, "No such file") || strstr(line, "is not set");

		if (!*line || line[0] == '\t' || line[0] == ' ' || (error && !names))
			continue;
		error |= names;
		(void)snprintf(words, ERR_MSG_MAX, "%.240s", line);
	}
	free(tail);
}

/* A session may last for days, and its settings may have it print much. It appends. */
static void spark_child_bound_output(struct spark_child *child)
{
	if (lseek(child->output_fd, 0, SEEK_END) > OUTPUT_BYTES_MAX)
		(void)!ftruncate(child->output_fd, 0);
}

/* It is of no use any more; every later question gets the same words. */
static enum err_code spark_child_fail(struct spark_child *child, struct err *err)
{
	child->failed = *err;
	spark_child_kill(child);
	(void)pthread_mutex_lock(&child->lock); /* an interrupt writes to it */
	spark_child_close_fd(&child->fd);
	(void)pthread_mutex_unlock(&child->lock);
	return err->code;
}

static enum err_code spark_child_ended(struct spark_child *child, struct err *err)
{
	char words[ERR_MSG_MAX];
	int status = 0;

	/* Its socket may be closed a moment before it ends. */
	(void)poll(&(struct pollfd){ .fd = child->pid_fd, .events = POLLIN }, 1, LEAVE_MS);
	if (waitpid(child->pid, &status, WNOHANG) == child->pid)
		child->pid = 0;
	spark_child_last_words(child, words);
	if (child->fd < 0 && WIFEXITED(status) && WEXITSTATUS(status) != 0)
		err_set(err, ERR_USAGE, "spark could not be started (status %d)%s%s",
			WEXITSTATUS(status), *words ? ": " : "", words);
	else if (WIFSIGNALED(status))
		err_set(err, ERR_BUSY, "spark was ended by signal %d%s; nothing was committed",
			WTERMSIG(status),
			WTERMSIG(status) == SIGKILL ? " (was memory short? see spark.driver.memory)"
						    : "");
	else
		err_set(err, ERR_BUSY, "spark ended before it had answered%s%s",
			*words ? ": " : "; nothing was committed", words);
	return spark_child_fail(child, err);
}

/* --- what it says ---------------------------------------------------------------- */

static enum err_code spark_child_send(struct spark_child *child, struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		ssize_t n = send(child->fd, text.ptr + at, text.len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return ERR_IO;
		at += n > 0 ? (size_t)n : 0;
	}
	return ERR_OK;
}

/* The lock is held. Often called: one cancel a second is enough. */
static void spark_child_cancel(struct spark_child *child)
{
	int64_t now = clock_mono_ms();

	if (child->fd < 0 || now < child->cancelled_ms + CANCEL_MS)
		return;
	child->cancelled_ms = now;
	(void)spark_child_send(child, slice_str("{\"do\": \"cancel\"}\n"));
}

void spark_child_interrupt(struct spark_child *child)
{
	(void)pthread_mutex_lock(&child->lock);
	if (child->busy) {
		child->interrupted = true;
		spark_child_cancel(child);
		(void)eventfd_write(child->wake_fd, 1);
	}
	(void)pthread_mutex_unlock(&child->lock);
}

double spark_child_progress(struct spark_child *child)
{
	double progress;

	(void)pthread_mutex_lock(&child->lock);
	progress = child->progress;
	(void)pthread_mutex_unlock(&child->lock);
	return progress;
}

/* "progress": [done, known, running] of tasks; an empty one where Spark does not tell. */
static void spark_child_take_progress(struct spark_child *child, struct json progress)
{
	struct json_iter numbers = json_iter(progress);
	int64_t tasks[3] = { 0 };
	size_t count = 0;

	while (count < 3 && json_next(&numbers) && json_get_i64(numbers.value, &tasks[count]))
		count++;
	if (count < 3 || tasks[2] > 0 || tasks[0] != child->tasks_done)
		child->ran_ms = child->heard_ms;
	child->tasks_done = tasks[0];
	(void)pthread_mutex_lock(&child->lock);
	child->progress = tasks[1] > 0 ? (double)tasks[0] / (double)tasks[1] : -1;
	(void)pthread_mutex_unlock(&child->lock);
}

static enum err_code code_of_kind(struct slice kind)
{
	static const struct {
		const char *name;
		enum err_code code;
	} kinds[] = {
		{ "usage", ERR_USAGE },	    { "shape", ERR_SHAPE },	   { "limit", ERR_LIMIT },
		{ "space", ERR_SPACE },	    { "absent", ERR_UNSUPPORTED }, { "busy", ERR_BUSY },
		{ "stopped", ERR_STOPPED },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (slice_is(kind, kinds[i].name))
			return kinds[i].code;
	return ERR_IO;
}

static enum err_code spark_child_take_error(struct json error, struct spark_fault *ret_fault,
					    struct err *err)
{
	struct slice kind = slice_str("io"), message = slice_str("it does not say what is wrong");
	struct json value;
	int64_t line = 0;
	bool exchange = false;
	enum err_code code;

	if (json_member(error, "kind", &value))
		(void)json_get_string(value, &kind);
	if (json_member(error, "message", &value))
		(void)json_get_string(value, &message);
	if (json_member(error, "line", &value))
		(void)json_get_i64(value, &line);
	if (json_member(error, "exchange", &value))
		(void)json_get_bool(value, &exchange);
	code = code_of_kind(kind);
	*ret_fault = (struct spark_fault){ .line = (int)line,
					   .of_exchange = exchange,
					   .of_sql = code == ERR_USAGE || code == ERR_SHAPE };
	return err_set(err, code, "%.*s", SLICE_ARG(message));
}

/* A line of the child: true, if it is the answer, with what it is. */
static bool spark_child_take_line(struct spark_child *child, struct slice line,
				  struct json *ret_done, struct spark_fault *ret_fault,
				  enum err_code *ret_code, struct err *err)
{
	struct json root, value;

	*ret_code = json_parse(child->parser, line, &root, err);
	if (*ret_code != ERR_OK) {
		*ret_code = err_set(err, ERR_IO, "spark has answered what is no JSON");
		return true;
	}
	if (json_member(root, "progress", &value)) {
		spark_child_take_progress(child, value);
		return false;
	}
	if (json_member(root, "error", &value))
		*ret_code = spark_child_take_error(value, ret_fault, err);
	else if (!json_member(root, "done", ret_done))
		*ret_code = err_set(err, ERR_IO, "spark's answer is none");
	return true;
}

/* The next line that came, without its end; a null slice: none is whole. */
static struct slice spark_child_next_line(struct spark_child *child)
{
	const char *from = child->in.ptr + child->at;
	const char *end = child->in.len > child->at ? memchr(from, '\n', child->in.len - child->at)
						    : NULL;

	if (!end)
		return (struct slice){ 0 };
	child->at += (size_t)(end - from) + 1;
	return slice_of(from, (size_t)(end - from));
}

/* What lies before `at` was looked at. False: it has closed its end. */
static bool spark_child_read(struct spark_child *child)
{
	char *room;
	ssize_t n;

	if (child->at > 0) {
		child->in.len -= child->at;
		memmove(child->in.ptr, child->in.ptr + child->at, child->in.len);
		child->at = 0;
	}
	room = buf_room(&child->in, READ_BYTES);
	if (!room)
		return false;
	n = recv(child->fd, room, READ_BYTES, 0);
	if (n > 0)
		buf_grew(&child->in, (size_t)n);
	child->heard_ms = clock_mono_ms();
	return n > 0 || (n < 0 && errno == EINTR);
}

/* --- waiting --------------------------------------------------------------------- */

static bool spark_child_interrupted(struct spark_child *child)
{
	bool interrupted;

	(void)pthread_mutex_lock(&child->lock);
	interrupted = child->interrupted;
	(void)pthread_mutex_unlock(&child->lock);
	return interrupted;
}

static enum err_code spark_child_look_at_tasks(struct spark_child *child, int64_t now,
					       struct err *err)
{
	static const char why[] = "are executors free, and do they reach this machine"
				  " (spark.driver.host)?";

	if (now > child->ran_ms + STALLED_MS)
		return err_set(err, ERR_TIMEOUT, "no task of spark has run for %d s: %s",
			       STALLED_MS / 1000, why);
	if (now > child->ran_ms + WAITING_MS && !child->told_waiting) {
		child->told_waiting = true;
		trace_warn("no task of spark has run for %d s: %s", WAITING_MS / 1000, why);
	}
	return ERR_OK;
}

/* What has taken too long, if something has. */
static enum err_code spark_child_look_at_clock(struct spark_child *child, struct err *err)
{
	const struct spark_child_options *options = &child->options;
	int64_t now = clock_mono_ms();

	if (child->stop_by_ms && now > child->stop_by_ms)
		return err_set(err, ERR_STOPPED, "interrupted");
	if (!child->ready)
		return now < child->started_ms + options->start_ms
			       ? ERR_OK
			       : err_set(err, ERR_TIMEOUT,
					 "spark was not ready after %lld s (engine.start_timeout)",
					 (long long)(options->start_ms / 1000));
	if (now > child->heard_ms + SILENT_MS)
		return err_set(err, ERR_TIMEOUT, "spark has said nothing for %d s and was ended",
			       SILENT_MS / 1000);
	if (options->statement_ms && now > child->asked_ms + options->statement_ms)
		return err_set(err, ERR_TIMEOUT,
			       "spark had not answered after %lld s (engine.timeout)"
			       " and was ended",
			       (long long)(options->statement_ms / 1000));
	return spark_child_look_at_tasks(child, now, err);
}

static enum err_code spark_child_accept(struct spark_child *child, struct err *err)
{
	/* Nobody can interrupt a wait for one that takes no more of a question. */
	const struct timeval patience = { .tv_sec = LEAVE_MS / 1000 };
	struct ucred who = { 0 };
	socklen_t len = sizeof(who);
	int fd = accept4(child->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED
			       ? ERR_OK
			       : err_errno(err, "could not be reached by spark");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || who.uid != geteuid()) {
		(void)close(fd); /* not whom we started */
		return ERR_OK;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)pthread_mutex_lock(&child->lock);
	child->fd = fd;
	(void)pthread_mutex_unlock(&child->lock);
	spark_child_close_fd(&child->listen_fd);
	child->heard_ms = child->ran_ms = clock_mono_ms();
	return ERR_OK;
}

/* One round: until something happens, or a second is over. */
static enum err_code spark_child_wait(struct spark_child *child, struct err *err)
{
	struct pollfd fds[] = {
		{ .fd = child->fd >= 0 ? child->fd : child->listen_fd, .events = POLLIN },
		{ .fd = child->pid_fd, .events = POLLIN },
		{ .fd = child->wake_fd, .events = POLLIN },
	};
	eventfd_t wakes;

	if (poll(fds, ARRAY_LEN(fds), 1000) < 0 && errno != EINTR)
		return err_errno(err, "could not wait for spark");
	spark_child_bound_output(child);
	if (fds[2].revents && eventfd_read(child->wake_fd, &wakes) == 0 && child->stop_by_ms == 0 &&
	    spark_child_interrupted(child))
		child->stop_by_ms = clock_mono_ms() + (child->fd >= 0 ? STOP_MS : 0);
	if (child->fd >= 0 && fds[0].revents && !spark_child_read(child))
		return spark_child_ended(child, err);
	if (child->fd < 0 && fds[0].revents)
		return spark_child_accept(child, err);
	if (fds[1].revents && !fds[0].revents)
		return spark_child_ended(child, err);
	return spark_child_look_at_clock(child, err);
}

static enum err_code spark_child_read_answer(struct spark_child *child, struct json *ret_done,
					     struct spark_fault *ret_fault, struct err *err)
{
	for (;;) {
		struct slice line = spark_child_next_line(child);
		enum err_code code;

		if (line.ptr && spark_child_take_line(child, line, ret_done, ret_fault, &code, err))
			return code;
		if (!line.ptr && spark_child_wait(child, err) != ERR_OK)
			return spark_child_fail(child, err);
	}
}

static enum err_code spark_child_exchange(struct spark_child *child, const struct buf *request,
					  struct json *ret_done, struct spark_fault *ret_fault,
					  struct err *err)
{
	enum err_code code;

	child->asked_ms = child->ran_ms = clock_mono_ms();
	child->told_waiting = false;
	(void)pthread_mutex_lock(&child->lock);
	code = buf_full(request) ? ERR_LIMIT : spark_child_send(child, buf_slice(request));
	if (code == ERR_OK)
		code = spark_child_send(child, slice_str("\n"));
	(void)pthread_mutex_unlock(&child->lock);
	if (code == ERR_LIMIT)
		return err_set(err, ERR_LIMIT, "the question is too long for spark");
	if (code != ERR_OK)
		return spark_child_ended(child, err);
	return spark_child_read_answer(child, ret_done, ret_fault, err);
}

/* Waits until it has come, and tells it what it is to be. */
static enum err_code spark_child_greet(struct spark_child *child, struct err *err)
{
	struct spark_fault fault;
	struct json done;
	struct buf request;
	enum err_code code;

	while (child->fd < 0)
		if (spark_child_wait(child, err) != ERR_OK)
			return spark_child_fail(child, err);
	buf_init(&request, LINE_BYTES_MAX);
	buf_addf(&request, "{\"do\": \"configure\", \"settings\": {%s}, \"functions\": ",
		 buf_cstr(&child->secrets));
	json_put_string(&request, slice_str(child->options.functions));
	buf_add_str(&request, ", \"exchange\": ");
	json_put_string(&request, slice_str(child->options.exchange));
	buf_add_char(&request, '}');
	code = spark_child_exchange(child, &request, &done, &fault, err);
	buf_release(&request);
	if (child->secrets.len)
		explicit_bzero(child->secrets.ptr, child->secrets.len);
	child->ready = code == ERR_OK;
	if (child->ready)
		trace_debug("spark was ready after %lld ms",
			    (long long)(clock_mono_ms() - child->started_ms));
	return code == ERR_OK || child->failed.code != ERR_OK ? code : spark_child_fail(child, err);
}

static void spark_child_set_busy(struct spark_child *child, bool busy)
{
	(void)pthread_mutex_lock(&child->lock);
	child->busy = busy;
	child->interrupted = false;
	child->progress = -1;
	(void)pthread_mutex_unlock(&child->lock);
	child->stop_by_ms = 0;
}

enum err_code spark_child_ask(struct spark_child *child, const struct buf *request,
			      struct json *ret_done, struct spark_fault *ret_fault, struct err *err)
{
	enum err_code code = child->failed.code;
	bool interrupted;

	*ret_fault = (struct spark_fault){ 0 };
	if (code != ERR_OK) {
		*err = child->failed;
		return code;
	}
	spark_child_set_busy(child, true);
	if (child->asked_ms == 0)
		code = spark_child_greet(child, err);
	if (code == ERR_OK)
		code = spark_child_exchange(child, request, ret_done, ret_fault, err);
	interrupted = spark_child_interrupted(child);
	spark_child_set_busy(child, false);
	if (code == ERR_STOPPED && !interrupted)
		code = err->code = ERR_BUSY; /* somebody else did */
	else if (code != ERR_OK && interrupted)
		code = err_set(err, ERR_STOPPED, "interrupted");
	return code;
}

/* --- the end --------------------------------------------------------------------- */

void spark_child_free(struct spark_child *child)
{
	struct pollfd ended;

	if (!child)
		return;
	ended = (struct pollfd){ .fd = child->pid_fd, .events = POLLIN };
	if (child->fd >= 0 && spark_child_send(child, slice_str("{\"do\": \"end\"}\n")) == ERR_OK)
		(void)poll(&ended, 1, LEAVE_MS);
	spark_child_kill(child);
	spark_child_close_fd(&child->fd);
	spark_child_close_fd(&child->listen_fd);
	spark_child_close_fd(&child->pid_fd);
	spark_child_close_fd(&child->wake_fd);
	spark_child_close_fd(&child->output_fd);
	json_parser_free(child->parser);
	buf_release(&child->in);
	buf_release(&child->secrets);
	(void)pthread_mutex_destroy(&child->lock);
	free((void *)(uintptr_t)child->options.functions);
	free((void *)(uintptr_t)child->options.exchange);
	free(child);
}
