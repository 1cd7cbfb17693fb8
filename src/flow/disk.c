#include "flow/disk.h"

#include <sys/statvfs.h>

bool disk_room(const char *dir, struct disk_room *ret)
{
	struct statvfs fs;

	if (statvfs(dir, &fs) < 0)
		return false;
	*ret = (struct disk_room){
		.free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize,
		.bytes = (uint64_t)fs.f_blocks * fs.f_frsize,
		.free_inodes = fs.f_favail,
		.inodes = fs.f_files,
	};
	return true;
}
