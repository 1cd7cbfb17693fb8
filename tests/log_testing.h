/* log_testing.h - a log of numbered records, and what is left of it after it was harmed. */
#ifndef TESTS_LOG_TESTING_H
#define TESTS_LOG_TESTING_H

#include "base/mem.h"
#include "broker/local/journal_check.h"
#include "broker/sequence.h"
#include "broker_testing.h"
#include "scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct topic_ref log_topic = { TOPIC_LOG, "pin" };

static inline enum err_code log_open(const char *dir, bool writer, struct ended *ended,
				     struct broker **ret_broker, struct err *err)
{
	const struct broker_local_options options = { .dir = dir, .writer = writer,
						      .segment_bytes = 1 << 20,
						      .done = ended_done, .done_user = ended };

	return broker_local_new(&options, ret_broker, err);
}

/* Record k is "record <k> " and letters, `len` bytes in all; len is at least 16. */
static inline void log_text(uint64_t k, char *text, size_t len)
{
	int n = snprintf(text, len, "record %llu ", (unsigned long long)k);

	memset(text + n, 'a' + (int)(k % 26), len - (size_t)n);
}

/* Appends records first … first + count - 1, each when the one before is durable. */
static inline enum err_code log_put(struct broker *broker, struct ended *ended, uint64_t first,
				    uint64_t count, size_t len)
{
	char *text = xmalloc(len);
	enum err_code code = ERR_OK;

	for (uint64_t k = first; k < first + count && code == ERR_OK; k++) {
		struct append_record record = { .value = slice_of(text, len) };
		struct append_outcome outcome = { 0 };
		struct err err = { 0 };

		log_text(k, text, len);
		code = append_and_wait(broker, ended, log_topic, &record, 1, &outcome, &err);
		if (code == ERR_OK)
			code = outcome.code;
		if (code == ERR_OK)
			assert_int_equal(position_ordinal(outcome.position), k);
	}
	free(text);
	return code;
}

/* What a reader made of a log. */
struct log_seen {
	uint64_t records;
	uint64_t lost;			/* in READER_GAP */
	uint64_t next;
};

/* Reads what is there now: every record must be right, and none missing without a word. */
static inline struct log_seen log_read(struct broker *broker, uint64_t from, size_t len)
{
	struct reader_start start = { .kind = START_AT, .position = position_of_offset(from) };
	struct broker_reader *reader = reader_at(broker, log_topic, 0, start);
	struct log_seen seen = { .next = from };
	char *text = xmalloc(len);

	for (;;) {
		struct reader_event event = event_now(reader);

		if (event.kind == READER_IDLE)
			break;
		if (event.kind == READER_GAP) {
			assert_true(position_ordinal(event.first) == seen.next);
			seen.next = position_ordinal(event.last) + 1;
			seen.lost += seen.next - position_ordinal(event.first);
			continue;
		}
		assert_int_equal(event.kind, READER_RECORDS);
		for (size_t i = 0; i < event.count; i++, seen.next++, seen.records++) {
			assert_true(position_ordinal(event.records[i].position) == seen.next);
			log_text(seen.next, text, len);
			assert_true(slice_eq(event.records[i].value, slice_of(text, len)));
		}
	}
	free(text);
	reader_close(reader);
	return seen;
}

static inline void log_print(void *user, const char *what)
{
	if (!user)
		print_message("check: %s\n", what);
}

/* The verdict of journal_check; `quiet`: findings are expected. */
static inline bool log_is_sound(const char *dir, bool quiet)
{
	struct journal_report report;
	struct err err = { 0 };
	bool sound;

	assert_ok(journal_check(dir, log_print, quiet ? &report : NULL, &report, &err));
	sound = journal_report_is_sound(&report);
	journal_report_release(&report);
	return sound;
}

#endif
