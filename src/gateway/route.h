/*
 * route.h - the table of routes: method, path, API, who may, what the body may
 * be, and the function that answers. `pinpipe gateway --routes` prints it.
 *
 * The page has a table of its own (ui.h): it is no API, and changes with the page.
 *
 * In a pattern {name} stands for one path segment, which is not empty; a slash
 * at the end of a path does not matter.
 */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include "gateway/call.h"

struct route {
	enum http_method method;
	const char *pattern;
	enum face face;
	enum scope scope;
	enum {
		ROUTE_OPEN = 1,	     /* no API key */
		ROUTE_BLOCKS = 2,    /* may wait for a disk: the worker runs it */
		ROUTE_PRODUCES = 4,  /* takes records in an embedded format of Kafka REST */
		ROUTE_STREAMS = 8,   /* takes a body with records for a stream */
		ROUTE_BODILESS = 16, /* with a body there is no such route */
		ROUTE_NAMED = 32,    /* for no host that is none of ours, though it is open */
	} flags;
	void (*handle)(struct call *call);
	const char *summary;
};

struct route_match {
	const struct route *route;	/* NULL: none */
	struct slice param[CALL_PARAMS_MAX];
	unsigned methods;		/* of all routes with this path: bits by enum http_method */
	enum face face;			/* also when nothing matches: what the path looks like */
};

/* Of routes of `faces`, bits 1 << enum face, there are no others. HEAD finds what GET does. A path
 * that is no route is tried again without its first segment, a stage: "/prod/topics/x". Any name is
 * one before /topics and /streams, those of `stages`
 * ("prod,dev") before whatever follows. */
struct route_match route_find(enum http_method method, struct slice path, const char *stages,
			      unsigned faces);
/* One line for a person: the method and the path of each of `faces`; for Kinesis and the page
 * those of it. */
void route_put_help(struct buf *out, enum face face, unsigned faces);
/* "did you mean GET /topics? " of a path that was mistyped; nothing, if it is like none of `faces`.
 */
void route_put_nearest(struct buf *out, enum http_method method, struct slice path, unsigned faces);
void route_put_table(struct buf *out);
/* "Allow: GET, HEAD\r\n" */
void route_put_allow(unsigned methods, char *line, size_t room);

/* kafka_rest.c */
void kafka_root(struct call *call);
void kafka_topics(struct call *call);
void kafka_topic(struct call *call);
void kafka_partitions(struct call *call);
void kafka_partition(struct call *call);
void kafka_offsets(struct call *call);
void kafka_brokers(struct call *call);
void kafka_produce(struct call *call);

/* kinesis_rest.c */
void kinesis_list_streams(struct call *call);
void kinesis_describe_stream(struct call *call);
void kinesis_create_stream(struct call *call);
void kinesis_delete_stream(struct call *call);
void kinesis_put_record(struct call *call);
void kinesis_put_records(struct call *call);
/* kinesis_read.c */
void kinesis_get_shard_iterator(struct call *call);
void kinesis_get_records(struct call *call);

/* ui_session.c */
void ui_session_get(struct call *call);
void ui_session_post(struct call *call);
void ui_session_delete(struct call *call);

/* ops.c */
void ops_health(struct call *call);
void ops_ready(struct call *call);
void ops_metrics(struct call *call);
void ops_openapi(struct call *call);

#endif
