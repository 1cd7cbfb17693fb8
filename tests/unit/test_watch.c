/* A backend that breaks the contract of broker.h ends the program; so does a caller. Each in a
 * process of its own, with a backend that does what it is told. */
#include "broker/broker.h"
#include "broker/sequence.h"
#include "testing.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct topic_ref pin = { TOPIC_LOG, "pin" };

/* What reader_next() gives, one after the other. */
struct script {
	struct reader_event events[4];
	size_t next;
	enum err_code code;		/* of everything */
	struct partition_info partition;
	enum topic_kind kind;		/* … of a topic of this kind */
	struct broker_reader reader;
	struct broker broker;
};

static struct script script;

static enum err_code say(struct err *err)
{
	return script.code == ERR_OK ? ERR_OK : err_set(err, script.code, "as told");
}

static enum err_code script_list(struct broker *broker, enum topic_kind kind,
				 bool (*each)(void *user, const char *name), void *user,
				 struct err *err)
{
	(void)broker;
	(void)kind;
	(void)each;
	(void)user;
	return say(err);
}

static enum err_code script_open(struct broker *broker, const struct reader_options *options,
				 struct broker_reader **ret_reader, struct err *err)
{
	(void)options;
	(void)err;
	script.reader.broker = broker;
	*ret_reader = &script.reader;
	return ERR_OK;
}

static enum err_code script_seek(struct broker_reader *reader, struct topic_ref topic,
				 int32_t partition, struct reader_start start, struct err *err)
{
	(void)reader;
	(void)topic;
	(void)partition;
	(void)start;
	return say(err);
}

static enum err_code script_next(struct broker_reader *reader, int64_t deadline_ms,
				 struct reader_event *ret_event, struct err *err)
{
	(void)reader;
	(void)deadline_ms;
	*ret_event = script.events[script.next++];
	return say(err);
}

static enum err_code script_pause(struct broker_reader *reader, struct topic_ref topic,
				  int32_t partition, bool paused, struct err *err)
{
	(void)reader;
	(void)topic;
	(void)partition;
	(void)paused;
	return say(err);
}

static void script_release(struct broker_reader *reader, struct topic_ref topic,
			   int32_t partition)
{
	(void)reader;
	(void)topic;
	(void)partition;
}

static enum err_code script_describe(struct broker *broker, struct topic_ref topic,
				     struct topic_info *ret_info, struct err *err)
{
	(void)broker;
	*ret_info = (struct topic_info){ .kind = topic.kind, .uid = "1", .partition_count = 1,
					 .partitions = &script.partition };
	(void)snprintf(ret_info->name, sizeof(ret_info->name), "%s", topic.name);
	return say(err);
}

static const struct broker_ops script_ops = {
	.name = "script",
	.describe = script_describe,
	.list = script_list,
	.reader_open = script_open,
	.reader_seek = script_seek,
	.reader_next = script_next,
	.reader_pause = script_pause,
	.reader_release = script_release,
};

/* A place to begin, and then all events of the script. */
static void play(bool group)
{
	const struct reader_options options = { .group = group ? "g" : NULL, .topics = &pin,
						.topic_count = 1, .bytes_max = 10 };
	const struct reader_start at = { .kind = START_AT, .position = position_of_offset(5) };
	struct broker_reader *reader;
	struct reader_event event;
	struct err err;

	script.broker.ops = &script_ops;
	if (broker_reader_open(&script.broker, &options, &reader, &err) != ERR_OK)
		_exit(2);
	if (!group && reader_seek(reader, pin, 0, at, &err) != ERR_OK)
		_exit(2);
	while (script.events[script.next].kind != READER_IDLE)
		if (reader_next(reader, 0, &event, &err) != ERR_OK)
			_exit(3);
}

/* Runs it in another process; true: the contract ended that. */
static bool is_broken(void (*run)(bool group), bool group)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(4);
		run(group);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), SIGABRT);
	else
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFSIGNALED(status);
}

static struct record records[16];

static struct reader_event give(uint64_t first, uint64_t second)
{
	static struct record two[2];

	two[0].position = position_of_offset(first);
	two[1].position = position_of_offset(second);
	return (struct reader_event){ .kind = READER_RECORDS, .topic = pin, .records = two,
				      .count = 2 };
}

static struct reader_event one(uint64_t offset)
{
	struct record *record = &records[offset % 16];

	record->position = position_of_offset(offset);
	return (struct reader_event){ .kind = READER_RECORDS, .topic = pin, .records = record,
				      .count = 1 };
}

static struct reader_event gap(uint64_t first, uint64_t last)
{
	return (struct reader_event){ .kind = READER_GAP, .topic = pin, .gap = GAP_DAMAGED,
				      .first = position_of_offset(first),
				      .last = position_of_offset(last) };
}

static struct reader_event say_of(enum reader_event_kind kind)
{
	return (struct reader_event){ .kind = kind, .topic = pin };
}

static bool breaks(bool group, struct reader_event a, struct reader_event b,
		   struct reader_event c)
{
	script = (struct script){ .events = { a, b, c } };
	return is_broken(play, group);
}

static const struct reader_event nothing = { .kind = READER_IDLE };

static void test_positions_rise(void **state)
{
	struct reader_event large = one(5);

	(void)state;
	assert_false(breaks(false, one(5), gap(6, 7), one(8)));
	assert_false(breaks(false, gap(5, 5), give(6, 9), one(10)));
	assert_true(breaks(false, one(4), nothing, nothing));	/* before the start */
	assert_true(breaks(false, one(5), one(5), nothing));
	assert_true(breaks(false, one(6), gap(6, 7), nothing));
	assert_true(breaks(false, gap(5, 7), one(7), nothing));
	assert_true(breaks(false, gap(8, 7), nothing, nothing));
	assert_true(breaks(false, give(6, 6), nothing, nothing));
	large.count = 0;
	assert_true(breaks(false, large, nothing, nothing));
	large = gap(5, 6);
	large.gap = (enum gap_reason)99;
	assert_true(breaks(false, large, nothing, nothing));
}

static void test_caught_up_once(void **state)
{
	struct reader_event caught_up = say_of(READER_CAUGHT_UP);

	(void)state;
	assert_false(breaks(false, caught_up, one(5), caught_up));
	assert_true(breaks(false, caught_up, caught_up, nothing));
	assert_true(breaks(false, one(5), caught_up, caught_up));
}

static void test_only_what_is_read(void **state)
{
	struct reader_event other = one(5);

	(void)state;
	other.partition = 1;
	assert_true(breaks(false, other, nothing, nothing));
	assert_true(breaks(false, say_of(READER_ASSIGNED), nothing, nothing));
	assert_true(breaks(false, say_of(READER_END), one(5), nothing));
	assert_false(breaks(true, say_of(READER_ASSIGNED), one(1), say_of(READER_REVOKED)));
	assert_true(breaks(true, say_of(READER_ASSIGNED), say_of(READER_ASSIGNED), nothing));
	assert_true(breaks(true, say_of(READER_REVOKED), nothing, nothing));
	assert_true(breaks(true, say_of(READER_ASSIGNED), say_of(READER_REVOKED), one(1)));
	/* Not before the answer. */
	assert_true(breaks(true, say_of(READER_ASSIGNED), say_of(READER_REVOKED),
			   say_of(READER_ASSIGNED)));
}

static void pause_and_play(bool group)
{
	struct broker_reader *reader = &script.reader;
	struct reader_event event;
	struct err err;

	play(group);
	if (reader_pause(reader, pin, 0, true, &err) != ERR_OK)
		_exit(2);
	script.events[script.next] = one(5);
	(void)!reader_next(reader, 0, &event, &err);
}

static void release(bool group)
{
	play(group);
	reader_release(&script.reader, pin, 0);
}

static void seek_what_is_another_s(bool group)
{
	struct err err;

	play(group);
	(void)!reader_seek(&script.reader, pin, 0, (struct reader_start){ 0 }, &err);
}

/* One that failed gives nothing more; the next seek leads back, and others do not mind. */
static void test_one_that_failed(void **state)
{
	static const struct err failure = { .code = ERR_CORRUPT };
	struct reader_event failed = say_of(READER_FAILED);

	(void)state;
	assert_true(breaks(false, failed, nothing, nothing)); /* it does not say why */
	failed.failure = &failure;
	assert_false(breaks(false, one(5), failed, nothing));
	assert_true(breaks(false, failed, one(5), nothing));
	assert_true(breaks(false, failed, failed, nothing));
	assert_false(breaks(true, say_of(READER_ASSIGNED), failed, say_of(READER_REVOKED)));
}

static void test_calls(void **state)
{
	(void)state;
	script = (struct script){ 0 };
	assert_true(is_broken(pause_and_play, false));
	script = (struct script){ .events = { say_of(READER_ASSIGNED) } };
	assert_true(is_broken(release, true));	/* nobody asked for it */
	assert_false(is_broken(seek_what_is_another_s, true));
	script = (struct script){ .events = { say_of(READER_ASSIGNED), say_of(READER_REVOKED) } };
	assert_false(is_broken(release, true));
	assert_true(is_broken(seek_what_is_another_s, true));
}

static void list_all(bool group)
{
	struct err err;

	(void)group;
	script.broker.ops = &script_ops;
	(void)!broker_list(&script.broker, TOPIC_LOG, NULL, NULL, &err);
}

static void describe(bool group)
{
	struct topic_info info;
	struct err err;

	(void)group;
	script.broker.ops = &script_ops;
	if (broker_describe(&script.broker, (struct topic_ref){ script.kind, "pin" }, &info,
			    &err) != ERR_OK)
		_exit(2);
}

/* Only what is known to end, and is numbered one by one, is dense; and then it can be counted. */
static void test_what_may_be_dense(void **state)
{
	const struct partition_info right = { .first = position_of_offset(3), .next_known = true,
					      .next = position_of_offset(8), .records = 5,
					      .dense = true };

	(void)state;
	script = (struct script){ .partition = right };
	assert_false(is_broken(describe, false));
	script.kind = TOPIC_STREAM;
	assert_true(is_broken(describe, false));
	script = (struct script){ .partition = right };
	script.partition.records = 4;
	assert_true(is_broken(describe, false));
	script.partition.dense = false;
	assert_false(is_broken(describe, false));
	script = (struct script){ .partition = right };
	script.partition.next_known = false;
	assert_true(is_broken(describe, false));
}

static void test_codes(void **state)
{
	(void)state;
	script = (struct script){ .code = ERR_TIMEOUT };
	assert_false(is_broken(list_all, false));
	script = (struct script){ .code = ERR_EXISTS };
	assert_true(is_broken(list_all, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_positions_rise),
		cmocka_unit_test(test_caught_up_once),
		cmocka_unit_test(test_only_what_is_read),
		cmocka_unit_test(test_one_that_failed),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_what_may_be_dense),
		cmocka_unit_test(test_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
