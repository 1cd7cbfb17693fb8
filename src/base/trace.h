/*
 * trace.h - diagnostics on stderr, one line each. (The word *log* is kept for
 * the record log.)
 *
 * A line is "2026-01-02T03:04:05.678Z level component: message". What
 * is an order to a terminal is escaped (visible.h); secrets and bodies never go in. On a
 * terminal the time is left out and colour is used where terminal.h has it.
 * Threads: any.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include "base/err.h"

enum trace_level { TRACE_ERROR, TRACE_WARN, TRACE_INFO, TRACE_DEBUG };

/* Once at start, before other threads. `component`: the subcommand's name. */
void trace_init(enum trace_level level, const char *component);
/* Whether lines of this level are written. */
bool trace_shows(enum trace_level level);
void trace_at(enum trace_level level, const char *fmt, ...) PRINTF(2, 3);

#define trace_error(...) trace_at(TRACE_ERROR, __VA_ARGS__)
#define trace_warn(...) trace_at(TRACE_WARN, __VA_ARGS__)
#define trace_info(...) trace_at(TRACE_INFO, __VA_ARGS__)
#define trace_debug(...) trace_at(TRACE_DEBUG, __VA_ARGS__)

#endif
