/*
 * told.h - a job that runs over and over, each time as a new process, tells an error or a warning
 * once: what it told in its last turn, or kept back then, is told as trace_debug() has it.
 *
 * A file of the data directory keeps the hashes of what a turn told, and how much news. Without it,
 * or without the right to write it, everything is told.
 *
 * Threads: one between told_begin() and told_end(); any may trace meanwhile.
 */
#ifndef BASE_TOLD_H
#define BASE_TOLD_H

#include "base/news.h"

/* `name`: of the file. */
void told_begin(const char *dir, const char *name);
void told_end(void);
/* Of this turn and those before it. */
struct news *told_news(void);
/* The next turn tells everything. */
void told_forget(const char *dir, const char *name);

#endif
