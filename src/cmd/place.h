/*
 * place.h - which topic, which of its partitions and where in it, as a person
 * writes them:
 *
 *	NAME		a topic, or else a stream, of that name
 *	NAME/PARTITION	one partition; a shard by its number or its name
 *	beginning, end, an offset, -N (the last N of each partition), @TIME (the first
 *			at or after it: milliseconds since 1970, or 2022-03-01T12:30Z)
 */
#ifndef CMD_PLACE_H
#define CMD_PLACE_H

#include "broker/broker.h"

/* The topic and the partition, or PARTITION_ANY. The caller releases *ret_info. ERR_NO_TOPIC,
 * ERR_NO_PARTITION. */
MUST_USE enum err_code place_find(struct broker *broker, const char *text,
				  struct topic_info *ret_info, int32_t *ret_partition,
				  struct err *err);
/* ERR_NO_TOPIC, with the name that was meant, if one of the log's is close; `nor`: what else there
 * is not, or "". */
MUST_USE enum err_code place_no_topic(struct broker *broker, const char *name, const char *nor,
				      struct err *err);
MUST_USE enum err_code place_parse_start(const char *text, struct reader_start *ret_start,
					 struct err *err);
/* The position that a reader which starts there would be at. ERR_USAGE: the partition has no such
 * offset. May wait for the log. */
MUST_USE enum err_code place_position(struct broker *broker, struct topic_ref topic,
				      const struct partition_info *partition,
				      struct reader_start start, struct position *ret_position,
				      struct err *err);

#endif
