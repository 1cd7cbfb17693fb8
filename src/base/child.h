/*
 * child.h - another program, started in a process group of its own, so that it ends with all that
 * it starts (kill(-pid, …)) and a Ctrl-C at the terminal is ours to pass on.
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <sys/types.h>

/* `program` is looked for in PATH unless it has a slash. It reads /dev/null and writes to the two
 * descriptors; no signal is blocked or ignored in it. 0, or an errno. */
int child_spawn(const char *program, char *const *argv, char *const *environment, int out_fd,
		int err_fd, pid_t *ret_pid);

#endif
