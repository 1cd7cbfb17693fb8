/*
 * committer.h - the appends on their way to the disk: the open commit group, its
 * bounds, and who makes it durable.
 *
 * An append is copied into the open group and its caller goes on. The
 * committer's thread takes the group as soon as both are ready, has the journal
 * make it durable, and hands its appends to the completion in one call; what
 * arrives meanwhile is the next group. A small group is not ready while the
 * owner is corked, and where syncs are quick who uncorks commits it, which
 * spares both threads a wake-up. That one tries a single write: if it fails, the
 * rest (a segment to be read, another to be waited for) is the committer's.
 *
 * At most one thread is at the journal: `writing` says that somebody is.
 *
 * Threads: any, but for init, start and stop. Its lock is taken after the topics'
 * (committer_append), and is not held while the journal works.
 */
#ifndef BROKER_LOCAL_COMMITTER_H
#define BROKER_LOCAL_COMMITTER_H

#include "broker/local/journal.h"

#include <pthread.h>

struct committer_options {
	size_t inflight_bytes_max;
	size_t record_bytes_max;
	broker_done_fn *done;
	void *done_user;
};

struct committer {
	struct committer_options options;
	struct journal *journal;	/* borrowed; see `writing` */
	pthread_mutex_t lock;		/* of all below */
	struct commit_group groups[2];
	struct commit_group *open;	/* appends go here; the other one is being committed */
	struct commit_group *handed;	/* another thread's commit of it failed half way */
	struct chunk_pool pool;
	uint64_t serial;		/* of the open group */
	uint64_t committed;		/* serial of the last group that has ended */
	size_t inflight_bytes;		/* held for appends that have not ended */
	int64_t commit_us;		/* what a commit takes lately */
	bool corked;			/* more appends come: a small group waits for them */
	uint64_t due;			/* the group of this serial waits for no more */
	bool writing;			/* someone is at the journal */
	bool resting;			/* the thread waits for `work` */
	bool ending;
	bool started;
	pthread_t thread;
	pthread_cond_t work;
	pthread_cond_t ended;		/* `committed` has risen */
};

void committer_init(struct committer *committer, const struct committer_options *options);
/* The journal is open. */
MUST_USE enum err_code committer_start(struct committer *committer, struct journal *journal,
				       struct err *err);
/* Ends when all that was taken has ended. */
void committer_stop(struct committer *committer);
void committer_release(struct committer *committer);

/* Places and takes the append, see broker_ops.append; with the topics' lock held. */
MUST_USE enum err_code committer_append(struct committer *committer, struct topic *topic,
					struct append *append, struct err *err);
void committer_cork(struct committer *committer, bool corked);
/* ERR_BUSY: there is no room for that much now. */
MUST_USE enum err_code committer_ready(struct committer *committer, size_t bytes, struct err *err);
/* Waits until all that was taken before the call has ended; without the topics' lock. */
void committer_drain(struct committer *committer);

#endif
