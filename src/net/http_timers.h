/*
 * http_timers.h - one deadline a connection, at a cost that does not depend
 * on how many there are.
 *
 * Every kind of wait has one length, so a list that is appended to stays in
 * the order of its deadlines: setting and clearing move one link, and only
 * the heads are looked at. Threads: the loop thread.
 */
#ifndef NET_HTTP_TIMERS_H
#define NET_HTTP_TIMERS_H

#include <stdint.h>

enum http_wait {
	WAIT_NOTHING,		/* no deadline: an answer is being made */
	WAIT_HANDSHAKE,
	WAIT_HEAD,
	WAIT_BODY,		/* the time in which a body may be slow */
	WAIT_BODY_RATE,		/* after it: the rate is looked at again and again */
	WAIT_WRITE,
	WAIT_IDLE,
	WAIT_LINGER,		/* all is said; the client is to close */
	WAIT_COUNT
};

struct http_timer {
	struct http_timer *next;
	struct http_timer *prev;
	enum http_wait wait;
	int64_t deadline_ms;
};

struct http_timers {
	struct http_timer lists[WAIT_COUNT];	/* rings; the entry itself is the sentinel */
	int64_t length_ms[WAIT_COUNT];
};

void http_timers_init(struct http_timers *timers);
void http_timer_init(struct http_timer *timer);
void http_timer_set(struct http_timers *timers, struct http_timer *timer, enum http_wait wait,
		    int64_t now_ms);
void http_timer_clear(struct http_timer *timer);
/* The one of that wait which ends first, `except` (or NULL) left out; or NULL. */
struct http_timer *http_timers_first(struct http_timers *timers, enum http_wait wait,
				     const struct http_timer *except);
/* One whose deadline has passed, or NULL. */
struct http_timer *http_timers_expired(struct http_timers *timers, int64_t now_ms);
/* Until the next deadline; `most_ms` if none is nearer. */
int64_t http_timers_sleep_ms(struct http_timers *timers, int64_t now_ms, int64_t most_ms);

#endif
