/*
 * caller.h - who asks, and whether that one may: by the key of the request
 * (auth.h), or for the page by the session of its cookie (session.h).
 *
 *			keys are set		none is
 *	without any	nothing			all but the page's admin
 *	a key		its scopes		-
 *	the token	-			all
 *
 * The page is not an API: it takes cookies, so it does nothing for another
 * page, whatever gateway.cors_origins says, and changes nothing for who does
 * not say where he comes from.
 */
#ifndef GATEWAY_CALLER_H
#define GATEWAY_CALLER_H

#include "gateway/route.h"
#include "gateway/session.h"

#define PAGE_TOKEN_NAME "page.token"
#define PAGE_SECRET_NAME "page.key"

/* False: `call` holds the refusal. `route` may be NULL; what is let in then finds nothing. */
bool caller_admit(struct call *call, const struct route *route, const struct http_request *request);
/* The first that a cookie of a request for the page shows, which need not be by which he asks. */
bool caller_session(struct call *call, const struct http_request *request, struct session *ret);
/* What everybody has who can reach the gateway. */
unsigned caller_scopes_of_all(const struct call *call);

#endif
