#include "broker/local/committer.h"

#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "broker/partitioner.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

enum {
	REST_MS = 500,		    /* without an append, then the end is marked */
	CORK_BYTES_MAX = 32 * 1024, /* with as many, a sync costs little a record */
	QUICK_US = 500,		    /* a commit that is worth no change of thread */
	COMMITS_SEEN = 8,	    /* by `commit_us` */
};

static void committer_hold(struct committer *c) { (void)pthread_mutex_lock(&c->lock); }

static void committer_let_go(struct committer *c) { (void)pthread_mutex_unlock(&c->lock); }

void committer_init(struct committer *committer, const struct committer_options *options)
{
	pthread_condattr_t attr;

	*committer = (struct committer){
		.options = *options,
		.open = &committer->groups[0],
		.serial = 1,
		.commit_us = 2 * QUICK_US, /* not known yet */
	};
	for (size_t i = 0; i < ARRAY_LEN(committer->groups); i++)
		commit_group_init(&committer->groups[i]);
	committer->open->serial = committer->serial;
	(void)pthread_mutex_init(&committer->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&committer->work, &attr);
	(void)pthread_cond_init(&committer->ended, &attr);
	(void)pthread_condattr_destroy(&attr);
}

void committer_release(struct committer *committer)
{
	for (size_t i = 0; i < ARRAY_LEN(committer->groups); i++)
		commit_group_release(&committer->groups[i]);
	chunk_pool_release(&committer->pool);
	(void)pthread_cond_destroy(&committer->work);
	(void)pthread_cond_destroy(&committer->ended);
	(void)pthread_mutex_destroy(&committer->lock);
}

/* With the lock. */
static bool group_is_ready(const struct committer *committer)
{
	const struct commit_group *group = committer->open;

	return group->first && (!committer->corked || group->bytes >= CORK_BYTES_MAX ||
				committer->serial <= committer->due);
}

/* With the lock; true: the caller signals `work` once it has let go. */
static bool end_rest(struct committer *committer)
{
	bool wake = committer->resting && (committer->handed || group_is_ready(committer));

	if (wake)
		committer->resting = false;
	return wake;
}

void committer_drain(struct committer *committer)
{
	uint64_t last;

	committer_hold(committer);
	last = committer->open->first ? committer->serial : committer->serial - 1;
	committer->due = last; /* who corked may itself be waiting for us */
	if (end_rest(committer))
		(void)pthread_cond_signal(&committer->work);
	while (committer->committed < last)
		(void)pthread_cond_wait(&committer->ended, &committer->lock);
	committer_let_go(committer);
}

/* With the lock. What is held may be a little over the bound: chunks are not shared. */
static enum err_code check_room(const struct committer *committer, size_t bytes, struct err *err)
{
	size_t max = committer->options.inflight_bytes_max;

	if (bytes > max)
		return err_set(err, ERR_LIMIT, "records that hold %zu bytes are over the maximum"
			       " of %zu", bytes, max);
	if (committer->inflight_bytes > max - bytes) {
		metric_add(METRIC_APPEND_BUSY, 1);
		return err_set(err, ERR_BUSY, "too many records are waiting for the disk");
	}
	return ERR_OK;
}

enum err_code committer_append(struct committer *committer, struct topic *topic,
			       struct append *append, struct err *err)
{
	size_t cost = commit_group_cost(append);
	enum err_code code;
	bool wake = false;

	committer_hold(committer);
	code = check_room(committer, cost, err);
	if (code == ERR_OK)
		code = partitioner_place(topic, append, committer->options.record_bytes_max, err);
	if (code == ERR_OK) {
		size_t before = committer->open->held;

		commit_group_add(committer->open, &committer->pool, topic, append);
		committer->inflight_bytes += committer->open->held - before;
		wake = end_rest(committer);
	}
	committer_let_go(committer);
	if (wake)
		(void)pthread_cond_signal(&committer->work);
	return code;
}

/* What is too large in itself is for the append to tell. */
enum err_code committer_ready(struct committer *committer, size_t bytes, struct err *err)
{
	enum err_code code = ERR_OK;

	if (bytes > committer->options.inflight_bytes_max)
		return ERR_OK;
	committer_hold(committer);
	code = check_room(committer, bytes, err);
	committer_let_go(committer);
	return code;
}

static void count_records(const struct commit_group *group, int64_t took_us)
{
	int64_t durable = 0, lost = 0;

	for (size_t i = 0; i < group->lane_count; i++) {
		durable += group->lanes[i].durable;
		lost += group->lanes[i].count - group->lanes[i].durable;
	}
	metric_add(METRIC_RECORDS, durable);
	metric_add(METRIC_APPEND_FAILED, lost);
	if (lost == 0)
		metric_add(METRIC_RECORD_BYTES,
			   (int64_t)group->bytes - durable * RECORD_HEADER_BYTES);
	metric_add(METRIC_COMMITS, 1);
	metric_add(METRIC_COMMIT_US, took_us);
	histogram_note(HISTOGRAM_COMMIT, took_us);
}

/* Takes the open group, opens the other. With the lock. */
static struct commit_group *committer_take_open(struct committer *committer)
{
	struct commit_group *group = committer->open;

	assert(!committer->handed);
	committer->open = group == &committer->groups[0] ? &committer->groups[1]
							 : &committer->groups[0];
	commit_group_reset(committer->open, &committer->pool, ++committer->serial);
	return group;
}

/* The group is as durable as it gets: tells its appends. With the lock, which it gives up. */
static void end_group(struct committer *committer, struct commit_group *group, int64_t took_us)
{
	committer_let_go(committer);
	commit_group_finish(group);
	count_records(group, took_us);
	committer->options.done(committer->options.done_user, group->first);
	committer_hold(committer);
	committer->commit_us += (took_us - committer->commit_us) / COMMITS_SEEN;
	committer->inflight_bytes -= group->held;
	committer->committed = group->serial;
	commit_group_reset(group, &committer->pool, 0);
	(void)pthread_cond_broadcast(&committer->ended);
}

/*
 * Makes the group that another thread could not, or the open one, durable. With the lock.
 * `only_try`: if it comes to more than a write and a sync, it is handed to the committer.
 */
static void commit_one(struct committer *committer, bool only_try)
{
	struct commit_group *group = committer->handed;
	int64_t began_us, took_us;
	bool done = true;

	assert(!committer->writing);
	if (!group)
		group = committer_take_open(committer);
	committer->handed = NULL;
	committer->writing = true;
	committer_let_go(committer);
	began_us = clock_mono_us();
	if (only_try)
		done = journal_try(committer->journal, group);
	else
		journal_commit(committer->journal, group);
	took_us = clock_mono_us() - began_us;
	committer_hold(committer);
	if (done)
		end_group(committer, group, took_us);
	else
		committer->handed = group;
	committer->writing = false;
}

/* Without an append for a while, the end is marked. With the lock. */
static void wait_for_work(struct committer *committer)
{
	uint64_t serial = committer->serial;
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += REST_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	committer->resting = true;
	if (pthread_cond_timedwait(&committer->work, &committer->lock, &until) == ETIMEDOUT &&
	    !committer->writing && !committer->handed && !committer->open->first &&
	    serial == committer->serial) {
		committer->writing = true;
		committer_let_go(committer);
		journal_rest(committer->journal);
		committer_hold(committer);
		committer->writing = false;
	}
	committer->resting = false;
}

static bool has_work(const struct committer *committer)
{
	return committer->handed || group_is_ready(committer) ||
	       (committer->ending && committer->open->first);
}

static void *committer_run(void *arg)
{
	struct committer *committer = arg;

	committer_hold(committer);
	while (committer->open->first || committer->handed || committer->writing ||
	       !committer->ending) {
		if (committer->writing || !has_work(committer))
			wait_for_work(committer);
		else
			commit_one(committer, false);
	}
	committer_let_go(committer);
	return NULL;
}

/*
 * Whether who uncorks had better commit what it has appended itself: it is little, the committer
 * sleeps, and it takes no longer than to wake that up and be woken by it. With the lock.
 */
static bool commit_is_quick(const struct committer *committer)
{
	const struct commit_group *group = committer->open;

	return committer->resting && !committer->writing && !committer->handed && group->first &&
	       group->bytes < CORK_BYTES_MAX && committer->commit_us < QUICK_US &&
	       journal_has_room(committer->journal, group);
}

void committer_cork(struct committer *committer, bool corked)
{
	bool wake;

	committer_hold(committer);
	committer->corked = corked;
	if (!corked && commit_is_quick(committer))
		commit_one(committer, true);
	wake = end_rest(committer);
	committer_let_go(committer);
	if (wake)
		(void)pthread_cond_signal(&committer->work);
}

enum err_code committer_start(struct committer *committer, struct journal *journal,
			      struct err *err)
{
	committer->journal = journal;
	errno = pthread_create(&committer->thread, NULL, committer_run, committer);
	if (errno != 0)
		return err_errno(err, "could not start the log's committer");
	committer->started = true;
	return ERR_OK;
}

void committer_stop(struct committer *committer)
{
	if (!committer->started)
		return;
	committer_hold(committer);
	committer->ending = true;
	(void)pthread_cond_signal(&committer->work);
	committer_let_go(committer);
	(void)pthread_join(committer->thread, NULL);
	committer->started = false;
}
