/*
 * post.h - one request whose records are with the broker, or wait for their
 * topic.
 *
 * The records of a request live as long as its body, so a post that may have to
 * be given to the broker a second time keeps a copy of them (post_keep). How
 * much all copies may hold is bounded.
 *
 * Ownership: posts are used again, outcomes and all. Threads: the loop, but for
 * `append` while the broker has it.
 */
#ifndef GATEWAY_POST_H
#define GATEWAY_POST_H

#include "gateway/ingest.h"

struct post_copy;

struct post {
	struct append append; /* its `user` is the post */
	struct http_task task;
	int64_t done_us; /* when it was durable, clock_mono_us() */
	struct gateway *gateway;
	struct call call; /* of its slices, param[0] alone is good: the topic */
	answer_fn *answer;
	size_t total;	/* records of the request, those left out included */
	bool *left_out; /* by index; NULL: none */
	struct append_outcome *outcomes;
	size_t room;
	struct presence_topic *known; /* what is known of the topic, or NULL */
	struct post_copy *copy;	      /* of the records, or NULL */
	bool again;		      /* its topic was made for it already */
	struct post *next;	      /* when idle, and when it waits for its topic */
	char topic[TOPIC_NAME_MAX + 1];
};

/* Room for `total` outcomes. */
struct post *post_take(struct ingest *ingest, size_t total);
void post_done(struct ingest *ingest, struct post *post);
/* The entry is the post's until it is done. */
void post_set_known(struct post *post, struct presence_topic *topic);
/* Copies the records and points the append at the copy. ERR_BUSY: there are too many copies. */
MUST_USE enum err_code post_keep(struct post *post, struct err *err);

#endif
