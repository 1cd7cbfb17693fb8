/*
 * dlq_read.c - each letter once, out of objects of which some may say the same.
 *
 * Two objects of a source whose ranges overlap are a commit's and another's that lost, or the
 * same range's by two models; and what a program of before left may overlap whatever comes behind
 * it. Such objects are "crowded", and what they gave is remembered while their partition is read;
 * that is little, or nothing, and all other letters go straight through.
 */
#include "base/ahead.h"
#include "base/mem.h"
#include "flow/dlq.h"
#include "flow/dlq_object.h"
#include "flow/raw_kept.h"
#include "flow/replayed.h"

#include <ctype.h>
#include <string.h>

enum { AHEAD_BYTES_MAX = 64 << 20 };

/* 128 bits of a hash stand for a letter. */
struct mark {
	uint64_t a;
	uint64_t b;
};

/* Marks at their hashes' places, or the next free ones; (0, 0) is free. */
struct marks {
	struct mark *at;
	size_t room; /* a power of two */
	size_t count;
};

struct reading {
	struct dlq_reader reader;
	const struct dlq_query *query;
	bool (*each)(void *user, const struct dlq_entry *entry);
	void *user;
	const struct replayed *replayed;
	struct dlq_listing list; /* of a partition */
	struct marks given;
	/* Of the object being read. */
	const struct dlq_listed *object;
	/* Where the first range of the partition begins. */
	bool has_ranges;
	struct dlq_range first;
	bool enough;
	enum err_code code;
	struct err *err;
};

/* --- what was given ------------------------------------------------------ */

static uint64_t mix_word(uint64_t state, uint64_t word)
{
	state = (state ^ word) * UINT64_C(0xff51afd7ed558ccd);
	state = (state ^ (state >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return state ^ (state >> 29);
}

static void mix_text(struct mark *mark, struct slice text)
{
	mark->a = mix_word(mark->a, text.len);
	mark->b = mix_word(mark->b, ~(uint64_t)text.len);
	for (size_t i = 0; i < text.len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, text.ptr + i, text.len - i < 8 ? text.len - i : 8);
		mark->a = mix_word(mark->a, word);
		mark->b = mix_word(mark->b, word);
	}
}

static struct mark mark_of(const struct dlq_entry *entry)
{
	struct mark mark = { .a = 1, .b = UINT64_C(0x9e3779b97f4a7c15) };

	mix_text(&mark, entry->stage);
	mix_text(&mark, entry->table);
	mix_text(&mark, entry->offset);
	mix_text(&mark, entry->last);
	mark.a |= mark.a == 0 && mark.b == 0;
	return mark;
}

static struct mark *marks_find(const struct marks *marks, struct mark mark)
{
	size_t at = (size_t)mark.a & (marks->room - 1);

	while ((marks->at[at].a || marks->at[at].b) &&
	       (marks->at[at].a != mark.a || marks->at[at].b != mark.b))
		at = (at + 1) & (marks->room - 1);
	return &marks->at[at];
}

static void marks_grow(struct marks *marks)
{
	struct marks larger = { .room = marks->room ? marks->room * 2 : 1024 };

	larger.at = xcalloc(larger.room, sizeof(*larger.at));
	for (size_t i = 0; i < marks->room; i++)
		if (marks->at[i].a || marks->at[i].b)
			*marks_find(&larger, marks->at[i]) = marks->at[i];
	larger.count = marks->count;
	free(marks->at);
	*marks = larger;
}

static bool marks_have(const struct marks *marks, struct mark mark)
{
	const struct mark *found;

	if (marks->count == 0)
		return false;
	found = marks_find(marks, mark);
	return found->a || found->b;
}

static void marks_add(struct marks *marks, struct mark mark)
{
	if (marks->count * 2 >= marks->room)
		marks_grow(marks);
	*marks_find(marks, mark) = mark;
	marks->count++;
}

static void marks_clear(struct marks *marks)
{
	free(marks->at);
	*marks = (struct marks){ 0 };
}

/* --- the order of objects ------------------------------------------------ */

static int slice_cmp(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Those of no known name, old ones, then ranges as they begin. */
static int dlq_read_in_order(const void *a, const void *b)
{
	const struct dlq_listed *x = a, *y = b;
	int order = (int)x->known - (int)y->known;

	if (order == 0)
		order = (int)y->key.old - (int)x->key.old;
	if (order == 0 && x->key.old)
		order = (x->key.start > y->key.start) - (x->key.start < y->key.start);
	if (order == 0 && !x->key.old)
		order = dlq_range_cmp(&x->key.range, &y->key.range);
	if (order == 0)
		order = slice_cmp(x->key.table, y->key.table);
	if (order == 0)
		order = (x->key.number > y->key.number) - (x->key.number < y->key.number);
	return order ? order : strcmp(x->text, y->text);
}

/* Source by source, as they begin. */
static int by_source(const void *a, const void *b)
{
	const struct dlq_listed *x = a, *y = b;
	int order = slice_cmp(x->key.table, y->key.table);

	return order ? order : dlq_read_in_order(a, b);
}

static bool is_ranged(const struct dlq_listed *listed) { return listed->known && !listed->key.old; }

static void find_crowded(struct dlq_listing *list)
{
	struct dlq_listed *far = NULL; /* of those before, the one that ends last */

	if (list->count > 0)
		qsort(list->at, list->count, sizeof(*list->at), by_source);
	for (size_t i = 0; i < list->count; i++) {
		struct dlq_listed *listed = &list->at[i];

		if (!is_ranged(listed))
			continue;
		if (far && slice_eq(far->key.table, listed->key.table) &&
		    dlq_range_is_before(&listed->key.range, far->key.range.upto))
			far->crowded = listed->crowded = true;
		if (!far || !slice_eq(far->key.table, listed->key.table) ||
		    position_cmp(listed->key.range.upto, far->key.range.upto) > 0)
			far = listed;
	}
}

/* --- reading ------------------------------------------------------------- */

/* Whether another object may have this letter, too. */
static bool may_be_double(const struct reading *reading, const struct dlq_entry *entry)
{
	const struct dlq_listed *object = reading->object;

	if (is_ranged(object))
		return object->crowded;
	return reading->has_ranges &&
	       (!entry->placed || dlq_range_is_before(&reading->first, entry->position));
}

static bool was_given(struct reading *reading, const struct dlq_entry *entry)
{
	bool crowded = may_be_double(reading, entry);
	struct mark mark;

	if (!crowded && reading->given.count == 0)
		return false;
	mark = mark_of(entry);
	if (marks_have(&reading->given, mark))
		return true;
	if (crowded)
		marks_add(&reading->given, mark);
	return false;
}

static bool give_once(void *user, const struct dlq_entry *letter)
{
	struct reading *reading = user;
	struct dlq_entry entry = *letter;

	if (was_given(reading, letter))
		return true;
	entry.written_ms = reading->object->modified_ms;
	entry.done = replayed_has(reading->replayed, entry.topic, entry.table, entry.partition,
				  entry.offset);
	if (!entry.done || reading->query->with_done)
		reading->enough = !reading->each(reading->user, &entry);
	return !reading->enough;
}

static enum err_code bring_letters(void *user, size_t item, struct err *err)
{
	const struct reading *reading = user;
	struct dlq_listed *listed = &reading->list.at[item];

	buf_init(&listed->body, DLQ_OBJECT_BYTES_MAX);
	return dlq_get(reading->reader.store, listed->text, &listed->body, err);
}

static uint64_t bytes_of_letters(void *user, size_t item)
{
	return ((const struct reading *)user)->list.at[item].size;
}

/* The objects one after the other; a few are brought meanwhile. */
static void read_objects(struct reading *reading)
{
	const struct dlq_listing *list = &reading->list;
	struct store *store = reading->reader.store;
	struct ahead *ahead = ahead_new(&(struct ahead_options){ .count = list->count,
								 .at_once = store_at_once(store),
								 .bytes_max = AHEAD_BYTES_MAX,
								 .bytes = bytes_of_letters,
								 .work = bring_letters,
								 .user = reading });

	for (size_t i = 0; i < list->count && reading->code == ERR_OK && !reading->enough; i++) {
		struct dlq_listed *object = &list->at[i];

		reading->object = object;
		reading->code = ahead_take(ahead, i, reading->err);
		if (reading->code == ERR_OK)
			reading->code = dlq_reader_each_of(&reading->reader, object->text,
							   buf_slice(&object->body), give_once,
							   reading, reading->err);
		buf_release(&object->body);
	}
	ahead_free(ahead);
}

/* All that was listed of a partition. */
static void read_partition(struct reading *reading)
{
	struct dlq_listing *list = &reading->list;

	find_crowded(list);
	if (list->count > 0)
		qsort(list->at, list->count, sizeof(*list->at), dlq_read_in_order);
	reading->has_ranges = false;
	for (size_t i = 0; i < list->count && !reading->has_ranges; i++)
		if (is_ranged(&list->at[i])) {
			reading->has_ranges = true;
			reading->first = list->at[i].key.range;
		}
	read_objects(reading);
	dlq_list_clear(list);
	marks_clear(&reading->given);
}

/* Up to the last "/", it included. */
static size_t dir_len(const char *key)
{
	const char *end = strrchr(key, '/');

	return end ? (size_t)(end - key) + 1 : 0;
}

static bool read_listed(void *user, const struct store_entry *entry)
{
	struct reading *reading = user;
	const struct dlq_listing *list = &reading->list;
	size_t len = dir_len(entry->key);

	if (replayed_is_marker(entry->key) || letters_kept_is_mark(entry->key))
		return true;
	if (list->count > 0 &&
	    (dir_len(list->at[0].text) != len || strncmp(list->at[0].text, entry->key, len) != 0))
		read_partition(reading);
	dlq_list_add(&reading->list, entry);
	return reading->code == ERR_OK && !reading->enough;
}

static enum err_code read_all(struct reading *reading, struct store *store, struct err *err)
{
	const char *topic = reading->query->topic;
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, DLQ_KEY_MAX);
	buf_addf(&prefix, "dlq/%s%s", topic ? topic : "", topic ? "/" : "");
	dlq_reader_init(&reading->reader, store);
	code = store_list(store, buf_cstr(&prefix), "", read_listed, reading, err);
	if (code == ERR_OK && reading->code == ERR_OK && !reading->enough)
		read_partition(reading);
	dlq_reader_release(&reading->reader);
	dlq_list_release(&reading->list);
	marks_clear(&reading->given);
	buf_release(&prefix);
	return code == ERR_OK ? reading->code : code;
}

enum err_code dlq_query(struct store *store, const struct dlq_query *query,
			bool (*each)(void *user, const struct dlq_entry *entry), void *user,
			struct err *err)
{
	struct reading reading = { .query = query, .each = each, .user = user, .err = err };
	struct replayed *replayed = NULL;
	/* First, so that what is committed meanwhile is not yet done, rather than nowhere. */
	enum err_code code =
		replayed_load(store, query->topic, query->table, query->table_user, &replayed, err);

	if (code != ERR_OK)
		return code;
	reading.replayed = replayed;
	code = read_all(&reading, store, err);
	replayed_free(replayed);
	return code;
}

enum err_code dlq_list(struct store *store, const char *topic,
		       bool (*each)(void *user, const struct dlq_entry *entry), void *user,
		       struct err *err)
{
	struct dlq_query query = { .topic = topic };

	return dlq_query(store, &query, each, user, err);
}

/* --- reasons ---------------------------------------------------------------------- */

static bool reason_begins(struct slice reason, const char *text)
{
	static const char dots[] = "…";

	for (; *text; text++) {
		size_t digits = 0;

		if (strncmp(text, dots, strlen(dots)) == 0) {
			const char *rest = text + strlen(dots);

			return !*rest || dlq_reason_has(reason, rest);
		}
		while (*text == '#' && digits < reason.len &&
		       isdigit((unsigned char)reason.ptr[digits]))
			digits++;
		if (digits == 0 && (reason.len == 0 || *reason.ptr != *text))
			return false;
		reason = slice_from(reason, digits ? digits : 1);
	}
	return true;
}

bool dlq_reason_has(struct slice reason, const char *text)
{
	for (size_t at = 0; at <= reason.len; at++)
		if (reason_begins(slice_from(reason, at), text))
			return true;
	return false;
}

/* --- how far a source is -------------------------------------------------- */

struct search {
	const struct dlq_source *source;
	const struct position *after; /* NULL: from the beginning */
	struct dlq_listing old;
	bool ours;  /* of the object just read, … */
	bool known; /* … which does not reach beyond `after` */
	bool any;
	struct position last;
};

static void search_note(struct search *search, struct position position)
{
	if (search->after && position_cmp(position, *search->after) <= 0)
		return;
	if (!search->any || position_cmp(position, search->last) > 0)
		search->last = position;
	search->any = true;
}

static bool search_letter(void *user, const struct dlq_entry *entry)
{
	struct search *search = user;

	search->ours = dlq_entry_is_of(entry, search->source);
	if (!entry->placed)
		return false;
	search->known = search->after && position_cmp(entry->last_position, *search->after) <= 0;
	if (search->ours)
		search_note(search, entry->last_position);
	return search->ours; /* all of an old object are of one stage */
}

static bool search_listed(void *user, const struct store_entry *entry)
{
	struct search *search = user;
	struct dlq_key key;

	if (!dlq_key_parse(entry->key, &key))
		return true;
	if (key.old)
		dlq_list_add(&search->old, entry);
	else if (dlq_key_is_of(&key, search->source->table))
		search_note(search, key.range.upto);
	return true;
}

/* Only the last old object of a source can tell more than those before it. (That of another source
 * is looked at for its first letter, and all before it are before that.) */
static enum err_code search_old(struct search *search, struct store *store, struct err *err)
{
	struct dlq_listing *old = &search->old;
	enum err_code code = ERR_OK;
	struct dlq_reader reader;

	if (old->count == 0)
		return ERR_OK;
	qsort(old->at, old->count, sizeof(*old->at), dlq_read_in_order);
	dlq_reader_init(&reader, store);
	for (size_t i = old->count; i-- > 0 && code == ERR_OK && !search->ours && !search->known;)
		code = dlq_reader_each(&reader, old->at[i].text, search_letter, search, err);
	dlq_reader_release(&reader);
	return code;
}

enum err_code dlq_end(struct store *store, const struct dlq_source *source,
		      const struct position *after, bool *ret_any, struct position *ret_last,
		      struct err *err)
{
	struct search search = { .source = source, .after = after };
	struct dlq_place place = dlq_place_of(source);
	enum err_code code;
	struct buf dir;

	buf_init(&dir, DLQ_KEY_MAX);
	dlq_key_dir(&dir, &place);
	code = store_list(store, buf_cstr(&dir), "", search_listed, &search, err);
	if (code == ERR_OK)
		code = search_old(&search, store, err);
	if (code == ERR_OK) {
		*ret_any = search.any;
		*ret_last = search.last;
	}
	dlq_list_release(&search.old);
	buf_release(&dir);
	return code;
}
