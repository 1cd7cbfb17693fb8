/*
 * bare_kafka.h - a client of librdkafka with its own defaults, but for what is promised: a record
 * is acknowledged by all replicas in sync, and is there once.
 */
#ifndef BENCH_BARE_KAFKA_H
#define BENCH_BARE_KAFKA_H

#include <rdkafka.h>

/* `settings`: names and values in turn, to NULL. */
rd_kafka_t *bare_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf,
			   const char *const *settings);
void bare_kafka_die(const char *what);

#endif
