#include "net/http_peers.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/random.h>

struct http_peer {
	struct http_peer_key key;
	uint32_t count;
	uint32_t next;		/* in its bucket, or free: entry number + 1 */
};

void http_peers_init(struct http_peers *peers, uint32_t connections_max)
{
	uint32_t entries = connections_max + 1;	/* one is counted before another has gone for it */
	uint32_t buckets = 64;

	while (buckets < connections_max)
		buckets *= 2;
	*peers = (struct http_peers){
		.entries = xcalloc(entries, sizeof(*peers->entries)),
		.buckets = xcalloc(buckets, sizeof(*peers->buckets)),
		.bucket_mask = buckets - 1,
		.free = 1,
	};
	for (uint32_t i = 0; i + 1 < entries; i++)
		peers->entries[i].next = i + 2;
	(void)!getrandom(&peers->seed, sizeof(peers->seed), GRND_NONBLOCK);
}

void http_peers_release(struct http_peers *peers)
{
	free(peers->entries);
	free(peers->buckets);
}

/* "192.0.2.1", "2001:db8::1", brackets and a port allowed; what is none of these is one client. */
struct http_peer_key http_peer_key_of_text(struct slice text)
{
	struct sockaddr_storage address = { .ss_family = AF_INET };
	char host[INET6_ADDRSTRLEN];
	const char *end;

	if (text.len > 0 && text.ptr[0] == '[') {
		end = memchr(text.ptr, ']', text.len);
		text = slice_of(text.ptr + 1, end ? (size_t)(end - text.ptr) - 1 : 0);
	} else if ((end = memchr(text.ptr, ':', text.len)) && memchr(text.ptr, '.', text.len) &&
		   !memchr(end + 1, ':', (size_t)(text.ptr + text.len - end) - 1)) {
		text.len = (size_t)(end - text.ptr);
	}
	if (text.len >= sizeof(host))
		return (struct http_peer_key){ 0 };
	memcpy(host, text.ptr, text.len);
	host[text.len] = '\0';
	if (inet_pton(AF_INET, host, &((struct sockaddr_in *)&address)->sin_addr) == 1)
		return http_peer_key(&address);
	address.ss_family = AF_INET6;
	if (inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)&address)->sin6_addr) == 1)
		return http_peer_key(&address);
	return (struct http_peer_key){ 0 };
}

struct http_peer_key http_peer_key(const struct sockaddr_storage *address)
{
	struct http_peer_key key = { 0 };

	if (address->ss_family == AF_INET) {
		key.low = ((const struct sockaddr_in *)address)->sin_addr.s_addr;
		return key;
	}
	memcpy(&key, &((const struct sockaddr_in6 *)address)->sin6_addr, sizeof(key));
	if (IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)address)->sin6_addr))
		key.high = 0;
	else
		key.low = 0;
	return key;
}

bool http_peer_is_loopback(const struct sockaddr_storage *address)
{
	const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;

	if (address->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

/* The link that leads to the key's entry, or to the end of its bucket. */
static uint32_t *http_peers_find(struct http_peers *peers, struct http_peer_key key)
{
	uint64_t hash = (key.high ^ peers->seed) * 0x9e3779b97f4a7c15;
	uint32_t *link;

	hash = ((hash >> 32) ^ hash ^ key.low) * 0xd6e8feb86659fd93;
	link = &peers->buckets[(hash >> 32) & peers->bucket_mask];
	while (*link) {
		struct http_peer *peer = &peers->entries[*link - 1];

		if (peer->key.high == key.high && peer->key.low == key.low)
			break;
		link = &peer->next;
	}
	return link;
}

uint32_t http_peers_add(struct http_peers *peers, struct http_peer_key key, uint32_t max)
{
	uint32_t *link = http_peers_find(peers, key);
	struct http_peer *peer;

	if (!*link) {
		uint32_t entry = peers->free;

		if (!entry)
			return 0;
		peer = &peers->entries[entry - 1];
		peers->free = peer->next;
		*peer = (struct http_peer){ .key = key };
		*link = entry;
	}
	peer = &peers->entries[*link - 1];
	if (peer->count >= max)
		return 0;
	peer->count++;
	return *link;
}

struct http_peer_key http_peers_key(const struct http_peers *peers, uint32_t entry)
{
	return peers->entries[entry - 1].key;
}

void http_peers_remove(struct http_peers *peers, struct http_peer_key key)
{
	uint32_t *link = http_peers_find(peers, key);
	uint32_t entry = *link;
	struct http_peer *peer = &peers->entries[entry - 1];

	if (--peer->count > 0)
		return;
	*link = peer->next;
	peer->next = peers->free;
	peers->free = entry;
}
