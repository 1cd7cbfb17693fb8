/*
 * takeover.h - a new gateway takes over from the one that runs on the same directory, without a
 * request that is refused: `pinpipe gateway --takeover`, or as a part of `up --takeover`.
 *
 *	new			running one
 *	HELLO ───────────────►
 *	      ◄─────────────── SOCKETS, the listening ones along
 *	(it could serve now)
 *	GO ──────────────────►	accepts and reads nothing more; answers what is in flight
 *	      ◄─────────────── CONNECTIONS, idle ones along; as often as it takes
 *	      ◄─────────────── LOG: it is closed
 *	(opens the log)
 *	OPEN ────────────────►
 *	      ◄─────────────── YOURS, and ends		◄─ from here on the new one serves
 *
 *  1. Until YOURS is said all sockets are with the running one as well, unread. Whatever goes wrong
 *     before, on either side (NO, the end of a process, silence), it opens the log again and goes
 *     on, and the new one ends with the reason. Who has said nothing for ten seconds by then, and
 *     has the log or does not read, is killed: it is stopped, or hangs, and clients wait.
 *  2. Of YOURS one alone decides, the running one: never do both serve, and none only where both
 *     end. Whose running one dies amid this goes on without it.
 *  3. Meanwhile clients wait: new connections in the kernel's queue, requests on idle ones in
 *     theirs.
 *  4. A connection over TLS is the process' that made it: for a second before GO is obeyed each
 *     ends with its answer ("Connection: close"), and the idle ones end then.
 *
 * The socket that they meet at is DIR/gateway.sock.
 *
 * Threads: the one that runs the gateway; beside it a thread of this that waits for HELLO and GO.
 */
#ifndef GATEWAY_TAKEOVER_H
#define GATEWAY_TAKEOVER_H

#include "net/http_server.h"

#include <pthread.h>

struct gateway;

struct takeover {
	struct gateway *gateway;
	int taken[HTTP_LISTENERS_MAX]; /* of the running one; -1 once it is used */
	unsigned taken_count;
	int from;    /* the running one; -1: none, or it is done */
	int wake_fd; /* readable once it ends */
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock */
	int to; /* who takes over; -1: nobody */
	bool ending;
};

void takeover_init(struct takeover *takeover, struct gateway *gateway);
void takeover_release(struct takeover *takeover);

/* --- of the new one; without a running one each does nothing ---------------------------- */

/* HELLO: its listening sockets are in `taken`. */
MUST_USE enum err_code takeover_ask(struct takeover *takeover, struct err *err);
/* GO, when all is ready but the log; its connections are the server's, and the log is free. */
MUST_USE enum err_code takeover_go(struct takeover *takeover, struct err *err);
/* OPEN: the log is. ERR_OK: it is ours. */
MUST_USE enum err_code takeover_finish(struct takeover *takeover, struct err *err);

/* --- of the running one ------------------------------------------------------------------ */

/* From now on, one may come; not while it takes over itself. */
void takeover_await(struct takeover *takeover);
/* The server has left: hands its connections over, has `close_log` called, and waits. False: it
 * goes on here. */
bool takeover_give(struct takeover *takeover, void (*close_log)(struct gateway *gateway));

#endif
