/* What bash, zsh and fish complete: commands, their words, options and the values of those. */
#include "reference.h"

/* By itself, or as every one. */
static bool shells_takes(const struct command *command, enum option option)
{
	const enum option *o = command->options;

	while (*o != OPTION_COUNT && *o != option)
		o++;
	return *o == option || option_is_common(option);
}

/* Of the same flag there is another option, each of other commands. */
static bool shells_flag_is_shared(enum option option)
{
	int holders = 0;

	for (int i = 0; i < OPTION_COUNT; i++)
		holders += strcmp(option_flag((enum option)i), option_flag(option)) == 0;
	return holders > 1;
}

static bool is_small(char c) { return c >= 'a' && c <= 'z'; }

/* What is to be typed as it is, such as "describe"; a null slice: there is no more. Begin with the
 * command's usage. */
static struct slice shells_next_word(const char **at)
{
	while (**at) {
		size_t len = strcspn(*at, " |[]");
		size_t small = 0;
		struct slice word = slice_of(*at, len);

		while (small < len && is_small(word.ptr[small]))
			small++;
		*at += len + (len == 0);
		if (len > 1 && small == len && !slice_eq(word, slice_str("options")))
			return word;
	}
	return slice_of(NULL, 0);
}

static void put_words(struct buf *out, const struct command *command, const char *between)
{
	const char *at = command->usage, *before = "";
	struct slice word;

	while (word = shells_next_word(&at), word.len > 0) {
		buf_addf(out, "%s%.*s", before, SLICE_ARG(word));
		before = between;
	}
}

static bool has_words(const struct command *command)
{
	const char *at = command->usage;

	return shells_next_word(&at).len > 0;
}

/* The words of a CHOICE with blanks between them. */
static void put_choices(struct buf *out, enum option option)
{
	for (const char *c = option_allowed(option); *c; c++)
		buf_add_char(out, *c == '|' ? ' ' : *c);
}

static bool each_option(int *at, const struct command *command)
{
	while (*at < OPTION_COUNT &&
	       (!*option_flag((enum option) * at) || !shells_takes(command, (enum option) * at)))
		(*at)++;
	return *at < OPTION_COUNT;
}

/* --- bash --------------------------------------------------------------- */

static void bash_put_pattern(struct buf *out, enum option option)
{
	const char *before = "";

	if (!shells_flag_is_shared(option)) {
		buf_addf(out, "\t*:--%s)", option_flag(option));
		return;
	}
	buf_add_char(out, '\t');
	for (const struct command *const *c = commands; *c; c++) {
		if (!shells_takes(*c, option))
			continue;
		buf_addf(out, "%s%s:--%s", before, (*c)->name, option_flag(option));
		before = "|";
	}
	buf_add_char(out, ')');
}

/* What may follow an option; one that takes no value is not among them. */
static void bash_put_value(struct buf *out, enum option option)
{
	enum config_type type = option_type(option);

	if (!*option_flag(option) || type == CONFIG_BOOL)
		return;
	bash_put_pattern(out, option);
	if (type == CONFIG_CHOICE) {
		buf_add_str(out, " words='");
		put_choices(out, option);
		buf_add_str(out, "' ;;\n");
	} else {
		buf_add_str(out, type == CONFIG_PATH ? " files=1 ;;\n" : " return ;;\n");
	}
}

static void put_bash(struct buf *out)
{
	buf_add_str(
		out,
		"# bash completion for pinpipe, printed from the tables in its code\n"
		"_pinpipe() {\n"
		"\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
		"\tlocal command=${COMP_WORDS[1]} words='' files=''\n\n"
		"\tCOMPREPLY=()\n"
		"\tif [ \"$current\" = = ]; then\n\t\tcurrent=''\n"
		"\telif [ \"$before\" = = ]; then\n\t\tbefore=${COMP_WORDS[COMP_CWORD-2]}\n\tfi\n"
		"\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W '");
	for (const struct command *const *c = commands; *c; c++)
		buf_addf(out, "%s ", (*c)->name);
	buf_add_str(
		out,
		"help --help --version' -- \"$current\")\n\t\treturn\n\tfi\n\tcase $command:$before in\n");
	for (int i = 0; i < OPTION_COUNT; i++)
		bash_put_value(out, (enum option)i);
	buf_add_str(out, "\t*) case $command in\n");
	for (const struct command *const *c = commands; *c; c++) {
		buf_addf(out, "\t\t%s) words='", (*c)->name);
		put_words(out, *c, " ");
		for (int i = 0; each_option(&i, *c); i++)
			buf_addf(out, " --%s", option_flag((enum option)i));
		buf_add_str(out, " --help' ;;\n");
	}
	buf_add_str(
		out,
		"\t\tesac ;;\n\tesac\n"
		"\tif [ -n \"$files\" ]; then\n\t\tcompopt -o filenames 2>/dev/null\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
		"\telse\n\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n\tfi\n}\n"
		"complete -F _pinpipe pinpipe\n");
}

/* --- zsh ---------------------------------------------------------------- */

/* Within '…' of zsh's _arguments, where brackets and colons mean something. */
static void zsh_put_text(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			buf_add_str(out, "'\\''");
		else if (strchr("[]:\\", *text))
			buf_addf(out, "\\%c", *text);
		else
			buf_add_char(out, *text);
	}
}

static void zsh_put_option(struct buf *out, enum option option)
{
	enum config_type type = option_type(option);

	buf_addf(out, " \\\n\t\t\t'--%s%s[", option_flag(option), type == CONFIG_BOOL ? "" : "=");
	zsh_put_text(out, option_help(option));
	buf_add_char(out, ']');
	if (type == CONFIG_CHOICE) {
		buf_add_str(out, ":value:(");
		put_choices(out, option);
		buf_add_char(out, ')');
	} else if (type != CONFIG_BOOL) {
		buf_add_str(out, type == CONFIG_PATH ? ":path:_files" : ":value:");
	}
	buf_add_char(out, '\'');
}

static void zsh_put_command(struct buf *out, const struct command *command)
{
	buf_addf(out, "\t%s)\n\t\t_arguments", command->name);
	for (int i = 0; each_option(&i, command); i++)
		zsh_put_option(out, (enum option)i);
	buf_add_str(out, " \\\n\t\t\t'(- *)'{-h,--help}'[Show what the command takes]'");
	if (has_words(command)) {
		buf_add_str(out, " \\\n\t\t\t'1: :(");
		put_words(out, command, " ");
		buf_add_str(out, ")'");
	}
	buf_add_str(out, " \\\n\t\t\t'*:argument:_files' ;;\n");
}

static void put_zsh(struct buf *out)
{
	buf_add_str(
		out,
		"#compdef pinpipe\n# zsh completion for pinpipe, printed from the tables in its code\n\n"
		"local -a commands\ncommands=(\n");
	for (const struct command *const *c = commands; *c; c++) {
		buf_addf(out, "\t'%s:", (*c)->name);
		zsh_put_text(out, (*c)->summary);
		buf_add_str(out, "'\n");
	}
	buf_add_str(
		out,
		")\nif (( CURRENT == 2 )); then\n\t_describe -t commands command commands\n\treturn\nfi\n"
		"(( CURRENT-- ))\nshift words\ncase $words[1] in\n");
	for (const struct command *const *c = commands; *c; c++)
		zsh_put_command(out, *c);
	buf_add_str(out, "esac\n");
}

/* --- fish --------------------------------------------------------------- */

static void fish_put_text(struct buf *out, const char *text)
{
	buf_add_char(out, '\'');
	for (; *text; text++)
		buf_addf(out, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
	buf_add_char(out, '\'');
}

static void fish_put_option(struct buf *out, const struct command *command, enum option option)
{
	enum config_type type = option_type(option);

	buf_addf(out, "complete -c pinpipe -n '__fish_seen_subcommand_from %s' -l %s -d ",
		 command->name, option_flag(option));
	fish_put_text(out, option_help(option));
	if (type == CONFIG_CHOICE) {
		buf_add_str(out, " -xa '");
		put_choices(out, option);
		buf_add_char(out, '\'');
	} else if (type != CONFIG_BOOL) {
		buf_add_str(out, type == CONFIG_PATH ? " -rF" : " -x");
	}
	buf_add_char(out, '\n');
}

static void fish_put_command(struct buf *out, const struct command *command)
{
	buf_addf(out, "complete -c pinpipe -n __fish_use_subcommand -a %s -d ", command->name);
	fish_put_text(out, command->summary);
	buf_add_char(out, '\n');
	if (has_words(command)) {
		buf_addf(out, "complete -c pinpipe -n '__fish_seen_subcommand_from %s' -a '",
			 command->name);
		put_words(out, command, " ");
		buf_add_str(out, "'\n");
	}
	for (int i = 0; each_option(&i, command); i++)
		fish_put_option(out, command, (enum option)i);
}

static void put_fish(struct buf *out)
{
	buf_add_str(out, "# fish completion for pinpipe, printed from the tables in its code\n"
			 "complete -c pinpipe -f\n"
			 "complete -c pinpipe -s h -l help -d 'Show what the command takes'\n");
	for (const struct command *const *c = commands; *c; c++)
		fish_put_command(out, *c);
}

bool reference_put_completion(struct buf *out, const char *shell)
{
	if (strcmp(shell, "bash") == 0)
		put_bash(out);
	else if (strcmp(shell, "zsh") == 0)
		put_zsh(out);
	else if (strcmp(shell, "fish") == 0)
		put_fish(out);
	else
		return false;
	return true;
}
