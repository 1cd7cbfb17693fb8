/*
 * refused.h - tells who watches the gateway when it refuses a client something for the first time:
 * which status, for what, and the words of the answer, which say what to do about it.
 *
 * Of each client and status once an hour, as far as it remembers: REFUSED_KEPT of them.
 *
 * Threads: the loop.
 */
#ifndef GATEWAY_REFUSED_H
#define GATEWAY_REFUSED_H

#include "base/json.h"
#include "base/news.h"

enum { REFUSED_KEPT = 256 };

struct refused {
	struct json_parser *json;
	struct news news;
	size_t next; /* the oldest one */
	struct refused_client {
		uint64_t hash;
		int64_t until_ms;
	} clients[REFUSED_KEPT];
};

void refused_init(struct refused *refused);
void refused_release(struct refused *refused);
/* `asked`: the topic, the path …, or null; `body`: of the answer. */
void refused_note(struct refused *refused, const char *client, int status, struct slice asked,
		  struct slice body);

#endif
