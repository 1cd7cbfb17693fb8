/* state.h - what the parts of the gateway share; gateway.c makes and frees it. */
#ifndef GATEWAY_STATE_H
#define GATEWAY_STATE_H

#include "gateway/auth.h"
#include "gateway/gateway.h"
#include "gateway/guard.h"
#include "gateway/ingest.h"
#include "gateway/iterator.h"

struct worker;

struct gateway {
	struct gateway_options options;
	struct auth auth;
	struct guard guard;
	struct iterator_key iterator_key;
	struct broker *broker;
	struct http_server *server;
	struct worker *worker;

	/* Scratch of the loop thread, for one request at a time. */
	struct json_parser *json;
	struct records records;
	struct buf reply;
	struct ingest ingest;
};

/* Whether auto_create makes it; a new topic's partitions. */
bool gateway_creates(const struct gateway *gateway, enum topic_kind kind, const char *name,
		     int32_t *ret_partitions);

#endif
