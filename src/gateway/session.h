/*
 * session.h - who showed a key to the page is known by a cookie from then on,
 * because an EventSource sends no headers. The key itself is not in it, for
 * other ports of a host see its cookies:
 *
 *	NAME~UNTIL~ID~SIGNATURE
 *
 * the name of the key, when the session ends (seconds since 1970) and a random
 * number, all in hex but the name, and an HMAC-SHA256 of these and of the key's
 * hash. So nothing is kept for a session, and it outlives the gateway as its
 * secret does; it is void once its key is gone, or another one has its name,
 * and may what its key may now. Only one that was ended before its time is kept
 * (ended.h).
 * Threads: the loop.
 */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include "base/buf.h"
#include "gateway/auth.h"
#include "gateway/ended.h"
#include "gateway/secret.h"

#define SESSION_COOKIE "pinpipe_session"

enum {
	SESSION_LIFE_S = 12 * 3600,
	SESSION_TEXT_MAX = AUTH_NAME_MAX + 3 + 16 + 16 + 64,
};

struct sessions {
	struct secret secret;
	struct ended ended;
};

struct session {
	const struct auth_key *key; /* good until the next auth_refresh() */
	uint64_t id;
	int64_t until_s;
};

/* Appends a new one's text. */
MUST_USE enum err_code session_begin(const struct sessions *sessions, const struct auth_key *key,
				     int64_t now_s, struct buf *out, struct err *err);
/* False: not one of ours, or it has ended. */
bool session_parse(struct sessions *sessions, const struct auth *auth, struct slice text,
		   int64_t now_s, struct session *ret);
/* The first that is one, of the values of a Cookie header. */
bool session_of_cookies(struct sessions *sessions, const struct auth *auth, struct slice cookies,
			int64_t now_s, struct session *ret);

#endif
