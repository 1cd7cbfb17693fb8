/*
 * ui_relay.h - one request that a command answers: its child's stdout is the
 * reply.
 *
 * A short answer is held until the child has ended well, so that what fails is
 * told by its status; of a longer one the rest goes as it comes, and is cut
 * off where the child fails, takes too long, or says too much.
 */
#ifndef GATEWAY_UI_RELAY_H
#define GATEWAY_UI_RELAY_H

#include "base/arena.h"
#include "gateway/ui_child.h"

enum {
	UI_ANSWER_MS = 30 * 1000,
	UI_WORK_MS = 600 * 1000,
	UI_ANSWER_MAX = 16 << 20,
};

/* What is to be run, and what its end means. */
struct ui_order {
	struct arena memory; /* of the words */
	const char *args[UI_ARGS_MAX + 1];
	size_t count;
	int in_fd;	   /* of its stdin, or -1 */
	const char *type;  /* of the answer */
	char file[192];	   /* a header line that names a file for it, or "" */
	int64_t most_ms;   /* how long it may take */
	int failed_status; /* of HTTP, for exit status 1 */
	bool tells; /* with exit status 1 it may still have answered, and says there what failed */
	bool stays; /* goes on when its client has left */
};

/* Takes the call, and what the order holds; or fails it, where too many wait. */
void ui_relay(struct call *call, struct ui_order *order);
void ui_order_release(struct ui_order *order);

#endif
