/*
 * trace.h - diagnostics on stderr, one line each. (The word *log* is kept for
 * the record log.)
 *
 * A line is "2026-01-02T03:04:05.678Z level component: message". What
 * is an order to a terminal is escaped (visible.h); secrets and bodies never go in. On a
 * terminal the time is left out and colour is used where terminal.h has it. Other formats are for
 * programs, and the same wherever they go:
 *
 *	json	{"ts":"2026-01-02T03:04:05.678Z","level":"info","process":"up","message":"…"}
 *	logfmt	ts=2026-01-02T03:04:05.678Z level=info process=up message="…"
 *
 * Threads: any.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include "base/err.h"

enum trace_level { TRACE_ERROR, TRACE_WARN, TRACE_INFO, TRACE_DEBUG };
enum trace_format { TRACE_TEXT, TRACE_JSON, TRACE_LOGFMT };

/* Once at start, before other threads. `component`: the subcommand's name. */
void trace_init(enum trace_level level, enum trace_format format, const char *component);
/* Whether lines of this level are written. */
bool trace_shows(enum trace_level level);
/* Whether they are for programs: then no other lines belong on stderr. */
bool trace_is_for_programs(void);
/* Errors and warnings of which that says true are written as trace_debug() has it; NULL: none. */
void trace_set_known(bool (*known)(const char *text));
/* As trace_at() would ask. */
bool trace_is_known(const char *text);
void trace_at(enum trace_level level, const char *fmt, ...) PRINTF(2, 3);

#define trace_error(...) trace_at(TRACE_ERROR, __VA_ARGS__)
#define trace_warn(...) trace_at(TRACE_WARN, __VA_ARGS__)
#define trace_info(...) trace_at(TRACE_INFO, __VA_ARGS__)
#define trace_debug(...) trace_at(TRACE_DEBUG, __VA_ARGS__)

#endif
