/*
 * letter_news.h - tells who watches a process of its dead letters: how many, and what most of them
 * are about.
 *
 * What a batch of letters (dlq.h) has written is added up for the process, and told at most every
 * NEWS_MS. Counted are letters that were written; those of a commit that lost a race are among
 * them, although they come to nothing.
 *
 * Threads: any; of a tally one at a time.
 */
#ifndef FLOW_LETTER_NEWS_H
#define FLOW_LETTER_NEWS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { LETTER_KINDS = 8, LETTER_KIND_MAX = 200 };

/* Zero at first; of more kinds than it has room for, letters count without theirs. */
struct letter_tally {
	uint64_t letters;
	size_t kind_count;
	struct letter_kind {
		char text[LETTER_KIND_MAX];
		uint64_t letters;
	} kinds[LETTER_KINDS];
};

/* `of`: a table, or a topic. */
void letter_tally_note(struct letter_tally *tally, const char *of, const char *reason);
/* It was written; the tally is empty then. */
void letter_news_add(struct letter_tally *tally);
/* "12 dead letters, 7 of clicks: lacks "at"", and forgets them. False: there are none. */
bool letter_news_take(struct buf *out);
/* Tells of those since the last time. `now`: even if that is not long ago. */
void letter_news_tell(bool now);

#endif
