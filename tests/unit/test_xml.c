/* XML as services answer with: elements by their path, and what is refused. */
#include "base/xml.h"

#include "base/mem.h"
#include "testing.h"

#define FOUR(text) text text text text
#define DEEP(text) FOUR(text) FOUR(text) FOUR(text) FOUR(text)

struct seen {
	char text[1024];
	size_t left;			/* elements until it is enough */
};

static bool see(void *user, const char *path, struct slice text)
{
	struct seen *seen = user;
	size_t len = strlen(seen->text);

	(void)snprintf(seen->text + len, sizeof(seen->text) - len, "%s=%.*s|", path,
		       SLICE_ARG(text));
	return --seen->left > 0;
}

static void check(const char *xml, size_t left, const char *expected)
{
	struct seen seen = { .left = left };
	struct err err = { 0 };

	assert_ok(xml_read(slice_str(xml), see, &seen, &err));
	assert_string_equal(seen.text, expected);
}

static void test_elements(void **state)
{
	(void)state;
	check("<Error><Code>SlowDown</Code><M/></Error>", 99, "Error/Code=SlowDown|Error/M=|Error=|");
	check("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns=\"http://x/\">\n <b>1</b>\n <b>2</b>\n</a>",
	      99, "a/b=1|a/b=2|a=|");
	check("<s:a xmlns:s=\"u\"><s:b>x</s:b></s:a>", 99, "a/b=x|a=|");
	check("<a>&lt;&amp;&#x41;<![CDATA[<b>]]></a>", 99, "a=<&A<b>|");
	check("<a> blank \n</a>", 99, "a= blank \n|");
	check("<a>\xc3\xa4</a>", 99, "a=\xc3\xa4|");
	check("<a><b>1</b><c>2</c><broken", 2, "a/b=1|a/c=2|");
}

static void test_what_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "no", "<a>", "<a></b>", "<a/><b/>", "<a>&nbsp;</a>", "<a>\xff</a>",
		"<:/>", "<a><b:/></a>", "<a><b:>x</b:></a>",
		"<!DOCTYPE a [<!ENTITY e \"eeee\">]><a>&e;</a>", "<!DOCTYPE html><html/>",
		(DEEP("<a>") "<a>" DEEP("</a>") "</a>"), (DEEP("<a>") "<a/>" DEEP("</a>")),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct seen seen = { .left = 99 };
		struct err err = { 0 };

		assert_int_equal(xml_read(slice_str(texts[i]), see, &seen, &err), ERR_SYNTAX);
		assert_true(err.msg[0]);
	}
}

static void test_a_text_that_is_too_long(void **state)
{
	size_t len = XML_TEXT_MAX + 8;
	char *text = xmalloc(len);
	struct seen seen = { .left = 99 };
	struct err err = { 0 };

	(void)state;
	memset(text, 'x', len);
	memcpy(text, "<a>", 3);
	memcpy(text + len - 4, "</a>", 4);
	assert_int_equal(xml_read(slice_of(text, len), see, &seen, &err), ERR_SYNTAX);
	assert_int_equal(seen.left, 99);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_a_text_that_is_too_long),
	};

	return cmocka_run_group_tests_name("xml", tests, NULL, NULL);
}
