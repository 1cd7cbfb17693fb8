/*
 * process.h - child processes that run this same program.
 *
 * A child has a process group of its own, so a Ctrl-C of the terminal reaches
 * only the parent, which decides in which order its children end; and it gets
 * SIGTERM if the parent dies, so nothing is left running.
 *
 * Ownership: the caller's storage. Threads: one thread, the one that starts them.
 */
#ifndef FLOW_PROCESS_H
#define FLOW_PROCESS_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

enum { PROCESS_ARGS_MAX = 32 };

enum process_stdout {
	PROCESS_STDOUT_OURS,
	PROCESS_STDOUT_PIPE,	/* comes to out_fd */
	PROCESS_STDOUT_NONE,
};

struct process {
	pid_t pid;		/* 0: not running */
	int out_fd;		/* its stdout, or -1 where it goes to ours */
	int said_fd;		/* its stderr where that was wished; the caller's to close */
	int status;		/* exit status once ended; 128 + n for a signal */
};

/* `args` without the program's name, NULL at the end. */
MUST_USE enum err_code process_start(struct process *process, const char *const *args,
				     enum process_stdout out, struct err *err);
struct process_options {
	const char *const *args; /* as those of process_start() */
	enum process_stdout out;
	bool say;     /* stderr is a pipe, too: said_fd */
	int in_fd;    /* what it reads, or -1: nothing is there */
	int nicer_by; /* it takes that much less of the machine than we do */
};

/* One that is not to be left alone with our terminal. */
MUST_USE enum err_code process_start_apart(struct process *process,
					   const struct process_options *options, struct err *err);
/* Has it ended? Never waits. Sets status. */
bool process_ended(struct process *process);
void process_signal(const struct process *process, int sig);
/* Waits up to timeout_ms (-1: without end); false: still running. */
bool process_wait(struct process *process, int64_t timeout_ms);
/* SIGTERM, and SIGKILL after timeout_ms. */
void process_stop(struct process *process, int64_t timeout_ms);

/* Reads stdout up to a line's end, without it. ERR_ABSENT: it ended before; ERR_TIMEOUT. */
MUST_USE enum err_code process_read_line(struct process *process, struct buf *line,
					 int64_t timeout_ms, struct err *err);
/* Reads stdout to its end into `out`, then waits for the end of the process. A stop that is asked
 * meanwhile is passed on to it. */
MUST_USE enum err_code process_read_all(struct process *process, struct buf *out, struct err *err);
/* With what code one that ended so is reported: that of the same exit status, or ERR_IO. */
enum err_code process_code_of(int status);
void process_release(struct process *process);

#endif
