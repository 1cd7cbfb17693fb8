/* cmd_table.h - what main() and the writer of docs/reference.md
 * need of the table of subcommands. */
#ifndef CMD_CMD_TABLE_H
#define CMD_CMD_TABLE_H

#include "cmd/cmd.h"

enum { CMD_HELP_MAX = 64 << 10 };	/* bytes */

/* Ended by NULL. */
extern const struct command *const commands[];

/* Errors are reported as this command's from now on. */
void cmd_begin(const struct command *command);
const struct command *cmd_find(const char *name);
/* The name that a mistyped one was meant to be, or NULL. */
const char *cmd_nearest(const char *name);
void cmd_put_help(struct buf *out, const struct command *command);
void cmd_put_overview(struct buf *out);

#endif
