/*
 * log_sample.h - a log of records of many shapes in several partitions, and an
 * oracle for it: it knows every record by heart, and what each byte of a
 * segment is for, from the format that journal.h describes and nothing else.
 */
#ifndef TESTS_LOG_SAMPLE_H
#define TESTS_LOG_SAMPLE_H

#include "base/mem.h"
#include "broker/local/journal_check.h"
#include "broker/local/recover.h"
#include "broker/local/segment.h"
#include "broker/sequence.h"
#include "broker_testing.h"
#include "scratch.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SAMPLE_SEGMENT_BYTES = 1 << 20,
	SAMPLE_LANES = 9,
	SAMPLE_RECORDS_MAX = 2000,	/* of a lane */
	SAMPLE_VALUE_MAX = 700,
	SAMPLE_PIECES_MAX = 1000,
	SAMPLE_PATH_MAX = SCRATCH_NAME_MAX + 64,
	SAMPLE_UNSURE_MAX = 65536 / 8,	/* records that fit into a damaged place */
};

/* A partition of the sample. */
static const struct sample_lane {
	struct topic_ref topic;
	int32_t partition;
} sample_lanes[SAMPLE_LANES] = {
	{ { TOPIC_LOG, "pin" }, 0 }, { { TOPIC_LOG, "pin" }, 1 }, { { TOPIC_LOG, "pin" }, 2 },
	{ { TOPIC_LOG, "pin" }, 3 }, { { TOPIC_LOG, "pin" }, 4 }, { { TOPIC_LOG, "geo" }, 0 },
	{ { TOPIC_STREAM, "feed" }, 0 }, { { TOPIC_STREAM, "feed" }, 1 },
	{ { TOPIC_STREAM, "feed" }, 2 },
};

struct sample {
	unsigned seed;
	struct append_record records[SAMPLE_LANES][SAMPLE_RECORDS_MAX];
	uint64_t counts[SAMPLE_LANES];
	uint64_t uids[SAMPLE_LANES];
};

static inline enum err_code sample_open(const char *dir, bool writer, struct ended *ended,
					struct broker **ret_broker, struct err *err)
{
	const struct broker_local_options options = {
		.dir = dir, .writer = writer, .segment_bytes = SAMPLE_SEGMENT_BYTES,
		.done = ended_done, .done_user = ended };

	return broker_local_new(&options, ret_broker, err);
}

static inline struct broker *sample_open_now(const char *dir, bool writer, struct ended *ended)
{
	struct broker *broker = NULL;
	struct err err = { 0 };

	assert_ok(sample_open(dir, writer, ended, &broker, &err));
	return broker;
}

static inline void sample_create_topics(struct sample *sample, struct broker *broker)
{
	struct topic_info info;
	struct err err = { 0 };

	assert_ok(create_topic(broker, sample_lanes[0].topic, 5, &err));
	assert_ok(create_topic(broker, sample_lanes[5].topic, 1, &err));
	assert_ok(create_topic(broker, sample_lanes[6].topic, 3, &err));
	for (size_t i = 0; i < SAMPLE_LANES; i++) {
		assert_ok(broker_describe(broker, sample_lanes[i].topic, &info, &err));
		sample->uids[i] = strtoull(info.uid, NULL, 16);
		topic_info_release(&info);
	}
}

static inline struct slice sample_bytes(struct sample *sample, size_t len)
{
	char *bytes = xmalloc(len + 1);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)rand_r(&sample->seed);
	return slice_of(bytes, len);
}

static const struct record_header sample_headers[] = {
	{ { "trace", 5 }, { "a\0b", 3 } },
	{ { "trace", 5 }, { NULL, 0 } },
	{ { "", 0 }, { "", 0 } },
};

/* Thinks of the lane's next record; it counts once it was appended. */
static inline struct append_record *sample_new(struct sample *sample, size_t lane, uint64_t ahead)
{
	uint64_t k = sample->counts[lane] + ahead;
	struct append_record *record = &sample->records[lane][k];
	unsigned shape = (unsigned)rand_r(&sample->seed) % 8;
	size_t len = (size_t)rand_r(&sample->seed) % SAMPLE_VALUE_MAX;

	assert_true(k < SAMPLE_RECORDS_MAX);
	*record = (struct append_record){ .partition = sample_lanes[lane].partition };
	if (shape != 0)		/* else a tombstone */
		record->value = sample_bytes(sample, shape == 1 ? 0 : len);
	if (shape % 2)
		record->key = sample_bytes(sample, shape * 3);
	if (shape >= 6)
		record->timestamp_ms = (int64_t)k + 1;
	if (shape == 7) {
		record->headers = sample_headers;
		record->header_count = ARRAY_LEN(sample_headers);
	}
	return record;
}

/* Appends `count` records to the lane: one batch. Returns the bytes of their part of it. */
static inline size_t sample_append(struct sample *sample, struct broker *broker,
				   struct ended *ended, size_t lane, size_t count)
{
	struct append_outcome outcomes[16] = { 0 };
	struct append_record *records = NULL;
	struct err err = { 0 };
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		struct append_record *record = sample_new(sample, lane, i);

		records = i == 0 ? record : records;
		bytes += record_extra_bytes(record) + 8 + record->key.len + record->value.len;
	}
	assert_ok(append_and_wait(broker, ended, sample_lanes[lane].topic, records, count,
				  outcomes, &err));
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(outcomes[i].code, ERR_OK);
		assert_true(position_ordinal(outcomes[i].position) == sample->counts[lane] + i);
	}
	sample->counts[lane] += count;
	return bytes;
}

static inline int sample_open_log(const char *dir)
{
	char path[SAMPLE_PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/log", dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Of the segments, the first `kept` stay; what was made ahead goes. */
static inline void sample_keep(int dir_fd, const uint64_t *bases, size_t count, size_t kept)
{
	char name[SEGMENT_NAME_MAX];

	assert_true(count >= kept);
	for (size_t i = kept; i < count; i++) {
		segment_name(bases[i], "segment", name);
		assert_int_equal(unlinkat(dir_fd, name, 0), 0);
	}
}

/* Reading small files is quicker. */
static inline void sample_cut(int dir_fd, uint64_t base, off_t size)
{
	char name[SEGMENT_NAME_MAX];
	int fd;

	segment_name(base, "segment", name);
	fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, size), 0);
	(void)close(fd);
}

static inline unsigned char *sample_map(int dir_fd, uint64_t base, size_t size)
{
	char name[SEGMENT_NAME_MAX];
	void *bytes;
	int fd;

	segment_name(base, "segment", name);
	fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(bytes != MAP_FAILED);
	(void)close(fd);
	return bytes;
}

static inline void sample_release(struct sample *sample)
{
	for (size_t lane = 0; lane < SAMPLE_LANES; lane++)
		for (uint64_t k = 0; k < SAMPLE_RECORDS_MAX; k++) {
			free((void *)(uintptr_t)sample->records[lane][k].key.ptr);
			free((void *)(uintptr_t)sample->records[lane][k].value.ptr);
		}
}

/* What a stretch of a segment is for. */
enum piece_kind { PIECE_HEADER, PIECE_RECORDS, PIECE_STATE, PIECE_MARK, PIECE_NOTHING };

struct piece {
	enum piece_kind kind;
	size_t from;
	size_t to;			/* of what it holds; up to `next` there is padding */
	size_t next;
	size_t lane;			/* of records, with the next two */
	uint64_t first;
	uint32_t count;
};

static inline uint64_t sample_number(const unsigned char *bytes, size_t at, size_t len)
{
	uint64_t number = 0;

	for (size_t i = len; i-- > 0;)
		number = number << 8 | bytes[at + i];
	return number;
}

static inline struct piece sample_piece(const struct sample *sample, const unsigned char *bytes,
					size_t at, size_t size)
{
	struct piece piece = { .kind = PIECE_NOTHING, .from = at, .to = at, .next = size };
	size_t payload;

	if (size - at < 80 || memcmp(bytes + at, "PPJB", 4) != 0)
		return piece;
	payload = sample_number(bytes, at + 16, 4);
	piece.kind = (enum piece_kind)sample_number(bytes, at + 28, 4);
	piece.to = at + 80 + payload;
	piece.next = (piece.to + 7) / 8 * 8;
	while (piece.kind == PIECE_RECORDS &&
	       (sample->uids[piece.lane] != sample_number(bytes, at + 56, 8) ||
		(uint64_t)sample_lanes[piece.lane].partition != sample_number(bytes, at + 64, 4)))
		assert_true(++piece.lane < SAMPLE_LANES);
	piece.count = (uint32_t)sample_number(bytes, at + 68, 4);
	piece.first = sample_number(bytes, at + 72, 8);
	return piece;
}

/* All pieces of a segment's file, in order; returns how many. */
static inline size_t sample_pieces(const struct sample *sample, const unsigned char *bytes,
				   size_t size, struct piece pieces[SAMPLE_PIECES_MAX])
{
	size_t count = 1;

	pieces[0] = (struct piece){ .kind = PIECE_HEADER, .to = 64, .next = 4096 };
	while (pieces[count - 1].next < size) {
		assert_true(count < SAMPLE_PIECES_MAX);
		pieces[count] = sample_piece(sample, bytes, pieces[count - 1].next, size);
		count++;
	}
	return count;
}

/* What damage costs: of each lane, records that are told as damage. */
struct harm {
	struct loss {
		uint64_t first;
		uint64_t count;		/* 0: none */
	} losses[SAMPLE_LANES];
	/* Nobody can know whether the lane's last records were in the damaged place, so recovery
	 * goes on above all that may have been there. */
	bool unsure[SAMPLE_LANES];
};

static inline const struct piece *sample_piece_at(const struct piece *pieces, size_t at)
{
	while (pieces->next <= at)
		pieces++;
	return pieces;
}

/* What damage to this byte costs; of the pieces, the last one's end is the segment's. */
static inline struct harm sample_harm(const struct piece *pieces, size_t count, size_t at)
{
	const struct piece *piece = sample_piece_at(pieces, at), *last = &pieces[count - 1];
	struct harm harm = { 0 };

	if (at >= piece->to || piece->kind == PIECE_HEADER)
		return harm;
	if (piece->kind == PIECE_RECORDS)
		harm.losses[piece->lane] = (struct loss){ piece->first, piece->count };
	for (size_t lane = 0; lane < SAMPLE_LANES && at < piece->from + 80; lane++) {
		const struct piece *later = last;

		while (later > piece && (later->kind != PIECE_RECORDS || later->lane != lane))
			later--;
		harm.unsure[lane] = later == piece;
	}
	return harm;
}

static inline size_t sample_lane_of(const struct reader_event *event)
{
	size_t lane = 0;

	while (sample_lanes[lane].topic.kind != event->topic.kind ||
	       strcmp(sample_lanes[lane].topic.name, event->topic.name) != 0 ||
	       sample_lanes[lane].partition != event->partition)
		assert_true(++lane < SAMPLE_LANES);
	return lane;
}

static inline void sample_take(const struct sample *sample, const struct reader_event *event,
			       uint64_t next[SAMPLE_LANES], struct harm *harm)
{
	size_t lane = sample_lane_of(event);
	struct loss *loss = &harm->losses[lane];

	if (event->kind == READER_GAP) {
		assert_true(loss->count > 0);
		assert_true(position_ordinal(event->first) == loss->first);
		assert_true(loss->first == next[lane]);
		next[lane] = position_ordinal(event->last) + 1;
		assert_true(next[lane] == loss->first + loss->count);
		loss->count = 0;	/* it is told once */
		return;
	}
	assert_int_equal(event->kind, READER_RECORDS);
	for (size_t i = 0; i < event->count; i++) {
		const struct append_record *want = &sample->records[lane][next[lane]];
		const struct record *got = &event->records[i];

		assert_true(position_ordinal(got->position) == next[lane]++);
		assert_true(slice_eq(got->value, want->value) && slice_eq(got->key, want->key));
		assert_int_equal(got->header_count, want->header_count);
		for (size_t h = 0; h < got->header_count; h++)
			assert_true(slice_eq(got->headers[h].name, want->headers[h].name) &&
				    slice_eq(got->headers[h].value, want->headers[h].value));
		if (want->timestamp_ms != TIMESTAMP_NOW)
			assert_true(got->timestamp_ms == want->timestamp_ms);
		assert_true(!got->value.ptr == !want->value.ptr && !got->key.ptr == !want->key.ptr);
	}
}

/*
 * Reads all lanes from their beginning: each has counts[lane] records, all as they were written,
 * but for what was harmed, which is told as damage at its offsets.
 */
static inline void sample_read(const struct sample *sample, struct broker *broker,
			       const uint64_t counts[SAMPLE_LANES], struct harm harm)
{
	const struct reader_options options = { .bytes_max = 1 << 20 };
	const struct reader_start start = { .kind = START_FIRST };
	uint64_t next[SAMPLE_LANES] = { 0 };
	struct broker_reader *reader = NULL;
	struct err err = { 0 };

	assert_ok(broker_reader_open(broker, &options, &reader, &err));
	for (size_t i = 0; i < SAMPLE_LANES; i++)
		assert_ok(reader_seek(reader, sample_lanes[i].topic, sample_lanes[i].partition,
				      start, &err));
	for (;;) {
		struct reader_event event = event_now(reader);

		if (event.kind == READER_IDLE)
			break;
		sample_take(sample, &event, next, &harm);
	}
	reader_close(reader);
	for (size_t i = 0; i < SAMPLE_LANES; i++)
		assert_true(next[i] == counts[i] && harm.losses[i].count == 0);
}

/* A partition goes on where it ended, or above what may have been there if that is not known. */
static inline void sample_check_ordinal(uint64_t next, uint64_t count, bool unsure)
{
	assert_true(next >= count);
	assert_true(next - count <= (unsure ? SAMPLE_UNSURE_MAX : 0));
}

static inline void sample_check_next(const struct sample *sample, const struct ordinals *ordinals,
				     const uint64_t counts[SAMPLE_LANES], const struct harm *harm)
{
	for (size_t lane = 0; lane < SAMPLE_LANES; lane++) {
		const struct ordinal *found = ordinals_find(ordinals, sample->uids[lane],
							    sample_lanes[lane].partition);

		assert_non_null(found);
		sample_check_ordinal(found->next, counts[lane], harm->unsure[lane]);
	}
}

/* What a start added goes: all segments but the first two, and the indexes. */
static inline void sample_undo_start(int dir_fd)
{
	char name[SEGMENT_NAME_MAX];
	struct err err = { 0 };
	uint64_t *bases;
	size_t count;

	assert_ok(segment_list(dir_fd, &bases, &count, &err));
	for (size_t i = 0; i < count; i++) {
		segment_name(bases[i], "index", name);
		(void)unlinkat(dir_fd, name, 0);
		segment_name(bases[i], "segment", name);
		assert_true(i < 2 || unlinkat(dir_fd, name, 0) == 0);
	}
	free(bases);
}

static inline bool sample_is_sound(const char *dir)
{
	struct journal_report report;
	struct err err = { 0 };
	bool sound;

	assert_ok(journal_check(dir, NULL, NULL, &report, &err));
	sound = journal_report_is_sound(&report);
	journal_report_release(&report);
	return sound;
}

/* The lane's next ordinal as the broker tells; what recovery skipped is told as damage, too. */
static inline uint64_t sample_next(struct broker *broker, size_t lane, uint64_t count,
				   struct harm *harm)
{
	struct loss *loss = &harm->losses[lane];
	struct topic_info info;
	struct err err = { 0 };
	uint64_t next;

	assert_ok(broker_describe(broker, sample_lanes[lane].topic, &info, &err));
	next = position_ordinal(info.partitions[sample_lanes[lane].partition].next);
	topic_info_release(&info);
	sample_check_ordinal(next, count, harm->unsure[lane]);
	if (next > count && loss->count == 0)
		loss->first = count;
	if (next > count)
		loss->count = next - loss->first;
	return next;
}

/* Starts on the log as the gateway does, twice; both times all is there but for what was harmed. */
static inline void sample_start(struct sample *sample, const char *dir,
				const uint64_t counts[SAMPLE_LANES], const struct harm *harm)
{
	for (int i = 0; i < 2; i++) {
		struct ended ended = ENDED_INIT;
		struct broker *broker = sample_open_now(dir, true, &ended);
		uint64_t next[SAMPLE_LANES];
		struct harm told = *harm;

		for (size_t lane = 0; lane < SAMPLE_LANES; lane++)
			next[lane] = sample_next(broker, lane, counts[lane], &told);
		sample_read(sample, broker, next, told);
		broker_free(broker);
	}
}

/* The watermark file says this from now on. */
static inline void sample_set_watermark(int dir_fd, uint64_t position)
{
	uint64_t both[2] = { position, ~position };
	int fd = openat(dir_fd, "watermark", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, both, sizeof(both), 16), sizeof(both));
	(void)close(fd);
}

/* A number from the environment, how many cases are to be tried; the whole where that is more. */
static inline uint64_t sample_cases(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static inline unsigned sample_seed(void)
{
	return (unsigned)sample_cases("SEED", (uint64_t)getpid());
}

#endif
