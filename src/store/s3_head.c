/* s3_head.c - what the headers of an answer say of an object. */
#include "store/s3.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

static void s3_take_word(struct slice name, struct slice value, struct store_words *words)
{
	char text[STORE_WORD_NAME_MAX + 1];
	struct err err;

	if (name.len > STORE_WORD_NAME_MAX)
		return;
	for (size_t i = 0; i < name.len; i++)
		text[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 32
									  : name.ptr[i]);
	text[name.len] = '\0';
	(void)!store_words_add(words, text, value, &err); /* what another program put there */
}

void s3_read_words(struct slice head, struct store_words *words)
{
	static const char prefix[] = "x-amz-meta-";
	size_t skip = sizeof(prefix) - 1;

	while (head.len > 0) {
		const char *end = memchr(head.ptr, '\n', head.len);
		size_t len = end ? (size_t)(end - head.ptr) : head.len;
		const char *colon = memchr(head.ptr, ':', len);

		if (colon && len > skip && strncasecmp(head.ptr, prefix, skip) == 0) {
			struct slice value =
				slice_of(colon + 1, len - (size_t)(colon + 1 - head.ptr));

			while (value.len > 0 && value.ptr[0] == ' ')
				value = slice_from(value, 1);
			s3_take_word(slice_of(head.ptr + skip, (size_t)(colon - head.ptr) - skip),
				     value, words);
		}
		head = slice_from(head, end ? len + 1 : len);
	}
}

bool s3_read_number(struct slice text, uint64_t *ret_number)
{
	char digits[24];

	if (text.len == 0 || text.len > 19)
		return false;
	(void)snprintf(digits, sizeof(digits), "%.*s", SLICE_ARG(text));
	*ret_number = strtoull(digits, NULL, 10);
	return strspn(digits, "0123456789") == text.len;
}

/* An ETag alone may come again, with the bytes that it was of. */
uint64_t s3_version(struct slice etag, struct slice modified)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	struct buf text;
	uint64_t version;

	if (etag.len == 0 && modified.len == 0)
		return 0;
	buf_init(&text, AWS_HEAD_BYTES_MAX * 2);
	buf_add_slice(&text, etag);
	buf_add_char(&text, '\n');
	buf_add_slice(&text, modified);
	(void)SHA256((const unsigned char *)text.ptr, text.len, hash);
	buf_release(&text);
	memcpy(&version, hash, sizeof(version));
	return version ? version : 1;
}

int64_t s3_read_date(struct slice text)
{
	struct tm tm = { 0 };
	char date[64];

	(void)snprintf(date, sizeof(date), "%.*s", text.len < 60 ? (int)text.len : 0, text.ptr);
	return strptime(date, "%a, %d %b %Y %H:%M:%S", &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}
