#include "flow/process.h"

#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 20, READ_BYTES = 65536 };

/* What a child finds as its descriptors 0 to 2; -1: ours. */
struct process_fds {
	int child[3];
	int ours[3];
};

static void run_child(const char *const *args, const struct process_fds *fds, int nicer_by,
		      pid_t parent)
{
	const char *argv[PROCESS_ARGS_MAX + 2] = { "pinpipe" };
	sigset_t asks;

	for (size_t i = 0; args[i] && i < PROCESS_ARGS_MAX; i++)
		argv[i + 1] = args[i];
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);	/* the parent died before prctl() */
	/* Our handlers would take for us what is meant for the program to come. It waits for that
	 * one's (stop_init()): who is asked to end before it has begun still does what is to be
	 * done then. */
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)sigemptyset(&asks);
	(void)sigaddset(&asks, SIGINT);
	(void)sigaddset(&asks, SIGTERM);
	(void)sigprocmask(SIG_SETMASK, &asks, NULL);
	for (int fd = 0; fd < 3; fd++)
		if (fds->child[fd] >= 0)
			(void)dup2(fds->child[fd], fd);
	if (nicer_by)
		(void)!nice(nicer_by);
	(void)execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void process_close_fds(int fds[3])
{
	for (int fd = 0; fd < 3; fd++)
		if (fds[fd] >= 0)
			(void)close(fds[fd]);
}

static bool open_pipe(struct process_fds *fds, int fd)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	fds->ours[fd] = ends[0];
	fds->child[fd] = ends[1];
	return true;
}

static bool open_nothing(struct process_fds *fds, int fd, int flags)
{
	fds->child[fd] = open("/dev/null", flags | O_CLOEXEC);
	return fds->child[fd] >= 0;
}

static enum err_code process_open_fds(const struct process_options *options,
				      struct process_fds *fds, struct err *err)
{
	if (options->out == PROCESS_STDOUT_PIPE && !open_pipe(fds, STDOUT_FILENO))
		return err_errno(err, "could not make a pipe");
	if (options->say && !open_pipe(fds, STDERR_FILENO))
		return err_errno(err, "could not make a pipe");
	if (options->out == PROCESS_STDOUT_NONE && !open_nothing(fds, STDOUT_FILENO, O_WRONLY))
		return err_errno(err, "could not open /dev/null");
	return ERR_OK;
}

static enum err_code process_fork(struct process *process, const struct process_options *options,
				  const struct process_fds *fds, struct err *err)
{
	pid_t parent = getpid();
	sigset_t all, before;
	pid_t pid;

	(void)sigfillset(&all);		/* what comes meanwhile waits until run_child() can hear */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		run_child(options->args, fds, options->nicer_by, parent);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return err_errno(err, "could not start a process");
	*process = (struct process){
		.pid = pid,
		.out_fd = fds->ours[STDOUT_FILENO],
		.said_fd = fds->ours[STDERR_FILENO],
	};
	return ERR_OK;
}

static enum err_code process_begin(struct process *process, const struct process_options *options,
				   struct process_fds *fds, struct err *err)
{
	enum err_code code = process_open_fds(options, fds, err);

	if (code == ERR_OK)
		code = process_fork(process, options, fds, err);
	process_close_fds(fds->child);
	if (code != ERR_OK)
		process_close_fds(fds->ours);
	return code;
}

enum err_code process_start(struct process *process, const char *const *args,
			    enum process_stdout out, struct err *err)
{
	const struct process_options options = { .args = args, .out = out };
	struct process_fds fds = { { -1, -1, -1 }, { -1, -1, -1 } };

	return process_begin(process, &options, &fds, err);
}

enum err_code process_start_apart(struct process *process, const struct process_options *options,
				  struct err *err)
{
	struct process_fds fds = { { -1, -1, -1 }, { -1, -1, -1 } };

	if (options->in_fd >= 0)
		fds.child[STDIN_FILENO] = fcntl(options->in_fd, F_DUPFD_CLOEXEC, 3);
	else if (!open_nothing(&fds, STDIN_FILENO, O_RDONLY))
		return err_errno(err, "could not open /dev/null");
	return process_begin(process, options, &fds, err);
}

static void note_end(struct process *process, int status)
{
	process->pid = 0;
	process->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool process_ended(struct process *process)
{
	int status;

	if (process->pid && waitpid(process->pid, &status, WNOHANG) == process->pid)
		note_end(process, status);
	return process->pid == 0;
}

void process_signal(const struct process *process, int sig)
{
	if (process->pid)
		(void)kill(process->pid, sig);
}

bool process_wait(struct process *process, int64_t timeout_ms)
{
	int64_t end = clock_mono_ms() + timeout_ms;
	struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int status;

	if (timeout_ms < 0) {
		while (process->pid) {
			if (waitpid(process->pid, &status, 0) == process->pid)
				note_end(process, status);
			else if (errno != EINTR)
				break;
		}
		return true;
	}
	while (!process_ended(process)) {
		if (clock_mono_ms() >= end)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

void process_stop(struct process *process, int64_t timeout_ms)
{
	process_signal(process, SIGTERM);
	if (!process_wait(process, timeout_ms)) {
		process_signal(process, SIGKILL);
		(void)process_wait(process, -1);
	}
}

enum err_code process_read_line(struct process *process, struct buf *line, int64_t timeout_ms,
				struct err *err)
{
	int64_t end = clock_mono_ms() + timeout_ms;
	struct pollfd fd = { .fd = process->out_fd, .events = POLLIN };

	for (;;) {
		int64_t left = end - clock_mono_ms();
		char c;
		ssize_t n;

		if (left <= 0)
			return err_set(err, ERR_TIMEOUT, "no answer within %lld ms",
				       (long long)timeout_ms);
		if (poll(&fd, 1, (int)left) <= 0)
			continue;
		n = read(process->out_fd, &c, 1);
		if (n == 0)
			return err_set(err, ERR_ABSENT, "it ended");
		if (n == 1 && c == '\n')
			return ERR_OK;
		if (n == 1)
			buf_add_char(line, c);
	}
}

enum err_code process_read_all(struct process *process, struct buf *out, struct err *err)
{
	struct pollfd fds[] = { { .fd = process->out_fd, .events = POLLIN },
				{ .fd = stop_fd(), .events = POLLIN } };

	for (;;) {
		char *room = buf_room(out, READ_BYTES);
		ssize_t n;

		if (!room)
			return err_set(err, ERR_LIMIT, "a process printed more than %zu bytes",
				       out->max);
		if (poll(fds, ARRAY_LEN(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_errno(err, "could not wait for a process");
		}
		if (fds[1].revents) {	/* stays readable: passed on once */
			process_signal(process, SIGTERM);
			fds[1].fd = -1;
		}
		if (!fds[0].revents)
			continue;
		n = read(process->out_fd, room, READ_BYTES);
		if (n == 0)
			break;
		if (n > 0)
			buf_grew(out, (size_t)n);
		else if (errno != EINTR)
			return err_errno(err, "could not read from a process");
	}
	(void)process_wait(process, -1);
	return ERR_OK;
}

enum err_code process_code_of(int status)
{
	static const enum err_code codes[] = { ERR_SHAPE, ERR_USAGE, ERR_LOCKED, ERR_BUSY };

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (err_exit(codes[i]) == status)
			return codes[i];
	return ERR_IO;
}

void process_release(struct process *process)
{
	if (process->out_fd >= 0)
		(void)close(process->out_fd);
	process->out_fd = -1;
}
