/* What processes count in the registry of a directory, and what others see of it. Processes are
 * real ones: a lock is not held against oneself. */
#include "base/registry_inside.h"

#include "temp_dir.h"
#include "testing.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct temp_dir dir;
static struct err err;

static int setup(void **state)
{
	(void)state;
	temp_dir_make(&dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	return 0;
}

/* A process that counts what `work` does; it leaves, or is killed amid it. */
static void in_process(const char *role, void (*work)(void), bool leaves)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		registry_join(dir.path, role);
		work();
		if (!leaves)
			(void)raise(SIGKILL);
		registry_leave();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(leaves ? WIFEXITED(status) && WEXITSTATUS(status) == 0 : WIFSIGNALED(status));
}

static void count_some(void)
{
	metric_add(METRIC_RECORDS, 3);
	metric_set(METRIC_CONNECTIONS, 7);
	histogram_note(HISTOGRAM_ACK, 1000);
	series_add(series_of(SERIES_TOPIC, "pin"), SERIES_RECORDS, 3);
	registry_say(REGISTRY_UNWELL, "%s", "the lake is away");
}

static void count_nothing(void) {}

static struct registry_view look(void)
{
	struct registry_view view;

	assert_ok(registry_view_open(dir.path, &view, &err));
	return view;
}

static bool text_has(const struct registry_view *view, const char *what)
{
	struct buf text;
	bool has;

	buf_init(&text, 1 << 20);
	metrics_put_text(view, &text);
	has = strstr(buf_cstr(&text), what) != NULL;
	buf_release(&text);
	return has;
}

static void test_totals_outlive_their_process(void **state)
{
	struct registry_view view;
	struct histogram_counts acks;

	(void)state;
	in_process("gateway", count_some, false);
	in_process("gateway", count_some, true);
	in_process("sink", count_nothing, true);
	view = look();
	assert_int_equal(view.count, 2);
	assert_int_equal(registry_total(&view, METRIC_RECORDS, NULL), 6);
	assert_int_equal(registry_total(&view, METRIC_RECORDS, "sink"), 0);
	assert_int_equal(registry_total(&view, METRIC_CONNECTIONS, NULL), 0);
	registry_times(&view, HISTOGRAM_ACK, &acks);
	assert_int_equal(acks.count, 2);
	assert_int_equal(acks.sum_us, 2000);
	assert_true(text_has(&view, "pinpipe_topic_records_total{topic=\"pin\"} 6\n"));
	assert_true(text_has(&view, "pinpipe_process_starts_total{process=\"gateway\"} 2\n"));
	assert_true(text_has(&view, "pinpipe_process_kills_total{process=\"gateway\"} 1\n"));
	assert_true(text_has(&view, "pinpipe_process_up{process=\"gateway\"} 0\n"));
	assert_true(text_has(&view, "pinpipe_ack_seconds_bucket{le=\"0.001024\"} 2\n"));
	assert_true(text_has(&view, "pinpipe_ack_seconds_bucket{le=\"0.000512\"} 0\n"));
	registry_view_close(&view);
}

/* One that goes on until it is killed. */
static pid_t begin_process_at(const char *role, int64_t seconds_ago)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		registry_join(dir.path, role);
		metric_add(METRIC_RECORDS, 10);
		metric_set(METRIC_CONNECTIONS, 1);
		registry_mine()->moments[0].at_ms -= seconds_ago * 1000;
		(void)!write(ready[1], "", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static pid_t begin_process(const char *role) { return begin_process_at(role, 0); }

/* `up` runs for long and keeps no moments: the minute of the others stays one. */
static void test_what_is_recent_is_of_who_keeps_moments(void **state)
{
	pid_t up = begin_process_at("up", 200), gateway = begin_process("gateway");
	struct registry_view view = look();
	int64_t ms;

	(void)state;
	assert_int_equal(registry_recent(&view, METRIC_RECORDS, &ms), 10);
	assert_in_range(ms, 0, 150 * 1000);
	registry_view_close(&view);
	(void)kill(up, SIGKILL);
	(void)kill(gateway, SIGKILL);
	(void)waitpid(up, NULL, 0);
	(void)waitpid(gateway, NULL, 0);
}

static void test_two_of_a_role_have_a_slot_each(void **state)
{
	pid_t pid = begin_process("gateway");
	struct registry_view view;

	(void)state;
	in_process("gateway", count_some, false);
	view = look();
	assert_int_equal(view.count, 2);
	assert_true(registry_find(&view, "gateway")->alive);
	assert_int_equal(registry_find(&view, "gateway")->slot->pid, pid);
	assert_int_equal(registry_total(&view, METRIC_CONNECTIONS, NULL), 1);
	assert_int_equal(registry_total(&view, METRIC_RECORDS, NULL), 13);
	registry_view_close(&view);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	view = look();
	assert_false(registry_find(&view, "gateway")->alive);
	registry_view_close(&view);
}

static void count_many_topics(void)
{
	char name[32];

	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "topic-%d", i);
		series_add(series_of(SERIES_TOPIC, name), SERIES_RECORDS, 1);
		series_add(series_of(SERIES_STREAM, name), SERIES_RECORDS, 1);
	}
	series_add(series_of(SERIES_STREAM, "odd\"\\\n"), SERIES_RECORDS, 1);
}

static void test_names_are_bounded(void **state)
{
	struct registry_view view;
	const struct series *row = NULL;
	bool alive;
	int rows = 0;

	(void)state;
	in_process("gateway", count_many_topics, true);
	in_process("gateway", count_many_topics, true);
	view = look();
	while ((row = registry_next_row(registry_keeper(&view, SERIES_STREAM, &alive),
					SERIES_STREAM, row)) != NULL)
		rows++;
	assert_int_equal(rows, SERIES_NAMES_MAX + 1);
	assert_true(text_has(&view, "pinpipe_topic_records_total{topic=\"topic-255\"} 2\n"));
	assert_false(text_has(&view, "{topic=\"topic-256\"}"));
	assert_true(text_has(&view, "pinpipe_topic_records_total{topic=\"other\"} 88\n"));
	assert_true(text_has(&view, "pinpipe_stream_records_total{stream=\"other\"} 90\n"));
	registry_view_close(&view);
}

static void put_path(char path[PATH_MAX])
{
	char name[REGISTRY_NAME_MAX];

	registry_name(name);
	(void)snprintf(path, PATH_MAX, "%s/%s", dir.path, name);
}

static void write_registry(const char *bytes, size_t len)
{
	char path[PATH_MAX];
	int fd;

	put_path(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	(void)close(fd);
}

/* One that is torn is replaced by who counts, and none to who looks. */
static void test_what_is_no_registry_begins_anew(void **state)
{
	static const char *const wrong[] = { "", "PINPIPER", "something else" };
	struct registry_view view;
	char page[8192] = "PINPIPER";

	(void)state;
	for (size_t i = 0; i <= sizeof(wrong) / sizeof(wrong[0]); i++) {
		in_process("gateway", count_some, true);
		if (i < sizeof(wrong) / sizeof(wrong[0]))
			write_registry(wrong[i], strlen(wrong[i]));
		else
			write_registry(page, sizeof(page));
		assert_int_equal(registry_view_open(dir.path, &view, &err), ERR_ABSENT);
		in_process("gateway", count_some, true);
		view = look();
		assert_int_equal(registry_total(&view, METRIC_RECORDS, NULL), 3);
		registry_view_close(&view);
	}
}

/* A file that another program could have made; its lock, if a process counts there. */
static int other_registry(const char *name, bool lives)
{
	struct flock slot = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1 };
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir.path, name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	if (lives)
		assert_int_equal(fcntl(fd, F_OFD_SETLK, &slot), 0);
	return fd;
}

static bool is_there(const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", dir.path, name);
	return access(path, F_OK) == 0;
}

static void test_programs_of_other_layouts_keep_theirs_while_they_live(void **state)
{
	int alive = other_registry("registry.00000001", true);
	int left = other_registry("registry.00000002", false);
	int other = other_registry("registry.my-copy.", false); /* as long as they are */
	struct registry_view view;

	(void)state;
	(void)close(left);
	(void)close(other);
	in_process("gateway", count_some, true);
	view = look();
	assert_int_equal(registry_total(&view, METRIC_RECORDS, NULL), 3);
	registry_view_close(&view);
	assert_true(is_there("registry.00000001"));
	assert_false(is_there("registry.00000002"));
	assert_true(is_there("registry.my-copy."));
	(void)close(alive);
}

/* Cut off under who looks next: the slots that are not there count for nothing. */
static void test_a_cut_off_file_is_none(void **state)
{
	struct registry_view view;
	char path[PATH_MAX];

	(void)state;
	in_process("gateway", count_some, true);
	put_path(path);
	assert_int_equal(truncate(path, 5000), 0);
	assert_int_equal(registry_view_open(dir.path, &view, &err), ERR_ABSENT);
	in_process("gateway", count_some, true);
	view = look();
	assert_int_equal(registry_total(&view, METRIC_RECORDS, NULL), 3);
	registry_view_close(&view);
}

/* As on a full disk: it counts for itself. */
static void test_without_room_nothing_is_in_the_way(void **state)
{
	const struct rlimit small = { .rlim_cur = 6000, .rlim_max = 6000 };
	pid_t pid = fork();
	struct registry_view view;
	int status;

	(void)state;
	if (pid == 0) {
		int wrong;

		(void)signal(SIGXFSZ, SIG_IGN);
		wrong = setrlimit(RLIMIT_FSIZE, &small);
		registry_join(dir.path, "gateway");
		count_some();
		registry_view_here(&view);
		wrong |= registry_total(&view, METRIC_RECORDS, "gateway") != 3;
		wrong |= !text_has(&view, "pinpipe_topic_records_total{topic=\"pin\"} 3\n");
		registry_view_close(&view);
		registry_leave();
		_exit(wrong != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	in_process("sink", count_some, true);
	view = look();
	assert_int_equal(registry_total(&view, METRIC_RECORDS, NULL), 3);
	registry_view_close(&view);
}

static void test_quantiles_are_a_little_high_at_most(void **state)
{
	struct histogram_counts counts = { 0 };
	struct histogram histogram = { 0 };

	(void)state;
	assert_int_equal(histogram_quantile(&counts, 500), -1);
	for (int us = 1; us <= 1000; us++)
		histogram_add(&histogram, us);
	histogram_sum(&counts, &histogram, 1);
	assert_int_equal(counts.count, 1000);
	assert_in_range(histogram_quantile(&counts, 500), 500, 563);
	assert_in_range(histogram_quantile(&counts, 990), 990, 1114);
	for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++) {
		assert_int_equal(histogram_bucket(histogram_bound(i)), i);
		assert_int_equal(histogram_bucket(histogram_bound(i) - 1), i - 1);
	}
	histogram_add(&histogram, INT64_MAX / 2);
	histogram_add(&histogram, -5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_totals_outlive_their_process, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_of_a_role_have_a_slot_each, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_is_recent_is_of_who_keeps_moments, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_names_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_registry_begins_anew, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_programs_of_other_layouts_keep_theirs_while_they_live, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_a_cut_off_file_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_room_nothing_is_in_the_way, setup,
						teardown),
		cmocka_unit_test(test_quantiles_are_a_little_high_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
