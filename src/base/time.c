#include "base/time.h"

#include "base/stop.h"

#include <poll.h>
#include <stdatomic.h>
#include <time.h>

static int64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);	/* cannot fail for these clocks */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void) { return clock_us(CLOCK_MONOTONIC); }
int64_t clock_mono_ms(void) { return clock_us(CLOCK_MONOTONIC) / 1000; }
int64_t clock_boot_ms(void) { return clock_us(CLOCK_BOOTTIME) / 1000; }
int64_t clock_wall_ms(void) { return clock_us(CLOCK_REALTIME) / 1000; }

int64_t clock_age_ms(void)
{
	static _Atomic int64_t first_ms; /* how far the wall clock was ahead of the other */
	int64_t boot_ms = clock_boot_ms(), now_ms = clock_wall_ms();
	int64_t ahead_ms = 0;

	if (!atomic_compare_exchange_strong(&first_ms, &ahead_ms, now_ms - boot_ms))
		now_ms = now_ms < boot_ms + ahead_ms ? now_ms : boot_ms + ahead_ms;
	return now_ms;
}

void time_put_iso(struct buf *out, int64_t wall_ms)
{
	int64_t ms = wall_ms % 1000;
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (ms < 0) {
		ms += 1000;
		s--;
	}
	if (!gmtime_r(&s, &tm))
		return;
	buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)ms);
}

void clock_sleep_ms(int64_t ms)
{
	struct pollfd fd = { .fd = stop_fd(), .events = POLLIN };
	int64_t end = clock_mono_ms() + ms;
	int64_t left;

	while ((left = end - clock_mono_ms()) > 0 && !stop_requested())
		(void)poll(&fd, 1, left > 60000 ? 60000 : (int)left);
}
