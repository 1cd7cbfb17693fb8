/*
 * aws_answer.h - what an answer of a service means: its error, in the XML of S3 and of
 * the query protocol or in JSON, and what a call may do next.
 *
 * Threads: any.
 */
#ifndef NET_AWS_ANSWER_H
#define NET_AWS_ANSWER_H

#include "net/aws_client.h"

enum aws_next {
	AWS_NEXT_DONE,		/* 2xx */
	AWS_NEXT_FAILED,	/* and will be again */
	AWS_NEXT_REFUSED,	/* for the moment; nothing was done */
	AWS_NEXT_UNKNOWN,	/* it may have been done */
	AWS_NEXT_CLOCK,		/* the time of the signature was refused */
	AWS_NEXT_KEYS,		/* the keys were */
};

struct aws_answer {
	enum aws_next next;
	enum err_code code;
	bool throttled;		/* AWS_NEXT_REFUSED, since it was too much */
};

/* Fills the call's error fields out of its status, head and reply, and says what they mean.
 * `off_s`: how far the Date of the answer is from the time that was signed. */
struct aws_answer aws_answer_read(struct aws_call *call, int64_t off_s);

/* Whether the call changes nothing, whatever becomes of it. */
bool aws_call_reads(const struct aws_call *call);

#endif
