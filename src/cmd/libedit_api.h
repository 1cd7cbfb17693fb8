/*
 * libedit_api.h - libedit's line editor out of a library that is loaded when it is
 * first asked for: libedit.el_init() is el_init() of <histedit.h>.
 *
 * Only a prompt pays for it, and where it is not installed one reads plain lines.
 */
#ifndef CMD_LIBEDIT_API_H
#define CMD_LIBEDIT_API_H

#include "base/err.h"

#include <histedit.h>

/* What this program calls of it. */
#define LIBEDIT_FUNCTIONS(X) \
	X(el_end) \
	X(el_get) \
	X(el_gets) \
	X(el_init) \
	X(el_insertstr) \
	X(el_line) \
	X(el_set) \
	X(el_source) \
	X(el_wset) \
	X(history) \
	X(history_end) \
	X(history_init)

struct libedit_api {
#define X(name) __typeof__(name) *name;
	LIBEDIT_FUNCTIONS(X)
#undef X
};

extern struct libedit_api libedit;

/* ERR_USAGE: the library is not there. */
MUST_USE enum err_code libedit_api_load(struct err *err);

#endif
