/*
 * aws_gate.h - how many calls a service is asked at once: fewer where it says that
 * it is too much, more again while it does not.
 *
 * A refusal halves the number, once for all calls that were under way together;
 * each time that as many as are let through were answered, one more is.
 *
 * Threads: any.
 */
#ifndef NET_AWS_GATE_H
#define NET_AWS_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum aws_gate_news { AWS_GATE_ANSWERED, AWS_GATE_THROTTLED, AWS_GATE_NOTHING };

struct aws_gate {
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t left;
	uint32_t max;
	uint32_t now;			/* 1 to max */
	uint32_t busy;
	uint32_t answered;		/* since `now` became what it is */
	uint64_t halvings;
};

void aws_gate_init(struct aws_gate *gate, uint32_t max);
void aws_gate_release(struct aws_gate *gate);
/* Waits for a place until then (clock_mono_ms()); false: there was none. *ret_ticket is for
 * aws_gate_leave(). */
bool aws_gate_enter(struct aws_gate *gate, int64_t until_ms, uint64_t *ret_ticket);
void aws_gate_leave(struct aws_gate *gate, uint64_t ticket, enum aws_gate_news news);
uint32_t aws_gate_now(struct aws_gate *gate);

#endif
