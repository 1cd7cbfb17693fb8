#include "flow/restore_inside.h"

#include "base/ahead.h"
#include "base/arena.h"
#include "base/mem.h"
#include "flow/census.h"
#include "flow/dlq_object.h"

#include <assert.h>
#include <inttypes.h>

enum { OBJECT_BYTES_MAX = 1 << 30, AHEAD_BYTES = 64 << 20 };

struct restore_letter {
	uint64_t offset;
	uint64_t last;
	bool lost;		/* nobody has them */
	enum gap_reason reason;
	int64_t timestamp_ms;
	struct slice value;
};

/* What a source holds, once it was brought. */
struct restore_text {
	struct buf text;
	struct manifest manifest;
	struct restore_group *group;
	struct arena arena;	/* of the letters' values */
	struct restore_letter *letters;
	size_t count;
	size_t room;
};

/* A source of which records are being given. */
struct restore_open {
	size_t source;
	struct slice rest;	/* of an object */
	struct manifest_cursor cursor;
	size_t letter;		/* of letters, the next one */
	/* What it has next: */
	uint64_t offset;
	uint64_t last;		/* the same, unless … */
	bool lost;		/* … nobody has them, … */
	enum gap_reason reason;	/* … because of that */
	uint64_t accounted;	/* from there up to `offset` are no records */
	struct append_record record;
};

struct restore_reader {
	struct store *store;
	const struct restore_part *part;
	struct manifests manifests;
	struct restore_text *texts;
	struct ahead *ahead;
	size_t source;		/* the next one to be opened */
	struct restore_open *open;
	size_t open_count;
	uint64_t next;
	bool any;		/* something was given */
};

/* --- bringing ---------------------------------------------------------------- */

struct letter_taking {
	struct restore_text *text;
	const struct restore_part *part;
};

/* As the reader of the log said it, else it is just lost. */
static enum gap_reason restore_reason(struct slice text)
{
	for (int gap = GAP_RETENTION; gap <= GAP_REMOVED; gap++)
		if (slice_starts(text, gap_reason_text((enum gap_reason)gap)))
			return (enum gap_reason)gap;
	return GAP_DAMAGED;
}

static bool restore_take_letter(void *user, const struct dlq_entry *entry)
{
	const struct letter_taking *taking = user;
	struct restore_text *text = taking->text;
	struct restore_letter letter = { .timestamp_ms = entry->timestamp_ms };
	bool known = entry->placed && lake_offset(entry->position, &letter.offset) &&
		     lake_offset(entry->last_position, &letter.last);

	if (!known || !slice_is(entry->stage, "sink") || letter.last < letter.offset)
		return true;
	letter.lost = census_is_loss(entry);
	letter.reason = restore_reason(entry->reason);
	if (!letter.lost && entry->value.ptr)
		letter.value = arena_copy(&text->arena, entry->value);
	if (text->count == text->room) {
		text->room = text->room * 2 + 64;
		text->letters = xreallocarray(text->letters, text->room, sizeof(*text->letters));
	}
	text->letters[text->count++] = letter;
	return true;
}

static int by_offset(const void *a, const void *b)
{
	const struct restore_letter *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

static enum err_code restore_bring_letters(const struct restore_reader *reader,
				   const struct restore_source *source, struct restore_text *text,
				   struct err *err)
{
	struct letter_taking taking = { text, reader->part };
	struct dlq_reader letters;
	enum err_code code;

	arena_init(&text->arena, SIZE_MAX / 2);
	dlq_reader_init(&letters, reader->store);
	code = dlq_reader_each(&letters, source->key, restore_take_letter, &taking, err);
	dlq_reader_release(&letters);
	if (code == ERR_OK && text->count > 0)
		qsort(text->letters, text->count, sizeof(*text->letters), by_offset);
	return code;
}

static enum err_code restore_bring_object(const struct restore_reader *reader,
				  const struct restore_source *source, struct restore_text *text,
				  struct err *err)
{
	enum err_code code;

	buf_init(&text->text, OBJECT_BYTES_MAX);
	code = group_get_text(reader->store, source->key, &text->text, err);
	if (code == ERR_ABSENT)
		return err_set(err, ERR_BUSY, "object \"%s\" was removed meanwhile; run it again",
			       source->key);
	if (code == ERR_OK && (text->text.len == 0 || text->text.ptr[text->text.len - 1] != '\n'))
		return err_set(err, ERR_CORRUPT, "object \"%s\" does not end with a line end",
			       source->key);
	return code == ERR_OK ? manifests_find(&reader->manifests, reader->store, source->from,
					       buf_slice(&text->text), &text->manifest, err)
			      : code;
}

static enum err_code restore_bring(void *user, size_t i, struct err *err)
{
	struct restore_reader *reader = user;
	const struct restore_source *source = &reader->part->sources[i];

	switch (source->kind) {
	case SOURCE_LETTERS:
		return restore_bring_letters(reader, source, &reader->texts[i], err);
	case SOURCE_GROUP:
		return restore_group_bring(reader->store, reader->part->where, source->from,
					   &reader->texts[i].group, err);
	case SOURCE_OBJECT:
		break;
	}
	return restore_bring_object(reader, source, &reader->texts[i], err);
}

/* What was brought is known, what is not is guessed. */
static uint64_t bytes_of(void *user, size_t i)
{
	const struct restore_reader *reader = user;
	const struct restore_text *text = &reader->texts[i];

	if (text->group)
		return restore_group_bytes(text->group);
	return text->text.ptr ? text->text.len : reader->part->sources[i].size;
}

static void restore_text_release(struct restore_text *text)
{
	buf_release(&text->text);
	manifest_release(&text->manifest);
	restore_group_free(text->group);
	arena_release(&text->arena);
	free(text->letters);
	*text = (struct restore_text){ 0 };
}

/* --- one source ------------------------------------------------------------------ */

static bool next_letter(struct restore_open *open, const struct restore_text *text)
{
	const struct restore_letter *letter;

	if (open->letter == text->count)
		return false;
	letter = &text->letters[open->letter++];
	open->offset = letter->offset;
	open->last = letter->last;
	open->lost = letter->lost;
	open->reason = letter->reason;
	open->record = (struct append_record){ .value = letter->value,
					       .timestamp_ms = letter->timestamp_ms };
	return true;
}

static bool next_line(struct restore_open *open)
{
	struct slice value;
	const char *end;

	if (open->rest.len == 0)
		return false;
	end = memchr(open->rest.ptr, '\n', open->rest.len);
	assert(end);	/* it ends with one */
	value = slice_of(open->rest.ptr, (size_t)(end - open->rest.ptr));
	open->rest = slice_from(open->rest, value.len + 1);
	open->offset = open->last = manifest_next(&open->cursor);
	open->record = (struct append_record){ .value = value, .timestamp_ms = TIMESTAMP_NOW };
	return true;
}

/* Goes on to what the source has next. *ret_more false: that was all, and it is closed. */
static enum err_code restore_move_on(struct restore_reader *reader, struct restore_open *open,
				     bool *ret_more, struct err *err)
{
	struct restore_text *text = &reader->texts[open->source];
	enum err_code code = ERR_OK;

	open->accounted = open->last + 1;
	switch (reader->part->sources[open->source].kind) {
	case SOURCE_LETTERS:
		*ret_more = next_letter(open, text);
		break;
	case SOURCE_OBJECT:
		*ret_more = next_line(open);
		break;
	case SOURCE_GROUP:
		open->reason = GAP_DAMAGED;
		code = restore_group_next(text->group, &open->offset, &open->last, &open->lost,
					  &open->record, ret_more, err);
		break;
	}
	if (code != ERR_OK || *ret_more)
		return code;
	restore_text_release(text);
	*open = reader->open[--reader->open_count];
	return ERR_OK;
}

/* From where on a source accounts for what is before its first record. */
static uint64_t accounted_from(const struct restore_source *source, const struct restore_text *text,
			       const struct restore_open *open)
{
	if (source->kind == SOURCE_OBJECT)
		return manifest_from(&text->manifest);
	if (source->kind == SOURCE_GROUP)
		return restore_group_from(text->group);
	return source->from > 0 ? source->from : open->offset;
}

static enum err_code open_next(struct restore_reader *reader, struct err *err)
{
	size_t i = reader->source++;
	struct restore_text *text = &reader->texts[i];
	struct restore_open *open;
	enum err_code code = ahead_take(reader->ahead, i, err);
	bool more;

	if (code != ERR_OK)
		return code;
	reader->open = xreallocarray(reader->open, reader->open_count + 1, sizeof(*reader->open));
	open = &reader->open[reader->open_count++];
	*open = (struct restore_open){ .source = i, .rest = buf_slice(&text->text),
				       .cursor = manifest_begin(&text->manifest) };
	code = restore_move_on(reader, open, &more, err);
	if (code == ERR_OK && more)
		open->accounted = accounted_from(&reader->part->sources[i], text, open);
	return code;
}

/* The open source that has the lowest offset, after all were opened that may have one as low. NULL:
 * there is none. */
static enum err_code find_lowest_open(struct restore_reader *reader, struct restore_open **ret,
				      struct err *err)
{
	for (;;) {
		struct restore_open *lowest = NULL;

		for (size_t i = 0; i < reader->open_count; i++)
			if (!lowest || reader->open[i].offset < lowest->offset)
				lowest = &reader->open[i];
		if (reader->source == reader->part->source_count ||
		    (lowest && reader->part->sources[reader->source].from > lowest->offset)) {
			*ret = lowest;
			return ERR_OK;
		}
		if (open_next(reader, err) != ERR_OK)
			return err->code;
	}
}

/* --- all of them ------------------------------------------------------------------ */

static void give_gap_to(struct restore_reader *reader, uint64_t next, enum gap_reason reason,
			struct restore_item *ret_item)
{
	*ret_item = (struct restore_item){ .gap = true, .reason = reason,
					   .offset = reader->next, .next = next };
	/* Nothing was there before the first record: the log had let go of it. */
	if (!reader->any && reason == GAP_DAMAGED)
		ret_item->reason = GAP_RETENTION;
	reader->next = next;
}

/* What lies before that which `open` has. */
static void give_before(struct restore_reader *reader, const struct restore_open *open,
			struct restore_item *ret_item)
{
	uint64_t none_from = open->accounted < open->offset ? open->accounted : open->offset;

	if (reader->next < none_from)
		give_gap_to(reader, none_from, GAP_DAMAGED, ret_item);
	else
		give_gap_to(reader, open->offset, GAP_NONE, ret_item);
}

static void restore_give(struct restore_reader *reader, const struct restore_open *open,
		 struct restore_item *ret_item)
{
	if (open->lost) {
		give_gap_to(reader, open->last + 1, open->reason, ret_item);
		return;
	}
	*ret_item = (struct restore_item){
		.offset = open->offset,
		.next = open->offset + 1,
		.letter = reader->part->sources[open->source].kind == SOURCE_LETTERS,
		.record = open->record,
	};
	reader->next = open->offset + 1;
}

enum err_code restore_reader_next(struct restore_reader *reader, struct restore_item *ret_item,
				  bool *ret_any, struct err *err)
{
	*ret_any = true;
	for (;;) {
		struct restore_open *open = NULL;
		bool more;

		if (find_lowest_open(reader, &open, err) != ERR_OK)
			return err->code;
		if (!open)
			break;
		if (open->last < reader->next) {	/* given, or of another topic */
			if (restore_move_on(reader, open, &more, err) != ERR_OK)
				return err->code;
			continue;
		}
		if (open->offset > reader->next)
			give_before(reader, open, ret_item);
		else
			restore_give(reader, open, ret_item);
		reader->any = true;
		return ERR_OK;
	}
	*ret_any = reader->next < reader->part->next;
	if (*ret_any)
		give_gap_to(reader, reader->part->next,
			    reader->part->foreign ? GAP_RETENTION : GAP_DAMAGED, ret_item);
	return ERR_OK;
}

enum err_code restore_reader_new(struct store *store, const struct restore_part *part,
				 struct restore_reader **ret_reader, struct err *err)
{
	struct restore_reader *reader = xcalloc(1, sizeof(*reader));
	struct ahead_options options = { .count = part->source_count,
					 .at_once = store_at_once(store),
					 .bytes_max = AHEAD_BYTES,
					 .bytes = bytes_of,
					 .work = restore_bring,
					 .user = reader };
	enum err_code code;

	reader->store = store;
	reader->part = part;
	reader->next = part->first;
	reader->texts = xcalloc(part->source_count, sizeof(*reader->texts));
	code = manifests_load(store, part->where, -1, &reader->manifests, err);
	if (code == ERR_OK) {
		reader->ahead = ahead_new(&options);
		*ret_reader = reader;
	} else {
		restore_reader_free(reader);
	}
	return code;
}

void restore_reader_free(struct restore_reader *reader)
{
	if (!reader)
		return;
	ahead_free(reader->ahead);
	for (size_t i = 0; i < reader->part->source_count; i++)
		restore_text_release(&reader->texts[i]);
	manifests_release(&reader->manifests);
	free(reader->texts);
	free(reader->open);
	free(reader);
}
