/*
 * presence.h - what the gateway knows of the topics that it is asked for, so
 * that a missing one is neither looked for nor made once a request.
 *
 *	PRESENCE_UNKNOWN  ─ an append was kept, or it was made ─►  PRESENCE_THERE
 *	   │   ▲                                                     │
 *	   │   └──────────── the broker knows it no more ────────────┘
 *	   ├─ missing, and to be made (missing.h) ─►  PRESENCE_MAKING ─► THERE or REFUSED
 *	   └─ missing, as an outcome told late    ─►  PRESENCE_REFUSED, for a second
 *
 * The broker has the last word: a topic that is THERE may have gone, and what
 * is refused is asked for again after its second.
 *
 * Ownership: an entry stays where it is while it has users or is being made; else it may be
 * forgotten for the sake of another.
 * Threads: the loop.
 */
#ifndef GATEWAY_PRESENCE_H
#define GATEWAY_PRESENCE_H

#include "base/err.h"
#include "base/metrics.h"
#include "broker/broker.h"

struct post;

enum presence_state {
	PRESENCE_UNKNOWN,
	PRESENCE_THERE,
	PRESENCE_MAKING,
	PRESENCE_REFUSED,
};

/* A client that was told to come again in a second asks the broker, then. */
enum { PRESENCE_TOPICS_MAX = 16384, PRESENCE_BUCKETS = 1024, PRESENCE_REFUSED_MS = 900 };

struct presence_topic {
	enum topic_kind kind;
	enum presence_state state;
	struct series *records;	     /* kept of it; NULL: none yet */
	size_t users;		     /* requests under way */
	struct presence_topic *next; /* of its bucket */

	/* MAKING */
	struct post *first; /* that wait for it, in the order they came … */
	struct post **last;
	struct presence_topic *queue_next; /* … and for its turn to be made */

	/* REFUSED */
	struct err why;
	int64_t until_ms; /* monotonic */
	unsigned created; /* of the whole table, when it was refused */

	char name[];
};

struct presence {
	struct presence_topic *buckets[PRESENCE_BUCKETS];
	size_t count;
	size_t hand; /* the bucket from which the next is forgotten */
};

void presence_init(struct presence *presence);
void presence_release(struct presence *presence);
/* NULL: nothing is known of it. */
struct presence_topic *presence_find(const struct presence *presence, struct topic_ref topic);
/* The same, made if there is none. */
struct presence_topic *presence_get(struct presence *presence, struct topic_ref topic);
/* So many records more were kept; 0: it is there, to be seen in /metrics. True: they are its first
 * ones ever, as far as the registry goes back. */
bool presence_count(struct presence_topic *topic, int64_t records);

/* `created` counts what clients made by themselves: that may be what was refused. */
void presence_refuse(struct presence_topic *topic, const struct err *why, unsigned created);
/* Whether it is refused still; then `*err` says why. */
bool presence_is_refused(struct presence_topic *topic, unsigned created, struct err *err);

#endif
