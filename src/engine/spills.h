/*
 * spills.h - a directory for what one engine spills to the disk.
 *
 * Its owner holds a lock on it for as long as it is open, which ends with the
 * process however it ends. A process id would not do: a number of another
 * container is as good as dead here. What has no owner is removed by the next one
 * that is opened beside it.
 */
#ifndef ENGINE_SPILLS_H
#define ENGINE_SPILLS_H

#include <limits.h>

struct spills {
	int lock_fd;		/* -1: none could be made, as on a file system that is read-only */
	char path[PATH_MAX];	/* a name for one in any case */
};

/* "<temp_dir>/<who>-<process id>-<n>" */
void spills_open(const char *temp_dir, const char *who, struct spills *spills);
/* What has this name in it, a file or a directory with all that is below it; or nothing has. */
void spills_drop(const struct spills *spills, const char *name);
/* All that is in it goes, too. Accepts a zeroed one. */
void spills_close(struct spills *spills);

#endif
