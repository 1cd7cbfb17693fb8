#include "base/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static void child_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, ignored;

	(void)sigemptyset(&none);
	(void)sigemptyset(&ignored);
	(void)sigaddset(&ignored, SIGPIPE);
	(void)posix_spawnattr_init(attributes);
	(void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
							   POSIX_SPAWN_SETSIGMASK);
	(void)posix_spawnattr_setpgroup(attributes, 0);
	(void)posix_spawnattr_setsigdefault(attributes, &ignored);
	(void)posix_spawnattr_setsigmask(attributes, &none);
}

int child_spawn(const char *program, char *const *argv, char *const *environment, int out_fd,
		int err_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int sys;

	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	(void)posix_spawn_file_actions_adddup2(&actions, err_fd, STDERR_FILENO);
	child_attributes(&attributes);
	sys = posix_spawnp(ret_pid, program, &actions, &attributes, argv, environment);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return sys;
}
