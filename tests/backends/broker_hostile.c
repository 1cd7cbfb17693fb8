/*
 * broker_hostile.c - the local log as the worst service there may be shows it,
 * under the real binary (meson -Dhostile=true): all that broker.h allows and
 * our own log never does.
 *
 *	positions	of topics are sparse and 63 bits long: runs of HOSTILE_RUN numbers,
 *			and a hole after each; of streams they have 56 digits as ever
 *	gaps		each hole is one, of every reason in turn
 *	the end		is unknown
 *	calls		that may take long do
 *	partitions	are taken and given back every so often, with the handshake,
 *			each fourth time without; a shard is split once it has
 *			HOSTILE_SPLIT records, and its child goes on
 *	history		with PINPIPE_HOSTILE_CUT=n a topic seems to have been made anew
 *			after n records of each partition, its positions begin again
 *
 * What it does to positions and partitions can be undone (tests/torture/hostile.py),
 * so that a checker that reads the log by itself can judge what came of them.
 */
#include "backends/hostile.h"

#include "base/mem.h"
#include "base/time.h"
#include "broker/sequence.h"

#include <stdlib.h>

enum { LONG_CALL_EVERY = 32, LONG_CALL_MS = 60, CALL_MS = 2 };

void hostile_be_slow(struct hostile_broker *hostile)
{
	unsigned call = atomic_fetch_add(&hostile->calls, 1);

	clock_sleep_ms(call % LONG_CALL_EVERY == LONG_CALL_EVERY - 1 ? LONG_CALL_MS : CALL_MS);
}

/* --- numbers ----------------------------------------------------------- */

static uint64_t number_of(uint64_t n)
{
	return HOSTILE_BASE + n / HOSTILE_RUN * HOSTILE_STRIDE + n % HOSTILE_RUN;
}

/* The number after that of the record before `n`: a hole that nothing follows was not passed. */
static uint64_t number_end(uint64_t n) { return n == 0 ? HOSTILE_BASE : number_of(n - 1) + 1; }

/* The first record at or after a number. */
uint64_t hostile_record_from(uint64_t number)
{
	uint64_t run, place;

	if (number <= HOSTILE_BASE)
		return 0;
	run = (number - HOSTILE_BASE) / HOSTILE_STRIDE;
	place = (number - HOSTILE_BASE) % HOSTILE_STRIDE;
	return place < HOSTILE_RUN ? run * HOSTILE_RUN + place : (run + 1) * HOSTILE_RUN;
}

uint64_t hostile_number(struct position position)
{
	return position.word[0] || position.word[1] ? UINT64_MAX : position.word[2];
}

struct position hostile_outer(const struct hostile_broker *hostile, enum topic_kind kind,
			      struct position inner)
{
	uint64_t n = position_ordinal(inner);

	if (kind == TOPIC_STREAM)
		return inner;
	return position_of_offset(number_of(n > hostile->cut ? n - hostile->cut : 0));
}

/* Of what comes next, not of a record. */
struct position hostile_outer_end(const struct hostile_broker *hostile, enum topic_kind kind,
				  struct position inner)
{
	uint64_t n = position_ordinal(inner);

	if (kind == TOPIC_STREAM)
		return inner;
	return position_of_offset(number_end(n > hostile->cut ? n - hostile->cut : 0));
}

/* The inner position of the first record at or after an outer one. */
struct position hostile_inner_from(const struct hostile_broker *hostile, enum topic_kind kind,
				   struct position outer)
{
	uint64_t number = hostile_number(outer);

	if (kind == TOPIC_STREAM)
		return outer;
	return position_of_offset(
		number == UINT64_MAX ? UINT64_MAX : hostile_record_from(number) + hostile->cut);
}

enum gap_reason hostile_reason(uint64_t number)
{
	static const enum gap_reason reasons[] = {
		GAP_NONE, GAP_COMPACTED, GAP_NONE,	GAP_ABORTED,
		GAP_NONE, GAP_COMPACTED, GAP_RETENTION,
	};

	if (number < HOSTILE_BASE)
		return GAP_REMOVED;
	return reasons[(number - HOSTILE_BASE) / HOSTILE_STRIDE %
		       (sizeof(reasons) / sizeof(reasons[0]))];
}

/* --- topics ------------------------------------------------------------ */

static enum err_code hostile_create(struct broker *broker, struct topic_ref topic,
				    const struct topic_options *options, struct err *err)
{
	hostile_be_slow(hostile_broker_of(broker));
	return broker_create(hostile_broker_of(broker)->inner, topic, options, err);
}

static bool has_split(const struct partition_info *partition)
{
	return position_ordinal(partition->next) >= HOSTILE_SPLIT;
}

/* Each shard that has split is closed, and has a child whose id comes after all of theirs. */
static void split_shards(struct topic_info *info)
{
	int32_t shards = info->partition_count;

	info->partitions = xreallocarray(info->partitions, (size_t)shards * 2,
					 sizeof(*info->partitions));
	for (int32_t i = 0; i < shards; i++) {
		struct partition_info *parent = &info->partitions[i];
		struct partition_info *child = &info->partitions[info->partition_count];
		struct position cut = position_with_ordinal(parent->next, HOSTILE_SPLIT);

		if (!has_split(parent))
			continue;
		*child = *parent;
		child->id = i + shards;
		child->parents[0] = i;
		child->parents[1] = -1;
		child->born = cut;
		if (position_cmp(child->first, cut) < 0)
			child->first = cut;
		parent->open = false;
		if (position_cmp(parent->first, cut) > 0)
			parent->first = cut;
		info->partition_count++;
	}
}

static enum err_code hostile_describe(struct broker *broker, struct topic_ref topic,
				      struct topic_info *ret_info, struct err *err)
{
	struct hostile_broker *hostile = hostile_broker_of(broker);
	enum err_code code;

	hostile_be_slow(hostile);
	code = broker_describe(hostile->inner, topic, ret_info, err);
	if (code != ERR_OK)
		return code;
	if (topic.kind == TOPIC_STREAM)
		split_shards(ret_info);
	for (int32_t i = 0; i < ret_info->partition_count; i++) {
		struct partition_info *partition = &ret_info->partitions[i];

		partition->first = hostile_outer(hostile, topic.kind, partition->first);
		partition->born = hostile_outer(hostile, topic.kind, partition->born);
		partition->next_known = partition->dense = false;
		partition->next = (struct position){ 0 };
	}
	if (hostile->cut > 0 && topic.kind == TOPIC_LOG)
		ret_info->uid[0] = ret_info->uid[0] == 'f' ? 'e' : 'f';
	return ERR_OK;
}

static enum err_code hostile_list(struct broker *broker, enum topic_kind kind,
				  bool (*each)(void *user, const char *name), void *user,
				  struct err *err)
{
	hostile_be_slow(hostile_broker_of(broker));
	return broker_list(hostile_broker_of(broker)->inner, kind, each, user, err);
}

static enum err_code hostile_remove(struct broker *broker, struct topic_ref topic, struct err *err)
{
	hostile_be_slow(hostile_broker_of(broker));
	return broker_remove(hostile_broker_of(broker)->inner, topic, err);
}

/* How many shards the stream was made with; 0: it is not there. */
int32_t hostile_shards(struct hostile_broker *hostile, struct topic_ref topic)
{
	struct topic_info info;
	struct err err;
	int32_t shards;

	if (broker_describe(hostile->inner, topic, &info, &err) != ERR_OK)
		return 0;
	shards = info.partition_count;
	topic_info_release(&info);
	return shards;
}

int32_t hostile_inner_partition(struct topic_ref topic, int32_t shards, int32_t outer)
{
	return topic.kind == TOPIC_LOG || outer < 0 || shards == 0 ? outer : outer % shards;
}

/* --- appends ------------------------------------------------------------ */

/* The outcomes as the outside has them. A stream's partitions are told by how far they are. */
static void show_outcomes(struct hostile_broker *hostile, struct append *append)
{
	int32_t shards = -1;

	for (size_t i = 0; i < append->count; i++) {
		struct append_outcome *outcome = &append->outcomes[i];

		if (outcome->code != ERR_OK)
			continue;
		if (append->topic.kind == TOPIC_STREAM &&
		    position_ordinal(outcome->position) >= HOSTILE_SPLIT) {
			if (shards < 0)
				shards = hostile_shards(hostile, append->topic);
			outcome->partition += shards;
		}
		outcome->position = hostile_outer(hostile, append->topic.kind, outcome->position);
	}
}

static void hostile_done(void *user, struct append *chain)
{
	struct hostile_broker *hostile = user;

	for (struct append *append = chain; append; append = append->next)
		show_outcomes(hostile, append);
	hostile->done(hostile->done_user, chain);
}

static enum err_code hostile_append(struct broker *broker, struct append *append, struct err *err)
{
	return broker_append(hostile_broker_of(broker)->inner, append, err);
}

static void hostile_cork(struct broker *broker, bool corked)
{
	broker_cork(hostile_broker_of(broker)->inner, corked);
}

static enum err_code hostile_ready(struct broker *broker, enum topic_kind kind, size_t bytes,
				   struct err *err)
{
	return broker_ready(hostile_broker_of(broker)->inner, kind, bytes, err);
}

/* --- groups -------------------------------------------------------------- */

static enum err_code hostile_committed(struct broker *broker, const char *group,
				       struct topic_ref topic, int32_t partition,
				       struct position *ret_next, struct err *err)
{
	struct hostile_broker *hostile = hostile_broker_of(broker);
	enum err_code code;

	hostile_be_slow(hostile);
	partition = hostile_inner_partition(topic, hostile_shards(hostile, topic), partition);
	code = broker_committed(hostile->inner, group, topic, partition, ret_next, err);
	if (code == ERR_OK)
		*ret_next = hostile_outer_end(hostile, topic.kind, *ret_next);
	return code;
}

static enum err_code hostile_commit(struct broker *broker, const char *group,
				    struct topic_ref topic, int32_t partition,
				    struct position next, struct err *err)
{
	struct hostile_broker *hostile = hostile_broker_of(broker);

	hostile_be_slow(hostile);
	partition = hostile_inner_partition(topic, hostile_shards(hostile, topic), partition);
	return broker_commit(hostile->inner, group, topic, partition,
			     hostile_inner_from(hostile, topic.kind, next), err);
}

static enum err_code hostile_groups(struct broker *broker,
				    bool (*each)(void *user, const char *name), void *user,
				    struct err *err)
{
	hostile_be_slow(hostile_broker_of(broker));
	return broker_groups(hostile_broker_of(broker)->inner, each, user, err);
}

/* Of a shard that has split the child is meant once the parent is done. */
static void show_place(struct hostile_broker *hostile, struct group_place *place)
{
	struct topic_ref topic = { place->kind, place->topic };

	if (place->kind == TOPIC_STREAM && position_ordinal(place->next) >= HOSTILE_SPLIT)
		place->partition += hostile_shards(hostile, topic);
	place->next = hostile_outer_end(hostile, place->kind, place->next);
}

static enum err_code hostile_describe_group(struct broker *broker, const char *group,
					    struct group_info *ret_info, struct err *err)
{
	struct hostile_broker *hostile = hostile_broker_of(broker);
	enum err_code code;

	hostile_be_slow(hostile);
	code = broker_describe_group(hostile->inner, group, ret_info, err);
	for (size_t i = 0; code == ERR_OK && i < ret_info->place_count; i++)
		show_place(hostile, &ret_info->places[i]);
	return code;
}

static enum err_code hostile_reset_group(struct broker *broker, const char *group,
					 const struct group_place *places, size_t count,
					 struct err *err)
{
	struct hostile_broker *hostile = hostile_broker_of(broker);
	struct group_place *inner = xcalloc(count, sizeof(*inner));
	enum err_code code;

	hostile_be_slow(hostile);
	for (size_t i = 0; i < count; i++) {
		struct topic_ref topic = { places[i].kind, places[i].topic };

		inner[i] = places[i];
		inner[i].partition = hostile_inner_partition(topic, hostile_shards(hostile, topic),
							     places[i].partition);
		inner[i].next = hostile_inner_from(hostile, topic.kind, places[i].next);
	}
	code = broker_reset_group(hostile->inner, group, inner, count, err);
	free(inner);
	return code;
}

/* --- where and how it is kept ------------------------------------------- */

static enum err_code hostile_nodes(struct broker *broker, enum topic_kind kind,
				   bool (*each)(void *user, const struct broker_node *node),
				   void *user, struct err *err)
{
	hostile_be_slow(hostile_broker_of(broker));
	return broker_nodes(hostile_broker_of(broker)->inner, kind, each, user, err);
}

static enum err_code hostile_settings(struct broker *broker, struct topic_ref topic,
				      bool (*each)(void *user, const char *name, const char *value),
				      void *user, struct err *err)
{
	hostile_be_slow(hostile_broker_of(broker));
	return broker_settings(hostile_broker_of(broker)->inner, topic, each, user, err);
}

static enum err_code hostile_verify(struct broker *broker,
				    void (*each)(void *user, const char *what), void *user,
				    struct broker_verdict *ret_verdict, struct err *err)
{
	return broker_verify(hostile_broker_of(broker)->inner, each, user, ret_verdict, err);
}

static void hostile_free(struct broker *broker)
{
	broker_free(hostile_broker_of(broker)->inner);
	free(broker);
}

static const struct broker_ops hostile_ops = {
	.name = "hostile",
	.create = hostile_create,
	.describe = hostile_describe,
	.list = hostile_list,
	.remove = hostile_remove,
	.append = hostile_append,
	.cork = hostile_cork,
	.ready = hostile_ready,
	.committed = hostile_committed,
	.commit = hostile_commit,
	.nodes = hostile_nodes,
	.settings = hostile_settings,
	.groups = hostile_groups,
	.describe_group = hostile_describe_group,
	.reset_group = hostile_reset_group,
	.verify = hostile_verify,
	.reader_open = hostile_reader_open,
	.reader_seek = hostile_reader_seek,
	.reader_next = hostile_reader_next,
	.reader_pause = hostile_reader_pause,
	.reader_release = hostile_reader_release,
	.reader_fd = hostile_reader_fd,
	.reader_commit = hostile_reader_commit,
	.reader_close = hostile_reader_close,
	.free = hostile_free,
};

enum err_code broker_hostile_new(const struct broker_local_options *options,
				 struct broker **ret_broker, struct err *err)
{
	struct hostile_broker *hostile = xcalloc(1, sizeof(*hostile));
	struct broker_local_options inner = *options;
	const char *cut = getenv("PINPIPE_HOSTILE_CUT");
	enum err_code code;

	hostile->base.ops = &hostile_ops;
	hostile->cut = cut ? strtoull(cut, NULL, 10) : 0;
	hostile->done = options->done;
	hostile->done_user = options->done_user;
	if (options->done) {
		inner.done = hostile_done;
		inner.done_user = hostile;
	}
	code = broker_local_new(&inner, &hostile->inner, err);
	if (code != ERR_OK) {
		free(hostile);
		return code;
	}
	*ret_broker = &hostile->base;
	return ERR_OK;
}
