/* The list of topics is damaged, or gone: the copy takes its place, and no empty one does. */
#include "testing.h"
#include "log_testing.h"

#include "broker/local/catalog.h"
#include "broker/sequence.h"

#include <dirent.h>

static const struct topic_options two = { .partitions = 2 };

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
	assert_ok(create_topic(broker, log_topic, 1, &err));
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

static size_t count_entries(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

/* Who only looks makes no file, be one missing, and no log where there is none. */
static void test_a_reader_writes_nothing(void **state)
{
	const struct fixture *fixture = *state;
	struct broker_local_options options = { .dir = fixture->dir };
	char path[SCRATCH_NAME_MAX + 16];
	struct broker *broker;
	struct err err = { 0 };
	size_t count;

	assert_int_equal(unlinkat(fixture->dir_fd, "watermark", 0), 0);
	assert_int_equal(unlinkat(fixture->dir_fd, "topics.copy", 0), 0);
	count = count_entries(fixture->dir_fd);
	assert_reads_all(fixture, false);
	assert_int_equal(count_entries(fixture->dir_fd), count);
	(void)snprintf(path, sizeof(path), "%s/log/x", fixture->dir);
	options.dir = path;
	assert_int_equal(broker_local_new(&options, &broker, &err), ERR_ABSENT);
	assert_non_null(strstr(err.msg, "there is no pinpipe data in"));
	assert_int_equal(count_entries(fixture->dir_fd), count);
	options.make = true;
	assert_ok(broker_local_new(&options, &broker, &err));
	broker_free(broker);
	assert_int_equal(count_entries(fixture->dir_fd), count + 1);
}

/* Is a segment open in this process? */
static bool holds_a_segment(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	bool found = false;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char to[4096];
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, to, sizeof(to) - 1);

		to[n < 0 ? 0 : n] = '\0';
		found = found || strstr(to, ".segment");
	}
	(void)closedir(dir);
	return found;
}

/* Who was asked once how far a log is holds nothing of it, and knows it still when asked again. */
static void test_a_question_holds_no_segment(void **state)
{
	const struct fixture *fixture = *state;
	struct ended ended = ENDED_INIT;
	struct broker *writer, *broker;
	struct topic_info info;
	struct err err = { 0 };

	assert_ok(log_open(fixture->dir, false, &ended, &broker, &err));
	for (uint64_t next = RECORDS; next < RECORDS + 3; next++) {
		assert_ok(broker_describe(broker, log_topic, &info, &err));
		assert_int_equal(position_ordinal(info.partitions[0].next), next);
		topic_info_release(&info);
		assert_false(holds_a_segment());
		assert_ok(log_open(fixture->dir, true, &ended, &writer, &err));
		assert_ok(log_put(writer, &ended, next, 1, LEN));
		broker_free(writer);
	}
	broker_free(broker);
}

static void create_and_drop(struct topics *topics, int i, uint64_t records)
{
	char name[16];
	struct topic_ref ref = { i % 2 ? TOPIC_LOG : TOPIC_STREAM, name };
	struct topic *topic;
	struct err err = { 0 };

	(void)snprintf(name, sizeof(name), "t%d", i);
	assert_ok(topics_create(topics, ref, &two, &topic, &err));
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
	assert_ok(topics_create(&loaded, first, &two, &topic, &err));
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
		cmocka_unit_test_setup_teardown(test_a_reader_writes_nothing, make, drop),
		cmocka_unit_test_setup_teardown(test_a_question_holds_no_segment, make, drop),
		cmocka_unit_test_setup_teardown(test_names_that_are_gone_become_one, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
