#include "base/terminal.h"

#include "base/json_where.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

size_t terminal_width(int fd)
{
	struct winsize size = { 0 };

	if (!isatty(fd))
		return 0;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : TERMINAL_WIDTH;
}

size_t terminal_height(int fd)
{
	struct winsize size = { 0 };

	return isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

static bool is_dumb(void)
{
	const char *term = getenv("TERM");

	return term && strcmp(term, "dumb") == 0;
}

bool terminal_has_colour(int fd)
{
	const char *none = getenv("NO_COLOR");

	return isatty(fd) && !(none && *none) && !is_dumb();
}

bool terminal_draws(int fd) { return isatty(fd) && !is_dumb(); }

/* --- columns -------------------------------------------------------------------- */

static locale_t utf8;

static void terminal_make_locale(void) { utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL); }

/* The program has no locale, so that numbers are the same everywhere; widths need one. */
static locale_t terminal_enter(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, terminal_make_locale);
	return utf8 ? uselocale(utf8) : NULL;
}

static void terminal_leave(locale_t before)
{
	if (before)
		(void)uselocale(before);
}

/* The bytes of the text's first character, and its columns. */
static size_t first_character(struct slice text, size_t *ret_columns)
{
	size_t len = json_utf8_len((const unsigned char *)text.ptr, text.len);
	mbstate_t state = { 0 };
	wchar_t wide = 0;
	int columns = -1;

	if (len > 0 && mbrtowc(&wide, text.ptr, len, &state) == len)
		columns = wcwidth(wide);
	*ret_columns = columns < 0 ? 4 : (size_t)columns; /* \xNN */
	return len > 0 ? len : 1;
}

static bool is_plain(char c) { return c >= 0x20 && c < 0x7f; }

static size_t measure(struct slice text, size_t columns_max, size_t *ret_columns)
{
	size_t at = 0, columns;
	locale_t before;

	/* Most of most texts, and far faster. */
	while (at < text.len && at < columns_max && is_plain(text.ptr[at]))
		at++;
	columns = at;
	if (at == text.len || is_plain(text.ptr[at])) {
		*ret_columns = columns;
		return at;
	}
	before = terminal_enter();
	while (at < text.len) {
		size_t its, len = first_character(slice_from(text, at), &its);

		if (its > columns_max - columns)
			break;
		columns += its;
		at += len;
	}
	terminal_leave(before);
	*ret_columns = columns;
	return at;
}

size_t terminal_columns(struct slice text)
{
	size_t columns;

	(void)measure(text, SIZE_MAX, &columns);
	return columns;
}

size_t terminal_fit(struct slice text, size_t columns)
{
	size_t taken;

	return measure(text, columns, &taken);
}
