/*
 * names.h - the one place that says which names are allowed.
 *
 * Topics (Kafka's rule): [A-Za-z0-9._-]{1,249}, not "." and not "..". Streams
 * (Kinesis): the same letters, 1 to 128. Checked after percent-decoding, once.
 */
#ifndef BASE_NAMES_H
#define BASE_NAMES_H

#include "base/err.h"
#include "base/slice.h"

enum { TOPIC_NAME_MAX = 249, STREAM_NAME_MAX = 128 };

/* ERR_SHAPE with a message that says which byte is wrong. */
MUST_USE enum err_code name_check_topic(struct slice name, struct err *err);
MUST_USE enum err_code name_check_stream(struct slice name, struct err *err);

/* Names may be meant by a pattern: a name with * for any letters, none too, and ? for one. */
MUST_USE enum err_code name_check_pattern(struct slice pattern, struct err *err);
bool name_is_pattern(const char *name);
/* A name that is no pattern is itself. */
bool name_matches(const char *pattern, const char *name);

#endif
