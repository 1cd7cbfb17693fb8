/*
 * s3_list.c - listings: page after page, each read whole before any of it is
 * given, so that no connection waits for the caller.
 *
 * A page begins behind the last key of the one before (start-after), which every server has. Only
 * behind a page without a key the server's token leads on: S3 gives such a one where it went over
 * much that was removed.
 */
#include "store/s3.h"

#include "base/mem.h"
#include "base/trace.h"
#include "base/xml.h"
#include "store/store_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	KEYS_MAX = 1000,
	S3_KEY_MAX = 1024,
	TOKEN_MAX = 4096,
	PAGE_ARENA_MAX = 16 << 20,
	DIGITS_MAX = 20,
};

/* Where the next page begins. */
struct s3_place {
	const char *prefix;
	char after[2 * S3_KEY_MAX]; /* behind this key; "": at the first one */
	char token[TOKEN_MAX + 1];  /* or, if it is not empty, where the server says */
	size_t wanted;		    /* keys, or 0 */
};

struct s3_page {
	struct arena arena;
	struct store_entry entries[KEYS_MAX];
	size_t count;
	struct store_entry next; /* the one whose elements come */
	const char *token;	 /* NULL: none came */
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
		else if (strcmp(name, "NextContinuationToken") == 0 && text.len <= TOKEN_MAX)
			page->token = arena_str(&page->arena, text);
	}
	return !page->wrong;
}

/* Keys as they are, in the order of a store. There are servers that begin with the key that they
 * are to begin behind. */
static bool check_page(struct s3_page *page, const char *after)
{
	const char *before = after;
	size_t kept = 0;

	for (size_t i = 0; i < page->count; i++) {
		char *key = (char *)(uintptr_t)page->entries[i].key;
		int order;

		if (page->is_encoded && !s3_decode(key))
			return false;
		order = strcmp(key, before);
		if (order < 0 || (order == 0 && i > 0))
			return false;
		before = key;
		if (order > 0)
			page->entries[kept++] = page->entries[i];
	}
	page->count = kept;
	return page->is_listing && !page->wrong;
}

/* False: there are more, and nothing says where. */
static bool place_next(struct s3_place *place, const struct s3_page *page)
{
	place->wanted = 0; /* it was a guess, and too low */
	if (page->count > 0) {
		(void)snprintf(place->after, sizeof(place->after), "%s",
			       page->entries[page->count - 1].key);
		place->token[0] = '\0';
		return true;
	}
	if (!page->goes_on)
		return true;
	if (!page->token || !*page->token || strcmp(page->token, place->token) == 0)
		return false;
	(void)snprintf(place->token, sizeof(place->token), "%s", page->token);
	return true;
}

static void ask_page(struct s3_call *call, const struct s3_place *place, const char *prefix)
{
	char most[24];

	(void)snprintf(most, sizeof(most), "%zu", place->wanted);
	if (place->token[0])
		s3_call_query(call, "continuation-token", place->token);
	s3_call_query(call, "encoding-type", "url");
	s3_call_query(call, "list-type", "2");
	if (place->wanted > 0 && place->wanted < KEYS_MAX)
		s3_call_query(call, "max-keys", most);
	s3_call_query(call, "prefix", prefix);
	if (place->after[0] && !place->token[0])
		s3_call_query(call, "start-after", place->after);
}

static enum err_code get_page(struct s3 *s3, struct s3_place *place, struct s3_page *page,
			      struct err *err)
{
	struct s3_call call;
	struct buf whole;
	enum err_code code;

	buf_init(&whole, 2 * STORE_KEY_MAX);
	buf_addf(&whole, "%s%s", s3->root, place->prefix);
	s3_call_begin(&call, s3, "GET", NULL, S3_REPLY_MAX);
	ask_page(&call, place, buf_cstr(&whole));
	code = s3_call_do(&call, err);
	if (code == ERR_OK &&
	    (xml_read(buf_slice(&call.call.reply), take_element, page, err) != ERR_OK ||
	     !check_page(page, place->after) || !place_next(place, page)))
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
	struct s3_place place = { .prefix = prefix, .wanted = wanted };
	enum err_code code;

	if (*after)
		(void)snprintf(place.after, sizeof(place.after), "%s%s", s3->root, after);
	arena_init(&page->arena, PAGE_ARENA_MAX);
	do {
		arena_reset(&page->arena);
		page->count = 0;
		page->token = NULL;
		page->is_listing = page->is_encoded = page->goes_on = page->wrong = false;
		code = get_page(s3, &place, page, err);
	} while (code == ERR_OK && give_page(s3, page, each, user) && page->goes_on);
	arena_release(&page->arena);
	free(page);
	return code;
}
