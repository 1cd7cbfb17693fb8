/*
 * dlq_kind.h - reasons of dead letters, put together by kind.
 *
 * Threads: any.
 */
#ifndef FLOW_DLQ_KIND_H
#define FLOW_DLQ_KIND_H

#include "base/err.h"
#include "base/slice.h"

/* Our words, without what is the record's own: its value, and the numbers of places in it. The
 * slice is of `kind`. */
struct slice dlq_kind_of(struct slice reason, char kind[ERR_MSG_MAX]);

#endif
