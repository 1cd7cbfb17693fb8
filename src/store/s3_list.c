/*
 * s3_list.c - listings: page after page, each read whole before any of it is
 * given, so that no connection waits for the caller.
 *
 * A page begins behind the last key of the one before (start-after), which every server has. Only
 * behind a page without a key the server's token leads on: S3 gives such a one where it went over
 * much that was removed. So it does behind folders, as servers differ in what begins behind one.
 */
#include "base/mem.h"
#include "base/trace.h"
#include "store/s3.h"
#include "store/s3_page.h"
#include "store/store_check.h"

#include <stdio.h>
#include <stdlib.h>

enum { ENTRY_BYTES = 256 }; /* that one takes in a page, about */

/* Where the next page begins. */
struct s3_place {
	const char *prefix;
	char after[2 * S3_KEY_MAX]; /* behind this key; "": at the first one */
	char token[S3_TOKEN_MAX + 1];  /* or, if it is not empty, where the server says */
	size_t wanted;		    /* keys, or 0 */
	bool level;		    /* folders as one, the one of the prefix gone into */
};

/* False: there are more, and nothing says where. */
static bool place_next(struct s3_place *place, const struct s3_page *page)
{
	place->wanted = 0; /* it was a guess, and too low */
	if (page->count > 0 && !place->level) {
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
	if (place->level)
		s3_call_query(call, "delimiter", "/");
	s3_call_query(call, "encoding-type", "url");
	s3_call_query(call, "list-type", "2");
	if (place->wanted > 0 && place->wanted < S3_PAGE_KEYS_MAX)
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
	int64_t ahead_ms;
	enum err_code code;

	buf_init(&whole, 2 * STORE_KEY_MAX);
	buf_addf(&whole, "%s%s", s3->root, place->prefix);
	s3_call_begin(&call, s3, "GET", NULL, S3_REPLY_MAX);
	ask_page(&call, place, buf_cstr(&whole));
	call.bytes = ENTRY_BYTES *
		     (place->wanted > 0 && place->wanted < S3_PAGE_KEYS_MAX ? place->wanted
									: S3_PAGE_KEYS_MAX);
	code = s3_call_do(&call, err);
	if (code == ERR_OK && (!s3_page_read(page, buf_slice(&call.call.reply), place->after) ||
			       !place_next(place, page)))
		code = err_set(err, ERR_CORRUPT,
			       "%s: the listing of \"%s\" cannot be read, or is out of order",
			       s3->place, buf_cstr(&whole));
	ahead_ms = code == ERR_OK ? s3_call_ahead_ms(&call) : 0;
	for (size_t i = 0; code == ERR_OK && i < page->count; i++)
		page->entries[i].modified_ms -= page->entries[i].modified_ms ? ahead_ms : 0;
	buf_release(&whole);
	s3_call_end(&call);
	return code;
}

/* A folder is one by the key that it would be without its end; an object of such a name, as other
 * programs have them, is none: not to a listing of keys, nor in the folder that it is called as. */
static enum err_code check_listed(const struct s3_place *place, const char *key, struct err *err)
{
	char folder[S3_KEY_MAX + 1];
	size_t len = strlen(key);

	if (!place->level || len == 0 || key[len - 1] != '/' || strcmp(key, place->prefix) == 0)
		return store_check_key(key, err);
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)len - 1, key);
	return store_check_key(folder, err);
}

/* False: the caller has seen enough. Other programs' keys that no key of ours can be are passed
 * over. */
static bool give_page(const struct s3 *s3, const struct s3_place *place, const struct s3_page *page,
		      store_each_fn *each, void *user)
{
	for (size_t i = 0; i < page->count; i++) {
		struct store_entry entry = page->entries[i];
		struct err err;

		if (strncmp(entry.key, s3->root, strlen(s3->root)) == 0)
			entry.key += strlen(s3->root);
		if (check_listed(place, entry.key, &err) != ERR_OK)
			trace_debug("%s: \"%s\" is left alone: %s", s3->place, entry.key, err.msg);
		else if (!each(user, &entry))
			return false;
	}
	return true;
}

static enum err_code s3_list_from(struct s3 *s3, struct s3_place *place, store_each_fn *each,
				  void *user, struct err *err)
{
	struct s3_page *page = s3_page_new();
	enum err_code code;

	do {
		code = get_page(s3, place, page, err);
	} while (code == ERR_OK && give_page(s3, place, page, each, user) && page->goes_on);
	s3_page_free(page);
	return code;
}

enum err_code s3_list(struct store *store, const char *prefix, const char *after, size_t wanted,
		      store_each_fn *each, void *user, struct err *err)
{
	struct s3 *s3 = (struct s3 *)store;
	struct s3_place place = { .prefix = prefix, .wanted = wanted };

	if (*after)
		(void)snprintf(place.after, sizeof(place.after), "%s%s", s3->root, after);
	return s3_list_from(s3, &place, each, user, err);
}

enum err_code s3_level(struct store *store, const char *folder, store_each_fn *each, void *user,
		       struct err *err)
{
	struct s3_place place = { .prefix = folder, .level = true };

	return s3_list_from((struct s3 *)store, &place, each, user, err);
}
