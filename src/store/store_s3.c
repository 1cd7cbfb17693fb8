/*
 * store_s3.c - objects in a bucket of S3, or of what speaks as S3 does.
 *
 * A put is made again where its answer was lost (net/aws_client.h), so one that creates may meet
 * its own object: each has a nonce, a word of the backend's own, by which it is known again. What
 * an answer means is in s3_call.c, what its headers say of an object in s3_head.c, listings are in
 * s3_list.c, large files in s3_multipart.c.
 *
 * Opening asks nobody anything: what is wrong with the bucket is told by the first call, and a
 * service that is to run on starts without it.
 */
#include "store/s3.h"

#include "base/crc32c.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/stop.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	ERROR_BYTES = 16 << 10,
	TRIES = 2,	/* of a put whose fate stays unknown, … */
	STOP_TRIES = 6, /* … each of which is one request when a stop is asked */
};

/* --- stat ----------------------------------------------------------------------- */

/* Proxies in front of a service leave Content-Length out of the answer to a HEAD, though not the
 * size behind the slash of a Content-Range. */
static enum err_code s3_ask_size(struct s3 *s3, const char *key, uint64_t *ret_size,
				 struct err *err)
{
	struct s3_call call;
	struct slice value;
	enum err_code code;

	s3_call_begin(&call, s3, "GET", key, S3_REPLY_MAX);
	s3_call_header(&call, "range", "bytes=0-0");
	call.also = 416; /* it is empty */
	code = s3_call_do(&call, err);
	*ret_size = call.call.status == 200 ? call.call.reply.len : 0;
	if (code == ERR_OK && call.call.status == 206) {
		bool told = aws_call_header(&call.call, "Content-Range", &value);
		const char *slash = told ? memchr(value.ptr, '/', value.len) : NULL;

		if (!slash ||
		    !s3_read_number(slice_from(value, (size_t)(slash + 1 - value.ptr)), ret_size))
			code = err_set(err, ERR_CORRUPT, "%s: of \"%s\" no size came", s3->place,
				       key);
	}
	s3_call_end(&call);
	return code;
}

static enum err_code s3_head(struct s3 *s3, const char *key, struct store_stat *ret_stat,
			     bool *ret_sized, char ret_nonce[S3_NONCE_MAX], struct err *err)
{
	struct slice value, etag = slice_of("", 0), date = slice_of("", 0);
	struct s3_call call;
	enum err_code code;

	s3_call_begin(&call, s3, "HEAD", key, ERROR_BYTES);
	code = s3_call_do(&call, err);
	*ret_sized = code == ERR_OK && aws_call_header(&call.call, "Content-Length", &value) &&
		     s3_read_number(value, &ret_stat->size);
	if (code == ERR_OK && aws_call_header(&call.call, "Last-Modified", &date))
		ret_stat->modified_ms = s3_read_date(date);
	if (code == ERR_OK)
		(void)aws_call_header(&call.call, "ETag", &etag);
	ret_stat->version = s3_version(etag, date);
	if (code == ERR_OK)
		s3_read_words(buf_slice(&call.call.reply_head), &ret_stat->words);
	ret_nonce[0] = '\0';
	if (code == ERR_OK && aws_call_header(&call.call, "x-amz-meta-" STORE_WORD_OWN, &value) &&
	    value.len < S3_NONCE_MAX)
		(void)snprintf(ret_nonce, S3_NONCE_MAX, "%.*s", SLICE_ARG(value));
	s3_call_end(&call);
	return code;
}

static enum err_code s3_stat(struct store *store, const char *key, struct store_stat *ret_stat,
			     struct err *err)
{
	char nonce[S3_NONCE_MAX];
	bool sized;
	enum err_code code = s3_head((struct s3 *)store, key, ret_stat, &sized, nonce, err);

	return code == ERR_OK && !sized ? s3_ask_size((struct s3 *)store, key, &ret_stat->size, err)
					: code;
}

/* --- put ------------------------------------------------------------------------ */

static enum err_code single_put(struct s3 *s3, const struct store_put *put, const char *nonce,
				struct err *err)
{
	struct http_file file = { put->fd, 0, put->size };
	uint32_t crc = put->path ? 0 : crc32c(0, put->body.ptr, put->body.len);
	enum err_code code = put->path ? s3_crc_of_file(put->fd, 0, put->size, &crc, err) : ERR_OK;
	struct s3_call call;

	if (code != ERR_OK)
		return code;
	s3_call_begin(&call, s3, "PUT", put->key, ERROR_BYTES);
	if (put->mode == STORE_CREATE)
		s3_call_header(&call, "if-none-match", "*");
	s3_call_put_headers(&call, put, nonce);
	s3_call_checksum(&call, crc);
	call.creates = put->mode == STORE_CREATE;
	call.bytes = put->size;
	if (put->path)
		call.call.body_file = &file;
	else
		call.call.body = put->body.ptr ? put->body : slice_of("", 0);
	code = s3_call_do(&call, err);
	s3_call_end(&call);
	return code;
}

/* The key was taken, or the answer was lost: whose object is there? */
static enum err_code s3_settle(struct s3 *s3, const struct store_put *put, const char *nonce,
			       enum err_code code, struct err *err)
{
	char there[S3_NONCE_MAX];
	struct store_stat stat = { 0 };
	struct err why;
	bool unused;
	enum err_code found = s3_head(s3, put->key, &stat, &unused, there, &why);

	if (found == ERR_OK && strcmp(there, nonce) == 0)
		return ERR_OK;
	if (found == ERR_OK && put->mode == STORE_CREATE)
		return err_set(err, ERR_EXISTS, "object \"%s\" exists already in %s", put->key,
			       s3->place);
	if (code == ERR_UNKNOWN)
		return code;
	if (found == ERR_ABSENT) /* it went in between */
		return err_set(err, ERR_BUSY, "object \"%s\" comes and goes in %s", put->key,
			       s3->place);
	/* The key is taken; whether by this very put is not known. */
	*err = why;
	return err->code = ERR_UNKNOWN;
}

static enum err_code put_all(struct s3 *s3, const struct store_put *put, struct err *err)
{
	unsigned char random[(S3_NONCE_MAX - 1) / 2];
	char nonce[S3_NONCE_MAX];
	enum err_code code;
	bool unknown = false;
	int tries = 0;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_set(err, ERR_IO, "the system gives no random bytes");
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(nonce + 2 * i, 3, "%02x", random[i]);
	errno = FAILPOINT("s3-put");
	if (errno)
		return err_errno(err, "failpoint s3-put");
	do {
		code = (put->path || put->source) && put->size > s3->single_max
			       ? s3_multipart_put(s3, put, nonce, err)
			       : single_put(s3, put, nonce, err);
		if (code == ERR_EXISTS || code == ERR_UNKNOWN)
			code = s3_settle(s3, put, nonce, code, err);
		unknown |= code == ERR_UNKNOWN;
	} while (code == ERR_UNKNOWN && ++tries < (stop_requested() ? STOP_TRIES : TRIES));
	if (unknown && code != ERR_OK && code != ERR_EXISTS) /* the first try may be there */
		code = err->code = ERR_UNKNOWN;
	if (code == ERR_OK && FAILPOINT("s3-put-done"))
		code = err_set(err, ERR_UNKNOWN, "failpoint s3-put-done");
	return code;
}

static enum err_code s3_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct s3 *s3 = (struct s3 *)store;
	struct store_put whole = *put;
	enum err_code code = ERR_OK;
	struct buf body;

	if (!put->source || put->size > s3->single_max)
		return put_all(s3, put, err);
	buf_init(&body, s3->single_max);
	code = store_source_read(put->source, 0, put->size, &body, err);
	whole.body = buf_slice(&body);
	if (code == ERR_OK)
		code = put_all(s3, &whole, err);
	buf_release(&body);
	return code;
}

/* --- get, remove ------------------------------------------------------------------- */

/* Of what came, [from, from + len): all, unless the server knows no ranges. */
static struct slice part_wanted(const struct s3_call *call, struct slice reply, bool ranged,
				uint64_t from, uint64_t len)
{
	if (call->call.status == 416)
		return slice_of("", 0);
	if (ranged && call->call.status == 200) {
		reply = slice_from(reply, from < reply.len ? (size_t)from : reply.len);
		reply.len = len < reply.len ? (size_t)len : reply.len;
	}
	return reply;
}

/* The part is moved to its place at the beginning, or to the end of another buffer. */
static void s3_take_part(struct buf *out, const struct buf *reply, struct slice part)
{
	if (reply != out) {
		buf_add_slice(out, part);
		return;
	}
	if (part.len > 0)
		memmove(out->ptr, part.ptr, part.len);
	out->len = part.len;
}

static void swap_bufs(struct buf *a, struct buf *b)
{
	struct buf kept = *a;

	*a = *b;
	*b = kept;
}

static enum err_code s3_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			    struct buf *out, struct err *err)
{
	bool ranged = from > 0 || len != UINT64_MAX;
	size_t room = out->max - out->len;
	bool in_place = out->len == 0 && room > ERROR_BYTES;
	struct slice part;
	struct s3_call call;
	enum err_code code;

	s3_call_begin(&call, (struct s3 *)store, "GET", key,
		      room > ERROR_BYTES ? room : ERROR_BYTES);
	if (len != UINT64_MAX && from <= UINT64_MAX - len)
		s3_call_headerf(&call, "range", "bytes=%" PRIu64 "-%" PRIu64, from, from + len - 1);
	else if (ranged)
		s3_call_headerf(&call, "range", "bytes=%" PRIu64 "-", from);
	call.also = 416; /* there are fewer bytes */
	call.bytes = len == UINT64_MAX ? 0 : len;
	if (in_place)
		swap_bufs(&call.call.reply, out);
	code = s3_call_do(&call, err);
	if (in_place)
		swap_bufs(&call.call.reply, out);
	part = part_wanted(&call, buf_slice(in_place ? out : &call.call.reply), ranged, from, len);
	if (code == ERR_OK && part.len > room)
		code = err_set(err, ERR_LIMIT, "object \"%s\" is larger than there is room for",
			       key);
	if (code == ERR_OK)
		s3_take_part(out, in_place ? out : &call.call.reply, part);
	else if (in_place)
		buf_clear(out);
	s3_call_end(&call);
	return code;
}

static enum err_code s3_remove(struct store *store, const char *key, struct err *err)
{
	struct s3_call call;
	enum err_code code;

	s3_call_begin(&call, (struct s3 *)store, "DELETE", key, ERROR_BYTES);
	code = s3_call_do(&call, err);
	s3_call_end(&call);
	return code == ERR_ABSENT ? ERR_OK : code;
}

/* --- the rest ------------------------------------------------------------------------ */

static const char *s3_fetch_dir(struct store *store)
{
	(void)store;
	return "";
}

static bool s3_can(struct store *store, enum store_ability ability)
{
	(void)store;
	return ability != STORE_CAN_FETCH_FREE;
}

static void s3_free(struct store *store)
{
	struct s3 *s3 = (struct s3 *)store;

	aws_client_free(s3->client);
	aws_credentials_free(s3->credentials);
	free(s3->bucket);
	free(s3->root);
	free(s3->place);
	free(s3->sse);
	free(s3->kms_key);
	free(s3);
}

static const struct store_ops s3_ops = {
	.name = "s3",
	.put = s3_put,
	.get = s3_get,
	.stat = s3_stat,
	.list = s3_list,
	.level = s3_level,
	.mark = store_mark_none,
	.last = store_last_none,
	.remove = s3_remove,
	.fetch = store_fetch_copy,
	.fetch_dir = s3_fetch_dir,
	.can = s3_can,
	.free = s3_free,
};

const char *store_s3_place(const struct store *store) { return ((const struct s3 *)store)->place; }

enum err_code store_s3_new(const char *url, const struct store_options *options,
			   struct store **ret_store, struct err *err)
{
	struct s3 *s3 = xcalloc(1, sizeof(*s3));
	enum err_code code = s3_configure(s3, url, options, err);

	s3->store.ops = &s3_ops;
	if (code == ERR_OK)
		*ret_store = &s3->store;
	else
		s3_free(&s3->store);
	return code;
}
