#include "cmd/prompt.h"

#include "base/dir.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/terminal.h"
#include "cmd/libedit_api.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

enum { ENTRY_BYTES_MAX = 1 << 20, WORD_MAX = 128 };

struct prompt {
	const char *ask;
	prompt_words_fn *words;
	void *user;
	EditLine *edit; /* NULL: plain lines */
	History *history;
	char path[PATH_MAX];   /* of the history; "": nowhere */
	struct slice begun;    /* while it is completed: the word so far, … */
	char common[WORD_MAX]; /* … what all that may be meant have in common, … */
	size_t count;	       /* … and how many they are */
	struct buf list;
};

/* --- completion -------------------------------------------------------------------- */

static bool is_begun(const struct prompt *prompt, const char *word)
{
	return strncasecmp(word, prompt->begun.ptr, prompt->begun.len) == 0;
}

static void prompt_take_word(void *user, const char *word)
{
	struct prompt *prompt = user;
	size_t same = 0;

	if (!is_begun(prompt, word) || strlen(word) >= WORD_MAX)
		return;
	if (prompt->count++ == 0) {
		(void)snprintf(prompt->common, WORD_MAX, "%s", word);
	} else if (strcasecmp(prompt->common, word) == 0) {
		prompt->count--; /* a column of two tables */
		return;
	}
	while (prompt->common[same] &&
	       tolower((unsigned char)prompt->common[same]) == tolower((unsigned char)word[same]))
		same++;
	prompt->common[same] = '\0';
	buf_addf(&prompt->list, "%s%s", prompt->list.len ? "  " : "", word);
}

/* Names stay as they are; a keyword goes on as it was begun. */
static unsigned char prompt_insert(const struct prompt *prompt)
{
	char rest[WORD_MAX + 2];
	bool lower = islower((unsigned char)prompt->begun.ptr[0]) &&
		     isupper((unsigned char)prompt->common[0]) &&
		     isupper((unsigned char)prompt->common[1]);
	size_t len = 0;

	for (const char *c = prompt->common + prompt->begun.len; *c; c++)
		rest[len++] = lower ? (char)tolower((unsigned char)*c) : *c;
	if (prompt->count == 1)
		rest[len++] = ' ';
	rest[len] = '\0';
	return len > 0 && libedit.el_insertstr(prompt->edit, rest) == 0 ? CC_REFRESH
									: CC_REFRESH_BEEP;
}

static unsigned char prompt_complete(EditLine *edit, wint_t ch)
{
	const LineInfo *line = libedit.el_line(edit);
	const char *from = line->cursor;
	struct prompt *prompt = NULL;

	(void)ch;
	(void)libedit.el_get(edit, EL_CLIENTDATA, &prompt);
	while (from > line->buffer && (isalnum((unsigned char)from[-1]) || from[-1] == '_'))
		from--;
	prompt->begun = slice_of(from, (size_t)(line->cursor - from));
	prompt->count = 0;
	buf_clear(&prompt->list);
	if (prompt->begun.len == 0)
		return CC_REFRESH_BEEP;
	prompt->words(prompt->user, prompt_take_word, prompt);
	if (prompt->count == 0)
		return CC_REFRESH_BEEP;
	if (prompt->count == 1 || strlen(prompt->common) > prompt->begun.len)
		return prompt_insert(prompt);
	(void)fprintf(stderr, "\n%s\n", buf_cstr(&prompt->list));
	return CC_REDISPLAY;
}

/* --- history ------------------------------------------------------------------------ */

static void prompt_place_history(struct prompt *prompt, const char *name)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char dir[PATH_MAX - WORD_MAX];
	struct err unused;
	int len;

	if (state && *state == '/')
		len = snprintf(dir, sizeof(dir), "%s/pinpipe", state);
	else if (home && *home == '/')
		len = snprintf(dir, sizeof(dir), "%s/.local/state/pinpipe", home);
	else
		return;
	if (len < (int)sizeof(dir) && dir_make(dir, 0700, &unused) == ERR_OK)
		(void)snprintf(prompt->path, sizeof(prompt->path), "%s/%.100s_history", dir, name);
}

static void prompt_write_history(const struct prompt *prompt)
{
	mode_t before = umask(0077);
	HistEvent event;

	(void)libedit.history(prompt->history, &event, H_SAVE, prompt->path);
	(void)umask(before);
}

void prompt_remember(struct prompt *prompt, struct slice line)
{
	struct buf entry;
	HistEvent event;

	if (!prompt->edit)
		return;
	buf_init(&entry, ENTRY_BYTES_MAX);
	buf_add_slice(&entry, line);
	while (entry.len > 0 && entry.ptr[entry.len - 1] == ' ')
		entry.len--;
	(void)libedit.history(prompt->history, &event, H_ENTER, buf_cstr(&entry));
	buf_release(&entry);
	/* Now: a terminal that is closed ends us without a word. */
	if (*prompt->path)
		prompt_write_history(prompt);
}

/* --- lines -------------------------------------------------------------------------- */

static char *prompt_ask(EditLine *edit)
{
	const struct prompt *prompt = NULL;

	(void)libedit.el_get(edit, EL_CLIENTDATA, &prompt);
	return (char *)(uintptr_t)prompt->ask;
}

static void prompt_open_editor(struct prompt *prompt, const char *name)
{
	HistEvent event;
	EditLine *edit = libedit.el_init(name, stdin, stderr, stderr);

	if (!edit)
		return;
	prompt->edit = edit;
	prompt->history = libedit.history_init();
	prompt_place_history(prompt, name);
	(void)libedit.history(prompt->history, &event, H_SETSIZE, PROMPT_HISTORY);
	(void)libedit.history(prompt->history, &event, H_SETUNIQUE, 1);
	if (*prompt->path)
		(void)libedit.history(prompt->history, &event, H_LOAD, prompt->path);
	(void)libedit.el_set(edit, EL_CLIENTDATA, prompt);
	(void)libedit.el_set(edit, EL_PROMPT, prompt_ask);
	(void)libedit.el_set(edit, EL_EDITOR, "emacs");
	(void)libedit.el_set(edit, EL_HIST, libedit.history, prompt->history);
	/* Of a name that is not wide it makes a copy that it does not free. */
	(void)libedit.el_wset(edit, EL_ADDFN, L"pinpipe-complete", L"complete a word",
			      prompt_complete);
	(void)libedit.el_set(edit, EL_BIND, "^I", "pinpipe-complete", NULL);
	(void)libedit.el_set(edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	(void)libedit.el_source(edit, NULL);
}

struct prompt *prompt_open(const char *name, prompt_words_fn *words, void *user)
{
	struct prompt *prompt = xcalloc(1, sizeof(*prompt));
	struct err unused;

	*prompt = (struct prompt){ .words = words, .user = user };
	buf_init(&prompt->list, ENTRY_BYTES_MAX);
	if (terminal_draws(STDERR_FILENO) && libedit_api_load(&unused) == ERR_OK) {
		(void)setlocale(LC_CTYPE, "C.UTF-8"); /* what is typed is UTF-8 */
		prompt_open_editor(prompt, name);
	}
	return prompt;
}

void prompt_close(struct prompt *prompt)
{
	if (prompt->edit) {
		libedit.history_end(prompt->history);
		libedit.el_end(prompt->edit);
	}
	buf_release(&prompt->list);
	free(prompt);
}

static const char *prompt_read_plain(struct prompt *prompt, int *ret_count)
{
	static char *line;
	static size_t room;
	ssize_t count;

	(void)fputs(prompt->ask, stderr);
	(void)fflush(stderr);
	count = getline(&line, &room, stdin);
	*ret_count = (int)count;
	return count > 0 ? line : NULL;
}

enum prompt_line prompt_read(struct prompt *prompt, const char *ask, struct buf *line)
{
	const char *text;
	int count = 0;

	prompt->ask = ask;
	errno = 0;
	text = prompt->edit ? libedit.el_gets(prompt->edit, &count)
			    : prompt_read_plain(prompt, &count);
	if (stop_signal() == SIGINT) {
		stop_forget();
		clearerr(stdin);
		(void)fputs("^C\n", stderr);
		return PROMPT_CLEARED;
	}
	if (!text || count <= 0) {
		(void)fputc('\n', stderr);
		return PROMPT_END;
	}
	buf_add(line, text, (size_t)count);
	return PROMPT_LINE;
}
