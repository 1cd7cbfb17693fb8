/* Copies a lake from one store to another. */
#include "cmd/cmd.h"
#include "cmd/setup.h"
#include "flow/lake_copy.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* A directory without its links, or the URL as it is, and a slash behind it. */
static void cp_place(const char *url, char place[PATH_MAX + 8])
{
	const char *path = store_dir(url);
	char whole[PATH_MAX];
	size_t len;

	if (path && realpath(path, whole))
		(void)snprintf(place, PATH_MAX + 8, "file:%s", whole);
	else
		(void)snprintf(place, PATH_MAX + 8, "%s%s", path ? "file:" : "", path ? path : url);
	len = strlen(place);
	while (len > 0 && place[len - 1] == '/')
		len--;
	(void)snprintf(place + len, PATH_MAX + 8 - len, "/");
}

/* One inside the other would be copied into itself. */
static enum err_code need_two(const char *from, const char *to, struct err *err)
{
	char a[PATH_MAX + 8], b[PATH_MAX + 8];

	cp_place(from, a);
	cp_place(to, b);
	if (strncmp(a, b, strlen(a)) == 0 || strncmp(a, b, strlen(b)) == 0)
		return err_set(err, ERR_USAGE, "\"%s\" and \"%s\" are one place, or one is in the other",
			       from, to);
	return ERR_OK;
}

static bool cp_found(void *user, const struct store_entry *entry)
{
	bool *found = user;

	(void)entry;
	*found = true;
	return false;
}

/* A bucket's prefix that was misspelt is there as any other: it is just empty. */
static enum err_code need_lake(struct store *from, const char *url, struct err *err)
{
	bool found = false;
	enum err_code code = store_list_some(from, "", "", 1, cp_found, &found, err);

	if (code == ERR_OK && !found)
		return err_set(err, ERR_ABSENT, "there is no lake at \"%s\": no object is there",
			       url);
	return code;
}

static void cmd_cp_tell(const struct lake_copy_options *options, const char *to,
			const struct lake_copy_report *report)
{
	const char *removed = options->dry_run ? "would be removed" : "were removed";

	cmd_tell("\"%s\" %s: %" PRIu64 " objects, %" PRIu64 " bytes %s%s; %" PRIu64 " were there",
		 to, options->dry_run ? "lacks" : "has the lake", report->copied,
		 report->copied_bytes, options->dry_run ? "would be copied" : "copied",
		 options->dry_run ? "" : " and read back", report->same);
	if (report->replaced > 0)
		cmd_tell("%" PRIu64 " of them in the place of others", report->replaced);
	if (report->late > 0)
		cmd_tell("%" PRIu64 " came while the source was listed: copy once more",
			 report->late);
	if (report->other > report->letters + report->logs)
		cmd_tell("%" PRIu64 " that the source has not were left alone",
			 report->other - report->letters - report->logs);
	if (report->letters > 0)
		cmd_tell("%" PRIu64 " objects of dead letters that the source has not any "
			 "more %s",
			 report->letters,
			 options->replace ? removed : "are there: --replace removes them");
	if (report->logs > 0)
		cmd_tell("%" PRIu64 " objects of the logs of tables that are replaced "
			 "%s",
			 report->logs, removed);
	if (report->wordless > 0)
		cmd_tell("%" PRIu64 " objects lost their words, which the destination "
			 "cannot keep",
			 report->wordless);
}

static enum err_code cp(const struct config *config, const char *from, const char *to,
			struct err *err)
{
	struct lake_copy_options options = {
		.replace = config_bool(config, OPT_REPLACE),
		.dry_run = config_bool(config, OPT_DRY_RUN),
	};
	struct lake_copy_report report;
	enum err_code code = ERR_OK;

	if (!store_is_there(from))
		return err_set(err, ERR_ABSENT, "there is no lake at \"%s\"", from);
	code = need_two(from, to, err);
	if (code == ERR_OK)
		code = setup_store_at(config, from, &options.from, err);
	if (code == ERR_OK)
		code = need_lake(options.from, from, err);
	if (code == ERR_OK && options.dry_run && !store_is_there(to))
		options.to = store_none_new(); /* nothing is made */
	else if (code == ERR_OK)
		code = setup_store_at(config, to, &options.to, err);
	if (code == ERR_OK)
		code = need_two(from, to, err); /* a directory that was made by now may be a link */
	if (code == ERR_OK)
		code = lake_copy(&options, &report, err);
	store_free(options.from);
	store_free(options.to);
	if (code == ERR_OK)
		cmd_cp_tell(&options, to, &report);
	return code;
}

static int cmd_cp_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;

	(void)argc;
	return cp(config, argv[0], argv[1], &err) == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = { OPT_REPLACE, OPT_DRY_RUN, OPTION_COUNT };

const struct command cmd_cp = {
	.name = "cp",
	.summary = "Copy a lake to another place",
	.usage = "SRC DST [options]",
	.details =
		"SRC and DST are places as --lake has them. Every object is copied with its words, read back\n"
		"and compared. What is there already and is the same is passed over, so a copy that was cut\n"
		"is begun again and goes on, and one that is made again brings what is new. Where DST has\n"
		"another object under a name nothing is copied, unless --replace is given; where a table or\n"
		"the raw objects of DST have gone their own way, never. Tables appear as Delta has it: no\n"
		"commit before its files. SRC may be written to meanwhile: the copy is of the moment at\n"
		"which it began (but let no rebuild run). Nothing should work on DST before the copy has\n"
		"ended.\n",
	.examples = "pinpipe cp pinpipe-data/lake s3://bucket/prefix\n"
		    "pinpipe cp s3://bucket/prefix /mnt/copy --dry-run\n",
	.options = options,
	.positional_min = 2,
	.positional_max = 2,
	.run = cmd_cp_run,
};
