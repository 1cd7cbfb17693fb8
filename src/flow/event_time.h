/*
 * event_time.h - which time a record belongs to, by Confluent's timestamp
 * extractors.
 *
 *	Wallclock	when the sink takes it
 *	Record		its own time in the log
 *	RecordField	a field of its value (timestamp.field, a.b for one inside
 *			another): milliseconds since 1970, as a number or its text, or
 *			what engine/read.h takes for a time ("2022-03-01T12:30:05.123Z",
 *			"2022-03-01 12:30:05+01:00", "2022-03-01"; without a zone it is UTC)
 */
#ifndef FLOW_EVENT_TIME_H
#define FLOW_EVENT_TIME_H

#include "base/json.h"
#include "broker/broker.h"

enum event_time_kind { EVENT_TIME_WALL, EVENT_TIME_RECORD, EVENT_TIME_FIELD };

struct event_time {
	enum event_time_kind kind;
	const char *field;
};

/* False: the field is not there, or is no time of the years 1 to 9999. */
bool event_time_of(const struct event_time *time, const struct record *record, struct json value,
		   int64_t *ret_ms);
bool event_time_parse(struct slice text, int64_t *ret_ms);

#endif
