/*
 * records.h - the records of one request, from the parsed body to the broker.
 *
 * Values point into the request's body where they stand there as they are to be
 * stored, else into `bytes`, whose room is taken once at the start
 * (records_begin), so that the slices into it stay where they are.
 *
 * Ownership: one struct serves all requests of a thread, one after the other.
 */
#ifndef GATEWAY_RECORDS_H
#define GATEWAY_RECORDS_H

#include "base/buf.h"
#include "broker/broker.h"

enum { REQUEST_RECORDS_MAX = 100000 };

struct records {
	struct append_record *at;
	size_t count;
	size_t room;
	struct buf bytes;
};

void records_init(struct records *records, size_t bytes_max);
void records_release(struct records *records);
/* Empty again, with room for `count` records and `bytes_max` bytes of them. Lets go of what only an
 * uncommonly large request needed. */
void records_begin(struct records *records, size_t count, size_t bytes_max);
/* At most as many as records_begin() was told. */
void records_add(struct records *records, struct append_record record);

#endif
