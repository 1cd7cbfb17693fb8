#include "broker/local/retention.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/local/catalog.h"
#include "broker/local/commits.h"
#include "broker/local/ordinals.h"
#include "broker/local/segment.h"
#include "broker/sequence.h"

#include <inttypes.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { DAY_MS = 24 * 60 * 60 * 1000, OTHERS_BYTES_MAX = 400 };

void retention_init(struct retention *retention, int64_t newest_ms)
{
	int64_t now = clock_wall_ms();

	if (newest_ms > 0 && now - newest_ms > DAY_MS) {
		if (retention->age_ms > 0)
			trace_warn("the newest record is over a day old; the age of records is "
				   "counted from its time, in case the clock is wrong");
		now = newest_ms;
	}
	retention->start_ms = now;
	retention->start_boot_ms = clock_boot_ms();
}

static int64_t now_ms(const struct retention *retention)
{
	return retention->start_ms + clock_boot_ms() - retention->start_boot_ms;
}

static uint64_t file_bytes(int dir_fd, uint64_t base)
{
	char name[SEGMENT_NAME_MAX];
	struct stat st;

	segment_name(base, "segment", name);
	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
}

/* Who lacks a record that comes before what this state says? */
struct need {
	struct ordinals state;
	struct topics topics;
	bool needed;			/* a group that is waited for does */
	struct buf others;		/* the names of the rest, for a message */
};

/* What these have taken is in the lake; a group that somebody else made up may never come back. */
static bool is_waited_for(const char *group)
{
	return strcmp(group, "sink") == 0 || strcmp(group, "stream") == 0;
}

/* Does the partition have a record from `next` on that comes before the state? */
static bool has_from(const struct need *need, uint64_t uid, int32_t partition, uint64_t next)
{
	const struct ordinal *found = ordinals_find(&need->state, uid, partition);

	return found && next < found->next;
}

/* Of a topic that the group has not begun with it lacks all. */
static bool lacks_of_topic(const struct need *need, const struct commits *commits,
			   const struct topic *topic)
{
	for (int32_t p = 0; p < topic->partition_count; p++)
		if (!commits_has(commits, topic->uid, p) &&
		    has_from(need, topic->uid, p, topic->partitions[p].floor))
			return true;
	return false;
}

static bool lacks_wanted(const struct need *need, const struct commits *commits,
			 const struct wanted *wanted)
{
	struct topic_ref ref = { wanted->kind, wanted->name };

	for (size_t i = 0; i < need->topics.count; i++)
		if (topic_is_meant(need->topics.items[i], ref) &&
		    lacks_of_topic(need, commits, need->topics.items[i]))
			return true;
	return false;
}

static bool lacks_some(const struct need *need, const struct commits *commits)
{
	for (size_t i = 0; i < commits->count; i++) {
		const struct commit *commit = &commits->items[i];

		/* Nobody can read on in a topic that was removed. */
		if (topics_find_uid(&need->topics, commit->uid) &&
		    has_from(need, commit->uid, commit->partition, position_ordinal(commit->next)))
			return true;
	}
	for (size_t i = 0; i < commits->wanted_count; i++)
		if (lacks_wanted(need, commits, &commits->wanted[i]))
			return true;
	return false;
}

static void check_group(void *user, const char *group, bool known, const struct commits *commits)
{
	struct need *need = user;

	if (is_waited_for(group))
		need->needed = need->needed || !known || lacks_some(need, commits);
	else if (lacks_some(need, commits))
		buf_addf(&need->others, "%s\"%s\"", need->others.len ? ", " : "", group);
}

/* What is not known is needed. */
static bool is_needed(struct need *need, int dir_fd)
{
	uint64_t log_id;
	struct err err;

	topics_init(&need->topics);
	if (catalog_load(dir_fd, &need->topics, &log_id, &err) != ERR_OK) {
		trace_warn("%s", err.msg);
		return true;
	}
	if (!commits_walk(dir_fd, check_group, need))
		need->needed = true;
	topics_release(&need->topics);
	return need->needed;
}

/*
 * May the first of these segments go? All in it is older than what the state of any later one
 * says: of the next one, unless that is damaged.
 */
static bool may_go(struct retention *retention, const uint64_t *bases, size_t count, bool too_many)
{
	struct need need = { .needed = false };
	struct segment_state state = { .known = false };
	bool wanted, needed;
	struct err err;

	if (!too_many && retention->age_ms == 0)
		return false;
	ordinals_init(&need.state);
	buf_init(&need.others, OTHERS_BYTES_MAX);
	for (size_t i = 1; i < count && !state.known; i++)
		if (segment_state_read(retention->dir_fd, bases[i], &need.state, &state, &err))
			trace_warn("%s", err.msg);
	wanted = state.known && (too_many || now_ms(retention) - state.time_ms > retention->age_ms);
	needed = wanted && is_needed(&need, retention->dir_fd);
	ordinals_release(&need.state);
	if (too_many && needed && !retention->held)
		trace_warn("the log is over its bound of bytes, but sink or stream have not taken "
			   "its oldest records: they stay");
	retention->held = too_many && needed;
	if (wanted && !needed && need.others.len > 0)
		trace_warn("records go by retention that were not read by group %.*s",
			   SLICE_ARG(buf_slice(&need.others)));
	buf_release(&need.others);
	return wanted && !needed;
}

static uint64_t all_bytes(int dir_fd, const uint64_t *bases, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += file_bytes(dir_fd, bases[i]);
	return bytes;
}

void retention_apply(struct retention *retention)
{
	uint64_t *bases, bytes;
	struct err err;
	size_t count, first = 0;

	if (segment_list(retention->dir_fd, &bases, &count, &err) != ERR_OK) {
		trace_warn("%s", err.msg);
		return;
	}
	bytes = all_bytes(retention->dir_fd, bases, count);
	/* The one that is written, the one made ahead, and one for the newest records stay. */
	while (first + 3 < count) {
		bool too_many = retention->bytes_max > 0 && bytes > retention->bytes_max;

		if (!may_go(retention, bases + first, count - first, too_many))
			break;
		bytes -= file_bytes(retention->dir_fd, bases[first]);
		if (segment_retire(retention->dir_fd, bases[first], &err) != ERR_OK) {
			trace_warn("%s", err.msg);
			break;
		}
		first++;
	}
	if (first > 0)
		retention->first_changed(retention->user);
	metric_set(METRIC_LOG_BYTES, (int64_t)bytes);
	free(bases);
}
