/* /ui/session: a key, or the token, against a cookie (session.h). */
#include "base/metrics.h"
#include "base/time.h"
#include "gateway/caller.h"
#include "gateway/state.h"
#include "gateway/ui.h"
#include "gateway/worker.h"

#include <stdio.h>

enum { SESSION_LINE_MAX = CALL_EXTRA_MAX, WAIT_S = TRIES_EVERY_MS / 1000 };

/* What this caller may now. */
static void ui_session_put(struct call *call)
{
	const struct gateway *gateway = call->gateway;
	const char *separator = "";

	buf_addf(call->reply, "{\"needs_key\":%s,\"scopes\":[",
		 gateway->auth.required ? "true" : "false");
	for (unsigned scope = SCOPE_POST; scope < SCOPE_COUNT; scope++) {
		if (!scopes_hold(call->scopes, (enum scope)scope))
			continue;
		buf_addf(call->reply, "%s\"%s\"", separator, scope_name((enum scope)scope));
		separator = ",";
	}
	buf_add_str(call->reply, "],\"id\":");
	json_put_string(call->reply, slice_str(gateway->options.id));
	buf_add_str(call->reply, ",\"version\":\"" PINPIPE_VERSION "\"}");
}

/* `text` is the cookie's value, "" to take it away. */
static void ui_session_set_cookie(struct call *call, const char *text)
{
	(void)snprintf(call->extra, sizeof(call->extra),
		       "Set-Cookie: " SESSION_COOKIE "=%s; HttpOnly; SameSite=Strict; Path=/ui;"
		       " Max-Age=%d%s\r\n",
		       text, *text ? SESSION_LIFE_S : 0,
		       call->gateway->options.tls_cert ? "; Secure" : "");
}

void ui_session_get(struct call *call)
{
	ui_session_put(call);
}

/* On a thread of the worker. */
static void ui_session_keep_ended(struct call *call)
{
	struct gateway *gateway = call->gateway;
	struct err err;

	if (ended_keep(&gateway->sessions.ended, gateway->options.dir, clock_wall_ms() / 1000,
		       &err) == ERR_OK) {
		ui_session_put(call);
		return;
	}
	(void)err_prefix(&err,
			 "the session has ended, but only until the gateway is started again");
	call_fail(call, &err);
}

/* Those of all its cookies, whoever asks: a key that is sent along changes nothing. */
void ui_session_delete(struct call *call)
{
	struct gateway *gateway = call->gateway;
	struct ended *ended = &gateway->sessions.ended;
	struct session session;

	while (caller_session(call, call->request, &session)) {
		ended_add(ended, session.id, session.until_s);
		ui_session_ended(gateway->ui, session.id);
	}
	if (call->session)
		call->scopes = caller_scopes_of_all(call);
	ui_session_set_cookie(call, "");
	if (gateway->options.dir && !ended_is_kept(ended))
		worker_take(gateway->worker, call, ui_session_keep_ended);
	else
		ui_session_put(call);
}

/* {"key":"…"}. NULL: `call` holds the refusal, which for a key that is none is slow to come again.
 */
static const struct auth_key *ui_session_key(struct call *call)
{
	struct gateway *gateway = call->gateway;
	const struct auth_key *key;
	struct json root, member;
	struct slice given;
	struct err err;

	if (json_parse(call->json, call->body, &root, &err) != ERR_OK) {
		call_fail(call, &err);
		return NULL;
	}
	if (json_type(root) != JSON_OBJECT || !json_member(root, "key", &member) ||
	    !json_get_string(member, &given)) {
		call_failf(call, ERR_SHAPE, "a body {\"key\":\"…\"} is wanted");
		return NULL;
	}
	if (!tries_take(&gateway->tries, call->client, call->began_us / 1000)) {
		metric_add(METRIC_AUTH_SLOWED, 1);
		call_refuse_saying(call, 429, slice_str("too many wrong keys: wait a little"));
		call->retry_after_s = WAIT_S;
		return NULL;
	}
	key = auth_find(&gateway->auth, given);
	if (key) {
		tries_give_back(&gateway->tries, call->client);
		return key;
	}
	metric_add(METRIC_AUTH_WRONG, 1);
	call_failf(call, ERR_AUTH,
		   gateway->auth.required ? "that is no key of this gateway"
					  : "that is not this gateway's token");
	return NULL;
}

void ui_session_post(struct call *call)
{
	const struct auth_key *key = ui_session_key(call);
	enum err_code code;
	struct buf text;
	struct err err;

	if (!key)
		return;
	buf_init(&text, SESSION_TEXT_MAX + 1);
	code = session_begin(&call->gateway->sessions, key, clock_wall_ms() / 1000, &text, &err);
	if (code == ERR_OK) {
		call->scopes = key->scopes;
		ui_session_set_cookie(call, buf_cstr(&text));
		ui_session_put(call);
	} else {
		call_fail(call, &err);
	}
	buf_release(&text);
}
