/* state.h - what the parts of the gateway share; gateway.c makes and frees it. */
#ifndef GATEWAY_STATE_H
#define GATEWAY_STATE_H

#include "broker/broker.h"
#include "gateway/auth.h"
#include "gateway/gateway.h"
#include "gateway/guard.h"
#include "gateway/heartbeat.h"
#include "gateway/ingest.h"
#include "gateway/iterator.h"
#include "gateway/listeners.h"
#include "gateway/missing.h"
#include "gateway/opening.h"
#include "gateway/presence.h"
#include "gateway/refused.h"
#include "gateway/session.h"
#include "gateway/tries.h"
#include "gateway/takeover.h"

#include <stdatomic.h>

struct worker;
struct ui;

struct gateway {
	struct gateway_options options;
	struct listeners listeners;
	struct auth auth;
	struct sessions sessions;
	struct tries tries;
	struct secret token; /* of the page, where no key is set; else "" */
	struct guard guard;
	struct iterator_key iterator_key;
	_Atomic(struct broker *) broker; /* NULL: not open yet */
	struct opening opening;
	struct takeover takeover;
	atomic_uint created; /* topics that clients made by a call of their own */
	struct http_server *server;
	struct heartbeat heartbeat;
	struct worker *worker;
	struct ui *ui;
	bool ended; /* gateway_run() has: nothing goes to the broker any more */

	/* Scratch of the loop thread, for one request at a time. */
	struct json_parser *json;
	struct records records;
	struct buf reply;
	struct buf unpacked; /* a body that came packed */
	struct ingest ingest;
	struct presence presence;
	struct missing missing;
	struct refused refused;
	struct news first_records;
	struct broker *corked; /* in this turn */
	int64_t turn_us;       /* when it began, clock_mono_us() */
};

/* NULL: it is not open yet, see opening.h. No route that needs it is handled then. */
static inline struct broker *gateway_broker(struct gateway *gateway)
{
	return atomic_load_explicit(&gateway->broker, memory_order_acquire);
}

/* Nothing more can be asked of the log: this ends, or nobody took over and it is not open again. */
static inline bool gateway_has_rested(struct gateway *gateway)
{
	return gateway->ended || !gateway_broker(gateway);
}

/* Whether auto_create makes it; a new topic's partitions. */
bool gateway_creates(const struct gateway *gateway, enum topic_kind kind, const char *name,
		     int32_t *ret_partitions);

#endif
