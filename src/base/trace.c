#include "base/trace.h"

#include "base/buf.h"
#include "base/terminal.h"
#include "base/time.h"
#include "base/visible.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { TRACE_LINE_MAX = 2048 };

static const struct { const char *name, *colour; } levels[] = {
	[TRACE_ERROR] = { "error", "\033[31m" },
	[TRACE_WARN] = { "warn", "\033[33m" },
	[TRACE_INFO] = { "info", "\033[36m" },
	[TRACE_DEBUG] = { "debug", "\033[2m" },
};

static enum trace_level level_max = TRACE_INFO;
static const char *component = "pinpipe";
static bool terminal;
static bool colour;
static bool draws;

void trace_init(enum trace_level level, const char *name)
{
	level_max = level;
	component = name;
	terminal = isatty(STDERR_FILENO) != 0;
	draws = terminal_draws(STDERR_FILENO);
	colour = terminal_has_colour(STDERR_FILENO);
}

bool trace_shows(enum trace_level level) { return level <= level_max; }

void trace_at(enum trace_level level, const char *fmt, ...)
{
	char text[TRACE_LINE_MAX / 2];
	struct buf line;
	va_list ap;

	if (level > level_max)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_init(&line, (size_t)TRACE_LINE_MAX * 4);
	if (draws) /* over the progress of some process, if that is there */
		buf_add_str(&line, "\r\x1b[K");
	if (!terminal) {
		time_put_iso(&line, clock_wall_ms());
		buf_add_char(&line, ' ');
	}
	buf_addf(&line, "%s%s%s %s: ", colour ? levels[level].colour : "", levels[level].name,
		 colour ? "\033[0m" : "", component);
	visible_put(&line, slice_str(text), false);
	buf_add_char(&line, '\n');
	(void)!write(STDERR_FILENO, line.ptr, line.len);	/* one write, so lines never mix */
	buf_release(&line);
}
