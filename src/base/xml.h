/*
 * xml.h - the XML that services answer with, element by element, over expat.
 *
 * What an element holds is given at its end, by its path without namespaces:
 * of "<Error><Code>SlowDown</Code></Error>" come "Error/Code" with "SlowDown" and
 * "Error" with "". Text beside elements, attributes and comments are left out;
 * a document type is refused (nothing expands). Elements nested deeper than
 * XML_DEPTH_MAX are ERR_SYNTAX.
 *
 * Threads: any.
 */
#ifndef BASE_XML_H
#define BASE_XML_H

#include "base/buf.h"

enum { XML_DEPTH_MAX = 16, XML_PATH_MAX = 255, XML_TEXT_MAX = 1 << 20 };

/* Both are valid during the call only. False: enough; the rest is not looked at. */
typedef bool xml_element_fn(void *user, const char *path, struct slice text);

/* ERR_SYNTAX: it is no XML, or none of ours. */
MUST_USE enum err_code xml_read(struct slice text, xml_element_fn *element, void *user,
				struct err *err);

#endif
