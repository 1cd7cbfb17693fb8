/*
 * tries.h - wrong tries at a key slow down who makes them: an address has
 * TRIES_BURST at once, and one more each TRIES_EVERY_MS.
 *
 * There is room for TRIES_PLACES addresses; who comes new takes the place of
 * one that has the most left, of the few that the address may have.
 * Threads: the loop.
 */
#ifndef GATEWAY_TRIES_H
#define GATEWAY_TRIES_H

#include "net/http_peers.h"

enum { TRIES_BURST = 10, TRIES_EVERY_MS = 6000, TRIES_PLACES = 1024 };

struct tries_place {
	struct http_peer_key client;
	int64_t full_ms; /* when it has all its tries again; in the past: it has */
};

struct tries {
	struct tries_place places[TRIES_PLACES];
};

/* False: it has none left for now. */
bool tries_take(struct tries *tries, struct http_peer_key client, int64_t now_ms);
/* It was a right one. */
void tries_give_back(struct tries *tries, struct http_peer_key client);

#endif
