/*
 * journal_check.h - verify a whole log: every batch's CRC, every record's
 * lengths, ordinals dense in every partition, but for gaps that the log itself
 * tells. For `pinpipe check`; beside a writer it goes as far as the durable
 * watermark.
 */
#ifndef BROKER_LOCAL_JOURNAL_CHECK_H
#define BROKER_LOCAL_JOURNAL_CHECK_H

#include "broker/broker.h"

struct check_partition {
	bool known;			/* the topic is there; else it was
					   removed, and has no name */
	enum topic_kind kind;
	char name[TOPIC_NAME_MAX + 1];
	uint64_t uid;
	int32_t partition;
	uint64_t first;			/* ordinals: of the oldest record kept, */
	uint64_t next;			/* of the one that comes next */
	uint64_t records;		/* that can be read */
	uint64_t lost;			/* ordinals without a readable record */
	uint64_t doubled;		/* ordinals that came more than once; never right */
	bool sure;			/* `next` is known, not only assumed */
};

struct journal_report {
	uint64_t watermark;
	uint64_t batches;
	uint64_t records;
	uint64_t bytes;			/* of batches */
	uint64_t damaged;		/* places that are not valid */
	struct check_partition *partitions;	/* by kind, name, partition; unknown ones last */
	size_t partition_count;
};

/*
 * `each` is called for every finding, with a sentence. ERR_OK means that the
 * log could be read to its end; whether it is sound, the report says.
 * ERR_ABSENT: there is no log in `dir`.
 */
MUST_USE enum err_code journal_check(const char *dir, void (*each)(void *user, const char *what),
				     void *user, struct journal_report *ret_report,
				     struct err *err);
/* No damage, nothing lost or doubled. */
bool journal_report_is_sound(const struct journal_report *report);
void journal_report_release(struct journal_report *report);

#endif
