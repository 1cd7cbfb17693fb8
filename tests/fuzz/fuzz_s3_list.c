/*
 * A page of a listing of S3. Whatever the bytes are, what comes out is what store.h promises: keys
 * that rise, from behind `after` on, each of a length that the next page can be asked for by; and
 * the same again from the same bytes. A page that is made of entries gives those entries back.
 *
 * The first byte: 1 entries are made of what follows, and are url-encoded where 2 is set; else what
 * follows, up to a zero byte, is `after`, and the rest is the page.
 */
#include "base/buf.h"
#include "fuzz.h"
#include "store/s3_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { KEY_MAX = 20, AFTER_MAX = 100, MADE_MAX = 50, PAGE_MAX = 1 << 20 };

static struct s3_page *page, *again; /* of all inputs: they are large */

static void check_page(const char *after)
{
	FUZZ_MUST(page->count <= S3_PAGE_KEYS_MAX);
	FUZZ_MUST(!page->token || strlen(page->token) <= S3_TOKEN_MAX);
	for (size_t i = 0; i < page->count; i++) {
		const struct store_entry *entry = &page->entries[i];

		FUZZ_MUST(strcmp(entry->key, i ? page->entries[i - 1].key : after) > 0);
		FUZZ_MUST(strlen(entry->key) > 0 && strlen(entry->key) <= S3_KEY_MAX);
	}
}

static void check_same(const struct s3_page *a, const struct s3_page *b)
{
	FUZZ_MUST(a->count == b->count && a->goes_on == b->goes_on);
	FUZZ_MUST(!a->token == !b->token && (!a->token || strcmp(a->token, b->token) == 0));
	for (size_t i = 0; i < a->count; i++) {
		const struct store_entry *x = &a->entries[i], *y = &b->entries[i];

		FUZZ_MUST(strcmp(x->key, y->key) == 0 && x->size == y->size);
		FUZZ_MUST(x->modified_ms == y->modified_ms && x->version == y->version);
	}
}

/* Twice, the second time behind what was read before. */
static bool read_page(struct slice text, const char *after)
{
	bool is = s3_page_read(page, text, after);

	(void)!s3_page_read(again,
			    slice_str("<ListBucketResult><Contents><Key>x</Key><Size>1</Size>"
				      "<ETag>e</ETag></Contents><IsTruncated>true</IsTruncated>"
				      "<NextContinuationToken>t</NextContinuationToken>"
				      "<EncodingType>url</EncodingType></ListBucketResult>"),
			    "");
	FUZZ_MUST(s3_page_read(again, text, after) == is);
	if (is) {
		check_page(after);
		check_same(page, again);
	}
	return is;
}

static void read_bytes(struct slice input)
{
	char after[AFTER_MAX + 1] = "", last[S3_KEY_MAX + 1];
	size_t len = 0;

	for (char c; (c = (char)fuzz_take(&input)) && len < AFTER_MAX;)
		after[len++] = c;
	if (read_page(input, after) && page->count > 0) {
		memcpy(last, page->entries[page->count - 1].key,
		       strlen(page->entries[page->count - 1].key) + 1);
		/* Nothing of it is behind that. */
		FUZZ_MUST(!s3_page_read(page, input, last) || page->count == 0);
	}
}

/* --- a page that is made ------------------------------------------------------------ */

struct made {
	char key[KEY_MAX + 2];
	uint64_t size;
	int64_t modified_s;
	uint8_t etag;
};

static void add_key(struct buf *out, const char *key, bool encoded)
{
	for (; *key; key++) {
		unsigned char c = (unsigned char)*key;

		if (encoded && c == ' ')
			buf_add_char(out, '+');
		else if (encoded && !(c >= 'a' && c <= 'z'))
			buf_addf(out, "%%%02X", c);
		else if (strchr("<>&\"", c))
			buf_addf(out, "&#%d;", c);
		else
			buf_add_char(out, *key);
	}
}

static void add_made(struct buf *out, const struct made *made, bool encoded)
{
	struct tm tm;
	time_t seconds = (time_t)made->modified_s;
	char date[40];

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
	buf_add_str(out, "<Contents><Key>");
	add_key(out, made->key, encoded);
	buf_addf(out,
		 "</Key><LastModified>%s</LastModified><ETag>&quot;%u&quot;</ETag><Size>%" PRIu64
		 "</Size></Contents>",
		 date, made->etag, made->size);
}

/* Keys that rise: each begins with a letter for its place. */
static size_t take_made(struct slice *input, struct made *list, bool encoded)
{
	size_t count = 0;

	for (; input->len > 0 && count < MADE_MAX; count++) {
		struct made *made = &list[count];
		size_t len = fuzz_take(input) % KEY_MAX;

		*made = (struct made){ .key = { (char)('A' + count / 26),
						(char)('a' + count % 26) } };
		for (size_t i = 2; i < len; i++) {
			uint8_t c = fuzz_take(input) & 0x7f;

			/* What XML cannot say is only said encoded. */
			made->key[i] = (char)(c >= ' ' || (encoded && c > 0) ? c : '_');
		}
		made->size = (uint64_t)fuzz_take(input) << (fuzz_take(input) % 50);
		made->modified_s = 1 + (int64_t)fuzz_take(input) * 10000001;
		made->etag = fuzz_take(input);
	}
	return count;
}

static void check_made(const struct made *list, size_t count)
{
	FUZZ_MUST(page->count == count);
	for (size_t i = 0; i < count; i++) {
		const struct store_entry *entry = &page->entries[i];

		FUZZ_MUST(strcmp(entry->key, list[i].key) == 0 && entry->size == list[i].size);
		FUZZ_MUST(entry->modified_ms == list[i].modified_s * 1000);
		for (size_t j = 0; j <= i; j++)
			FUZZ_MUST((page->entries[j].version == entry->version) ==
				  (list[j].etag == list[i].etag &&
				   list[j].modified_s == list[i].modified_s));
	}
}

static void read_made(struct slice input, bool encoded)
{
	struct made list[MADE_MAX];
	size_t count = take_made(&input, list, encoded);
	struct buf text;

	buf_init(&text, PAGE_MAX);
	buf_add_str(&text, "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < count; i++)
		add_made(&text, &list[i], encoded);
	buf_addf(&text, "%s</ListBucketResult>", encoded ? "<EncodingType>url</EncodingType>" : "");
	FUZZ_MUST(read_page(buf_slice(&text), ""));
	check_made(list, count);
	buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = fuzz_padded(data, len, 0);
	struct slice input = slice_of(copy, len);
	uint8_t how = fuzz_take(&input);

	if (!page) {
		page = s3_page_new();
		again = s3_page_new();
	}

	if (how & 1)
		read_made(input, how & 2);
	else
		read_bytes(input);
	free(copy);
	return 0;
}
