#include "gateway/caller.h"

#include "base/metrics.h"
#include "base/time.h"
#include "gateway/state.h"
#include "net/http_chars.h"

unsigned caller_scopes_of_all(const struct call *call)
{
	if (call->gateway->auth.required)
		return 0;
	return call->face == FACE_PAGE ? SCOPES_ALL & ~(1u << SCOPE_ADMIN) : SCOPES_ALL;
}

/* Only where the page itself asks, which sends cookies to all ports of its host. */
bool caller_session(struct call *call, const struct http_request *request, struct session *ret)
{
	struct gateway *gateway = call->gateway;

	for (size_t i = 0; i < request->header_count && call->face == FACE_PAGE; i++)
		if (slice_is_nocase(request->headers[i].name, "Cookie") &&
		    session_of_cookies(&gateway->sessions, &gateway->auth,
				       request->headers[i].value, clock_wall_ms() / 1000, ret))
			return true;
	return false;
}

static bool caller_refuse_unknown(struct call *call, bool has_key, bool has_cookie)
{
	metric_add(has_key	? METRIC_AUTH_WRONG
		   : has_cookie ? METRIC_AUTH_SESSION
				: METRIC_AUTH_MISSING,
		   1);
	call_failf(call, ERR_AUTH, "%s",
		   has_key	? "the header x-api-key holds no key of this gateway"
		   : has_cookie ? "the session has ended: show a key again"
				: "the header x-api-key is missing");
	return false;
}

static bool caller_refuse_scope(struct call *call, const struct auth_key *key, enum scope scope)
{
	metric_add(METRIC_AUTH_SCOPE, 1);
	if (key)
		call_denyf(call, "the key \"%s\" has not the scope %s, which this wants", key->name,
			   scope_name(scope));
	else
		call_denyf(call,
			   "this wants the scope %s, which the token has that stands behind"
			   " the page's address where the gateway prints it, and in the file"
			   " " PAGE_TOKEN_NAME " of --dir",
			   scope_name(scope));
	return false;
}

/* Whether a request for the page comes from itself, or from no browser. */
static bool caller_is_page(struct call *call, const struct route *route,
			   const struct http_request *request)
{
	struct slice site = http_header(request, "Sec-Fetch-Site");
	bool open = route && (route->flags & ROUTE_OPEN);
	bool reads = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;

	if (!open && site.ptr && !slice_is(site, "same-origin") && !slice_is(site, "none"))
		call_denyf(call, "the page is for no page of another origin");
	else if (!reads && !request->origin.ptr && !http_header(request, "x-api-key").ptr)
		call_denyf(call, "this wants the header Origin, which browsers send, or x-api-key");
	else
		return true;
	return false;
}

bool caller_admit(struct call *call, const struct route *route, const struct http_request *request)
{
	const struct auth *auth = &call->gateway->auth;
	struct slice given = http_header(request, "x-api-key");
	const struct auth_key *key;
	struct session session;

	if (call->face == FACE_PAGE && !caller_is_page(call, route, request))
		return false;
	key = auth_find(auth, given);
	if (!key && caller_session(call, request, &session)) {
		key = session.key;
		call->session = session.id;
	}
	call->scopes = key ? key->scopes : caller_scopes_of_all(call);
	if (route && (route->flags & ROUTE_OPEN))
		return true;
	if (!key && auth->required)
		return caller_refuse_unknown(call, given.ptr,
					     call->face == FACE_PAGE &&
						     http_header(request, "Cookie").ptr);
	if (route && !scopes_hold(call->scopes, route->scope))
		return caller_refuse_scope(call, key, route->scope);
	return true;
}
