/*
 * members.h - who reads in a group, in whatever process: DIR/log/groups/.<group>.members
 *
 * A file of slots, MEMBER_BYTES each, for as many members as there were at once.
 * A member has its slot locked, by an open file description, so that the kernel
 * lets go of it however the process ends; what an unlocked slot says is of the
 * past. Text, filled up with zeros:
 *	<process id> <host>
 *
 * Who joins has the groups' lock meanwhile (commits.h): while another holds that,
 * nobody comes.
 *
 * Threads: any.
 */
#ifndef BROKER_LOCAL_MEMBERS_H
#define BROKER_LOCAL_MEMBERS_H

#include "base/err.h"
#include "broker/group_info.h"

enum { MEMBER_BYTES = 128, MEMBERS_MAX = 4096 };

/* `dir_fd`: of DIR/log, as in the others. While *ret_fd is open this is a member. ERR_LIMIT: there
 * are MEMBERS_MAX. */
MUST_USE enum err_code members_join(int dir_fd, const char *group, int *ret_fd, struct err *err);
/* Adds who is there now. */
MUST_USE enum err_code members_list(int dir_fd, const char *group, struct group_info *info,
				    struct err *err);

#endif
