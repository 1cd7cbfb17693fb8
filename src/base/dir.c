#include "base/dir.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* `made`: an entry of it is new, so it must work. */
static enum err_code sync_entries(const char *path, bool made, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err_code code = ERR_OK;

	if (fd < 0 && errno == EACCES && !made)
		return ERR_OK;
	if (fd < 0 || fsync(fd) < 0)
		code = err_errno(err, "could not sync directory \"%s\"", path);
	if (fd >= 0)
		(void)close(fd);
	return code;
}

enum err_code dir_make(const char *path, mode_t mode, struct err *err)
{
	char *parent = xstrdup(path);
	char *slash = strrchr(parent, '/');
	bool missing = access(path, F_OK) < 0;
	enum err_code code = ERR_OK;

	if (slash)
		slash[slash == parent] = '\0';
	if (missing && slash && slash != parent)
		code = dir_make(parent, mode, err);
	if (code == ERR_OK && missing && mkdir(path, mode) < 0 && errno != EEXIST)
		code = err_errno(err, "could not make directory \"%s\"", path);
	if (code == ERR_OK)
		code = sync_entries(slash ? parent : ".", missing, err);
	free(parent);
	return code;
}
