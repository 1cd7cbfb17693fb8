#include "base/news.h"

#include "base/time.h"
#include "base/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 1024 };

bool news_may(struct news *news, uint64_t *ret_left_out)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms >= news->until_ms) {
		news->until_ms = now_ms + NEWS_MS;
		news->lines = 0;
	}
	if (news->lines == NEWS_LINES) {
		news->left_out++;
		return false;
	}
	news->lines++;
	*ret_left_out = news->left_out;
	news->left_out = 0;
	return true;
}

void news_tell(struct news *news, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	uint64_t left_out;
	va_list ap;

	if (!trace_shows(TRACE_INFO) || !news_may(news, &left_out))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (left_out > 0)
		trace_info("%s (and %" PRIu64 " more like it before)", line, left_out);
	else
		trace_info("%s", line);
}
