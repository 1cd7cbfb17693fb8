/*
 * listeners.h - where the gateway listens, and which of its faces are to be
 * seen there. The first address has all; of more, each may have some:
 *
 *	0.0.0.0:9000 kafka,kinesis; [::1]:9001 page; 10.0.0.1:9002
 *
 * What a listener does not have is 404 there, as if it did not exist.
 */
#ifndef GATEWAY_LISTENERS_H
#define GATEWAY_LISTENERS_H

#include "gateway/call.h"

enum { FACES_ALL = 1 << FACE_KAFKA | 1 << FACE_KINESIS | 1 << FACE_OPS | 1 << FACE_PAGE };

struct listeners {
	unsigned count;
	const char *addresses[HTTP_LISTENERS_MAX + 1]; /* ended by NULL */
	unsigned faces[HTTP_LISTENERS_MAX];	       /* bits, 1 << enum face */
	char *more;				       /* that hold the addresses but the first */
};

/* `first` must live as long; `more` may be "". ERR_USAGE: an unknown face, too many; whether an
 * address is one is for who listens. */
MUST_USE enum err_code listeners_init(struct listeners *listeners, const char *first,
				      const char *more, struct err *err);
void listeners_release(struct listeners *listeners);
/* "kafka,kinesis" */
void listeners_put_faces(struct buf *out, unsigned faces);

#endif
