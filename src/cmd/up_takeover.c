#include "cmd/up_takeover.h"

#include "base/lock.h"
#include "base/time.h"
#include "base/trace.h"

enum { LOOK_MS = 100 };

static void hold_all(const struct up_takeover *takeover, bool held)
{
	for (size_t i = 0; i < takeover->count; i++)
		if (takeover->services[i].args)
			takeover->services[i].held = held;
}

void up_takeover_init(struct up_takeover *takeover, const char *dir, int *lock,
		      struct service *services, size_t count)
{
	*takeover = (struct up_takeover){
		.dir = dir, .lock = lock, .services = services, .count = count
	};
	if (*lock >= 0)
		return;
	hold_all(takeover, true);
	trace_info("all but the gateway begins when the up that it takes over from has drained");
}

void up_takeover_look(void *user)
{
	struct up_takeover *takeover = user;
	int64_t now_ms = clock_mono_ms();
	struct err unused;

	if (*takeover->lock >= 0 || now_ms < takeover->due_ms)
		return;
	takeover->due_ms = now_ms + LOOK_MS;
	if (lock_take(takeover->dir, "up.lock", "pinpipe up", takeover->lock, &unused) != ERR_OK)
		return;
	trace_info("the other up has ended");
	hold_all(takeover, false);
}
