/*
 * prompt.h - lines that a person types: with editing, history and completion by
 * libedit, which reads ~/.editrc; plain lines, where that is not installed or the
 * terminal cannot. What the prompt writes goes to stderr.
 *
 * The history is kept in $XDG_STATE_HOME/pinpipe/<name>_history, or below
 * ~/.local/state: the last PROMPT_HISTORY lines, for its owner's eyes alone.
 * Threads: one.
 */
#ifndef CMD_PROMPT_H
#define CMD_PROMPT_H

#include "base/buf.h"

enum { PROMPT_HISTORY = 1000 };

struct prompt;

/* Calls `each` with every word that may stand there; the prompt chooses. */
typedef void prompt_words_fn(void *user, void (*each)(void *prompt, const char *word),
			     void *prompt);

enum prompt_line {
	PROMPT_LINE,
	PROMPT_CLEARED, /* Ctrl-C: what was typed is to be forgotten */
	PROMPT_END,	/* Ctrl-D */
};

struct prompt *prompt_open(const char *name, prompt_words_fn *words, void *user);
/* Writes the history. */
void prompt_close(struct prompt *prompt);
/* Appends a line with its line feed. `ask`: "sql> " */
enum prompt_line prompt_read(struct prompt *prompt, const char *ask, struct buf *line);
/* One entry of the history. */
void prompt_remember(struct prompt *prompt, struct slice line);

#endif
