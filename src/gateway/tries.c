#include "gateway/tries.h"

enum { WAYS = 8 }; /* places that an address may have */

static struct tries_place *tries_find(struct tries *tries, struct http_peer_key client)
{
	uint64_t hash = (client.high * 0x9e3779b97f4a7c15 ^ client.low) * 0xd6e8feb86659fd93;
	struct tries_place *set = &tries->places[(hash >> 32) % (TRIES_PLACES / WAYS) * WAYS];
	struct tries_place *best = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].client.high == client.high && set[i].client.low == client.low)
			return &set[i];
		if (set[i].full_ms < best->full_ms)
			best = &set[i];
	}
	*best = (struct tries_place){ .client = client };
	return best;
}

bool tries_take(struct tries *tries, struct http_peer_key client, int64_t now_ms)
{
	struct tries_place *place = tries_find(tries, client);
	int64_t full_ms = (place->full_ms > now_ms ? place->full_ms : now_ms) + TRIES_EVERY_MS;

	if (full_ms > now_ms + (int64_t)TRIES_BURST * TRIES_EVERY_MS)
		return false;
	place->full_ms = full_ms;
	return true;
}

void tries_give_back(struct tries *tries, struct http_peer_key client)
{
	tries_find(tries, client)->full_ms -= TRIES_EVERY_MS;
}
