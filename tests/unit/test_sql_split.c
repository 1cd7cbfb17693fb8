/* Where one SQL statement of a text ends and the next begins. */
#include "base/buf.h"
#include "base/mem.h"
#include "cmd/sql_split.h"
#include "testing.h"

static void test_pieces(void **state)
{
	/* The pieces of each, with their lines, between bars; a last one that nothing ends has no
	 * semicolon. */
	static const struct {
		const char *text, *want;
	} texts[] = {
		{ "", "" },
		{ " \n;; ;/* ; */ -- ;\n", "" },
		{ "a", "1:a|" },
		{ "a;", "1:a;|" },
		{ "a;b;\nc", "1:a;|1:b;|1:\nc|" },
		{ "a; -- b;\n\nc;", "1:a;|1: -- b;\n\nc;|" },
		{ "';';\";\";", "1:';';|1:\";\";|" },
		{ "'it''s;';b", "1:'it''s;';|1:b|" },
		{ "'\\';b", "1:'\\';|1:b|" }, /* no escape: the quote ends it */
		{ "E'\\';';b", "1:E'\\';';|1:b|" },
		{ "e'\\\\';b", "1:e'\\\\';|1:b|" },
		{ "name'\\';b", "1:name'\\';|1:b|" },
		{ "/* /* ; */ ; */ a;b", "1:/* /* ; */ ; */ a;|1:b|" },
		{ "$$;$$;b", "1:$$;$$;|1:b|" },
		{ "$x$;$$;$x$;b", "1:$x$;$$;$x$;|1:b|" },
		{ "a$1;b$1;", "1:a$1;|1:b$1;|" },
		{ "$1;$2", "1:$1;|1:$2|" },
		/* what is never closed takes the rest */
		{ "';", "1:';|" },
		{ "E'\\", "1:E'\\|" },
		{ "a/*;", "1:a/*;|" },
		{ "a/", "1:a/|" },
		{ "$$;", "1:$$;|" },
		{ "a--", "1:a--|" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		/* A copy of just that size, so that what is read behind it is seen. */
		size_t len = strlen(texts[i].text), at = 0;
		char *copy = memcpy(xmalloc(len + 1), texts[i].text, len);
		struct sql_piece piece;

		copy = xreallocarray(copy, len ? len : 1, 1);
		buf_clear(&out);
		while (sql_split_next(slice_of(copy, len), &at, &piece))
			buf_addf(&out, "%d:%.*s%s|", piece.line, SLICE_ARG(piece.sql),
				 piece.ended ? ";" : "");
		assert_string_equal(buf_cstr(&out), texts[i].want);
		free(copy);
	}
	buf_release(&out);
}

static void test_one_line(void **state)
{
	static const struct {
		const char *text, *want;
	} texts[] = {
		{ "", "" },
		{ "a\n  b", "a   b" },
		{ "a -- b\nc", "a  c" },
		{ "a '--\n' -- b", "a '-- ' " },
		{ "a /* --\n */ - -b", "a /* --  */ - -b" },
		{ "\"--\" $$--$$", "\"--\" $$--$$" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		buf_clear(&out);
		sql_put_line(slice_str(texts[i].text), &out);
		assert_string_equal(buf_cstr(&out), texts[i].want);
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
