#include "net/aws_gate.h"

#include "base/time.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

void aws_gate_init(struct aws_gate *gate, uint32_t max)
{
	pthread_condattr_t attributes;

	assert(max > 0);
	*gate = (struct aws_gate){ .max = max, .now = max };
	(void)pthread_mutex_init(&gate->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&gate->left, &attributes);
	(void)pthread_condattr_destroy(&attributes);
}

void aws_gate_release(struct aws_gate *gate)
{
	(void)pthread_mutex_destroy(&gate->lock);
	(void)pthread_cond_destroy(&gate->left);
}

bool aws_gate_enter(struct aws_gate *gate, int64_t until_ms, uint64_t *ret_ticket)
{
	struct timespec until = { .tv_sec = (time_t)(until_ms / 1000),
				  .tv_nsec = (long)(until_ms % 1000) * 1000000 };
	bool in;

	(void)pthread_mutex_lock(&gate->lock);
	while (gate->busy >= gate->now &&
	       pthread_cond_timedwait(&gate->left, &gate->lock, &until) != ETIMEDOUT)
		;
	in = gate->busy < gate->now;
	if (in) {
		gate->busy++;
		*ret_ticket = gate->halvings;
	}
	(void)pthread_mutex_unlock(&gate->lock);
	return in;
}

static void aws_gate_hear(struct aws_gate *gate, uint64_t ticket, enum aws_gate_news news)
{
	/* Those that went in before the last halving were too many together, not each again. */
	if (news == AWS_GATE_THROTTLED && ticket == gate->halvings) {
		gate->now = gate->now > 1 ? gate->now / 2 : 1;
		gate->halvings++;
		gate->answered = 0;
	}
	if (news != AWS_GATE_ANSWERED || gate->now == gate->max)
		return;
	if (++gate->answered >= gate->now) {
		gate->now++;
		gate->answered = 0;
	}
}

void aws_gate_leave(struct aws_gate *gate, uint64_t ticket, enum aws_gate_news news)
{
	(void)pthread_mutex_lock(&gate->lock);
	assert(gate->busy > 0);
	gate->busy--;
	aws_gate_hear(gate, ticket, news);
	(void)pthread_cond_broadcast(&gate->left);
	(void)pthread_mutex_unlock(&gate->lock);
}

uint32_t aws_gate_now(struct aws_gate *gate)
{
	uint32_t now;

	(void)pthread_mutex_lock(&gate->lock);
	now = gate->now;
	(void)pthread_mutex_unlock(&gate->lock);
	return now;
}
