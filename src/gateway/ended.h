/*
 * ended.h - the page's sessions that were ended before their time: a copy of such a cookie lets
 * nobody in, not after a restart either. They are in the file page.ended of --dir, mode 0600:
 *
 *	ID UNTIL\n
 *
 * 16 hex digits each: the session's number, and when it would have ended by itself (seconds since
 * 1970); later it is left out. The ID 0 means all that end by then: where there is no room for one
 * more, the one that ends first gives way, and with it every session that is as old.
 *
 * Threads: any.
 */
#ifndef GATEWAY_ENDED_H
#define GATEWAY_ENDED_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENDED_NAME "page.ended"

enum { ENDED_MAX = 1024 };

struct ended {
	pthread_mutex_t writing; /* of the file; taken before the lock */
	pthread_mutex_t lock;
	/* Under the lock */
	struct {
		uint64_t id;
		int64_t until_s;
	} list[ENDED_MAX];
	size_t count;
	int64_t all_until_s;
	bool unkept; /* more than in the file */
};

void ended_init(struct ended *ended);
void ended_release(struct ended *ended);
void ended_add(struct ended *ended, uint64_t id, int64_t until_s);
bool ended_has(struct ended *ended, uint64_t id, int64_t until_s);
/* Whether a restart would forget none. */
bool ended_is_kept(struct ended *ended);
/* Adds those of the file, if there is one. */
MUST_USE enum err_code ended_load(struct ended *ended, const char *dir, struct err *err);
/* Writes the file, which lasts; others who write it at that moment may lose one. */
MUST_USE enum err_code ended_keep(struct ended *ended, const char *dir, int64_t now_s,
				  struct err *err);

#endif
