/*
 * The JSON reader against simdjson's DOM: the same verdict on every text, the same types, names
 * and values. And what json_put() writes is read as the same again.
 *
 * Numbers that the DOM finds too large are taken by json.h. Each is shown to the DOM alone, which
 * must refuse it for its size and not for its grammar; then the DOM reads the text with a 0 there.
 */
#include "base/json.h"
#include "fuzz.h"
#include "json_dom.h"

enum { TEXT_MAX = 64 << 10, SEEN_MAX = 16 * TEXT_MAX };

static struct json_parser *parser, *again;
static struct buf seen, seen_again, compact;
static char *without_big;	/* the text to show to the DOM, while that is made; else NULL */
static const char *with_big;

static void set_up(void)
{
	parser = json_parser_new(TEXT_MAX);
	again = json_parser_new(TEXT_MAX);
	buf_init(&seen, SEEN_MAX);
	buf_init(&seen_again, SEEN_MAX);
	buf_init(&compact, TEXT_MAX);
}

static void put_string(struct buf *out, struct slice text)
{
	uint64_t len = text.len;

	buf_add_char(out, '"');
	buf_add(out, &len, sizeof(len));
	buf_add_slice(out, text);
}

static bool dom_takes(struct slice text)
{
	struct slice dom;

	return json_dom((const uint8_t *)text.ptr, text.len, JSON_DEPTH_MAX, &dom.ptr, &dom.len);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* A large number with one digit of each run left; with two of one that begins with 0, which a whole
 * part must not. */
static struct slice shortened(struct slice number, char *out)
{
	size_t len = 0, run = 0;
	bool zero = false;

	for (size_t i = 0; i < number.len; i++) {
		char c = number.ptr[i];

		run = is_digit(c) ? run + 1 : 0;
		if (run == 1)
			zero = c == '0';
		if (run < 2 || (run == 2 && zero))
			out[len++] = c;
	}
	return slice_of(out, len);
}

static void put_big(struct buf *out, struct slice number)
{
	static char room[TEXT_MAX];
	size_t at;

	if (!without_big) {
		put_string(out, number);
		return;
	}
	FUZZ_MUST(!dom_takes(number));
	FUZZ_MUST(dom_takes(shortened(number, room)));
	at = (size_t)(number.ptr - with_big);
	memset(without_big + at, ' ', number.len);
	without_big[at] = '0';
	buf_add_char(out, 'i');
	buf_add(out, &(int64_t){ 0 }, sizeof(int64_t));
}

/* A value that is no array and no object. */
static void put_scalar(struct buf *out, struct json value)
{
	static const char tags[] = { [JSON_INT] = 'i', [JSON_UINT] = 'u', [JSON_DOUBLE] = 'd' };
	enum json_type type = json_type(value);
	struct slice text;
	double number;
	int64_t whole;
	bool truth;

	if (type == JSON_NULL) {
		buf_add_char(out, 'n');
	} else if (json_get_bool(value, &truth)) {
		buf_add_char(out, truth ? 't' : 'f');
	} else if (json_get_string(value, &text)) {
		put_string(out, text);
	} else if (json_get_i64(value, &whole)) {
		FUZZ_MUST(type == JSON_INT);
		buf_add_char(out, tags[type]);
		buf_add(out, &whole, sizeof(whole));
	} else if (type == JSON_UINT) {
		uint64_t large = strtoull(json_text(value).ptr, NULL, 10);

		buf_add_char(out, tags[type]);
		buf_add(out, &large, sizeof(large));
	} else if (type == JSON_BIG) {
		put_big(out, json_text(value));
	} else {
		FUZZ_MUST(type == JSON_DOUBLE && json_get_double(value, &number));
		buf_add_char(out, tags[type]);
		buf_add(out, &number, sizeof(number));
	}
}

static void put(struct buf *out, struct json value)
{
	bool object = json_type(value) == JSON_OBJECT;
	size_t count = 0;
	struct json_iter iter;

	if (!object && json_type(value) != JSON_ARRAY) {
		put_scalar(out, value);
		return;
	}
	buf_add_char(out, object ? '{' : '[');
	iter = json_iter(value);
	for (; json_next(&iter); count++) {
		if (object)
			put_string(out, iter.key);
		put(out, iter.value);
	}
	FUZZ_MUST(count == json_count(value));
	buf_add_char(out, object ? '}' : ']');
}

/* What json.h took, as the DOM sees it. */
static void check_dom(const char *text, size_t len, struct json root)
{
	struct slice dom;

	with_big = text;
	without_big = fuzz_padded((const uint8_t *)text, len, JSON_PADDING);
	buf_clear(&seen);
	put(&seen, root);
	FUZZ_MUST(json_dom((const uint8_t *)without_big, len, JSON_DEPTH_MAX, &dom.ptr, &dom.len));
	FUZZ_MUST(!buf_full(&seen) && slice_eq(buf_slice(&seen), dom));
	free(without_big);
	without_big = NULL;
}

static void check_compact(struct json root)
{
	struct err err = { 0 };
	struct json copy;

	buf_clear(&seen);
	put(&seen, root);
	buf_clear(&compact);
	json_put(&compact, root);
	FUZZ_MUST(json_parse(again, buf_slice(&compact), &copy, &err) == ERR_OK);
	buf_clear(&seen_again);
	put(&seen_again, copy);
	FUZZ_MUST(slice_eq(buf_slice(&seen_again), buf_slice(&seen)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = { 0 };
	struct json root;
	bool taken;
	char *text;

	if (len > TEXT_MAX)
		return 0;
	if (!parser)
		set_up();
	text = fuzz_padded(data, len, JSON_PADDING);
	taken = json_parse_padded(parser, slice_of(text, len), &root, &err) == ERR_OK;
	if (taken) {
		check_dom(text, len, root);
		check_compact(root);
	} else {
		FUZZ_MUST(err.code == ERR_SYNTAX && err.msg[0]);
		FUZZ_MUST(!dom_takes(slice_of(data, len)));
	}
	free(text);
	return 0;
}
