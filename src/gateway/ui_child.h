/*
 * ui_child.h - a child process of the loop: what it prints comes in pieces, and
 * nobody waits for it.
 *
 * Ownership: the child is its own, and frees itself when its process has ended;
 * until then its user holds a pointer, up to `done` or ui_child_drop().
 * Threads: the loop.
 */
#ifndef GATEWAY_UI_CHILD_H
#define GATEWAY_UI_CHILD_H

#include "gateway/ui_state.h"

enum { UI_ARGS_MAX = 24, UI_SAID_MAX = 8 << 10 };

struct ui_child;

struct ui_child_user {
	/* Some of its stdout. */
	void (*out)(void *user, struct slice bytes);
	/* It has ended, and all of its stdout was told: its exit status, or 128 and the signal; the
	 * end of its stderr. The child is freed after that. */
	void (*done)(void *user, int status, struct slice said);
	void *user;
};

/* `in_fd` as in struct process_options. */
MUST_USE enum err_code ui_child_start(struct ui *ui, const char *const *args, int in_fd,
				      const struct ui_child_user *user, struct ui_child **ret_child,
				      struct err *err);
/* Its stdout is not read for a while, so that it waits. */
void ui_child_pause(struct ui_child *child, bool pauses);
/* Asks it to end, and has it killed if it does not. */
void ui_child_stop(struct ui_child *child);
/* The same, and its user is told nothing more. */
void ui_child_drop(struct ui_child *child);
/* Now and then: those that were asked to end and did not are killed. */
void ui_children_look(struct ui *ui, int64_t now_ms);
/* All of them, and waits for it. */
void ui_children_end(struct ui *ui);

#endif
