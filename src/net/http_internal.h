/*
 * http_internal.h - what the files of the HTTP server share.
 *
 *	http_server.c	start, loop, hand-over, stop
 *	http_accept.c	new connections: addresses, limits, exhaustion
 *	http_conn.c	one connection: read, hand requests over, write, time-outs
 *	http_reply.c	answers, put in order
 *	http_pieces.c	answers that come in pieces
 *	http_watch.c	descriptors of others
 *	http_tls.c	OpenSSL
 *	http_handover.c	sockets that go to another process, or come from one
 *	http_parse.c http_chunks.c http_chars.c	bytes to requests
 *	http_pool.c http_timers.c http_peers.c	buffers, deadlines, connections an address
 *
 * The life of a connection:
 *
 *	HANDSHAKE ──► HEAD ◄──────────────► BODY
 *	(TLS only)     │  the head is whole   │
 *	               ▼                      ▼
 *	              LAST: no more requests; answers are still owed
 *	               │
 *	               ▼
 *	              LINGER: all is written; waits for the client's close and
 *	               │      drops what it still sends, because closing on it
 *	               ▼      would reset the connection under the last answer
 *	              closed (RFC 9112 9.6)
 *
 * One that is idle while the server leaves is PARKED: nothing of it is read any more, and it goes
 * to another process, or on as HEAD.
 *
 * Whatever happens to a connection - an event, an answer, a deadline - puts it
 * in the loop's queue; a turn there is one read, at most pipeline_max
 * requests, one write. A connection with more to do queues again behind the
 * others.
 */
#ifndef NET_HTTP_INTERNAL_H
#define NET_HTTP_INTERNAL_H

#include "net/http_parse.h"
#include "net/http_peers.h"
#include "net/http_pool.h"
#include "net/http_server.h"
#include "net/http_timers.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

typedef struct ssl_st SSL;		/* OpenSSL's own names, without its headers */
typedef struct ssl_ctx_st SSL_CTX;

enum {
	SLAB_CONNS = 64,
	READ_BYTES = 64 * 1024,		/* of one read */
	OUT_BYTES_HIGH = 16 * 1024,	/* with as much unwritten no further request is taken */
	LINGER_MS = 2000,
	HTTP_PER_IP_MAX = 256,		/* unless it is set */
	HANDSHAKE_STEPS_MAX = 8,	/* in a turn of the loop: each may cost a signature */
};

enum http_phase {
	PHASE_CLOSED,
	PHASE_HANDSHAKE,
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_LAST,
	PHASE_LINGER,
	PHASE_PARKED
};

/* What is owed for a request that is in flight. */
struct http_answer {
	struct http_buf held;		/* the reply, until those before it are there */
	struct http_pieces *pieces;	/* more of it is to come, or NULL */
	bool ready;			/* all of it is there */
	bool in_pieces;			/* of no known length */
	bool head;			/* HEAD: no body */
	bool http_1_0;
	bool close;
	uint32_t client;		/* its entry of http_server.clients; 0: not counted */
};

struct http_conn {
	int fd;
	enum http_phase phase;
	unsigned listener; /* that it came by */
	uint32_t slot;
	uint32_t generation;		/* of the slot; a ticket of an earlier one is stale */
	SSL *ssl;			/* NULL: plain */

	struct http_buf in;
	struct http_buf out;

	struct http_scan scan;		/* PHASE_HEAD */
	struct http_chunks chunks;	/* PHASE_BODY, chunked */
	bool chunked;
	bool continue_due;		/* 100 is owed, once it is this request's turn */
	size_t head_len;
	uint64_t request_len;		/* head and body; not chunked */
	int64_t body_start_ms;
	uint64_t body_wire_bytes;	/* received since */
	int64_t write_start_ms;		/* since when something is unwritten */
	uint64_t write_bytes;		/* written since */

	uint32_t first;			/* the oldest request in flight */
	uint32_t next;			/* the number of the next one */
	struct http_answer answers[HTTP_PIPELINE_MAX];	/* by number % HTTP_PIPELINE_MAX */

	bool readable;			/* as far as known (edge-triggered) */
	bool blocked;			/* the last write would have blocked */
	bool hung_up;			/* the client ended its side; some may be unread */
	bool eof;			/* all of it is read */
	bool starved;			/* what was read holds no whole request more */
	bool amid;			/* a request since before the server was asked to leave */
	bool dead;			/* closes at the end of the turn */
	bool turning;
	bool queued;
	bool wait_anew;			/* the deadline starts again though the wait is the same */
	struct http_conn *queue_next;

	struct http_timer timer;
	struct http_peer_key peer_key;
	char peer[INET6_ADDRSTRLEN];
};

struct http_pieces {
	struct http_server *server;
	struct http_ticket ticket;
	struct http_pieces_maker maker;
	bool paused;
	bool gone; /* has no answer any more */
	bool due;  /* something is to be told: gone, or else go_on */
	struct http_pieces *due_next;
};

struct http_watch_slot {
	struct http_watch *watch; /* NULL: free */
	uint32_t generation;	  /* an event of an earlier one is stale */
	bool ready;		  /* in this turn */
};

/* By which a change of the certificate's files is seen. */
struct http_tls_stamp {
	struct timespec cert_time;
	struct timespec key_time;
	ino_t cert_inode;
	ino_t key_inode;
};

struct http_listener {
	int fd; /* -1: closed */
	uint16_t port;
	bool ready; /* as far as known, somebody waits */
	unsigned taken; /* its number in options.taken, plus 1; 0: bound here */
};

struct http_server {
	struct http_server_options options;
	struct http_limits limits;
	SSL_CTX *tls;
	struct http_tls_stamp tls_stamp;
	int64_t tls_check_ms;		/* when the files are looked at next */
	uint32_t handshakes;		/* connections in PHASE_HANDSHAKE */
	uint32_t handshake_steps;	/* in this turn of the loop */
	bool told_tls;			/* of a client that speaks it to a plain port */

	int epoll_fd;
	int wake_fd;			/* written by http_post() and http_server_stop() */
	int spare_fd;			/* given up for a moment when there are no descriptors */
	struct http_listener listeners[HTTP_LISTENERS_MAX];
	pthread_mutex_t listeners_lock; /* where they are closed, and where others copy them */
	unsigned listener_count;
	int64_t now_ms;

	/* The loop's own, apart from the next ones: a compiler may read several flags as a word. */
	bool accept_ready;		/* one of them is */
	bool draining;
	bool leaving;
	int64_t accept_after_ms;	/* accept failed: not before */
	int64_t leaving_ms;		/* since when */
	int64_t leave_asked_ms;		/* 0: not, or it has begun */

	/* Any thread's. */
	_Atomic(struct http_task *) tasks;	/* the newest first */
	atomic_bool asleep;		/* the loop waits for events, or is about to */
	atomic_bool stop;
	atomic_bool part;		/* answers over TLS end their connection */
	atomic_bool leave;		/* asked to */

	struct http_conn **slabs;	/* of SLAB_CONNS each, made when needed */
	uint32_t slots;			/* that exist */
	uint32_t slots_max;		/* some spare: a closed one keeps its slot while queued */
	uint32_t open;
	uint32_t *free_slots;
	uint32_t free_count;
	struct http_conn *queue_head;
	struct http_conn *queue_tail;

	struct http_pool pool;
	struct http_timers timers;
	struct http_peers peers;
	struct http_peers clients;	/* requests in flight, where client_header names who asks */

	struct http_pieces *pieces_due;
	struct http_watch_slot watches[HTTP_WATCHES_MAX];
	bool watch_ready; /* one of them is */

	struct http_head head;		/* the request that is being handed over */
	char *path_room;
	char common[96];		/* the headers of every reply */
	size_t common_len;
	int64_t common_s;		/* made in this second of the monotonic clock */
};

/* http_server.c */
/* One turn of the loop: waits for events at most so long, and does what there is to do. */
MUST_USE enum err_code http_server_turn(struct http_server *server, int wait_ms, struct err *err);
void http_server_queue(struct http_server *server, struct http_conn *conn);
struct http_conn *http_server_conn(const struct http_server *server, uint32_t slot);

/* http_accept.c */
MUST_USE enum err_code http_listen_open(const char *listen, int *ret_fd, uint16_t *ret_port,
					struct err *err);
/* Whether that socket listens where `listen` says, on whatever port if that says 0. */
bool http_listen_fits(const char *listen, int fd, uint16_t *ret_port);
/* Takes what is waiting, of each at most a batch; sets accept_ready, accept_after_ms. */
void http_accept(struct http_server *server);

/* http_conn.c */
void http_conn_open(struct http_server *server, int fd, const struct sockaddr_storage *address,
		    struct http_peer_key peer_key, unsigned listener);
void http_conn_close(struct http_server *server, struct http_conn *conn);
/* Closes the one of that wait which ends first, not `spared` (or NULL). False: there is none. */
bool http_conn_close_first(struct http_server *server, enum http_wait wait,
			   struct http_conn *spared);
/*
 * http_buf_reserve() in a buffer of `conn`. When the memory of all is taken,
 * those are closed first that hold it for a client that does not read, does
 * not end its headers, or is slow with its body.
 */
bool http_conn_reserve(struct http_server *server, struct http_conn *conn, struct http_buf *buf,
		       size_t room);
void http_conn_turn(struct http_server *server, struct http_conn *conn);
/* Gives back what an answer holds, when it is written or owed no more. */
void http_answer_release(struct http_server *server, struct http_answer *answer);
/* Its deadline has passed. */
void http_conn_expire(struct http_server *server, struct http_conn *conn);

static inline struct http_conn *http_conn_of_timer(struct http_timer *timer)
{
	return (struct http_conn *)(void *)((char *)timer - offsetof(struct http_conn, timer));
}

static inline uint32_t http_conn_in_flight(const struct http_conn *conn)
{
	return conn->next - conn->first;
}

static inline struct http_answer *http_answer_of(struct http_conn *conn, uint32_t request)
{
	return &conn->answers[request % HTTP_PIPELINE_MAX];
}

/* http_handover.c */
/* The socket of those given that listens there, which is the server's from then on. */
bool http_listener_take(struct http_server *server, const char *listen,
			struct http_listener *listener);
/* Once no client is amid a request that it began before; until then all are served, or who is slow
 * would hold up the others. */
bool http_handover_is_due(struct http_server *server, int64_t patience_ms);
void http_handover_begin(struct http_server *server);
/* Nobody is owed anything. */
bool http_handover_ready(const struct http_server *server);
/* One that is idle stays as it is for whoever gets it; over TLS it ends, but one that has just been
 * made is waited for a little. */
void http_conn_leave(struct http_conn *conn);

/* Over TLS, and it has asked for nothing yet. */
static inline bool http_conn_is_fresh(const struct http_conn *conn)
{
	return conn->ssl && conn->next == 0;
}

static inline bool http_conn_out_low(const struct http_conn *conn)
{
	return !conn->blocked && http_buf_waiting(&conn->out) < OUT_BYTES_HIGH;
}

/* http_reply.c */
/* Whose answer is still owed; NULL: gone, or answered. */
struct http_conn *http_reply_conn(struct http_server *server, struct http_ticket ticket);
/* Puts the head, and the body where it is known, behind what is there. False: no memory left. */
bool http_reply_build(struct http_server *server, struct http_conn *conn, uint32_t request,
		      const struct http_reply *reply);
/* The answer is whole, or as whole as it gets: it goes, and so do those that waited for it. */
void http_reply_done(struct http_server *server, struct http_conn *conn, uint32_t request);
void http_reply_refusal(struct http_server *server, struct http_conn *conn, uint32_t request,
			const struct http_refusal *refusal);
/* Writes 100 Continue if it is owed and nothing is owed before it. */
void http_reply_continue(struct http_server *server, struct http_conn *conn);
void http_refresh_date(struct http_server *server);

/* http_pieces.c */
/* The answer is no longer owed to anybody: its maker will be told. */
void http_pieces_lose(struct http_pieces *pieces);
/* After a write: whether the oldest answer's maker may go on, or its client has left. */
void http_pieces_look(struct http_server *server, struct http_conn *conn);
/* At a stop: those of the connection come to their end. */
void http_pieces_drain(struct http_server *server, struct http_conn *conn);
void http_pieces_tell(struct http_server *server);

/* http_watch.c */
#define HTTP_WATCH_EVENT 0xffff0000u /* in place of a connection's slot: | the watch's */
/* False: the event is not of a watch. */
bool http_watch_note(struct http_server *server, uint64_t event);
void http_watch_run(struct http_server *server);

/* http_tls.c */
enum { HTTP_IO_AGAIN = -1, HTTP_IO_FAILED = -2 };

MUST_USE enum err_code http_tls_open(const char *cert, const char *key, SSL_CTX **ret_tls,
				     struct err *err);
void http_tls_close(SSL_CTX *tls);
/* Now and then, and if the files changed: reads them anew; what does not fit is told and left. */
void http_tls_refresh(struct http_server *server);
SSL *http_tls_accept(SSL_CTX *tls, int fd);
/* Whether what waits there is no handshake but a request. */
bool http_tls_is_plain(int fd);
/* 1: done; HTTP_IO_AGAIN, HTTP_IO_FAILED. */
int http_tls_handshake(SSL *ssl);
/* Bytes, 0 at the end, HTTP_IO_AGAIN, HTTP_IO_FAILED. */
ssize_t http_tls_read(SSL *ssl, char *to, size_t len);
ssize_t http_tls_write(SSL *ssl, const char *from, size_t len);
/* Says goodbye, as far as that does not block. */
void http_tls_shutdown(SSL *ssl);
void http_tls_free(SSL *ssl);

#endif
