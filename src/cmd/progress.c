#include "cmd/progress.h"

#include "base/buf.h"
#include "base/terminal.h"
#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 1024,
	BAR_MAX = 24,
	BAR_MIN = 5,
	KNOWN_AFTER_MS = 1000, /* before that what is left is a guess */
};

const char *progress_count(uint64_t count, char text[PROGRESS_COUNT_MAX])
{
	char plain[PROGRESS_COUNT_MAX];
	int len = snprintf(plain, sizeof(plain), "%" PRIu64, count);
	size_t at = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			text[at++] = ',';
		text[at++] = plain[i];
	}
	text[at] = '\0';
	return text;
}

/* "1:12 left", "2 h 05 left" */
static void put_left(struct buf *out, const struct progress *progress, double done)
{
	double taken_ms = (double)(clock_mono_ms() - progress->begun_ms);
	double made = done - progress->from;
	int64_t left_s;

	if (taken_ms < KNOWN_AFTER_MS || made <= 0 || done >= 1)
		return;
	left_s = (int64_t)(taken_ms * (1 - done) / made / 1000);
	if (left_s >= 3600)
		buf_addf(out, "  %" PRId64 " h %02" PRId64 " left", left_s / 3600,
			 left_s / 60 % 60);
	else
		buf_addf(out, "  %" PRId64 ":%02" PRId64 " left", left_s / 60, left_s % 60);
}

static void put_bar(struct buf *out, double done, size_t room)
{
	size_t width = room < BAR_MAX ? room : BAR_MAX;
	size_t filled = (size_t)((double)width * done);

	if (width >= BAR_MIN)
		buf_addf(out, "  [%.*s%*s]", (int)filled, "########################",
			 (int)(width - filled), "");
}

static void put_line(struct buf *out, const struct progress *progress, double done,
		     const char *more, size_t width)
{
	size_t taken = strlen(progress->what) + strlen(more) + (*more ? 2 : 0);
	struct buf left;

	buf_init(&left, LINE_MAX_BYTES);
	buf_add_str(out, progress->what);
	if (done >= 0) {
		buf_addf(&left, "  %3d %%", (int)(done * 100));
		put_left(&left, progress, done);
		taken += left.len + strlen("  []");
		put_bar(out, done, width > taken ? width - taken : 0);
		buf_add_slice(out, buf_slice(&left));
	}
	if (*more)
		buf_addf(out, "  %s", more);
	buf_release(&left);
}

void progress_draw(struct progress *progress, double done, const char *more)
{
	size_t width = terminal_width(STDERR_FILENO);
	struct buf line;

	if (!terminal_draws(STDERR_FILENO) || width < 2)
		return;
	if (progress->begun_ms == 0 || done < progress->last) {
		progress->begun_ms = clock_mono_ms();
		progress->from = done > 0 ? done : 0;
	}
	progress->last = done;
	buf_init(&line, LINE_MAX_BYTES);
	put_line(&line, progress, done > 1 ? 1 : done, more, width - 1);
	(void)fprintf(stderr, "\r%.*s\x1b[K", (int)terminal_fit(buf_slice(&line), width - 1),
		      buf_cstr(&line));
	(void)fflush(stderr);
	buf_release(&line);
	progress->shown = true;
}

void progress_clear(struct progress *progress)
{
	if (!progress->shown)
		return;
	(void)fputs("\r\x1b[K", stderr);
	(void)fflush(stderr);
	progress->shown = false;
}
