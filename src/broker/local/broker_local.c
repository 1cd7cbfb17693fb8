/*
 * broker_local.c - topics and streams in one durable journal in a directory.
 *
 * append() copies records into the open group and returns. The committer takes
 * the group as soon as both are ready, makes it durable, and hands its appends
 * to the completion in one call; what arrives meanwhile is the next group. A
 * small group is not ready while the broker is corked, and where syncs are quick
 * who uncorks commits it, which spares both threads a wake-up.
 */
#include "broker/local/broker_local.h"

#include "base/dir.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/local/catalog.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(offsetof(struct local_broker, base) == 0, "base must be first");

enum {
	SEGMENT_BYTES = 64 << 20,
	SEGMENT_BYTES_MIN = 1 << 20,
	FIRST_SEGMENT_BYTES = 4 << 20,
	INFLIGHT_BYTES_MAX = 64 << 20,
	RECORD_BYTES_MAX = 1 << 20,
	REST_MS = 500,		    /* without an append, then the end is marked */
	CORK_BYTES_MAX = 32 * 1024, /* with as many, a sync costs little a record */
	QUICK_US = 500,		    /* a commit that is worth no change of thread */
	COMMITS_SEEN = 8,	    /* by `commit_us` */
};

static void hold(struct local_broker *local) { (void)pthread_mutex_lock(&local->lock); }

static void let_go(struct local_broker *local) { (void)pthread_mutex_unlock(&local->lock); }

uint64_t local_watermark(const struct local_broker *local)
{
	uint64_t published = watermark_get(&local->watermark);

	return published > local->proven ? published : local->proven;
}

/* Topics. */

static enum err_code reload_topics(struct local_broker *local, struct err *err)
{
	uint32_t now = watermark_topics(&local->watermark);
	struct topics topics;
	enum err_code code;
	uint64_t log_id;

	if (now == local->topics_seen)
		return ERR_OK;
	topics_init(&topics);
	code = catalog_load(local->dir_fd, &topics, &log_id, err);
	if (code != ERR_OK)
		return code;
	topics_release(&local->topics);
	local->topics = topics;
	local->topics_seen = now;
	return ERR_OK;
}

enum err_code local_refresh(struct local_broker *local, struct err *err)
{
	enum err_code code;

	if (local->options.writer)
		return ERR_OK; /* it is kept up as things happen */
	code = reload_topics(local, err);
	if (code == ERR_OK)
		code = extent_read_first(&local->extent, err);
	if (code == ERR_OK)
		code = extent_read_next(&local->extent, local_watermark(local), err);
	if (code == ERR_OK)
		extent_apply(&local->extent, &local->topics);
	return code;
}

static enum err_code need_writer(const struct local_broker *local, struct err *err)
{
	if (local->options.writer)
		return ERR_OK;
	return err_set(err, ERR_UNSUPPORTED, "the log in \"%s\" was opened for reading only",
		       local->options.dir);
}

/* With the catalog's lock; the topics may not change meanwhile. ERR_UNKNOWN: as catalog_save(). */
static enum err_code save_topics(struct local_broker *local, struct err *err)
{
	enum err_code code = catalog_save(local->dir_fd, &local->topics, local->log_id, err);

	if (code == ERR_OK || code == ERR_UNKNOWN)
		watermark_ring(&local->watermark);
	return code;
}

static enum err_code local_create(struct broker *broker, struct topic_ref ref, int32_t partitions,
				  struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code = need_writer(local, err);
	struct topic *topic;

	if (code != ERR_OK)
		return code;
	(void)pthread_mutex_lock(&local->catalog_lock);
	hold(local);
	code = topics_create(&local->topics, ref, partitions, &topic, err);
	if (code == ERR_OK)
		topic->phase = TOPIC_COMING; /* no append before it is durable */
	let_go(local);
	if (code == ERR_OK) {
		code = save_topics(local, err);
		hold(local);
		if (code == ERR_OK)
			topic->phase = TOPIC_LIVE;
		else
			topics_drop(&local->topics, topic);
		let_go(local);
	}
	(void)pthread_mutex_unlock(&local->catalog_lock);
	return code;
}

/* With the lock. */
static bool group_is_ready(const struct local_broker *local)
{
	const struct group *group = local->open;

	return group->first &&
	       (!local->corked || group->bytes >= CORK_BYTES_MAX || local->serial <= local->due);
}

/* With the lock; true: the caller signals `work` once it has let go. */
static bool end_rest(struct local_broker *local)
{
	bool wake = local->resting && group_is_ready(local);

	if (wake)
		local->resting = false;
	return wake;
}

/* With the lock: waits until what was taken for the topic has ended. */
static void wait_for_appends(struct local_broker *local)
{
	uint64_t last = local->open->first ? local->serial : local->serial - 1;

	local->due = last; /* who corked may itself be waiting for the catalog's lock */
	if (end_rest(local))
		(void)pthread_cond_signal(&local->work);
	while (local->committed < last)
		(void)pthread_cond_wait(&local->ended, &local->lock);
}

static enum err_code local_remove(struct broker *broker, struct topic_ref ref, struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code = need_writer(local, err);
	struct topic *topic;

	if (code != ERR_OK)
		return code;
	(void)pthread_mutex_lock(&local->catalog_lock);
	hold(local);
	code = topics_get(&local->topics, ref, &topic, err);
	if (code == ERR_OK) {
		topic->phase = TOPIC_GOING;
		wait_for_appends(local);
		topics_leave_floor(&local->topics, topic);
	}
	let_go(local);
	if (code == ERR_OK) {
		code = save_topics(local, err);
		hold(local);
		/* Not known to be there for good, it must take no records. */
		if (code == ERR_OK || code == ERR_UNKNOWN)
			topics_drop(&local->topics, topic);
		else
			topic->phase = TOPIC_LIVE;
		let_go(local);
	}
	(void)pthread_mutex_unlock(&local->catalog_lock);
	return code;
}

static enum err_code local_describe(struct broker *broker, struct topic_ref ref,
				    struct topic_info *ret_info, struct err *err)
{
	struct local_broker *local = local_of(broker);
	struct topic *topic;
	enum err_code code;

	hold(local);
	code = local_refresh(local, err);
	if (code == ERR_OK)
		code = topics_get(&local->topics, ref, &topic, err);
	if (code == ERR_OK)
		topic_describe(topic, ret_info);
	let_go(local);
	return code;
}

static enum err_code local_list(struct broker *broker, enum topic_kind kind,
				bool (*each)(void *user, const char *name), void *user,
				struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code;

	hold(local);
	code = local->options.writer ? ERR_OK : reload_topics(local, err);
	if (code == ERR_OK)
		topics_list(&local->topics, kind, each, user);
	let_go(local);
	return code;
}

/* Appends. */

static enum err_code check_room(struct local_broker *local, size_t bytes, struct err *err)
{
	size_t max = local->options.inflight_bytes_max;

	if (bytes > max)
		return err_set(err, ERR_LIMIT, "%zu bytes of records are over the maximum of %zu",
			       bytes, max);
	if (bytes > max - local->inflight_bytes) {
		metric_add(METRIC_APPEND_BUSY, 1);
		return err_set(err, ERR_BUSY, "too many records are waiting for the disk");
	}
	return ERR_OK;
}

static enum err_code local_append(struct broker *broker, struct append *append, struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code = need_writer(local, err);
	struct topic *topic;
	size_t bytes = 0;
	bool wake = false;

	assert(append->count > 0);
	if (code == ERR_OK)
		code = keeper_refusal(&local->keeper, err);
	if (code != ERR_OK)
		return code;
	for (size_t i = 0; i < append->count; i++)
		bytes += append->records[i].key.len + append->records[i].value.len;
	hold(local);
	code = topics_get(&local->topics, append->topic, &topic, err);
	if (code == ERR_OK)
		code = check_room(local, bytes, err);
	if (code == ERR_OK)
		code = topic_place(topic, append, local->options.record_bytes_max, err);
	if (code == ERR_OK) {
		size_t before = local->open->bytes;

		group_add(local->open, &local->pool, topic, append);
		local->inflight_bytes += local->open->bytes - before;
		wake = end_rest(local);
	}
	let_go(local);
	if (wake)
		(void)pthread_cond_signal(&local->work);
	return code;
}

/* What is too large in itself is for the append to tell. */
static enum err_code local_ready(struct broker *broker, size_t bytes, struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code = need_writer(local, err);

	if (code == ERR_OK)
		code = keeper_refusal(&local->keeper, err);
	if (code == ERR_OK && bytes <= local->options.inflight_bytes_max) {
		hold(local);
		code = check_room(local, bytes, err);
		let_go(local);
	}
	return code;
}

/* The committer. */

static void put_state(void *user, struct buf *out)
{
	struct local_broker *local = user;

	hold(local);
	for (size_t i = 0; i < local->topics.count; i++) {
		const struct topic *topic = local->topics.items[i];

		for (int32_t p = 0; p < topic->partition_count; p++) {
			struct state_entry entry = { .uid = topic->uid,
						     .partition = p,
						     .next = topic->partitions[p].next };
			unsigned char bytes[STATE_ENTRY_BYTES];

			state_entry_encode(entry, bytes);
			buf_add(out, bytes, sizeof(bytes));
		}
	}
	let_go(local);
}

static void on_durable(void *user, const struct group *group)
{
	struct local_broker *local = user;

	hold(local);
	for (size_t i = 0; i < group->lane_count; i++) {
		const struct lane *lane = &group->lanes[i];

		lane->partition->next = lane->ordinal + lane->durable;
	}
	let_go(local);
}

static void count_records(const struct group *group, int64_t took_us)
{
	int64_t durable = 0, lost = 0;

	for (size_t i = 0; i < group->lane_count; i++) {
		durable += group->lanes[i].durable;
		lost += group->lanes[i].count - group->lanes[i].durable;
	}
	metric_add(METRIC_RECORDS, durable);
	metric_add(METRIC_APPEND_FAILED, lost);
	if (lost == 0)
		metric_add(METRIC_RECORD_BYTES, (int64_t)group->bytes);
	metric_add(METRIC_COMMITS, 1);
	metric_add(METRIC_COMMIT_US, took_us);
}

/* Takes the open group, opens the other, and makes the one durable. With the lock. */
static void commit_group(struct local_broker *local)
{
	struct group *group = local->open;
	int64_t began_us, took_us;

	local->open = group == &local->groups[0] ? &local->groups[1] : &local->groups[0];
	group_reset(local->open, &local->pool, ++local->serial);
	local->writing = true;
	let_go(local);
	began_us = clock_mono_us();
	journal_commit(&local->journal, group);
	took_us = clock_mono_us() - began_us;
	group_finish(group);
	count_records(group, took_us);
	local->options.done(local->options.done_user, group->first);
	hold(local);
	local->writing = false;
	local->commit_us += (took_us - local->commit_us) / COMMITS_SEEN;
	local->inflight_bytes -= group->bytes;
	local->committed = group->serial;
	group_reset(group, &local->pool, 0);
	(void)pthread_cond_broadcast(&local->ended);
}

/* Without an append for a while, the end is marked. With the lock. */
static void wait_for_work(struct local_broker *local)
{
	uint64_t serial = local->serial;
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += REST_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	local->resting = true;
	if (pthread_cond_timedwait(&local->work, &local->lock, &until) == ETIMEDOUT &&
	    !local->writing && !local->open->first && serial == local->serial) {
		local->writing = true;
		let_go(local);
		journal_rest(&local->journal);
		hold(local);
		local->writing = false;
	}
	local->resting = false;
}

static void *commit_groups(void *arg)
{
	struct local_broker *local = arg;

	hold(local);
	while (local->open->first || !local->ending) {
		if (local->writing || (!group_is_ready(local) && !local->ending))
			wait_for_work(local);
		else
			commit_group(local);
	}
	let_go(local);
	return NULL;
}

/*
 * Whether who uncorks had better commit what it has appended itself: it is little, the committer
 * sleeps, and it takes no longer than to wake that up and be woken by it. With the lock.
 */
static bool commit_is_quick(const struct local_broker *local)
{
	const struct group *group = local->open;

	return local->resting && !local->writing && group->first && group->bytes < CORK_BYTES_MAX &&
	       local->commit_us < QUICK_US && journal_has_room(&local->journal, group);
}

static void local_cork(struct broker *broker, bool corked)
{
	struct local_broker *local = local_of(broker);
	bool wake;

	hold(local);
	local->corked = corked;
	if (!corked && commit_is_quick(local))
		commit_group(local);
	wake = end_rest(local);
	let_go(local);
	if (wake)
		(void)pthread_cond_signal(&local->work);
}

/* Opening and closing. */

/* Only the keeper's thread makes use of a writer's extent, so it needs no lock to read the disk. */
static void first_changed(void *user)
{
	struct local_broker *local = user;
	struct err err;

	if (extent_read_first(&local->extent, &err) != ERR_OK)
		return;
	hold(local);
	extent_apply(&local->extent, &local->topics);
	let_go(local);
}

static enum err_code open_dir(struct local_broker *local, struct err *err)
{
	char path[4096];
	enum err_code code;
	int n = snprintf(path, sizeof(path), "%s/log", local->options.dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return err_set(err, ERR_USAGE, "the directory's name is too long");
	code = dir_make(path, 0700, err);
	if (code != ERR_OK)
		return code;
	local->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (local->dir_fd < 0)
		return err_errno(err, "could not open the log in \"%s\"", local->options.dir);
	return ERR_OK;
}

static enum err_code take_lock(struct local_broker *local, struct err *err)
{
	local->lock_fd =
		openat(local->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (local->lock_fd < 0)
		return err_errno(err, "could not open the lock of \"%s\"", local->options.dir);
	if (flock(local->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return ERR_OK;
	if (errno == EWOULDBLOCK)
		return err_set(err, ERR_LOCKED, "another process writes the log in \"%s\"",
			       local->options.dir);
	return err_errno(err, "could not lock \"%s\"", local->options.dir);
}

static enum err_code start_writing(struct local_broker *local, struct err *err)
{
	struct journal_options options = {
		.dir_fd = local->dir_fd,
		.log_id = local->log_id,
		.segment_bytes = local->options.segment_bytes,
		.first_bytes = local->options.segment_bytes < FIRST_SEGMENT_BYTES
				       ? local->options.segment_bytes
				       : FIRST_SEGMENT_BYTES,
		.watermark = &local->watermark,
		.keeper = &local->keeper,
		.put_state = put_state,
		.durable = on_durable,
		.user = local,
	};
	struct recovery plan;
	struct err why;
	enum err_code code =
		recover_plan(local->dir_fd, watermark_get(&local->watermark), &plan, err);

	if (code != ERR_OK)
		return code;
	if (options.first_bytes < 4 * local->options.record_bytes_max)
		options.first_bytes = 4 * local->options.record_bytes_max;
	local->extent.next = plan.ordinals;
	ordinals_init(&plan.ordinals);
	extent_skip(&local->extent, &local->topics, plan.unknown);
	if (extent_read_first(&local->extent, &why) != ERR_OK)
		trace_warn("where the log begins is not known: %s", why.msg);
	extent_apply(&local->extent, &local->topics);
	local->retention = (struct retention){
		.dir_fd = local->dir_fd,
		.age_ms = local->options.retention_ms,
		.bytes_max = local->options.retention_bytes,
		.first_changed = first_changed,
		.user = local,
	};
	retention_init(&local->retention, plan.newest_ms);
	if (code == ERR_OK)
		code = keeper_start(&local->keeper, local->dir_fd,
				    local->options.disk_reserve_bytes, &local->retention, err);
	if (code == ERR_OK)
		code = journal_open(&local->journal, &options, &plan, err);
	recovery_release(&plan);
	if (code != ERR_OK)
		return code;
	errno = pthread_create(&local->committer, NULL, commit_groups, local);
	if (errno != 0)
		return err_errno(err, "could not start the log's committer");
	local->started = true;
	return ERR_OK;
}

/* The watermark file may be old or new while the log is not, as after a power cut or a copy. */
static enum err_code prove_watermark(struct local_broker *local, struct err *err)
{
	struct recovery plan;
	enum err_code code =
		recover_plan(local->dir_fd, watermark_get(&local->watermark), &plan, err);

	if (code != ERR_OK)
		return code;
	local->proven = plan.watermark;
	recovery_release(&plan);
	return ERR_OK;
}

static enum err_code broker_local_open_log(struct local_broker *local, struct err *err)
{
	enum err_code code = open_dir(local, err);

	if (code == ERR_OK && local->options.writer)
		code = take_lock(local, err);
	if (code == ERR_OK)
		code = catalog_make(local->dir_fd, err);
	if (code == ERR_OK && local->options.writer)
		catalog_mend(local->dir_fd);
	if (code == ERR_OK)
		code = catalog_load(local->dir_fd, &local->topics, &local->log_id, err);
	if (code == ERR_OK)
		code = watermark_open(local->dir_fd, local->options.writer, local->log_id,
				      &local->watermark, err);
	if (code != ERR_OK)
		return err_prefix(err, "log in \"%s\"", local->options.dir);
	local->extent.dir_fd = local->extent.cursor.dir_fd = local->dir_fd;
	local->index_cache.dir_fd = local->dir_fd;
	local->topics_seen = watermark_topics(&local->watermark) - 1; /* read it once more */
	if (local->options.writer)
		code = start_writing(local, err);
	else if (watermark_get(&local->watermark) == 0)
		code = prove_watermark(local, err);
	return code == ERR_OK ? code : err_prefix(err, "log in \"%s\"", local->options.dir);
}

static void local_free(struct broker *broker)
{
	struct local_broker *local = local_of(broker);

	if (local->started) {
		hold(local);
		local->ending = true;
		(void)pthread_cond_signal(&local->work);
		let_go(local);
		(void)pthread_join(local->committer, NULL);
	}
	if (local->journal.stage.bytes)
		journal_close(&local->journal);
	keeper_stop(&local->keeper);
	if (local->watermark.page && local->options.writer)
		watermark_sync(&local->watermark);
	watermark_close(&local->watermark);
	for (size_t i = 0; i < ARRAY_LEN(local->groups); i++)
		group_release(&local->groups[i]);
	chunk_pool_release(&local->pool);
	extent_release(&local->extent);
	index_cache_release(&local->index_cache);
	topics_release(&local->topics);
	(void)pthread_cond_destroy(&local->work);
	(void)pthread_cond_destroy(&local->ended);
	(void)pthread_mutex_destroy(&local->lock);
	(void)pthread_mutex_destroy(&local->catalog_lock);
	(void)pthread_mutex_destroy(&local->index_lock);
	if (local->lock_fd >= 0)
		(void)close(local->lock_fd);
	if (local->dir_fd >= 0)
		(void)close(local->dir_fd);
	free((void *)(uintptr_t)local->options.dir);
	free(local);
}

static const struct broker_ops local_ops = {
	.name = "local",
	.create = local_create,
	.describe = local_describe,
	.list = local_list,
	.remove = local_remove,
	.append = local_append,
	.cork = local_cork,
	.ready = local_ready,
	.reader_open = local_reader_open,
	.reader_seek = local_reader_seek,
	.reader_next = local_reader_next,
	.reader_commit = local_reader_commit,
	.reader_close = local_reader_close,
	.free = local_free,
};

static void set_defaults(struct broker_local_options *options)
{
	if (options->segment_bytes == 0)
		options->segment_bytes = SEGMENT_BYTES;
	if (options->segment_bytes < SEGMENT_BYTES_MIN)
		options->segment_bytes = SEGMENT_BYTES_MIN;
	if (options->inflight_bytes_max == 0)
		options->inflight_bytes_max = INFLIGHT_BYTES_MAX;
	if (options->record_bytes_max == 0)
		options->record_bytes_max = RECORD_BYTES_MAX;
	if (options->record_bytes_max > options->segment_bytes / 4)
		options->record_bytes_max = options->segment_bytes / 4;
	options->dir = xstrdup(options->dir);
}

enum err_code broker_local_new(const struct broker_local_options *options,
			       struct broker **ret_broker, struct err *err)
{
	struct local_broker *local = xcalloc(1, sizeof(*local));
	pthread_condattr_t attr;
	enum err_code code;

	assert(!options->writer || options->done);
	local->base.ops = &local_ops;
	local->options = *options;
	set_defaults(&local->options);
	local->dir_fd = local->lock_fd = -1;
	local->journal.segment.fd = -1;
	local->open = &local->groups[0];
	for (size_t i = 0; i < ARRAY_LEN(local->groups); i++)
		group_init(&local->groups[i]);
	local->open->serial = local->serial = 1;
	local->commit_us = 2 * QUICK_US; /* not known yet */
	topics_init(&local->topics);
	extent_init(&local->extent, -1);
	index_cache_init(&local->index_cache, -1);
	(void)pthread_mutex_init(&local->index_lock, NULL);
	(void)pthread_mutex_init(&local->lock, NULL);
	(void)pthread_mutex_init(&local->catalog_lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&local->work, &attr);
	(void)pthread_cond_init(&local->ended, &attr);
	(void)pthread_condattr_destroy(&attr);
	code = broker_local_open_log(local, err);
	if (code != ERR_OK)
		local_free(&local->base);
	else
		*ret_broker = &local->base;
	return code;
}
