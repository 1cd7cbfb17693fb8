/* The log after it was harmed: torn tails are cut, damage is told and goes no further. */
#include "broker/local/recover.h"
#include "broker/local/segment.h"
#include "base/stage.h"
#include "broker/sequence.h"
#include "log_testing.h"

#include <semaphore.h>

enum { RECORDS = 40, LEN = 61, PADDING = 3, TRIES_MAX = 50 };

/* A directory with a log of RECORDS records, one a batch. */
struct harm {
	char dir[SCRATCH_NAME_MAX];
	int dir_fd;			/* of the log */
	int fd;				/* of the segment that holds the records */
	uint64_t base;
	unsigned char *bytes;		/* what the segment held */
	size_t size;
	uint64_t ends[RECORDS + 1];	/* ends[k]: where k records end, as an offset in it */
};

/* In a child, so that the writer's end leaves no mark: as if it had crashed. */
static void make_log(const char *dir)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct ended ended = ENDED_INIT;
		struct broker *broker;
		struct err err;

		if (log_open(dir, true, &ended, &broker, &err) != ERR_OK ||
		    create_topic(broker, log_topic, 1, &err) != ERR_OK ||
		    log_put(broker, &ended, 0, RECORDS, LEN) != ERR_OK)
			_exit(1);
		/* At once: a sanitizer's exit takes so long that the writer comes to rest. */
		(void)raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

/* False: the writer rested so long, on a busy machine, that it made a mark. */
static bool find_ends(struct harm *harm)
{
	bool marked = false;
	struct scan scan;
	struct batch batch;
	size_t k = 0;

	scan_init(&scan);
	scan_seek(&scan, harm->fd, harm->base, harm->base + SEGMENT_HEADER_BYTES,
		  harm->base + harm->size);
	while (scan_next_header(&scan, &batch) == SCAN_BATCH) {
		if (batch.kind == BATCH_STATE)
			harm->ends[0] = batch_end(&batch) - harm->base;
		if (batch.kind == BATCH_RECORDS)
			harm->ends[++k] = batch_end(&batch) - harm->base;
		marked |= batch.kind == BATCH_MARK;
	}
	scan_release(&scan);
	assert_int_equal(k, RECORDS);
	return !marked;
}

static int free_harm(void **state)
{
	struct harm *harm = *state;

	(void)close(harm->fd);
	(void)close(harm->dir_fd);
	scratch_remove(harm->dir);
	free(harm->bytes);
	free(harm);
	return 0;
}

static bool try_harm(struct harm *harm)
{
	char name[SEGMENT_NAME_MAX], path[SCRATCH_NAME_MAX + 8];
	struct err err = { 0 };
	uint64_t *bases;
	size_t count;

	scratch_dir(harm->dir);
	make_log(harm->dir);
	(void)snprintf(path, sizeof(path), "%s/log", harm->dir);
	harm->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(harm->dir_fd >= 0);
	assert_ok(segment_list(harm->dir_fd, &bases, &count, &err));
	harm->base = bases[0];
	for (size_t i = 1; i < count; i++) {	/* the one that was made ahead */
		segment_name(bases[i], "segment", name);
		assert_int_equal(unlinkat(harm->dir_fd, name, 0), 0);
	}
	free(bases);
	segment_name(harm->base, "segment", name);
	harm->fd = openat(harm->dir_fd, name, O_RDWR | O_CLOEXEC);
	assert_true(harm->fd >= 0);
	harm->size = 16384;		/* reading a small file is quicker */
	assert_int_equal(ftruncate(harm->fd, (off_t)harm->size), 0);
	harm->bytes = xmalloc(harm->size);
	assert_int_equal(pread(harm->fd, harm->bytes, harm->size, 0), harm->size);
	return find_ends(harm);
}

static int make_harm(void **state)
{
	int tries = 0;

	*state = xcalloc(1, sizeof(struct harm));
	while (!try_harm(*state)) {
		assert_true(++tries < TRIES_MAX);
		(void)free_harm(state);
		*state = xcalloc(1, sizeof(struct harm));
	}
	return 0;
}

static void restore(const struct harm *harm)
{
	assert_int_equal(ftruncate(harm->fd, (off_t)harm->size), 0);
	assert_int_equal(pwrite(harm->fd, harm->bytes, harm->size, 0), harm->size);
}

enum tail { TAIL_CUT, TAIL_ZEROS, TAIL_GARBAGE, TAIL_OLD, TAILS };

/* Everything from `at` on is lost in one of four ways. */
static void tear(const struct harm *harm, size_t at, enum tail how)
{
	unsigned char *tail = xcalloc(harm->size, 1);
	unsigned seed = (unsigned)at;

	if (how == TAIL_CUT)
		assert_int_equal(ftruncate(harm->fd, (off_t)at), 0);
	for (size_t i = at; i < harm->size; i++) {
		if (how == TAIL_GARBAGE)
			tail[i] = (unsigned char)rand_r(&seed);
		if (how == TAIL_OLD)	/* batches that are good, but of another place */
			tail[i] = harm->bytes[harm->ends[5] + (i - at)];
	}
	if (how != TAIL_CUT)
		assert_int_equal(pwrite(harm->fd, tail + at, harm->size - at, (off_t)at),
				 harm->size - at);
	free(tail);
}

static void test_torn_tails_are_cut_at_the_last_whole_batch(void **state)
{
	const struct harm *harm = *state;
	size_t whole = RECORDS - 3;

	for (size_t at = harm->ends[whole]; at <= harm->ends[RECORDS]; at++) {
		if (at == harm->ends[whole + 1])
			whole++;
		for (int how = 0; how < TAILS; how++) {
			/* A batch that lost nothing but its padding is whole, if that is there. */
			bool padded = whole < RECORDS && how != TAIL_CUT &&
				      at + PADDING >= harm->ends[whole + 1];
			size_t want = whole + padded;
			struct recovery plan;
			struct err err = { 0 };

			tear(harm, at, (enum tail)how);
			assert_ok(recover_plan(harm->dir_fd, 0, NULL, &plan, &err));
			assert_int_equal(plan.end - harm->base, harm->ends[want]);
			assert_int_equal(plan.damaged, 0);
			assert_int_equal(plan.ordinals.count, 1);
			for (size_t i = 0; i < plan.ordinals.cap; i++)
				if (plan.ordinals.places[i].uid)
					assert_int_equal(plan.ordinals.places[i].next, want);
			recovery_release(&plan);
			restore(harm);
		}
	}
}

/* The same loss below the watermark is no torn tail. */
static void test_what_was_durable_is_never_cut(void **state)
{
	const struct harm *harm = *state;
	uint64_t watermark = harm->base + harm->ends[RECORDS];
	struct recovery plan;
	struct err err = { 0 };

	tear(harm, harm->ends[RECORDS - 2] + 30, TAIL_ZEROS);
	assert_ok(recover_plan(harm->dir_fd, watermark, NULL, &plan, &err));
	assert_true(plan.end == watermark);
	assert_true(plan.damaged > 0);
	for (size_t i = 0; i < plan.ordinals.cap; i++)	/* no ordinal is used a second time */
		if (plan.ordinals.places[i].uid)
			assert_true(plan.ordinals.places[i].next >= RECORDS);
	recovery_release(&plan);
	restore(harm);
}

/* A bad batch below a watermark that a later one carries; what comes after it is good. */
static void test_damage_in_the_tail_segment_keeps_what_follows(void **state)
{
	const struct harm *harm = *state;

	for (size_t at = harm->ends[10]; at < harm->ends[11]; at += 7) {
		unsigned char bad = (unsigned char)(harm->bytes[at] ^ 0x10);
		struct recovery plan;
		struct err err = { 0 };

		assert_int_equal(pwrite(harm->fd, &bad, 1, (off_t)at), 1);
		assert_ok(recover_plan(harm->dir_fd, 0, NULL, &plan, &err));
		assert_int_equal(plan.end - harm->base, harm->ends[RECORDS]);
		recovery_release(&plan);
		restore(harm);
	}
}

static struct batch batch_at(const struct harm *harm, size_t at)
{
	struct batch batch;

	assert_true(batch_decode(harm->bytes + at, harm->base + at, &batch));
	return batch;
}

/* After the last batch comes one that is right in itself: if it chains to that, the writer was not
 * told any more that it is durable; else it has come there some other way. */
static void test_a_batch_that_does_not_chain_is_cut(void **state)
{
	struct harm *harm = *state;
	const struct batch last = batch_at(harm, harm->ends[RECORDS - 1]);

	for (uint32_t off = 0; off <= 1; off++) {
		unsigned char header[BATCH_HEADER_BYTES];
		struct batch batch = last;
		struct recovery plan;
		struct err err = { 0 };

		batch.address = harm->base + harm->ends[RECORDS];
		batch.chain = last.header_crc + off;
		batch.ordinal += batch.count;
		batch.watermark = batch.address;
		batch_encode(&batch, header);
		assert_int_equal(pwrite(harm->fd, header, sizeof(header),
					(off_t)harm->ends[RECORDS]), sizeof(header));
		assert_int_equal(pwrite(harm->fd, harm->bytes + harm->ends[RECORDS - 1] +
					BATCH_HEADER_BYTES, last.payload_bytes,
					(off_t)harm->ends[RECORDS] + BATCH_HEADER_BYTES),
				 last.payload_bytes);
		assert_ok(recover_plan(harm->dir_fd, 0, NULL, &plan, &err));
		assert_true(plan.end == (off ? batch.address : batch_end(&batch)));
		assert_int_equal(plan.damaged, 0);
		recovery_release(&plan);
		restore(harm);
	}
}

static void test_recovery_goes_on_where_the_log_ends(void **state)
{
	struct harm *harm = *state;
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };
	struct log_seen seen;

	assert_int_equal(unlinkat(harm->dir_fd, "watermark", 0), 0);
	tear(harm, harm->ends[RECORDS - 1] + 5, TAIL_GARBAGE);
	for (uint64_t i = 0; i < 3; i++) {
		assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
		assert_int_equal(log_put(broker, &ended, RECORDS - 1 + i, 1, LEN), ERR_OK);
		seen = log_read(broker, 0, LEN);
		assert_int_equal(seen.records, RECORDS + i);
		assert_int_equal(seen.lost, 0);
		broker_free(broker);
		assert_true(log_is_sound(harm->dir, false));
	}
}

/* A power cut may keep the head of a new segment's state and lose the rest: the segment before it
 * ends where it ended, nothing in it is damage. */
static void test_a_torn_state_is_no_damage(void **state)
{
	static const unsigned char torn[8] = { 0 };
	const struct harm *harm = *state;
	char name[SEGMENT_NAME_MAX];
	struct err err = { 0 };
	struct recovery plan;
	int status, fd;
	pid_t child = fork();

	if (child == 0) {
		struct ended ended = ENDED_INIT;
		struct broker *broker;

		if (log_open(harm->dir, true, &ended, &broker, &err) != ERR_OK)
			_exit(1);
		(void)raise(SIGKILL);	/* at once, as in make_log() */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	segment_name(harm->base + harm->size, "segment", name);
	fd = openat(harm->dir_fd, name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, torn, sizeof(torn), SEGMENT_HEADER_BYTES + BATCH_HEADER_BYTES),
			 sizeof(torn));
	(void)close(fd);
	assert_ok(recover_plan(harm->dir_fd, 0, NULL, &plan, &err));
	assert_int_equal(plan.damaged, 0);
	assert_int_equal(plan.end - harm->base, harm->ends[RECORDS]);
	recovery_release(&plan);
}

/* Seals the log: its end is told by the next segment. */
static void seal(struct harm *harm)
{
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };

	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	broker_free(broker);
	harm->size = (harm->ends[RECORDS] + 4095) / 4096 * 4096;	/* it was trimmed */
}

static struct log_seen read_all(const struct harm *harm)
{
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };
	struct log_seen seen;

	assert_ok(log_open(harm->dir, false, &ended, &broker, &err));
	seen = log_read(broker, 0, LEN);
	broker_free(broker);
	return seen;
}

static void test_every_flipped_bit_of_a_batch_is_found(void **state)
{
	struct harm *harm = *state;
	seal(harm);
	assert_true(log_is_sound(harm->dir, false));
	for (size_t bit = harm->ends[10] * 8; bit < harm->ends[11] * 8; bit++) {
		unsigned char bad = (unsigned char)(harm->bytes[bit / 8] ^ 1 << bit % 8);
		uint64_t lost = bit / 8 < harm->ends[11] - PADDING;
		struct log_seen seen;

		assert_int_equal(pwrite(harm->fd, &bad, 1, (off_t)(bit / 8)), 1);
		seen = read_all(harm);
		assert_int_equal(seen.lost, lost);
		assert_int_equal(seen.records, RECORDS - lost);
		assert_int_equal(log_is_sound(harm->dir, true), !lost);
		restore(harm);
	}
}

/* Neither a segment's header nor the state at its head is needed to read its records. */
static void test_damaged_heads_cost_no_record(void **state)
{
	struct harm *harm = *state;

	seal(harm);
	for (size_t at = 0; at < harm->ends[0]; at += at < 64 ? 1 : 13) {
		unsigned char bad = (unsigned char)(harm->bytes[at] ^ 0x40);
		struct log_seen seen;

		assert_int_equal(pwrite(harm->fd, &bad, 1, (off_t)at), 1);
		seen = read_all(harm);
		assert_int_equal(seen.records, RECORDS);
		assert_int_equal(seen.lost, 0);
		restore(harm);
	}
}

static struct append_outcome put_text(struct broker *broker, struct ended *ended, int32_t partition)
{
	return append_text(broker, ended, log_topic, partition, "x");
}

/* What a removed topic leaves outlives the writer. */
static void test_a_topic_made_anew_after_a_restart_has_no_gaps(void **state)
{
	struct harm *harm = *state;
	struct ended ended = ENDED_INIT;
	struct broker *broker;
	struct err err = { 0 };

	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	assert_ok(broker_remove(broker, log_topic, &err));
	broker_free(broker);
	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	assert_ok(create_topic(broker, log_topic, 2, &err));
	assert_int_equal(position_ordinal(put_text(broker, &ended, 0).position), RECORDS);
	assert_int_equal(position_ordinal(put_text(broker, &ended, 1).position), 0);
	broker_free(broker);
	assert_true(log_is_sound(harm->dir, false));
}

/* The only records of a topic are in a batch whose header is damaged: nothing names them any more.
 * Their ordinals were acknowledged, and do not come again. */
static uint64_t ordinal_after_lost_header(const struct harm *harm, bool payload_too, bool ends_too)
{
	static const struct topic_ref late = { TOPIC_LOG, "late" };
	struct ended ended = ENDED_INIT;
	char name[SEGMENT_NAME_MAX], bad = 'x';
	struct append_outcome outcome;
	struct broker *broker;
	uint64_t *bases;
	size_t count;
	struct err err = { 0 };
	int fd;

	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	assert_ok(create_topic(broker, late, 1, &err));
	assert_int_equal(append_text(broker, &ended, late, 0, "x").code, ERR_OK);
	assert_int_equal(log_put(broker, &ended, RECORDS, 1, LEN), ERR_OK);
	broker_free(broker);
	assert_ok(segment_list(harm->dir_fd, &bases, &count, &err));
	segment_name(bases[1], "segment", name);
	free(bases);
	fd = openat(harm->dir_fd, name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	/* After the state of one partition, which is all that there was. */
	assert_int_equal(pwrite(fd, &bad, 1, SEGMENT_HEADER_BYTES + 2 * BATCH_HEADER_BYTES +
				STATE_HEADER_BYTES + STATE_ENTRY_BYTES - 1), 1);
	if (payload_too)
		assert_int_equal(pwrite(fd, &bad, 1, SEGMENT_HEADER_BYTES + 2 * BATCH_HEADER_BYTES +
					STATE_HEADER_BYTES + STATE_ENTRY_BYTES), 1);
	(void)close(fd);
	if (ends_too)
		assert_int_equal(unlinkat(harm->dir_fd, "watermark", 0), 0);
	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	outcome = append_text(broker, &ended, late, 0, "y");
	assert_int_equal(outcome.code, ERR_OK);
	broker_free(broker);
	return position_ordinal(outcome.position);
}

static void test_ordinals_of_lost_headers_never_come_again(void **state)
{
	assert_int_equal(ordinal_after_lost_header(*state, false, true), 1);
}

static void test_ordinals_of_lost_batches_never_come_again(void **state)
{
	assert_true(ordinal_after_lost_header(*state, true, true) > 1);
}

/* The watermark's page tells where each partition ended: so none goes on further than it must. */
static void test_ordinals_of_lost_batches_are_known_by_the_ends(void **state)
{
	assert_int_equal(ordinal_after_lost_header(*state, true, false), 1);
}

/* The segment in which the watermark lies is not there: what it held is damage, no ordinal and no
 * position of it comes again. */
static void test_a_lost_last_segment_is_damage(void **state)
{
	enum { LOST = 3 };
	struct harm *harm = *state;
	struct ended ended = ENDED_INIT;
	char name[SEGMENT_NAME_MAX];
	struct append_outcome outcome;
	struct broker *broker;
	struct err err = { 0 };
	struct log_seen seen;
	uint64_t *bases, first_lost;
	size_t count;

	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	assert_int_equal(log_put(broker, &ended, RECORDS, LOST, LEN), ERR_OK);
	broker_free(broker);
	assert_ok(segment_list(harm->dir_fd, &bases, &count, &err));
	for (size_t i = 1; i < count; i++) {
		segment_name(bases[i], "segment", name);
		assert_int_equal(unlinkat(harm->dir_fd, name, 0), 0);
	}
	first_lost = bases[1];
	free(bases);
	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	seen = log_read(broker, 0, LEN);
	assert_int_equal(seen.records, RECORDS);
	assert_true(seen.lost >= LOST);
	outcome = put_text(broker, &ended, 0);
	assert_int_equal(outcome.code, ERR_OK);
	assert_true(position_ordinal(outcome.position) == seen.next);
	assert_ok(segment_list(harm->dir_fd, &bases, &count, &err));
	assert_true(bases[1] > first_lost);
	free(bases);
	broker_free(broker);
	assert_false(log_is_sound(harm->dir, true));
}

/* Flips a bit in the last header of records of the topic, in the segment at `base`. */
static void harm_last_header(const struct harm *harm, uint64_t base, uint64_t uid)
{
	char name[SEGMENT_NAME_MAX];
	struct segment segment;
	struct scan scan;
	struct batch batch;
	struct err err = { 0 };
	uint64_t at = 0;
	char bad = 'x';
	int fd;

	assert_ok(segment_open(harm->dir_fd, base, &segment, &err));
	scan_init(&scan);
	scan_seek(&scan, segment.fd, base, segment_start(&segment), segment_limit(&segment));
	while (scan_next_header(&scan, &batch) == SCAN_BATCH)
		if (batch.kind == BATCH_RECORDS && batch.uid == uid)
			at = batch.address - base;
	scan_release(&scan);
	segment_close(&segment);
	assert_true(at > 0);
	segment_name(base, "segment", name);
	fd = openat(harm->dir_fd, name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &bad, 1, (off_t)at), 1);
	(void)close(fd);
}

static uint64_t uid_of(struct broker *broker, struct topic_ref topic)
{
	struct topic_info info;
	struct err err = { 0 };
	uint64_t uid;

	assert_ok(broker_describe(broker, topic, &info, &err));
	uid = strtoull(info.uid, NULL, 16);
	topic_info_release(&info);
	return uid;
}

/* What a segment's state says tells of the records before it, for who has read them: a partition
 * that is sought after that has not. */
static void test_a_seek_is_no_gap(void **state)
{
	static const struct topic_ref geo = { TOPIC_LOG, "geo" };
	const struct reader_start first = { .kind = START_FIRST };
	struct harm *harm = *state;
	struct ended ended = ENDED_INIT;
	struct broker_reader *reader;
	struct reader_event event;
	struct broker *broker;
	struct err err = { 0 };
	uint64_t *bases, uid;
	size_t count;

	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	assert_ok(create_topic(broker, geo, 1, &err));
	assert_int_equal(append_text(broker, &ended, geo, 0, "x").code, ERR_OK);
	assert_int_equal(log_put(broker, &ended, RECORDS, 1, LEN), ERR_OK);
	uid = uid_of(broker, log_topic);
	broker_free(broker);
	assert_ok(segment_list(harm->dir_fd, &bases, &count, &err));
	harm_last_header(harm, bases[1], uid);
	free(bases);
	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	reader = reader_at(broker, log_topic, 0, (struct reader_start){ .kind = START_AT,
			   .position = position_of_offset(RECORDS) });
	assert_int_equal(next_event(reader).kind, READER_GAP);
	assert_ok(reader_seek(reader, geo, 0, first, &err));
	event = next_event(reader);
	assert_int_equal(event.kind, READER_RECORDS);
	assert_string_equal(event.topic.name, geo.name);
	reader_close(reader);
	broker_free(broker);
}

static void test_second_writer_is_refused(void **state)
{
	struct harm *harm = *state;
	struct ended ended = ENDED_INIT;
	struct broker *broker, *second = NULL;
	struct err err = { 0 };

	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	assert_int_equal(log_open(harm->dir, true, &ended, &second, &err), ERR_LOCKED);
	assert_null(second);
	assert_non_null(strstr(err.msg, harm->dir));
	broker_free(broker);
	assert_ok(log_open(harm->dir, true, &ended, &broker, &err));
	broker_free(broker);
}

/* Whatever size is asked for, no write goes past the end of the file that was filled for it. */
static void test_segments_end_with_a_block(void **state)
{
	enum { ODD = (1 << 20) + 123, BIG = 100000, BIGS = 30 };
	struct harm *harm = *state;
	struct ended ended = ENDED_INIT;
	const struct broker_local_options options = { .dir = harm->dir, .writer = true,
						      .segment_bytes = ODD, .done = ended_done,
						      .done_user = &ended };
	struct broker *broker;
	struct err err = { 0 };
	uint64_t *bases;
	size_t count;

	assert_ok(broker_local_new(&options, &broker, &err));
	assert_int_equal(log_put(broker, &ended, RECORDS, BIGS, BIG), ERR_OK);
	broker_free(broker);
	assert_ok(segment_list(harm->dir_fd, &bases, &count, &err));
	for (size_t i = 1; i < count; i++) {
		struct segment segment;

		assert_ok(segment_open(harm->dir_fd, bases[i], &segment, &err));
		assert_int_equal(segment_limit(&segment) % STAGE_BLOCK_BYTES, bases[i] %
				 STAGE_BLOCK_BYTES);
		assert_true(i + 1 == count || segment_limit(&segment) <= bases[i + 1]);
		segment_close(&segment);
	}
	free(bases);
}

/* Where the records of an append are durable and still count as in flight. */
struct halt {
	sem_t entered;
	sem_t go_on;
};

static void halt_done(void *user, struct append *chain)
{
	struct halt *halt = user;

	(void)chain;
	(void)sem_post(&halt->entered);
	(void)sem_wait(&halt->go_on);
}

static void test_ready_tells_of_the_room_that_is_left(void **state)
{
	enum { ALL = 1 << 20, TAKEN = 200000, CHUNK = 1 << 15 };
	struct harm *harm = *state;
	struct halt halt;
	const struct broker_local_options options = {
		.dir = harm->dir, .writer = true, .segment_bytes = ALL, .inflight_bytes_max = ALL,
		.done = halt_done, .done_user = &halt };
	struct append_record record = { .value = slice_of(xcalloc(1, TAKEN), TAKEN) };
	struct append_outcome outcome = { 0 };
	struct append append = { .topic = log_topic, .records = &record, .count = 1,
				 .outcomes = &outcome };
	struct broker *broker;
	struct err err = { 0 };

	(void)sem_init(&halt.entered, 0, 0);
	(void)sem_init(&halt.go_on, 0, 0);
	assert_ok(broker_local_new(&options, &broker, &err));
	assert_ok(broker_ready(broker, TOPIC_LOG, ALL, &err));
	assert_ok(broker_append(broker, &append, &err));
	(void)sem_wait(&halt.entered);
	assert_ok(broker_ready(broker, TOPIC_LOG, ALL - TAKEN - CHUNK, &err));
	assert_int_equal(broker_ready(broker, TOPIC_LOG, ALL - TAKEN + 1, &err), ERR_BUSY);
	/* The append will say that it never fits. */
	assert_ok(broker_ready(broker, TOPIC_LOG, ALL + 1, &err));
	(void)sem_post(&halt.go_on);
	broker_free(broker);
	free((char *)(uintptr_t)record.value.ptr);
	(void)sem_destroy(&halt.entered);
	(void)sem_destroy(&halt.go_on);
}

/* Records without a key and a value hold memory, too: a header each, and an outcome. */
static void test_records_of_nothing_are_bounded(void **state)
{
	enum { ALL = 1 << 20, COUNT = 1000, APPENDS_MAX = ALL / (COUNT * 32) };
	static struct append_record records[COUNT];
	static struct append_outcome outcomes[APPENDS_MAX][COUNT];
	static struct append appends[APPENDS_MAX];
	struct harm *harm = *state;
	struct halt halt;
	const struct broker_local_options options = {
		.dir = harm->dir, .writer = true, .segment_bytes = ALL, .inflight_bytes_max = ALL,
		.done = halt_done, .done_user = &halt };
	enum err_code code = ERR_OK;
	struct broker *broker;
	struct err err = { 0 };
	size_t taken = 0;

	(void)sem_init(&halt.entered, 0, 0);
	(void)sem_init(&halt.go_on, 0, 0);
	assert_ok(broker_local_new(&options, &broker, &err));
	for (; taken < APPENDS_MAX; taken++) {
		appends[taken] = (struct append){ .topic = log_topic, .records = records,
						  .count = COUNT, .outcomes = outcomes[taken] };
		code = broker_append(broker, &appends[taken], &err);
		if (code != ERR_OK)
			break;
	}
	assert_int_equal(code, ERR_BUSY);
	assert_true(taken > APPENDS_MAX / 2);
	(void)sem_post(&halt.go_on);
	(void)sem_post(&halt.go_on);
	broker_free(broker);
	(void)sem_destroy(&halt.entered);
	(void)sem_destroy(&halt.go_on);
}

int main(void)
{
#define HARM(test) cmocka_unit_test_setup_teardown(test, make_harm, free_harm)
	const struct CMUnitTest tests[] = {
		HARM(test_torn_tails_are_cut_at_the_last_whole_batch),
		HARM(test_what_was_durable_is_never_cut),
		HARM(test_a_torn_state_is_no_damage),
		HARM(test_damage_in_the_tail_segment_keeps_what_follows),
		HARM(test_a_batch_that_does_not_chain_is_cut),
		HARM(test_recovery_goes_on_where_the_log_ends),
		HARM(test_every_flipped_bit_of_a_batch_is_found),
		HARM(test_damaged_heads_cost_no_record),
		HARM(test_a_topic_made_anew_after_a_restart_has_no_gaps),
		HARM(test_ordinals_of_lost_headers_never_come_again),
		HARM(test_ordinals_of_lost_batches_never_come_again),
		HARM(test_ordinals_of_lost_batches_are_known_by_the_ends),
		HARM(test_a_lost_last_segment_is_damage),
		HARM(test_a_seek_is_no_gap),
		HARM(test_second_writer_is_refused),
		HARM(test_segments_end_with_a_block),
		HARM(test_ready_tells_of_the_room_that_is_left),
		HARM(test_records_of_nothing_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
