#include "broker/local/members.h"

#include "broker/local/commits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEMBERS_PATH_BYTES = TOPIC_NAME_MAX + 32, HOST_BYTES = 64 };

static int members_open(int dir_fd, const char *group, int flags)
{
	char path[MEMBERS_PATH_BYTES];

	(void)snprintf(path, sizeof(path), "groups/.%s.members", group);
	return openat(dir_fd, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static struct flock slot_lock(int slot)
{
	return (struct flock){ .l_type = F_WRLCK,
			       .l_whence = SEEK_SET,
			       .l_start = (off_t)slot * MEMBER_BYTES,
			       .l_len = MEMBER_BYTES };
}

/* The first that nobody has. */
static enum err_code take_slot(int fd, int *ret_slot, struct err *err)
{
	for (int slot = 0; slot < MEMBERS_MAX; slot++) {
		struct flock lock = slot_lock(slot);

		if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
			*ret_slot = slot;
			return ERR_OK;
		}
		if (errno != EAGAIN && errno != EACCES)
			return err_errno(err, "could not lock a place among the members");
	}
	return err_set(err, ERR_LIMIT, "it has %d members already", MEMBERS_MAX);
}

static enum err_code fill_slot(int fd, int slot, struct err *err)
{
	char text[MEMBER_BYTES] = { 0 }, host[HOST_BYTES] = { 0 };

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	(void)snprintf(text, sizeof(text), "%ld %s", (long)getpid(), host);
	if (pwrite(fd, text, sizeof(text), (off_t)slot * MEMBER_BYTES) != sizeof(text))
		return err_errno(err, "could not write who the member is");
	return ERR_OK;
}

enum err_code members_join(int dir_fd, const char *group, int *ret_fd, struct err *err)
{
	int groups_fd, fd = -1, slot;
	enum err_code code = commits_lock(dir_fd, &groups_fd, err);

	if (code != ERR_OK)
		return code;
	fd = members_open(dir_fd, group, O_RDWR | O_CREAT);
	if (fd < 0)
		code = err_errno(err, "could not open the members");
	if (code == ERR_OK)
		code = take_slot(fd, &slot, err);
	if (code == ERR_OK)
		code = fill_slot(fd, slot, err);
	(void)close(groups_fd);
	if (code == ERR_OK)
		*ret_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	return code == ERR_OK ? code : err_prefix(err, "group \"%s\"", group);
}

/* Who has it says who it is, or is about to. */
static void add_slot(int fd, int slot, struct group_info *info)
{
	char text[MEMBER_BYTES + 1] = { 0 }, host[HOST_BYTES] = { 0 }, id[64], client[64];
	long pid = 0;

	(void)!pread(fd, text, MEMBER_BYTES, (off_t)slot * MEMBER_BYTES);
	(void)sscanf(text, "%ld %63s", &pid, host);
	(void)snprintf(id, sizeof(id), "pinpipe-%ld-%d", pid, slot);
	(void)snprintf(client, sizeof(client), "process %ld", pid);
	(void)group_info_add_member(info, id, client, host);
	info->state = GROUP_STABLE;
}

enum err_code members_list(int dir_fd, const char *group, struct group_info *info, struct err *err)
{
	int fd = members_open(dir_fd, group, O_RDONLY);
	enum err_code code = ERR_OK;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return ERR_OK;
	if (fd < 0 || fstat(fd, &st) < 0)
		code = err_errno(err, "could not read the members of group \"%s\"", group);
	for (int slot = 0; code == ERR_OK && slot < st.st_size / MEMBER_BYTES; slot++) {
		struct flock lock = slot_lock(slot);

		if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
			code = err_errno(err, "could not ask for the members of group \"%s\"",
					 group);
		else if (lock.l_type != F_UNLCK)
			add_slot(fd, slot, info);
	}
	if (fd >= 0)
		(void)close(fd);
	return code;
}
