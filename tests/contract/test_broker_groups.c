/* The contract of broker.h for what administrators see: groups, nodes, settings. */
#include "base/buf.h"
#include "broker_fixture.h"

static bool add_name(void *user, const char *name)
{
	struct buf *names = user;

	buf_addf(names, "%s;", name);
	return true;
}

static void expect_groups(struct fixture *f, const char *want)
{
	struct err err = { 0 };
	struct buf names;

	buf_init(&names, 1000);
	assert_ok(broker_groups(f->broker, add_name, &names, &err));
	assert_string_equal(names.len ? buf_cstr(&names) : "", want);
	buf_release(&names);
}

static struct position position_of(const struct fixture *f, struct topic_ref topic,
				   int32_t partition, bool next)
{
	struct topic_info info = { 0 };
	struct err err = { 0 };
	struct position position;

	assert_ok(broker_describe(f->broker, topic, &info, &err));
	position = next ? info.partitions[partition].next : info.partitions[partition].first;
	topic_info_release(&info);
	return position;
}

static void commit(const struct fixture *f, const char *group, struct topic_ref topic,
		   int32_t partition, struct position next)
{
	struct err err = { 0 };

	assert_ok(broker_commit(f->broker, group, topic, partition, next, &err));
}

static void expect_committed(const struct fixture *f, const char *group, int32_t partition,
			     struct position want)
{
	struct position next = { 0 };
	struct err err = { 0 };

	assert_ok(broker_committed(f->broker, group, pin, partition, &next, &err));
	assert_int_equal(position_cmp(next, want), 0);
}

static void test_groups_are_those_that_committed(void **state)
{
	struct fixture *f = *state;
	struct group_info info = { 0 };
	struct err err = { 0 };
	struct position last;

	create(f, pin, 2);
	create(f, geo, 1);
	expect_groups(f, "");
	assert_int_equal(broker_describe_group(f->broker, "b", &info, &err), ERR_ABSENT);
	(void)put(f, pin, 1, "x");
	last = put(f, pin, 1, "y").position;
	commit(f, "b", pin, 1, last);
	commit(f, "b", geo, 0, position_of(f, geo, 0, false));
	commit(f, "b", pin, 0, position_of(f, pin, 0, false));
	commit(f, "a", geo, 0, position_of(f, geo, 0, false));
	expect_groups(f, "a;b;");
	assert_ok(broker_describe_group(f->broker, "b", &info, &err));
	assert_int_equal(info.state, GROUP_EMPTY);
	assert_int_equal(info.member_count, 0);
	assert_int_equal(info.place_count, 3);
	assert_string_equal(info.places[0].topic, geo.name);
	assert_string_equal(info.places[2].topic, pin.name);
	assert_int_equal(info.places[2].partition, 1);
	assert_true(info.places[2].committed && !info.places[2].member);
	assert_int_equal(position_cmp(info.places[2].next, last), 0);
	group_info_release(&info);
	assert_int_equal(broker_describe_group(f->broker, "c", &info, &err), ERR_ABSENT);
	assert_int_equal(broker_describe_group(f->broker, "not/ours", &info, &err), ERR_ABSENT);
}

/* What is of a topic that is gone is nobody's place; a service may take a moment to forget it. */
static void test_a_topic_that_is_gone_is_no_place(void **state)
{
	int64_t until_ms = clock_mono_ms() + 10000;
	struct fixture *f = *state;
	struct group_info info = { 0 };
	struct err err = { 0 };

	create(f, pin, 1);
	create(f, geo, 1);
	commit(f, "g", pin, 0, position_of(f, pin, 0, false));
	commit(f, "g", geo, 0, position_of(f, geo, 0, false));
	assert_ok(broker_remove(f->broker, pin, &err));
	assert_ok(broker_describe_group(f->broker, "g", &info, &err));
	while (info.place_count != 1 && clock_mono_ms() < until_ms) {
		group_info_release(&info);
		assert_ok(broker_describe_group(f->broker, "g", &info, &err));
	}
	assert_int_equal(info.place_count, 1);
	assert_string_equal(info.places[0].topic, geo.name);
	group_info_release(&info);
}

static struct broker_reader *join(struct fixture *f, const char *group)
{
	const struct reader_options options = {
		.group = group, .topics = &pin, .topic_count = 1, .bytes_max = 1 << 20
	};
	struct broker_reader *reader;
	struct err err = { 0 };
	char text[64];

	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	read_texts(reader, 2, text, sizeof(text)); /* it was not sought: from the first */
	return reader;
}

static struct group_place place_at(struct position next)
{
	struct group_place place = { .kind = pin.kind, .next = next };

	(void)snprintf(place.topic, sizeof(place.topic), "%s", pin.name);
	return place;
}

/* Who reads is seen, what it committed at once; and nobody moves it under its hands. */
static void test_a_member_keeps_its_group(void **state)
{
	struct fixture *f = *state;
	struct group_info info = { 0 };
	struct broker_reader *reader;
	struct group_place place;
	struct err err = { 0 };
	struct position second;

	create(f, pin, 1);
	place = place_at(put(f, pin, 0, "x").position);
	second = put(f, pin, 0, "y").position;
	reader = join(f, "g");
	assert_ok(reader_commit(reader, pin, 0, place.next, &err));
	assert_ok(reader_commit(reader, pin, 0, second, &err));
	assert_ok(broker_describe_group(f->broker, "g", &info, &err));
	assert_int_equal(info.state, GROUP_STABLE);
	assert_int_equal(info.member_count, 1);
	assert_true(info.members[0].id[0]);
	assert_int_equal(info.place_count, 1);
	assert_string_equal(info.places[0].member, info.members[0].id);
	assert_int_equal(position_cmp(info.places[0].next, second), 0);
	group_info_release(&info);
	assert_int_equal(broker_reset_group(f->broker, "g", &place, 1, &err), ERR_BUSY);
	expect_committed(f, "g", 0, second);
	reader_close(reader);
	assert_ok(broker_describe_group(f->broker, "g", &info, &err));
	assert_int_equal(info.state, GROUP_EMPTY);
	group_info_release(&info);
	assert_ok(broker_reset_group(f->broker, "g", &place, 1, &err));
	expect_committed(f, "g", 0, place.next);
}

/* All or nothing, back and forth, also of a group that was not there. */
static void test_a_reset_sets_all_places(void **state)
{
	struct fixture *f = *state;
	struct group_place places[2];
	struct position first, last;
	struct err err = { 0 };

	create(f, pin, 2);
	first = put(f, pin, 0, "x").position;
	last = put(f, pin, 0, "y").position;
	places[0] = places[1] = place_at(last);
	places[1].partition = 1;
	places[1].next = position_of(f, pin, 1, false);
	assert_ok(broker_reset_group(f->broker, "new", places, 2, &err));
	expect_committed(f, "new", 0, last);
	expect_committed(f, "new", 1, places[1].next);
	places[0].next = first;
	places[1].partition = 7;
	assert_int_equal(broker_reset_group(f->broker, "new", places, 2, &err), ERR_NO_PARTITION);
	expect_committed(f, "new", 0, last);
	assert_ok(broker_reset_group(f->broker, "new", places, 1, &err));
	expect_committed(f, "new", 0, first);
}

/* A pattern means what is there and what comes; what two names mean is assigned once. */
static void test_a_group_of_patterns(void **state)
{
	struct fixture *f = *state;
	const struct topic_ref topics[] = { { TOPIC_LOG, "*.p?n" }, pin, { TOPIC_LOG, "shop*" } };
	const struct topic_ref shop = { TOPIC_LOG, "shop" };
	const struct reader_options options = { .group = "patterns", .topics = topics,
						.topic_count = 3, .bytes_max = 1 << 20 };
	struct broker_reader *reader;
	struct reader_event event;
	struct err err = { 0 };

	create(f, pin, 1);
	create(f, geo, 1);
	create(f, (struct topic_ref){ TOPIC_LOG, "workshop" }, 1);
	create(f, (struct topic_ref){ TOPIC_STREAM, "shops" }, 1);
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	event = next_event(reader);
	assert_int_equal(event.kind, READER_ASSIGNED);
	assert_string_equal(event.topic.name, pin.name);
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	create(f, shop, 1);
	event = next_event(reader);
	assert_int_equal(event.kind, READER_ASSIGNED);
	assert_string_equal(event.topic.name, shop.name);
	assert_int_equal(event_now(reader).kind, READER_IDLE);
	reader_close(reader);
}

static bool add_node(void *user, const struct broker_node *node)
{
	struct buf *nodes = user;

	assert_non_null(node->host);
	buf_addf(nodes, ";%d;", node->id);
	return true;
}

static bool is_setting(void *user, const char *name, const char *value)
{
	(void)user;
	(void)value;
	assert_true(name[0]);
	return true;
}

/* Who leads a partition, and has a copy, is one of the nodes. */
static void expect_known(const struct buf *nodes, int32_t node)
{
	char text[16];

	(void)snprintf(text, sizeof(text), ";%d;", node);
	assert_non_null(strstr(nodes->ptr, text));
}

static void test_what_is_kept_is_on_nodes(void **state)
{
	struct fixture *f = *state;
	struct topic_info info = { 0 };
	struct err err = { 0 };
	struct buf nodes;

	create(f, pin, 2);
	buf_init(&nodes, 1000);
	assert_ok(broker_nodes(f->broker, TOPIC_LOG, add_node, &nodes, &err));
	assert_non_null(buf_cstr(&nodes));
	assert_ok(broker_describe(f->broker, pin, &info, &err));
	for (int32_t i = 0; i < info.partition_count; i++) {
		const struct partition_info *partition = &info.partitions[i];

		expect_known(&nodes, partition->leader);
		assert_true(partition->replica_count > 0);
		for (size_t k = 0; k < partition->replica_count; k++)
			expect_known(&nodes, partition->replicas[k].node);
	}
	topic_info_release(&info);
	buf_release(&nodes);
	assert_ok(broker_settings(f->broker, pin, is_setting, NULL, &err));
	assert_int_equal(broker_settings(f->broker, geo, is_setting, NULL, &err), ERR_NO_TOPIC);
}

/* A member of another process counts as one of this one. */
static void test_members_of_other_processes(void **state)
{
	struct fixture *f = *state;
	const struct broker_local_options options = { .dir = f->dir };
	struct group_place place;
	struct group_info info = { 0 };
	struct broker_reader *reader;
	struct broker *other;
	struct err err = { 0 };

	create(f, pin, 1);
	place = place_at(put(f, pin, 0, "x").position);
	(void)put(f, pin, 0, "y");
	assert_ok(broker_local_new(&options, &other, &err));
	reader = join(f, "g");
	assert_int_equal(broker_reset_group(other, "g", &place, 1, &err), ERR_BUSY);
	assert_ok(broker_describe_group(other, "g", &info, &err));
	assert_int_equal(info.member_count, 1);
	group_info_release(&info);
	reader_close(reader);
	assert_ok(broker_reset_group(other, "g", &place, 1, &err));
	expect_committed(f, "g", 0, place.next);
	broker_free(other);
}

/* Where one of the two would refuse, the other stays as it is. */
static void test_two_brokers_are_reset_together(void **state)
{
	struct fixture *f = *state;
	const struct reader_options options = {
		.group = "g", .topics = &stream, .topic_count = 1, .bytes_max = 1 << 20
	};
	struct broker_reader *reader;
	struct group_place places[2] = { { .kind = TOPIC_STREAM } };
	struct position old;
	struct err err = { 0 };

	create(f, pin, 1);
	create(f, stream, 1);
	old = put(f, pin, 0, "x").position;
	commit(f, "g", pin, 0, old);
	(void)snprintf(places[0].topic, sizeof(places[0].topic), "%s", stream.name);
	places[0].next = position_of(f, stream, 0, false);
	places[1] = place_at(put(f, pin, 0, "y").position);
	assert_ok(broker_reader_open(f->broker, &options, &reader, &err));
	assert_int_equal(next_event(reader).kind, READER_ASSIGNED);
	assert_int_equal(broker_reset_group(f->broker, "g", places, 2, &err), ERR_BUSY);
	expect_committed(f, "g", 0, old);
	reader_close(reader);
	assert_ok(broker_reset_group(f->broker, "g", places, 2, &err));
	expect_committed(f, "g", 0, places[1].next);
}

#define CONTRACT(open) \
	{ #open " groups", test_groups_are_those_that_committed, open, close_fixture, NULL }, \
	{ #open " gone", test_a_topic_that_is_gone_is_no_place, open, close_fixture, NULL }, \
	{ #open " members", test_a_member_keeps_its_group, open, close_fixture, NULL }, \
	{ #open " reset", test_a_reset_sets_all_places, open, close_fixture, NULL }, \
	{ #open " patterns", test_a_group_of_patterns, open, close_fixture, NULL }, \
	{ #open " nodes", test_what_is_kept_is_on_nodes, open, close_fixture, NULL }

int main(void)
{
	/* The mock cluster answers no administrators: most is tried on a real one alone. */
	const struct CMUnitTest real[] = { CONTRACT(open_kafka) };
	const struct CMUnitTest tests[] = {
		CONTRACT(open_memory),
		CONTRACT(open_sparse),
		CONTRACT(open_faulty),
		CONTRACT(open_slow),
		CONTRACT(open_kinds),
		CONTRACT(open_kinds_of_one),
		CONTRACT(open_local),
		CONTRACT(open_hostile),
		{ "open_kafka patterns", test_a_group_of_patterns, open_kafka, close_fixture, NULL },
		{ "members of other processes", test_members_of_other_processes, open_local,
		  close_fixture, NULL },
		{ "two brokers", test_two_brokers_are_reset_together, open_kinds, close_fixture,
		  NULL },
	};

	if (getenv("PINPIPE_TEST_KAFKA"))
		return cmocka_run_group_tests(real, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
