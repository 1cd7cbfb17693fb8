/*
 * properties.h - a file of settings as Java reads them (java.util.Properties):
 * a name, then "=", ":" or a blank, then its value, one a line; # and ! begin a
 * comment; a backslash at a line's end goes on with the next line, before
 * another character it stands for that, or for what \t \n \r \f and \uXXXX mean.
 * The text is UTF-8.
 */
#ifndef BASE_PROPERTIES_H
#define BASE_PROPERTIES_H

#include "base/buf.h"

#include <stdint.h>

/* Calls `each` for the settings in turn, until one fails. ERR_SYNTAX: a \u without its digits, or a
 * line without a name. */
MUST_USE enum err_code properties_read(struct slice text,
				       enum err_code (*each)(void *user, size_t line,
							     const char *name, const char *value,
							     struct err *err),
				       void *user, struct err *err);

#endif
