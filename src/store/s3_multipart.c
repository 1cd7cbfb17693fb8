/*
 * s3_multipart.c - a large file in parts, which become an object all at once.
 *
 *	create ──► part 1 ──► … ──► part n ──► complete
 *	   │          └──── failed ────┴──► abort
 *
 * Parts whose writer died cost money and show in no listing: whoever puts such a file removes what
 * is older than a day below the same directory, of much a little at a time.
 */
#include "store/s3.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "base/xml.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
	PARTS_MAX = 10000,
	ID_MAX = 1024,
	ETAG_MAX = 128,
	CHECKSUM_MAX = 16,
	READ_BYTES = 256 << 10,
	LEFTOVER_MS = 24 * 3600 * 1000,
	LEFTOVERS_MAX = 1000, /* of one listing */
	STOP_TRIES = 6,
	ABORTS_MAX = 8, /* after one put, which they keep waiting; the next goes on */
	LEFTOVER_TEXT_MAX = 4 * STORE_KEY_MAX,
};

struct part {
	char etag[ETAG_MAX];
	char checksum[CHECKSUM_MAX];
};

struct upload {
	struct s3 *s3;
	const struct store_put *put;
	char id[ID_MAX];
	uint64_t part_bytes;
	size_t count;
	struct part *parts;
};

enum err_code s3_crc_of_file(int fd, uint64_t from, uint64_t len, uint32_t *ret_crc,
			     struct err *err)
{
	char *bytes = xmalloc(READ_BYTES);
	uint32_t crc = 0;
	ssize_t n = 1;

	while (len > 0 && n > 0) {
		n = pread(fd, bytes, len < READ_BYTES ? (size_t)len : READ_BYTES, (off_t)from);
		if (n > 0) {
			crc = crc32c(crc, bytes, (size_t)n);
			from += (uint64_t)n;
			len -= (uint64_t)n;
		}
	}
	free(bytes);
	if (n < 0)
		return err_errno(err, "could not read a file that is to be an object");
	if (len > 0)
		return err_set(err, ERR_IO, "a file that is to be an object became shorter");
	*ret_crc = crc;
	return ERR_OK;
}

/* --- its steps ----------------------------------------------------------------- */

static bool take_upload_id(void *user, const char *path, struct slice text)
{
	struct upload *upload = user;

	if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0 && text.len < ID_MAX)
		(void)snprintf(upload->id, ID_MAX, "%.*s", SLICE_ARG(text));
	return true;
}

static enum err_code create_upload(struct upload *upload, const char *nonce, struct err *err)
{
	struct s3_call call;
	enum err_code code;

	s3_call_begin(&call, upload->s3, "POST", upload->put->key, S3_REPLY_MAX);
	s3_call_query(&call, "uploads", "");
	s3_call_put_headers(&call, upload->put, nonce);
	if (upload->s3->checksums)
		s3_call_header(&call, "x-amz-checksum-algorithm", "CRC32C");
	code = s3_call_do(&call, err);
	if (code == ERR_OK &&
	    (xml_read(buf_slice(&call.call.reply), take_upload_id, upload, err) != ERR_OK ||
	     !*upload->id))
		code = err_set(err, ERR_BUSY, "%s: it did not say which upload \"%s\" is",
			       upload->s3->place, upload->put->key);
	s3_call_end(&call);
	return code;
}

/* `bytes`: of a part that is not out of `file`. */
static enum err_code upload_body(struct upload *upload, size_t i, const struct http_file *file,
				 struct slice bytes, uint32_t crc, struct err *err)
{
	struct part *part = &upload->parts[i];
	struct s3_call call;
	struct slice etag;
	char number[16];
	enum err_code code;

	(void)snprintf(number, sizeof(number), "%zu", i + 1);
	s3_call_begin(&call, upload->s3, "PUT", upload->put->key, S3_REPLY_MAX);
	s3_call_query(&call, "partNumber", number);
	s3_call_query(&call, "uploadId", upload->id);
	s3_call_checksum(&call, crc);
	if (upload->s3->checksums)
		(void)snprintf(part->checksum, CHECKSUM_MAX, "%.*s",
			       SLICE_ARG(call.headers[call.call.header_count - 1].value));
	if (upload->put->path)
		call.call.body_file = file;
	else
		call.call.body = bytes;
	call.bytes = file->len;
	code = s3_call_do(&call, err);
	if (code == ERR_OK && (!aws_call_header(&call.call, "ETag", &etag) || etag.len >= ETAG_MAX))
		code = err_set(err, ERR_BUSY, "%s: part %zu of \"%s\" got no ETag",
			       upload->s3->place, i + 1, upload->put->key);
	if (code == ERR_OK)
		(void)snprintf(part->etag, ETAG_MAX, "%.*s", SLICE_ARG(etag));
	s3_call_end(&call);
	return code;
}

static bool s3_may_pass(enum err_code code)
{
	return code == ERR_BUSY || code == ERR_UNKNOWN || code == ERR_TIMEOUT;
}

/* A call is one request when a stop is asked; and one that fails is no reason to begin with all of
 * the parts anew. */
static enum err_code upload_part(struct upload *upload, size_t i, struct err *err)
{
	uint64_t from = i * upload->part_bytes, left = upload->put->size - from;
	struct http_file file = { upload->put->fd, from,
				  left < upload->part_bytes ? left : upload->part_bytes };
	uint32_t crc = 0;
	struct buf bytes;
	enum err_code code;

	buf_init(&bytes, file.len);
	if (upload->put->source)
		code = store_source_read(upload->put->source, from, file.len, &bytes, err);
	else
		code = s3_crc_of_file(file.fd, file.offset, file.len, &crc, err);
	if (upload->put->source && code == ERR_OK)
		crc = crc32c(0, bytes.ptr, bytes.len);
	if (code == ERR_OK)
		code = upload_body(upload, i, &file, buf_slice(&bytes), crc, err);
	for (int tries = 1; stop_requested() && s3_may_pass(code) && tries < STOP_TRIES; tries++)
		code = upload_body(upload, i, &file, buf_slice(&bytes), crc, err);
	buf_release(&bytes);
	return code;
}

static void put_xml(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"')
			buf_add_str(out, "&quot;");
		else if (*text == '&')
			buf_add_str(out, "&amp;");
		else if (*text == '<')
			buf_add_str(out, "&lt;");
		else
			buf_add_char(out, *text);
	}
}

/* Answered early with 200, before it is done; what came of it is in the body. */
static enum err_code complete_upload(struct upload *upload, struct err *err)
{
	struct s3_call call;
	struct buf body;
	enum err_code code;

	buf_init(&body, PARTS_MAX * 512);
	buf_add_str(&body, "<CompleteMultipartUpload>");
	for (size_t i = 0; i < upload->count; i++) {
		buf_addf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>", i + 1);
		put_xml(&body, upload->parts[i].etag);
		buf_add_str(&body, "</ETag>");
		if (upload->s3->checksums)
			buf_addf(&body, "<ChecksumCRC32C>%s</ChecksumCRC32C>",
				 upload->parts[i].checksum);
		buf_add_str(&body, "</Part>");
	}
	buf_add_str(&body, "</CompleteMultipartUpload>");
	s3_call_begin(&call, upload->s3, "POST", upload->put->key, S3_REPLY_MAX);
	s3_call_query(&call, "uploadId", upload->id);
	if (upload->put->mode == STORE_CREATE)
		s3_call_header(&call, "if-none-match", "*");
	call.creates = upload->put->mode == STORE_CREATE;
	call.call.body = buf_slice(&body);
	call.call.ok_may_be_error = true;
	call.bytes = body.len;
	call.copies = upload->put->size; /* as some do then */
	code = s3_call_do(&call, err);
	if (code == ERR_ABSENT) /* NoSuchUpload: an earlier try may have done it */
		code = err_set(err, ERR_UNKNOWN, "%s: the upload of \"%s\" is gone",
			       upload->s3->place, upload->put->key);
	s3_call_end(&call);
	buf_release(&body);
	return code;
}

static enum err_code abort_once(struct s3 *s3, const char *key, const char *id, struct err *err)
{
	struct s3_call call;
	enum err_code code;

	s3_call_begin(&call, s3, "DELETE", key, S3_REPLY_MAX);
	s3_call_query(&call, "uploadId", id);
	call.also = 404;
	code = s3_call_do(&call, err);
	s3_call_end(&call);
	return code;
}

static void abort_upload(struct s3 *s3, const char *key, const char *id)
{
	struct err err;
	enum err_code code = abort_once(s3, key, id, &err);

	for (int tries = 1; stop_requested() && s3_may_pass(code) && tries < STOP_TRIES; tries++)
		code = abort_once(s3, key, id, &err);
	if (code != ERR_OK)
		trace_debug("%s; the parts stay for now", err.msg);
}

/* --- what others left ------------------------------------------------------------ */

struct leftover {
	char *key;
	char *id;
	int64_t since_ms;
};

struct leftovers {
	struct arena arena;
	struct leftover list[LEFTOVERS_MAX];
	size_t count;
	bool is_encoded;
};

static bool take_leftover(void *user, const char *path, struct slice text)
{
	static const char entry[] = "ListMultipartUploadsResult/Upload";
	struct leftovers *all = user;
	struct leftover *next = &all->list[all->count];
	const char *name;

	if (strcmp(path, "ListMultipartUploadsResult/EncodingType") == 0)
		all->is_encoded = slice_is(text, "url");
	if (strncmp(path, entry, strlen(entry)) != 0 || text.len > LEFTOVER_TEXT_MAX)
		return true;
	name = path + strlen(entry);
	if (strcmp(name, "/Key") == 0 && !next->key)
		next->key = arena_str(&all->arena, text);
	else if (strcmp(name, "/UploadId") == 0 && !next->id)
		next->id = arena_str(&all->arena, text);
	else if (strcmp(name, "/Initiated") == 0)
		next->since_ms = s3_date_ms(text);
	else if (!*name)
		all->count++;
	return all->count < LEFTOVERS_MAX;
}

/* `now_ms`: by the clock that says since when there is one. */
static void remove_leftovers(struct s3 *s3, struct leftovers *all, int64_t now_ms)
{
	size_t aborts = 0;

	for (size_t i = 0; i < all->count && aborts < ABORTS_MAX; i++) {
		const struct leftover *left = &all->list[i];

		if (!left->key || !left->id || left->since_ms == 0 ||
		    left->since_ms > now_ms - LEFTOVER_MS ||
		    (all->is_encoded && !s3_decode(left->key)) ||
		    strncmp(left->key, s3->root, strlen(s3->root)) != 0)
			continue;
		trace_info("%s: an upload of \"%s\" that nobody ended is removed", s3->place,
			   left->key);
		abort_upload(s3, left->key + strlen(s3->root), left->id);
		aborts++;
	}
}

/* Below the directory of `key`, where nobody but this program and those who write the same table
 * put. */
static void sweep_uploads(struct s3 *s3, const char *key)
{
	struct leftovers *all = xcalloc(1, sizeof(*all));
	const char *slash = strrchr(key, '/');
	char prefix[3 * STORE_KEY_MAX];
	struct s3_call call;
	struct err err;

	(void)snprintf(prefix, sizeof(prefix), "%s%.*s", s3->root,
		       slash ? (int)(slash + 1 - key) : 0, key);
	arena_init(&all->arena, (size_t)LEFTOVERS_MAX * 3 * LEFTOVER_TEXT_MAX);
	s3_call_begin(&call, s3, "GET", NULL, S3_REPLY_MAX);
	s3_call_query(&call, "prefix", prefix);
	s3_call_query(&call, "uploads", "");
	if (*prefix && s3_call_do(&call, &err) == ERR_OK &&
	    xml_read(buf_slice(&call.call.reply), take_leftover, all, &err) == ERR_OK)
		remove_leftovers(s3, all, clock_wall_ms() + s3_call_ahead_ms(&call));
	s3_call_end(&call);
	arena_release(&all->arena);
	free(all);
}

/* --- all of it ------------------------------------------------------------------- */

static enum err_code upload_all(struct upload *upload, const char *nonce, struct err *err)
{
	enum err_code code = create_upload(upload, nonce, err);

	if (code != ERR_OK) /* an upload that nobody knows is no object */
		return err->code = code == ERR_UNKNOWN ? ERR_BUSY : code;
	for (size_t i = 0; code == ERR_OK && i < upload->count; i++)
		code = upload_part(upload, i, err);
	if (code != ERR_OK && code != ERR_STOPPED) /* nothing is there before it is completed */
		code = err->code = code == ERR_UNKNOWN || code == ERR_ABSENT ? ERR_BUSY : code;
	if (code == ERR_OK)
		code = complete_upload(upload, err);
	if (code != ERR_OK) /* of one that was completed after all there is nothing to abort */
		abort_upload(upload->s3, upload->put->key, upload->id);
	return code;
}

enum err_code s3_multipart_put(struct s3 *s3, const struct store_put *put, const char *nonce,
			       struct err *err)
{
	uint64_t least = (put->size + PARTS_MAX - 1) / PARTS_MAX;
	struct upload upload = { .s3 = s3,
				 .put = put,
				 .part_bytes = least > s3->single_max ? least : s3->single_max };
	enum err_code code;

	upload.count = (size_t)((put->size + upload.part_bytes - 1) / upload.part_bytes);
	upload.parts = xcalloc(upload.count, sizeof(*upload.parts));
	code = upload_all(&upload, nonce, err);
	free(upload.parts);
	if (code == ERR_OK)
		sweep_uploads(s3, put->key);
	return code;
}
