#include "broker/local/backup.h"

#include "cmd/cmd.h"

#include <inttypes.h>
#include <stdio.h>

static const enum option options[] = { OPT_TO, OPTION_COUNT };

static int cmd_backup_run(struct config *config, int argc, const char *const *argv)
{
	const char *to = config_text(config, OPT_TO);
	struct backup backup;
	struct err err;

	(void)argc;
	(void)argv;
	if (!*to) {
		(void)err_set(&err, ERR_USAGE, "tell where the copy goes: --to DIR");
		return cmd_fail(&err);
	}
	if (backup_make(config_text(config, OPT_DIR), to, &backup, &err) != ERR_OK)
		return cmd_fail(&err);
	cmd_tell("\"%s\" has the log: %" PRIu64 " records, %" PRIu64 " bytes in %" PRIu64
		 " segments",
		 to, backup.records, backup.bytes, backup.segments);
	if (backup.damaged == 0)
		return 0;
	(void)err_set(&err, ERR_CORRUPT, "the log has damage, and so has the copy: pinpipe check");
	return cmd_fail(&err);
}

const struct command cmd_backup = {
	.name = "backup",
	.summary = "Copy the log while it is being written",
	.usage = "--to DIR [options]",
	.details =
		"Copies the log of --dir as it was at one moment: every record that had been acknowledged\n"
		"when the command began, the topics, how far each group was. The copy is read through by\n"
		"its checksums, and has its name only when it is whole and on the disk. It is a data\n"
		"directory like any other: pinpipe check --dir DIR, or put it back and start. A copy made\n"
		"with cp or tar beside a running gateway may lack the newest records.\n",
	.examples = "pinpipe backup --dir data --to /mnt/backup/monday\n",
	.options = options,
	.run = cmd_backup_run,
};
