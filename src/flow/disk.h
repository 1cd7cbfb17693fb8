/* disk.h - how much room a disk has left, for who shows it. */
#ifndef FLOW_DISK_H
#define FLOW_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct disk_room {
	uint64_t free_bytes; /* to who is not root */
	uint64_t bytes;
	uint64_t free_inodes;
	uint64_t inodes; /* 0: it makes them as it needs them */
};

/* Of the disk that has the directory. False: it cannot be asked. */
bool disk_room(const char *dir, struct disk_room *ret);

#endif
