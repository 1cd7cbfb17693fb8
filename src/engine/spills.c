#include "engine/spills.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPILLS_DEPTH_MAX = 8 }; /* of directories; Spark makes a few */

static void spills_remove_at(int at, const char *name, int depth)
{
	int fd = -1;
	DIR *dir;

	if (unlinkat(at, name, 0) == 0 || depth == 0)
		return;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir)) != NULL; )
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			spills_remove_at(fd, entry->d_name, depth - 1);
	(void)closedir(dir);
	(void)unlinkat(at, name, AT_REMOVEDIR);
}

static void spills_remove(const char *path) { spills_remove_at(AT_FDCWD, path, SPILLS_DEPTH_MAX); }

void spills_drop(const struct spills *spills, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", spills->path, name) < (int)sizeof(path))
		spills_remove(path);
}

/* -1: not there, or not ours to have. */
static int lock_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat ours, there;

	if (fd < 0)
		return -1;
	/* Whoever removes one has its lock, so one that is locked and gone was just removed. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &ours) == 0 &&
	    lstat(path, &there) == 0 && ours.st_ino == there.st_ino)
		return fd;
	(void)close(fd);
	return -1;
}

/* What engines that were killed had spilled. */
static void spills_sweep(const char *temp_dir, const char *who)
{
	DIR *dir = opendir(temp_dir);
	size_t len = strlen(who);

	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL; ) {
		char path[PATH_MAX];
		int fd;

		if (strncmp(entry->d_name, who, len) != 0 || entry->d_name[len] != '-' ||
		    snprintf(path, sizeof(path), "%s/%s", temp_dir, entry->d_name) >=
			    (int)sizeof(path))
			continue;
		fd = lock_dir(path);
		if (fd < 0)
			continue;
		spills_remove(path);
		(void)close(fd);
	}
	(void)closedir(dir);
}

void spills_open(const char *temp_dir, const char *who, struct spills *spills)
{
	spills->lock_fd = -1;
	spills_sweep(temp_dir, who);
	for (unsigned n = 0; spills->lock_fd < 0; n++) {
		(void)snprintf(spills->path, sizeof(spills->path), "%s/%s-%d-%u", temp_dir, who,
			       (int)getpid(), n);
		if (mkdir(spills->path, 0700) == 0)
			spills->lock_fd = lock_dir(spills->path);
		else if (errno != EEXIST)
			return;
	}
}

void spills_close(struct spills *spills)
{
	if (!spills->path[0] || spills->lock_fd < 0)
		return;
	spills_remove(spills->path);
	(void)close(spills->lock_fd);
	spills->lock_fd = -1;
}
