/*
 * http_peers.h - how many connections each client address has open, or requests
 * in flight.
 *
 * IPv6 counts by /64, which is what one host is given. Threads: the loop thread.
 */
#ifndef NET_HTTP_PEERS_H
#define NET_HTTP_PEERS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address as 16 bytes: IPv4 mapped, IPv6 cut to its /64. */
struct http_peer_key {
	uint64_t high;
	uint64_t low;
};

struct http_peer;

struct http_peers {
	struct http_peer *entries;	/* one for each connection that can be, one for a new one */
	uint32_t *buckets;		/* of entry numbers + 1 */
	uint32_t bucket_mask;
	uint32_t free;			/* the first free entry's number + 1 */
	uint64_t seed;			/* so that nobody chooses addresses that share a bucket */
};

void http_peers_init(struct http_peers *peers, uint32_t connections_max);
void http_peers_release(struct http_peers *peers);
struct http_peer_key http_peer_key(const struct sockaddr_storage *address);
struct http_peer_key http_peer_key_of_text(struct slice text);
bool http_peer_is_loopback(const struct sockaddr_storage *address);
/* Counts one more, unless it has `max` already, or there are too many others: 0 then, else its
 * entry, which is a quarter of a key to remember. */
uint32_t http_peers_add(struct http_peers *peers, struct http_peer_key key, uint32_t max);
struct http_peer_key http_peers_key(const struct http_peers *peers, uint32_t entry);
void http_peers_remove(struct http_peers *peers, struct http_peer_key key);

#endif
