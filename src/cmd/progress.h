/*
 * progress.h - how far something is: one line on stderr, drawn over itself, if
 * that is a terminal that can.
 *
 *	posting to the topics   [#########               ]  38 %  1:12 left  2,377/s
 *
 * The line never is as wide as the terminal, however wide that is just then; what
 * it has no room for is left out from the end. Threads: one at a time.
 */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* "posting to the topics" */
	int64_t begun_ms; /* 0: with the first line */
	double from;	  /* how much was done then */
	double last;	  /* where it falls back, something else has begun */
	bool shown;	  /* the line is there */
};

/* `done`: from 0 to 1; below 0: not known. `more` may be "". */
void progress_draw(struct progress *progress, double done, const char *more);
/* Takes the line away. Call it before anything else is written. */
void progress_clear(struct progress *progress);

enum { PROGRESS_COUNT_MAX = 28 };
/* "12,345" */
const char *progress_count(uint64_t count, char text[PROGRESS_COUNT_MAX]);

#endif
