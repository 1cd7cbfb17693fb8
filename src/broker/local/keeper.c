#include "broker/local/keeper.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { ROUND_MS = 200, RETENTION_MS = 1000, INODES_SHARE = 100 };

/* What is low, or NULL. A lake beside the log is made of small files, so the file system may run
 * out of inodes first; one that makes them as it goes reports none. */
static const char *what_is_low(const struct keeper *keeper)
{
	struct statvfs vfs;

	if (keeper->reserve_bytes == 0 || fstatvfs(keeper->dir_fd, &vfs) < 0)
		return NULL;
	if ((uint64_t)vfs.f_bavail * vfs.f_frsize < keeper->reserve_bytes)
		return "disk space is at its reserve";
	if (vfs.f_files > 0 && vfs.f_favail < vfs.f_files / INODES_SHARE)
		return "inodes of the disk are at their reserve: too many files";
	return NULL;
}

/* What appends are told, of the two things that can be wrong. Under the lock. */
static void set_refusal(struct keeper *keeper, const char *low)
{
	enum err_code code = ERR_OK, old = atomic_load(&keeper->refusal);

	if (keeper->stuck || keeper->broken)
		code = keeper->failure.code == ERR_SPACE ? ERR_SPACE : ERR_BUSY;
	else if (low)
		code = ERR_SPACE;
	if (code == old)
		return;
	atomic_store(&keeper->refusal, code);
	if (code == ERR_OK)
		trace_info("the log takes records again");
	else
		trace_error("the log takes no records: %s",
			    keeper->stuck || keeper->broken ? keeper->failure.msg : low);
}

/* Called and returns with the lock, which it gives up meanwhile. */
static void make_segment(struct keeper *keeper)
{
	struct segment_header want = keeper->want;
	struct segment segment = { .fd = -1 };
	struct err err = { 0 };
	enum err_code code;

	(void)pthread_mutex_unlock(&keeper->lock);
	code = segment_create(keeper->dir_fd, &want, &segment, &err);
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->failed = code != ERR_OK;
	if (code == ERR_OK) {
		keeper->ready = segment;
		keeper->wanted = false;
		keeper->stuck = false;
	} else {
		keeper->failure = err;
	}
	(void)pthread_cond_broadcast(&keeper->changed);
}

static void wait_round(struct keeper *keeper)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ROUND_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&keeper->changed, &keeper->lock, &until);
}

/* As make_segment; readers can do without, so a failure is no more than a word. */
static void make_index(struct keeper *keeper)
{
	uint64_t watermark = keeper->complete_watermark;
	struct index index = keeper->complete;
	struct err err = { 0 };

	index_init(&keeper->complete, 0);
	(void)pthread_mutex_unlock(&keeper->lock);
	if (index_make(&index, keeper->dir_fd, watermark, &err) != ERR_OK)
		trace_warn("%s", err.msg);
	index_release(&index);
	(void)pthread_mutex_lock(&keeper->lock);
}

static void *keeper_run(void *arg)
{
	struct keeper *keeper = arg;
	int64_t next_retention_ms = clock_mono_ms() + RETENTION_MS;

	(void)pthread_mutex_lock(&keeper->lock);
	while (!keeper->ending) {
		const char *low;

		if (keeper->wanted)
			make_segment(keeper);
		if (keeper->complete.base)
			make_index(keeper);
		(void)pthread_mutex_unlock(&keeper->lock);
		if (keeper->retention && clock_mono_ms() >= next_retention_ms) {
			retention_apply(keeper->retention);
			next_retention_ms = clock_mono_ms() + RETENTION_MS;
		}
		low = what_is_low(keeper);
		(void)pthread_mutex_lock(&keeper->lock);
		set_refusal(keeper, low);
		if (!keeper->ending && !keeper->complete.base &&
		    (!keeper->wanted || keeper->failed))
			wait_round(keeper);
	}
	(void)pthread_mutex_unlock(&keeper->lock);
	return NULL;
}

enum err_code keeper_start(struct keeper *keeper, int dir_fd, uint64_t reserve_bytes,
			   struct retention *retention, struct err *err)
{
	pthread_condattr_t attr;

	*keeper = (struct keeper){ .dir_fd = dir_fd,
				   .reserve_bytes = reserve_bytes,
				   .retention = retention,
				   .ready = { .fd = -1 } };
	(void)pthread_mutex_init(&keeper->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&keeper->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	errno = pthread_create(&keeper->thread, NULL, keeper_run, keeper);
	if (errno != 0)
		return err_errno(err, "could not start the log's housekeeping");
	keeper->started = true;
	return ERR_OK;
}

void keeper_stop(struct keeper *keeper)
{
	if (!keeper->started)
		return;
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->ending = true;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
	(void)pthread_join(keeper->thread, NULL);
	segment_close(&keeper->ready);
	index_release(&keeper->complete);
	(void)pthread_cond_destroy(&keeper->changed);
	(void)pthread_mutex_destroy(&keeper->lock);
	keeper->started = false;
}

void keeper_want(struct keeper *keeper, const struct segment_header *header)
{
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->want = *header;
	keeper->wanted = true;
	keeper->failed = false;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
}

enum err_code keeper_take(struct keeper *keeper, struct segment *ret_segment, struct err *err)
{
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&keeper->lock);
	while (keeper->ready.fd < 0 && !keeper->failed)
		(void)pthread_cond_wait(&keeper->changed, &keeper->lock);
	if (keeper->ready.fd >= 0) {
		*ret_segment = keeper->ready;
		keeper->ready.fd = -1;
	} else {
		*err = keeper->failure;
		code = keeper->failure.code;
		keeper->stuck = true;
		set_refusal(keeper, NULL);
	}
	(void)pthread_mutex_unlock(&keeper->lock);
	return code;
}

void keeper_set_broken(struct keeper *keeper, const struct err *why)
{
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->broken = why != NULL;
	if (why)
		keeper->failure = *why;
	set_refusal(keeper, NULL);
	(void)pthread_mutex_unlock(&keeper->lock);
}

void keeper_complete(struct keeper *keeper, struct index *index, uint64_t watermark)
{
	(void)pthread_mutex_lock(&keeper->lock);
	index_release(&keeper->complete); /* readers can do without its file */
	keeper->complete = *index;
	index_init(index, 0);
	keeper->complete_watermark = watermark;
	(void)pthread_cond_broadcast(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
}

enum err_code keeper_refusal(struct keeper *keeper, struct err *err)
{
	enum err_code code = atomic_load(&keeper->refusal);

	if (code == ERR_OK)
		return ERR_OK;
	if (code == ERR_SPACE)
		return err_set(err, code, "no disk space is left for the log");
	return err_set(err, code, "the log cannot be written at present");
}
