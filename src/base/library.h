/*
 * library.h - a shared library that is loaded when it is first asked for, and
 * its functions as members of a struct: who never asks pays nothing for it.
 */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include "base/err.h"

#include <pthread.h>
#include <stddef.h>

struct library {
	/* The first that can be loaded is taken; NULL at the end. With "../" in front: from the
	 * program's own directory (beside.h). */
	const char *const *files;
	const struct library_function {
		const char *name;
		size_t at;		/* of its pointer in `api`, in bytes */
	} *functions;			/* a name of NULL at the end */
	void *api;			/* a struct of pointers to functions */
	pthread_mutex_t lock;
	bool loaded;
};

/*
 * Fills in `api`, once; the library stays for the process' life. ERR_USAGE: it is not there, or
 * lacks a function; says which. Any thread.
 */
MUST_USE enum err_code library_load(struct library *library, struct err *err);

#endif
