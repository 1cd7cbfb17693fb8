/*
 * delta_interval.h - spans of time as a table's properties have them: "interval
 * 1 week", "7 days", "interval 1 day 12 hours", "2 weeks 500 milliseconds".
 *
 * As Spark's CalendarInterval, upper or lower case; months and years, which no
 * clean-up can count with, are refused as Delta refuses them.
 */
#ifndef DELTA_DELTA_INTERVAL_H
#define DELTA_DELTA_INTERVAL_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* False: it is no such text, or below 0 in sum, or past what a clock counts. */
bool delta_interval_parse(struct slice text, int64_t *ret_ms);
/* "interval 90 minutes": one number and its unit, which every reader of Delta takes. */
void delta_interval_put(struct buf *out, int64_t ms);

#endif
