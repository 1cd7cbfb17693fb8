/*
 * terminal.h - what is at the other end of stdout and stderr: a person's
 * terminal, how wide it is, and what may be drawn there.
 *
 * NO_COLOR (any value but an empty one) and TERM=dumb take colours away; a dumb
 * terminal has no line that can be drawn over, either.
 * Threads: any.
 */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

enum { TERMINAL_WIDTH = 80 }; /* of one that does not say */

/* In columns, as it is now; 0: it is no terminal. */
size_t terminal_width(int fd);
/* In lines; 0: it is no terminal, or does not say. */
size_t terminal_height(int fd);
bool terminal_has_colour(int fd);
/* A line there can be drawn over. */
bool terminal_draws(int fd);

/* Columns that a UTF-8 text takes: two of a wide character, none of an accent that combines. A byte
 * that is no UTF-8, or an order, takes the four of \xNN (visible.h). */
size_t terminal_columns(struct slice text);
/* So many bytes of the text, whole characters, take at most `columns`. */
size_t terminal_fit(struct slice text, size_t columns);

#endif
