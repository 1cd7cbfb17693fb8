#include "broker/topics.h"

#include "base/mem.h"
#include "base/time.h"
#include "broker/partitioner.h"
#include "broker/sequence.h"

#include <inttypes.h>
#include <sys/random.h>

const char *topic_kind_name(enum topic_kind kind)
{
	return kind == TOPIC_LOG ? "topic" : "stream";
}

const char *topic_kind_text(enum topic_kind kind)
{
	return kind == TOPIC_LOG ? "log" : "stream";
}

bool topic_kind_parse(const char *text, enum topic_kind *ret_kind)
{
	bool is_log = strcmp(text, topic_kind_text(TOPIC_LOG)) == 0;

	if (!is_log && strcmp(text, topic_kind_text(TOPIC_STREAM)) != 0)
		return false;
	*ret_kind = is_log ? TOPIC_LOG : TOPIC_STREAM;
	return true;
}

void topics_init(struct topics *topics)
{
	*topics = (struct topics){ 0 };
}

void topics_release(struct topics *topics)
{
	for (size_t i = 0; i < topics->count; i++)
		topic_free(topics->items[i]);
	floors_release(&topics->floors);
	free(topics->items);
	topics_init(topics);
}

void topic_free(struct topic *topic)
{
	free(topic->partitions);
	free(topic);
}

static int ref_cmp(struct topic_ref a, struct topic_ref b)
{
	return a.kind != b.kind ? (int)a.kind - (int)b.kind : strcmp(a.name, b.name);
}

static struct topic_ref ref_of(const struct topic *topic)
{
	return (struct topic_ref){ .kind = topic->kind, .name = topic->name };
}

/* The place of `ref`, or where it would go. */
static size_t topics_place(const struct topics *topics, struct topic_ref ref, bool *ret_found)
{
	size_t low = 0, high = topics->count;

	*ret_found = false;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int cmp = ref_cmp(ref_of(topics->items[mid]), ref);

		if (cmp == 0) {
			*ret_found = true;
			return mid;
		}
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct topic *topics_find(const struct topics *topics, struct topic_ref ref)
{
	bool found;
	size_t at = topics_place(topics, ref, &found);

	return found && topics->items[at]->phase == TOPIC_LIVE ? topics->items[at] : NULL;
}

bool topic_is_meant(const struct topic *topic, struct topic_ref ref)
{
	return topic->kind == ref.kind && topic->phase == TOPIC_LIVE &&
	       name_matches(ref.name, topic->name);
}

struct topic *topics_find_uid(const struct topics *topics, uint64_t uid)
{
	for (size_t i = 0; i < topics->count; i++)
		if (topics->items[i]->uid == uid)
			return topics->items[i];
	return NULL;
}

enum err_code topics_get(const struct topics *topics, struct topic_ref ref,
			 struct topic **ret_topic, struct err *err)
{
	struct topic *topic = topics_find(topics, ref);

	if (!topic)
		return err_set(err, ERR_NO_TOPIC, "%s \"%.*s\" does not exist",
			       topic_kind_name(ref.kind), TOPIC_NAME_MAX, ref.name);
	*ret_topic = topic;
	return ERR_OK;
}

bool topics_insert(struct topics *topics, struct topic *topic)
{
	bool found;
	size_t at = topics_place(topics, ref_of(topic), &found);

	if (found)
		return false;
	topics->items = xreallocarray(topics->items, topics->count + 1, sizeof(*topics->items));
	memmove(topics->items + at + 1, topics->items + at,
		(topics->count - at) * sizeof(*topics->items));
	topics->items[at] = topic;
	topics->count++;
	topics->partition_count += (size_t)topic->partition_count;
	return true;
}

struct topic *topic_new(struct topic_ref ref, int32_t partitions)
{
	struct topic *topic = xcalloc(1, sizeof(*topic));

	topic->kind = ref.kind;
	memcpy(topic->name, ref.name, strlen(ref.name) + 1);
	topic->partition_count = partitions;
	topic->partitions = xcalloc((size_t)partitions, sizeof(*topic->partitions));
	for (int32_t i = 0; i < partitions; i++) {
		struct partition *partition = &topic->partitions[i];

		partition->topic = topic;
		partition->id = i;
		partition->open = true;
		partition->parents[0] = partition->parents[1] = -1;
		partitioner_range(i, partitions, &partition->hash_first, &partition->hash_last);
	}
	return topic;
}

/* Never 0, which marks what belongs to no topic. */
static uint64_t new_uid(const struct topics *topics)
{
	uint64_t uid = 0;

	while (uid == 0 || topics_find_uid(topics, uid))
		(void)!getrandom(&uid, sizeof(uid), 0);
	return uid;
}

static enum err_code check_new(const struct topics *topics, struct topic_ref ref,
			       int32_t partitions, struct err *err)
{
	struct slice name = slice_str(ref.name);
	enum err_code code = ref.kind == TOPIC_LOG ? name_check_topic(name, err)
						   : name_check_stream(name, err);
	bool found;

	if (code != ERR_OK)
		return code;
	if (partitions < 1 || partitions > PARTITIONS_MAX)
		return err_set(err, ERR_SHAPE, "%s \"%s\" cannot have %" PRId32
			       " partitions, only 1 to %d", topic_kind_name(ref.kind), ref.name,
			       partitions, PARTITIONS_MAX);
	(void)topics_place(topics, ref, &found);
	if (found)
		return err_set(err, ERR_EXISTS, "%s \"%s\" exists already", topic_kind_name(ref.kind),
			       ref.name);
	if (topics->count >= TOPICS_MAX ||
	    topics->partition_count + (size_t)partitions > TOPICS_PARTITIONS_MAX)
		return err_set(err, ERR_LIMIT, "there are too many topics or partitions for one "
			       "more: at most %d and %d", TOPICS_MAX, TOPICS_PARTITIONS_MAX);
	return ERR_OK;
}

/* Where a partition begins when nobody says so. */
static void begin_partition(struct partition *partition, const struct topic_floor *floor)
{
	partition->created_s = (uint64_t)(partition->topic->created_ms / 1000);
	if (floor && partition->created_s <= floor->created_s)
		partition->created_s = floor->created_s + 1;
	partition->floor = floor_ordinal(floor, (size_t)partition->id);
}

/* Where it begins by somebody's will: not where a topic of that name has been. */
static enum err_code begin_at(struct partition *partition, const struct topic_floor *floor,
			      struct position born, struct err *err)
{
	bool is_sequence = !position_is_ordinal(born);
	uint64_t ordinal = position_ordinal(born), made = partition->created_s;
	char text[POSITION_TEXT_MAX];
	bool taken;

	(void)position_text(born, text);
	if (is_sequence)
		made = position_created_s(born);
	taken = ordinal < partition->floor || (floor && made < floor->created_s);
	if (is_sequence && (partition->topic->kind == TOPIC_LOG ||
			    position_cmp(born, position_of_sequence(made, (uint32_t)partition->id,
								    ordinal)) != 0))
		return err_set(err, ERR_SHAPE, "partition %" PRId32 " cannot begin at %s, which "
			       "is no position of it", partition->id, text);
	if (taken)
		return err_set(err, ERR_SHAPE, "partition %" PRId32 " cannot begin at %s: there "
			       "were records of that name before it", partition->id, text);
	partition->floor = ordinal;
	partition->created_s = made;
	return ERR_OK;
}

static enum err_code begin_partitions(struct topic *topic, const struct topic_floor *floor,
				      const struct position *born, struct err *err)
{
	enum err_code code = ERR_OK;

	for (int32_t i = 0; i < topic->partition_count && code == ERR_OK; i++) {
		struct partition *partition = &topic->partitions[i];

		begin_partition(partition, floor);
		if (born)
			code = begin_at(partition, floor, born[i], err);
		partition->first = partition->next = partition->floor;
	}
	return code;
}

enum err_code topics_create(struct topics *topics, struct topic_ref ref,
			    const struct topic_options *options, struct topic **ret_topic,
			    struct err *err)
{
	int32_t partitions = options->partitions;
	enum err_code code = check_new(topics, ref, partitions, err);
	struct topic *topic;

	if (code == ERR_OK && options->replicas > 1)
		code = err_set(err, ERR_UNSUPPORTED,
			       "there is one copy of each partition here, and "
			       "cannot be %" PRId32,
			       options->replicas);
	if (code != ERR_OK)
		return code;
	topic = topic_new(ref, partitions);
	topic->uid = new_uid(topics);
	topic->created_ms = clock_wall_ms();
	/* What is gone may take the room that what is there leaves. */
	floors_fit(&topics->floors, TOPICS_MAX - topics->count - 1,
		   TOPICS_PARTITIONS_MAX - topics->partition_count - (size_t)partitions);
	code = begin_partitions(topic, floors_find(&topics->floors, ref), options->born, err);
	if (code != ERR_OK) {
		topic_free(topic);
		return code;
	}
	(void)topics_insert(topics, topic);
	*ret_topic = topic;
	return ERR_OK;
}

void topics_leave_floor(struct topics *topics, const struct topic *topic)
{
	const struct topic_floor *old = floors_find(&topics->floors, ref_of(topic));
	struct topic_floor floor = { .kind = topic->kind, .others = old ? old->others : 0 };
	size_t partitions = (size_t)topic->partition_count;

	memcpy(floor.name, topic->name, sizeof(floor.name));
	floor.count = old && old->count > partitions ? old->count : partitions;
	floor.ordinals = xcalloc(floor.count, sizeof(*floor.ordinals));
	for (size_t i = 0; i < partitions; i++) {
		const struct partition *partition = &topic->partitions[i];

		floor.ordinals[i] = partition->next;
		if (partition->created_s > floor.created_s)
			floor.created_s = partition->created_s;
	}
	/* A partition that only an earlier topic of the name had keeps its floor. */
	for (size_t i = partitions; i < floor.count; i++)
		floor.ordinals[i] = floor_ordinal(old, i);
	floors_add(&topics->floors, &floor);
}

void topics_drop(struct topics *topics, struct topic *topic)
{
	bool found;
	size_t at = topics_place(topics, ref_of(topic), &found);

	topics->count--;
	topics->partition_count -= (size_t)topic->partition_count;
	memmove(topics->items + at, topics->items + at + 1,
		(topics->count - at) * sizeof(*topics->items));
	topic_free(topic);
}

void topics_have_come(struct topics *topics)
{
	for (size_t i = 0; i < topics->count; i++)
		if (topics->items[i]->phase == TOPIC_COMING)
			topics->items[i]->phase = TOPIC_LIVE;
}

void topics_list(const struct topics *topics, enum topic_kind kind,
		 bool (*each)(void *user, const char *name), void *user)
{
	for (size_t i = 0; i < topics->count; i++)
		if (topics->items[i]->kind == kind && topics->items[i]->phase == TOPIC_LIVE &&
		    !each(user, topics->items[i]->name))
			return;
}

const struct replica topic_replica = { .node = 1, .in_sync = true };

void topic_describe(const struct topic *topic, struct topic_info *ret_info)
{
	struct topic_info info = { .kind = topic->kind, .created_ms = topic->created_ms,
				   .partition_count = topic->partition_count };

	memcpy(info.name, topic->name, sizeof(info.name));
	(void)snprintf(info.uid, sizeof(info.uid), "%016" PRIx64, topic->uid);
	info.partitions = xcalloc((size_t)topic->partition_count, sizeof(*info.partitions));
	for (int32_t i = 0; i < topic->partition_count; i++) {
		const struct partition *partition = &topic->partitions[i];

		info.partitions[i] = (struct partition_info){
			.id = partition->id,
			.open = partition->open,
			.leader = topic_replica.node,
			.replicas = &topic_replica,
			.replica_count = 1,
			.first = partition_position(partition, partition->first),
			.next_known = true,
			.next = partition_position(partition, partition->next),
			.records = partition->next - partition->first,
			.dense = topic->kind == TOPIC_LOG,
			.born = partition_position(partition, partition->floor),
			.parents = { partition->parents[0], partition->parents[1] },
			.hash_first = partition->hash_first,
			.hash_last = partition->hash_last,
		};
	}
	*ret_info = info;
}

struct position partition_position(const struct partition *partition, uint64_t ordinal)
{
	if (partition->topic->kind == TOPIC_LOG)
		return position_of_offset(ordinal);
	return position_of_sequence(partition->created_s, (uint32_t)partition->id, ordinal);
}

uint64_t partition_ordinal_from(const struct partition *partition, struct position position)
{
	uint64_t ordinal = position_ordinal(position);

	if (partition->topic->kind == TOPIC_LOG || position_is_ordinal(position))
		return ordinal;
	/* Any number is allowed here, also one that lies between two of ours. */
	if (position_cmp(position, partition_position(partition, 0)) <= 0)
		return 0;
	if (position_cmp(position, partition_position(partition, INT64_MAX)) > 0)
		return UINT64_MAX;
	return ordinal + (position_cmp(position, partition_position(partition, ordinal)) > 0);
}

uint64_t partition_ordinal_after(const struct partition *partition, struct position position)
{
	uint64_t ordinal = partition_ordinal_from(partition, position);

	if (ordinal == UINT64_MAX)
		return ordinal;
	if (position_is_ordinal(position))
		return ordinal + 1;
	return ordinal + (position_cmp(position, partition_position(partition, ordinal)) == 0);
}

enum err_code topic_partition(struct topic *topic, int32_t id, struct partition **ret_partition,
			      struct err *err)
{
	if (id < 0 || id >= topic->partition_count)
		return err_set(err, ERR_NO_PARTITION, "%s \"%s\" has no partition %" PRId32,
			       topic_kind_name(topic->kind), topic->name, id);
	*ret_partition = &topic->partitions[id];
	return ERR_OK;
}
