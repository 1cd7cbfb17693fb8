/*
 * up_first.h - what would make every start of a child fail, for a reason of this machine, is told
 * before `up` starts any: a port that is taken, a lake that cannot be made, models that are none,
 * another `up` on the directory. Then nothing has been made, either.
 *
 * What is elsewhere (a bucket, a cluster, a database) may come: its users ask again.
 *
 * Threads: the caller's.
 */
#ifndef CMD_UP_FIRST_H
#define CMD_UP_FIRST_H

#include "base/config.h"
#include "flow/schedule.h"

/* ERR_OK: *ret_lock is held, or untouched while another `up` has it that is taken over from, and
 * `schedule` begun where there is one. */
MUST_USE enum err_code up_first(const struct config *config, int *ret_lock,
				struct schedule *schedule, struct err *err);
/* "http://127.0.0.1:8082", of the gateway that listens for this directory; "": there is none.
 * `pid`: of that process alone; 0: of any. */
void up_address(const char *dir, int64_t pid, struct buf *out);

#endif
