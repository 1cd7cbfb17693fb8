/* aws_process.c - keys that a command prints. */
#include "net/aws_source.h"

#include "base/child.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AWS_PROCESS_MS = 60000, AWS_PROCESS_BYTES_MAX = 64 << 10, AWS_PROCESS_SAID = 160 };

#define AWS_PROCESS "credential_process"

/* Ctrl-C is for us, and we may need keys to drain. Its output goes into files in memory, so that
 * nothing it starts can keep us waiting. */
static enum err_code aws_process_start(const char *command, int out, int complaints,
				       pid_t *ret_pid, struct err *err)
{
	char shell[] = "/bin/sh", flag[] = "-c";
	char *copy = xstrdup(command);
	char *argv[] = { shell, flag, copy, NULL };
	int sys = child_spawn(shell, argv, environ, out, complaints, ret_pid);

	free(copy);
	errno = sys;
	return sys ? err_errno(err, AWS_PROCESS ": could not start it") : ERR_OK;
}

/* Its end, within AWS_PROCESS_MS; else it is killed. */
static enum err_code aws_process_wait(pid_t pid, int *ret_status, struct err *err)
{
	struct pollfd end = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	bool late = false;
	int ready;

	do
		ready = end.fd < 0 ? 1 : poll(&end, 1, AWS_PROCESS_MS);
	while (ready < 0 && errno == EINTR);
	if (ready == 0) {
		late = true;
		(void)kill(-pid, SIGKILL);
	}
	if (end.fd >= 0)
		(void)close(end.fd);
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, AWS_PROCESS);
	if (late)
		return err_set(err, ERR_BUSY, AWS_PROCESS ": it has not ended after %d s", AWS_PROCESS_MS / 1000);
	return ERR_OK;
}

/* The first line that it complained with. */
static void aws_process_complaint(int fd, char ret_text[AWS_PROCESS_SAID])
{
	int sys;
	size_t len = file_read_at(fd, ret_text, AWS_PROCESS_SAID - 1, 0, &sys);

	ret_text[len] = '\0';
	ret_text[strcspn(ret_text, "\r\n")] = '\0';
	for (char *c = ret_text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
}

static enum err_code aws_process_result(int out, int complaints, int status,
					struct aws_keys *ret_keys, struct err *err)
{
	char text[AWS_PROCESS_BYTES_MAX + 1];
	char complaint[AWS_PROCESS_SAID];
	enum err_code code;
	size_t len;
	int sys;

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		aws_process_complaint(complaints, complaint);
		return err_set(err, ERR_AUTH, AWS_PROCESS ": it ended with %s %d%s%s",
			       WIFEXITED(status) ? "status" : "signal",
			       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
			       complaint[0] ? ": " : "", complaint);
	}
	len = file_read_at(out, text, sizeof(text), 0, &sys);
	if (len > AWS_PROCESS_BYTES_MAX)
		return err_set(err, ERR_USAGE, AWS_PROCESS ": it printed too much");
	code = aws_keys_read_json(ret_keys, slice_of(text, len), "SessionToken", AWS_PROCESS, err);
	explicit_bzero(text, sizeof(text));
	return code;
}

enum err_code aws_process_read(const char *command, struct aws_keys *ret_keys, struct err *err)
{
	int out = memfd_create("keys", MFD_CLOEXEC);
	int complaints = memfd_create("complaints", MFD_CLOEXEC);
	enum err_code code = ERR_OK;
	int status = 0;
	pid_t pid;

	if (out < 0 || complaints < 0)
		code = err_errno(err, AWS_PROCESS);
	if (code == ERR_OK)
		code = aws_process_start(command, out, complaints, &pid, err);
	if (code == ERR_OK)
		code = aws_process_wait(pid, &status, err);
	if (code == ERR_OK)
		code = aws_process_result(out, complaints, status, ret_keys, err);
	if (out >= 0)
		(void)close(out);
	if (complaints >= 0)
		(void)close(complaints);
	return code;
}
