/*
 * Tails of the log as power cuts and recycled files leave them, cut at any byte, with any sectors
 * lost, old or foreign: recovery keeps what was durable and the whole batches that follow it,
 * cuts the rest, and does the same when it is done twice.
 *
 *	TAILS=n SEED=n
 */
#include "log_sample.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	FILE_BYTES = 65536,
	TAILS_QUICK = 2500,
	START_EACH = 25,		/* so many cases, then one through a whole start */
	DURABLE = 24,			/* batches before the tail */
	SECTOR = 512,
	PAGE = 4096,
};

struct tails {
	struct sample sample;
	char dir[SCRATCH_NAME_MAX];
	int dir_fd;			/* of its log */
	uint64_t base;
	unsigned char *image;		/* of the file, when the power was cut */
	unsigned char *bytes;		/* the file, mapped */
	size_t size;			/* that it has now */
	struct piece pieces[SAMPLE_PIECES_MAX];
	size_t piece_count;
	size_t durable;			/* the first piece that is not; */
	size_t tail;			/* where it begins … */
	size_t end;			/* … and the last one ends */
	uint64_t counts[SAMPLE_LANES];	/* durable records */
	unsigned seed;
	uint64_t whole;			/* figures */
	uint64_t damaged;
};

/* --- making one --------------------------------------------------------- */

/* A broker_done_fn that keeps the committer until the gate opens, when told to. */
struct gate {
	struct ended ended;
	pthread_mutex_t shut;
	atomic_bool wait;		/* the next one that comes */
};

static void gate_done(void *user, struct append *chain)
{
	struct gate *gate = user;
	bool wait = atomic_exchange(&gate->wait, false);

	ended_done(&gate->ended, chain);
	if (!wait)
		return;
	(void)pthread_mutex_lock(&gate->shut);
	(void)pthread_mutex_unlock(&gate->shut);
}

/* While one commit is held up a record for each lane is taken: they are one group, one sync. */
static void write_group(struct tails *tails, struct broker *broker, struct gate *gate)
{
	struct append_outcome outcomes[SAMPLE_LANES][4] = { 0 };
	struct append appends[SAMPLE_LANES];
	int flags[SAMPLE_LANES] = { 0 };
	struct err err = { 0 };

	(void)pthread_mutex_lock(&gate->shut);
	atomic_store(&gate->wait, true);
	(void)sample_append(&tails->sample, broker, &gate->ended, 0, 1);
	memcpy(tails->counts, tails->sample.counts, sizeof(tails->counts));
	for (size_t lane = 0; lane < SAMPLE_LANES; lane++) {
		size_t count = 1 + lane % 4;

		for (size_t i = count; i-- > 0;)
			appends[lane].records = sample_new(&tails->sample, lane, i);
		appends[lane] = (struct append){ .topic = sample_lanes[lane].topic,
						 .records = appends[lane].records,
						 .count = count, .outcomes = outcomes[lane],
						 .user = &flags[lane] };
		tails->sample.counts[lane] += count;
		assert_ok(broker_append(broker, &appends[lane], &err));
	}
	(void)pthread_mutex_unlock(&gate->shut);
	for (size_t lane = 0; lane < SAMPLE_LANES; lane++) {
		(void)ended_wait(&gate->ended, &flags[lane]);
		assert_int_equal(outcomes[lane][0].code, ERR_OK);
	}
}

/* Two lives of a writer; the second one's last group is the tail. */
static void write_log(struct tails *tails)
{
	struct gate gate = { ENDED_INIT, PTHREAD_MUTEX_INITIALIZER, false };
	const struct broker_local_options options = {
		.dir = tails->dir, .writer = true, .segment_bytes = SAMPLE_SEGMENT_BYTES,
		.done = gate_done, .done_user = &gate };
	struct broker *broker = NULL;
	struct err err = { 0 };

	assert_ok(broker_local_new(&options, &broker, &err));
	sample_create_topics(&tails->sample, broker);
	for (size_t lane = 0; lane < SAMPLE_LANES; lane++)
		(void)sample_append(&tails->sample, broker, &gate.ended, lane, lane + 1);
	broker_free(broker);
	assert_ok(broker_local_new(&options, &broker, &err));
	for (size_t i = 0; i < DURABLE; i++)
		(void)sample_append(&tails->sample, broker, &gate.ended, i % SAMPLE_LANES,
				    1 + i % 3);
	write_group(tails, broker, &gate);
	broker_free(broker);
}

/* The last SAMPLE_LANES batches are the tail; the mark that came after them was never written. */
static void find_tail(struct tails *tails)
{
	size_t marks = 0;

	tails->piece_count = sample_pieces(&tails->sample, tails->bytes, FILE_BYTES,
					   tails->pieces);
	while (tails->pieces[tails->piece_count - 1].kind != PIECE_RECORDS) {
		marks += tails->pieces[--tails->piece_count].kind == PIECE_MARK;
		assert_true(marks < 2);
	}
	tails->durable = tails->piece_count - SAMPLE_LANES;
	tails->tail = tails->pieces[tails->durable].from;
	tails->end = tails->pieces[tails->piece_count - 1].next;
	memset(tails->bytes + tails->end, 0, FILE_BYTES - tails->end);
	tails->image = xmalloc(FILE_BYTES);
	memcpy(tails->image, tails->bytes, FILE_BYTES);
	for (size_t i = tails->durable; i < tails->piece_count; i++)	/* one sync for all */
		assert_true(sample_number(tails->image, tails->pieces[i].from + 40, 8) ==
			    tails->base + tails->tail);
}

static int make_tails(void **state)
{
	struct tails *tails = xcalloc(1, sizeof(*tails));
	struct err err = { 0 };
	uint64_t *bases;
	size_t count;

	tails->sample.seed = 2;
	scratch_dir(tails->dir);
	write_log(tails);
	tails->dir_fd = sample_open_log(tails->dir);
	assert_ok(segment_list(tails->dir_fd, &bases, &count, &err));
	sample_keep(tails->dir_fd, bases, count, 2);
	tails->base = bases[1];
	free(bases);
	sample_cut(tails->dir_fd, tails->base, FILE_BYTES);
	tails->size = FILE_BYTES;
	tails->bytes = sample_map(tails->dir_fd, tails->base, FILE_BYTES);
	find_tail(tails);
	*state = tails;
	return 0;
}

static int free_tails(void **state)
{
	struct tails *tails = *state;

	(void)munmap(tails->bytes, FILE_BYTES);
	(void)close(tails->dir_fd);
	scratch_remove(tails->dir);
	sample_release(&tails->sample);
	free(tails->image);
	free(tails);
	return 0;
}

/* --- harming it --------------------------------------------------------- */

static size_t random_below(struct tails *tails, size_t bound)
{
	return (size_t)rand_r(&tails->seed) % bound;
}

static size_t random_in_tail(struct tails *tails)
{
	return tails->tail + random_below(tails, tails->end - tails->tail);
}

/* Any of the blocks was not written: what was there before is there still, which is zeros. */
static void lose_blocks(struct tails *tails, size_t block)
{
	unsigned odds = 1 + (unsigned)random_below(tails, 4);

	for (size_t at = tails->tail; at < tails->end; at = (at / block + 1) * block) {
		size_t next = (at / block + 1) * block;

		if (random_below(tails, odds + 1) == 0)
			memset(tails->bytes + at, 0, (next < tails->end ? next : tails->end) - at);
	}
}

/* From some place on there is what a recycled file held: batches of other positions. */
static void leave_old_bytes(struct tails *tails)
{
	size_t at = random_in_tail(tails);
	size_t shift = 8 * (1 + random_below(tails, (at - PAGE) / 8));

	memcpy(tails->bytes + at, tails->image + at - shift,
	       FILE_BYTES - at < shift ? FILE_BYTES - at : shift);
}

static void leave_garbage(struct tails *tails)
{
	size_t at = random_in_tail(tails);
	size_t to = at + 1 + random_below(tails, FILE_BYTES - at);

	for (; at < to; at++)
		tails->bytes[at] = (unsigned char)random_below(tails, 256);
}

/* Two batches change places. */
static void swap_batches(struct tails *tails)
{
	size_t i = tails->durable + random_below(tails, SAMPLE_LANES - 1);
	size_t k = i + 1 + random_below(tails, tails->piece_count - i - 1);
	const struct piece *a = &tails->pieces[i], *b = &tails->pieces[k];
	unsigned char *to = tails->bytes + a->from;

	memcpy(to, tails->image + b->from, b->next - b->from);
	to += b->next - b->from;
	memcpy(to, tails->image + a->next, b->from - a->next);
	to += b->from - a->next;
	memcpy(to, tails->image + a->from, a->next - a->from);
}

static void cut(struct tails *tails, size_t size)
{
	if (tails->size != size)
		sample_cut(tails->dir_fd, tails->base, (off_t)size);
	tails->size = size;
}

static void harm_tail(struct tails *tails)
{
	size_t at = random_in_tail(tails);

	switch (random_below(tails, 7)) {
	case 0:
		cut(tails, at);
		break;
	case 1:
		lose_blocks(tails, SECTOR);
		break;
	case 2:
		lose_blocks(tails, PAGE);
		break;
	case 3:
		leave_old_bytes(tails);
		break;
	case 4:
		leave_garbage(tails);
		break;
	case 5:
		swap_batches(tails);
		break;
	default:
		tails->bytes[at] ^= (unsigned char)(1 << random_below(tails, 8));
		break;
	}
}

/* A bit below the watermark flips, too. */
static struct harm harm_durable(struct tails *tails)
{
	size_t at = PAGE + random_below(tails, tails->tail - PAGE);
	const struct piece *piece = sample_piece_at(tails->pieces, at);
	struct harm harm = sample_harm(tails->pieces, tails->durable, at);

	tails->bytes[at] ^= (unsigned char)(1 << random_below(tails, 8));
	tails->damaged += at < piece->to;
	return harm;
}

static void restore(struct tails *tails)
{
	cut(tails, FILE_BYTES);
	memcpy(tails->bytes + PAGE, tails->image + PAGE, FILE_BYTES - PAGE);
}

/* --- what is left of it ------------------------------------------------- */

/* How many pieces there are up to the first that was harmed. */
static size_t whole_pieces(const struct tails *tails)
{
	size_t i = tails->durable;

	while (i < tails->piece_count && tails->pieces[i].next <= tails->size &&
	       memcmp(tails->bytes + tails->pieces[i].from, tails->image + tails->pieces[i].from,
		      tails->pieces[i].to - tails->pieces[i].from) == 0)
		i++;
	return i;
}

static bool same_plan(const struct recovery *a, const struct recovery *b)
{
	return a->end == b->end && a->watermark == b->watermark && a->damaged == b->damaged &&
	       a->tail == b->tail && a->epoch == b->epoch && a->cut_bytes == b->cut_bytes;
}

static void check_plan(struct tails *tails, uint64_t published, size_t whole,
		       const uint64_t counts[SAMPLE_LANES], const struct harm *harm, bool damaged)
{
	struct recovery plan, again;
	struct err err = { 0 };

	assert_ok(recover_plan(tails->dir_fd, published, NULL, &plan, &err));
	assert_ok(recover_plan(tails->dir_fd, published, NULL, &again, &err));
	assert_true(same_plan(&plan, &again));
	assert_true(plan.end == tails->base + (whole == tails->durable
		? tails->tail : tails->pieces[whole - 1].next));
	assert_int_equal(plan.damaged > 0, damaged);
	sample_check_next(&tails->sample, &plan.ordinals, counts, harm);
	recovery_release(&again);
	recovery_release(&plan);
}

static void try_tail(struct tails *tails, bool start)
{
	bool compound = random_below(tails, 4) == 0;
	uint64_t published = compound || start || random_below(tails, 2) == 0
		? tails->base + tails->tail : 0;
	uint64_t counts[SAMPLE_LANES], damaged = tails->damaged;
	struct harm harm = { 0 };
	size_t whole;

	if (compound)
		harm = harm_durable(tails);
	harm_tail(tails);
	whole = whole_pieces(tails);
	memcpy(counts, tails->counts, sizeof(counts));
	for (size_t i = tails->durable; i < whole; i++) {
		counts[tails->pieces[i].lane] += tails->pieces[i].count;
		harm.unsure[tails->pieces[i].lane] = false;
	}
	check_plan(tails, published, whole, counts, &harm, tails->damaged > damaged);
	if (start) {
		sample_set_watermark(tails->dir_fd, published);
		sample_start(&tails->sample, tails->dir, counts, &harm);
		assert_int_equal(sample_is_sound(tails->dir), tails->damaged == damaged);
		sample_undo_start(tails->dir_fd);
		tails->size = 0;	/* it was trimmed */
	}
	restore(tails);
	tails->whole += whole - tails->durable;
}

static void test_any_torn_tail_is_cut_where_it_is_torn(void **state)
{
	struct tails *tails = *state;
	uint64_t cases = sample_cases("TAILS", TAILS_QUICK);

	tails->seed = sample_seed();
	print_message("tails: seed %u\n", tails->seed);
	for (uint64_t i = 0; i < cases; i++)
		try_tail(tails, i % START_EACH == 0);
	print_message("tails: %llu, of %d batches %.1f were whole, %llu with damage before them\n",
		      (unsigned long long)cases, SAMPLE_LANES,
		      (double)tails->whole / (double)cases,
		      (unsigned long long)tails->damaged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_any_torn_tail_is_cut_where_it_is_torn,
						make_tails, free_tails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
