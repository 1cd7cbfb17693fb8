#include "base/beside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err_code beside_dir(char ret_dir[PATH_MAX], struct err *err)
{
	ssize_t len = readlink("/proc/self/exe", ret_dir, PATH_MAX - 1);

	if (len < 0)
		return err_errno(err, "could not find where this program is");
	ret_dir[len] = '\0';
	*strrchr(ret_dir, '/') = '\0';
	return ERR_OK;
}

enum err_code beside_find(const char *const *paths, char ret_path[PATH_MAX], struct err *err)
{
	char dir[PATH_MAX], path[2 * PATH_MAX];
	enum err_code code = beside_dir(dir, err);

	for (size_t i = 0; code == ERR_OK && paths[i]; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, paths[i]);
		if (access(path, R_OK) == 0 && realpath(path, ret_path))
			return ERR_OK;
	}
	return code == ERR_OK
		       ? err_set(err, ERR_ABSENT, "there is no \"%s\" beside \"%s\"", paths[0], dir)
		       : code;
}
