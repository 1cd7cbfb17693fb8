/*
 * zone.h - what the clocks of a place show: a time zone by its IANA name, as the system's tzdata
 * has it.
 *
 * The C library knows one zone a process, that of TZ. It is set for as long as zone_enter() to
 * zone_leave(), and put back, so that children do not inherit it.
 *
 * Threads: one, while no other asks for local time.
 */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include "base/err.h"

#include <stdint.h>

enum { ZONE_NAME_MAX = 64 };

struct zone {
	char name[ZONE_NAME_MAX];
	char *before;	/* TZ as it was, or NULL; while it is entered */
};

/* ERR_USAGE: tzdata has none of that name. "UTC" needs no tzdata. */
MUST_USE enum err_code zone_init(struct zone *zone, const char *name, struct err *err);
void zone_enter(struct zone *zone);
void zone_leave(struct zone *zone);
/* Seconds since 1970 as the clocks show them, as if those were UTC. Only between the two above. */
int64_t zone_local(int64_t utc_s);

#endif
