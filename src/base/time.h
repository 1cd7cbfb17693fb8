/*
 * time.h - three clocks, named for what they may be used for.
 *
 * Timeouts, pace and rates use clock_mono_*: it never jumps. How much time has
 * passed in the world, the machine's sleep included, says clock_boot_ms, which
 * does not either. Only what a person or another system reads uses
 * clock_wall_ms, and what is as old as its own time says, clock_age_ms.
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include "base/buf.h"

#include <stdint.h>

int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
int64_t clock_boot_ms(void);
int64_t clock_wall_ms(void);	/* since 1970, UTC */
/* The wall clock for who takes old things away: a leap forward since this was first called in the
 * process is not followed. */
int64_t clock_age_ms(void);

/* "2020-08-28T03:52:47.123Z" */
void time_put_iso(struct buf *out, int64_t wall_ms);
/* Sleeps; returns early when the process is asked to stop (stop.h). */
void clock_sleep_ms(int64_t ms);

#endif
