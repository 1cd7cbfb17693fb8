/*
 * broker_call.c - the callers of broker.h: every call of a backend goes through
 * one of them. What a backend need not check, and what no caller need trust, is
 * checked here once: arguments, results, the codes that a call may end with, and
 * what a reader's events may be (watch.h).
 */
#include "broker/watch.h"

#include "base/metrics.h"
#include "base/time.h"
#include "broker/sequence.h"

#include <stdlib.h>
#include <string.h>

enum {
	SAMPLE = 64
}; /* one append of so many is timed: two looks at the clock cost more
      than all that is checked */

/* --- what a call may end with ------------------------------------------ */

#define CODE(code) (UINT32_C(1) << (code))

enum {
	/* Anything may be away, stop, be full or broken, and be somebody else's. */
	ANY_TIME = CODE(ERR_OK) | CODE(ERR_AUTH) | CODE(ERR_DENIED) | CODE(ERR_LIMIT) |
		   CODE(ERR_BUSY) | CODE(ERR_UNKNOWN) | CODE(ERR_SPACE) | CODE(ERR_TIMEOUT) |
		   CODE(ERR_STOPPED) | CODE(ERR_UNSUPPORTED) | CODE(ERR_IO) | CODE(ERR_CORRUPT) |
		   CODE(ERR_USAGE) | CODE(ERR_ABSENT),
	OF_TOPIC = ANY_TIME | CODE(ERR_NO_TOPIC) | CODE(ERR_SYNTAX) | CODE(ERR_SHAPE),
	OF_PARTITION = OF_TOPIC | CODE(ERR_NO_PARTITION),
	OF_RECORD = OF_PARTITION | CODE(ERR_CLOSED),
};

/* The call ended with a code that it may have, and told why. */
static enum err_code call_ended(const struct broker *broker, const char *call, enum err_code code,
				unsigned allowed, const struct err *err)
{
	if (!(CODE(code) & allowed))
		contract_broken(broker, call, err_name(code));
	if (code != ERR_OK && err->code != code)
		contract_broken(broker, call, "the code and the one in err differ");
	return code;
}

/* As call_ended(), of a call that may take long; `began_us` is when it did. */
static enum err_code call_ended_late(const struct broker *broker, const char *call,
				     enum err_code code, unsigned allowed, const struct err *err,
				     int64_t began_us)
{
	metric_add(METRIC_BROKER_CALLS, 1);
	metric_add(METRIC_BROKER_CALL_US, clock_mono_us() - began_us);
	return call_ended(broker, call, code, allowed, err);
}

/* --- topics ------------------------------------------------------------ */

enum err_code broker_create(struct broker *broker, struct topic_ref topic,
			    const struct topic_options *options, struct err *err)
{
	int64_t began_us = clock_mono_us();

	CONTRACT_HOLDS(broker, topic.name && options && options->replicas >= 0);
	return call_ended_late(broker, __func__, broker->ops->create(broker, topic, options, err),
			       OF_TOPIC | CODE(ERR_EXISTS), err, began_us);
}

/* Offsets that are all records can be counted. */
static bool dense_is_true(const struct topic_info *info, const struct partition_info *partition)
{
	return !partition->dense ||
	       (info->kind == TOPIC_LOG && partition->next_known &&
		partition->records ==
			position_ordinal(partition->next) - position_ordinal(partition->first));
}

/* Who leads has a copy. */
static bool leader_is_true(const struct partition_info *partition)
{
	bool found = partition->leader == NODE_NONE || partition->replica_count == 0;

	for (size_t i = 0; !found && i < partition->replica_count; i++)
		found = partition->replicas[i].node == partition->leader;
	return found;
}

static bool info_is_whole(struct topic_ref topic, const struct topic_info *info)
{
	bool whole = info->kind == topic.kind && strcmp(info->name, topic.name) == 0 &&
		     info->partition_count > 0 && info->uid[0];

	for (int32_t i = 0; whole && i < info->partition_count; i++) {
		const struct partition_info *partition = &info->partitions[i];

		whole = (i == 0 || partition->id > info->partitions[i - 1].id) &&
			position_cmp(partition->born, partition->first) <= 0 &&
			(!partition->next_known ||
			 position_cmp(partition->first, partition->next) <= 0) &&
			dense_is_true(info, partition) && leader_is_true(partition);
	}
	return whole;
}

enum err_code broker_describe(struct broker *broker, struct topic_ref topic,
			      struct topic_info *ret_info, struct err *err)
{
	int64_t began_us = clock_mono_us();
	enum err_code code;

	CONTRACT_HOLDS(broker, topic.name);
	code = call_ended_late(broker, __func__,
			       broker->ops->describe(broker, topic, ret_info, err), OF_TOPIC, err,
			       began_us);
	CONTRACT_HOLDS(broker, code != ERR_OK || info_is_whole(topic, ret_info));
	return code;
}

enum err_code broker_list(struct broker *broker, enum topic_kind kind,
			  bool (*each)(void *user, const char *name), void *user, struct err *err)
{
	int64_t began_us = clock_mono_us();

	return call_ended_late(broker, __func__, broker->ops->list(broker, kind, each, user, err),
			       ANY_TIME, err, began_us);
}

enum err_code broker_remove(struct broker *broker, struct topic_ref topic, struct err *err)
{
	int64_t began_us = clock_mono_us();

	CONTRACT_HOLDS(broker, topic.name);
	return call_ended_late(broker, __func__, broker->ops->remove(broker, topic, err), OF_TOPIC,
			       err, began_us);
}

/* --- appending --------------------------------------------------------- */

enum err_code broker_append(struct broker *broker, struct append *append, struct err *err)
{
	static _Thread_local unsigned appends;
	bool timed = ++appends % SAMPLE == 0;
	int64_t began_us = timed ? clock_mono_us() : 0;
	enum err_code code;

	CONTRACT_HOLDS(broker, append->count > 0 && append->records && append->outcomes);
	code = broker->ops->append(broker, append, err);
	if (timed) {
		metric_add(METRIC_BROKER_APPENDS, SAMPLE);
		metric_add(METRIC_BROKER_APPEND_US, SAMPLE * (clock_mono_us() - began_us));
	}
	return code == ERR_OK ? code : call_ended(broker, __func__, code, OF_RECORD, err);
}

void broker_cork(struct broker *broker, bool corked) { broker->ops->cork(broker, corked); }

enum err_code broker_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
			   struct err *err)
{
	return call_ended(broker, __func__, broker->ops->ready(broker, kind, bytes, err), ANY_TIME,
			  err);
}

/* --- groups ------------------------------------------------------------ */

enum err_code broker_committed(struct broker *broker, const char *group, struct topic_ref topic,
			       int32_t partition, struct position *ret_next, struct err *err)
{
	int64_t began_us = clock_mono_us();

	CONTRACT_HOLDS(broker, group && topic.name);
	return call_ended_late(
		broker, __func__,
		broker->ops->committed(broker, group, topic, partition, ret_next, err),
		OF_PARTITION, err, began_us);
}

enum err_code broker_commit(struct broker *broker, const char *group, struct topic_ref topic,
			    int32_t partition, struct position next, struct err *err)
{
	int64_t began_us = clock_mono_us();

	CONTRACT_HOLDS(broker, group && topic.name);
	return call_ended_late(broker, __func__,
			       broker->ops->commit(broker, group, topic, partition, next, err),
			       OF_PARTITION, err, began_us);
}

enum err_code broker_groups(struct broker *broker, bool (*each)(void *user, const char *name),
			    void *user, struct err *err)
{
	int64_t began_us = clock_mono_us();

	CONTRACT_HOLDS(broker, each);
	return call_ended_late(broker, __func__, broker->ops->groups(broker, each, user, err),
			       ANY_TIME, err, began_us);
}

/* Who has no member has nobody that reads a partition. */
static bool group_is_whole(const struct group_info *info)
{
	bool whole = (info->state == GROUP_EMPTY) == (info->member_count == 0);

	for (size_t i = 0; whole && i < info->place_count; i++)
		whole = !info->places[i].member || info->member_count > 0;
	return whole;
}

enum err_code broker_describe_group(struct broker *broker, const char *group,
				    struct group_info *ret_info, struct err *err)
{
	int64_t began_us = clock_mono_us();
	enum err_code code;

	CONTRACT_HOLDS(broker, group);
	code = call_ended_late(broker, __func__,
			       broker->ops->describe_group(broker, group, ret_info, err), ANY_TIME,
			       err, began_us);
	CONTRACT_HOLDS(broker, code != ERR_OK || group_is_whole(ret_info));
	return code;
}

enum err_code broker_reset_group(struct broker *broker, const char *group,
				 const struct group_place *places, size_t count, struct err *err)
{
	int64_t began_us = clock_mono_us();

	CONTRACT_HOLDS(broker, group && count > 0);
	return call_ended_late(broker, __func__,
			       broker->ops->reset_group(broker, group, places, count, err),
			       OF_PARTITION, err, began_us);
}

/* --- where and how it is kept --------------------------------------------- */

enum err_code broker_nodes(struct broker *broker, enum topic_kind kind,
			   bool (*each)(void *user, const struct broker_node *node), void *user,
			   struct err *err)
{
	int64_t began_us = clock_mono_us();

	CONTRACT_HOLDS(broker, each);
	return call_ended_late(broker, __func__, broker->ops->nodes(broker, kind, each, user, err),
			       ANY_TIME, err, began_us);
}

enum err_code broker_settings(struct broker *broker, struct topic_ref topic,
			      bool (*each)(void *user, const char *name, const char *value),
			      void *user, struct err *err)
{
	int64_t began_us = clock_mono_us();

	CONTRACT_HOLDS(broker, topic.name && each);
	return call_ended_late(broker, __func__,
			       broker->ops->settings(broker, topic, each, user, err), OF_TOPIC, err,
			       began_us);
}

/* --- what is kept -------------------------------------------------------- */

enum err_code broker_verify(struct broker *broker, void (*each)(void *user, const char *what),
			    void *user, struct broker_verdict *ret_verdict, struct err *err)
{
	int64_t began_us = clock_mono_us();
	enum err_code code;

	CONTRACT_HOLDS(broker, each);
	code = call_ended_late(broker, __func__,
			       broker->ops->verify(broker, each, user, ret_verdict, err),
			       ANY_TIME | CODE(ERR_ABSENT), err, began_us);
	CONTRACT_HOLDS(broker, code != ERR_OK || !ret_verdict->sound || ret_verdict->damaged == 0);
	return code;
}

/* --- readers ----------------------------------------------------------- */

/* Backends keep them as they keep names. */
static bool topics_are_names(const struct reader_options *options)
{
	struct err unused;

	for (size_t i = 0; i < options->topic_count; i++)
		if (name_check_pattern(slice_str(options->topics[i].name), &unused) != ERR_OK)
			return false;
	return !options->group || options->topic_count > 0;
}

enum err_code broker_reader_open(struct broker *broker, const struct reader_options *options,
				 struct broker_reader **ret_reader, struct err *err)
{
	int64_t began_us = clock_mono_us();
	struct broker_reader *reader;
	enum err_code code;

	CONTRACT_HOLDS(broker, topics_are_names(options));
	code = call_ended_late(broker, __func__,
			       broker->ops->reader_open(broker, options, &reader, err), OF_TOPIC,
			       err, began_us);
	if (code != ERR_OK)
		return code;
	CONTRACT_HOLDS(broker, reader->broker == broker && !reader->watch);
	reader->watch = watch_new(options);
	*ret_reader = reader;
	return ERR_OK;
}

enum err_code reader_seek(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
			  struct reader_start start, struct err *err)
{
	const struct broker *broker = reader->broker;
	int64_t began_us = clock_mono_us();
	enum err_code code;

	watch_may_seek(reader, topic, partition);
	code = call_ended_late(broker, __func__,
			       broker->ops->reader_seek(reader, topic, partition, start, err),
			       OF_PARTITION, err, began_us);
	if (code == ERR_OK)
		watch_sought(reader, topic, partition, start);
	return code;
}

enum err_code reader_next(struct broker_reader *reader, int64_t deadline_ms,
			  struct reader_event *ret_event, struct err *err)
{
	const struct broker *broker = reader->broker;
	enum err_code code = broker->ops->reader_next(reader, deadline_ms, ret_event, err);

	if (code == ERR_OK)
		watch_event(reader, ret_event);
	return call_ended(broker, __func__, code, OF_PARTITION, err);
}

enum err_code reader_pause(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
			   bool paused, struct err *err)
{
	const struct broker *broker = reader->broker;
	enum err_code code = broker->ops->reader_pause(reader, topic, partition, paused, err);

	if (code == ERR_OK)
		watch_paused(reader, topic, partition, paused);
	return call_ended(broker, __func__, code, OF_PARTITION, err);
}

void reader_release(struct broker_reader *reader, struct topic_ref topic, int32_t partition)
{
	watch_may_release(reader, topic, partition);
	watch_released(reader, topic, partition);
	reader->broker->ops->reader_release(reader, topic, partition);
}

enum err_code reader_fd(struct broker_reader *reader, int *ret_fd, struct err *err)
{
	const struct broker *broker = reader->broker;

	return call_ended(broker, __func__, broker->ops->reader_fd(reader, ret_fd, err), ANY_TIME,
			  err);
}

enum err_code reader_commit(struct broker_reader *reader, struct topic_ref topic, int32_t partition,
			    struct position next, struct err *err)
{
	const struct broker *broker = reader->broker;

	return call_ended(broker, __func__,
			  broker->ops->reader_commit(reader, topic, partition, next, err),
			  OF_PARTITION, err);
}

void reader_close(struct broker_reader *reader)
{
	struct reader_watch *watch = reader ? reader->watch : NULL;

	if (reader)
		reader->broker->ops->reader_close(reader);
	watch_free(watch);
}

void broker_free(struct broker *broker)
{
	if (broker)
		broker->ops->free(broker);
}

void topic_info_release(struct topic_info *info)
{
	free(info->partitions);
	free(info->replicas);
	*info = (struct topic_info){ 0 };
}

const struct partition_info *topic_info_partition(const struct topic_info *info, int32_t id)
{
	int32_t low = 0, high = info->partition_count;

	while (low < high) {
		int32_t mid = low + (high - low) / 2;

		if (info->partitions[mid].id == id)
			return &info->partitions[mid];
		if (info->partitions[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

uint64_t partition_records_from(const struct partition_info *partition, struct position from)
{
	uint64_t records;

	if (position_cmp(from, partition->first) <= 0)
		return partition->records;
	if (position_cmp(from, partition->next) >= 0)
		return 0;
	records = position_ordinal(partition->next) - position_ordinal(from);
	return records < partition->records ? records : partition->records;
}

const char *gap_reason_text(enum gap_reason reason)
{
	static const char *const texts[] = {
		[GAP_NONE] = "none",	   [GAP_COMPACTED] = "compacted",
		[GAP_ABORTED] = "aborted", [GAP_RETENTION] = "retention",
		[GAP_DAMAGED] = "damaged", [GAP_REMOVED] = "removed",
	};

	return texts[reason];
}
