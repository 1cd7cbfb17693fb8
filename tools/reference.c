/*
 * reference: prints docs/reference.md ("docs"), pinpipe.yaml.example
 * ("example"), a manual page ("man") or what a shell completes ("completion")
 * from the tables of the code, so that none can go stale. `make reference`
 * writes the first two, and a test sees that they are current; the others are
 * made where they are installed.
 */
#include "reference.h"

#include "base/metrics.h"

#include <stdio.h>

enum { TEXT_MAX = 1 << 20 };

/* A cell of a Markdown table. */
static void put_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			buf_add_str(out, "\\|");
		else if (*text == '<')
			buf_add_str(out, "&lt;");
		else
			buf_add_char(out, *text);
	}
}

static void put_code(struct buf *out, const char *before, const char *text)
{
	buf_add_str(out, "| ");
	if (*text) {
		buf_addf(out, "`%s", before);
		for (; *text; text++)
			buf_addf(out, *text == '|' ? "\\%c" : "%c", *text);
		buf_add_str(out, "` ");
	}
}

static void put_command(struct buf *out, const struct command *command)
{
	buf_addf(out, "### pinpipe %s\n\n%s.\n\n```\npinpipe %s %s\n", command->name, command->summary,
		 command->name, command->usage);
	if (*command->options != OPTION_COUNT)
		buf_add_char(out, '\n');
	config_put_help(out, command->options);
	buf_add_str(out, "```\n\n");
	if (command->details)
		buf_addf(out, "%s\n", command->details);
	buf_addf(out, "Examples:\n\n```sh\n%s```\n\n", command->examples);
}

static void put_commands(struct buf *out)
{
	buf_add_str(out, "## Commands\n\n| command | what it does |\n|---|---|\n");
	for (const struct command *const *c = commands; *c; c++)
		buf_addf(out, "| [%s](#pinpipe-%s) | %s |\n", (*c)->name, (*c)->name, (*c)->summary);
	buf_add_str(out, "\nEvery command takes these:\n\n```\n");
	config_put_common_help(out, NULL);
	buf_add_str(out, "```\n\n");
	for (const struct command *const *c = commands; *c; c++)
		put_command(out, *c);
}

/* Options come in sections: what stands before the dot of their key. */

static struct slice section_of(enum option option)
{
	const char *key = option_key(option);
	const char *dot = strchr(key, '.');

	return slice_of(key, dot ? (size_t)(dot - key) : 0);
}

static bool begins_section(enum option option)
{
	for (int i = 0; i < (int)option; i++)
		if (*option_key((enum option)i) &&
		    slice_eq(section_of((enum option)i), section_of(option)))
			return false;
	return *option_key(option) != '\0';
}

static void put_option(struct buf *out, enum option option)
{
	static const char *const types[] = {
		[CONFIG_TEXT] = "text", [CONFIG_PATH] = "path", [CONFIG_SECRET] = "secret",
		[CONFIG_BOOL] = "true or false", [CONFIG_INT] = "number", [CONFIG_BYTES] = "size",
		[CONFIG_MS] = "time", [CONFIG_CHOICE] = "one of",
		[CONFIG_SCHEDULE] = "cron expression, or a time", [CONFIG_ZONE] = "time zone",
	};
	const char *type = types[option_type(option)];

	put_code(out, "", option_key(option));
	put_code(out, "--", option_flag(option));
	buf_addf(out, "| %s ", type);
	put_escaped(out, option_allowed(option));
	buf_add_char(out, ' ');
	put_code(out, "", option_default(option));
	buf_add_str(out, "| ");
	put_escaped(out, option_help(option));
	buf_add_str(out, " |\n");
}

static void put_options(struct buf *out)
{
	static const char head[] = "| key | flag | values | default | meaning |\n|---|---|---|---|---|\n";

	buf_add_str(out,
		    "## Options\n\n"
		    "A flag wins over the environment, the environment over the file, the file over the\n"
		    "default. The file is `pinpipe.yaml` in the current directory or what `--config` or\n"
		    "`PINPIPE_CONFIG` names, YAML with a map for each section; the variable is the key in\n"
		    "upper case after `PINPIPE_`, with `_` for the dot: `gateway.listen` is\n"
		    "`PINPIPE_GATEWAY_LISTEN`. Sizes take `B KiB MiB GiB TiB`, times `ms s m h d`; a bare time\n"
		    "is in seconds. `db_creds.yaml` may set `mysql.*` (`HOST USER PASSWORD DATABASE PORT`),\n"
		    "`emulate.url` (`URL`) and `emulate.streaming_url` (`STREAMING_URL`).\n\n");
	for (int first = 0; first < OPTION_COUNT; first++) {
		struct slice section = section_of((enum option)first);

		if (!begins_section((enum option)first))
			continue;
		if (section.len > 0)
			buf_addf(out, "### %.*s\n\n", SLICE_ARG(section));
		buf_add_str(out, head);
		for (int i = first; i < OPTION_COUNT; i++)
			if (*option_key((enum option)i) &&
			    slice_eq(section_of((enum option)i), section))
				put_option(out, (enum option)i);
		buf_add_char(out, '\n');
	}
	buf_add_str(out, "### Groups of free names\n\n"
		    "Their names are another program's, and given to it as they are. In the file they stand below\n"
		    "the group (`kafka:`, then `security.protocol: …`); a flag is `--kafka security.protocol=…`, any\n"
		    "number of times; a variable is `PINPIPE_KAFKA__SECURITY_PROTOCOL`, with `_` for a dot, `__` for\n"
		    "`_` and `___` for `-`, in lower case unless there is a small letter in it\n"
		    "(`PINPIPE_SPARK__driver_maxResultSize`). What sounds like a secret no flag sets, and\n"
		    "`pinpipe config` masks it. Where their kind is not chosen nothing would read them, and\n"
		    "every other command refuses them; the engine `spark` is none yet.\n\n"
		    "| group | kind | meaning |\n|---|---|---|\n");
	for (int i = 0; i < OPTION_GROUPS; i++)
		buf_addf(out, "| `%s.*` | `%s: %s` | %s |\n", option_group_name((enum option_group)i),
			 option_key(option_group_option((enum option_group)i)),
			 option_group_name((enum option_group)i),
			 option_group_help((enum option_group)i));
	buf_addf(out, "\n### By flag only\n\nWhat one call shall do.\n\n%s", head);
	for (int i = 0; i < OPTION_COUNT; i++)
		if (!*option_key((enum option)i))
			put_option(out, (enum option)i);
	buf_add_char(out, '\n');
}

static void put_errors(struct buf *out)
{
	buf_add_str(out,
		    "## Exit status and error codes\n\n"
		    "0 is success, 128 + n the end after signal n. Everything that can go wrong has one of these\n"
		    "codes, and so the same face at every door.\n\n"
		    "| error | exit | HTTP | REST proxy `error_code` | Kinesis `__type` | try again |\n"
		    "|---|---|---|---|---|---|\n");
#define X(code, name, exit, http, rest, kinesis, retry) \
	if (code != ERR_OK) \
		buf_addf(out, "| %s | %d | %d | %d | %s | %s |\n", name, exit, http, rest, kinesis, \
			 (retry) ? "yes" : "no");
	ERR_TABLE(X)
#undef X
	buf_add_char(out, '\n');
}

static void put_metric(struct buf *out, const char *name, const char *type, const char *labels,
		       const char *help)
{
	const char *value = strchr(name, '='); /* of its own label: one row for all */

	buf_addf(out, "| `%.*s%s%s` | %s | %s |\n",
		 (int)(value ? value - name : (ptrdiff_t)strlen(name)), name, value ? "}" : "",
		 labels, type, help);
}

static void put_metrics(struct buf *out)
{
	buf_add_str(
		out,
		"## Metrics\n\n`GET /metrics` of the gateway, in Prometheus' text format: "
		"of all processes on its\n`--dir`. What runs on a machine of its own serves it by "
		"`--metrics-listen`.\n\n"
		"| name | type | meaning |\n|---|---|---|\n");
#define COUNTER "counter", ""
#define EACH "counter", "{process}"
#define GAUGE "gauge", ""
#define X(id, name, type, help) \
	if (*(help)) \
		put_metric(out, name, type, help);
	METRIC_TABLE(X)
#undef X
#define X(id, name, help) put_metric(out, name, "histogram", "", help);
	HISTOGRAM_TABLE(X)
#undef X
#define TOTAL "counter"
#define NUMBER "gauge"
#define FOUND "gauge"
#define TIME "gauge"
#define X(kinds, value, name, type, help) \
	put_metric(out, name, type, \
		   (kinds)&KIND(SERIES_SERVICE)	 ? "{service}" \
		   : (kinds)&TABLE_KINDS	 ? "{path,table}" \
		   : (kinds)&KIND(SERIES_STREAM) ? "{stream}" \
		   : (kinds)&KIND(SERIES_CHECKED) ? "{part}" \
						 : "{topic}", \
		   help);
	SERIES_TABLE(X)
#undef X
#undef GAUGE
#undef COUNTER
#define COUNTER "counter"
#define GAUGE "gauge"
#define X(name, type, of, help) put_metric(out, name, type, "{process}", help);
	PROCESS_TABLE(X)
#undef X
	buf_add_str(
		out,
		"\nOf topics, streams and tables the first 256 have a row, all others are `other`. Beside these "
		"there are\n`pinpipe_batch_*`, of the runs, and `pinpipe_disk_*`: "
		"[operations.md](operations.md).\n");
}

static void put_docs(struct buf *out)
{
	buf_add_str(out, "# Reference\n\nPrinted from the tables in the code by `make reference`.\n\n");
	put_commands(out);
	put_options(out);
	put_errors(out);
	put_metrics(out);
}

static void put_group_examples(struct buf *out)
{
	for (int i = 0; i < OPTION_GROUPS; i++)
		buf_addf(out, "\n%s:\n  # %s (%s: %s)\n",
			 option_group_name((enum option_group)i),
			 option_group_help((enum option_group)i),
			 option_key(option_group_option((enum option_group)i)),
			 option_group_name((enum option_group)i));
}

static void put_example(struct buf *out)
{
	buf_add_str(out,
		    "# pinpipe.yaml, with every key and its default. Copy it, and take the # away where you\n"
		    "# want something else; no line is needed. Flags and PINPIPE_* variables win over this\n"
		    "# file; `pinpipe config` shows what holds, and where it was set.\n");
	for (int first = 0; first < OPTION_COUNT; first++) {
		struct slice section = section_of((enum option)first);
		const char *indent = section.len > 0 ? "  " : "";

		if (!begins_section((enum option)first))
			continue;
		buf_add_char(out, '\n');
		if (section.len > 0)
			buf_addf(out, "%.*s:\n", SLICE_ARG(section));
		for (int i = first; i < OPTION_COUNT; i++) {
			enum option option = (enum option)i;
			const char *key = option_key(option), *value = option_default(option);

			if (!*key || !slice_eq(section_of(option), section))
				continue;
			buf_addf(out, "%s# %s\n%s#%s: %s\n", indent, option_help(option), indent,
				 key + section.len + (section.len > 0), *value ? value : "\"\"");
		}
	}
	put_group_examples(out);
}

static bool reference_put(struct buf *out, const char *what, const char *which)
{
	if (strcmp(what, "man") == 0)
		return reference_put_page(out, which);
	if (strcmp(what, "completion") == 0)
		return reference_put_completion(out, which);
	if (*which)
		return false;
	if (strcmp(what, "docs") == 0)
		put_docs(out);
	else if (strcmp(what, "example") == 0)
		put_example(out);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct buf out;
	int status = 0;

	buf_init(&out, TEXT_MAX);
	if (argc < 2 || argc > 3 || !reference_put(&out, argv[1], argc == 3 ? argv[2] : "")) {
		fputs("usage: reference docs|example|man PAGE|completion bash|zsh|fish\n", stderr);
		status = 2;
	}
	fwrite(out.ptr, 1, out.len, stdout);
	buf_release(&out);
	return fflush(stdout) == 0 ? status : 1;
}
