/*
 * broker_kinds.h - one broker out of two: topics of one, streams of the other.
 *
 * A decorator as any other: every call goes to the broker of its topic's kind,
 * so that nobody above needs to know that there are two. Both have the same
 * completion, and each keeps broker.h's contract for its own kind. A reader
 * opens a reader of either broker when it is first asked for a topic of it.
 *
 * The two may be one and the same, which is freed once.
 */
#ifndef BROKER_BROKER_KINDS_H
#define BROKER_BROKER_KINDS_H

#include "broker/broker.h"

/* Takes ownership of both. */
MUST_USE struct broker *broker_kinds_new(struct broker *topics, struct broker *streams);

#endif
