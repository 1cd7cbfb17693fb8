/*
 * broker_local.c - topics and streams in one durable journal in a directory:
 * opens and closes it, and wires its parts (committer.h, journal.h, keeper.h).
 */
#include "broker/local/broker_local.h"

#include "base/dir.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/local/catalog.h"
#include "broker/local/journal_check.h"

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
};

/* What was published once stays true, also when a writer dies in the midst of publishing more. */
uint64_t local_watermark(struct local_broker *local)
{
	uint64_t published = watermark_get(&local->watermark);
	uint64_t proven = atomic_load(&local->proven);

	while (published > proven &&
	       !atomic_compare_exchange_weak(&local->proven, &proven, published))
		continue;
	return published > proven ? published : proven;
}

/* Appends. */

static enum err_code local_append(struct broker *broker, struct append *append, struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code = local_need_writer(local, err);
	struct topic *topic;

	assert(append->count > 0);
	if (code == ERR_OK)
		code = keeper_refusal(&local->keeper, err);
	if (code != ERR_OK)
		return code;
	local_hold(local);
	code = topics_get(&local->topics, append->topic, &topic, err);
	if (code == ERR_OK)
		code = committer_append(&local->committer, topic, append, err);
	local_let_go(local);
	return code;
}

/* Topics and streams are in one journal. */
static enum err_code local_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				 struct err *err)
{
	struct local_broker *local = local_of(broker);
	enum err_code code = local_need_writer(local, err);

	(void)kind;
	if (code == ERR_OK)
		code = keeper_refusal(&local->keeper, err);
	return code == ERR_OK ? committer_ready(&local->committer, bytes, err) : code;
}

static void local_cork(struct broker *broker, bool corked)
{
	committer_cork(&local_of(broker)->committer, corked);
}

/* What the journal asks and tells. */

static void put_state(void *user, struct buf *out)
{
	struct local_broker *local = user;

	local_hold(local);
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
	local_let_go(local);
}

static void on_durable(void *user, const struct commit_group *group)
{
	struct local_broker *local = user;

	local_hold(local);
	for (size_t i = 0; i < group->lane_count; i++) {
		const struct lane *lane = &group->lanes[i];

		lane->partition->next = lane->ordinal + lane->durable;
	}
	local_let_go(local);
	local_readers_ring(local);
}

/* Opening and closing. */

/* Only the keeper's thread makes use of a writer's extent, so it needs no lock to read the disk. */
static void first_changed(void *user)
{
	struct local_broker *local = user;
	struct err err;

	if (extent_read_first(&local->extent, &err) != ERR_OK)
		return;
	local_hold(local);
	extent_apply(&local->extent, &local->topics);
	local_let_go(local);
}

static enum err_code open_dir(struct local_broker *local, struct err *err)
{
	char path[4096];
	enum err_code code;
	int n = snprintf(path, sizeof(path), "%s/log", local->options.dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return err_set(err, ERR_USAGE, "the directory's name is too long");
	if (local->options.make) {
		code = dir_make(path, 0700, err);
		if (code != ERR_OK)
			return code;
	}
	local->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (local->dir_fd < 0 && errno == ENOENT)
		return err_set(err, ERR_ABSENT, "there is no pinpipe data in \"%s\"",
			       local->options.dir);
	if (local->dir_fd < 0)
		return err_errno(err, "could not open the log in \"%s\"", local->options.dir);
	return ERR_OK;
}

static enum err_code open_catalog(struct local_broker *local, struct err *err)
{
	enum err_code code = ERR_OK;

	if (local->options.make)
		code = catalog_make(local->dir_fd, err);
	else if (!catalog_is_there(local->dir_fd))
		code = catalog_need_no_log(local->dir_fd, err) == ERR_OK
			       ? err_set(err, ERR_ABSENT, "there is no pinpipe data yet")
			       : err->code;
	if (code == ERR_OK && local->options.writer)
		catalog_mend(local->dir_fd);
	if (code == ERR_OK)
		code = catalog_load(local->dir_fd, &local->topics, &local->log_id, err);
	if (code == ERR_OK && local->options.writer)
		code = catalog_upgrade(local->dir_fd, &local->topics, local->log_id, err);
	return code;
}

static enum err_code take_lock(struct local_broker *local, struct err *err)
{
	char holder[LOCK_HOLDER_MAX];

	local->lock_fd =
		openat(local->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (local->lock_fd < 0)
		return err_errno(err, "could not open the lock of \"%s\"", local->options.dir);
	if (flock(local->lock_fd, LOCK_EX | LOCK_NB) == 0) {
		lock_note_holder(local->lock_fd);
		return ERR_OK;
	}
	if (errno == EWOULDBLOCK) {
		lock_read_holder(local->lock_fd, holder);
		return err_set(err, ERR_LOCKED, "another process (%s) writes it",
			       *holder ? holder : "unknown");
	}
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
	uint64_t published = watermark_get(&local->watermark);
	struct recovery plan;
	struct ends ends;
	struct err why;
	enum err_code code;

	(void)watermark_ends_or_more(&local->watermark, published, &ends);
	code = recover_plan(local->dir_fd, published, &ends, &plan, err);
	if (code != ERR_OK)
		return code;
	if (options.first_bytes < 4 * local->options.record_bytes_max)
		options.first_bytes = 4 * local->options.record_bytes_max;
	local->extent.next = plan.ordinals;
	ordinals_init(&plan.ordinals);
	extent_skip(&local->extent, &local->topics, plan.unknown, plan.ends_hold ? &ends : NULL);
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
	return committer_start(&local->committer, &local->journal, err);
}

/* The watermark file may be old or new while the log is not, as after a power cut or a copy. */
static enum err_code prove_watermark(struct local_broker *local, struct err *err)
{
	struct recovery plan;
	enum err_code code =
		recover_plan(local->dir_fd, watermark_get(&local->watermark), NULL, &plan, err);

	if (code != ERR_OK)
		return code;
	atomic_store(&local->proven, plan.watermark);
	recovery_release(&plan);
	return ERR_OK;
}

static enum err_code broker_local_open_log(struct local_broker *local, struct err *err)
{
	enum err_code code = open_dir(local, err);

	if (code != ERR_OK)
		return code;
	if (local->options.writer)
		code = take_lock(local, err);
	if (code == ERR_OK)
		code = open_catalog(local, err);
	if (code == ERR_OK)
		code = watermark_open(local->dir_fd,
				      local->options.writer ? WATERMARK_WRITE
				      : local->options.make ? WATERMARK_MAKE
							    : WATERMARK_READ,
				      local->log_id, &local->watermark, err);
	if (code != ERR_OK)
		return err_prefix(err, "log in \"%s\"", local->options.dir);
	local->extent.dir_fd = local->extent.cursor.dir_fd = local->dir_fd;
	local->index_cache.dir_fd = local->dir_fd;
	local->index_cache.watermark = &local->watermark;
	if (!local->options.writer)
		local->extent.watermark = &local->watermark;
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
	struct err ignored;

	local_readers_end(local);
	committer_stop(&local->committer);
	if (local_settle(local, &ignored) != ERR_OK)
		trace_warn("what was asked of a topic is not settled: %s", ignored.msg);
	if (local->journal.stage.bytes)
		journal_close(&local->journal);
	keeper_stop(&local->keeper);
	if (local->watermark.page && local->options.writer)
		watermark_sync(&local->watermark);
	watermark_close(&local->watermark);
	committer_release(&local->committer);
	extent_release(&local->extent);
	index_cache_release(&local->index_cache);
	topics_release(&local->topics);
	(void)pthread_mutex_destroy(&local->lock);
	(void)pthread_mutex_destroy(&local->catalog_lock);
	(void)pthread_mutex_destroy(&local->index_lock);
	(void)pthread_mutex_destroy(&local->readers_lock);
	if (local->lock_fd >= 0)
		(void)close(local->lock_fd);
	if (local->dir_fd >= 0)
		(void)close(local->dir_fd);
	free((void *)(uintptr_t)local->options.dir);
	free(local);
}

/* As it lies there, of whoever writes it. */
static enum err_code local_verify(struct broker *broker, void (*each)(void *user, const char *what),
				  void *user, struct broker_verdict *ret_verdict, struct err *err)
{
	struct journal_report report;
	enum err_code code =
		journal_check(local_of(broker)->options.dir, each, user, &report, err);

	if (code != ERR_OK)
		return code;
	*ret_verdict = (struct broker_verdict){
		.looked = true,
		.sound = journal_report_is_sound(&report),
		.records = report.records,
		.batches = report.batches,
		.damaged = report.damaged,
	};
	journal_report_release(&report);
	return ERR_OK;
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
	.committed = local_committed,
	.commit = local_commit,
	.nodes = local_nodes,
	.settings = local_settings,
	.groups = local_groups,
	.describe_group = local_describe_group,
	.reset_group = local_reset_group,
	.verify = local_verify,
	.reader_pause = local_reader_pause,
	.reader_release = local_reader_release,
	.reader_fd = local_reader_fd,
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
	options->make = options->make || options->writer;
	options->dir = xstrdup(options->dir);
}

enum err_code broker_local_new(const struct broker_local_options *options,
			       struct broker **ret_broker, struct err *err)
{
	struct local_broker *local = xcalloc(1, sizeof(*local));
	enum err_code code;

	assert(!options->writer || options->done);
	local->base.ops = &local_ops;
	local->options = *options;
	set_defaults(&local->options);
	local->dir_fd = local->lock_fd = -1;
	local->journal.segment.fd = -1;
	committer_init(&local->committer,
		       &(struct committer_options){
			       .inflight_bytes_max = local->options.inflight_bytes_max,
			       .record_bytes_max = local->options.record_bytes_max,
			       .done = local->options.done,
			       .done_user = local->options.done_user,
		       });
	topics_init(&local->topics);
	extent_init(&local->extent, -1);
	index_cache_init(&local->index_cache, -1);
	(void)pthread_mutex_init(&local->index_lock, NULL);
	(void)pthread_mutex_init(&local->readers_lock, NULL);
	(void)pthread_mutex_init(&local->lock, NULL);
	(void)pthread_mutex_init(&local->catalog_lock, NULL);
	code = broker_local_open_log(local, err);
	if (code != ERR_OK)
		local_free(&local->base);
	else
		*ret_broker = &local->base;
	return code;
}
