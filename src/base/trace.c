#include "base/trace.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/terminal.h"
#include "base/time.h"
#include "base/visible.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum {
	TRACE_TEXT_MAX = 1024,
	TRACE_LINE_MAX = 16 << 10, /* each byte may be four that are seen, or six of JSON */
};

static const struct { const char *name, *colour; } levels[] = {
	[TRACE_ERROR] = { "error", "\033[31m" },
	[TRACE_WARN] = { "warn", "\033[33m" },
	[TRACE_INFO] = { "info", "\033[36m" },
	[TRACE_DEBUG] = { "debug", "\033[2m" },
};

static enum trace_level level_max = TRACE_INFO;
static enum trace_format format = TRACE_TEXT;
static const char *component = "pinpipe";
static bool terminal;
static bool colour;
static bool draws;
static bool (*is_known)(const char *text);

void trace_init(enum trace_level level, enum trace_format as, const char *name)
{
	level_max = level;
	format = as;
	component = name;
	terminal = isatty(STDERR_FILENO) != 0;
	draws = as == TRACE_TEXT && terminal_draws(STDERR_FILENO);
	colour = terminal_has_colour(STDERR_FILENO);
}

bool trace_shows(enum trace_level level) { return level <= level_max; }

void trace_set_known(bool (*known)(const char *text)) { is_known = known; }

bool trace_is_known(const char *text) { return is_known && is_known(text); }

bool trace_is_for_programs(void) { return format != TRACE_TEXT; }

static void trace_put_text(struct buf *line, enum trace_level level, struct slice text)
{
	if (!terminal) {
		time_put_iso(line, clock_wall_ms());
		buf_add_char(line, ' ');
	}
	buf_addf(line, "%s%s%s %s: ", colour ? levels[level].colour : "", levels[level].name,
		 colour ? "\033[0m" : "", component);
	buf_add_slice(line, text);
}

static void trace_put_json(struct buf *line, enum trace_level level, struct slice text)
{
	buf_add_str(line, "{\"ts\":\"");
	time_put_iso(line, clock_wall_ms());
	buf_addf(line, "\",\"level\":\"%s\",\"process\":", levels[level].name);
	json_put_string(line, slice_str(component));
	buf_add_str(line, ",\"message\":");
	json_put_string(line, text);
	buf_add_char(line, '}');
}

/* A quoted value is a string of JSON there as well. */
static void put_logfmt(struct buf *line, enum trace_level level, struct slice text)
{
	buf_add_str(line, "ts=");
	time_put_iso(line, clock_wall_ms());
	buf_addf(line, " level=%s process=%s message=", levels[level].name, component);
	json_put_string(line, text);
}

void trace_at(enum trace_level level, const char *fmt, ...)
{
	static void (*const put[])(struct buf *, enum trace_level, struct slice) = {
		[TRACE_TEXT] = trace_put_text,
		[TRACE_JSON] = trace_put_json,
		[TRACE_LOGFMT] = put_logfmt,
	};
	char text[TRACE_TEXT_MAX];
	struct buf line, visible;
	va_list ap;

	if (level > level_max)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (level <= TRACE_WARN && trace_is_known(text))
		level = TRACE_DEBUG;
	if (level > level_max)
		return;
	buf_init(&line, TRACE_LINE_MAX);
	buf_init(&visible, TRACE_LINE_MAX);
	if (draws) /* over the progress of some process, if that is there */
		buf_add_str(&line, "\r\x1b[K");
	if (format == TRACE_TEXT || terminal)
		visible_put(&visible, slice_str(text), false);
	else
		buf_add_str(&visible, text);
	put[format](&line, level, buf_slice(&visible));
	buf_add_char(&line, '\n');
	(void)!write(STDERR_FILENO, line.ptr, line.len);	/* one write, so lines never mix */
	buf_release(&visible);
	buf_release(&line);
}
