/*
 * media.h - what a client says that it sends (Content-Type) and wants (Accept).
 *
 * A charset other than UTF-8 (or its subset US-ASCII) makes a type MEDIA_OTHER:
 * the bytes would not mean what they seem to.
 */
#ifndef GATEWAY_MEDIA_H
#define GATEWAY_MEDIA_H

#include "base/slice.h"

enum media {
	MEDIA_NONE,	    /* no such header */
	MEDIA_JSON,	    /* application/json */
	MEDIA_AMZ_JSON,	    /* application/x-amz-json-1.1 */
	MEDIA_KAFKA,	    /* application/vnd.kafka.v2+json */
	MEDIA_KAFKA_JSON,   /* application/vnd.kafka.json.v2+json */
	MEDIA_KAFKA_BINARY, /* application/vnd.kafka.binary.v2+json */
	MEDIA_NDJSON,	    /* application/x-ndjson, or another of its names */
	MEDIA_OTHER,
};

const char *media_name(enum media media);
/* Of a Content-Type; a null slice: no such header. */
enum media media_of(struct slice content_type);
/* Whether an Accept (a null slice: no such header) admits the type (RFC 9110, 12.5.1). */
bool media_admits(struct slice accept, enum media media);

/* Whether a list as that of Accept or Accept-Encoding names the word itself, not as unwanted. */
bool media_lists(struct slice list, const char *word);

#endif
