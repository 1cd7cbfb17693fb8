#include "store/s3.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/time.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

enum {
	ARENA_MAX = 64 << 10,
	CLOCK_MS = 60000, /* less is no other clock */
	AWAY_MS = 1000,	  /* while nobody is there to connect to: all are told soon */
	BYTES_A_MS = 64,  /* what a larger body is given besides, in which … */
	TIMES_MAX = 2,	  /* … something must happen, up to this many times as much */
	STALLS = 2,	  /* tries in which nothing does */
	COPY_BYTES_A_MS = 10 << 10,
};

void s3_call_begin(struct s3_call *call, struct s3 *s3, const char *method, const char *key,
		   size_t reply_max)
{
	*call = (struct s3_call){ .s3 = s3, .key = key };
	aws_call_init(&call->call, reply_max);
	arena_init(&call->arena, ARENA_MAX);
	buf_init(&call->path, 4 * STORE_KEY_MAX);
	buf_add_char(&call->path, '/');
	if (s3->path_style)
		buf_addf(&call->path, "%s%s", s3->bucket, key ? "/" : "");
	else
		call->call.host_prefix = s3->bucket;
	if (key)
		buf_addf(&call->path, "%s%s", s3->root, key);
	call->call.method = method;
	call->call.path = buf_slice(&call->path);
	call->call.query = call->query;
	call->call.headers = call->headers;
	call->call.unsigned_body = true;
	call->call.repeat = AWS_REPEAT_ALWAYS;
}

int64_t s3_call_ahead_ms(const struct s3_call *call)
{
	struct slice date;
	int64_t said_ms = aws_call_header(&call->call, "Date", &date) ? s3_read_date(date) : 0;
	int64_t ahead_ms = said_ms - clock_wall_ms();

	return said_ms == 0 || (ahead_ms > -CLOCK_MS && ahead_ms < CLOCK_MS) ? 0 : ahead_ms;
}

void s3_call_end(struct s3_call *call)
{
	aws_call_release(&call->call);
	buf_release(&call->path);
	arena_release(&call->arena);
}

static struct sigv4_pair pair_of(struct s3_call *call, const char *name, const char *value)
{
	return (struct sigv4_pair){ arena_copy(&call->arena, slice_str(name)),
				    arena_copy(&call->arena, slice_str(value)) };
}

void s3_call_query(struct s3_call *call, const char *name, const char *value)
{
	call->query[call->call.query_count++] = pair_of(call, name, value);
}

void s3_call_header(struct s3_call *call, const char *name, const char *value)
{
	call->headers[call->call.header_count++] = pair_of(call, name, value);
}

void s3_call_headerf(struct s3_call *call, const char *name, const char *fmt, ...)
{
	char value[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	s3_call_header(call, name, value);
}

void s3_call_put_headers(struct s3_call *call, const struct store_put *put, const char *nonce)
{
	const struct s3 *s3 = call->s3;
	char name[STORE_WORD_NAME_MAX + 20];

	s3_call_header(call, "x-amz-meta-" STORE_WORD_OWN, nonce);
	for (size_t i = 0; put->words && i < put->words->count; i++) {
		(void)snprintf(name, sizeof(name), "x-amz-meta-%s", put->words->list[i].name);
		s3_call_header(call, name, put->words->list[i].value);
	}
	if (*s3->sse)
		s3_call_header(call, "x-amz-server-side-encryption", s3->sse);
	if (*s3->kms_key)
		s3_call_header(call, "x-amz-server-side-encryption-aws-kms-key-id", s3->kms_key);
}

void s3_call_checksum(struct s3_call *call, uint32_t crc)
{
	const unsigned char bytes[] = { (unsigned char)(crc >> 24), (unsigned char)(crc >> 16),
					(unsigned char)(crc >> 8), (unsigned char)crc };
	struct buf text;

	if (!call->s3->checksums) { /* then the signature has its hash */
		call->call.unsigned_body = false;
		return;
	}
	buf_init(&text, 16);
	base64_put(&text, slice_of(bytes, sizeof(bytes)));
	s3_call_header(call, "x-amz-checksum-crc32c", buf_cstr(&text));
	buf_release(&text);
}

/* --- what an answer means ------------------------------------------------------ */

/*
 * What S3 and its like say is wrong with the whole store is ERR_DENIED, whatever the status: no key
 * is absent or taken for that. ERR_BUSY is what another try may mend, and of which nothing was
 * done.
 */
static const struct s3_fault {
	const char *error;
	enum err_code code;
	const char *hint;
} s3_faults[] = {
	{ "NoSuchKey", ERR_ABSENT, "there is no such object" },
	{ "NoSuchUpload", ERR_ABSENT, "there is no such upload" },
	{ "NoSuchBucket", ERR_DENIED, "there is no such bucket" },
	{ "InvalidBucketName", ERR_DENIED, "that is no name of a bucket" },
	{ "AccessDenied", ERR_DENIED, "these keys have no right to it" },
	{ "AllAccessDisabled", ERR_DENIED, "nobody has a right to it" },
	{ "PermanentRedirect", ERR_DENIED, "it is in another region: set s3.region" },
	{ "TemporaryRedirect", ERR_DENIED, "it is in another region: set s3.region" },
	{ "AuthorizationHeaderMalformed", ERR_DENIED, "it is in another region: set s3.region" },
	{ "IllegalLocationConstraintException", ERR_DENIED,
	  "it is in another region: set s3.region" },
	{ "InvalidAccessKeyId", ERR_AUTH, "nobody has these keys" },
	{ "SignatureDoesNotMatch", ERR_AUTH, "the secret key is another" },
	{ "ExpiredToken", ERR_AUTH, "the keys have run out" },
	{ "InvalidToken", ERR_AUTH, "the session token is not the keys'" },
	{ "TokenRefreshRequired", ERR_AUTH, "the keys have run out" },
	{ "RequestTimeTooSkewed", ERR_AUTH, "this machine's clock is wrong" },
	{ "ConditionalRequestConflict", ERR_BUSY, "another writer is at it" },
	{ "OperationAborted", ERR_BUSY, "another writer is at it" },
	{ "RequestTimeout", ERR_BUSY, "the body did not arrive" },
	{ "BadDigest", ERR_BUSY, "the body arrived damaged" },
	{ "XAmzContentSHA256Mismatch", ERR_BUSY, "the body arrived damaged" },
	{ "XAmzContentChecksumMismatch", ERR_BUSY, "the body arrived damaged" },
	{ "KeyTooLongError", ERR_SHAPE, "the key is too long" },
	{ "QuotaExceeded", ERR_SPACE, "it is full" },
	{ "XMinioStorageFull", ERR_SPACE, "it is full" },
};

static const struct s3_fault *fault_named(const char *error)
{
	for (size_t i = 0; i < ARRAY_LEN(s3_faults); i++)
		if (strcmp(s3_faults[i].error, error) == 0)
			return &s3_faults[i];
	return NULL;
}

static bool is_head(const struct s3_call *call) { return strcmp(call->call.method, "HEAD") == 0; }

static bool s3_reads(const struct s3_call *call)
{
	return strcmp(call->call.method, "GET") == 0 || is_head(call);
}

/* Of an answer whose <Code> is none of those above. */
static enum err_code code_of_status(const struct s3_call *call, enum err_code code)
{
	switch (call->call.status) {
	case 301:
	case 307:
	case 403:
		return ERR_DENIED;
	case 401:
		return ERR_AUTH;
	case 404: /* but for HEAD, S3 says of what: this is whatever else the endpoint leads to */
		return is_head(call) ? ERR_ABSENT : ERR_BUSY;
	case 409: /* some have directories, and this key is one, or below an object */
		return call->creates || strcmp(call->call.method, "PUT") == 0 ? ERR_SHAPE : ERR_IO;
	case 412:
		return call->creates ? ERR_EXISTS : ERR_IO;
	case 413:
		return ERR_LIMIT;
	case 507:
		return ERR_SPACE;
	default:
		return code;
	}
}

/* Whatever a service answers, it is a code that calls of a store end with. */
static enum err_code code_allowed(const struct s3_call *call, enum err_code code)
{
	switch (code) {
	case ERR_ABSENT: /* of the bucket it would be a lake without objects */
		return call->key ? code : ERR_BUSY;
	case ERR_SHAPE:
	case ERR_AUTH:
	case ERR_DENIED:
	case ERR_BUSY:
	case ERR_SPACE:
	case ERR_TIMEOUT:
	case ERR_STOPPED:
	case ERR_LIMIT:
	case ERR_UNSUPPORTED:
		return code;
	case ERR_EXISTS:
		return call->creates ? code : ERR_IO;
	case ERR_UNKNOWN:
		return s3_reads(call) ? ERR_BUSY : code;
	case ERR_USAGE: /* the keys' place is set up wrongly */
		return call->call.status == 0 ? ERR_AUTH : ERR_IO;
	default:
		return ERR_IO;
	}
}

static void say_region(const struct s3_call *call, struct err *err)
{
	struct slice region;

	if (aws_call_header(&call->call, "x-amz-bucket-region", &region) &&
	    !slice_is(region, call->s3->region))
		(void)err_set(err, err->code,
			      "%s: the bucket is in region \"%.*s\", not in \"%s\": set s3.region",
			      call->s3->place, SLICE_ARG(region), call->s3->region);
}

/* Once for whatever is asked, if it is the same for all of it. */
static void s3_say_why(const struct s3_call *call, const struct s3_fault *fault, enum err_code code,
		       struct err *err)
{
	const struct aws_call *answer = &call->call;
	const char *colon = *answer->error_message ? ": " : "";

	if (fault)
		(void)err_set(err, code, "%s: %s (%d %s%s%s)", call->s3->place, fault->hint,
			      answer->status, answer->error_code, colon, answer->error_message);
	else if (answer->status == 404)
		(void)err_set(err, code,
			      "%s: what answers is no S3: is the endpoint right? (404 %s)",
			      call->s3->place, answer->error_code);
	else
		(void)err_set(err, code, "%s: %s \"%s\": %d%s%s%s%s", call->s3->place,
			      answer->method, call->key ? call->key : "", answer->status,
			      *answer->error_code ? " " : "", answer->error_code, colon,
			      answer->error_message);
	if (code == ERR_DENIED)
		say_region(call, err);
}

static enum err_code s3_failed(const struct s3_call *call, enum err_code code, struct err *err)
{
	const struct s3_fault *fault = fault_named(call->call.error_code);

	if (call->call.status == 0) {
		err->code = code_allowed(call, code);
		return err->code;
	}
	code = code_allowed(call, fault ? fault->code : code_of_status(call, code));
	if (code == ERR_ABSENT)
		return err_set(err, code, "no object \"%s\" in %s", call->key, call->s3->place);
	if (code == ERR_EXISTS)
		return err_set(err, code, "object \"%s\" exists already in %s", call->key,
			       call->s3->place);
	s3_say_why(call, fault, code, err);
	return code;
}

/*
 * An answer to HEAD has no body that says why, and its 404 may be the bucket's as well, or that of
 * a server that is no S3; so the bucket is asked. ERR_OK: nothing is wrong with that.
 */
static enum err_code ask_bucket(struct s3 *s3, struct err *err)
{
	struct s3_call call;
	enum err_code code;

	s3_call_begin(&call, s3, "GET", NULL, S3_REPLY_MAX);
	s3_call_query(&call, "list-type", "2");
	s3_call_query(&call, "max-keys", "1");
	s3_call_query(&call, "prefix", s3->root);
	code = s3_call_do(&call, err);
	s3_call_end(&call);
	return code;
}

static bool is_unexplained(const struct s3_call *call)
{
	int status = call->call.status;

	if (!call->key || *call->call.error_code)
		return false;
	if (status == 404) /* of a bucket that was there, and S3 gives each answer a name */
		return is_head(call) && (!atomic_load(&call->s3->seen) || !*call->call.request_id);
	return status == 400 || status == 401 || status == 403 || status == 301;
}

/*
 * How long bytes take is not to be guessed: lines differ by thousands. So what is bounded is the
 * time in which none move, or so few as no line in use brings; that of several tries, as the first
 * one may have met a connection that is dead, or a server that is about to go.
 */
static void set_deadlines(struct s3_call *call)
{
	int64_t least_ms = call->s3->call_ms;
	int64_t more_ms = (int64_t)(call->bytes / BYTES_A_MS);

	if (more_ms > (TIMES_MAX - 1) * least_ms)
		more_ms = (TIMES_MAX - 1) * least_ms;
	call->call.stall_ms = least_ms + more_ms + (int64_t)(call->copies / COPY_BYTES_A_MS);
	call->call.deadline_ms = STALLS * call->call.stall_ms;
	call->call.reach_ms = atomic_load(&call->s3->away) ? AWAY_MS : least_ms;
}

static enum err_code call_once(struct s3_call *call, struct err *err)
{
	enum err_code code;

	set_deadlines(call);
	code = aws_call(call->s3->client, &call->call, err);
	if (call->call.tries > 0)
		atomic_store(&call->s3->away, call->call.unreached);
	if (code == ERR_OK || call->call.status == 412 || call->call.status == 416 ||
	    strcmp(call->call.error_code, "NoSuchKey") == 0)
		atomic_store(&call->s3->seen, true);
	return code;
}

/* A try before may have been taken: then no reason of a refusal says that nothing was done. */
static enum err_code s3_told(const struct s3_call *call, enum err_code code, struct err *err)
{
	if (call->call.blind && code != ERR_OK && code != ERR_EXISTS && code != ERR_ABSENT)
		code = err->code = ERR_UNKNOWN;
	return code;
}

enum err_code s3_call_do(struct s3_call *call, struct err *err)
{
	enum err_code code = call_once(call, err);

	if (code != ERR_OK && is_unexplained(call)) {
		enum err_code why = ask_bucket(call->s3, err);

		if (why != ERR_OK)
			return s3_told(call, why, err);
		/* It was asked with the keys that there are now, which may be others. */
		if (s3_reads(call) && call->call.status != 404)
			code = call_once(call, err);
	}
	if (code == ERR_OK || (call->also && call->call.status == call->also))
		return ERR_OK;
	return s3_told(call, s3_failed(call, code, err), err);
}
