#include "engine/spills.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "duckdb-"

static void spills_remove(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL; )
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	(void)closedir(dir);
	(void)rmdir(path);
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
static void spills_sweep(const char *temp_dir)
{
	DIR *dir = opendir(temp_dir);

	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL; ) {
		char path[PATH_MAX];
		int fd;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
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

void spills_open(const char *temp_dir, struct spills *spills)
{
	spills->lock_fd = -1;
	spills_sweep(temp_dir);
	for (unsigned n = 0; spills->lock_fd < 0; n++) {
		(void)snprintf(spills->path, sizeof(spills->path), "%s/" PREFIX "%d-%u", temp_dir,
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
