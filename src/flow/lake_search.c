#include "flow/lake_search.h"

#include <stdio.h>

enum { PAGE = 1000 };

/* A page of names, and the last one in it. */
struct search_page {
	const struct lake_search *search;
	size_t count;		     /* of names, with an offset or without */
	bool any;		     /* one had an offset: … */
	uint64_t last;		     /* … the last of them */
	char key[STORE_KEY_MAX + 1]; /* of the last name */
};

static bool search_look(void *user, const struct store_entry *entry)
{
	struct search_page *page = user;
	uint64_t at;

	(void)snprintf(page->key, sizeof(page->key), "%s", entry->key);
	if (page->search->look(page->search->user, entry, &at)) {
		page->any = true;
		page->last = at;
	}
	return ++page->count < PAGE;
}

/* The names after `key`, until one with an offset is among them. */
static enum err_code search_read(const struct lake_search *search, const char *key,
				 struct search_page *page, struct err *err)
{
	enum err_code code = ERR_OK;

	*page = (struct search_page){ .search = search };
	(void)snprintf(page->key, sizeof(page->key), "%s", key);
	do {
		char after[STORE_KEY_MAX + 1];

		(void)snprintf(after, sizeof(after), "%s", page->key);
		page->count = 0;
		code = store_list_some(search->store, search->prefix, after, PAGE, search_look,
				       page, err);
	} while (code == ERR_OK && page->count == PAGE && !page->any);
	return code;
}

/* What comes after offset `at`. */
static enum err_code search_after(const struct lake_search *search, uint64_t at,
				  struct search_page *page, struct err *err)
{
	enum err_code code;
	struct buf key;

	buf_init(&key, STORE_KEY_MAX + 1);
	search->put_key(search->user, &key, at);
	code = search_read(search, buf_cstr(&key), page, err);
	buf_release(&key);
	return code;
}

/* `low` has a name, and beyond it are more; beyond `high` there are none. */
static enum err_code search_between(const struct lake_search *search, uint64_t low, uint64_t high,
				    struct err *err)
{
	struct search_page page;

	while (high > low) {
		uint64_t middle = low + (high - low) / 2;
		enum err_code code = search_after(search, middle, &page, err);

		if (code != ERR_OK || (page.any && page.count < PAGE))
			return code;
		if (page.any)
			low = page.last;
		else
			high = middle;
	}
	return ERR_OK;
}

/* Where the store tells the last name, and that has an offset, nothing else is looked for. */
static enum err_code search_last(const struct lake_search *search, bool *ret_found, struct err *err)
{
	char key[STORE_KEY_MAX + 1];
	struct store_entry entry = { .key = key };
	enum err_code code;
	uint64_t at;

	*ret_found = false;
	if (!store_last(search->store, search->prefix, key))
		return ERR_OK;
	code = store_size(search->store, key, &entry.size, err);
	if (code == ERR_OK)
		*ret_found = search->look(search->user, &entry, &at);
	return code == ERR_ABSENT ? ERR_OK : code;
}

enum err_code lake_search_end(const struct lake_search *search, struct err *err)
{
	struct search_page page;
	uint64_t low, step = PAGE;
	bool found;
	enum err_code code = search_last(search, &found, err);

	if (code != ERR_OK || found)
		return code;
	code = search_read(search, "", &page, err);
	if (code != ERR_OK || page.count < PAGE)
		return code;
	for (low = page.last; step < search->most - low; step *= 2) {
		code = search_after(search, low + step, &page, err);
		if (code != ERR_OK || (page.any && page.count < PAGE))
			return code;
		if (!page.any)
			return search_between(search, low, low + step, err);
		low = page.last;
	}
	return search_between(search, low, search->most, err);
}
