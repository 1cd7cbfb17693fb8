/*
 * guard.h - what a request may name: the host it was sent to, and the origin of
 * the page that sent it.
 *
 * Everybody's browser can reach a gateway on loopback, and does what any page
 * tells it. A page of another origin may post without asking first; and a name
 * of its own that resolves to 127.0.0.1 makes it one of the same origin, which
 * may read the answer (DNS rebinding). So an Origin must be the gateway's own,
 * or be let in by name (then with CORS' headers); and where no API key keeps
 * others out, the Host must be what no stranger can register: an address,
 * localhost, or what the options name. "Origin: null" is foreign.
 *
 * Threads: the loop; everything is made at the start.
 */
#ifndef GATEWAY_GUARD_H
#define GATEWAY_GUARD_H

#include "base/err.h"
#include "net/http_server.h"

/* A page's origin that is let in, and the header lines for its answers. */
struct guard_origin {
	struct slice name;		/* "https://app.example"; "*": any */
	char *answer;			/* of every answer */
	char *preflight;		/* of the one that a browser asks for beforehand */
};

struct guard {
	const char *hosts;		/* names with commas; "*": any */
	const char *const *listen;	/* where the gateway listens, ended by NULL */
	struct guard_origin *origins;
	size_t origin_count;
};

/* `listen` and `hosts` must live as long. ERR_USAGE: an origin that is none. */
MUST_USE enum err_code guard_init(struct guard *guard, const char *const *listen, const char *hosts,
				  const char *origins, struct err *err);
void guard_release(struct guard *guard);
/* Of a Host header; a request without one comes from no browser. */
bool guard_admits_host(const struct guard *guard, struct slice host);
/* Of a request with an Origin. *ret: how it was let in, or NULL: it is the gateway's own. */
bool guard_admits_origin(const struct guard *guard, const struct http_request *request,
			 const struct guard_origin **ret);

#endif
