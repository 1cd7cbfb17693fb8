/*
 * seen.h - lets others see what this process does: it joins the registry of --dir, its pulse
 * beats, and with --metrics-listen it serves /metrics itself.
 *
 * Threads: the command's.
 */
#ifndef CMD_SEEN_H
#define CMD_SEEN_H

#include "cmd/metrics_server.h"
#include "flow/pulse.h"

struct seen {
	struct pulse *pulse;
	struct metrics_server *server;
};

/* The registry alone; --dir must be there. Again it does nothing. */
void seen_join(const struct config *config, const char *role);
/* Only --metrics-listen can fail. */
MUST_USE enum err_code seen_begin(struct seen *seen, const struct config *config, const char *role,
				  struct err *err);
/* Once what it reads is open: how far behind it is, by group. NULL: it reads no log. */
void seen_follow(struct seen *seen, const struct config *config,
		 const struct pulse_options *options);
/* Before what it follows is closed. */
void seen_end(struct seen *seen);

#endif
