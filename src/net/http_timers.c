#include "net/http_timers.h"

#include <stddef.h>

void http_timer_init(struct http_timer *timer)
{
	*timer = (struct http_timer){ .next = timer, .prev = timer };
}

void http_timers_init(struct http_timers *timers)
{
	for (int wait = 0; wait < WAIT_COUNT; wait++) {
		http_timer_init(&timers->lists[wait]);
		timers->length_ms[wait] = 0;
	}
}

void http_timer_clear(struct http_timer *timer)
{
	timer->prev->next = timer->next;
	timer->next->prev = timer->prev;
	http_timer_init(timer);
}

void http_timer_set(struct http_timers *timers, struct http_timer *timer, enum http_wait wait,
		    int64_t now_ms)
{
	struct http_timer *list = &timers->lists[wait];

	http_timer_clear(timer);
	timer->wait = wait;
	if (wait == WAIT_NOTHING)
		return;
	timer->deadline_ms = now_ms + timers->length_ms[wait];
	timer->prev = list->prev;
	timer->next = list;
	list->prev->next = timer;
	list->prev = timer;
}

struct http_timer *http_timers_first(struct http_timers *timers, enum http_wait wait,
				     const struct http_timer *except)
{
	struct http_timer *list = &timers->lists[wait];
	struct http_timer *first = list->next;

	if (except && first == except)
		first = first->next;
	return first == list ? NULL : first;
}

struct http_timer *http_timers_expired(struct http_timers *timers, int64_t now_ms)
{
	for (int wait = 0; wait < WAIT_COUNT; wait++) {
		struct http_timer *first = http_timers_first(timers, (enum http_wait)wait, NULL);

		if (first && first->deadline_ms <= now_ms)
			return first;
	}
	return NULL;
}

int64_t http_timers_sleep_ms(struct http_timers *timers, int64_t now_ms, int64_t most_ms)
{
	for (int wait = 0; wait < WAIT_COUNT; wait++) {
		struct http_timer *first = http_timers_first(timers, (enum http_wait)wait, NULL);
		int64_t left = first ? first->deadline_ms - now_ms : most_ms;

		if (left < most_ms)
			most_ms = left;
	}
	return most_ms > 0 ? most_ms : 0;
}
