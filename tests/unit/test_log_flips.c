/*
 * Bits that flip in a segment of 64 KiB: each one is found, what it hit is told as damage at its
 * offsets, all else is read as it was written, and recovery cuts nothing.
 *
 *	FLIPS=n		so many of the 524,288 bits, spread evenly; SEED=n begins elsewhere
 */
#include "log_sample.h"

enum {
	FILE_BYTES = 65536,
	FLIPS_ALL = FILE_BYTES * 8,
	FLIPS_QUICK = 2500,
	START_EACH = 250,		/* so many cases, then one through a whole start */
	LAST_BYTES = 32768,		/* of the segment after it: what it holds, and more */
	UNUSED_BYTES_MAX = 4096 - 80,	/* of the file's end: a mark fits before it */
};

/*
 * Two directories share the segment: in `sealed` another one follows it, in `tail` the log ends in
 * it and the watermark is there, as after a crash.
 */
struct flips {
	struct sample sample;
	char sealed[SCRATCH_NAME_MAX];
	char tail[SCRATCH_NAME_MAX];
	int tail_fd;			/* of its log */
	uint64_t base;
	unsigned char *bytes;		/* the file, mapped */
	struct piece pieces[SAMPLE_PIECES_MAX];
	size_t piece_count;
	uint64_t counts[SAMPLE_LANES];	/* records up to the segment's end */
	uint64_t end;			/* position */
	uint64_t found;			/* figures */
	uint64_t harmless;
};

/* A few records more in each lane, in a writer's life and so in a segment of their own. */
static void write_some(struct flips *flips, bool first)
{
	struct ended ended = ENDED_INIT;
	struct broker *broker = sample_open_now(flips->sealed, true, &ended);

	if (first)
		sample_create_topics(&flips->sample, broker);
	for (size_t lane = 0; lane < SAMPLE_LANES; lane++)
		(void)sample_append(&flips->sample, broker, &ended, lane, lane + 1);
	broker_free(broker);
}

/* A segment whose file is cut to exactly FILE_BYTES when it is sealed. */
static void write_segment(struct flips *flips)
{
	size_t at = 4096 + (80 + 16 + SAMPLE_LANES * 24 + 7) / 8 * 8;
	struct ended ended = ENDED_INIT;
	struct broker *broker = sample_open_now(flips->sealed, true, &ended);

	for (size_t lane = 0; at < FILE_BYTES - UNUSED_BYTES_MAX; lane++) {
		size_t count = 1 + (size_t)rand_r(&flips->sample.seed) % 3;
		size_t payload = sample_append(&flips->sample, broker, &ended,
					       lane % SAMPLE_LANES, count);

		at += (80 + payload + 7) / 8 * 8;
	}
	broker_free(broker);
	memcpy(flips->counts, flips->sample.counts, sizeof(flips->counts));
}

static void copy_file(int from_fd, int to_fd, const char *name)
{
	char bytes[8192];
	int from = openat(from_fd, name, O_RDONLY | O_CLOEXEC);
	int to = openat(to_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t len = read(from, bytes, sizeof(bytes));

	assert_true(len > 0 && len < (ssize_t)sizeof(bytes));
	assert_int_equal(write(to, bytes, (size_t)len), len);
	(void)close(from);
	(void)close(to);
}

/* The first two of the three segments become the other directory's, too. */
static void share_segments(struct flips *flips, int dir_fd, const uint64_t *bases)
{
	char name[SEGMENT_NAME_MAX];

	for (size_t i = 0; i < 2; i++) {
		segment_name(bases[i], "segment", name);
		assert_int_equal(linkat(dir_fd, name, flips->tail_fd, name, 0), 0);
	}
	copy_file(dir_fd, flips->tail_fd, "topics");
	copy_file(dir_fd, flips->tail_fd, "watermark");
}

static void make_tail_dir(struct flips *flips)
{
	char path[SAMPLE_PATH_MAX];

	scratch_dir(flips->tail);
	(void)snprintf(path, sizeof(path), "%s/log", flips->tail);
	assert_int_equal(mkdir(path, 0700), 0);
	flips->tail_fd = sample_open_log(flips->tail);
}

static int make_flips(void **state)
{
	struct flips *flips = xcalloc(1, sizeof(*flips));
	struct err err = { 0 };
	uint64_t *bases;
	size_t count;
	int dir_fd;

	flips->sample.seed = 1;
	scratch_dir(flips->sealed);
	write_some(flips, true);
	write_segment(flips);
	write_some(flips, false);
	make_tail_dir(flips);
	dir_fd = sample_open_log(flips->sealed);
	assert_ok(segment_list(dir_fd, &bases, &count, &err));
	sample_keep(dir_fd, bases, count, 3);
	sample_cut(dir_fd, bases[2], LAST_BYTES);
	share_segments(flips, dir_fd, bases);
	flips->base = bases[1];
	flips->bytes = sample_map(dir_fd, flips->base, FILE_BYTES);
	free(bases);
	(void)close(dir_fd);
	flips->piece_count = sample_pieces(&flips->sample, flips->bytes, FILE_BYTES,
					   flips->pieces);
	flips->end = flips->base + flips->pieces[flips->piece_count - 1].from;
	sample_set_watermark(flips->tail_fd, flips->end);
	*state = flips;
	return 0;
}

static int free_flips(void **state)
{
	struct flips *flips = *state;

	(void)munmap(flips->bytes, FILE_BYTES);
	(void)close(flips->tail_fd);
	scratch_remove(flips->sealed);
	scratch_remove(flips->tail);
	sample_release(&flips->sample);
	free(flips);
	return 0;
}

/* A reader of another process, and `pinpipe check`, while the segment is sealed. */
static void try_sealed(struct flips *flips, struct harm harm, bool harmless)
{
	struct ended ended = ENDED_INIT;
	struct broker *broker = sample_open_now(flips->sealed, false, &ended);

	sample_read(&flips->sample, broker, flips->sample.counts, harm);
	broker_free(broker);
	assert_int_equal(sample_is_sound(flips->sealed), harmless);
}

/* Recovery: the log ends where it ended, and no ordinal comes again. */
static void try_tail(struct flips *flips, const struct harm *harm, bool damage)
{
	struct recovery plan;
	struct err err = { 0 };

	assert_ok(recover_plan(flips->tail_fd, flips->end, NULL, &plan, &err));
	assert_true(plan.end == flips->end);
	assert_int_equal(plan.cut_bytes, 0);
	assert_int_equal(plan.damaged > 0, damage);
	sample_check_next(&flips->sample, &plan.ordinals, flips->counts, harm);
	recovery_release(&plan);
}

static void try_bit(struct flips *flips, size_t bit, bool start)
{
	const struct piece *piece = sample_piece_at(flips->pieces, bit / 8);
	struct harm harm = sample_harm(flips->pieces, flips->piece_count, bit / 8);
	bool harmless = bit / 8 >= piece->to;

	flips->bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	try_sealed(flips, harm, harmless);
	try_tail(flips, &harm, !harmless && piece->kind != PIECE_HEADER);
	if (start) {
		sample_start(&flips->sample, flips->tail, flips->counts, &harm);
		sample_undo_start(flips->tail_fd);
		sample_set_watermark(flips->tail_fd, flips->end);
	}
	flips->bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	flips->found += !harmless;
	flips->harmless += harmless;
}

static void test_every_flipped_bit_is_found(void **state)
{
	struct flips *flips = *state;
	uint64_t cases = sample_cases("FLIPS", FLIPS_QUICK);
	uint64_t step = cases < FLIPS_ALL ? FLIPS_ALL / cases : 1;
	unsigned seed = sample_seed();
	uint64_t done = 0;

	print_message("flips: seed %u\n", seed);
	for (uint64_t bit = seed % step; bit < FLIPS_ALL; bit += step)
		try_bit(flips, bit, done++ % START_EACH == 0);
	print_message("flips: %llu bits, %llu found, %llu in padding that nothing reads\n",
		      (unsigned long long)done, (unsigned long long)flips->found,
		      (unsigned long long)flips->harmless);
	assert_true(flips->found > flips->harmless);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_flipped_bit_is_found, make_flips,
						free_flips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
