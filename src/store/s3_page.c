#include "store/s3_page.h"

#include "base/mem.h"
#include "base/xml.h"
#include "net/sigv4.h"
#include "store/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE_ARENA_MAX = 8 << 20, DIGITS_MAX = 19, ETAG_MAX = 256, TIME_MAX = 64 };

bool s3_decode(char *text)
{
	struct buf out;
	bool right;

	buf_init(&out, strlen(text));
	for (char *at = text; *at; at++) /* as forms are encoded */
		if (*at == '+')
			*at = ' ';
	right = sigv4_decode(&out, slice_str(text)) && !memchr(out.len ? out.ptr : "", 0, out.len);
	if (right) {
		if (out.len)
			memcpy(text, out.ptr, out.len);
		text[out.len] = '\0';
	}
	buf_release(&out);
	return right;
}

int64_t s3_date_ms(struct slice text)
{
	struct tm tm = { 0 };
	char date[TIME_MAX + 1] = "";

	if (text.len == 0 || text.len > TIME_MAX)
		return 0;
	memcpy(date, text.ptr, text.len);
	return strptime(date, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

static bool read_size(struct slice text, uint64_t *ret_size)
{
	char digits[DIGITS_MAX + 1] = "";

	if (text.len == 0 || text.len > DIGITS_MAX)
		return false;
	memcpy(digits, text.ptr, text.len);
	*ret_size = strtoull(digits, NULL, 10);
	return strspn(digits, "0123456789") == text.len;
}

static void s3_page_begin_entry(struct s3_page *page)
{
	page->next = (struct store_entry){ 0 };
	page->etag = page->modified = NULL;
}

static void end_entry(struct s3_page *page)
{
	page->next.version = s3_version(slice_str(page->etag ? page->etag : ""),
					slice_str(page->modified ? page->modified : ""));
	if (page->modified)
		page->next.modified_ms = s3_date_ms(slice_str(page->modified));
	if (!page->next.key || page->count == S3_PAGE_KEYS_MAX)
		page->wrong = true;
	else
		page->entries[page->count++] = page->next;
	s3_page_begin_entry(page);
}

/* An element that comes twice counts once, so that nothing small takes much memory. */
static void take_of_entry(struct s3_page *page, const char *name, struct slice text)
{
	if (strcmp(name, "Key") == 0 && !page->next.key && text.len <= 3 * S3_KEY_MAX)
		page->next.key = arena_str(&page->arena, text);
	else if (strcmp(name, "Size") == 0)
		page->wrong |= !read_size(text, &page->next.size);
	else if (strcmp(name, "LastModified") == 0 && !page->modified && text.len <= TIME_MAX)
		page->modified = arena_str(&page->arena, text);
	else if (strcmp(name, "ETag") == 0 && !page->etag && text.len <= ETAG_MAX)
		page->etag = arena_str(&page->arena, text);
}

/* They come in an order of their own, beside that of the keys. */
static void take_folder(struct s3_page *page, struct slice text)
{
	if (page->count == S3_PAGE_KEYS_MAX || text.len > 3 * S3_KEY_MAX) {
		page->wrong = true;
		return;
	}
	page->entries[page->count++] = (struct store_entry){ .key = arena_str(&page->arena, text) };
	page->has_folders = true;
}

static bool take_element(void *user, const char *path, struct slice text)
{
	static const char root[] = "ListBucketResult", entry[] = "ListBucketResult/Contents/";
	struct s3_page *page = user;

	if (strncmp(path, entry, strlen(entry)) == 0)
		take_of_entry(page, path + strlen(entry), text);
	else if (strcmp(path, "ListBucketResult/CommonPrefixes/Prefix") == 0)
		take_folder(page, text);
	else if (strcmp(path, root) == 0)
		page->is_listing = true;
	else if (strcmp(path, "ListBucketResult/Contents") == 0)
		end_entry(page);
	else if (strcmp(path, "ListBucketResult/IsTruncated") == 0)
		page->goes_on = slice_is(text, "true");
	else if (strcmp(path, "ListBucketResult/EncodingType") == 0)
		page->is_encoded = slice_is(text, "url");
	else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0 && !page->token &&
		 text.len <= S3_TOKEN_MAX)
		page->token = arena_str(&page->arena, text);
	return !page->wrong;
}

static int page_by_key(const void *a, const void *b)
{
	return strcmp(((const struct store_entry *)a)->key, ((const struct store_entry *)b)->key);
}

/* Keys as they are, in the order of a store. There are servers that begin with the key that they
 * are to begin behind. The next page is asked for by the last key, so none may be longer than that
 * can be said. */
static bool check_page(struct s3_page *page, const char *after)
{
	const char *before = after;
	size_t kept = 0;

	for (size_t i = 0; i < page->count; i++) {
		char *key = (char *)(uintptr_t)page->entries[i].key;

		if ((page->is_encoded && !s3_decode(key)) || !*key || strlen(key) > S3_KEY_MAX)
			return false;
	}
	if (page->has_folders)
		qsort(page->entries, page->count, sizeof(*page->entries), page_by_key);
	for (size_t i = 0; i < page->count; i++) {
		const char *key = page->entries[i].key;
		int order = strcmp(key, before);

		if (order < 0 || (order == 0 && i > 0))
			return false;
		before = key;
		if (order > 0)
			page->entries[kept++] = page->entries[i];
	}
	page->count = kept;
	return page->is_listing && !page->wrong;
}

struct s3_page *s3_page_new(void)
{
	struct s3_page *page = xcalloc(1, sizeof(*page));

	arena_init(&page->arena, PAGE_ARENA_MAX);
	return page;
}

void s3_page_free(struct s3_page *page)
{
	arena_release(&page->arena);
	free(page);
}

bool s3_page_read(struct s3_page *page, struct slice text, const char *after)
{
	struct err err;

	arena_reset(&page->arena);
	page->count = 0;
	page->token = NULL;
	page->is_listing = page->is_encoded = page->has_folders = page->goes_on = page->wrong =
		false;
	s3_page_begin_entry(page);
	return xml_read(text, take_element, page, &err) == ERR_OK && check_page(page, after);
}
