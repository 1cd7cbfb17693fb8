/*
 * commits.h - how far a consumer group is, one small file a group:
 * DIR/log/groups/<group>.
 *
 * Informative: what decides is in the lake. Tools print it, and retention
 * spares what pinpipe's own groups have not read. For that a group says at once
 * which topics it wants, be they there or not, and commits its start in each
 * partition as soon as it gets it. Both are synced; later commits are not, so a
 * power cut may leave an older one or a damaged file. Of a group whose file is
 * damaged nothing is known; if it is pinpipe's own, retention spares everything
 * until the group has written it anew.
 *
 * Several processes may be members of one group. Each keeps what it knows itself and writes what
 * it has changed into what the file says then, under a lock (flock of groups/): a position goes
 * forward only, unless it was told to go back. Text:
 *	wants <log|stream> <topic, or * for every one>
 *	commit <log|stream> <topic uid, hex> <partition> <next position> <topic>
 *	crc <CRC-32C of all before this line, hex>
 *
 * Threads: one a group.
 */
#ifndef BROKER_LOCAL_COMMITS_H
#define BROKER_LOCAL_COMMITS_H

#include "broker/topics.h"

struct commit {
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
	uint64_t uid;
	int32_t partition;
	struct position next;		/* the first that is not done */

	/* Since it was last told: */
	bool changed;
	bool back; /* set to below what it was */
	bool gone; /* the topic is, and this is no commit any more */
};

struct wanted {
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
};

struct commits {
	struct commit *items;
	size_t count;
	struct wanted *wanted;		/* topics */
	size_t wanted_count;
	bool wants_changed;
};

void commits_init(struct commits *commits);
void commits_release(struct commits *commits);
void commits_set(struct commits *commits, struct topic_ref topic, uint64_t uid,
		 int32_t partition, struct position next);

/* The group wants these topics and no others; false: that was known. */
bool commits_want(struct commits *commits, const struct topic_ref *topics, size_t count);
/* NULL: none. */
const struct commit *commits_find(const struct commits *commits, uint64_t uid, int32_t partition);
bool commits_has(const struct commits *commits, uint64_t uid, int32_t partition);
/* The topic is gone: no commit in it is of interest any more. */
void commits_forget(struct commits *commits, struct topic_ref topic);
/* Of topics that are gone; no other will have their uids. False: there was nothing of such. */
bool commits_forget_gone(struct commits *commits, const struct topics *topics);

/* `dir_fd`: of DIR/log. Into `commits` that are empty, and stay so on an error. ERR_ABSENT: the
 * group has no file. ERR_CORRUPT: it is damaged; any other: what it says is not known. */
MUST_USE enum err_code commits_load(struct commits *commits, int dir_fd, const char *group,
				    struct err *err);
/* Tells what has changed; of a file that is missing or damaged, all. `durable`: on return a power
 * cut cannot undo it. On an error it is as if nothing was told. */
MUST_USE enum err_code commits_save(struct commits *commits, int dir_fd, const char *group,
				    bool durable, struct err *err);
/* Who has the directory of groups locked is the only one that writes in it, until *ret_fd is
 * closed. ERR_BUSY: another has it. */
MUST_USE enum err_code commits_lock(int dir_fd, int *ret_fd, struct err *err);
/* As commits_save(), for who has locked it. */
MUST_USE enum err_code commits_save_locked(struct commits *commits, int dir_fd, int lock_fd,
					   const char *group, bool durable, struct err *err);
/* `known` is false for a group whose file is damaged: then its commits are empty. */
typedef void commits_each_fn(void *user, const char *group, bool known,
			     const struct commits *commits);
/* Calls `each` for every group; false: there may be groups that it did not see. */
bool commits_walk(int dir_fd, commits_each_fn *each, void *user);

#endif
