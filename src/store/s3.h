/*
 * s3.h - what the files of the S3 backend share: store_s3.c, s3_configure.c,
 * s3_call.c, s3_head.c, s3_list.c, s3_multipart.c, s3_page.c.
 *
 * Source: the Amazon S3 API reference, 2006-03-01.
 */
#ifndef STORE_S3_H
#define STORE_S3_H

#include "base/arena.h"
#include "net/aws_client.h"
#include "store/store.h"

#include <stdatomic.h>

enum {
	S3_SINGLE_MAX = 16 << 20, /* a larger file goes in parts, of so much at least */
	S3_HEADERS_MAX = 8 + STORE_WORDS_MAX,
	S3_QUERY_MAX = 7,
	S3_NONCE_MAX = 33,
	S3_REPLY_MAX = 8 << 20, /* of what is no object: a page of a listing */
};

struct s3 {
	struct store store;
	struct aws_credentials *credentials;
	struct aws_client *client;
	char *bucket;
	char *root;    /* "prefix/" or "" */
	char *place;   /* "s3://bucket/prefix at https://host", for people */
	char region[AWS_REGION_MAX + 1];
	uint64_t single_max; /* S3_SINGLE_MAX, or less for tests */
	int64_t call_ms;     /* how long a try may take that moves next to nothing */
	bool path_style;     /* /bucket/key, instead of bucket.host/key */
	char *sse, *kms_key; /* "": none */
	bool checksums;	     /* the server knows x-amz-checksum-… */
	atomic_bool seen;    /* the bucket is there: it has answered as one */
	atomic_bool away;    /* the last call could not connect */
};

/* A call about an object, or about the bucket. */
struct s3_call {
	struct s3 *s3;
	const char *key; /* NULL: the bucket */
	struct aws_call call;
	struct buf path;
	struct arena arena; /* of names and values */
	struct sigv4_pair query[S3_QUERY_MAX], headers[S3_HEADERS_MAX];
	uint64_t bytes;	 /* that are sent, or asked for, as far as known: for the deadlines */
	uint64_t copies; /* that the service may copy before it says a word */
	bool creates;	/* 412 means that the key is taken */
	int also;	/* a status that is as good as 2xx; 0: none */
};

/* Whatever is asked may be asked twice; a put knows its own object by its nonce. */
void s3_call_begin(struct s3_call *call, struct s3 *s3, const char *method, const char *key,
		   size_t reply_max);
/* Both are copied. */
void s3_call_query(struct s3_call *call, const char *name, const char *value);
void s3_call_header(struct s3_call *call, const char *name, const char *value);
void s3_call_headerf(struct s3_call *call, const char *name, const char *fmt, ...) PRINTF(3, 4);
/* A code of store.h: what the answer says, by its <Code> before its status. */
MUST_USE enum err_code s3_call_do(struct s3_call *call, struct err *err);
/* How far the service's clock is ahead of this machine's, by its answer: what it says of when is by
 * that clock. 0: by less than a minute, or it does not say. */
int64_t s3_call_ahead_ms(const struct s3_call *call);
void s3_call_end(struct s3_call *call);

/* What a new object is to have: its words, the nonce, how it is encrypted. */
void s3_call_put_headers(struct s3_call *call, const struct store_put *put, const char *nonce);
/* crc32c() of the bytes, as S3's header of that name has it, if the server is to get such. */
void s3_call_checksum(struct s3_call *call, uint32_t crc);

/* Of "Name: value" a line the words of the object. */
void s3_read_words(struct slice head, struct store_words *words);
/* False: it is no number. */
bool s3_read_number(struct slice text, uint64_t *ret_number);
/* Of an ETag and the time that it is of; 0: neither is known. */
uint64_t s3_version(struct slice etag, struct slice modified);
/* Of Last-Modified, as milliseconds since 1970; 0: it is no such date. */
int64_t s3_read_date(struct slice text);

MUST_USE enum err_code s3_list(struct store *store, const char *prefix, const char *after,
			       size_t wanted, store_each_fn *each, void *user, struct err *err);
MUST_USE enum err_code s3_level(struct store *store, const char *folder, store_each_fn *each,
				void *user, struct err *err);
/* In place; a listing whose EncodingType is "url". False: it is not encoded so. */
bool s3_decode(char *text);
/* "2026-01-31T12:00:00.000Z" as milliseconds since 1970; 0: it is no such date. */
int64_t s3_date_ms(struct slice text);

/* As put(), of a file; ERR_UNKNOWN and ERR_EXISTS are to be settled by the nonce. */
MUST_USE enum err_code s3_multipart_put(struct s3 *s3, const struct store_put *put,
					const char *nonce, struct err *err);
/* Everything but the methods. What was made of it is freed by the store's free(), whatever the
 * code. */
MUST_USE enum err_code s3_configure(struct s3 *s3, const char *url,
				    const struct store_options *options, struct err *err);

MUST_USE enum err_code s3_crc_of_file(int fd, uint64_t from, uint64_t len, uint32_t *ret_crc,
				      struct err *err);

#endif
