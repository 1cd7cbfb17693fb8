/*
 * ingest.h - from a request's records to durable ones, and back to an answer.
 *
 * ingest_append() hands the records to the broker and returns. When the broker
 * says how they ended, gateway_done() (the broker's thread) posts the whole
 * chain to the loop with one wake-up, and `answer` writes each reply there.
 * What waits is bounded: by connections and their pipelines, and in bytes by
 * the broker, or for what waits for its topic by post.h. Finished posts are kept
 * for reuse, so a steady load allocates nothing.
 *
 * Threads: the loop, but for ingest_done().
 */
#ifndef GATEWAY_INGEST_H
#define GATEWAY_INGEST_H

#include "gateway/call.h"
#include "gateway/records.h"

struct post;

struct ingest {
	struct gateway *gateway;
	struct post *idle;
	size_t idle_count;
	size_t copied_bytes; /* of records that wait for their topic */
};

/* How the records of a request ended, in its order; never empty. */
struct outcomes {
	const struct append_outcome *at;
	size_t count;
};

/* Writes the answer. `err`: why everything was refused, if it was. */
typedef void answer_fn(struct call *call, struct outcomes outcomes);

void ingest_init(struct ingest *ingest, struct gateway *gateway);
void ingest_release(struct ingest *ingest);
/* False: the broker has no room for that body, and the call is failed before it is parsed. */
bool ingest_admits(struct call *call, enum topic_kind kind);
/*
 * Defers the call, or fails it when the broker refuses (a missing topic is
 * made first if auto_create says so: missing.h). A record longer than record_bytes_max is
 * left out, ends with ERR_LIMIT, and does not stop the others; `records` is
 * used up.
 */
void ingest_append(struct call *call, enum topic_kind kind, struct slice name,
		   struct records *records, answer_fn *answer);
/* Appends that ended: on to the loop. On the broker's thread. */
void ingest_done(struct ingest *ingest, struct append *chain);
/* The topic that the post waited for is there: on with it, or with its answer. */
void ingest_resume(struct post *post);
/* Answers it with the error. */
void ingest_refuse(struct post *post, const struct err *err);

/* ERR_OK if a record was kept; else what the request as a whole ended with: a code that may be
 * tried again only if that holds for every record. */
enum err_code outcomes_code(struct outcomes outcomes);
/* What happened to a record, for a person. */
const char *outcome_message(enum err_code code);

#endif
