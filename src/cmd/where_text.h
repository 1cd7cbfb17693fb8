/*
 * where_text.h - what `pinpipe where` found, as lines for a person or as JSON:
 *
 *	{"topic":…,"kind":"topic|stream","partition":"0","offset":"00000000000000000042",
 *	 "log":{"state":"there|gone|not yet|no record|not asked","timestamp_ms":…,"why":…},
 *	 "lake":{"state":"object|waits|letter|passed|lost|let go","key":…,"line":…,"generation":1,
 *		 "why":…},
 *	 "tables":[{"table":…,"path":"batch|stream","state":"row|letter|waits|another's|nowhere|unknown",
 *		    "version":…,"file":…,"row":{…},"letter":…,"why":…},…]}
 *
 * What is not known, or does not apply, is null; a stream has no "lake". `why` is for a person.
 */
#ifndef CMD_WHERE_TEXT_H
#define CMD_WHERE_TEXT_H

#include "base/config.h"
#include "flow/where.h"

enum where_log_state {
	WHERE_LOG_UNKNOWN, /* it was not asked, or did not say */
	WHERE_LOG_THERE,
	WHERE_LOG_GONE,
	WHERE_LOG_NOT_YET,
	WHERE_LOG_NO_RECORD,
};

struct where_log {
	enum where_log_state state;
	int64_t timestamp_ms; /* of what is there */
	enum gap_reason gap;  /* of what is no record */
};

/* All that the command knows; cmd_where.c owns it. */
struct where {
	const struct config *config;
	struct models models;
	struct lake_table *tables;
	size_t table_count;
	struct store *store;
	struct broker *broker;
	char topic[TOPIC_NAME_MAX + 1];
	bool known; /* the topic, to the log: */
	struct topic_info info;
	int32_t partition;
	uint32_t asked_generation; /* 0: it was not said */
	bool is_old;		   /* it is not the one that the log is of */
	struct where_record record;
	struct where_log log;
	struct where_object object;
	struct where_letters letters;
	const struct where_letter *sinks;
	struct where_table *found;
	size_t found_count;
};

MUST_USE enum err_code where_print(const struct where *where, struct err *err);

#endif
