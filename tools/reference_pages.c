/* Manual pages, in the macros of man(7). */
#include "reference.h"

#include <stdio.h>

/* Text of a line: nothing of it is a request or an escape, `x` is bold. */
static void page_put_text(struct buf *out, struct slice text)
{
	bool bold = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool begins = i == 0 || text.ptr[i - 1] == '\n';

		if (begins && (c == '.' || c == '\''))
			buf_add_str(out, "\\&");
		if (c == '`')
			buf_add_str(out, (bold = !bold) ? "\\fB" : "\\fR");
		else if (c == '\\')
			buf_add_str(out, "\\e");
		else if (c == '-')
			buf_add_str(out, "\\-");
		else if (c == '\'')
			buf_add_str(out, "\\(aq");
		else
			buf_add_char(out, c);
	}
}

static void page_put_str(struct buf *out, const char *text) { page_put_text(out, slice_str(text)); }

static void page_put_head(struct buf *out, const char *name, int section, const char *summary)
{
	buf_addf(out, ".TH \"%s\" \"%d\" \"\" \"pinpipe " PINPIPE_VERSION "\" \"pinpipe\"\n", name,
		 section);
	buf_addf(out, ".nh\n.SH NAME\n");
	page_put_str(out, name);
	buf_add_str(out, " \\- ");
	page_put_str(out, summary);
	buf_add_char(out, '\n');
}

/* As it stands: what is indented, and commands. */
static void page_put_lines(struct buf *out, struct slice lines)
{
	buf_add_str(out, ".nf\n");
	page_put_text(out, lines);
	buf_add_str(out, ".fi\n");
}

/* Paragraphs with an empty line between them; one whose lines are indented keeps them. */
static void page_put_paragraphs(struct buf *out, const char *text)
{
	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t len = end ? (size_t)(end - text) + 1 : strlen(text);

		if (*text == ' ')
			page_put_lines(out, slice_of(text, len));
		else
			page_put_text(out, slice_of(text, len));
		text += len + (end ? 1 : 0);
		buf_add_str(out, *text ? ".PP\n" : "");
	}
}

static void page_put_option(struct buf *out, enum option option)
{
	struct buf name;

	buf_init(&name, 256);
	option_put_value_name(&name, option);
	buf_add_str(out, ".TP\n\\fB\\-\\-");
	page_put_str(out, option_flag(option));
	buf_add_str(out, name.len ? "\\fR \\fI" : "\\fR");
	page_put_text(out, buf_slice(&name));
	buf_add_str(out, name.len ? "\\fR\n" : "\n");
	page_put_str(out, option_help(option));
	if (*option_default(option) && option_type(option) != CONFIG_BOOL) {
		buf_add_str(out, " (default: ");
		page_put_str(out, option_default(option));
		buf_add_char(out, ')');
	}
	buf_add_char(out, '\n');
	buf_release(&name);
}

static void page_put_common_options(struct buf *out)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (option_is_common((enum option)i) && *option_flag((enum option)i))
			page_put_option(out, (enum option)i);
	buf_add_str(out, ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nShow what the command takes\n");
}

static void page_put_status(struct buf *out)
{
	buf_add_str(
		out,
		".SH EXIT STATUS\n.TP\n0\nDone\n.TP\n1\nFailed\n.TP\n2\nA mistake in the call or "
		"the configuration\n.TP\n73\nAnother process has the lock\n.TP\n74\nA disk failed\n"
		".TP\n75\nThis may pass: the same command may be tried again\n.TP\n128 + n\nEnded by "
		"signal n\n");
}

static void page_put_command(struct buf *out, const struct command *command)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "pinpipe-%s", command->name);
	page_put_head(out, name, 1, command->summary);
	buf_addf(out, ".SH SYNOPSIS\n\\fBpinpipe %s\\fR ", command->name);
	page_put_str(out, command->usage);
	buf_add_char(out, '\n');
	if (command->details) {
		buf_add_str(out, ".SH DESCRIPTION\n");
		page_put_paragraphs(out, command->details);
	}
	buf_add_str(out, ".SH OPTIONS\n");
	for (const enum option *o = command->options; *o != OPTION_COUNT; o++)
		if (*option_flag(*o))
			page_put_option(out, *o);
	buf_add_str(out, ".SS Of every command\n");
	page_put_common_options(out);
	page_put_status(out);
	buf_add_str(out, ".SH EXAMPLES\n");
	page_put_lines(out, slice_str(command->examples));
	buf_add_str(out, ".SH SEE ALSO\n.BR pinpipe (1),\n.BR pinpipe.yaml (5)\n");
}

static void page_put_overview(struct buf *out)
{
	page_put_head(out, "pinpipe", 1, "a whole data pipeline in one program");
	buf_add_str(
		out,
		".SH SYNOPSIS\n\\fBpinpipe\\fR \\fICOMMAND\\fR [options]\n.SH DESCRIPTION\n"
		"Posts come in over HTTP, a durable log keeps them, the batch path lands them as objects,\n"
		"cleans them into Delta Lake tables and answers questions, and the streaming path cleans them\n"
		"on the fly into more Delta tables. \\fBpinpipe up\\fR runs all of it.\n.SH COMMANDS\n");
	for (const struct command *const *c = commands; *c; c++) {
		buf_addf(out, ".TP\n.BR pinpipe\\-%s (1)\n", (*c)->name);
		page_put_str(out, (*c)->summary);
		buf_add_char(out, '\n');
	}
	buf_add_str(out, ".SH OPTIONS\nEvery command takes these.\n");
	page_put_common_options(out);
	page_put_status(out);
	buf_add_str(
		out,
		".SH FILES\n"
		".TP\npinpipe.yaml\nThe configuration, in the current directory, or what\n"
		"\\fB\\-\\-config\\fR names:\n.BR pinpipe.yaml (5)\n"
		".TP\ndb_creds.yaml\nThe address and the password of a database, likewise\n"
		".TP\npinpipe\\-data\nThe log, the lake and the tables, unless\n"
		"\\fB\\-\\-dir\\fR names another place\n"
		".SH ENVIRONMENT\n"
		".TP\nPINPIPE_\\fIKEY\\fR\nWhat the key of the configuration says, in upper case with\n"
		"_ for the dot: PINPIPE_GATEWAY_LISTEN\n"
		".TP\nNO_COLOR\nNo colours\n"
		".SH SEE ALSO\n.BR pinpipe.yaml (5)\n");
}

static void page_put_key(struct buf *out, enum option option)
{
	buf_add_str(out, ".TP\n\\fB");
	page_put_str(out, option_key(option));
	buf_add_str(out, "\\fR");
	if (*option_allowed(option)) {
		buf_add_str(out, " (");
		page_put_str(out, option_allowed(option));
		buf_add_char(out, ')');
	}
	buf_add_char(out, '\n');
	page_put_str(out, option_help(option));
	if (*option_default(option)) {
		buf_add_str(out, " (default: ");
		page_put_str(out, option_default(option));
		buf_add_char(out, ')');
	}
	buf_add_char(out, '\n');
}

static void page_put_file(struct buf *out)
{
	page_put_head(out, "pinpipe.yaml", 5, "configuration of pinpipe");
	buf_add_str(
		out,
		".SH DESCRIPTION\n"
		"YAML with a map for each section: \\fBgateway.listen\\fR is \\fBlisten\\fR below\n"
		"\\fBgateway\\fR. Everything has a default, and no file is needed. A flag wins over\n"
		"the environment, the environment over the file. Sizes take B, KiB, MiB, GiB, TiB, times\n"
		"ms, s, m, h, d; a bare time is in seconds. \\fBpinpipe config\\fR shows what holds, and\n"
		"where it was set.\n.SH KEYS\n");
	for (int i = 0; i < OPTION_COUNT; i++)
		if (*option_key((enum option)i))
			page_put_key(out, (enum option)i);
	buf_add_str(out, ".SH GROUPS OF FREE NAMES\n");
	for (int i = 0; i < OPTION_GROUPS; i++) {
		buf_addf(out, ".TP\n\\fB%s.*\\fR\n", option_group_name((enum option_group)i));
		page_put_str(out, option_group_help((enum option_group)i));
		buf_add_char(out, '\n');
	}
	buf_add_str(out, ".SH SEE ALSO\n.BR pinpipe (1)\n");
}

bool reference_put_page(struct buf *out, const char *name)
{
	const struct command *command = strncmp(name, "pinpipe-", 8) == 0 ? cmd_find(name + 8)
									  : NULL;

	if (command)
		page_put_command(out, command);
	else if (strcmp(name, "pinpipe") == 0)
		page_put_overview(out);
	else if (strcmp(name, "pinpipe.yaml") == 0)
		page_put_file(out);
	else
		return false;
	return true;
}
