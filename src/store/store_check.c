#include "store/store_check.h"

#include "base/json_where.h"

#include <ctype.h>
#include <string.h>

/* Where store_file.c keeps what is not an object yet. */
static bool reserved(const char *segment, size_t len)
{
	return slice_is(slice_of(segment, len), STORE_RESERVED);
}

static bool dots(const char *segment, size_t len)
{
	return slice_is(slice_of(segment, len), ".") || slice_is(slice_of(segment, len), "..");
}

static bool is_key_text(const char *segment, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = json_utf8_len((const unsigned char *)segment + i, len - i);

		if (n == 0 || (unsigned char)segment[i] < ' ' || segment[i] == 0x7f)
			return false;
		i += n;
	}
	return true;
}

/*
 * Keys come from names of topics and from other writers' tables: none may
 * leave the store's directory or meet its own files.
 */
enum err_code store_check_key(const char *key, struct err *err)
{
	size_t len = strlen(key);
	const char *segment = key;

	if (len > STORE_KEY_MAX)
		return err_set(err, ERR_SHAPE, "an object key has at most %d bytes, this one has %zu",
			       STORE_KEY_MAX, len);
	for (;;) {
		size_t n = strcspn(segment, "/");

		if (n == 0)
			return err_set(err, ERR_SHAPE, "object key \"%s\" has an empty segment", key);
		if (n > STORE_SEGMENT_MAX)
			return err_set(err, ERR_SHAPE,
				       "a segment of an object key has at most %d bytes, \"%.60s…\" has %zu",
				       STORE_SEGMENT_MAX, segment, n);
		if (!is_key_text(segment, n))
			return err_set(err, ERR_SHAPE, "an object key is UTF-8 without control characters");
		if (dots(segment, n) || reserved(segment, n))
			return err_set(err, ERR_SHAPE, "\"%.*s\" is not allowed in object key \"%s\"",
				       (int)n, segment, key);
		if (!segment[n])
			return ERR_OK;
		segment += n + 1;
	}
}

/* --- words --------------------------------------------------------------------- */

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= STORE_WORD_NAME_MAX && strcmp(name, STORE_WORD_OWN) != 0 &&
	       islower((unsigned char)name[0]) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* What an HTTP header carries unchanged. */
static bool is_value(struct slice value)
{
	if (value.len > STORE_WORD_VALUE_MAX)
		return false;
	if (value.len > 0 && (value.ptr[0] == ' ' || value.ptr[value.len - 1] == ' '))
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] < ' ' || value.ptr[i] > '~')
			return false;
	return true;
}

const char *store_words_find(const struct store_words *words, const char *name)
{
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->list[i].name, name) == 0)
			return words->list[i].value;
	return NULL;
}

enum err_code store_words_add(struct store_words *words, const char *name, struct slice value,
			      struct err *err)
{
	struct store_word *word = &words->list[words->count];

	if (words->count == STORE_WORDS_MAX)
		return err_set(err, ERR_SHAPE, "an object has at most %d words", STORE_WORDS_MAX);
	if (!is_name(name) || !is_value(value) || store_words_find(words, name))
		return err_set(err, ERR_SHAPE, "the word \"%s\" is none that an object may have", name);
	memset(word, 0, sizeof(*word));
	memcpy(word->name, name, strlen(name));
	if (value.len)
		memcpy(word->value, value.ptr, value.len);
	words->count++;
	return ERR_OK;
}

enum err_code store_check_put(const struct store_put *put, struct err *err)
{
	enum err_code code = store_check_key(put->key, err);
	struct store_words checked = { 0 };

	for (size_t i = 0; code == ERR_OK && put->words && i < put->words->count; i++)
		code = store_words_add(&checked, put->words->list[i].name,
				       slice_str(put->words->list[i].value), err);
	return code;
}

void store_words_put(struct buf *out, const struct store_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		buf_addf(out, "%s=%s\n", words->list[i].name, words->list[i].value);
}

enum err_code store_words_parse(struct slice text, struct store_words *ret_words, struct err *err)
{
	struct store_words words = { 0 };

	while (text.len > 0) {
		const char *equals = memchr(text.ptr, '=', text.len);
		const char *end = memchr(text.ptr, '\n', text.len);
		char name[STORE_WORD_NAME_MAX + 1];

		if (!equals || !end || equals > end || equals - text.ptr > STORE_WORD_NAME_MAX)
			return err_set(err, ERR_CORRUPT, "an object's words are unreadable");
		memcpy(name, text.ptr, (size_t)(equals - text.ptr));
		name[equals - text.ptr] = '\0';
		if (store_words_add(&words, name, slice_of(equals + 1, (size_t)(end - equals - 1)),
				    err) != ERR_OK)
			return err_set(err, ERR_CORRUPT, "an object's words are unreadable");
		text = slice_from(text, (size_t)(end + 1 - text.ptr));
	}
	*ret_words = words;
	return ERR_OK;
}
