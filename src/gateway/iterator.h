/*
 * iterator.h - shard iterators: opaque texts that say where GetRecords goes on.
 *
 *	base64( version 2, u8 | kind, u8 | shard, u32 | created_ms, u64
 *		| position, or time_ms in its last 8 bytes, 24 bytes
 *		| stream name | HMAC-SHA256, 16 bytes )
 *
 * Integers are big-endian. The HMAC covers all before it, so a client can
 * neither forge an iterator nor use one for another stream. It ends
 * ITERATOR_LIFE_MS after it was made, and may be used several times until then.
 * The key is drawn when the process starts: iterators do not survive it, which
 * clients must be ready for anyway (they expire).
 */
#ifndef GATEWAY_ITERATOR_H
#define GATEWAY_ITERATOR_H

#include "base/buf.h"
#include "base/names.h"
#include "broker/broker.h"

enum { ITERATOR_KEY_BYTES = 32, ITERATOR_LIFE_MS = 300000, ITERATOR_TEXT_MAX = 512 };

struct iterator_key {
	unsigned char bytes[ITERATOR_KEY_BYTES];
};

struct iterator {
	char stream[STREAM_NAME_MAX + 1];
	int32_t shard;
	enum start_kind kind;
	struct position position;	/* START_AT, START_AFTER */
	int64_t time_ms;		/* START_TIME */
	int64_t created_ms;		/* monotonic clock: both it and the key
					   end with the process */
};

MUST_USE enum err_code iterator_key_init(struct iterator_key *key, struct err *err);
void iterator_put(struct buf *out, const struct iterator_key *key, const struct iterator *iterator);
/* ERR_USAGE: not one of ours; ERR_EXPIRED: older than ITERATOR_LIFE_MS. */
MUST_USE enum err_code iterator_parse(const struct iterator_key *key, struct slice text,
				      int64_t now_ms, struct iterator *ret, struct err *err);

#endif
