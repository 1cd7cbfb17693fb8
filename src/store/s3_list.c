/*
 * s3_list.c - listings: page after page, each read whole before any of it is
 * given, so that no connection waits for the caller.
 *
 * A page begins behind the last key of the one before (start-after), which every server has; its
 * tokens are not needed.
 */
#include "store/s3.h"

#include "base/mem.h"
#include "base/trace.h"
#include "base/xml.h"
#include "store/store_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { KEYS_MAX = 1000, S3_KEY_MAX = 1024, PAGE_ARENA_MAX = 16 << 20, DIGITS_MAX = 20 };

struct s3_page {
	struct arena arena;
	struct store_entry entries[KEYS_MAX];
	size_t count;
	struct store_entry next; /* the one whose elements come */
	bool is_listing;
	bool is_encoded;
	bool goes_on;
	bool wrong;
};

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

int64_t s3_date_ms(const char *text)
{
	struct tm tm = { 0 };

	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

static bool read_size(const char *text, uint64_t *ret_size)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits >= DIGITS_MAX || text[digits])
		return false;
	*ret_size = strtoull(text, NULL, 10);
	return true;
}

static void end_entry(struct s3_page *page)
{
	if (!page->next.key || page->count == KEYS_MAX)
		page->wrong = true;
	else
		page->entries[page->count++] = page->next;
	page->next = (struct store_entry){ 0 };
}

static bool take_element(void *user, const char *path, struct slice text)
{
	static const char root[] = "ListBucketResult/", entry[] = "ListBucketResult/Contents/";
	struct s3_page *page = user;
	const char *name = path + strlen(root);

	if (strcmp(path, "ListBucketResult") == 0)
		page->is_listing = true;
	if (strncmp(path, entry, strlen(entry)) == 0) {
		name = path + strlen(entry);
		if (strcmp(name, "Key") == 0 && text.len <= 3 * S3_KEY_MAX)
			page->next.key = arena_str(&page->arena, text);
		else if (strcmp(name, "Size") == 0 && text.len <= DIGITS_MAX)
			page->wrong |= !read_size(arena_str(&page->arena, text), &page->next.size);
		else if (strcmp(name, "LastModified") == 0 && text.len <= STORE_WORD_VALUE_MAX)
			page->next.modified_ms = s3_date_ms(arena_str(&page->arena, text));
	} else if (strncmp(path, root, strlen(root)) == 0) {
		if (strcmp(name, "Contents") == 0)
			end_entry(page);
		else if (strcmp(name, "IsTruncated") == 0)
			page->goes_on = slice_is(text, "true");
		else if (strcmp(name, "EncodingType") == 0)
			page->is_encoded = slice_is(text, "url");
	}
	return !page->wrong;
}

/* Keys as they are, in the order of a store. */
static bool check_page(struct s3_page *page, const char *after)
{
	for (size_t i = 0; i < page->count; i++) {
		const char *before = i ? page->entries[i - 1].key : after;
		char *key = (char *)(uintptr_t)page->entries[i].key;

		if ((page->is_encoded && !s3_decode(key)) || strcmp(key, before) <= 0)
			return false;
	}
	return page->is_listing && !page->wrong && (page->count > 0 || !page->goes_on);
}

static enum err_code get_page(struct s3 *s3, const char *prefix, const char *after, size_t wanted,
			      struct s3_page *page, struct err *err)
{
	struct s3_call call;
	struct buf whole;
	char most[24];
	enum err_code code;

	(void)snprintf(most, sizeof(most), "%zu", wanted);
	buf_init(&whole, 2 * STORE_KEY_MAX);
	buf_addf(&whole, "%s%s", s3->root, prefix);
	s3_call_begin(&call, s3, "GET", NULL, S3_REPLY_MAX);
	s3_call_query(&call, "encoding-type", "url");
	s3_call_query(&call, "list-type", "2");
	if (wanted > 0 && wanted < KEYS_MAX)
		s3_call_query(&call, "max-keys", most);
	s3_call_query(&call, "prefix", buf_cstr(&whole));
	if (*after)
		s3_call_query(&call, "start-after", after);
	code = s3_call_do(&call, err);
	if (code == ERR_OK &&
	    (xml_read(buf_slice(&call.call.reply), take_element, page, err) != ERR_OK ||
	     !check_page(page, after)))
		code = err_set(err, ERR_CORRUPT,
			       "%s: the listing of \"%s\" cannot be read, or is out of order",
			       s3->place, buf_cstr(&whole));
	buf_release(&whole);
	s3_call_end(&call);
	return code;
}

/* False: the caller has seen enough. Other programs' keys that no key of ours can be are passed
 * over. */
static bool give_page(const struct s3 *s3, const struct s3_page *page, store_each_fn *each,
		      void *user)
{
	for (size_t i = 0; i < page->count; i++) {
		struct store_entry entry = page->entries[i];
		struct err err;

		if (strncmp(entry.key, s3->root, strlen(s3->root)) == 0)
			entry.key += strlen(s3->root);
		if (store_check_key(entry.key, &err) != ERR_OK)
			trace_debug("%s: \"%s\" is left alone: %s", s3->place, entry.key, err.msg);
		else if (!each(user, &entry))
			return false;
	}
	return true;
}

enum err_code s3_list(struct store *store, const char *prefix, const char *after, size_t wanted,
		      store_each_fn *each, void *user, struct err *err)
{
	struct s3 *s3 = (struct s3 *)store;
	struct s3_page *page = xcalloc(1, sizeof(*page));
	char from[2 * S3_KEY_MAX] = "";
	enum err_code code;

	if (*after)
		(void)snprintf(from, sizeof(from), "%s%s", s3->root, after);
	arena_init(&page->arena, PAGE_ARENA_MAX);
	do {
		arena_reset(&page->arena);
		page->count = 0;
		page->is_listing = page->is_encoded = page->goes_on = page->wrong = false;
		code = get_page(s3, prefix, from, wanted, page, err);
		wanted = 0; /* it was a guess, and too low */
		if (code == ERR_OK && page->count > 0)
			(void)snprintf(from, sizeof(from), "%s",
				       page->entries[page->count - 1].key);
	} while (code == ERR_OK && give_page(s3, page, each, user) && page->goes_on);
	arena_release(&page->arena);
	free(page);
	return code;
}
