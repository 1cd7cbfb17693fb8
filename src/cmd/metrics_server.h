/*
 * metrics_server.h - GET /metrics of a process that is no gateway, and /healthz, on a thread of its
 * own (--metrics-listen).
 *
 * Ownership: the configuration is borrowed. Threads: new and free one.
 */
#ifndef CMD_METRICS_SERVER_H
#define CMD_METRICS_SERVER_H

#include "base/config.h"

struct metrics_server;

/* Prints where it listens. ERR_USAGE: that is no address; ERR_EXISTS: in use. */
MUST_USE enum err_code metrics_server_new(const struct config *config, const char *listen,
					  struct metrics_server **ret_server, struct err *err);
void metrics_server_free(struct metrics_server *server); /* accepts NULL */

/* What /metrics has beside the registry: the runs of batch, and the room that disks have left; that
 * of the lake may be asked of a mount that hangs. */
void metrics_put_place(const struct config *config, bool with_lake, struct buf *out);

#endif
