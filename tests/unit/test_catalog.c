/* The list of topics is damaged, or gone: the copy takes its place, and no empty one does. */
#include "testing.h"
#include "log_testing.h"

#include "broker/local/catalog.h"

enum { RECORDS = 5, LEN = 100, TEXT_MAX = 4096, WRITER_EVERY = 211 };

struct fixture {
	char dir[SCRATCH_NAME_MAX];
	int dir_fd;			/* of its log */
	char text[TEXT_MAX];		/* of the list */
	size_t len;
};

static size_t read_file(const struct fixture *fixture, const char *name, char text[TEXT_MAX])
{
	int fd = openat(fixture->dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, TEXT_MAX);
	assert_true(n > 0 && n < TEXT_MAX);
	(void)close(fd);
	return (size_t)n;
}

/* The list with one bit the other way. */
static void flip(const struct fixture *fixture, const char *name, size_t bit)
{
	int fd = openat(fixture->dir_fd, name, O_WRONLY | O_CLOEXEC);
	char c = (char)(fixture->text[bit / 8] ^ 1 << bit % 8);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, fixture->text, fixture->len, 0), (ssize_t)fixture->len);
	assert_int_equal(pwrite(fd, &c, 1, (off_t)(bit / 8)), 1);
	(void)close(fd);
}

static void assert_whole(const struct fixture *fixture, const char *name)
{
	char text[TEXT_MAX];

	assert_int_equal(read_file(fixture, name, text), fixture->len);
	assert_memory_equal(text, fixture->text, fixture->len);
}

static int make(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };
	char path[SCRATCH_NAME_MAX + 8];

	scratch_dir(fixture->dir);
	assert_ok(log_open(fixture->dir, true, &ended, &broker, &err));
	assert_ok(broker_create(broker, log_topic, 1, &err));
	assert_ok(log_put(broker, &ended, 0, RECORDS, LEN));
	broker_free(broker);
	(void)snprintf(path, sizeof(path), "%s/log", fixture->dir);
	fixture->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fixture->len = read_file(fixture, "topics", fixture->text);
	assert_whole(fixture, "topics.copy");
	*state = fixture;
	return 0;
}

static int drop(void **state)
{
	struct fixture *fixture = *state;

	(void)close(fixture->dir_fd);
	scratch_remove(fixture->dir);
	free(fixture);
	return 0;
}

static void assert_reads_all(const struct fixture *fixture, bool writer)
{
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };

	assert_ok(log_open(fixture->dir, writer, &ended, &broker, &err));
	assert_int_equal(log_read(broker, 0, LEN).records, RECORDS);
	broker_free(broker);
}

static void assert_loads(const struct fixture *fixture)
{
	struct topics topics;
	struct err err = { 0 };
	uint64_t log_id;

	topics_init(&topics);
	assert_ok(catalog_load(fixture->dir_fd, &topics, &log_id, &err));
	assert_non_null(topics_find(&topics, log_topic));
	topics_release(&topics);
}

static void assert_is_mended(const struct fixture *fixture)
{
	assert_reads_all(fixture, false);
	assert_false(log_is_sound(fixture->dir, true));
	assert_reads_all(fixture, true);
	assert_true(log_is_sound(fixture->dir, false));
	assert_whole(fixture, "topics");
	assert_whole(fixture, "topics.copy");
}

static void flip_every_bit(const struct fixture *fixture, const char *name)
{
	struct err err = { 0 };

	for (size_t bit = 0; bit < 8 * fixture->len; bit++) {
		flip(fixture, name, bit);
		assert_int_equal(catalog_check(fixture->dir_fd, &err), ERR_CORRUPT);
		assert_non_null(strstr(err.msg, name));
		assert_loads(fixture);
		if (bit % WRITER_EVERY == 0)
			assert_is_mended(fixture);
	}
	assert_reads_all(fixture, true);
}

static void test_every_flipped_bit_of_either(void **state)
{
	flip_every_bit(*state, "topics");
	flip_every_bit(*state, "topics.copy");
}

static void test_one_that_is_gone(void **state)
{
	const struct fixture *fixture = *state;

	assert_int_equal(unlinkat(fixture->dir_fd, "topics", 0), 0);
	assert_reads_all(fixture, false);
	assert_reads_all(fixture, true);
	assert_whole(fixture, "topics");
	assert_int_equal(unlinkat(fixture->dir_fd, "topics.copy", 0), 0);
	assert_reads_all(fixture, true);
	assert_whole(fixture, "topics.copy");
}

static void test_both_damaged(void **state)
{
	const struct fixture *fixture = *state;
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };

	flip(fixture, "topics", 200);
	flip(fixture, "topics.copy", 300);
	for (int writer = 0; writer < 2; writer++) {
		assert_int_equal(log_open(fixture->dir, writer, &ended, &broker, &err),
				 ERR_CORRUPT);
		assert_non_null(strstr(err.msg, "\"topics\" is damaged; \"topics.copy\" is damaged"));
	}
}

/* Records whose topics are not known any more are not to be forgotten in silence. */
static void test_both_gone_beside_a_log(void **state)
{
	const struct fixture *fixture = *state;
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };

	assert_int_equal(unlinkat(fixture->dir_fd, "topics", 0), 0);
	assert_int_equal(unlinkat(fixture->dir_fd, "topics.copy", 0), 0);
	for (int writer = 0; writer < 2; writer++)
		assert_int_equal(log_open(fixture->dir, writer, &ended, &broker, &err),
				 ERR_CORRUPT);
	assert_int_not_equal(faccessat(fixture->dir_fd, "topics", F_OK, 0), 0);
}

static void create_and_drop(struct topics *topics, int i, uint64_t records)
{
	char name[16];
	struct topic_ref ref = { i % 2 ? TOPIC_LOG : TOPIC_STREAM, name };
	struct topic *topic;
	struct err err = { 0 };

	(void)snprintf(name, sizeof(name), "t%d", i);
	assert_ok(topics_create(topics, ref, 2, &topic, &err));
	topic->partitions[1].next += records;
	topics_leave_floor(topics, topic);
	topics_drop(topics, topic);
}

/* Names that are gone become one, which holds for every name; the list keeps that. */
static void test_names_that_are_gone_become_one(void **state)
{
	const struct fixture *fixture = *state;
	struct topic_ref first = { TOPIC_LOG, "t1" };
	struct topics topics, loaded;
	struct topic *topic;
	struct err err = { 0 };
	uint64_t log_id;

	topics_init(&topics);
	create_and_drop(&topics, 1, 7);
	for (int i = 2; i < TOPICS_MAX + 100; i++)
		create_and_drop(&topics, i, 1);
	assert_true(topics.floors.count <= TOPICS_MAX + 2);
	assert_ok(catalog_save(fixture->dir_fd, &topics, 1, &err));
	topics_release(&topics);
	topics_init(&loaded);
	assert_ok(catalog_load(fixture->dir_fd, &loaded, &log_id, &err));
	assert_ok(topics_create(&loaded, first, 2, &topic, &err));
	assert_int_equal(topic->partitions[0].first, 7);
	assert_int_equal(topic->partitions[1].first, 7);
	create_and_drop(&loaded, TOPICS_MAX + 99, 0);
	topics_release(&loaded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_flipped_bit_of_either, make, drop),
		cmocka_unit_test_setup_teardown(test_one_that_is_gone, make, drop),
		cmocka_unit_test_setup_teardown(test_both_damaged, make, drop),
		cmocka_unit_test_setup_teardown(test_both_gone_beside_a_log, make, drop),
		cmocka_unit_test_setup_teardown(test_names_that_are_gone_become_one, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
