/*
 * call.h - one request on its way through the gateway, and its answer.
 *
 * A handler fills in the answer and returns, or sets `deferred` because the
 * answer comes later (ingest.h). Errors get the shape that the route's API
 * gives them:
 *	FACE_KAFKA	{"error_code":40401,"message":"Topic not found."}
 *	FACE_OPS, FACE_PAGE	the same
 *	FACE_KINESIS	{"__type":"ResourceNotFoundException","message":"…"}
 *
 * Ownership: slices live as long as the call; `reply` is the caller's.
 * Threads: the loop, or the worker for routes that may block; never both at
 * the same time.
 */
#ifndef GATEWAY_CALL_H
#define GATEWAY_CALL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "gateway/auth.h"
#include "gateway/media.h"
#include "net/http_peers.h"
#include "net/http_server.h"

enum { CALL_PARAMS_MAX = 2, CALL_EXTRA_MAX = 384, RETRY_AFTER_S = 1 };

struct gateway;

/* Whose API a path belongs to. */
enum face {
	FACE_KAFKA,
	FACE_KINESIS,
	FACE_OPS,
	FACE_PAGE,
};

struct call {
	struct gateway *gateway;
	enum face face;
	unsigned faces; /* that are to be seen where it came in, bits 1 << enum face */
	struct http_ticket ticket;
	const struct http_request *request;	/* on the loop; NULL on a thread of the worker */
	int64_t began_us;			/* when the loop came to it, clock_mono_us() */
	struct slice param[CALL_PARAMS_MAX];	/* {…} of the route's pattern, in order */
	struct slice query;
	struct slice body;
	struct slice iterator;		/* the header Shard-Iterator */
	unsigned scopes;		/* of who asks, bits 1 << enum scope (caller.h) */
	uint64_t session;		/* of the page's, by which he asks; 0: none */
	struct http_peer_key client;	/* his address */
	enum media media;		/* of the body */
	struct json_parser *json;	/* of the thread that runs the call */

	/* The answer */
	bool deferred;
	int status;			/* 200 unless set */
	const char *reply_type;
	struct buf *reply;
	int retry_after_s;
	char extra[CALL_EXTRA_MAX];	/* further header lines, or "" */
	const char *cors;		/* those for the page of another origin, or NULL */
};

/* Answers with the error; its status, code and Retry-After follow ERR_TABLE. */
void call_fail(struct call *call, const struct err *err);
PRINTF(3, 4) void call_failf(struct call *call, enum err_code code, const char *fmt, ...);
/* Answers a status of HTTP itself, in the words of the API: 404, 405, 406, 413, 415, 429. The API
 * Gateway calls what it does not know 403. */
void call_refuse(struct call *call, int status);
/* The same, and behind its words a few that help. */
void call_refuse_saying(struct call *call, int status, struct slice help);
/* 403 whatever the options say of errors: who is not let in shall see no 200. */
PRINTF(2, 3) void call_denyf(struct call *call, const char *fmt, ...);
/* Answers as Kinesis does what it does not know, in its words. */
void call_unknown_operation(struct call *call, struct slice operation);
/* Sends the answer, unless it is deferred. On the loop thread. */
void call_send(struct call *call, struct http_server *server);

#endif
