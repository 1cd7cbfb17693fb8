/*
 * gateway.h - the HTTP front: Kafka REST Proxy v2 on /topics, the API-Gateway
 * Kinesis API on /streams, /healthz, /readyz and /metrics, all on one broker;
 * what it all is, on /openapi.json (deploy/openapi.json).
 *
 * The life of a record here: the loop thread reads the request, checks who
 * sent it and what it says (route.h), parses the body once (produce.h,
 * put_records.h) and hands the records to the broker (ingest.h); the broker
 * makes them durable on its own thread; the answer goes back through the loop.
 * Whatever may wait for a disk or a service otherwise (topic calls, reads) is
 * done by the worker's threads (worker.h); the first records for a topic that
 * they make (auto_create) wait for it (missing.h). The loop waits for nothing.
 *
 * Contract
 *	1. A 2xx of a write says: durable. Nothing of a refused request is kept.
 *	2. Every refusal says what and where; its shape and status are those of
 *	   the API it belongs to (ERR_TABLE in err.h).
 *	3. Everything is bounded: bodies, records, requests that wait.
 *	4. A broker that is away is no reason not to start, or to wait: what needs
 *	   it is refused at once, to be tried again, until it is there.
 *
 * Use: gateway_new(), gateway_open(), gateway_run(), gateway_free().
 * Threads: gateway_done() from the broker's thread; all else from one thread.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "base/buf.h"
#include "base/err.h"
#include "broker/broker.h"

struct gateway;

enum auto_create {
	AUTO_CREATE_NONE,
	AUTO_CREATE_OWN, /* those of the models */
	AUTO_CREATE_ANY,
};

/* Topics or streams that the gateway makes on its own. */
struct gateway_own {
	const char *const *names;
	size_t count;
};

struct gateway_options {
	const char *listen;		/* "127.0.0.1:8082"; port 0: a free one */
	const char *listen_also; /* more of them, each with its faces (listeners.h), or NULL */
	const char *dir; /* of the data: has the page's secrets, which are made there; and who takes
			  * over meets it there. NULL: secrets end with the gateway */
	bool takeover;	 /* from the one that runs there, if one does: takeover.h */
	bool of_up;	 /* the parent is an `up`, which is what a service manager looks at */
	bool insecure;			/* another address than loopback without an API key */
	const char *api_key_sha256;	/* hex, or "" */
	const char *keys;		/* a file of more (auth.h), or NULL */
	const char *tls_cert;		/* PEM, or NULL for plain HTTP */
	const char *tls_key;
	const char *id;			/* user id in the names, for messages */
	const char *stages;		/* segments that may stand before any path: "prod,dev,test" */
	const char *hosts;		/* that a Host may name without a key, or NULL (guard.h) */
	const char *cors_origins;	/* of pages that may use it, or NULL */
	const char *client_header;	/* in which a proxy names its client, or NULL */
	enum auto_create auto_create;	/* own: made at the start, and again when missing */
	struct gateway_own own[2];	/* by topic_kind; borrowed while the gateway lives */
	int32_t partitions;		/* of a topic that is made on its own */
	int32_t shards;			/* of a stream */
	bool confluent_status;		/* every record failed: 200 as Confluent's proxy */
	bool kinesis_ok_status;		/* errors of Kinesis: 200 as the original's API */
	size_t body_bytes_max;
	size_t record_bytes_max;	/* key and value */
	uint32_t connections_max;
	uint32_t connections_per_ip_max;
	int64_t header_ms;		/* time limits of a client, as in struct http_limits */
	int64_t body_ms;
	int64_t write_ms;
	int64_t idle_ms;
	int64_t retention_ms;		/* shown by DescribeStream; 0: for ever */
	/* More rows for /metrics, of what else is known where it runs; NULL: none. */
	void (*put_metrics)(void *user, struct buf *out);
	void *user;
};

MUST_USE enum err_code gateway_new(const struct gateway_options *options,
				   struct gateway **ret_gateway, struct err *err);
/* Frees the broker, too. Accepts NULL. */
void gateway_free(struct gateway *gateway);

/* The broker's completion; `gateway` is its user. */
broker_done_fn gateway_done;

/* Makes the broker, which is the gateway's from then on, with gateway_done and the gateway for its
 * completion. Called on a thread of its own, until it succeeds. */
struct gateway_opener {
	enum err_code (*open)(void *user, struct gateway *gateway, struct broker **ret_broker,
			      struct err *err);
	void *user;
};

/*
 * Listens, opens the broker, and makes the topics of auto_create. What may pass
 * (a directory that is not there, a service that does not answer) is tried
 * again while it runs; that is ERR_OK. ERR_USAGE: not an address, one that
 * others reach without a key, a name that cannot be; ERR_EXISTS: in use.
 */
MUST_USE enum err_code gateway_open(struct gateway *gateway, const struct gateway_opener *opener,
				    struct err *err);
/* Why it would not take records now: ERR_OK if it would. */
MUST_USE enum err_code gateway_ready(struct gateway *gateway, struct err *err);
/* Whether one of these options could listen now, which it does for a moment. As gateway_new() and
 * gateway_open(). */
MUST_USE enum err_code gateway_try(const struct gateway_options *options, struct err *err);
/* Where no key is set, the one that the page wants for more than looking; else "". */
const char *gateway_page_token(const struct gateway *gateway);
uint16_t gateway_port(const struct gateway *gateway);
/* A line for each address that it listens on, "http://HOST:PORT"; behind those that have not all
 * faces, which they have. */
void gateway_put_addresses(const struct gateway *gateway, struct buf *out);
/* Serves until stop.h asks to stop, then answers what is in flight, for at most drain_ms. Ends,
 * too, when opening the broker failed for a reason that does not pass, and when another gateway has
 * taken over. */
MUST_USE enum err_code gateway_run(struct gateway *gateway, int64_t drain_ms, struct err *err);
/* As a stop, from any thread. */
void gateway_stop(struct gateway *gateway);

/* One line a route: method, path, the scope that it wants ("-": it asks for no key), what it does.
 */
void gateway_put_routes(struct buf *out);

#endif
